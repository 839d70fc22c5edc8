"""``skip=``: loops may visit only what the named operands store; a refusal says why they cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from zeroskip.checks import is_listed, is_one_of
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.spec import Spec
from zeroskip.einsum_spec.tree import Expr
from zeroskip.einsum_spec.walk import accesses
from zeroskip.errors import KernelError
from zeroskip.native.absence import Number, folded
from zeroskip.native.dtypes import identity
from zeroskip.native.forms import is_joint, product_of, right_side
from zeroskip.native.lines import Line
from zeroskip.native.passes import Pass, seen, term_visits, whole_visits


def names_of(skip: str | Collection[str], spec: Spec) -> tuple[str, ...]:
    """The operands (or results of earlier lines) whose absence is to be skipped.

    Raises KernelError for a name that no line reads, and for what is no name.
    """
    if not isinstance(skip, Collection) or not is_listed(skip):
        raise KernelError(
            f'skip: expected names of operands, found {skip!r}\nWrite skip="A" or skip=("A", "B").'
        )
    names = (skip,) if isinstance(skip, str) else tuple(skip)
    if not names:
        return ()
    read = {access.tensor for form in spec.forms for access in form.reads}
    for name in names:
        if not is_one_of(name, read):
            raise KernelError(
                f"skip names {name!r}, which no line reads\nIt reads {', '.join(sorted(read))}."
            )
    return names


def check_skips(line: Line, skip: Collection[str]) -> None:
    """Raise KernelError unless every point that a loop visits is stored by one of the operands
    ``skip``, wherever the line reads any of them."""
    names = [name for name in skip if name in line.used]
    if not names:
        return
    for name in names:
        if not line.signatures[name].skips:
            raise KernelError(
                f"skip={name}: {name} stores every place, so that there is nothing to leave out\n"
                f'Store it sparsely: zeroskip.tensor({name}, "CSR").'
            )
    for value, start, passes in _values(line):
        read = [access for access in accesses(value) if access.tensor in names]
        if not read or all(any(a in read for a in one.follow) for one in passes):
            continue
        name, fill = read[0].tensor, line.fills[read[0].tensor]
        found = folded(value, [a for a in read if a.tensor == name], line.fills)
        what = "depends on what else it reads" if found is None else f"is {found:g}"
        raise KernelError(
            f"skip={name}: loops cannot leave out what {name} does not store\n"
            f"  {form_text(line.form)}\n"
            f"Where {name} is absent, with fill {fill:g}, the value under "
            f"{line.form.reduction or '+'} {what}; only {start:g} adds nothing.\n"
            f"Store {name} with another fill, or leave skip= out: it is looked up at every point."
        )


def _values(line: Line) -> Iterator[tuple[Expr, Number, tuple[Pass, ...]]]:
    """Every value that is reduced, what its reduction starts from, and the passes over it."""
    form, dtype, known = line.form, line.dtype.name, seen(line.signatures)
    if is_joint(form):
        start = identity(form.reduction or "+", dtype)
        yield right_side(form), start, whole_visits(form, known, dtype).passes
        return
    for term in form.terms:
        yield product_of(term), 0, term_visits(form, term, known, dtype).passes

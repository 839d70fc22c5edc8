"""A line without some of its ranks: from every subscript, with the axes that are nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access, Affine, Var
from zeroskip.einsum_spec.walk import by_data
from zeroskip.formats.tensor import Tensor
from zeroskip.native import load
from zeroskip.native.arguments import Array
from zeroskip.native.forms import plain_target
from zeroskip.native.lines import Line, signature_of
from zeroskip.native.recent import Recent

T = TypeVar("T")

Axes = tuple[int, ...]


def rewritable(line: Line) -> bool:
    """Whether ranks stand in plain subscripts alone: sums of products in the order that operands
    lead to, with no places that data names and no padding that is left out."""
    form = line.form
    if line.order or line.extents.skipped or form.reduction is not None or not plain_target(form):
        return False
    return not any(term.factors for term in form.terms) and not any(map(by_data, form.reads))


def without(
    line: Line,
    ranks: frozenset[str],
    extents: Extents,
    reshaped: Callable[[Array, tuple[int, ...]], Array],
    stored: Callable[[Tensor, Axes], Tensor],
) -> Line:
    """The line without these ranks.

    extents : of the line that is left.
    reshaped, stored : what stands for an array, given its shape, and for a bound tensor, without
        these axes of it.
    """
    axes = gone_axes(line.form, ranks)
    used = dict(line.used)
    for name, operand in line.used.items():
        if not axes.get(name):
            continue
        if isinstance(operand, Tensor):
            build = _once(stored, operand, axes[name])
            used[name] = line.laid_out(name, ("without", tuple(sorted(ranks))), build)
        else:
            used[name] = reshaped(operand, extents.shapes[name])
    signatures = {
        name: signature_of(name, used[name], extents) if axes.get(name) else of
        for name, of in line.signatures.items()
    }
    kept = line.kept
    if kept is not None:
        kept = kept.instead({n: x for n, x in used.items() if line.keeps(n)}, ranks)
    form = _form(line.form, ranks)
    return replace(line, form=form, used=used, extents=extents, signatures=signatures, kept=kept)


def _once(stored: Callable[[Tensor, Axes], Tensor], of: Tensor, axes: Axes) -> Callable[[], Tensor]:
    return lambda: stored(of, axes)


def gone_axes(form: Form, ranks: Collection[str]) -> dict[str, Axes]:
    """Axes that go with the ranks, of each tensor."""
    return {a.tensor: gone(a, ranks) for a in (form.target, *form.reads)}


def gone(access: Access, ranks: Collection[str]) -> Axes:
    """Axes whose subscript is nothing without the ranks."""
    return tuple(
        axis
        for axis, part in enumerate(access.subscripts)
        if part.terms and not part.offset and not left_of(part, ranks).terms
    )


def left_of(part: Affine, ranks: Collection[str]) -> Affine:
    """A subscript without the ranks."""
    terms = tuple(t for t in part.terms if not (isinstance(t[1], Var) and t[1].name in ranks))
    return part if len(terms) == len(part.terms) else replace(part, terms=terms)


def others(of: tuple[T, ...], axes: Collection[int]) -> Iterator[T]:
    """What is not of these axes."""
    return (one for axis, one in enumerate(of) if axis not in axes)


def shrunk(extents: Extents, ranks: Collection[str], axes: Mapping[str, Axes]) -> Extents:
    """Extents without ranks and axes."""
    left = {rank: extent for rank, extent in extents.ranks.items() if rank not in ranks}
    shapes, pads = dict(extents.shapes), dict(extents.pads)
    for name, held in axes.items():
        shapes[name] = tuple(others(shapes[name], held))
        if name in pads:
            pads[name] = tuple(others(pads[name], held))
    return replace(extents, ranks=left, shapes=shapes, pads=pads)


_forms: Recent[tuple[int, frozenset[str]], tuple[Form, Form]] = Recent(load.MOST_KERNELS)
"""Forms and what is left of them.  A form goes by its identity, as in `lines`."""


def _form(form: Form, ranks: frozenset[str]) -> Form:
    key = id(form), ranks
    found = _forms.get(key)
    if found is None:
        terms = tuple(
            replace(
                term,
                accesses=tuple(_access(access, ranks) for access in term.accesses),
                ranks=tuple(rank for rank in term.ranks if rank not in ranks),
            )
            for term in form.terms
        )
        made = replace(form, target=_access(form.target, ranks), terms=terms)
        found = _forms.keep(key, (form, made))
    return found[1]


def _access(access: Access, ranks: Collection[str]) -> Access:
    parts = others(access.subscripts, gone(access, ranks))
    return replace(access, subscripts=tuple(left_of(part, ranks) for part in parts))

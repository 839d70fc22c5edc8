"""`evaluate`: a spec and its operands → results.  The one way into this room.

spec, operands ──► extents ──► for each line: signatures ──► kernel ──► arrays
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

from zeroskip.checks import is_one_of
from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import KernelError
from zeroskip.formats.auto import is_auto
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Array, Operand, resolve, shapes
from zeroskip.native.fixed import OPEN, Schedule, Schedules, fixed_by_result
from zeroskip.native.halves import widened_lines
from zeroskip.native.kept import Kept
from zeroskip.native.lines import line_of
from zeroskip.native.order import Order, Orders
from zeroskip.native.prepared import BACKENDS
from zeroskip.native.results import dense_result, sparse_result
from zeroskip.native.skipping import check_skips, names_of
from zeroskip.native.spread import spread


def evaluate(
    spec: Spec,
    operands: Mapping[str, object],
    *,
    backend: str = "c",
    out: Array | None = None,
    format: Formats = None,
    wanted: Collection[str] | None = None,
    skip: str | Collection[str] = (),
    convert: bool = True,
    order: Orders = None,
    schedule: Schedules = None,
    kept: Kept | None = None,
) -> dict[str, Array | Tensor]:
    """Every result of a spec, in the order of its lines.

    Parameters
    ----------
    spec : Spec
        One line or a cascade.
    operands : mapping of name to array, Tensor, SciPy matrix or torch tensor
        Shapes as the spec's extents require.
    backend : ``"c"``, ``"interpreter"`` (the loop nest in Python) or ``"numpy"`` (dense)
    out : ndarray, optional
        Where the last result goes; a reduction (``+=``, ``max=`` …) starts from what it holds.
    format : Format or str, or a mapping of them by result, optional
        Format of the last result, or of each that is named; others are ndarrays.  ``"auto"``
        is the cheapest in bits for as many entries as the result has.
    wanted : names of results, optional
        Lines that neither these nor a named format need are left out.
    skip : names of operands
        Loops must visit only what these store; refused where a fill or the line forbids it.
    convert : whether operands may be stored anew, in an order or levels that loops can follow
    order : every rank of the last line, outermost first, or a mapping of such texts by result:
        the loops of a line keep to it
    schedule : what is fixed of the schedule of the last line, or a mapping by result
    kept : operands that stay over many calls

    Returns
    -------
    dict of name to ndarray or Tensor

    Raises
    ------
    EinsumError, TensorError, KernelError
    """
    if not is_one_of(backend, BACKENDS):
        raise KernelError(f"expected a backend of {', '.join(BACKENDS)}, found {backend!r}")
    known = {name: resolve(name, given) for name, given in operands.items()}
    extents = spec.extents(shapes(known))
    formats = formats_by_result(spec, format)
    skipped = names_of(skip, spec)
    orders, fixed = fixed_by_result(spec, order, schedule)
    alive = None
    if wanted is not None and len(spec.forms) > 1:
        alive = needed_results(spec, {*wanted, *formats})
    results: dict[str, Array | Tensor] = {}
    widened = widened_lines(spec, known, extents.constants)
    for line, (form, wide) in enumerate(zip(spec.forms, widened, strict=True)):
        name = form.target.tensor
        if alive is not None and name not in alive:
            continue
        run = partial(
            run_form,
            form,
            extents=extents,
            backend=backend,
            format=formats.get(name),
            skip=skipped,
            convert=convert,
            order=orders.get(name, ()),
            fixed=fixed.get(name, OPEN),
            kept=kept,
        )
        into = out if line == len(spec.forms) - 1 else None
        result = wide.run(known, run, into) if wide else run(known, out=into)
        results[name] = known[name] = result
    return results


Formats = Format | str | Mapping[str, Format | str] | None


def formats_by_result(spec: Spec, format: Formats) -> dict[str, Format | str]:
    """``format=`` as result -> format: one alone is that of the last result.

    Raises KernelError for a name that is no result.
    """
    if format is None:
        return {}
    if not isinstance(format, Mapping):
        return {spec.results[-1]: format}
    for name in format:
        if name not in spec.results:
            raise KernelError(
                f"format names {name!r}, which no line computes\n"
                f"Results: {', '.join(spec.results)}."
            )
    return dict(format)


def needed_results(spec: Spec, wanted: Collection[str]) -> set[str]:
    """The results that have to be computed for the wanted ones."""
    alive = set(wanted)
    for form in reversed(spec.forms):
        if form.target.tensor in alive:
            alive.update(access.tensor for access in form.reads)
            alive.update(name for term in form.terms for name in term.bare)
    return alive


def run_form(
    form: Form,
    operands: Mapping[str, Operand],
    extents: Extents,
    *,
    backend: str = "c",
    out: Array | None = None,
    format: Format | str | None = None,
    skip: Collection[str] = (),
    convert: bool = True,
    order: Order = (),
    fixed: Schedule = OPEN,
    kept: Kept | None = None,
) -> Array | Tensor:
    """The result of one line."""
    if backend == "c" and format is None and convert and not skip and not order and fixed == OPEN:
        operands = spread(form, operands, extents)
    line = line_of(
        form,
        operands,
        extents,
        blocks=format is None,
        convert=convert,
        order=order,
        fixed=fixed,
    )
    line = line if kept is None else replace(line, kept=kept)
    check_skips(line, skip)
    if format is not None:
        wanted = None if is_auto(format) else Format(format)
        return sparse_result(line, wanted, backend, out, convert=convert)
    return dense_result(line, backend, out)

"""`evaluate`: a spec and its operands → results.  The one way into this room.

spec, operands ──► extents ──► for each line: signatures ──► kernel ──► arrays
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.spec import Spec
from zeroskip.einsum_spec.tree import Gather
from zeroskip.einsum_spec.walk import gathers, subscripts
from zeroskip.errors import KernelError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import check_room
from zeroskip.formats.tensor import Tensor
from zeroskip.native import assemble, lanes, tile
from zeroskip.native.arguments import Array, Operand, densify, resolve, shapes, signature
from zeroskip.native.dtypes import LOGICAL, form_arithmetic
from zeroskip.native.emit import emit
from zeroskip.native.lower import fill_of, is_joint, lower, optional_operands
from zeroskip.native.nest import LANE_BYTES
from zeroskip.native.operand import Signature
from zeroskip.native.packing import pack
from zeroskip.native.prepared import BACKENDS, Prepared, Slots, remember, run, slots
from zeroskip.native.reference import evaluate_form
from zeroskip.native.scheme import Key

WORTH_TILING = 2**14
"""Multiplications below which packing the entries costs more than the plain loops do."""

REUSE = 1
"""Multiplications for each staged element, up to which staging costs more than it saves: a dense
matrix times one vector uses each of its elements once."""


def evaluate(
    spec: Spec,
    operands: Mapping[str, object],
    *,
    backend: str = "c",
    out: Array | None = None,
    format: Formats = None,
    wanted: Collection[str] | None = None,
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
        Format of the last result, or of each that is named; others are ndarrays.
    wanted : names of results, optional
        Lines that neither these nor a named format need are left out.

    Returns
    -------
    dict of name to ndarray or Tensor

    Raises
    ------
    EinsumError, TensorError, KernelError
    """
    if backend not in BACKENDS:
        raise KernelError(f"expected a backend of {', '.join(BACKENDS)}, found {backend!r}")
    known = {name: resolve(name, given) for name, given in operands.items()}
    extents = spec.extents(shapes(known))
    formats = formats_by_result(spec, format)
    alive = None if wanted is None else needed_results(spec, {*wanted, *formats})
    results: dict[str, Array | Tensor] = {}
    for line, form in enumerate(spec.forms):
        name = form.target.tensor
        if alive is not None and name not in alive:
            continue
        last = line == len(spec.forms) - 1
        result = run_form(
            form,
            known,
            extents,
            backend=backend,
            out=out if last else None,
            format=formats.get(name),
        )
        results[form.target.tensor] = known[form.target.tensor] = result
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


@dataclass(frozen=True, slots=True)
class Line:
    """One form with its operands: what every way of running it needs.

    used : the operands that it names.  dtype : of its arithmetic.
    converted : the operands that had to be stored in another way.
    """

    form: Form
    used: Mapping[str, Operand]
    extents: Extents
    signatures: Mapping[str, Signature]
    dtype: np.dtype[Any]
    converted: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.form.target.tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return self.extents.shapes[self.name]


def line_of(form: Form, operands: Mapping[str, Operand], extents: Extents) -> Line:
    """The operands that a form names, in a format in which it can look them up."""
    names = [access.tensor for access in form.reads]
    names += [name for term in form.terms for name in term.bare]
    used = {name: operands[name] for name in dict.fromkeys(names) if name in operands}
    dtype = form_arithmetic(form, {n: x.dtype for n, x in used.items()}, extents.constants)
    wanted = dict(_looked_up(form, used, dtype.name))
    used = {name: wanted.get(name, x) for name, x in used.items()}
    signatures = {}
    for name, operand in used.items():
        pads = extents.pads.get(name, ())
        padded = tuple(tuple(p) != (0, 0) for p in pads) or (False,) * operand.ndim
        seen = signature(operand, padded)
        signatures[name] = replace(seen, skips_padding=name in extents.skipped)
    return Line(form, used, extents, signatures, dtype, tuple(wanted))


def _looked_up(
    form: Form, used: Mapping[str, Operand], dtype: str
) -> Iterator[tuple[str, Operand]]:
    """Operands that must be stored in another way to be looked up, and that way."""
    places = {gather.access.tensor for gather in _gathers(form)}
    for name in places:
        index = used[name]
        if index.dtype.kind not in "iu":
            raise KernelError(
                f"{name} names places, and holds {index.dtype}\n"
                f"Pass integers: {name}.astype('int64')."
            )
        if isinstance(index, Tensor):
            yield name, densify(index)
    for name in optional_operands(form, dtype) - places:
        operand = used[name]
        if isinstance(operand, Tensor) and not signature(operand, ()).locatable:
            order = [axis for level in operand.levels for axis in level.axes]
            yield name, operand.asformat(Format(_by_coordinates(order)))


def _gathers(form: Form) -> Iterator[Gather]:
    for access in (form.target, *form.reads):
        for part in access.subscripts:
            yield from gathers(part)
    for term in form.terms:
        for factor in term.factors:
            for part in subscripts(factor):
                yield from gathers(part)


def _by_coordinates(order: Sequence[int]) -> str:
    """A format in which every rank is compressed, in this order of axes."""
    axes = ",".join(f"a{k}" for k in range(len(order)))
    return f"[{axes}] " + " ".join(f"a{k}:C" for k in order)


def run_form(
    form: Form,
    operands: Mapping[str, Operand],
    extents: Extents,
    *,
    backend: str = "c",
    out: Array | None = None,
    format: Format | str | None = None,
) -> Array | Tensor:
    """The result of one line."""
    line = line_of(form, operands, extents)
    if format is not None:
        return _formatted(line, Format(format), backend, out)
    return _dense(line, backend, out)


def _dense(line: Line, backend: str, out: Array | None = None) -> Array:
    result = target_for(line, out)
    accumulate = out is not None and line.form.reduction is not None
    if backend == "numpy":
        dense = {name: densify(x) for name, x in line.used.items()}
        start = result if accumulate else None
        np.copyto(result, evaluate_form(line.form, dense, line.extents, start))
        return result
    target = result if result.dtype == line.dtype else result.astype(line.dtype)
    if accumulate or backend == "interpreter":
        prepared, filled = plain(line, target, accumulate=accumulate)
    else:
        prepared, filled = scheduled(line, target)
    run(prepared, filled, backend)
    if target is not result:
        np.not_equal(target, 0, out=result)
    return result


Schedule = tile.TilePlan | lanes.LanePlan | None
"""None is the plain walk."""


def scheduled(line: Line, target: Array, bound: Collection[str] = ()) -> tuple[Prepared, Slots]:
    """The kernel of the schedule that pays, with its slots filled; see `schedule_of`."""
    return kernel_of(line, schedule_of(line, bound), target)


def schedule_of(line: Line, bound: Collection[str] = ()) -> Schedule:
    """The schedule that pays: tiled, lanes, or the plain walk.

    bound : operands that are packed once for many calls.
    """
    tiles = tile.plan(line.form, line.signatures, line.dtype.name)
    if tiles is None:
        return lanes.plan(line.form, line.signatures, line.dtype.name, line.extents)
    entries = line.used[tiles.entries.tensor]
    work = entries.size if isinstance(entries, np.ndarray) else entries.stored
    work *= prod(line.extents.ranks[rank] for rank in tiles.lanes)
    if work <= REUSE * prod(line.extents.shapes[tiles.lane_access.tensor]):
        return None
    return tiles if tiles.entries.tensor in bound or work >= WORTH_TILING else None


def kernel_of(line: Line, schedule: Schedule, target: Array) -> tuple[Prepared, Slots]:
    """The kernel of a line under a schedule, with its slots filled."""
    match schedule:
        case tile.TilePlan():
            return tiled(line, schedule, target)
        case lanes.LanePlan():
            return in_lanes(line, schedule, target)
        case None:
            return plain(line, target)


def plain(line: Line, target: Array, *, accumulate: bool = False) -> tuple[Prepared, Slots]:
    """The kernel that walks the operands' own levels."""
    prepared = _walk(line, accumulate=accumulate)
    arrays: dict[Key, Array] = {("vals", line.name): target}
    if ("mark", line.name) in prepared.lowered.buffers:
        arrays["mark", line.name] = np.empty(line.shape, np.uint8)
    return prepared, slots(prepared, line.used, line.extents, arrays, {})


def _walk(line: Line, *, hits: bool = False, accumulate: bool = False) -> Prepared:
    key = (line.form, tuple(line.signatures.items()), line.dtype.name, hits, accumulate)

    def build() -> Prepared:
        lowered = lower(
            line.form, line.signatures, line.dtype.name, hits=hits, accumulate=accumulate
        )
        return Prepared(lowered, emit(lowered.kernel), line.dtype)

    return remember(key, build)


def in_lanes(line: Line, plan: lanes.LanePlan, target: Array) -> tuple[Prepared, Slots]:
    """The kernel of the lane schedule, its scratch made."""
    key = ("lanes", plan, tuple(line.signatures.items()), line.dtype.name)

    def build() -> Prepared:
        lowered = lanes.lower_lanes(plan, line.signatures, line.dtype.name)
        return Prepared(lowered, emit(lowered.kernel), line.dtype)

    numbers = lanes.numbers(plan, line.extents, LANE_BYTES // line.dtype.itemsize)
    rows = prod(line.extents.ranks[rank] for rank in plan.rows)
    arrays: dict[Key, Array] = {
        ("rows",): np.empty(rows * numbers["row_pitch"], line.dtype),
        ("vals", line.name): target,
    }
    for access in plan.staged:
        size = prod(line.extents.shapes[access.tensor])
        arrays["staged", access.tensor] = np.zeros(size + tile.SLACK, line.dtype)
    prepared = remember(key, build)
    return prepared, slots(prepared, line.used, line.extents, arrays, numbers)


def tiled(line: Line, plan: tile.TilePlan, target: Array) -> tuple[Prepared, Slots]:
    """The kernel of the tiled schedule, its entries packed and its scratch made."""
    geometry = tile.geometry(plan, line.extents, LANE_BYTES // line.dtype.itemsize)
    offsets = tile.offset_dtype(geometry)
    key = ("tile", plan, tuple(line.signatures.items()), line.dtype.name, offsets)

    def build() -> Prepared:
        lowered = tile.lower_tile(plan, line.signatures, line.dtype.name, offsets)
        return Prepared(lowered, emit(lowered.kernel), line.dtype)

    packed = pack(plan, line.used[plan.entries.tensor], line.extents, geometry)
    arrays: dict[Key, Array] = {
        ("staged",): np.zeros(geometry.staged_elements, line.dtype),
        ("rows",): np.empty(geometry.row_elements, line.dtype),
        ("pos",): packed.pos,
        ("offset",): packed.offset,
        ("packed",): packed.values,
        ("vals", line.name): target,
    }
    prepared = remember(key, build)
    return prepared, slots(prepared, line.used, line.extents, arrays, geometry.numbers)


# ---- results ----------------------------------------------------------------------------


def target_for(line: Line, out: Array | None = None) -> Array:
    """Where a dense result goes: ``out``, checked, or a fresh array."""
    dtype = np.dtype(np.bool_) if line.form.reduction in LOGICAL else line.dtype
    if out is None:
        hint = (
            f"Compute {line.name} in parts: a result is held densely, also on its way to a format."
        )
        items, itemsize = prod(line.shape), line.dtype.itemsize
        check_room(items, itemsize, f"the dense result {line.name}", hint)
        return np.empty(line.shape, dtype)
    if not isinstance(out, np.ndarray) or out.shape != line.shape or out.dtype != dtype:
        found = type(out).__name__
        if isinstance(out, np.ndarray):
            found = f"{out.dtype} of shape {out.shape}"
        raise KernelError(
            f"out= for {line.name}: expected a {dtype} array of shape {line.shape}, "
            f"found {found}\nPass np.empty({line.shape}, {dtype.name!r})."
        )
    if not out.flags.c_contiguous or not out.flags.writeable:
        raise KernelError(
            f"out= for {line.name}: expected a writable C-contiguous array, found one with "
            f"strides {out.strides}, writable: {out.flags.writeable}\nPass a fresh np.empty."
        )
    if any(np.shares_memory(out, _values(x)) for x in line.used.values()):
        raise KernelError(f"out= for {line.name} shares memory with an operand\nPass a fresh one.")
    return out


def _values(operand: Operand) -> Array:
    return operand if isinstance(operand, np.ndarray) else operand.values


def _formatted(line: Line, format: Format, backend: str, out: Array | None) -> Tensor:
    """A result in a format: what stored products reach, or after relu what is not zero."""
    form = line.form
    if out is not None:
        raise KernelError(f"{line.name}: out= and format= cannot both be given")
    format = format.bind(len(line.shape))
    if fill_of(form) != 0:
        raise KernelError(
            f"{line.name} = {form.post}(…) is {fill_of(form):g} where nothing is stored, so a "
            "sparse result would drop values that are not 0\n"
            "Ask for a dense result: leave format= out."
        )
    optional = optional_operands(form, line.dtype.name)
    looked_up = any(isinstance(line.used[name], Tensor) for name in optional)
    chosen = None
    if backend != "numpy" and not is_joint(form) and line.shape and not looked_up:
        chosen = assemble.plan(form, line.signatures, line.shape)
    if chosen is not None and not assemble.mostly_empty(chosen, line.used, line.extents.ranks):
        return _assembled(line, chosen, format, backend)
    if form.post == "relu" or backend == "numpy" or is_joint(form) or not line.shape or looked_up:
        return Tensor.from_dense(_dense(line, backend), format)
    value, hit = target_for(line), np.empty(line.shape, np.uint8)
    prepared = _walk(line, hits=True)
    arrays: dict[Key, Array] = {("vals", line.name): value, ("hit", line.name): hit}
    filled = slots(prepared, line.used, line.extents, arrays, {})
    run(prepared, filled, backend)
    coords = np.nonzero(hit)
    return Tensor.from_coords(coords, value[coords], line.shape, format)


def _assembled(line: Line, chosen: assemble.Assembly, format: Format, backend: str) -> Tensor:
    """A sparse result, row by row, without a dense copy."""
    name, dtype, ranks = line.name, line.dtype, line.extents.ranks
    used, signatures = assemble.reordered(chosen, line.used, line.signatures)
    key = ("rows", line.form, tuple(signatures.items()), dtype.name, chosen.outer)

    def build() -> Prepared:
        lowered = assemble.lower_rows(line.form, signatures, dtype.name, chosen)
        return Prepared(lowered, emit(lowered.kernel), dtype)

    prepared = remember(key, build)
    arrays: dict[Key, Array] = assemble.scratch(name, chosen, ranks, dtype)
    room = assemble.first_room(used)
    while True:
        arrays |= assemble.appended(name, room, dtype)
        arrays["count",][0] = 0
        run(prepared, slots(prepared, used, line.extents, arrays, {"room": room}), backend)
        count = int(arrays["count",][0])
        if count <= room:
            break
        room = count
    coords = assemble.coordinates(chosen, arrays, count, ranks)
    return Tensor.from_coords(coords, arrays["vals", name][:count], line.shape, format)

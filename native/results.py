"""The result of a line: dense, or in a format."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from zeroskip.errors import KernelError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import check_room
from zeroskip.formats.tensor import Tensor
from zeroskip.native import assemble
from zeroskip.native.arguments import Array, Operand, densify
from zeroskip.native.dtypes import LOGICAL
from zeroskip.native.emit import emit
from zeroskip.native.forms import is_joint
from zeroskip.native.lines import Line
from zeroskip.native.passes import every_pass
from zeroskip.native.prepared import Prepared, remember, run, slots
from zeroskip.native.reference import evaluate_form
from zeroskip.native.result_fill import after, result_fill
from zeroskip.native.schedules import plain, scheduled, walk
from zeroskip.native.scheme import Key


def dense_result(line: Line, backend: str, out: Array | None = None) -> Array:
    """The result of a line as an ndarray."""
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


def sparse_result(line: Line, format: Format, backend: str, out: Array | None = None) -> Tensor:
    """A result in a format: what stored products reach, or after relu what is not zero; other
    reductions and values, what is not the fill."""
    form = line.form
    if out is not None:
        raise KernelError(f"{line.name}: out= and format= cannot both be given")
    format = format.bind(len(line.shape))
    fill = result_fill(line)
    by_points = backend == "numpy" or is_joint(form) or not line.shape
    by_points = by_points or fill != after(form.post, 0)
    chosen = None
    if not by_points:
        chosen = assemble.plan(form, line.signatures, line.shape, line.dtype.name)
    if chosen is not None and not assemble.mostly_empty(chosen, line.used, line.extents.ranks):
        return _assembled(line, chosen, format, backend, fill)
    if by_points or form.post == "relu" or _everywhere(line):
        return Tensor.from_dense(dense_result(line, backend), format, fill=fill)
    value, hit = target_for(line), np.empty(line.shape, np.uint8)
    prepared = walk(line, hits=True)
    arrays: dict[Key, Array] = {("vals", line.name): value, ("hit", line.name): hit}
    filled = slots(prepared, line.used, line.extents, arrays, {})
    run(prepared, filled, backend)
    coords = np.nonzero(hit)
    return Tensor.from_coords(coords, value[coords], line.shape, format, fill=fill)


def _everywhere(line: Line) -> bool:
    """Whether some term looks sparse operands up at every point, not following any."""

    def sparse(name: str) -> bool:
        return line.signatures[name].skips

    return any(
        any(sparse(a.tensor) for a in one.optional)
        and not any(sparse(a.tensor) for a in one.follow)
        for one in every_pass(line.form, sparse, line.fills, line.dtype.name)
    )


def _assembled(
    line: Line, chosen: assemble.Assembly, format: Format, backend: str, fill: Any
) -> Tensor:
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
    values = arrays["vals", name][:count]
    return Tensor.from_coords(coords, values, line.shape, format, fill=fill)

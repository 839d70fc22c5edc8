"""The result of a line: dense, or in a format."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from zeroskip.einsum_spec.walk import single
from zeroskip.errors import FormatError, KernelError
from zeroskip.formats.auto import is_auto, smallest_format
from zeroskip.formats.fills import count
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import check_room
from zeroskip.formats.tensor import Tensor
from zeroskip.native import assemble, rows
from zeroskip.native.alike import alike, all_finite, lower_alike, with_values
from zeroskip.native.appending import rows_kernel
from zeroskip.native.arguments import Array, Operand, densify
from zeroskip.native.conversions import refused
from zeroskip.native.dtypes import LOGICAL, identity
from zeroskip.native.forms import is_joint
from zeroskip.native.lines import Line
from zeroskip.native.load import MOST_KERNELS
from zeroskip.native.passes import every_visit, seen
from zeroskip.native.prepared import Prepared, Slots, compiled, remember, run
from zeroskip.native.recent import Recent
from zeroskip.native.result_fill import after, result_fill
from zeroskip.native.reused import empty
from zeroskip.native.schedules import filled, only_plain, plain, targets, walk
from zeroskip.native.scheme import Key
from zeroskip.native.settling import scheduled
from zeroskip.native.vectors import vector_bytes


def dense_result(line: Line, backend: str, out: Array | None = None) -> Array:
    """The result of a line as an ndarray."""
    result = target_for(line, out)
    accumulate = out is not None and line.form.reduction is not None
    if backend == "numpy":
        dense = {name: densify(x) for name, x in line.used.items()}
        start = result if accumulate else None
        from zeroskip.native.reference import evaluate_form  # of no use to kernels

        np.copyto(result, evaluate_form(line.form, dense, line.extents, start))
        return result
    target = result if result.dtype == line.stored else result.astype(line.stored)
    if accumulate:
        only_plain(line, "a reduction that starts from out= is a plain walk.")
    if accumulate or (backend == "interpreter" and line.fixed.wanted is None):
        prepared, given = plain(line, target, accumulate=accumulate)
    else:
        prepared, given = scheduled(line, target)
    if backend == "c" and compiled(prepared) is None:
        from zeroskip.native.compilerless import in_numpy  # of no use to kernels

        found = in_numpy(line, result if accumulate else None)
        if found is not None:
            np.copyto(result, found)
            return result
        backend = "interpreter"
    run(prepared, given, backend)
    if target is not result:
        np.not_equal(target, 0, out=result)
    return result


def target_for(line: Line, out: Array | None = None) -> Array:
    """Where a dense result goes: ``out``, checked, or a fresh array."""
    dtype = line.result
    if out is None:
        hint = (
            f"Compute {line.name} in parts: a result is held densely, also on its way to a format."
        )
        check_room(prod(line.shape), dtype.itemsize, f"the dense result {line.name}", hint)
        return empty(line.shape, dtype)
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


def sparse_result(
    line: Line,
    format: Format | None,
    backend: str,
    out: Array | None = None,
    *,
    convert: bool = True,
) -> Tensor:
    """A result in a format: what stored products reach, or after functions what is not zero; other
    reductions and values, what is not the fill.

    format : None for the cheapest in bits of those that ``"auto"`` chooses among, once the entries
        are counted.
    """
    form = line.form
    if out is not None:
        raise KernelError(f"{line.name}: out= and format= cannot both be given")
    format = None if format is None else bound_format(line, format)
    fill = result_fill(line)
    chosen = None if backend == "numpy" else assembly_of(line, fill)
    if chosen is not None:
        if not convert:
            for name, layout in chosen.reordered.items():
                why = f"the rows of {line.name} are found in the order {','.join(chosen.outer)}"
                raise refused(form, name, line.used[name], layout, why)
            chosen = replace(chosen, turned={})
        if like := alike(line, chosen, format):
            values = np.empty(_values(line.used[like]).size, line.stored)
            held = line.used[like]
            line = rearranged(line, chosen)
            once = all_finite(held)
            run(*alike_kernel(line, chosen, like, values, once=once), backend)
            if once and not all_finite(values):
                run(*alike_kernel(line, chosen, like, values, once=False), backend)
            return with_values(held, values, fill)
        return _assembled(line, chosen, format, backend, fill)
    by_points = backend == "numpy" or not _of_products(line)
    if by_points or assemble.drops_zeros(form) or _everywhere(line):
        dense = dense_result(line, backend)
        if format is None:
            format = smallest_format(dense.shape, count(dense, fill), dense.dtype)
        return Tensor.from_dense(dense, format, fill=fill)
    only_plain(line, f"what {line.name} stores is marked by a plain walk.")
    value, hit = target_for(line), np.empty(line.shape, np.uint8)
    prepared = walk(line, hits=True)
    arrays = {**targets(line, prepared, value), ("hit", line.name): hit}
    run(prepared, filled(line, prepared, arrays, {}), backend)
    coords = np.nonzero(hit)
    return _stored(coords, value[coords], line, format, fill)


def _stored(
    coords: tuple[Array, ...], values: Array, line: Line, format: Format | None, fill: Any
) -> Tensor:
    """Entries of a result, each at a place of its own, as a tensor."""
    if format is None:
        format = smallest_format(line.shape, len(values), values.dtype)
    return Tensor.from_coords(coords, values, line.shape, format, fill=fill)


def _everywhere(line: Line) -> bool:
    """Whether some term is something where no sparse operand that it reads stores anything."""
    known = seen(line.signatures)
    return any(
        visits.rest is not None
        or any(
            any(a.tensor in known.sparse for a in one.optional)
            and not any(a.tensor in known.sparse for a in one.follow)
            for one in visits.passes
        )
        for visits in every_visit(line.form, known, line.dtype.name)
    )


def _of_products(line: Line) -> bool:
    """Whether the result is what products add up to, and nothing where there are none."""
    if is_joint(line.form) or not line.shape:
        return False
    return bool(result_fill(line) == after(line.form.post, 0))


def assembly_of(line: Line, fill: Any = None) -> rows.Assembly | None:
    """How the result is assembled in the memory of its entries; None where it is computed
    densely and compressed.

    fill : of the result, where it is known already.
    """
    form = line.form
    start = identity(form.reduction or "+", line.dtype) if is_joint(form) else after(form.post, 0)
    fill = result_fill(line) if fill is None else fill
    if not line.shape or fill != start:
        return None
    stored = sum(x.stored for x in line.used.values() if isinstance(x, Tensor))
    key = (line.key, line.shape, stored)
    found = _planned.get(key)
    if found is None:
        known, name = line.signatures, line.dtype.name
        plan = rows.plan(line.form, known, line.shape, name, stored, line.order)
        found = _planned.keep(key, (plan,))
    (chosen,) = found
    if chosen is None or rows.mostly_empty(chosen, line.used, line.extents.ranks):
        return None
    return chosen


_planned: Recent[Key, tuple[rows.Assembly | None]] = Recent(MOST_KERNELS)


def rearranged(line: Line, chosen: rows.Assembly) -> Line:
    """The line with its operands stored in the order of the loops."""
    used, signatures = assemble.reordered(chosen, line.used, line.signatures, line.kept)
    converted = tuple(dict.fromkeys((*line.converted, *chosen.reordered, *chosen.turned)))
    return replace(line, used=used, signatures=signatures, converted=converted)


def bound_format(line: Line, format: Format | str) -> Format:
    """The format of a result, its axes numbered.

    Names are numbered as they appear; refused are those of the result's own ranks where they
    appear in another order, as a format by these ranks was meant.
    """
    wanted, target = Format(format), line.form.target
    names = tuple(single(subscript) or "" for subscript in target.subscripts)
    if wanted.axes != names and sorted(wanted.axes) == sorted(names):
        ranks, spec = ",".join(names), str(format).partition("]")[2].strip() or str(format)
        raise FormatError(
            f"format {str(format)!r} names {','.join(wanted.axes)} in that order, "
            f"and the axes of {line.name} are {ranks}: names stand for axes as they appear\n"
            f"Write format={f'[{ranks}] {spec}'!r}."
        )
    return wanted.bind(len(line.shape))


def alike_in(line: Line, format: Format | str) -> tuple[rows.Assembly, str, Any] | None:
    """How a result in that format is assembled that stores what an operand stores, that operand,
    and the fill; None where it stores anything else."""
    if is_auto(format):
        return None
    fill = result_fill(line)
    chosen = assembly_of(line, fill)
    like = "" if chosen is None else alike(line, chosen, bound_format(line, format))
    return (chosen, like, fill) if chosen is not None and like else None


def alike_kernel(
    line: Line, chosen: rows.Assembly, like: str, values: Array, *, once: bool
) -> tuple[Prepared, Slots]:
    """The kernel that writes the values of the result of a `rearranged` line, which lie as those of
    the operand ``like`` do, its slots filled.

    once : whether ``like`` multiplies sums, and not each of their products; all that it stores is
        then finite.  Where a value of the result is not, it may be the sum alone that has grown too
        large, and the kernel that multiplies each product has the answer.
    """
    only_plain(
        line, f"the entries of {line.name} are found beside those of {like}, by a plain walk."
    )
    key = ("alike", like, once, chosen.outer, vector_bytes(), *line.key)
    what = line.form, line.signatures, line.dtype.name
    prepared = remember(key, line.dtype, partial(lower_alike, *what, chosen, like, once))
    return prepared, filled(line, prepared, {("vals", line.name): values}, {})


def _assembled(
    line: Line, chosen: rows.Assembly, format: Format | None, backend: str, fill: Any
) -> Tensor:
    """A sparse result, row by row, without a dense copy."""
    line = rearranged(line, chosen)
    room = 0
    while True:
        prepared, given = rows_kernel(line, chosen, room)
        run(prepared, given, backend)
        held = dict(zip(prepared.layout.buffers, given.buffers, strict=True))
        ends, places, values = held["ends",], held["inners",], held["vals", line.name]
        entries = int(ends[-1])
        if entries <= len(places):
            break
        room = entries
    places, values = (assemble.trimmed(array, entries) for array in (places, values))
    if line.form.reduction in LOGICAL:
        values = values != 0
    if format is None:
        format = smallest_format(line.shape, entries, values.dtype)
    if assemble.in_rows(format, chosen):
        return assemble.by_rows(line.shape, format, ends, places, values, fill)
    coords = assemble.coordinates(chosen, ends, places, line.extents.ranks)
    return _stored(coords, values, line, format, fill)

"""Parts of a tensor that are found level by level: fibers of the outermost rank, neighbours, which
share its arrays, or any; coordinates of a rank below such; what an outermost rank of one holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from zeroskip.errors import FormatError
from zeroskip.formats.level_data import (
    Array,
    Indices,
    LevelData,
    check_room,
    freeze,
    index_dtype,
    mask_words,
)
from zeroskip.formats.levels import Bitmask, Compressed, Singleton, Uncompressed
from zeroskip.formats.reshaping import renamed
from zeroskip.formats.tensor import Tensor

Which = TypeVar("Which", slice, Indices)
Below = tuple[dict[str, Array], int, Which]
"""Of some fibers of a level: their arrays, how many entries they have, and where these are."""


def run_axis(tensor: Tensor) -> int | None:
    """The axis along which `run_of` and `taken` cut: that of a U rank outermost, above ranks that
    hold what is stored and no more, or above others in U.  None where there is no such."""
    if tensor.format.split or not tensor.levels or len(tensor.levels[0].axes) > 1:
        return None
    outer, *inner = tensor.levels
    return outer.axes[0] if outer.spec.full and _holds_what_is_stored(inner) else None


def _holds_what_is_stored(levels: Sequence[LevelData]) -> bool:
    """Whether levels hold what is stored and no more, or everything."""
    specs = [level.spec for level in levels]
    return all(spec.full for spec in specs) or not any(spec.fills for spec in specs)


def cut_depth(tensor: Tensor, axis: int) -> int | None:
    """The level at which `cut` takes coordinates of an axis: one of its own in U or C, below U
    alone, so that no fiber above is left without entries that it is there for.  None where there
    is no such."""
    for depth, level in enumerate(tensor.levels):
        if level.axes == (axis,) and not tensor.format.split:
            kind = isinstance(level.spec, Compressed | Uncompressed)
            inner = tensor.levels[depth if level.spec.full else depth + 1 :]
            return depth if kind and _holds_what_is_stored(inner) else None
        if not level.spec.full:
            return None
    return None


def run_of(tensor: Tensor, start: int, stop: int) -> Tensor:
    """The coordinates [start, stop) of `run_axis`: its fibers lie one behind the other on every
    level, so that nothing that is stored is looked at, or copied but for pointers."""
    return _made(tensor, stop - start, slice(start, stop), _below)


def taken(tensor: Tensor, places: Indices) -> Tensor:
    """The fibers at some coordinates of `run_axis`, in any order, as often as these are named."""
    return _made(tensor, len(places), places, _picked)


def cut(tensor: Tensor, depth: int, places: range) -> Tensor:
    """The coordinates of a level at ``places``, which ascend, renumbered: entries of others go,
    with what is below them; see `cut_depth`."""
    if len(places) < 2:  # whatever bounds and steps are beyond the axis
        places = range(places.start, places.start + 1) if places else range(0)
    outer, level = list(tensor.levels[:depth]), tensor.levels[depth]
    count, held = len(places), {}
    if level.spec.full:
        first = np.arange(level.fibers)[:, None] * level.extent
        at = (first + np.arange(places.start, places.stop, places.step)).reshape(-1)
    else:
        crd = level.arrays["crd"]
        at = np.flatnonzero((crd >= places.start) & (crd < places.stop))
        nth = crd[at] - crd.dtype.type(places.start)
        if places.step != 1:
            whole = nth // crd.dtype.type(places.step)
            named = np.flatnonzero(whole * crd.dtype.type(places.step) == nth)
            at, nth = at[named], whole[named]
        held = {
            "pos": np.searchsorted(at, level.arrays["pos"]),
            "crd": nth.astype(index_dtype(level.spec, "crd", count)),
        }
    kept = {name: freeze(array) for name, array in held.items()}
    cut_level = replace(level, extent=count, entries=len(at), arrays=kept)
    return _below_all(tensor, level.axes[0], [*outer, cut_level], at, _picked)


def without_outermost(tensor: Tensor) -> Tensor | None:
    """What the outermost rank holds, which is in U: a tensor of one axis less.  None where it has
    not one coordinate, and where there are no other ranks, or these are no format."""
    outer, *inner = tensor.levels
    (gone,) = outer.axes
    if outer.extent != 1 or not inner:
        return None
    numbers = {axis: axis - (axis > gone) for axis in range(tensor.ndim) if axis != gone}
    try:
        format = renamed(tensor.format, numbers)
    except FormatError:
        return None
    levels = [replace(of, axes=tuple(numbers[axis] for axis in of.axes)) for of in inner]
    shape = tuple(extent for axis, extent in enumerate(tensor.shape) if axis != gone)
    return Tensor(shape, format, tuple(levels), tensor.values, tensor.fill)


def _made(
    tensor: Tensor, count: int, which: Which, below: Callable[[LevelData, Which], Below[Which]]
) -> Tensor:
    """``count`` fibers, level by level, of which ``below`` finds the part and the entries."""
    outer = replace(tensor.levels[0], extent=count, entries=count)
    return _below_all(tensor, outer.axes[0], [outer], which, below)


def _below_all(
    tensor: Tensor,
    axis: int,
    levels: list[LevelData],
    which: Which,
    below: Callable[[LevelData, Which], Below[Which]],
) -> Tensor:
    """The tensor with these levels outermost, the last of which has the axis to itself, and of
    those below the fibers ``which``."""
    count = levels[-1].extent
    for level in tensor.levels[len(levels) :]:
        arrays, entries, which = below(level, which)
        kept = {name: freeze(np.ascontiguousarray(array)) for name, array in arrays.items()}
        levels.append(replace(level, fibers=levels[-1].entries, entries=entries, arrays=kept))
    shape = (*tensor.shape[:axis], count, *tensor.shape[axis + 1 :])
    return Tensor(shape, tensor.format, tuple(levels), freeze(tensor.values[which]), tensor.fill)


def _below(level: LevelData, run: slice) -> Below[slice]:
    """Of a run of fibers of a level: their arrays, and how many entries they have, and where."""
    arrays = level.arrays
    start, stop = run.start, run.stop
    held: dict[str, Array] = {}
    match level.spec:
        case Uncompressed():
            start, stop = start * level.extent, stop * level.extent
        case Singleton():
            held = {"crd": arrays["crd"][run]}
        case Compressed():
            pos = arrays["pos"][start : stop + 1]
            start, stop = int(pos[0]), int(pos[-1])
            held = {"pos": pos - start, "crd": arrays["crd"][start:stop]}
        case Bitmask():
            width = mask_words(level.extent)
            words, rank = (arrays[n][start * width : stop * width] for n in ("words", "rank"))
            start = int(rank[0]) if len(rank) else 0
            stop = start + int(np.bitwise_count(words).sum(dtype=np.int64))
            held = {"words": words, "rank": rank - start}
        case _:
            raise AssertionError(level.spec)
    return held, stop - start, slice(start, stop)


def _picked(level: LevelData, which: Indices) -> Below[Indices]:
    """The same of any fibers."""
    arrays = level.arrays
    held: dict[str, Array] = {}
    match level.spec:
        case Uncompressed():
            at = (which[:, None] * level.extent + np.arange(level.extent)).reshape(-1)
        case Singleton():
            at, held = which, {"crd": arrays["crd"][which]}
        case Compressed():
            pos = arrays["pos"]
            at, starts = _each(pos[which], pos[which + 1])
            held = {"pos": starts, "crd": arrays["crd"][at]}
        case Bitmask():
            width = mask_words(level.extent)
            word = (which[:, None] * width + np.arange(width)).reshape(-1)
            words, first = arrays["words"][word], arrays["rank"][word]
            at, starts = _each(first, first + np.bitwise_count(words))
            held = {"words": words, "rank": starts[:-1]}
        case _:
            raise AssertionError(level.spec)
    return held, len(at), at


def _each(first: Indices, end: Indices) -> tuple[Indices, Indices]:
    """Every position of some runs ``[first, end)``, one run after the other, and how many there are
    before each run, and in all."""
    before = np.zeros(len(first) + 1, np.int64)
    np.cumsum(end - first, out=before[1:])
    check_room(int(before[-1]), 16, "the positions of what fibers store", "Take fewer at once.")
    moved = np.repeat(first - before[:-1], end - first)
    return moved + np.arange(before[-1]), before

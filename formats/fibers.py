"""Some fibers of the outermost rank of a tensor: neighbours, which share its arrays, or any."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from zeroskip.formats.level_data import Array, Indices, LevelData, check_room, freeze, mask_words
from zeroskip.formats.levels import Bitmask, Compressed, Singleton, Uncompressed
from zeroskip.formats.tensor import Tensor


def run_axis(tensor: Tensor) -> int | None:
    """The axis along which `run_of` and `taken` cut: that of a U rank outermost, above ranks that
    hold what is stored and no more, or above others in U.  None where there is no such."""
    if tensor.format.split or not tensor.levels or len(tensor.levels[0].axes) > 1:
        return None
    outer, *inner = (level.spec for level in tensor.levels)
    same = all(spec.full for spec in inner) or not any(spec.fills for spec in inner)
    return tensor.levels[0].axes[0] if outer.full and same else None


def run_of(tensor: Tensor, start: int, stop: int) -> Tensor:
    """The coordinates [start, stop) of `run_axis`: its fibers lie one behind the other on every
    level, so that nothing that is stored is looked at, or copied but for pointers."""
    outer = tensor.levels[0]
    levels = [replace(outer, extent=stop - start, entries=stop - start)]
    for level in tensor.levels[1:]:
        run, (start, stop) = _below(level, start, stop)
        levels.append(replace(run, fibers=levels[-1].entries))
    shape = list(tensor.shape)
    shape[outer.axes[0]] = levels[0].extent
    values = freeze(tensor.values[start:stop])
    return Tensor(tuple(shape), tensor.format, tuple(levels), values, tensor.fill)


def _below(level: LevelData, start: int, stop: int) -> tuple[LevelData, tuple[int, int]]:
    """Of the fibers [start, stop) of a level: their arrays, and where their entries lie."""
    arrays = level.arrays
    match level.spec:
        case Uncompressed():
            start, stop = start * level.extent, stop * level.extent
            held = {}
        case Singleton():
            held = {"crd": arrays["crd"][start:stop]}
        case Compressed():
            pos = arrays["pos"][start : stop + 1]
            start, stop = int(pos[0]), int(pos[-1])
            held = {"pos": pos - start, "crd": arrays["crd"][start:stop]}
        case Bitmask():
            width = mask_words(level.extent)
            words, rank = (arrays[name][start * width : stop * width] for name in arrays)
            before = arrays["rank"][start * width : stop * width + 1]
            start = int(before[0]) if len(before) else 0
            stop = int(before[-1]) if len(before) > len(rank) else level.entries
            stop = stop if len(rank) else start
            held = {"words": words, "rank": rank - start}
        case _:
            raise AssertionError(level.spec)
    kept = {name: freeze(array) for name, array in held.items()}
    return replace(level, entries=stop - start, arrays=kept), (start, stop)


def taken(tensor: Tensor, places: Indices) -> Tensor:
    """The fibers at some coordinates of `run_axis`, in any order, as often as these are named."""
    outer, which = tensor.levels[0], places
    levels = [replace(outer, extent=len(which), entries=len(which))]
    for level in tensor.levels[1:]:
        made, which = _picked(level, which)
        levels.append(replace(made, fibers=levels[-1].entries))
    shape = list(tensor.shape)
    shape[outer.axes[0]] = levels[0].extent
    values = freeze(tensor.values[which])
    return Tensor(tuple(shape), tensor.format, tuple(levels), values, tensor.fill)


def _picked(level: LevelData, which: Indices) -> tuple[LevelData, Indices]:
    """Of some fibers of a level: their arrays, and where each of their entries is."""
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
    kept = {name: freeze(np.ascontiguousarray(array)) for name, array in held.items()}
    return replace(level, entries=len(at), arrays=kept), at


def _each(first: Indices, end: Indices) -> tuple[Indices, Indices]:
    """Every position of some runs ``[first, end)``, one run after the other, and how many there are
    before each run, and in all."""
    before = np.zeros(len(first) + 1, np.int64)
    np.cumsum(end - first, out=before[1:])
    check_room(int(before[-1]), 16, "the positions of what fibers store", "Take fewer at once.")
    moved = np.repeat(first - before[:-1], end - first)
    return moved + np.arange(before[-1]), before

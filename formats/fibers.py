"""Some fibers of the outermost rank of a tensor: neighbours, which share its arrays, or any."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from zeroskip.formats.level_data import Array, Indices, LevelData, check_room, freeze, mask_words
from zeroskip.formats.levels import Bitmask, Compressed, Singleton, Uncompressed
from zeroskip.formats.tensor import Tensor

Which = TypeVar("Which", slice, Indices)
Below = tuple[dict[str, Array], int, Which]
"""Of some fibers of a level: their arrays, how many entries they have, and where these are."""


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
    return _made(tensor, stop - start, slice(start, stop), _below)


def taken(tensor: Tensor, places: Indices) -> Tensor:
    """The fibers at some coordinates of `run_axis`, in any order, as often as these are named."""
    return _made(tensor, len(places), places, _picked)


def _made(
    tensor: Tensor, count: int, which: Which, below: Callable[[LevelData, Which], Below[Which]]
) -> Tensor:
    """``count`` fibers, level by level, of which ``below`` finds the part and the entries."""
    outer = tensor.levels[0]
    levels = [replace(outer, extent=count, entries=count)]
    for level in tensor.levels[1:]:
        arrays, entries, which = below(level, which)
        kept = {name: freeze(np.ascontiguousarray(array)) for name, array in arrays.items()}
        levels.append(replace(level, fibers=levels[-1].entries, entries=entries, arrays=kept))
    shape = list(tensor.shape)
    shape[outer.axes[0]] = count
    values = freeze(tensor.values[which])
    return Tensor(tuple(shape), tensor.format, tuple(levels), values, tensor.fill)


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

"""A run of neighbouring fibers of a tensor, which shares its arrays."""

from __future__ import annotations

from dataclasses import replace

from zeroskip.formats.level_data import LevelData, freeze, mask_words
from zeroskip.formats.levels import Bitmask, Compressed, Singleton, Uncompressed
from zeroskip.formats.tensor import Tensor


def run_axis(tensor: Tensor) -> int | None:
    """The axis along which `run_of` cuts: that of a U rank outermost, above ranks that hold what
    is stored and no more, or above others in U.  None where there is no such."""
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

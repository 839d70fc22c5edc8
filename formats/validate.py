"""Level arrays that contradict themselves, found and named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.build import popcounts_before
from zeroskip.formats.expand import level_coordinates
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import (
    MAX_POSITIONS,
    Array,
    LevelData,
    freeze,
    index_dtype,
    mask_words,
    storage_extents,
)
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    LevelFormat,
    RunLength,
    Singleton,
    Structured,
)


def read_levels(
    shape: Sequence[int], bound: Format, parts: Sequence[Mapping[str, Array]]
) -> tuple[LevelData, ...]:
    """Levels from arrays of any integer dtype, copied; every contradiction is refused.

    parts : for each storage rank, the arrays that its level names in ``spec.arrays``.

    Raises
    ------
    TensorError
        With rank, position, what was found and what was expected.
    """
    if not isinstance(parts, Sequence):
        raise TensorError(f"expected the arrays of each rank in a list, found {parts!r}")
    if len(parts) != len(bound.ranks):
        raise TensorError(
            f"format {str(bound)!r} has {len(bound.ranks)} ranks; found arrays for {len(parts)}"
        )
    fibers = 1
    levels: list[LevelData] = []
    extents = storage_extents(shape, bound)
    for i, (rank, axes) in enumerate(zip(bound.ranks, bound.order, strict=True)):
        where = f"rank {i} ({rank}, extent {extents[i]})"
        arrays = _named(rank.level, parts[i], where)
        entries = _check_level(rank.level, extents[i], fibers, arrays, where)
        narrow = {
            name: freeze(np.array(array, dtype=index_dtype(rank.level, name, extents[i])))
            for name, array in arrays.items()
        }
        levels.append(LevelData(rank.level, extents[i], axes, fibers, entries, narrow))
        fibers = entries
    _check_order(levels, bound)
    return tuple(levels)


def check_levels(shape: Sequence[int], bound: Format, levels: Sequence[LevelData]) -> None:
    """Re-check the levels of an existing tensor, their index types included."""
    fibers = 1
    extents = storage_extents(shape, bound)
    if len(levels) != len(bound.ranks):
        raise TensorError(f"{len(levels)} levels for the {len(bound.ranks)} ranks of '{bound}'")
    for i, (rank, level) in enumerate(zip(bound.ranks, levels, strict=True)):
        where = f"rank {i} ({rank}, extent {extents[i]})"
        facts = (level.spec, level.axes, level.extent, level.fibers)
        expected_facts = (rank.level, bound.order[i], extents[i], fibers)
        if facts != expected_facts:
            raise TensorError(
                f"{where}: the level says {facts}, expected {expected_facts} "
                "(spec, axes, extent, fibers)"
            )
        arrays = _named(rank.level, level.arrays, where)
        for name, array in arrays.items():
            expected = index_dtype(rank.level, name, extents[i])
            if array.dtype != expected or not array.flags.c_contiguous:
                raise TensorError(
                    f"{where}: {name} is {array.dtype}, strides {array.strides}; "
                    f"expected contiguous {expected}"
                )
        entries = _check_level(rank.level, extents[i], fibers, arrays, where)
        if entries != level.entries:
            raise TensorError(f"{where}: holds {entries} entries, the level says {level.entries}")
        fibers = entries
    _check_order(levels, bound)


def check_values(values: Array, entries: int) -> None:
    """Refuse a value array that is not one value an entry of the last rank."""
    if values.ndim != 1 or len(values) != entries:
        raise TensorError(
            f"the value array has shape {values.shape}; expected ({entries},), "
            "one value for each entry of the last rank"
        )


# ---- one level ------------------------------------------------------------------------------


def _named(spec: LevelFormat, part: Mapping[str, Array], where: str) -> dict[str, Array]:
    """The arrays that a level needs, as 1-D integer arrays; no more and no fewer."""
    if set(part) != set(spec.arrays):
        raise TensorError(
            f"{where}: expected the arrays {_list(spec.arrays)}, found {_list(sorted(part))}"
        )
    arrays = {name: np.asarray(part[name]) for name in spec.arrays}
    for name, array in arrays.items():
        if array.ndim != 1:
            raise TensorError(f"{where}: {name} has shape {array.shape}; expected one axis")
        if array.dtype.kind not in "iu" and (len(array) or array.dtype.kind != "f"):
            nan = np.flatnonzero(array != array)
            found = f"NaN at {name}[{nan[0]}]" if len(nan) else f"dtype {array.dtype}"
            raise TensorError(f"{where}: {name} holds integers, found {found}")
        if name == "words" and len(array) and array.dtype != np.uint64:
            raise TensorError(f"{where}: words are uint64, found {array.dtype}")
    return arrays


def _check_level(
    spec: LevelFormat, extent: int, fibers: int, arrays: Mapping[str, Array], where: str
) -> int:
    """Entries of one level; everything but the order of coordinates is checked."""
    match spec:
        case Compressed():
            check_pos(arrays["pos"], fibers, len(arrays["crd"]), "crd", where)
            _check_range(arrays["crd"], "crd", extent, "a coordinate", where)
            return len(arrays["crd"])
        case Singleton():
            _check_length(arrays["crd"], "crd", fibers, "one coordinate an entry above", where)
            _check_range(arrays["crd"], "crd", extent, "a coordinate", where)
            return fibers
        case RunLength():
            check_pos(arrays["pos"], fibers, len(arrays["run"]), "run", where)
            _check_range(arrays["run"], "run", spec.max_run + 1, "a run", where)
            _check_runs(spec, extent, fibers, arrays, where)
            return len(arrays["run"])
        case Structured():
            return _check_groups(spec, arrays["offset"], fibers, extent, where)
        case Bitmask():
            return _check_masks(arrays["words"], arrays["rank"], fibers, extent, where)
        case _:
            if fibers * extent > MAX_POSITIONS:
                raise TensorError(f"{where}: {fibers * extent} positions are too many")
            return fibers * extent


def _check_length(array: Array, name: str, expected: int, why: str, where: str) -> None:
    if len(array) != expected:
        raise TensorError(f"{where}: {name} has {len(array)} items; expected {expected} ({why})")


def check_pos(
    pos: Array, fibers: int, entries: int, below: str, where: str, name: str = "pos"
) -> None:
    """Refuse fiber pointers that fall, or that do not run from 0 to the entries."""
    _check_length(pos, name, fibers + 1, "one more than fibers", where)
    if pos[0] != 0:
        raise TensorError(f"{where}: {name}[0] = {pos[0]}; expected 0")
    falls = np.flatnonzero(pos[1:] < pos[:-1])
    if len(falls):
        f = int(falls[0])
        raise TensorError(
            f"{where}: {name}[{f + 1}] = {pos[f + 1]} is less than {name}[{f}] = {pos[f]}; "
            "fiber pointers never fall"
        )
    if pos[-1] != entries:
        raise TensorError(
            f"{where}: {name}[{fibers}] = {pos[-1]}; expected {entries}, the length of {below}"
        )


def _check_range(array: Array, name: str, stop: int, what: str, where: str) -> None:
    bad = np.flatnonzero((array < 0) | (array >= stop))
    if len(bad):
        p = int(bad[0])
        expected = f"{what} in 0 .. {stop - 1}" if stop else "none, the rank has no coordinates"
        raise TensorError(f"{where}: {name}[{p}] = {array[p]}; expected {expected}")


def _check_runs(
    spec: RunLength, extent: int, fibers: int, arrays: Mapping[str, Array], where: str
) -> None:
    run = arrays["run"].astype(np.uint32)
    level = LevelData(
        spec, extent, (), fibers, len(run), {"pos": arrays["pos"].astype(np.int64), "run": run}
    )
    parents, crd = level_coordinates(level)
    past = np.flatnonzero(crd >= extent)
    if len(past) and parents is not None:
        p = int(past[0])
        raise TensorError(
            f"{where}: run[{p}] = {run[p]} in fiber {parents[p]} reaches coordinate {crd[p]}; "
            f"expected at most {extent - 1}"
        )


def _check_groups(spec: Structured, offset: Array, fibers: int, extent: int, where: str) -> int:
    each = spec.entries(extent)
    _check_length(offset, "offset", fibers * each, f"{fibers} fibers of {each} entries", where)
    _check_range(offset, "offset", spec.group, "an offset", where)
    _, nth = np.divmod(np.arange(len(offset)), max(each, 1))
    group, nth = np.divmod(nth, spec.most)
    past = np.flatnonzero(group * spec.group + offset >= extent)
    if len(past):
        p = int(past[0])
        raise TensorError(
            f"{where}: offset[{p}] = {offset[p]} in group {group[p]} is past the last coordinate; "
            f"expected at most {extent - 1 - group[p] * spec.group}"
        )
    bad = np.flatnonzero((nth[1:] > 0) & (offset[1:] <= offset[:-1]))
    if len(bad):
        p = int(bad[0]) + 1
        raise TensorError(
            f"{where}: offset[{p}] = {offset[p]} follows {offset[p - 1]} in group {group[p]}; "
            "expected increasing offsets"
        )
    return len(offset)


def _check_masks(words: Array, rank: Array, fibers: int, extent: int, where: str) -> int:
    width = mask_words(extent)
    for name, array in (("words", words), ("rank", rank)):
        _check_length(array, name, fibers * width, f"{fibers} fibers of {width} words", where)
    if extent % 64:
        last = words[width - 1 :: width] >> np.uint64(extent % 64)
        bad = np.flatnonzero(last)
        if len(bad):
            f = int(bad[0])
            raise TensorError(
                f"{where}: words[{(f + 1) * width - 1}], the last of fiber {f}, has bits set at or "
                f"past coordinate {extent}; expected zeros there"
            )
    expected = popcounts_before(words)
    wrong = np.flatnonzero(rank != expected)
    if len(wrong):
        w = int(wrong[0])
        raise TensorError(
            f"{where}: rank[{w}] = {rank[w]}; expected {expected[w]}, the bits set before word {w}"
        )
    return int(np.bitwise_count(words).sum(dtype=np.int64))


def _check_order(levels: Sequence[LevelData], bound: Format) -> None:
    """Coordinates of C increase in each fiber, with those of the S below as tie breakers."""
    for i, level in enumerate(levels):
        if not isinstance(level.spec, Compressed):
            continue
        chain = [level.arrays["crd"]]
        end = i
        while not bound.unique(end):
            end += 1
            chain.append(levels[end].arrays["crd"])
        below = np.zeros(max(level.entries - 1, 0), dtype=bool)
        equal = ~below
        for crd in chain:
            below |= equal & (crd[:-1] < crd[1:])
            equal &= crd[:-1] == crd[1:]
        starts = level.arrays["pos"][1:-1]
        starts = starts[(starts > 0) & (starts < level.entries)]
        below[starts - 1] = True
        bad = np.flatnonzero(~below)
        if len(bad):
            p = int(bad[0]) + 1
            fiber = int(np.searchsorted(level.arrays["pos"], p, side="right")) - 1
            here, before = (tuple(int(crd[q]) for crd in chain) for q in (p, p - 1))
            what = "repeats" if here == before else "is after"
            names = f"rank {i}" if end == i else f"ranks {i} .. {end}"
            raise TensorError(
                f"{names} ({bound}): in fiber {fiber}, coordinate {_tuple(before)} at position "
                f"{p - 1} {what} {_tuple(here)} at position {p}; expected increasing coordinates"
            )


def _tuple(crd: tuple[int, ...]) -> str:
    return str(crd[0]) if len(crd) == 1 else str(crd)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"

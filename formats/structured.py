"""The level H(G:H): coordinates → offsets in groups, pads included."""

from __future__ import annotations

import numpy as np

from zeroskip.errors import FormatError
from zeroskip.formats.level_data import Array, Indices, check_room, index_dtype
from zeroskip.formats.levels import Structured


def structured(
    spec: Structured, coords: Indices, parents: Indices, fibers: int, extent: int, where: str
) -> tuple[int, Array, Indices]:
    """(entries, offsets, position of each coordinate) of one level.

    coords, parents : sorted by fiber, then coordinate; each once.

    Raises `FormatError` where a group holds too many, naming fiber and group.
    """
    groups = -(-extent // spec.group)
    check_room(fibers * groups * spec.group, 4, f"the groups of {where}")
    group = parents * groups + coords // spec.group
    offsets = coords % spec.group
    held = np.bincount(group, minlength=fibers * groups)
    _check_full(spec, held, groups, extent, where)
    chosen = np.zeros((fibers * groups, spec.group), dtype=np.bool_)
    chosen[group, offsets] = True
    last = np.full(fibers * groups, -1, dtype=np.int64)
    last[group] = offsets  # of equal places the later assignment stays: offsets increase
    _pad(spec, chosen, last, held, groups, extent)
    rank = np.cumsum(chosen.reshape(-1), dtype=np.int64)
    offset = np.nonzero(chosen)[1].astype(index_dtype(spec, "offset", extent))
    return len(offset), offset, rank[group * spec.group + offsets] - 1


def _check_full(spec: Structured, held: Array, groups: int, extent: int, where: str) -> None:
    bad = np.flatnonzero(held > spec.most)
    if len(bad):
        fiber, group = divmod(int(bad[0]), groups)
        first = group * spec.group
        raise FormatError(
            f"{where}: fiber {fiber} holds {held[bad[0]]} entries in group {group} (coordinates "
            f"{first} .. {min(first + spec.group, extent) - 1}); expected at most {spec.most}\n"
            "Prune the group, or store the rank as C or B."
        )


def _pad(
    spec: Structured, chosen: Array, last: Array, held: Array, groups: int, extent: int
) -> None:
    """Choose free offsets until every group has its entries."""
    size = np.full(groups, spec.group, dtype=np.int64)
    if extent % spec.group:
        size[-1] = extent % spec.group
    size = np.tile(size, len(held) // max(groups, 1))
    wanted = np.minimum(spec.most, size) - held
    rows = np.flatnonzero(wanted)
    places = np.arange(spec.group)
    after = ((places - last[rows, None] - 1) % spec.group).astype(np.int32)
    after[chosen[rows] | (places >= size[rows, None])] = spec.group
    order = np.argsort(after, axis=1, kind="stable")
    row, n = np.nonzero(places < wanted[rows, None])
    chosen[rows[row], order[row, n]] = True

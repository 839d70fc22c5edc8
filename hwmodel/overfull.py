"""What does not fit a level: which tiles, by how many bits, and whether that is refused.

overflow={"GLB": "refuse"}    a charge whose tiles do not fit GLB is an error that names them
overflow={"GLB": "spill"}     what fits stays, the rest streams past GLB at each use (`spilling`)
overflow={"GLB": "split"}     tiles are cut in halves until they fit (`cutting`)
overflow={"GLB": "report"}    it is reported, and the figures are a lower bound
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.levels import Level
from zeroskip.hwmodel.nest import Loop
from zeroskip.table import by_size

WAYS = ("report", "refuse", "spill", "split")
_MOST_RUNS = 3


@dataclass(frozen=True, slots=True)
class Held:
    """The largest tile of one tensor in one level.

    where : its places, ``m=32:48, c=0:16``, of ranks that are cut; empty: all of the tensor.
    times : how many of it are there at a time.
    bits : of all of these, values and metadata.
    words : where it passes the level and is not kept, those under way; else 0.
    """

    tensor: str
    where: str
    times: int
    bits: Any
    words: int = 0

    def __str__(self) -> str:
        what = f"{self.tensor} tile {self.where}" if self.where else f"all of {self.tensor}"
        if self.words:
            what = f"{self.words} word{'s' * (self.words > 1)} of {self.tensor} under way"
        twice = f"{self.times} of " if self.times > 1 else ""
        return f"{twice}{what} ({self.bits:,} bits)"


@dataclass(frozen=True, slots=True, eq=False)
class Spill:
    """What of the tiles of an operand a level keeps, and what passes it (`spilling`).

    level, parent : whose tiles; the next level outside that keeps the tensor.
    term, operand : numbers of the term, and of the operand in it.
    room_bits : of one tile.
    keys : loops that name a tile; order : axes in which its places lie, outermost first.
    costs : mask -> bits of each place that it has.
    touched : whether points touch every place in reach.
    held, fits : of every place in reach, whether the level holds an entry, and whether it stays.
    """

    level: str
    parent: str
    term: int
    operand: int
    tensor: str
    room_bits: int
    keys: tuple[Loop, ...]
    order: tuple[int, ...]
    costs: tuple[tuple[str, int], ...]
    touched: bool
    held: NDArray[np.bool_]
    fits: NDArray[np.bool_]

    def __str__(self) -> str:
        passing, entries = int((self.held & ~self.fits).sum()), int(self.held.sum())
        return (
            f"{self.level} keeps {self.room_bits:,} bits of each tile of {self.tensor}; "
            f"{passing:,} of {entries:,} entries pass it, and are read from "
            f"{self.parent} at each use"
        )


def place_of(held: NDArray[Any], keys: Sequence[Loop], extents: Mapping[str, int]) -> str:
    """Where the largest tile is, the first of several: ``m=32:48, c=0:16``.

    held : what each tile holds, by the iterations of ``keys``.  Of a split by numbers of places
    (`zeroskip.hwmodel.nest.Numbering`) the numbers are named: ``m*k number 64:128``.
    """
    if not keys or not held.size:
        return ""
    at = [int(i) for i in np.unravel_index(int(held.argmax()), held.shape)]
    return place_at(at, keys, extents)


def place_at(at: Sequence[int], keys: Sequence[Loop], extents: Mapping[str, int]) -> str:
    """The places of the tile at these iterations of its loops."""
    found = []
    for rank in dict.fromkeys(loop.numbered or loop.told_by[0] for loop in keys):
        named = [loop.numbered or loop.told_by[0] for loop in keys]
        mine = [(loop, i) for loop, i, its in zip(keys, at, named, strict=True) if its == rank]
        numbering = mine[0][0].numbering
        every = np.arange(extents[rank]) if numbering is None else numbering.distinct
        inside = np.ones(len(every), np.bool_)
        for loop, i in mine:
            inside &= loop.index(every) == i
        name = f"{rank}=" if numbering is None else f"{rank} number "
        found.append(name + _runs(every[inside].tolist()))
    return ", ".join(found)


def _runs(places: list[int]) -> str:
    """Places as runs ``0:4+8:12``, the first few of them."""
    cuts = [i for i, (a, b) in enumerate(pairwise(places), start=1) if b != a + 1]
    bounds = list(pairwise([0, *cuts, len(places)]))
    runs = [f"{places[a]}:{places[b - 1] + 1}" for a, b in bounds[:_MOST_RUNS]]
    return "+".join([*runs, "..."] if len(bounds) > _MOST_RUNS else runs)


def check_overflow(overflow: Mapping[str, str], levels: Sequence[Level], arch: str) -> None:
    """Refuse a level that is not there, and a cache: what does not fit it, it fetches again."""
    filled = {level.name: level for level in levels[1:]}
    for name, way in overflow.items():
        if name not in filled:
            raise ArchError(
                f"overflow {name}: expected a level of {arch} that is filled "
                f"({', '.join(filled)}), found {name}"
            )
        policy = filled[name].cache
        if policy is not None and way != "report":
            raise ArchError(
                f"overflow {name}: {way}: {name} of {arch} is a cache, whose policy ({policy}) "
                f"says what stays; what it fetches again is counted\nLeave overflow {name} out."
            )


def refusal(
    level: str,
    needed_bits: Any,
    capacity_bits: int,
    over_bits: Any,
    tiles: Iterable[Held],
    *,
    at_once: bool,
) -> ArchError:
    """The error of tiles that do not fit.  at_once : whether they are there at one time."""
    largest = list(tiles)
    named = ", ".join(map(str, largest))
    sums = (
        "These are the largest tiles of each tensor, which need not be there at one time: the need "
        "is an upper bound.\n"
    )
    if not named:
        sums = "These are the largest tiles on average, added up: an upper bound.\n"
    told = not named or (len(largest) > 1 and not at_once)
    what = f"{named}: " if named else ""
    average = "" if named else " on average"
    return ArchError(
        f"overflow at {level}: {what}{by_size(needed_bits)} bits{average}, and {level} holds "
        f"{capacity_bits:,}: {by_size(over_bits)} bits too few\n"
        f"{sums if told else ''}"
        f"Cut ranks into smaller blocks (split), keep fewer tensors in {level} (keep), or let "
        f'overflow {level} be "report": figures are a lower bound then.'
    )

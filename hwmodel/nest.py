"""The mapped loop nest: loops in time and across PEs, and where each tensor is kept.

    @GLB @PE(O) c @PE(I,F) m r s p q       p, q across the array

A loop runs over a part of a rank: a split ``k: [128, 16]`` makes k2 = k//128,
k1 = (k - 128*(k//128))//16 and k0 = k - 16*(k//16); the last block may be short.  Blocks need not
divide: of ``k: [100, 16]`` the last block of 16 in each of 100 has 4 places, and k0 is that of
k - 100*(k//100).  Where a split goes by a `Numbering` (of flattened ranks, or by stored entries),
numbers of places stand for k.  A split may go by a part of another, ``m*k0``: then its loops and k1
occur together, though k1 goes over k alone.

At a mark the tensors of its level are *kept* from there on: the tile of a tensor is what the
loops inside the mark touch of it, and the loops outside name the tile.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.formats.level_data import check_room

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Numbering:
    """A number for each place of some ranks, by which they are split together.

    leader : whose stored entries before a place are its number; None: its coordinates, the
        last rank innermost.
    numbers : over the ranks.
    """

    leader: str | None
    numbers: NDArray[np.int64]
    distinct: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "distinct", np.unique(self.numbers))


@dataclass(frozen=True, slots=True)
class Loop:
    """One loop.

    rank : a rank, or several that are split together, ``m*k``: loops of one rank occur together.
    block, spans : iteration ``v % spans[0] % spans[1] ... // block`` at place v of the rank.
    count : iterations.
    dims, tiles : dimensions of the array that it runs across, row-major, and their PEs; empty
        and 0 in time.
    numbering : of the places, where these are no coordinates of one rank.
    taken : iterations that occur, of a numbering; None: all.
    places : the ranks whose coordinates tell the iteration; none: all of ``rank``.
    numbered : the key of the split whose numbers stand for places; empty: none.
    over : the ranks that it goes over, where these are more than ``places`` (`had`).
    """

    name: str
    rank: str
    block: int
    count: int
    spans: tuple[int, ...] = ()
    dims: tuple[str, ...] = ()
    tiles: int = 0
    numbering: Numbering | None = None
    taken: int | None = None
    places: tuple[str, ...] = ()
    numbered: str = ""
    over: tuple[str, ...] = field(default=(), compare=False)

    @property
    def told_by(self) -> tuple[str, ...]:
        """The ranks whose coordinates tell the iteration."""
        return self.places or tuple(self.rank.split("*"))

    @property
    def ranks(self) -> tuple[str, ...]:
        """The ranks that it goes over."""
        return self.over or self.told_by

    def of(self, variables: Collection[str]) -> bool:
        """Whether it goes over any of these: then it names their tiles."""
        return any(rank in variables for rank in self.ranks)

    def within(self, variables: Collection[str]) -> bool:
        """Whether it goes over nothing else."""
        return all(rank in variables for rank in self.ranks)

    @property
    def whole(self) -> bool:
        """Whether it runs over every place of its rank."""
        return self.block == 1 and not self.spans and self.numbering is None

    @property
    def single(self) -> bool:
        """Whether it has one iteration, or none: then it is no loop."""
        occur = self.count if self.taken is None else self.taken
        return occur <= 1 and not (self.tiles and self.whole)

    @property
    def direct(self) -> bool:
        """Across PEs: whether iteration i is PE i; of a whole rank it is PE ``tiles*i//count``."""
        return not self.whole

    def index(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Iteration of each place of the rank, or of each number, or its PE."""
        part = places
        for span in self.spans:
            part = part % span
        part = part // self.block
        if not self.tiles or self.direct:
            return part
        return self.tiles * part // max(self.count, 1)

    def at(self, places: Dict[str, NDArray[np.int64]]) -> NDArray[np.int64]:
        """Iteration of points whose places of each rank are given, or their PE."""
        if self.numbering is None:
            return self.index(places[self.told_by[0]])
        return self.index(self.numbering.numbers[tuple(places[rank] for rank in self.told_by)])


@dataclass(frozen=True, slots=True)
class Stay:
    """A tensor in a level: the loops outside its mark, in time; PE dimensions above the level.

    refilled : whether a tile comes whole, whatever of it was there the iteration before.
    multicast : whether one read of the level serves all instances that need the same entry.
    words : where the tensor passes the level and is not kept (`zeroskip.hwmodel.passing`), the
        words under way in each instance; 0 where it is kept.
    into, tiled_by : there the level whose tiles pass, and dimensions above that one; ``position``
        and ``refilled`` are those of these tiles.
    each : whether one comes at every iteration, also of the loops directly outside that the tensor
        lacks.
    """

    level: str
    position: int
    instances: tuple[str, ...]
    refilled: bool = False
    multicast: bool = True
    words: int = 0
    into: str = ""
    tiled_by: tuple[str, ...] = ()
    each: bool = False

    @property
    def reach(self) -> tuple[str, ...]:
        """PE dimensions above the level whose tiles come."""
        return self.tiled_by if self.words else self.instances


@dataclass(frozen=True, slots=True)
class Residency:
    """How the tiles of one tensor come and go at a level.

    own : loops in time outside the mark that the tensor has: they name its tile.
    again : loops in time outside the mark that it lacks, and at which its tile comes anew.
    run : those directly outside the mark, at which it stays.
    inside, beside : loops across PEs above the level that it has, and lacks.
    """

    own: tuple[Loop, ...]
    again: tuple[Loop, ...]
    run: tuple[Loop, ...]
    inside: tuple[Loop, ...]
    beside: tuple[Loop, ...]

    @property
    def moving(self) -> Loop | None:
        """The innermost loop at which the tile changes: it has one iteration between fills."""
        return self.own[-1] if self.own else None

    @property
    def keys(self) -> tuple[Loop, ...]:
        """What names a tile and the instance that holds it."""
        return (*self.own, *self.inside)

    def whole(self, stay: Stay) -> bool:
        """Whether all of the tensor comes at a time, into the one instance of the level."""
        return not stay.reach and not self.own


def had(loops: Sequence[Loop], variables: set[str]) -> list[Loop]:
    """Of loops that stand outside a tile, those that tell it: of ranks that the tensor has, and,
    where numbers tell it, every loop that they are counted in."""
    told = {loop.rank for loop in loops if loop.numbering is not None and loop.of(variables)}
    return [
        loop if loop.of(variables) else replace(loop, over=tuple(loop.rank.split("*")))
        for loop in loops
        if loop.of(variables) or loop.rank in told
    ]


def residency(
    loops: Sequence[Loop], stay: Stay, variables: set[str], ranks: Iterable[str]
) -> Residency:
    """The residency of a tensor that has the ranks ``variables``, in a term of ``ranks``."""
    present = set(ranks)
    there = [loop for loop in loops if loop.of(present) and not loop.single]
    before = {loop.name for loop in loops[: stay.position]}  # loops of one iteration are none
    time = [loop for loop in there if not loop.dims and loop.name in before]
    spread = [loop for loop in there if loop.dims and set(loop.dims) <= set(stay.reach)]
    own = had([*time, *spread], variables)
    cut = len(time)
    while cut and time[cut - 1] not in own and not stay.each:
        cut -= 1
    return Residency(
        own=tuple(loop for loop in own if not loop.dims),
        again=tuple(loop for loop in time[:cut] if loop not in own),
        run=tuple(time[cut:]),
        inside=tuple(loop for loop in own if loop.dims),
        beside=tuple(loop for loop in spread if loop not in own),
    )


def places(loops: Sequence[Loop], extents: Dict[str, int], ranks: Iterable[str]) -> Rows:
    """Every combination of iterations that occurs, a row each, in order; 0 for loops of other
    ranks.

    Raises RoomError for ranks of more places than memory has room for.
    """
    rows = np.zeros((1, len(loops)), np.int64)
    present = set(ranks)
    for rank in dict.fromkeys(loop.rank for loop in loops):
        mine = [i for i, loop in enumerate(loops) if loop.rank == rank]
        found = _together([loops[i] for i in mine], extents, present)
        before = len(rows)
        rows = np.repeat(rows, len(found), axis=0)
        rows[:, mine] = np.tile(found.reshape(-1, len(mine)), (before, 1))
    return rows[np.lexsort(rows.T[::-1])] if loops else rows


def _together(loops: Sequence[Loop], extents: Dict[str, int], present: set[str]) -> Rows:
    """The same of loops of one rank."""
    if not any(loop.of(present) for loop in loops):
        return np.zeros((1, len(loops)), np.int64)
    ranks = list(dict.fromkeys(rank for loop in loops for rank in loop.told_by))
    numbering = loops[0].numbering
    if len({(loop.numbered, loop.told_by) for loop in loops}) > 1:
        shape = tuple(extents[rank] for rank in ranks)
        _check_room(loops[0].rank, prod(shape))
        axes = np.indices(shape).reshape(len(ranks), -1)
        at = dict(zip(ranks, axes, strict=True))
        every = np.stack([loop.at(at) for loop in loops], axis=1)
        return np.unique(every, axis=0) if len(every) else every
    if numbering is None:
        _check_room(ranks[0], extents[ranks[0]])
    taken = np.arange(extents[ranks[0]]) if numbering is None else numbering.distinct
    every = np.stack([loop.index(taken) for loop in loops], axis=1)
    return np.array(list({tuple(row) for row in every.tolist()}), np.int64)


def _check_room(rank: str, number: int) -> None:
    hint = f"Charge a part of the layer, with a shorter {rank}."
    check_room(number, 128, f"the list of the places of {rank}", hint)


def iterations(loops: Sequence[Loop], extents: Dict[str, int]) -> int:
    """Combinations of iterations that occur: short last blocks have fewer."""
    ranks = dict.fromkeys(loop.rank for loop in loops)
    return prod(
        len(places([loop for loop in loops if loop.rank == rank], extents, rank.split("*")))
        for rank in ranks
    )

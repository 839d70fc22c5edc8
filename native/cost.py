"""What loops in an order would cost, from how many entries the operands store.

The unit is one visit: one turn of a loop, or one step of a search.  An operand is taken to store
its entries evenly and independently of the others.  `Walk` goes down as `descend` does, with
numbers in place of statements: each operand as deep as its bound ranks allow, then one loop.

    for i in [0, I):                      I
      for k, pA_k in A.k[i]:                nnz(A)
        for j in [0, J):                      nnz(A)*J
          locate k in B.k[j]                    nnz(A)*J*log2(nnz(B)/J)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from math import log2, prod

from zeroskip.records import dataclass

EACH = 32
"""Visits that storing one entry anew takes as long as."""

ONCE = 2**14
"""Visits that storing an operand anew takes at least."""


@dataclass(frozen=True, slots=True)
class Depth:
    """One level of an operand, as a walk sees it.

    ranks : those it binds, the outermost first.
    full : whether it is an address.  merges : whether two such are walked together.
    fiber : entries of a fiber.  search : steps of looking one coordinate up.
    """

    ranks: tuple[str, ...]
    full: bool
    merges: bool
    fiber: float
    search: float


def depth(ranks: Sequence[str], letter: str, unique: bool, fiber: float) -> Depth:
    """A level with so many entries in a fiber."""
    search = {"B": 1.0, "S": fiber}.get(letter, log2(1 + fiber) + 1)
    merges = letter == "C" and unique and len(ranks) == 1
    return Depth(tuple(ranks), letter == "U", merges, fiber, search)


def stored_in(
    ranks: Sequence[str], stored: float, extents: Mapping[str, int], address: bool
) -> tuple[Depth, ...]:
    """The levels of an operand that was stored anew in an order of its ranks, compressed.

    address : whether the first is one where it has no more places than there are entries.
    """
    found, above = [], 1.0
    for turn, rank in enumerate(ranks):
        places = prod(extents[r] for r in ranks[: turn + 1])
        entries = min(places, stored)
        letter = "U" if address and turn == 0 and extents[rank] <= stored else "C"
        found.append(depth([rank], letter, True, entries / above if above else 0.0))
        above = entries
    return tuple(found)


@dataclass(slots=True)
class Walk:
    """The loops over the points of one product.

    operands : the levels of each that is followed, in the order in which they lead.
    extents : of every rank.  ranks : those to visit.
    order : of the loops; empty where operands lead the way.  outer : loops that are whole ranges.
    visits : the cost so far.  points : those that are left.  walked : the order that it took.
    """

    operands: Sequence[Sequence[Depth]]
    extents: Mapping[str, int]
    ranks: Sequence[str]
    order: Sequence[str] = ()
    outer: Sequence[str] = ()
    visits: float = 0.0
    points: float = 1.0
    walked: list[str] = field(default_factory=list)
    _at: list[int] = field(default_factory=list)

    def run(self) -> Walk:
        self._at = [0] * len(self.operands)
        for rank in self.outer:
            self._range(rank)
        while True:
            self._advance()
            if self.order:
                left = [r for r in self.order if r in self.ranks and r not in self.walked]
                if not left:
                    return self
                self._next(left)
            elif not self._lead():
                return self

    def _advance(self) -> None:
        """Every operand as deep as its bound ranks allow."""
        for i, levels in enumerate(self.operands):
            while self._at[i] < len(levels):
                level = levels[self._at[i]]
                if any(rank not in self.walked for rank in level.ranks):
                    break
                if not level.full:
                    self.visits += self.points * level.search
                    self.points *= self._share(level, level.ranks)
                self._at[i] += 1

    def _share(self, level: Depth, ranks: Sequence[str]) -> float:
        """The entries of a fiber at one coordinate of some of its ranks."""
        span = max(prod(self.extents[rank] for rank in ranks), 1)
        share = level.fiber / span
        return min(share, 1.0) if len(ranks) == len(level.ranks) else share

    def _level(self, i: int) -> Depth | None:
        levels = self.operands[i]
        return levels[self._at[i]] if self._at[i] < len(levels) else None

    def _next(self, left: Sequence[str]) -> None:
        """The loop over the next rank of the order."""
        for i in range(len(self.operands)):
            level = self._level(i)
            if level is None or level.full:
                continue
            new = [rank for rank in level.ranks if rank not in self.walked]
            if new == left[: len(new)]:
                return self._follow(i, level)
        return self._range(left[0])

    def _lead(self) -> bool:
        """The loop that brings the first operand nearer to its end; False where all are there."""
        for i, levels in enumerate(self.operands):
            level = self._level(i)
            if level is None or all(one.full for one in levels):
                continue
            if level.full:
                self._range(next(rank for rank in level.ranks if rank not in self.walked))
            else:
                self._follow(i, level)
            return True
        left = next((rank for rank in self.ranks if rank not in self.walked), None)
        if left is not None:
            self._range(left)
        return left is not None

    def _range(self, rank: str) -> None:
        self.points *= self.extents[rank]
        self.visits += self.points
        self.walked.append(rank)

    def _follow(self, i: int, level: Depth) -> None:
        """Walk a level, with another where both come to one rank."""
        self._at[i] += 1
        for k in range(len(self.operands)):
            other = self._level(k)
            if k != i and level.merges and other is not None and other.merges:
                if other.ranks != level.ranks:
                    continue
                self._at[k] += 1
                (rank,) = level.ranks
                self.visits += self.points * (level.fiber + other.fiber)
                self.points *= level.fiber * other.fiber / max(self.extents[rank], 1)
                self.walked.append(rank)
                return
        known = [rank for rank in level.ranks if rank in self.walked]
        share = self._share(level, known) if known else level.fiber
        if known:
            self.visits += self.points * level.search
        self.points *= share
        self.visits += self.points
        self.walked += [rank for rank in level.ranks if rank not in self.walked]

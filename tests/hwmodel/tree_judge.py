"""The judge of formats: builds the fibertree of a tile, and counts the bits of its levels.

It imports nothing of zeroskip.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass

Place = tuple[int, ...]


@dataclass(frozen=True)
class Tree:
    """A format: of each rank, outermost first, its axes, U, C or B, and the bits of a coordinate.

    pointer : bits of a fiber pointer; 0 where there are none.
    """

    ranks: tuple[tuple[tuple[int, ...], str, int], ...] = ()
    pointer: int = 0

    @property
    def plain(self) -> bool:
        """Whether all ranks but the last are uncompressed."""
        return all(letter == "U" for _, letter, _ in self.ranks[:-1])

    @property
    def letter(self) -> str:
        return self.ranks[-1][1] if self.ranks else "U"

    @property
    def entry(self) -> int:
        """Bits that come with each entry."""
        return self.ranks[-1][2] if self.letter == "C" else 0

    @property
    def spot(self) -> int:
        """Bits of every place that a tile has, wherever it is."""
        return int(self.letter == "B" and self.plain)

    @property
    def look_up(self) -> int:
        """Bits that are read beside a value."""
        return 1 if self.letter == "B" else self.entry

    @property
    def by_fiber(self) -> bool:
        """Whether a tile has more than what its entries or its places have each."""
        return not self.plain or bool(self.pointer and len(self.ranks) > 1 and self.letter == "C")

    def fibers(self, places: set[Place], stored: set[Place]) -> int:
        """Bits of a tile beside those of each entry and place; of no place there are none.

        stored : places that have an entry.
        """
        if not places or not self.by_fiber:
            return 0
        bits = 0
        fibers: dict[Place, set[Place]] = {(): places}
        for number, (axes, letter, width) in enumerate(self.ranks):
            last = number == len(self.ranks) - 1
            inside: dict[Place, set[Place]] = {}
            if letter == "C" and number:
                bits += self.pointer * (len(fibers) + 1)
            for name, fiber in fibers.items():
                parts: dict[Place, set[Place]] = defaultdict(set)
                for place in fiber:
                    parts[tuple(place[axis] for axis in axes)].add(place)
                bits += len(parts) if letter == "B" and not (last and self.plain) else 0
                for at, part in parts.items():
                    if letter == "U" or part & stored:
                        inside[*name, *at] = part
                        bits += width if letter == "C" and not last else 0
            fibers = inside
        return bits


def tree_of(text: str, ndim: int, pointer: int) -> Tree:
    """A letter alone, of all axes together, or ranks such as ``1:U 0*2:C(9)``."""
    if ":" not in text:
        width = re.search(r"\d+", text)
        ranks = ((tuple(range(ndim)), text[0], int(width[0]) if width else 0),)
        return Tree(ranks)
    found = []
    for rank in text.split():
        axes, _, level = rank.partition(":")
        width = re.search(r"\d+", level)
        found.append((tuple(map(int, axes.split("*"))), level[0], int(width[0]) if width else 0))
    return Tree(tuple(found), pointer)

"""The judge of formats: builds the fibertree of a tile, and counts the bits of its levels.

It imports nothing of zeroskip.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import product

Place = tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """An axis, or a part of it: the block of ``size`` that a place is in, or (``inner``) the place
    in its block.  extent : of what is left."""

    number: int
    extent: int
    size: int = 1
    inner: bool = False

    def of(self, place: Place) -> int:
        x = place[self.number]
        return x % self.size if self.inner else x // self.size


@dataclass(frozen=True)
class Rank:
    """U, C, B, R or H of some axes together; ``numbers`` are those in its brackets."""

    axes: tuple[Axis, ...]
    letter: str
    numbers: tuple[int, ...] = ()

    @property
    def width(self) -> int:
        """Bits of each entry."""
        if self.letter in "CR":
            return self.numbers[0] if self.numbers else 0
        return (self.numbers[1] - 1).bit_length() if self.letter == "H" else 0

    def flat(self, at: Place) -> int:
        """One coordinate of all axes."""
        found = 0
        for axis, x in zip(self.axes, at, strict=True):
            found = found * axis.extent + x
        return found

    def entries(self, there: dict[Place, bool]) -> list[Place]:
        """What a fiber has an entry for, of coordinates that hold something or do not."""
        coordinates = sorted(there)
        if self.letter == "U":
            return coordinates
        if self.letter == "R":
            return self.runs(coordinates, there)
        if self.letter == "H":
            return self.groups(coordinates, there)
        return [at for at in coordinates if there[at]]

    def runs(self, coordinates: list[Place], there: dict[Place, bool]) -> list[Place]:
        """A run that is as long as it can be told is ended by an entry of its own."""
        found: list[Place] = []
        waiting: list[Place] = []
        zeros = 0
        for at in coordinates:
            if there[at]:
                found += [*waiting, at]
                waiting, zeros = [], 0
            elif zeros == 2 ** self.numbers[0] - 1:
                waiting.append(at)
                zeros = 0
            else:
                zeros += 1
        return found

    def groups(self, coordinates: list[Place], there: dict[Place, bool]) -> list[Place]:
        """G of each H neighbours: those that hold something, then free ones behind the last."""
        most, size = self.numbers
        groups: dict[int, list[Place]] = defaultdict(list)
        for at in coordinates:
            groups[self.flat(at) // size].append(at)
        found = []
        for group in groups.values():
            taken = [at for at in group if there[at]]
            last = taken[-1] if taken else ()
            free = [at for at in group if not there[at]]
            free = [at for at in free if at > last] + [at for at in free if at < last]
            found += taken + free[: max(most - len(taken), 0)]
        return found


@dataclass(frozen=True)
class Tree:
    """A format: of each rank, outermost first, its axes, a letter and numbers.

    pointer : bits of a fiber pointer; 0 where there are none.
    """

    ranks: tuple[Rank, ...] = ()
    pointer: int = 0

    @property
    def letter(self) -> str:
        return self.ranks[-1].letter if self.ranks else "U"

    @property
    def plain(self) -> bool:
        """Whether a tile has nothing but what its entries or its places have each, and maybe
        pointers."""
        letters = [rank.letter for rank in self.ranks]
        split = any(axis.size > 1 for rank in self.ranks for axis in rank.axes)
        return {*letters[:-1]} <= {"U"} and self.letter in ("UC" if split else "UCB")

    @property
    def entry(self) -> int:
        """Bits that come with each entry."""
        return self.ranks[-1].width if self.ranks else 0

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

    @property
    def fills(self) -> bool:
        """Whether there are entries that only hold a place."""
        letters = "".join(rank.letter for rank in self.ranks).lstrip("U")
        return bool(set(letters) & {"R", "H", "U"})

    def built(self, places: set[Place], stored: set[Place]) -> tuple[int, int]:
        """Of a tile: bits beside those of each entry and place that is stored, and entries that
        only hold a place; of no place there are none.

        stored : places that have an entry.
        """
        if not places or not self.by_fiber:
            return 0, 0
        bits, held = self._walked(places, stored)
        holding = len(held) - len(stored) if self.fills else 0
        return bits + holding * self.entry, holding

    def held(self, places: set[Place], stored: set[Place]) -> set[Place]:
        """Places of a tile that have an entry, and be it one that only holds the place."""
        return self._walked(places, stored)[1] if places and self.fills else stored

    def _walked(self, places: set[Place], stored: set[Place]) -> tuple[int, set[Place]]:
        """Bits of fibers, and of the entries of all ranks but the last; places of its entries."""
        bits = 0
        fibers: dict[Place, set[Place]] = {(): places}
        for number, rank in enumerate(self.ranks):
            last = number == len(self.ranks) - 1
            inside: dict[Place, set[Place]] = {}
            if rank.letter in "CR" and number:
                bits += self.pointer * (len(fibers) + 1)
            for name, fiber in fibers.items():
                parts: dict[Place, set[Place]] = defaultdict(set)
                for place in fiber:
                    parts[tuple(axis.of(place) for axis in rank.axes)].add(place)
                bits += len(parts) if rank.letter == "B" and not (last and self.spot) else 0
                for at in rank.entries({at: bool(part & stored) for at, part in parts.items()}):
                    inside[*name, *at] = parts[at]
                    bits += 0 if last else rank.width
            fibers = inside
        return bits, set[Place]().union(*fibers.values())

    def fibers(self, places: set[Place], stored: set[Place]) -> int:
        return self.built(places, stored)[0]

    def fillers(self, places: set[Place], stored: set[Place]) -> int:
        return self.built(places, stored)[1]

    def whole(self, shape: Place, stored: set[Place]) -> int:
        """Entries of a tensor that is stored as one, whose last blocks go on past its end."""
        if not self.fills and not any(axis.inner for rank in self.ranks for axis in rank.axes):
            return len(stored)
        sizes = {
            axis.number: axis.size for rank in self.ranks for axis in rank.axes if axis.size > 1
        }
        padded = [-(-n // sizes.get(i, 1)) * sizes.get(i, 1) for i, n in enumerate(shape)]
        places = set(product(*map(range, padded)))
        if {rank.letter for rank in self.ranks} == {"U"}:
            return len(places)
        return len(stored) + self.fillers(places, stored)


def tree_of(text: str, shape: Place, pointer: int) -> Tree:
    """A letter alone, of all axes together, or ranks such as ``1:U 0/2*2:C(9) 0%2:U``."""
    if ":" not in text.partition("(")[0]:
        axes = tuple(Axis(i, n) for i, n in enumerate(shape))
        return Tree((Rank(axes, text[0], numbers_of(text)),))
    found = []
    for rank in text.split():
        axes_text, _, level = rank.partition(":")
        axes = tuple(axis_of(axis, shape) for axis in axes_text.split("*"))
        found.append(Rank(axes, level[0], numbers_of(level)))
    return Tree(tuple(found), pointer)


def axis_of(text: str, shape: Place) -> Axis:
    """``2``, ``2/4`` or ``2%4``."""
    number, _, size = text.partition("%" if "%" in text else "/")
    extent = shape[int(number)]
    if not size:
        return Axis(int(number), extent)
    inner = "%" in text
    return Axis(int(number), int(size) if inner else -(-extent // int(size)), int(size), inner)


def numbers_of(level: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", level)))

"""What a mapped layer is made of, in words of the judges: accesses, loops, and what a design does.

It imports nothing of zeroskip.  Each subscript is a Python expression over the index variables.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

Point = dict[str, int]
Place = tuple[int, ...]
Here = tuple[tuple[str, int], ...]
"""Where a point is in the array: of each loop across it, the PE."""


@dataclass
class Access:
    """``values`` and ``stored`` are dicts of coordinates; a coordinate outside ``shape`` (after
    subtracting the low padding) is padding.  ``dense``: levels that hold every place.  ``absorbs``:
    whether a zero of it makes the product zero.  ``tables``: what index tensors in its subscripts
    hold.  ``index``: whether it is one itself, and no factor.  ``width``: bits of an entry."""

    tensor: str
    subscripts: list[str]
    shape: Place
    low: Place
    values: dict[Place, float]
    stored: set[Place]
    dense: set[str]
    absorbs: bool = True
    tables: dict[str, dict[int | Place, int]] = field(default_factory=dict)
    index: bool = False
    width: int = 16

    def __post_init__(self) -> None:
        self.codes = [compile(text, "", "eval") for text in self.subscripts]
        self.known = {"__builtins__": {}, **self.tables}

    def names(self) -> set[str]:
        return {name for code in self.codes for name in code.co_names} - set(self.tables)

    @property
    def gathered(self) -> bool:
        """Whether an index tensor tells where it is read."""
        return any("[" in text for text in self.subscripts)

    def names_place_of(self, other: Access) -> bool:
        """Whether this one is read to know where another is."""
        text = f"{self.tensor}[{','.join(self.subscripts)}]"
        return self.index and any(text in subscript for subscript in other.subscripts)

    def place(self, at: Point) -> Place:
        raw = [eval(code, self.known, at) for code in self.codes]
        return tuple(x - lo for x, lo in zip(raw, self.low, strict=True))

    def alone(self, rank: str) -> bool:
        """Whether a rank is an axis by itself, and in no other."""
        return sum(rank in code.co_names for code in self.codes) == 1 and rank in self.subscripts

    def inside(self, place: Place) -> bool:
        return all(0 <= x < n for x, n in zip(place, self.shape, strict=True))

    def held(self, place: Place, level: str) -> bool:
        """Whether the format of a level holds an entry there."""
        return self.inside(place) and (level in self.dense or place in self.stored)

    def entries(self, level: str) -> int:
        """All that the level holds of the whole tensor."""
        return sum(self.held(place, level) for place in product(*map(range, self.shape)))


@dataclass
class Design:
    skip: set[str] = field(default_factory=set)
    lead: set[str] = field(default_factory=set)  # of those in skip, the ones that others follow
    gate: list[tuple[set[str], set[str]]] = field(default_factory=list)  # targets, conditions
    tiles: list[tuple[str, str, set[str], set[str]]] = field(
        default_factory=list
    )  # skip or gate, level, targets and conditions, of fills
    multipliers: int = 1
    lanes: dict[str, int] = field(default_factory=dict)  # entries of a vector, by operand


@dataclass
class Loop:
    """Which block a place of a rank is in, or of several flattened (``m*k``), counted from where
    the blocks around it begin (``within``, from large to small); ``pes`` side by side, 0 in time.
    numbers : what stands for the place, by coordinates (`numbered`).  family : loops of ranks that
    are split together, and of the blocks around their parts."""

    name: str
    rank: str
    block: int = 1
    within: tuple[int, ...] = ()
    pes: int = 0
    dims: tuple[str, ...] = ()
    numbers: dict[Place, int] | None = None
    family: str = ""

    @property
    def ranks(self) -> list[str]:
        return self.rank.split("*")

    def at(self, point: Point, extents: dict[str, int]) -> int:
        if self.numbers is None:
            v = point[self.rank]
        else:
            v = self.numbers.get(tuple(point[rank] for rank in self.ranks), 0)
        for block in self.within:
            begins = v - v % block
            v -= begins
        part = v // self.block
        if not self.pes:
            return part
        whole = self.block == 1 and not self.within and self.numbers is None
        return self.pes * part // max(extents[self.rank], 1) if whole else part

    def iterations(self, extents: dict[str, int]) -> int:
        """Iterations that occur, in time."""
        places = product(*(range(extents[rank]) for rank in self.ranks))
        return len({self.at(dict(zip(self.ranks, p, strict=True)), extents) for p in places})


def numbered(
    parts: list[Loop], extents: dict[str, int], leader: Access | None = None
) -> dict[Place, int]:
    """A number for each place of the ranks of these parts, gone through in their order: what comes
    before it in the blocks around the parts, or of a leader the entries stored before it there.
    Behind the last entry it is that of the last."""
    ranks = [part.rank for part in parts]
    places = list(product(*(range(extents[rank]) for rank in ranks)))

    def told(place: Place) -> tuple[Place, Place]:
        """The blocks around a place, and where it is in them."""
        around, inside = [], []
        for part, v in zip(parts, place, strict=True):
            left = v
            for block in part.within:
                left -= left - left % block
            around.append(v - left)
            inside.append(left // part.block)
        return tuple(around), tuple(inside)

    if leader is None:
        each = [
            sorted({told((0,) * i + (v,) + (0,) * (len(ranks) - i - 1))[1][i] for v in range(n)})
            for i, n in enumerate(extents[rank] for rank in ranks)
        ]
        row = {inside: number for number, inside in enumerate(product(*each))}
        return {place: row[told(place)[1]] for place in places}
    axes = [leader.subscripts.index(rank) for rank in ranks]
    entries = [told(tuple(e[a] + leader.low[a] for a in axes)) for e in leader.stored]
    found = {}
    for place in places:
        around, inside = told(place)
        mine = [other for block, other in entries if block == around]
        found[place] = min(sum(other < inside for other in mine), max(len(mine) - 1, 0))
    return found


def factors(term: list[Access]) -> int:
    """What is multiplied: index tensors are not."""
    return sum(not access.index for access in term)

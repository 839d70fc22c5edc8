"""What the judges walk: a mapped layer, told in words of its own.

It imports nothing of zeroskip.  Each term is a list of accesses.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product, takewhile

from nest_parts import Access, Here, Loop, Place, Point, factors
from tree_judge import Tree


@dataclass
class Nest:
    """A mapped layer.

    loops : outermost first; the first ``sync`` of them stand outside the sync.
    stays : tensor -> levels that keep it, outermost first, with the loops outside each.
    instances : level -> dimensions of the array that it has an instance each along.
    refilled : levels at which a tile comes whole, whatever of it was there the iteration before.
    singly : levels that are read once for each instance that is filled.
    overlap : of loads and work, ``none`` or ``double``; None where all overlaps with all.
    stay_in : number of a term, of an access, level whose tiles do not fit -> places that stay.
    within : of each term, conditions on index variables outside which nothing is done.
    counters : of each term, index variables that it is multiplied with.
    words : tensor, level -> words under way, of those among ``stays`` that pass and are not kept.
    trees : (tensor, level) -> the format there.
    tables : what index tensors hold that say where the result is.
    stepped : tensors of which operations go from entry to entry.
    """

    extents: dict[str, int]
    target: list[str]
    terms: list[list[Access]]
    loops: list[Loop]
    sync: int
    stays: dict[str, list[tuple[str, int]]]
    instances: dict[str, tuple[str, ...]]
    result: str = "O"
    refilled: set[str] = field(default_factory=set)
    singly: set[str] = field(default_factory=set)
    overlap: str | None = None
    stay_in: dict[tuple[int, int, str], set[Place]] = field(default_factory=dict)
    within: list[list[str]] = field(default_factory=list)
    counters: list[int] = field(default_factory=list)
    words: dict[tuple[str, str], int] = field(default_factory=dict)
    trees: dict[tuple[str, str], Tree] = field(default_factory=dict)
    tables: dict[str, dict[int | Place, int]] = field(default_factory=dict)
    stepped: set[str] = field(default_factory=set)

    def keeping(self, tensor: str) -> list[tuple[str, int]]:
        """The levels that keep a tensor, without those that it passes."""
        return [stay for stay in self.stays[tensor] if (tensor, stay[0]) not in self.words]

    def passed(self, tensor: str, level: str) -> list[str]:
        """Levels between one and the next outside that keeps the tensor, innermost first."""
        found: list[str] = []
        for other, _ in self.stays[tensor]:
            if other == level:
                break
            found = [*found, other] if (tensor, other) in self.words else []
        return found[::-1]

    def tree(self, tensor: str, level: str) -> Tree:
        return self.trees.get((tensor, level), Tree())

    def coded(self, tensor: str, level: str, other: str) -> bool:
        """Whether what goes between two levels leaves its format, or enters it, in the first."""
        mine, theirs = self.tree(tensor, level).ranks, self.tree(tensor, other).ranks
        return any(rank.letter != "U" for rank in mine) and mine != theirs

    def fibers(self, access: Access, level: str, places: set[Place]) -> int:
        """Bits of a tile in a level, beside those of each entry and each place."""
        stored = {place for place in places if access.held(place, level)}
        return self.tree(access.tensor, level).fibers(places, stored)

    def entries(self, access: Access, level: str, places: set[Place]) -> int:
        """Entries of a tile in a level, those that only hold a place among them."""
        held = sum(access.held(place, level) for place in places)
        return held + self.fillers(access, level, places)

    def fillers(self, access: Access, level: str, places: set[Place]) -> int:
        stored = {place for place in places if access.held(place, level)}
        return self.tree(access.tensor, level).fillers(places, stored)

    def walked(self, access: Access, level: str, places: set[Place]) -> tuple[int, int]:
        """Entries of a tile that no operation reads, and bits: those of fibers are read once, and
        so is what only holds a place where nobody goes from entry to entry."""
        fillers, fibers = self.fillers(access, level, places), self.fibers(access, level, places)
        if access.tensor not in self.stepped:
            return fillers, fibers
        return 0, fibers - fillers * self.tree(access.tensor, level).entry

    def found(self, term: list[Access], access: Access) -> set[Place]:
        """Points at which the tile in the PE has an entry of an access."""
        level, position = self.stays[access.tensor][-1]
        tree = self.tree(access.tensor, level)
        points = self.points(term)
        fresh, _ = self.fresh(position, self.ranks(term), access.names(), level)
        above = set(self.instances[level])
        tiles: dict[tuple[Place, Here], set[Place]] = {}
        for at in points if tree.fills else []:
            key, place = (self.when(fresh, at), self.pe(at, above)), access.place(at)
            tiles.setdefault(key, set()).update([place] if access.inside(place) else [])
        held = {
            key: tree.held(places, {x for x in places if access.held(x, level)})
            for key, places in tiles.items()
        }
        found = set()
        for at in points:
            place = access.place(at)
            entry = access.held(place, level)
            if tree.fills:
                entry = place in held[self.when(fresh, at), self.pe(at, above)]
            found |= {tuple(at.values())} if entry else set()
        return found

    def bits(self, access: Access, level: str, places: set[Place]) -> int:
        """Metadata of a tile in a level."""
        tree, held = self.tree(access.tensor, level), sum(access.held(p, level) for p in places)
        return held * tree.entry + len(places) * tree.spot + self.fibers(access, level, places)

    def number(self, term: list[Access]) -> int:
        return next(i for i, one in enumerate(self.terms) if one is term)

    def bracketed(self, term: list[Access]) -> bool:
        return bool(self.within and self.within[self.number(term)])

    def open(self, term: list[Access], at: Point) -> bool:
        """Whether the loops of a term go over a point."""
        return not self.within or all(eval(x, {}, at) for x in self.within[self.number(term)])

    def cost(self, term: list[Access]) -> int:
        """Cycles of a multiplier for a point."""
        more = self.counters[self.number(term)] if self.counters else 0
        return max(factors(term) - 1 + more, 1)

    def work(self) -> list[list[Access]]:
        """Products, or single operands where there are none."""
        most = max(map(factors, self.terms))
        return [term for term in self.terms if factors(term) > 1] if most > 1 else self.terms

    def additions(self) -> list[list[Access]]:
        """Single operands beside products."""
        work = self.work()
        return [term for term in self.terms if term not in work]

    def ranks(self, term: list[Access]) -> list[str]:
        """Ranks of a term: those of the target and its own, in a fixed order."""
        used = {name for access in term for name in access.names()} | self.target_ranks()
        return [rank for rank in self.extents if rank in used]

    def target_ranks(self) -> set[str]:
        names = {name for text in self.target for name in compile(text, "", "eval").co_names}
        return names - set(self.tables)

    def written(self, at: Point) -> Place:
        """The place of the result that a point adds to."""
        return tuple(eval(text, dict(self.tables), dict(at)) for text in self.target)

    def points(self, term: list[Access]) -> list[Point]:
        ranks = self.ranks(term)
        every = product(*(range(self.extents[rank]) for rank in ranks))
        return [dict(zip(ranks, values, strict=True)) for values in every]

    def sums(self, term: list[Access]) -> list[Point]:
        """Where sums without any point are made: at the first point that they would have."""
        ranks = [rank for rank in self.extents if rank in self.target_ranks()]
        every = product(*(range(self.extents[rank]) for rank in ranks))
        first = dict.fromkeys(self.ranks(term), 0)
        return [first | dict(zip(ranks, values, strict=True)) for values in every]

    def initial(self) -> list[Point]:
        """The same without the sums that another point has made before: nothing is added to one,
        and so it leaves once."""
        made: dict[Place, Point] = {}
        for at in self.sums(self.work()[0]):
            made.setdefault(self.written(at), at)
        return list(made.values())

    def pe(self, at: Point, dims: set[str] | None = None) -> Here:
        """Where a point is in the array: by loop across it, or by those within ``dims``."""
        return tuple(
            (loop.name, loop.at(at, self.extents) if set(loop.ranks) <= set(at) else 0)
            for loop in self.loops
            if loop.pes and (dims is None or set(loop.dims) <= dims)
        )

    def in_time(self, loops: list[Loop], ranks: list[str]) -> list[Loop]:
        """Those in time that have more than one iteration."""
        return [
            x
            for x in loops
            if not x.pes and set(x.ranks) <= set(ranks) and x.iterations(self.extents) > 1
        ]

    def outside(self, position: int, ranks: list[str]) -> list[Loop]:
        """Loops in time outside a mark."""
        return self.in_time(self.loops[:position], ranks)

    def fresh(
        self, position: int, ranks: list[str], own: set[str], level: str
    ) -> tuple[list[Loop], set[str]]:
        """Loops at whose iterations a tile comes anew: all outside the mark, without the run
        directly outside it that the tensor does not have.  Also the names of those outside the
        tile, in time or across the array, that it has: by a rank, or as numbers that tell its
        places are counted in the loop's blocks."""
        loops = self.outside(position, ranks)
        above = set(self.instances[level])
        here = [
            x for x in self.loops if x.pes and set(x.dims) <= above and set(x.ranks) & set(ranks)
        ]
        every = [*loops, *here]
        several = [x for x in every if x.numbers is not None and x.iterations(self.extents) > 1]
        counted = {x.family for x in several if set(x.ranks) & own}
        has = {x.name for x in every if set(x.ranks) & own or x.family in counted}
        while loops and loops[-1].name not in has:
            loops.pop()
        return loops, has

    def parts(
        self, term: list[Access], access: Access, level: str, position: int
    ) -> tuple[list[Loop], list[Loop], set[str]]:
        """Loops at which a tile comes anew; loops inside its mark that use up a part of it each,
        in which that part alone takes room (none where data says what a part is); names of loops
        outside that the tensor has."""
        own, ranks = access.names(), self.ranks(term)
        fresh, has = self.fresh(position, ranks, own, level)
        streamed: list[Loop] = []
        for loop in self.in_time(self.loops[position : self.sync], ranks):
            if not set(loop.ranks) <= own:
                break
            streamed.append(loop)
        if access.gathered or len(fresh) < len(self.outside(position, ranks)):
            streamed = []  # each part is used once more at the loops over which the tile stays
        names = [name for name, _ in self.stays[access.tensor]]
        around = names[names.index(level) - 1] if level in names[1:] else level
        cut = self.instances[level] or any(loop.name in has for loop in fresh)
        formats = (level, around) if cut else (level,)
        if any(self.tree(access.tensor, x).by_fiber for x in formats):
            streamed = []  # fibers are not cut
        if self.overlap is not None:  # a part comes in an epoch of its own
            streamed = list(takewhile(lambda x: all(map(access.alone, x.ranks)), streamed))
        if fresh and level not in self.refilled:
            touched: dict[tuple[Place, Here], set[Place]] = {}
            for at in self.points(term):
                key = self.when(fresh, at), self.pe(at, set(self.instances[level]))
                touched.setdefault(key, set()).add(access.place(at))
            if any(places & touched.get(before(key), set()) for key, places in touched.items()):
                streamed = []  # what stays has to be there as long as the tile is
        return fresh, streamed, has

    def stays_in(self, number: int, i: int, level: str, place: Place) -> bool:
        """Whether a level keeps a place of its tile: all that fits."""
        fits = self.stay_in.get((number, i, level))
        return fits is None or place in fits

    def at_a_time(self, fresh: list[Loop], parts: list[Loop], points: list[Point]) -> int:
        """Tiles that are there at a time: two where the next one comes while one is used."""
        ahead = self.overlap == "double" and all(
            any(loop is step for step in self.loops[: self.sync]) for loop in fresh
        )
        return 2 if ahead and len({self.when([*fresh, *parts], at) for at in points}) > 1 else 1

    def queued(self, here: Here, has: set[str], inner: str, outer: str) -> Here:
        """Of what takes an entry of a queue ``inner`` each, what is brought there for each by
        itself from ``outer``: loops are dropped along which other queues get the same of one read.
        """
        loops = {loop.name: loop for loop in self.loops}
        one_by_one = outer in self.singly
        return tuple(
            (name, pe)
            for name, pe in here
            if name in has
            or one_by_one
            or not set(loops[name].dims) <= set(self.instances[inner])
            or set(loops[name].dims) <= set(self.instances[outer])
        )

    def when(self, loops: list[Loop], at: Point) -> Place:
        return tuple(loop.at(at, self.extents) for loop in loops)

    def readers(self, here: Here, has: set[str], outer: str) -> Here:
        """The PEs ``here``, without those that one read of the level ``outer`` serves together."""
        loops = {loop.name: loop for loop in self.loops}
        return tuple(
            (name, pe)
            for name, pe in here
            if name in has
            or set(loops[name].dims) <= set(self.instances[outer])
            or outer in self.singly
        )


def before(key: tuple[Place, Here]) -> tuple[Place, Here]:
    """The tile of the iteration before, in the same instance."""
    when, here = key
    return (*when[:-1], when[-1] - 1) if when else (), here

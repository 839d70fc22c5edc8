"""The judge: walks the mapped loop nest of a layer point by point, in plain Python.

It imports nothing of zeroskip.  A layer is given in words of its own: each term a list of
accesses, each subscript a Python expression over the index variables.  Slow on purpose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from itertools import pairwise, product
from typing import Any

Point = dict[str, int]
Place = tuple[int, ...]


@dataclass
class Access:
    """``values`` and ``stored`` are dicts of coordinates; a coordinate outside ``shape`` (after
    subtracting the low padding) is padding.  ``dense``: levels that hold every place."""

    tensor: str
    subscripts: list[str]
    shape: Place
    low: Place
    values: dict[Place, float]
    stored: set[Place]
    dense: set[str]

    def __post_init__(self) -> None:
        self.codes = [compile(text, "", "eval") for text in self.subscripts]

    def names(self) -> set[str]:
        return {name for code in self.codes for name in code.co_names}

    def place(self, at: Point) -> Place:
        raw = [eval(code, {}, at) for code in self.codes]
        return tuple(x - lo for x, lo in zip(raw, self.low, strict=True))

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


@dataclass
class Loop:
    """``v % span // block`` of a rank, or of several flattened (``m*k``); ``pes`` side by side, 0
    in time.  numbers : what stands for the place v, by coordinates (`numbered`)."""

    name: str
    rank: str
    block: int = 1
    span: int = 10**9
    pes: int = 0
    dims: tuple[str, ...] = ()
    numbers: dict[Place, int] | None = None

    @property
    def ranks(self) -> list[str]:
        return self.rank.split("*")

    def at(self, point: Point, extents: dict[str, int]) -> int:
        if self.numbers is None:
            v = point[self.rank]
        else:
            v = self.numbers.get(tuple(point[rank] for rank in self.ranks), 0)
        part = v % self.span // self.block
        if not self.pes:
            return part
        whole = self.block == 1 and self.span == 10**9 and self.numbers is None
        return self.pes * part // max(extents[self.rank], 1) if whole else part

    def iterations(self, extents: dict[str, int]) -> int:
        """Iterations that occur, in time."""
        places = product(*(range(extents[rank]) for rank in self.ranks))
        return len({self.at(dict(zip(self.ranks, p, strict=True)), extents) for p in places})


def numbered(
    ranks: list[str], extents: dict[str, int], leader: Access | None = None
) -> dict[Place, int]:
    """A number for each place of the ranks, gone through in their order: the places before it,
    or of a leader the entries stored before it.  Behind the last entry it is that of the last."""
    seen, found = 0, {}
    for place in product(*(range(extents[rank]) for rank in ranks)):
        found[place] = seen
        if leader is None:
            seen += 1
            continue
        axes = [leader.subscripts.index(rank) for rank in ranks]
        for entry in sorted(leader.stored):
            seen += all(entry[a] + leader.low[a] == v for a, v in zip(axes, place, strict=True))
    return found if leader is None else {p: min(n, max(seen - 1, 0)) for p, n in found.items()}


@dataclass
class Nest:
    """A mapped layer.

    loops : outermost first; the first ``sync`` of them stand outside the sync.
    stays : tensor -> levels that keep it, outermost first, with the loops outside each.
    instances : level -> dimensions of the array that it has an instance each along.
    refilled : levels at which a tile comes whole, whatever of it was there the iteration before.
    singly : levels that are read once for each instance that is filled.
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

    def work(self) -> list[list[Access]]:
        """Products, or single operands where there are none."""
        most = max(len(term) for term in self.terms)
        return [term for term in self.terms if len(term) > 1] if most > 1 else self.terms

    def additions(self) -> list[list[Access]]:
        """Single operands beside products."""
        work = self.work()
        return [term for term in self.terms if term not in work]

    def ranks(self, term: list[Access]) -> list[str]:
        """Ranks of a term: those of the target and its own, in a fixed order."""
        used = {name for access in term for name in access.names()} | self.target_ranks()
        return [rank for rank in self.extents if rank in used]

    def target_ranks(self) -> set[str]:
        return {name for text in self.target for name in compile(text, "", "eval").co_names}

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

    def pe(self, at: Point, dims: set[str] | None = None) -> tuple[tuple[str, int], ...]:
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

    def fresh(self, position: int, ranks: list[str], own: set[str]) -> list[Loop]:
        """Loops at whose iterations a tile comes anew: all outside the mark, without the run
        directly outside it that the tensor does not have."""
        loops = self.outside(position, ranks)
        while loops and not set(loops[-1].ranks) & own:
            loops.pop()
        return loops

    def when(self, loops: list[Loop], at: Point) -> Place:
        return tuple(loop.at(at, self.extents) for loop in loops)


@dataclass
class Lead:
    """Points in tiles of one access at a level that do not come: of those nothing of the leader."""

    level: str
    gates: bool
    follower: int
    closed: set[Place]

    def shut(self, at: Point) -> bool:
        return tuple(at.values()) in self.closed


def leads_of(nest: Nest, design: Design, term: list[Access]) -> list[Lead]:
    """Outermost level first; at one level, skips before gates."""
    found = []
    points = nest.points(term) if design.tiles else []
    for kind, level, targets, conditions in design.tiles:
        for i, follower in enumerate(term):
            for j, leader in enumerate(term):
                if i == j or follower.tensor not in targets or leader.tensor not in conditions:
                    continue
                position = dict(nest.stays[follower.tensor])[level]
                fresh = nest.fresh(position, nest.ranks(term), follower.names())
                dims = set(nest.instances[level])
                tiles = [(nest.when(fresh, at), nest.pe(at, dims)) for at in points]
                wanted = {
                    tile
                    for at, tile in zip(points, tiles, strict=True)
                    if leader.held(leader.place(at), level)
                }
                away = [tile not in wanted for tile in tiles]
                closed = {tuple(at.values()) for at, shut in zip(points, away, strict=True) if shut}
                found.append(Lead(level, kind == "gate", i, closed))
    levels = list(nest.instances)
    return sorted(found, key=lambda lead: (levels.index(lead.level), lead.gates))


def simulate(nest: Nest, design: Design) -> dict[str, Any]:
    """Every count.  What is added comes once, before the loops; it has no operations here."""
    found: Counter[str] = Counter()
    of_pe: Counter[Any] = Counter()
    for number, term in enumerate(nest.work()):
        leads = leads_of(nest, design, term)
        _operations(nest, design, term, number, found, of_pe, leads)
        for i, access in enumerate(term):
            for outer, inner in zip(
                nest.stays[access.tensor], nest.stays[access.tensor][1:], strict=False
            ):
                key = f"{number}.{i}.{inner[0]}"
                own = [lead for lead in leads if lead.follower == i]
                _fills(nest, term, access, key, outer, inner, found, own)
    once = replace(nest, sync=0)
    for number, term in enumerate(nest.additions()):
        for access in term:
            stays = nest.stays[access.tensor]
            for outer, (level, _) in pairwise(stays):
                _fills(once, term, access, f"+{number}.0.{level}", outer, (level, 0), found, [])
    for outer, inner in zip(nest.stays[nest.result], nest.stays[nest.result][1:], strict=False):
        _drains(nest, outer, inner, found)
    return {"counts": found, "of_pe": of_pe}


def _operations(
    nest: Nest,
    design: Design,
    term: list[Access],
    number: int,
    found: Counter[str],
    of_pe: Counter[Any],
    leads: list[Lead],
) -> None:
    ranks = nest.ranks(term)
    steps = nest.outside(nest.sync, ranks)
    busy: dict[Place, Counter[Any]] = defaultdict(Counter)
    for at in nest.points(term):
        places = [access.place(at) for access in term]
        zero = {a.tensor for a, p in zip(term, places, strict=True) if not a.values.get(p)}
        absent = {
            a.tensor
            for a, p in zip(term, places, strict=True)
            if not a.held(p, nest.stays[a.tensor][-1][0])
        }
        found["dense"] += 1
        closed_by = next((lead for lead in leads if lead.shut(at)), None)
        if closed_by is not None and not closed_by.gates:
            found["never_fetched"] += 1
            continue
        if closed_by is not None:  # a cycle in which nobody reads anything
            busy[nest.when(steps, at)][nest.pe(at)] += 1
            of_pe[nest.pe(at)] += 1
            found["gated"] += 1
            continue
        if absent & design.skip:
            found["never_fetched" if absent & design.lead else "skipped"] += 1
            continue
        busy[nest.when(steps, at)][nest.pe(at)] += 1
        of_pe[nest.pe(at)] += 1
        gated = any(zero & conditions for _, conditions in design.gate)
        for i, name in [*enumerate(a.tensor for a in term), (-1, nest.result)]:
            closed = any(
                name in targets and zero & conditions for targets, conditions in design.gate
            )
            found[f"{number}.{i}.reads"] += not closed
        if gated:
            found["gated"] += 1
        elif zero:
            found["ineffectual"] += 1
        else:
            found["effectual"] += 1
    cost = max(len(term) - 1, 1)
    for pes in busy.values():
        found["cycles"] += -(-max(pes.values()) * cost // design.multipliers)


def _fills(
    nest: Nest,
    term: list[Access],
    access: Access,
    key_of: str,
    outer: tuple[str, int],
    inner: tuple[str, int],
    found: Counter[str],
    leads: list[Lead],
) -> None:
    """What one level reads for the next to be filled, what arrives there, and the room for it.

    Counted in the format of either: ``read`` in that of the level outside, the rest in that of
    the level filled; ``.places`` are positions, stored or not.  Of a tile only that comes which
    was not in the tile of the iteration before, of the innermost loop at which it changes.  A
    tile does not come where a lead has shut it at this level or further out.
    """
    level, position = inner
    own, ranks = access.names(), nest.ranks(term)
    above, around = set(nest.instances[level]), set(nest.instances[outer[0]])
    fresh = nest.fresh(position, ranks, own)
    streamed = []
    for loop in nest.in_time(nest.loops[position : nest.sync], ranks):
        if not set(loop.ranks) <= own:
            break
        streamed.append(loop)
    if len(fresh) < len(nest.outside(position, ranks)):
        streamed = []  # each part is used once more at the loops over which the tile stays
    levels = list(nest.instances)
    leads = [lead for lead in leads if levels.index(lead.level) <= levels.index(level)]
    moving = fresh and level not in nest.refilled
    tiles: dict[Any, set[Place]] = defaultdict(set)
    touched: dict[Any, set[Place]] = defaultdict(set)
    for at in nest.points(term):
        place, key = access.place(at), (nest.when(fresh, at), nest.pe(at, above))
        touched[key].add(place)
        if access.inside(place) and not any(lead.shut(at) for lead in leads):
            tiles[key].add(place)
    if moving and any(places & touched.get(_before(key), set()) for key, places in touched.items()):
        streamed = []  # what stays has to be there as long as the tile is
    arrived: dict[Any, set[Place]] = defaultdict(set)
    served: dict[Any, set[Place]] = defaultdict(set)
    for key, places in tiles.items():
        wanted = places - tiles.get(_before(key), set()) if moving else places
        when, here = key
        ranked = {loop.name: loop for loop in nest.loops}
        group = tuple(
            (name, pe)
            for name, pe in here
            if set(ranked[name].ranks) & own
            or set(ranked[name].dims) <= around
            or outer[0] in nest.singly
        )
        arrived[key] |= wanted
        served[when, group] |= wanted
    room: dict[Any, set[Place]] = defaultdict(set)
    kept = [loop for loop in fresh if set(loop.ranks) & own] + streamed
    for at in nest.points(term):
        place = access.place(at)
        if access.inside(place):
            room[nest.when(kept, at), nest.pe(at, above)].add(place)
    for name, chosen in (("", lambda p, at: access.held(p, at)), (".places", lambda p, at: True)):
        for level_read, what, sets in (
            (outer[0], "read", served),
            (level, "arrived", arrived),
        ):
            number = sum(chosen(p, level_read) for places in sets.values() for p in places)
            found[f"{key_of}.{what}{name}"] = number
        sizes = [sum(chosen(p, level) for p in places) for places in room.values()]
        found[f"{key_of}.most{name}"] = max(sizes, default=0)
    if not above and not any(set(loop.ranks) & own for loop in fresh):
        found[f"{key_of}.whole"] = len(
            {
                nest.when(fresh, at)
                for at in nest.points(term)
                if not any(lead.shut(at) for lead in leads)
            }
        )


def _before(key: tuple[Place, Any]) -> tuple[Place, Any]:
    """The tile of the iteration before, in the same instance."""
    when, here = key
    return (*when[:-1], when[-1] - 1), here


def _drains(
    nest: Nest, outer: tuple[str, int], inner: tuple[str, int], found: Counter[str]
) -> None:
    """Entries of the result that leave a level, that are in it, and that are outside it."""
    level, position = inner
    codes = [compile(text, "", "eval") for text in nest.target]
    own = nest.target_ranks()
    work = nest.work()
    loops = [nest.fresh(position, nest.ranks(term), own) for term in work]
    drained: dict[Any, set[Place]] = defaultdict(set)
    resident: dict[Any, set[Place]] = defaultdict(set)
    outside: dict[Any, set[Place]] = defaultdict(set)
    room: dict[Any, set[Place]] = defaultdict(set)
    idle = not any(nest.points(term) for term in work)
    for number, term in enumerate(work):
        for at in nest.sums(term) if idle else nest.points(term):
            place = tuple(eval(code, {}, at) for code in codes)
            here = nest.pe(at, set(nest.instances[level]))
            when = (number, nest.when(loops[number], at)) if any(loops) else ()
            drained[when, here].add(place)
            resident[here].add(place)
            outside[nest.pe(at, set(nest.instances[outer[0]]))].add(place)
            room[when, here].add(place)
    found[f"{level}.drained"] = sum(map(len, drained.values()))
    found[f"{level}.resident"] = sum(map(len, resident.values()))
    found[f"{level}.outside"] = sum(map(len, outside.values()))
    found[f"{level}.room"] = max(map(len, room.values()), default=0)

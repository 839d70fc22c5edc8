"""The judge of counts: walks the mapped loop nest of a layer point by point, in plain Python.

It imports nothing of zeroskip; a layer is a `mapped_nest.Nest`.  Slow on purpose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import pairwise
from typing import Any

from mapped_nest import Nest, before
from nest_parts import Access, Design, Place, Point


@dataclass
class Lead:
    """Points in tiles of one access at a level that do not come: of those nothing of the leader."""

    level: str
    gates: bool
    follower: int
    closed: set[Place]

    def shut(self, at: Point) -> bool:
        return tuple(at.values()) in self.closed


@dataclass
class Route:
    """What comes of an access to a level from ``outside[-1]``: what that keeps, and no level of
    ``passed`` does, which are between."""

    number: int
    i: int
    outside: list[str]
    passed: list[str] = field(default_factory=list)

    def takes(self, nest: Nest, level: str, place: Place) -> bool:
        stays = partial(nest.stays_in, self.number, self.i, place=place)
        return stays(level) and stays(self.outside[-1]) and not any(map(stays, self.passed))

    def spills(self, nest: Nest, level: str) -> bool:
        """Whether anything may pass one of these levels."""
        names = [level, *self.outside, *self.passed]
        return any((self.number, self.i, name) in nest.stay_in for name in names)

    def further(self) -> Route:
        *outside, passed = self.outside
        return Route(self.number, self.i, outside, [*self.passed, passed])


def leads_of(nest: Nest, design: Design, term: list[Access]) -> list[Lead]:
    """Outermost level first; at one level, skips before gates.  Where a term goes over a part of
    its points alone, no tile without any of them comes."""
    found = []
    points = nest.points(term) if design.tiles or nest.bracketed(term) else []
    for i, access in enumerate(term if nest.bracketed(term) else []):
        for level, position in nest.keeping(access.tensor)[1:]:
            fresh, _ = nest.fresh(position, nest.ranks(term), access.names(), level)
            dims = set(nest.instances[level])
            tiles = [(nest.when(fresh, at), nest.pe(at, dims)) for at in points]
            wanted = {t for at, t in zip(points, tiles, strict=True) if nest.open(term, at)}
            shut = [at for at, tile in zip(points, tiles, strict=True) if tile not in wanted]
            found.append(Lead(level, False, i, {tuple(at.values()) for at in shut}))
    for kind, level, targets, conditions in design.tiles:
        for i, follower in enumerate(term):
            for j, leader in enumerate(term):
                if not leader.absorbs:
                    continue
                if i == j or follower.tensor not in targets or leader.tensor not in conditions:
                    continue
                position = dict(nest.stays[follower.tensor])[level]
                fresh, _ = nest.fresh(position, nest.ranks(term), follower.names(), level)
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
    nest = replace(nest, stepped=design.skip)
    for number, term in enumerate(nest.work()):
        leads = leads_of(nest, design, term)
        _operations(nest, design, term, number, found, of_pe, leads)
        for i, access in enumerate(term):
            own = [lead for lead in leads if lead.follower == i]
            stays = nest.keeping(access.tensor)
            for depth, inner in enumerate(stays[1:], 1):
                key = f"{number}.{i}.{inner[0]}"
                route = Route(number, i, [level for level, _ in stays[:depth]])
                _fills(nest, term, access, key, route, inner, found, own)
                while (number, i, route.outside[-1]) in nest.stay_in:
                    route = route.further()
                    passing = f"{key}<{route.outside[-1]}"
                    _fills(nest, term, access, passing, route, inner, found, own)
            _to_units(nest, term, access, f"{number}.{i}", found, own)
    once = replace(nest, sync=0)
    for number, term in enumerate(nest.additions()):
        for i, access in enumerate(term):
            stays = nest.keeping(access.tensor)
            for (outer, _), (level, _) in pairwise(stays):
                route = Route(-1, 0, [outer])
                _fills(once, term, access, f"+{number}.{i}.{level}", route, (level, 0), found, [])
            _to_units(nest, term, access, f"+{number}.{i}", found, [])
    stays = nest.keeping(nest.result)
    for outer, inner in pairwise(stays):
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
    entries = [nest.found(term, access) for access in term]
    for at in nest.points(term):
        places = [access.place(at) for access in term]
        reads = [(a, p) for a, p in zip(term, places, strict=True) if a.absorbs]
        zero = {a.tensor for a, p in reads if not a.values.get(p)}
        here = tuple(at.values())
        pairs = zip(term, entries, strict=True)
        absent = {a.tensor for a, held in pairs if a.absorbs and here not in held}
        found["dense"] += 1
        if not nest.open(term, at):
            found["never_fetched"] += 1
            continue
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
            for i, access in enumerate(term):  # one is read to know that another is not there
                others = {a.tensor for a in term if not access.names_place_of(a)}
                found[f"{number}.{i}.reads"] += access.index and not absent & design.skip & others
            continue
        busy[nest.when(steps, at)][nest.pe(at)] += 1
        of_pe[nest.pe(at)] += 1
        gated = any(zero & conditions for _, conditions in design.gate)
        for i, name in [*enumerate(a.tensor for a in term), (-1, nest.result)]:
            others = {a.tensor for a in term if i < 0 or not term[i].names_place_of(a)}
            closed = any(
                name in targets and zero & conditions & others
                for targets, conditions in design.gate
            )
            found[f"{number}.{i}.reads"] += not closed
        if gated:
            found["gated"] += 1
        elif zero:
            found["ineffectual"] += 1
        else:
            found["effectual"] += 1
    for pes in busy.values():
        found["cycles"] += -(-max(pes.values()) * nest.cost(term) // design.multipliers)


def _fills(
    nest: Nest,
    term: list[Access],
    access: Access,
    key_of: str,
    route: Route,
    inner: tuple[str, int],
    found: Counter[str],
    leads: list[Lead],
) -> None:
    """What one level reads for the next to be filled, what arrives there, and the room for it.

    Counted in the format of either: ``read`` in that of the level outside, the rest in that of
    the level filled; ``.bits`` are metadata, and ``most`` bits of the largest tile.  Of a tile
    only that comes which was not in the tile of the iteration before, of the
    innermost loop at which it changes.  A
    tile does not come where a lead has shut it at this level or further out.  Of a level whose
    tiles spill, what passes it comes from further out, by a route of its own.
    """
    level, position = inner
    outer = route.outside[-1]
    above = set(nest.instances[level])
    fresh, streamed, has = nest.parts(term, access, level, position)
    levels = list(nest.instances)
    leads = [lead for lead in leads if levels.index(lead.level) <= levels.index(level)]
    moving = fresh and level not in nest.refilled
    first = next(iter(nest.passed(access.tensor, level)), outer)
    tiles: dict[Any, set[Place]] = defaultdict(set)
    for at in nest.points(term):
        place, key = access.place(at), (nest.when(fresh, at), nest.pe(at, above))
        taken = access.inside(place) and route.takes(nest, level, place)
        if taken and not any(lead.shut(at) for lead in leads):
            tiles[key].add(place)
    arrived: dict[Any, set[Place]] = defaultdict(set)
    served: dict[Any, set[Place]] = defaultdict(set)
    for key, places in tiles.items():
        wanted = places - tiles.get(before(key), set()) if moving else places
        when, here = key
        group = nest.readers(here, has, first)
        arrived[key] |= wanted
        served[when, group] |= wanted
    _through(nest, access, level, key_of, outer, served, found, has)
    room: dict[Any, set[Place]] = defaultdict(set)
    kept = [loop for loop in fresh if loop.name in has] + streamed
    twice = nest.at_a_time(fresh, streamed, nest.points(term))
    for at in nest.points(term):
        place = access.place(at)
        if access.inside(place) and nest.stays_in(route.number, route.i, level, place):
            room[nest.when(kept, at), nest.pe(at, above)].add(place)
    for at_level, what, sets in ((first, "read", served), (level, "arrived", arrived)):
        number = sum(nest.entries(access, at_level, places) for places in sets.values())
        found[f"{key_of}.{what}"] = number
        bits = sum(nest.bits(access, at_level, places) for places in sets.values())
        found[f"{key_of}.{what}.bits"] = bits
        for places in sets.values():
            fillers, fibers = nest.walked(access, at_level, places)
            found[f"{key_of}.{what}.fillers"] += fillers
            found[f"{key_of}.{what}.fibers"] += fibers
    found[f"{key_of}.most"] = twice * max(
        (
            access.width * nest.entries(access, level, places) + nest.bits(access, level, places)
            for places in room.values()
        ),
        default=0,
    )
    whole = not above and not any(loop.name in has for loop in fresh) and not access.gathered
    if whole and not route.spills(nest, level):
        times = len(
            {
                nest.when(fresh, at)
                for at in nest.points(term)
                if not any(lead.shut(at) for lead in leads)
            }
        )
        for name in (level, *nest.passed(access.tensor, level)):
            found[f"{key_of.removesuffix(level)}{name}.whole"] = times
        for places in room.values():
            fillers, fibers = nest.walked(access, level, places)
            found[f"{key_of}.walked.fillers"] += fillers
            found[f"{key_of}.walked.fibers"] += fibers


def _through(
    nest: Nest,
    access: Access,
    level: str,
    key_of: str,
    outer: str,
    served: dict[Any, set[Place]],
    found: Counter[str],
    has: set[str],
) -> None:
    """What comes to each level that an access passes on its way to ``level``.

    served : what one read of the innermost of them serves, by the time and the PEs.
    """
    way = nest.passed(access.tensor, level)
    for passed, further in pairwise([*way, outer]) if way else ():
        key = f"{key_of.removesuffix(level)}{passed}"
        queued: dict[Any, set[Place]] = defaultdict(set)
        for (when, here), places in served.items():
            queued[when, nest.queued(here, has, passed, further)] |= places
        words = nest.words[access.tensor, passed]
        for level_at, what, sets in ((passed, "arrived", served), (further, "read", queued)):
            came = sum(nest.entries(access, level_at, places) for places in sets.values())
            found[f"{key}.{what}"] = came
            bits = sum(nest.bits(access, level_at, places) for places in sets.values())
            found[f"{key}.{what}.bits"] = bits
            for places in sets.values():
                fillers, fibers = nest.walked(access, level_at, places)
                found[f"{key}.{what}.fillers"] += fillers
                found[f"{key}.{what}.fibers"] += fibers
        found[f"{key}.most"] = words
        served = queued


def _to_units(
    nest: Nest,
    term: list[Access],
    access: Access,
    key: str,
    found: Counter[str],
    leads: list[Lead],
) -> None:
    """The same of a tensor that passes the innermost level: at each iteration of all loops that has
    a point to do, what its points need comes."""
    level = nest.stays[access.tensor][-1][0]
    if (access.tensor, level) not in nest.words:
        return
    outside = nest.keeping(access.tensor)[-1][0]
    loops, every = nest.outside(len(nest.loops), nest.ranks(term)), len(nest.loops)
    _, has = nest.fresh(every, nest.ranks(term), access.names(), level)
    served: dict[Any, set[Place]] = defaultdict(set)
    every_point = nest.points(term)
    done = {(nest.when(loops, at), nest.pe(at)) for at in every_point if nest.open(term, at)}
    for at in every_point:
        place, here = access.place(at), (nest.when(loops, at), nest.pe(at))
        if access.inside(place) and here in done and not any(lead.shut(at) for lead in leads):
            served[here].add(place)
    _through(nest, access, "", f"{key}.", outside, served, found, has)


def _drains(
    nest: Nest, outer: tuple[str, int], inner: tuple[str, int], found: Counter[str]
) -> None:
    """Entries of the result that leave a level, that are in it, and that are outside it."""
    level, position = inner
    own = nest.target_ranks()
    work = nest.work()
    loops = [nest.fresh(position, nest.ranks(term), own, level)[0] for term in work]
    drained: dict[Any, set[Place]] = defaultdict(set)
    resident: dict[Any, set[Place]] = defaultdict(set)
    outside: dict[Any, set[Place]] = defaultdict(set)
    room: dict[Any, set[Place]] = defaultdict(set)
    idle = not any(nest.points(term) for term in work)
    initial = nest.initial() if idle else []
    for number, term in enumerate(work):
        for at in nest.sums(term) if idle else nest.points(term):
            place = nest.written(at)
            here = nest.pe(at, set(nest.instances[level]))
            when = (number, nest.when(loops[number], at)) if any(loops) else ()
            room[when, here].add(place)
            if idle and (number or at not in initial):
                continue
            drained[when, here].add(place)
            resident[here].add(place)
            outside[nest.pe(at, set(nest.instances[outer[0]]))].add(place)
    found[f"{level}.drained"] = sum(map(len, drained.values()))
    found[f"{level}.resident"] = sum(map(len, resident.values()))
    found[f"{level}.outside"] = sum(map(len, outside.values()))
    twice = max(
        (
            nest.at_a_time(fresh, [], nest.sums(term) if idle else nest.points(term))
            for fresh, term in zip(loops, work, strict=True)
        ),
        default=1,
    )
    found[f"{level}.room"] = twice * max(map(len, room.values()), default=0)

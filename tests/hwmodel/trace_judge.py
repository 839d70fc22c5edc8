"""The judge of accesses to fibers: walks the nest point by point, in plain Python.

It imports nothing of zeroskip.  What an access brings is counted in whole lines, bit by bit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby, pairwise, product
from typing import Any

from fiber_judges import cached
from mapped_nest import Nest, before
from nest_parts import Access, Design, Here, Loop, Place, Point
from simulator import Lead, leads_of

Trace = list[tuple[Place, Place]]


@dataclass
class Lying:
    """How a tensor lies in a memory: its axes in order, the last ``inner`` of them along a fiber.

    listed : only fibers that hold something are named, by a coordinate of ``top`` bits each.
    packed : only entries are there, with a coordinate of ``bits`` each; else every place is.
    """

    order: list[int]
    inner: int
    packed: bool
    listed: bool
    top: int
    bits: int
    value: int

    def key(self, place: Place) -> Place:
        return tuple(place[a] for a in self.order[: len(self.order) - self.inner])

    def fibers(self, access: Access) -> dict[Place, list[Place]]:
        """What each fiber holds, in order, fibers in order too."""
        outer, inner = self.order[: len(self.order) - self.inner], self.order[-self.inner :]
        found: dict[Place, list[Place]] = {}
        for key in product(*(range(access.shape[a]) for a in outer)):
            found[key] = []
            for along in product(*(range(access.shape[a]) for a in inner)):
                at = dict(zip([*outer, *inner], [*key, *along], strict=True))
                place = tuple(at[a] for a in range(len(at)))
                if not self.packed or place in access.stored:
                    found[key].append(place)
        return found


def up(fields: int, bits: int, line: int) -> int:
    return -(-fields * bits // line) * line


def pointers(places: list[int], width: int, line: int) -> int:
    """Bits of the lines that hold a bit of these pointers."""
    return line * len({bit // line for p in places for bit in range(width * p, width * (p + 1))})


def in_time(nest: Nest, term: list[Access]) -> list[Loop]:
    """All loops of a term as if in time, without those of one iteration."""
    ranks = set(nest.ranks(term))
    timed = [replace(loop, pes=0) for loop in nest.loops if set(loop.ranks) <= ranks]
    return [loop for loop in timed if loop.iterations(nest.extents) > 1]


def trace(
    nest: Nest, design: Design, term: list[Access], number: int, lying: Lying
) -> tuple[Trace, bool]:
    """Times and fibers of the accesses to one operand; whether another one says which."""
    access, loops = term[number], in_time(nest, term)
    codes = [access.codes[a] for a in lying.order]
    outer = {n for code in codes[: len(codes) - lying.inner] for n in code.co_names}
    along = {n for code in codes[len(codes) - lying.inner :] for n in code.co_names} - outer
    depth = len(loops)
    while depth and loops[depth - 1].rank not in outer | along:
        depth -= 1
    while depth and loops[depth - 1].rank in along:
        depth -= 1
    told = {loop.rank for loop in loops[:depth]}
    others = [
        other
        for i, other in enumerate(term)
        if i != number and other.absorbs and other.tensor in design.skip and other.names() & told
    ]
    comes = called(nest, design, term, number)

    def when(at: Point) -> Place:
        return nest.when(loops[:depth], at)

    found: Trace = []
    for time, group in groupby(sorted(nest.points(term), key=when), when):
        points = list(group)
        touched = {access.place(at) for at in points}
        keys = {lying.key(place) for place in touched if access.inside(place)}
        known = all(any(o.place(at) in o.stored for at in points) for o in others)
        if not keys or not known or not any(nest.open(term, at) and comes(at) for at in points):
            continue
        (key,) = keys
        found.append((time + (-1,) * (len(loops) - depth) + (number,), key))
    return found, any(other.names() & outer for other in others)


def called(
    nest: Nest, design: Design, term: list[Access], number: int, level: str = ""
) -> Callable[[Point], bool]:
    """Whether the tiles of an access at a point come: into a level, or where the units are."""
    levels = list(nest.instances)
    deepest = levels.index(level or levels[-1])
    leads = [lead for lead in leads_of(nest, design, term) if lead.follower == number]
    leads = [lead for lead in leads if levels.index(lead.level) <= deepest]
    return lambda at: not any(lead.shut(at) for lead in leads)


def of_tiles(
    nest: Nest, design: Design, term: list[Access], number: int, lying: Lying, cache: str
) -> Trace | None:
    """The same where a level between the cache and the PEs is filled, or passed: each tile as it
    comes, its fibers in order.  None where there is no such level."""
    access, loops, local = term[number], in_time(nest, term), list(nest.instances)[-1]
    names = [level for level, _ in nest.stays[access.tensor]]
    if names[names.index(cache) + 1] == local:
        return None
    kept = nest.keeping(access.tensor)
    further = kept[[level for level, _ in kept].index(cache) + 1 :]
    ranks = nest.ranks(term)
    found: set[tuple[Place, Place]] = set()
    passed: list[str] = []
    for depth, (level, position) in enumerate(further or [("", len(nest.loops))]):
        above = set(nest.instances[level or local])
        fresh, has = nest.fresh(position, ranks, access.names(), level or local)
        fresh = fresh if level else nest.outside(position, ranks)
        way = [*nest.passed(access.tensor, level), cache]
        comes = called(nest, design, term, number, level)
        there = [at for at in nest.points(term) if comes(at) and (level or nest.open(term, at))]
        came = {(nest.when(fresh, at), nest.pe(at, above)) for at in there}
        for at in nest.points(term):
            place = access.place(at)
            here = nest.pe(at, above)
            taken = nest.stays_in(0, number, level, place)
            taken &= not any(nest.stays_in(0, number, other, place) for other in passed)
            if taken and access.inside(place) and (nest.when(fresh, at), here) in came:
                told = {loop.name: loop.at(at, nest.extents) for loop in fresh}
                here = nest.readers(here, has, way[0]) if level else here
                for inner, outer in pairwise(way):
                    here = nest.queued(here, has, inner, outer)
                told |= dict(here)
                time = tuple(told.get(loop.name, -1) for loop in loops)
                found.add(((*time, number, depth), lying.key(place)))
        if (0, number, level) not in nest.stay_in:
            break
        passed.append(level)
    fibers = list(lying.fibers(access))
    return sorted(found, key=lambda one: (one[0], fibers.index(one[1])))


def through_cache(
    nest: Nest,
    lyings: dict[str, Lying],
    design: Design,
    lines: dict[str, Any],
    capacity: int,
    policy: str,
    cache: str = "GLB",
) -> dict[str, Counter[str]]:
    """What is read of each operand that the cache keeps: entries, bits of data and of metadata."""
    (term,) = nest.terms
    line, width = lines["read_bits"], lines["pointer_bits"]
    held = {access.tensor: lyings[access.tensor].fibers(access) for access in term}
    asked = replayed(nest, lyings, design, lines, capacity, policy, cache)
    kept = {access.tensor for access in term if cache in dict(nest.keeping(access.tensor))}
    found = {tensor: Counter[str]() for tensor in kept}
    for _, t, key, missed in asked:
        if missed:
            entries, lying = len(held[t][key]), lyings[t]
            found[t]["entries"] += entries
            found[t]["data"] += up(entries, lying.value, line)
            found[t]["metadata"] += up(entries, bits_of(lying), line)
    for t in found:
        keys = {key for _, tensor, key, _ in asked if tensor == t}
        found[t]["metadata"] += heads(lyings[t], held[t], keys, lines, width)
    return found


def replayed(
    nest: Nest,
    lyings: dict[str, Lying],
    design: Design,
    lines: dict[str, Any],
    capacity: int,
    policy: str,
    cache: str = "GLB",
) -> list[tuple[Place, str, Place, bool]]:
    """Times, tensors and fibers of all accesses to a cache, and whether these are not there.  All
    of the one term go through it, but for those of which no fiber is asked for twice."""
    (term,) = nest.terms
    line = lines["read_bits"]
    kept = {access.tensor for access in term if cache in dict(nest.keeping(access.tensor))}
    asked: dict[str, Trace] = {tensor: [] for tensor in kept}
    held = {access.tensor: lyings[access.tensor].fibers(access) for access in term}
    for i, access in enumerate(term):
        if access.tensor not in kept:
            continue
        lying = lyings[access.tensor]
        made, led = trace(nest, design, term, i, lying)
        tiles = of_tiles(nest, design, term, i, lying, cache)
        made, led = (made, led) if tiles is None else (tiles, False)
        if lying.listed and not led:
            made = [(time, key) for time, key in made if held[access.tensor][key]]
        asked[access.tensor] += made
    again = {t: len({key for _, key in made}) < len(made) for t, made in asked.items()}
    every = sorted((time, t, key) for t, made in asked.items() if again[t] for time, key in made)
    names = sorted({(t, key) for _, t, key in every})
    sizes = []
    for t, key in names:
        entries, lying = len(held[t][key]), lyings[t]
        sizes.append(up(entries, lying.value, line) + up(entries, bits_of(lying), line))
    order = [names.index((t, key)) for _, t, key in every]
    missed = cached(order, sizes, capacity, policy)
    found = [(*one, bool(miss)) for one, miss in zip(every, missed, strict=True)]
    passing = [(time, t, key, True) for t in asked if not again[t] for time, key in asked[t]]
    return sorted([*found, *passing])


def by_tiles(
    nest: Nest, design: Design, number: int, lying: Lying, lines: dict[str, Any]
) -> Counter[str]:
    """What is read of one operand off chip, where the mapping brings it by tiles, or whole."""
    (term,) = nest.terms
    access, line = term[number], lines["read_bits"]
    home, *inside = nest.keeping(access.tensor)
    held = lying.fibers(access)
    found: Counter[str] = Counter()
    leads = [lead for lead in leads_of(nest, design, term) if lead.follower == number]
    passed: list[str] = []
    units = not inside and len(nest.stays[access.tensor]) > 1
    for level, position in [*inside, *([("", len(nest.loops))] if units else [])]:
        tiles = _tiles_of(nest, term, number, (level, position), passed, leads)
        for places in _read_at(nest, access, (level, position), home[0], tiles.comes):
            for fiber in held.values():
                mine = [i for i, place in enumerate(fiber) if place in places]
                found["entries"] += len(mine)
                found["data"] += pointers(mine, lying.value, line)
                found["metadata"] += pointers(mine, bits_of(lying), line) if lying.packed else 0
        if not passed:
            found += _once(lying, held, lines, tiles)
        if (0, number, level) not in nest.stay_in:
            break
        passed.append(level)
    return found


@dataclass
class Tiles:
    """Places that come with each tile, by the time and the PEs; those that it touches, too.

    whole : how often all of the tensor comes in their place.
    """

    comes: dict[Any, set[Place]]
    touched: set[Place]
    whole: int


def _tiles_of(
    nest: Nest,
    term: list[Access],
    number: int,
    stay: tuple[str, int],
    passed: list[str],
    leads: list[Lead],
) -> Tiles:
    """Of a level, or of the units.  passed : levels outside it that do not keep what comes."""
    (level, position), access = stay, term[number]
    local, levels = list(nest.instances)[-1], list(nest.instances)
    above = set(nest.instances[level or local])
    fresh, has = nest.fresh(position, nest.ranks(term), access.names(), level or local)
    if not level:
        fresh = nest.outside(position, nest.ranks(term))
    last = levels.index(level or local)
    mine = [lead for lead in leads if levels.index(lead.level) <= last]
    points = [at for at in nest.points(term) if not any(lead.shut(at) for lead in mine)]
    spills = passed or (0, number, level) in nest.stay_in
    if not above and not access.gathered and not any(x.name in has for x in fresh) and not spills:
        return Tiles({}, set(), len({nest.when(fresh, at) for at in points}))

    def tile(at: Point) -> tuple[Place, Here]:
        return nest.when(fresh, at), nest.pe(at, above)

    done = {tile(at) for at in points if nest.open(term, at)}
    found: dict[Any, set[Place]] = {}
    touched = set()
    for at in points:
        place = access.place(at)
        if access.inside(place) and (level or tile(at) in done):
            touched.add(place)
            if nest.stays_in(0, number, level, place) and not any(
                nest.stays_in(0, number, other, place) for other in passed
            ):
                found.setdefault(tile(at), set()).add(place)
    moves = level and fresh and level not in nest.refilled
    gone = {key: found.get(before(key), set()) if moves else set() for key in found}
    return Tiles({key: places - gone[key] for key, places in found.items()}, touched, 0)


def _read_at(
    nest: Nest, access: Access, stay: tuple[str, int], home: str, tiles: dict[Any, set[Place]]
) -> list[set[Place]]:
    """What each read of a level brings of these tiles of another, through those between."""
    (level, position), ranks = stay, list(nest.extents)
    has = nest.fresh(position, ranks, access.names(), level or list(nest.instances)[-1])[1]
    way = [*nest.passed(access.tensor, level), home]
    served: dict[Any, set[Place]] = {}
    for (when, here), places in tiles.items():
        group = nest.readers(here, has, way[0]) if level else here
        served.setdefault((when, group), set()).update(places)
    for inner, outer in pairwise(way):
        queued: dict[Any, set[Place]] = {}
        for (when, here), places in served.items():
            group = nest.queued(here, has, inner, outer)
            queued.setdefault((when, group), set()).update(places)
        served = queued
    return list(served.values())


def _once(
    lying: Lying, held: dict[Place, list[Place]], lines: dict[str, Any], tiles: Tiles
) -> Counter[str]:
    """What is read once of fibers that tiles touch, or as often as all of a tensor comes."""
    found: Counter[str] = Counter()
    line, width = lines["read_bits"], lines["pointer_bits"]
    keys = {lying.key(place) for place in tiles.touched}
    for fiber, entries in ((key, len(places)) for key, places in held.items() if tiles.whole):
        keys.add(fiber)
        found["entries"] += tiles.whole * entries
        found["data"] += tiles.whole * up(entries, lying.value, line)
        found["metadata"] += tiles.whole * up(entries, bits_of(lying), line)
    asked = {key for key in keys if held[key] or not lying.listed}
    if keys:
        found["metadata"] += max(tiles.whole, 1) * heads(lying, held, asked, lines, width)
    return found


def bits_of(lying: Lying) -> int:
    return lying.bits if lying.packed else 0


def heads(
    lying: Lying,
    held: dict[Place, list[Place]],
    asked: set[Place],
    lines: dict[str, Any],
    width: int,
) -> int:
    """Bits of pointers, and of the list of fibers."""
    if not lying.packed or len(lying.order) == lying.inner:
        return 0
    keys = list(held)
    places, bits = [keys.index(key) for key in asked], 0
    if lying.listed:
        full = [keys.index(key) for key in keys if held[key]]
        places = [sum(place < at for place in full) for at in places]
        bits = up(len(full), lying.top, lines["read_bits"]) if lines["lists"] == "read" else 0
    return bits + pointers(places, width, lines["read_bits"])

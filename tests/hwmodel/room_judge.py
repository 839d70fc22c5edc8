"""The judge of room: what is in a level at each point of the nest, added up over all tensors.

It imports nothing of zeroskip.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from itertools import product
from typing import Any

from mapped_nest import Nest
from nest_parts import Access, Place, Point


class Tile:
    """The bits of each tile of one tensor, by what names it at a point; ``times`` of it at once."""

    def __init__(self, name: Callable[[Point], Any], times: int = 1) -> None:
        self.name, self.times, self.bits = name, times, defaultdict[Any, int](int)

    def at(self, at: Point) -> int:
        return self.times * self.bits[self.name(at)]

    def most(self) -> int:
        return self.times * max(self.bits.values(), default=0)


def needed(nest: Nest, level: str, shape: Place, result: int, home: int, fixed: int) -> int:
    """The most bits in one instance of a level at a time.

    shape : of the result.
    result : bits of a place of the result there; 0 where it takes no room.
    home : the same where it is there at the end.
    fixed : what is there at any time.
    """
    most = 0
    for number, term in enumerate(nest.work()):
        tiles = [
            _operand(nest, number, i, level)
            for i, access in enumerate(term)
            if level in dict(nest.keeping(access.tensor)[1:])
        ]
        if result:
            tiles.append(_result(nest, term, level, result))
        tiles += _homes(nest, term, level, home, shape)
        adding = [(one, access) for one in nest.additions() for access in one]
        tiles += [
            _added(nest, term, one, access, level)
            for one, access in adding
            if level in dict(nest.keeping(access.tensor)[1:])
        ]
        words = sum(
            nest.words[access.tensor, level]
            * (access.width + nest.tree(access.tensor, level).look_up)
            for access in [*term, *(access for one, access in adding if nest.points(one))]
            if (access.tensor, level) in nest.words
        )
        points = nest.points(term)
        if not points:
            sums = sum(tile.most() for tile in tiles)
        else:
            sums = max(sum(tile.at(at) for tile in tiles) for at in points)
        most = max(most, fixed + words + sums)
    return most


def _operand(nest: Nest, number: int, i: int, level: str) -> Tile:
    term = nest.work()[number]
    access = term[i]
    position = dict(nest.stays[access.tensor])[level]
    fresh, streamed, has = nest.parts(term, access, level, position)
    kept = [loop for loop in fresh if loop.name in has] + streamed
    above = set(nest.instances[level])

    def name(at: Point) -> Any:
        return nest.when(kept, at), nest.pe(at, above)

    points = nest.points(term)
    found = Tile(name, nest.at_a_time(fresh, streamed, points))
    there: dict[Any, set[Place]] = defaultdict(set)
    for at in points:
        place = access.place(at)
        if access.inside(place) and nest.stays_in(number, i, level, place):
            there[name(at)].add(place)
    for key, places in there.items():
        found.bits[key] = bits_of(nest, access, places, level)
    return found


def _added(nest: Nest, term: list[Access], one: list[Access], access: Access, level: str) -> Tile:
    """What is added once is in each instance at all times, all that any of its points there need;
    of loops across PEs that the term which runs does not have, the most along them."""
    above = set(nest.instances[level])
    ranks = set(nest.ranks(term))
    mine = [loop.name for loop in nest.loops if set(loop.ranks) <= ranks]
    there: dict[Any, set[Place]] = defaultdict(set)
    for at in nest.points(one):
        place = access.place(at)
        if access.inside(place):
            there[nest.pe(at, above)].add(place)

    def name(at: Point) -> Any:
        return tuple((loop, pe) for loop, pe in nest.pe(at, above) if loop in mine)

    found = Tile(name)
    for here, places in there.items():
        key = tuple((loop, pe) for loop, pe in here if loop in mine)
        found.bits[key] = max(found.bits[key], bits_of(nest, access, places, level))
    return found


def bits_of(nest: Nest, access: Access, places: set[Place], level: str) -> int:
    values = access.width * nest.entries(access, level, places)
    return values + nest.bits(access, level, places)


def _cost(nest: Nest, access: Access, level: str, places: set[Place]) -> int:
    return bits_of(nest, access, places, level)


def _result(nest: Nest, term: list[Access], level: str, bits: int) -> Tile:
    position = dict(nest.stays[nest.result])[level]
    work = nest.work()
    loops = [nest.fresh(position, nest.ranks(t), nest.target_ranks(), level)[0] for t in work]
    fresh = loops[next(i for i, one in enumerate(work) if one is term)]
    above = set(nest.instances[level])
    idle = not any(nest.points(t) for t in work)
    twice = max(
        nest.at_a_time(one, [], nest.sums(t) if idle else nest.points(t))
        for one, t in zip(loops, work, strict=True)
    )

    def name(at: Point) -> Any:
        return nest.when(fresh, at), nest.pe(at, above)

    found = Tile(name, twice)
    there: dict[Any, set[Place]] = defaultdict(set)
    for at in nest.sums(term) if idle else nest.points(term):
        there[name(at)].add(nest.written(at))
    found.bits.update({key: bits * len(places) for key, places in there.items()})
    return found


def _homes(nest: Nest, term: list[Access], level: str, home: int, shape: Place) -> list[Tile]:
    """What the level has from the start, or at the end, whole or by tiles."""
    found = []
    for access in {a.tensor: a for one in nest.terms for a in one}.values():
        if nest.stays[access.tensor][0][0] == level:
            places = list(product(*map(range, access.shape)))
            cost = partial(_cost, nest, access, level)
            found.append(_at_home(nest, term, access.tensor, access.subscripts, places, cost))
    if nest.stays[nest.result][0][0] == level:
        places = list(product(*map(range, shape)))
        found.append(
            _at_home(nest, term, nest.result, nest.target, places, lambda tile: home * len(tile))
        )
    return found


def _at_home(
    nest: Nest,
    term: list[Access],
    tensor: str,
    subscripts: list[str],
    places: list[Place],
    cost: Callable[[set[Place]], int],
) -> Tile:
    """By the loops that the term has; of the others the largest tile."""
    loops = nest.outside(nest.stays[tensor][0][1], list(nest.extents))
    mine = [x for x in loops if set(x.ranks) <= set(nest.ranks(term))]
    every: dict[Any, set[Place]] = defaultdict(set)
    for place in places:
        at = {s: place[subscripts.index(s)] for s in subscripts}
        every[
            tuple(x.at(at, nest.extents) for x in mine),
            tuple(x.at(at, nest.extents) for x in loops),
        ].add(place)
    found = Tile(lambda at: tuple(x.at(at, nest.extents) for x in mine))
    for (key, _), tile in every.items():
        found.bits[key] = max(found.bits[key], cost(tile))
    return found

"""The judge of when results leave, and come back; and of when tiles come anew.

Like `simulator` it imports nothing of zeroskip, and is slow on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from epoch_log import Log, Machine, shared
from mapped_nest import Nest
from nest_parts import Access, Place, Point


def leave(
    nest: Nest,
    machine: Machine,
    outer: tuple[str, int],
    inner: tuple[str, int],
    visits: list[tuple[int, Point, list[Access]]],
    end: int,
    held: int,
    log: Log,
) -> int:
    """held : bits of a part in the level; those outside it are returned."""
    (parent, _), (level, position) = outer, inner
    own = nest.target_ranks()
    tiles: dict[Any, set[Place]] = defaultdict(set)
    span: dict[Any, tuple[int, int]] = {}
    around: dict[Any, Any] = {}
    within: set[int] = set()
    pieces = False
    busy = any(nest.points(term) for term in nest.work())
    for epoch, at, term in visits:
        fresh, _, _, inside = fresh_of(nest, position, level, term, own)
        pieces = pieces or bool(fresh)
        if inside and busy:
            within.add(epoch)
        key = (nest.number(term), nest.when(fresh, at)), nest.pe(at, set(nest.instances[level]))
        tiles[key].add(nest.written(at))
        low, high = span.get(key[0], (epoch, epoch))
        span[key[0]] = min(low, epoch), max(high, epoch)
        around[key] = nest.pe(at, set(nest.instances[parent]))
    if not pieces:
        around = {(((), ()), here): beyond for (_, here), beyond in around.items()}
        tiles = _together(tiles)
        span = {when: (end, end) for when, _ in tiles}
    beside = within if machine.double else set()
    load = {epoch: "work" if epoch in beside else "load" for epoch in range(end + 1)}
    drain = {epoch: "work" if epoch in beside else "drain" for epoch in range(end + 1)}
    here: set[Any] = set()
    outside: set[Any] = set()
    final: dict[Place, int] = {}
    events = []
    for key in sorted(tiles, key=lambda key: (span[key[0]], key)):
        for place in tiles[key]:
            returns = (key[1], place) in here
            merges = not returns and (around[key], place) in outside
            here.add((key[1], place))
            outside.add((around[key], place))
            events.append((span[key[0]], place, returns, merges))
            final[place] = span[key[0]][1]
    partial = sum(returns or merges for _, _, returns, merges in events)
    last = parent == nest.stays[nest.result][0][0]
    width = machine.wide if partial else machine.value
    closed: set[Place] = set()
    weights: dict[int, int] = dict.fromkeys((high for (_, high), *_ in events), 0)
    for (low, high), place, returns, merges in events:
        if returns:
            log.write(load[low], level, low, machine.wide)
            log.read(load[low], parent, low, machine.wide)
        if merges:
            log.read(drain[high], parent, high, machine.wide)
        for passed in nest.passed(nest.result, level):
            for put in (log.read, log.write):
                put(drain[high], passed, high, width)
                put(load[low], passed, low, returns * machine.wide)
        ends = final[place] == high and place not in closed
        if last and ends:
            closed.add(place)
            weights[high] += 1
        if not last or not ends:
            log.write(drain[high], parent, high, width)
        if not (last and level != machine.local):
            log.read(drain[high], level, high, held)
        elif not ends:
            log.read(drain[high], level, high, machine.wide)
    if last:
        weights = weights or {end: 0}
        if machine.lines and machine.lines.result:
            for epoch, data, metadata in machine.lines.written(final, end):
                log.write(drain[epoch], parent, epoch, data, metadata, True)
        else:
            shared(weights, machine.stored, lambda e, d, m: log.write(drain[e], parent, e, d, m))
        if level != machine.local:
            bits = machine.size * machine.value, 0
            shared(weights, bits, lambda e, d, m: log.read(drain[e], level, e, d, m))
    return width


def _together(tiles: dict[Any, set[Place]]) -> dict[Any, set[Place]]:
    """Tiles of all terms that stay until the end are one in each instance."""
    found: dict[Any, set[Place]] = defaultdict(set)
    for (_, here), places in tiles.items():
        found[((), ()), here] |= places
    return found


def fresh_of(
    nest: Nest, position: int, level: str, term: list[Access], own: set[str]
) -> tuple[Any, set[str], bool, bool]:
    """Loops at whose iterations a tile comes anew, those that tell it, whether there are others
    directly outside the mark, and whether it comes within an epoch."""
    ranks = nest.ranks(term)
    fresh, has = nest.fresh(position, ranks, own, level)
    steps = nest.outside(nest.sync, ranks)
    inside = any(all(loop is not step for step in steps) for loop in fresh)
    return fresh, has, len(fresh) < len(nest.outside(position, ranks)), inside

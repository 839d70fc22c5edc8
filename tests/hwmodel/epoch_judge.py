"""The judge of time: walks a mapped nest epoch by epoch, and keeps what every level holds.

Like `simulator` it imports nothing of zeroskip, and is slow on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise
from math import prod
from typing import Any

from epoch_log import Log, Machine, columns
from mapped_nest import Access, Design, Loop, Nest, Place, Point, before
from simulator import Lead, leads_of


def times(nest: Nest, design: Design, machine: Machine) -> tuple[list[int], int]:
    """Cycles of every epoch, or of every column of the pipeline; and those that one more run of the
    layer takes, after others."""
    log, number = _walked(nest, design, machine)
    once = columns(machine, log, number)
    if not machine.double:
        return once, sum(once)
    runs = [sum(once)] if number > 1 else []  # of one epoch, three runs are side by side
    for many in (2,) if number > 1 else (3, 4):
        more = Log()
        for run in range(many):
            for (phase, level, epoch), moved in log.bits.items():
                more.bits[phase, level, epoch + run * number] = moved
            for (phase, level, epoch), coded in log.coded.items():
                more.coded[phase, level, epoch + run * number] = coded
            for epoch, done in log.compute.items():
                more.compute[epoch + run * number] = done
        runs.append(sum(columns(machine, more, many * number)))
    return once, runs[1] - runs[0]


def _walked(nest: Nest, design: Design, machine: Machine) -> tuple[Log, int]:
    """What moves and is done in every epoch, and how many there are."""
    log = Log()
    start = 0
    come: set[tuple[str, str, str]] = set()
    visits: list[tuple[int, Point, list[Access]]] = []
    for term in nest.work():
        if not nest.points(term):
            continue
        ranks = nest.ranks(term)
        steps = nest.outside(nest.sync, ranks)
        order = sorted({nest.when(steps, at) for at in nest.points(term)})
        epoch_of = {when: start + number for number, when in enumerate(order)}
        epochs = [(epoch_of[nest.when(steps, at)], at) for at in nest.points(term)]
        leads = leads_of(nest, design, term)
        _work(nest, design, machine, term, epochs, leads, log)
        for i, access in enumerate(term):
            own = [lead for lead in leads if lead.follower == i]
            for outer, inner in pairwise(nest.stays[access.tensor]):
                called = _called(nest, term, own, inner[0])
                _come(nest, machine, term, access, outer, inner, epochs, called, log, come, start)
        visits += [(epoch, at, term) for epoch, at in epochs]
        start += len(order)
    if not start:  # nothing to do: all of the result leaves after one epoch all the same
        visits = [(0, at, nest.work()[0]) for at in nest.initial()]
        start = 1
    for term in nest.additions():
        if nest.points(term):  # else nobody needs its operand
            _add(nest, machine, term, log, come)
    held = machine.wide
    for outer, inner in reversed(list(pairwise(nest.stays[nest.result]))):
        held = _leave(nest, machine, outer, inner, visits, start - 1, held, log)
    return log, start


def _work(
    nest: Nest,
    design: Design,
    machine: Machine,
    term: list[Access],
    epochs: list[tuple[int, Point]],
    leads: list[Lead],
    log: Log,
) -> None:
    busy: dict[int, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
    for epoch, at in epochs:
        if not nest.open(term, at):
            continue
        closed_by = next((lead for lead in leads if lead.shut(at)), None)
        if closed_by is not None:
            busy[epoch][nest.pe(at)] += closed_by.gates
            continue
        places = [access.place(at) for access in term]
        reads = [(a, p) for a, p in zip(term, places, strict=True) if a.absorbs]
        zero = {a.tensor for a, p in reads if not a.values.get(p)}
        absent = {a.tensor for a, p in reads if not a.held(p, nest.stays[a.tensor][-1][0])}
        if absent & design.skip:
            for access in term:
                others = {a.tensor for a in term if not access.names_place_of(a)}
                if access.index and not absent & design.skip & others:
                    level = nest.stays[access.tensor][-1][0]
                    look_up = nest.tree(access.tensor, level).look_up
                    log.read("work", level, epoch, access.width, look_up)
            continue
        busy[epoch][nest.pe(at)] += 1
        closed = [targets for targets, conditions in design.gate if zero & conditions]
        for access in term:
            level = nest.stays[access.tensor][-1][0]
            others = {a.tensor for a in term if not access.names_place_of(a)}
            gates = [targets for targets, by in design.gate if zero & by & others]
            if not any(access.tensor in targets for targets in gates):
                log.read(
                    "work", level, epoch, access.width, nest.tree(access.tensor, level).look_up
                )
        if not any(nest.result in targets for targets in closed):
            level = nest.stays[nest.result][-1][0]
            log.read("work", level, epoch, machine.wide)
            log.write("work", level, epoch, machine.wide)
    if design.lanes:
        for epoch, turns in _vectors(nest, design, term, epochs).items():
            log.compute[epoch] = turns
        return
    each = nest.cost(term)
    for epoch, pes in busy.items():
        log.compute[epoch] = -(-max(pes.values()) * each // design.multipliers)


def _vectors(
    nest: Nest, design: Design, term: list[Access], epochs: list[tuple[int, Point]]
) -> dict[int, int]:
    """Turns of the slowest PE in each epoch, of a term whose accesses are plain ranks: entries of
    one PE, and of one place of the ranks that all operands have, form vectors; any two of them
    meet."""
    common = set.intersection(*(access.names() for access in term))
    cells: dict[Any, dict[str, set[Place]]] = defaultdict(lambda: defaultdict(set))
    for epoch, at in epochs:
        key = epoch, nest.pe(at), tuple((rank, at[rank]) for rank in sorted(common))
        for access in term:
            if access.held(access.place(at), nest.stays[access.tensor][-1][0]):
                cells[key][access.tensor].add(access.place(at))
    turns: dict[int, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
    for (epoch, pe, _), held in cells.items():
        turns[epoch][pe] += prod(
            -(-len(held[name]) // width) for name, width in design.lanes.items()
        )
    return {epoch: max(pes.values()) for epoch, pes in turns.items()}


def _fresh(
    nest: Nest, position: int, level: str, term: list[Access], own: set[str]
) -> tuple[Any, set[str], bool, bool]:
    """Loops at whose iterations a tile comes anew, those that tell it, whether there are others
    directly outside the mark, and whether it comes within an epoch."""
    ranks = nest.ranks(term)
    fresh, has = nest.fresh(position, ranks, own, level)
    steps = nest.outside(nest.sync, ranks)
    inside = any(all(loop is not step for step in steps) for loop in fresh)
    return fresh, has, len(fresh) < len(nest.outside(position, ranks)), inside


def _come(
    nest: Nest,
    machine: Machine,
    term: list[Access],
    access: Access,
    outer: tuple[str, int],
    inner: tuple[str, int],
    epochs: list[tuple[int, Point]],
    called: set[Place],
    log: Log,
    come: set[tuple[str, str, str]],
    start: int,
) -> None:
    level, position = inner
    own, above = access.names(), set(nest.instances[level])
    fresh, has, stays, within = _fresh(nest, position, level, term, own)
    phase = "work" if within and machine.double else "load"
    tiles: dict[Any, dict[Place, int]] = defaultdict(dict)
    touched: dict[Any, set[Place]] = defaultdict(set)
    for _, at in epochs:
        touched[nest.when(fresh, at), nest.pe(at, above)].add(access.place(at))
    moving = bool(fresh) and level not in nest.refilled
    halo = moving and any(
        places & touched.get(before(key), set()) for key, places in touched.items()
    )
    parts: list[Loop] = []
    cut = above or any(loop.name in has for loop in fresh)
    trees = nest.tree(access.tensor, level), nest.tree(access.tensor, outer[0])
    encodes = nest.coded(access.tensor, level, outer[0])
    decodes = nest.coded(access.tensor, outer[0], level)
    if (
        not stays
        and not halo
        and not access.gathered
        and not (cut and any(tree.by_fiber for tree in trees))
    ):
        for loop in nest.in_time(nest.loops[position : nest.sync], nest.ranks(term)):
            if not all(map(access.alone, loop.ranks)):
                break
            parts.append(loop)
    first: dict[Any, int] = {}
    for epoch, at in epochs:
        key = nest.when(fresh, at), nest.when(parts, at)
        first[key] = min(first.get(key, epoch), epoch)
    for _, at in epochs:
        place = access.place(at)
        if access.inside(place) and tuple(at.values()) in called:
            when = first[nest.when(fresh, at), nest.when(parts, at)]
            tiles[nest.when(fresh, at), nest.pe(at, above)][place] = when
    whole = not above and not any(loop.name in has for loop in fresh)
    if whole and not access.gathered:
        if not tiles:
            return
        way = (outer[0], level, access.tensor)
        if way not in come:
            every = {place: when for tile in tiles.values() for place, when in tile.items()}
            weights: dict[int, int] = dict.fromkeys(sorted(set(first.values())), 0)
            for place, when in every.items():
                weights[when] += access.held(place, level)
            if not parts:
                weights = {start: 1}
            read, written = machine.whole(*way)
            _shared(weights, read, lambda e, d, m: log.read("load", outer[0], e, d, m))
            _shared(weights, written, lambda e, d, m: log.write("load", level, e, d, m))
            coded = sum(read) * decodes, sum(written) * encodes
            _shared(weights, coded, lambda e, d, m: log.code("load", (outer[0], level), e, d, m))
        come.add(way)
        return
    served, read = set(), set()
    for key, tile in tiles.items():
        when, here = key
        there = tiles.get(before(key), {}) if halo else {}
        group = nest.readers(here, has, outer[0])
        begins, fibers = min(tile.values()), nest.fibers(access, level, set(tile))
        log.write(phase, level, begins, 0, fibers, encodes)
        if level == nest.stays[access.tensor][-1][0]:  # they are walked once
            log.read("work", level, begins, 0, fibers)
        if (when, group) not in read:
            read.add((when, group))
            log.read(phase, outer[0], begins, 0, nest.fibers(access, outer[0], set(tile)), decodes)
        for place in tile.keys() - there.keys():
            epoch = tile[place]
            held, tree = access.held(place, level), trees[0]
            metadata = held * tree.entry + tree.spot
            log.write(phase, level, epoch, held * access.width, metadata, encodes)
            if (when, group, place) not in served:
                served.add((when, group, place))
                held, tree = access.held(place, outer[0]), trees[1]
                metadata = held * tree.entry + tree.spot
                log.read(phase, outer[0], epoch, held * access.width, metadata, decodes)


def _called(nest: Nest, term: list[Access], leads: list[Lead], level: str) -> set[Place]:
    """Points whose tile comes: no lead has shut it at this level or further out."""
    levels = list(nest.instances)
    shut = [lead for lead in leads if levels.index(lead.level) <= levels.index(level)]
    points = [tuple(at.values()) for at in nest.points(term)]
    return {at for at in points if not any(at in lead.closed for lead in shut)}


def _shared(
    weights: dict[int, int], bits: tuple[int, int], put: Callable[[int, int, int], None]
) -> None:
    """Bits spread over epochs by weights, through each so much as is full."""
    epochs = sorted(weights)
    every = sum(weights.values())
    if not every:
        put(epochs[-1], *bits)
        return
    through = 0
    gone = (0, 0)
    for epoch in epochs:
        through += weights[epoch]
        until = (bits[0] * through // every, bits[1] * through // every)
        put(epoch, until[0] - gone[0], until[1] - gone[1])
        gone = until


def _add(
    nest: Nest, machine: Machine, term: list[Access], log: Log, come: set[tuple[str, str, str]]
) -> None:
    """What is added is there before the first epoch."""
    points = nest.points(term)
    result = nest.stays[nest.result][-1][0]
    done = sum(nest.open(term, at) for at in points)
    log.read("load", result, 0, done * machine.wide)
    log.write("load", result, 0, done * machine.wide)
    for access in term:
        own = access.names()
        level = nest.stays[access.tensor][-1][0]
        look_up = nest.tree(access.tensor, level).look_up
        log.read("load", level, 0, done * access.width, done * look_up)
        for (outer, _), (inner, _) in pairwise(nest.stays[access.tensor]):
            above = set(nest.instances[inner])
            encodes = nest.coded(access.tensor, inner, outer)
            decodes = nest.coded(access.tensor, outer, inner)
            if not above and not access.gathered:
                if (outer, inner, access.tensor) not in come:
                    read, written = machine.whole(outer, inner, access.tensor)
                    log.read("load", outer, 0, *read)
                    log.write("load", inner, 0, *written)
                    coded = sum(read) * decodes, sum(written) * encodes
                    log.code("load", (outer, inner), 0, *coded)
                come.add((outer, inner, access.tensor))
                continue
            arrived: dict[Any, set[Place]] = defaultdict(set)
            served: dict[Any, set[Place]] = defaultdict(set)
            _, has = nest.fresh(0, nest.ranks(term), own, inner)
            for at in points:
                place = access.place(at)
                if not access.inside(place):
                    continue
                here = nest.pe(at, above)
                arrived[here].add(place)
                served[nest.readers(here, has, outer)].add(place)
            for found, at_level, put, codes in (
                (served, outer, log.read, decodes),
                (arrived, inner, log.write, encodes),
            ):
                for places in found.values():
                    held = sum(access.held(place, at_level) for place in places)
                    metadata = nest.bits(access, at_level, places)
                    put("load", at_level, 0, held * access.width, metadata, codes)
            if inner == level:
                for places in arrived.values():
                    log.read("load", inner, 0, 0, nest.fibers(access, inner, places))


def _leave(
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
    pieces, within = False, False
    busy = any(nest.points(term) for term in nest.work())
    for epoch, at, term in visits:
        fresh, _, _, inside = _fresh(nest, position, level, term, own)
        pieces, within = pieces or bool(fresh), within or (inside and busy)
        key = nest.when(fresh, at), nest.pe(at, set(nest.instances[level]))
        tiles[key].add(nest.written(at))
        low, high = span.get(key[0], (epoch, epoch))
        span[key[0]] = min(low, epoch), max(high, epoch)
        around[key] = nest.pe(at, set(nest.instances[parent]))
    if not pieces:
        span = dict.fromkeys(span, (end, end))
    load = "work" if within and machine.double else "load"
    drain = "work" if within and machine.double else "drain"
    here: set[Any] = set()
    outside: set[Any] = set()
    final: dict[Place, int] = {}
    events = []
    for key in sorted(tiles, key=lambda key: (span[key[0]], key[0])):
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
            log.write(load, level, low, machine.wide)
            log.read(load, parent, low, machine.wide)
        if merges:
            log.read(drain, parent, high, machine.wide)
        ends = final[place] == high and place not in closed
        if last and ends:
            closed.add(place)
            weights[high] += 1
        if not last or not ends:
            log.write(drain, parent, high, width)
        if not (last and level != machine.local):
            log.read(drain, level, high, held)
        elif not ends:
            log.read(drain, level, high, machine.wide)
    if last:
        weights = weights or {end: 0}
        _shared(weights, machine.stored, lambda e, d, m: log.write(drain, parent, e, d, m))
        if level != machine.local:
            bits = machine.size * machine.value, 0
            _shared(weights, bits, lambda e, d, m: log.read(drain, level, e, d, m))
    return width

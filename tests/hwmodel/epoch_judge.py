"""The judge of time: walks a mapped nest epoch by epoch, and keeps what every level holds.

Like `simulator` it imports nothing of zeroskip, and is slow on purpose.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

from epoch_log import Log, Machine, columns, shared
from leave_judge import fresh_of, leave
from line_epoch_judge import ask, read_tiles
from mapped_nest import Nest, before
from nest_parts import Access, Design, Loop, Place, Point
from simulator import Lead, Route, leads_of
from vector_judge import vectors


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
    nest = replace(nest, stepped=design.skip)
    start = 0
    come: set[tuple[str, str, str]] = set()
    visits: list[tuple[int, Point, list[Access]]] = []
    for number, term in enumerate(nest.work()):
        if not nest.points(term):
            continue
        ranks = nest.ranks(term)
        steps = nest.outside(nest.sync, ranks)
        order = sorted({nest.when(steps, at) for at in nest.points(term)})
        epoch_of = {when: start + late for late, when in enumerate(order)}
        epochs = [(epoch_of[nest.when(steps, at)], at) for at in nest.points(term)]
        leads = leads_of(nest, design, term)
        _work(nest, design, machine, term, epochs, leads, log)
        for i, access in enumerate(term):
            own = [lead for lead in leads if lead.follower == i]
            stays = nest.keeping(access.tensor)
            for depth, inner in enumerate(stays[1:], 1):
                route = Route(number, i, [level for level, _ in stays[:depth]])
                called = _called(nest, term, own, inner[0])
                every = nest, machine, term, access, inner, epochs, called, log, come, start
                _come(*every, route)
                while (number, i, route.outside[-1]) in nest.stay_in:
                    route = route.further()
                    _come(*every, route)
            _to_units(nest, machine, term, access, epochs, _called(nest, term, own, ""), log)
        if machine.lines and machine.lines.cache:
            ask(nest, design, machine.lines, term, epochs, machine.double, log)
        visits += [(epoch, at, term) for epoch, at in epochs]
        start += len(order)
    if not start:  # nothing to do: all of the result leaves after one epoch all the same
        visits = [(0, at, nest.work()[0]) for at in nest.initial()]
        start = 1
        if machine.lines and machine.lines.cache:  # but a list in which nobody finds a fiber
            ask(nest, design, machine.lines, nest.work()[0], [], machine.double, log)
    for term in nest.additions():
        if nest.points(term):  # else nobody needs its operand
            _add(nest, machine, term, log, come)
    held = machine.wide
    for outer, inner in reversed(list(pairwise(nest.keeping(nest.result)))):
        held = leave(nest, machine, outer, inner, visits, start - 1, held, log)
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
    entries = [nest.found(term, access) for access in term]
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
        here = tuple(at.values())
        pairs = zip(term, entries, strict=True)
        absent = {a.tensor for a, held in pairs if a.absorbs and here not in held}
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
        for epoch, turns in vectors(nest, design, term, epochs, leads).items():
            log.compute[epoch] = turns
        return
    each = nest.cost(term)
    for epoch, pes in busy.items():
        log.compute[epoch] = -(-max(pes.values()) * each // design.multipliers)


def _come(
    nest: Nest,
    machine: Machine,
    term: list[Access],
    access: Access,
    inner: tuple[str, int],
    epochs: list[tuple[int, Point]],
    called: set[Place],
    log: Log,
    come: set[tuple[str, str, str]],
    start: int,
    route: Route,
) -> None:
    (level, position), outer = inner, route.outside[-1]
    if machine.lines and machine.lines.asked(access.tensor, level):
        return
    own, above = access.names(), set(nest.instances[level])
    fresh, has, stays, within = fresh_of(nest, position, level, term, own)
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
    trees = [nest.tree(access.tensor, x) for x in ((level, outer) if cut else (level,))]
    if not stays and not halo and not access.gathered and not any(tree.by_fiber for tree in trees):
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
        taken = access.inside(place) and route.takes(nest, level, place)
        if taken and tuple(at.values()) in called:
            when = first[nest.when(fresh, at), nest.when(parts, at)]
            tiles[nest.when(fresh, at), nest.pe(at, above)][place] = when
    whole = not above and not any(loop.name in has for loop in fresh)
    way = [*nest.passed(access.tensor, level), outer]
    if whole and not access.gathered and not route.spills(nest, level):
        if not tiles:
            return
        every = {place: when for tile in tiles.values() for place, when in tile.items()}
        for into, out_of in pairwise([level, *way]):
            if (out_of, into, access.tensor) not in come:
                weights: dict[int, int] = dict.fromkeys(sorted(set(first.values())), 0)
                for place, when in every.items():
                    weights[when] += access.held(place, into)
                if not parts:
                    weights = {start: 1}
                read, written = machine.whole(out_of, into, access.tensor)
                shared(weights, read, partial(log.read, "load", out_of))
                shared(weights, written, partial(log.write, "load", into))
                decodes = nest.coded(access.tensor, out_of, into)
                encodes = nest.coded(access.tensor, into, out_of)
                coded = sum(read) * decodes, sum(written) * encodes
                shared(weights, coded, partial(log.code, "load", (out_of, into)))
                if into == nest.stays[access.tensor][-1][0]:
                    met = {access.place(at) for _, at in epochs}
                    there = {place for place in met if access.inside(place)}
                    fillers, fibers = nest.walked(access, into, there)
                    log.read("work", into, start, access.width * fillers, fibers)
            come.add((out_of, into, access.tensor))
        return
    served: dict[Any, dict[Place, int]] = defaultdict(dict)
    grouped = set()
    encodes = nest.coded(access.tensor, level, way[0])
    decodes = nest.coded(access.tensor, way[0], level)
    for key, tile in tiles.items():
        when, here = key
        there = tiles.get(before(key), {}) if halo else {}
        group = when, nest.readers(here, has, way[0])
        new = set(tile) - set(there)
        begins, fibers = min(tile.values()), nest.fibers(access, level, new)
        fillers = access.width * nest.fillers(access, level, new)
        log.write(phase, level, begins, fillers, fibers, encodes)
        if level == nest.stays[access.tensor][-1][0]:  # they are walked once
            fillers, fibers = nest.walked(access, level, new)
            log.read("work", level, begins, access.width * fillers, fibers)
        if group not in grouped:
            grouped.add(group)
            fillers = access.width * nest.fillers(access, way[0], new)
            fibers = nest.fibers(access, way[0], new)
            log.read(phase, way[0], begins, fillers, fibers, decodes)
        for place in tile.keys() - there.keys():
            log.write(phase, level, tile[place], *_entry(nest, access, level, place), encodes)
            served[group].setdefault(place, tile[place])
    if machine.lines and machine.lines.tiled(access.tensor, outer, level):
        read_tiles(machine.lines, access, phase, tiles, served, decodes, log)
        return
    _through(nest, access, [level, *way], phase, served, has, log)


def _entry(nest: Nest, access: Access, level: str, place: Place) -> tuple[int, int]:
    """Bits of a place in a level, and those of its metadata."""
    held, tree = access.held(place, level), nest.tree(access.tensor, level)
    return held * access.width, held * tree.entry + tree.spot


def _through(
    nest: Nest,
    access: Access,
    way: list[str],
    phase: str,
    served: dict[Any, dict[Place, int]],
    has: set[str],
    log: Log,
) -> None:
    """What is read, and comes through each level that is passed.

    way : the level that is filled, and from it outwards what it comes through, and what keeps it.
    served : what one read of the first of them serves, and in which epoch, by the time and the PEs.
    """
    for inner, level, outer in zip(way, way[1:], [*way[2:], ""], strict=False):
        decodes = nest.coded(access.tensor, level, inner)
        for places in served.values():
            for place, epoch in places.items():
                log.read(phase, level, epoch, *_entry(nest, access, level, place), decodes)
        if not outer:
            break
        encodes = nest.coded(access.tensor, level, outer)
        queued: dict[Any, dict[Place, int]] = defaultdict(dict)
        for (when, here), places in served.items():
            for place, epoch in places.items():
                log.write(phase, level, epoch, *_entry(nest, access, level, place), encodes)
            queued[when, nest.queued(here, has, level, outer)] |= places
        served = queued


def _to_units(
    nest: Nest,
    machine: Machine,
    term: list[Access],
    access: Access,
    epochs: list[tuple[int, Point]],
    called: set[Place],
    log: Log,
) -> None:
    """What comes to units, where the innermost level is passed: at each iteration of all loops that
    has a point to do, what its points need."""
    level = nest.stays[access.tensor][-1][0]
    if (access.tensor, level) not in nest.words:
        return
    loops, every = nest.outside(len(nest.loops), nest.ranks(term)), len(nest.loops)
    _, has = nest.fresh(every, nest.ranks(term), access.names(), level)
    steps = nest.outside(nest.sync, nest.ranks(term))
    phase = "work" if len(loops) > len(steps) and machine.double else "load"
    served: dict[Any, dict[Place, int]] = defaultdict(dict)
    done = {(nest.when(loops, at), nest.pe(at)) for _, at in epochs if nest.open(term, at)}
    for epoch, at in epochs:
        place, here = access.place(at), (nest.when(loops, at), nest.pe(at))
        if access.inside(place) and here in done and tuple(at.values()) in called:
            served[here][place] = epoch
    way = [*nest.passed(access.tensor, ""), nest.keeping(access.tensor)[-1][0]]
    for places in served.values():  # the first of them is asked for each PE by itself
        for place, epoch in places.items():
            encodes = nest.coded(access.tensor, way[0], way[1])
            log.write(phase, way[0], epoch, *_entry(nest, access, way[0], place), encodes)
    queued: dict[Any, dict[Place, int]] = defaultdict(dict)
    for (when, here), places in served.items():
        queued[when, nest.queued(here, has, way[0], way[1])] |= places
    _through(nest, access, way, phase, queued, has, log)


def _called(nest: Nest, term: list[Access], leads: list[Lead], level: str) -> set[Place]:
    """Points whose tile comes: no lead has shut it at this level or further out; at any level,
    without one."""
    levels = list(nest.instances)
    depth = levels.index(level) if level else len(levels)
    shut = [lead for lead in leads if levels.index(lead.level) <= depth]
    points = [tuple(at.values()) for at in nest.points(term)]
    return {at for at in points if not any(at in lead.closed for lead in shut)}


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
        level = nest.stays[access.tensor][-1][0]
        look_up = nest.tree(access.tensor, level).look_up
        log.read("load", level, 0, done * access.width, done * look_up)
        _bring(nest, machine, term, access, log, come)


def _bring(
    nest: Nest,
    machine: Machine,
    term: list[Access],
    access: Access,
    log: Log,
    come: set[tuple[str, str, str]],
) -> None:
    """What is added, on its way to the units."""
    points, own = nest.points(term), access.names()
    for (outer, _), (inner, _) in pairwise(nest.keeping(access.tensor)):
        above, way = set(nest.instances[inner]), [*nest.passed(access.tensor, inner), outer]
        if not above and not access.gathered:
            for into, out_of in pairwise([inner, *way]):
                if (out_of, into, access.tensor) not in come:
                    read, written = machine.whole(out_of, into, access.tensor)
                    log.read("load", out_of, 0, *read)
                    log.write("load", into, 0, *written)
                    decodes = nest.coded(access.tensor, out_of, into)
                    encodes = nest.coded(access.tensor, into, out_of)
                    coded = sum(read) * decodes, sum(written) * encodes
                    log.code("load", (out_of, into), 0, *coded)
                come.add((out_of, into, access.tensor))
            continue
        arrived: dict[Any, set[Place]] = defaultdict(set)
        served: dict[Any, dict[Place, int]] = defaultdict(dict)
        _, has = nest.fresh(0, nest.ranks(term), own, inner)
        for at in points:
            place = access.place(at)
            if access.inside(place):
                here = nest.pe(at, above)
                arrived[here].add(place)
                served[(), nest.readers(here, has, way[0])][place] = 0
        encodes = nest.coded(access.tensor, inner, way[0])
        decodes = nest.coded(access.tensor, way[0], inner)
        for places in arrived.values():
            for place in places:
                log.write("load", inner, 0, *_entry(nest, access, inner, place), encodes)
            fibers = nest.fibers(access, inner, places)
            fillers = access.width * nest.fillers(access, inner, places)
            log.write("load", inner, 0, fillers, fibers, encodes)
            if inner == nest.stays[access.tensor][-1][0]:
                fillers, fibers = nest.walked(access, inner, places)
                log.read("load", inner, 0, access.width * fillers, fibers)
        for tile in served.values():
            fillers = access.width * nest.fillers(access, way[0], set(tile))
            log.read("load", way[0], 0, fillers, nest.fibers(access, way[0], set(tile)), decodes)
        _through(nest, access, [inner, *way], "load", served, has, log)
    every = [(0, at) for at in points]
    at_once = replace(machine, double=False)
    _to_units(nest, at_once, term, access, every, {tuple(at.values()) for at in points}, log)

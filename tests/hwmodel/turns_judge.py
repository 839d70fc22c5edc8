"""The judge of lines that take turns on one machine: walks all of them, turn by turn.

It imports nothing of zeroskip.  Nothing is carried from one turn to the next: vectors of entries,
fibers and queues are of the points of one turn alone.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from fiber_judges import Fiber, intersected, merged_by_list, merged_in_passes
from mapped_nest import Nest
from nest_parts import Access, Loop, Place, Point
from trace_judge import Lying, bits_of, heads, pointers


def in_turns(nests: list[Nest], shared: int) -> Iterator[tuple[Nest, list[Point]]]:
    """Lines one after the other at each iteration of the loops that they share, outermost first;
    the points of each in the order of its loops in time."""
    every: dict[tuple[Place, int], list[Point]] = defaultdict(list)
    for number, nest in enumerate(nests):
        for at in nest.points(nest.terms[0]):
            tile = tuple(loop.at(at, nest.extents) for loop in nest.loops[:shared])
            every[tile, number].append(at)
    for (_, number), points in sorted(every.items(), key=lambda one: one[0]):
        nest = nests[number]
        loops = [loop for loop in nest.loops if not loop.pes]
        yield nest, sorted(points, key=lambda at: nest.when(loops, at))


def by_step(nest: Nest, points: list[Point]) -> Iterator[list[Point]]:
    loops = [loop for loop in nest.loops[: nest.sync] if not loop.pes]
    for _, group in groupby(points, lambda at: nest.when(loops, at)):
        yield list(group)


def is_held(access: Access, at: Point) -> bool:
    return access.place(at) in access.stored


# ---- PEs --------------------------------------------------------------------------------


def vectors(
    nests: list[Nest], shared: int, widths: dict[str, int]
) -> list[tuple[str, int, int, int]]:
    """Of each turn: the line, the cycles of its slowest PEs, products of two entries, and the turns
    of all PEs.  Entries of one step, one PE and one place of the ranks that both operands have meet
    each other, so many at a time.

    widths : of a vector, by operand.
    """
    found = []
    for nest, points in in_turns(nests, shared):
        (term,) = nest.terms
        both = sorted(term[0].names() & term[1].names())
        cycles = products = spent = 0
        for step in by_step(nest, points):
            held: dict[object, list[set[Place]]] = defaultdict(lambda: [set(), set()])
            for at in step:
                cell = nest.pe(at), tuple(at[rank] for rank in both)
                for entries, access in zip(held[cell], term, strict=True):
                    entries |= {access.place(at)} if is_held(access, at) else set()
            turns: dict[object, int] = defaultdict(int)
            for (pe, _), (some, others) in held.items():
                products += len(some) * len(others)
                rounds = [
                    len(range(0, len(entries), widths[access.tensor]))
                    for entries, access in zip((some, others), term, strict=True)
                ]
                turns[pe] += rounds[0] * rounds[1]
            cycles += max(turns.values())
            spent += sum(turns.values())
        found.append((nest.result, cycles, products, spent))
    return found


def queued(
    nests: list[Nest], shared: int, skips: set[str], multipliers: int, depth: int
) -> list[tuple[str, int]]:
    """The line and the cycles of each turn, on PEs that take steps from queues: all are done with a
    turn before the next one begins."""
    found = []
    for nest, points in in_turns(nests, shared):
        (term,) = nest.terms
        rows = []
        for step in by_step(nest, points):
            busy = {nest.pe(at): 0 for at in points}
            for at in step:
                if all(is_held(one, at) for one in term if one.tensor in skips):
                    busy[nest.pe(at)] += 1
            rows.append([-(-number // multipliers) for _, number in sorted(busy.items())])
        found.append((nest.result, stepped(rows, depth)))
    return found


def stepped(rows: list[list[int]], depth: int) -> int:
    """When the last PE is done, cycle by cycle; a step without work is not sent."""
    waiting = deque(row for row in rows if any(row))
    pes = len(rows[0])
    held: list[deque[int]] = [deque() for _ in range(pes)]
    left, now = [0] * pes, 0

    def take() -> None:
        for e in range(pes):
            while left[e] == 0 and held[e]:
                left[e] = held[e].popleft()

    while True:
        take()
        if waiting and all(len(queue) < depth for queue in held):
            for queue, cycles in zip(held, waiting.popleft(), strict=True):
                queue.append(cycles)
        take()
        if not (waiting or any(left) or any(held)):
            return now
        now += 1
        left = [max(cycles - 1, 0) for cycles in left]


# ---- units ------------------------------------------------------------------------------


def meeting(
    nests: list[Nest], shared: int, how: str, along: dict[str, str], rows: set[str]
) -> list[tuple[str, int]]:
    """The line and the steps of each turn to find what two fibers both hold, of those parts of them
    that the turn goes over.

    along : line -> the rank along which they meet; rows : lines of which an entry of the leader
    brings a whole row, so that it is looked at once.
    """
    found = []
    for nest, points in in_turns(nests, shared):
        rank, term = along[nest.result], nest.terms[0]
        others = [r for r in nest.ranks(term) if r != rank]
        if how == "leader-follower" and nest.result in rows:
            (leader,) = (one for one in term if nest.target[0] in one.names())
            led = {leader.place(at) for at in points if is_held(leader, at)}
            found.append((nest.result, len(led)))
            continue
        pairs: dict[Place, list[Point]] = defaultdict(list)
        for at in points:
            pairs[tuple(at[r] for r in others)].append(at)
        steps = 0
        for pair in pairs.values():
            lists = [sorted(at[rank] for at in pair if is_held(one, at)) for one in term]
            if how.startswith("bitmask"):
                steps += len({at[rank] // int(how[8:-1]) for at in pair})
            else:
                steps += intersected(how, *lists, len(pair))
        found.append((nest.result, steps))
    return found


def merged(nests: list[Nest], shared: int, radix: int | None) -> list[tuple[str, int]]:
    """The line and the steps of each turn to merge what its innermost loop makes, fibers of the
    result; by a tree, or by a list of heads."""
    found = []
    for nest, points in in_turns(nests, shared):
        (term,), into = nest.terms, nest.loops[-1].rank
        (follower,) = (one for one in term if into in one.names())
        outside = [r for r in nest.ranks(term) if r != into]
        pieces: dict[Place, dict[Place, Fiber]] = defaultdict(dict)
        for at in points:
            if all(is_held(one, at) for one in term if one is not follower):
                group = tuple(at[r] for r in nest.target if r != into)
                piece = pieces[group].setdefault(tuple(at[r] for r in outside), [])
                piece += [at[into]] * is_held(follower, at)
        steps = 0
        for group in pieces.values():
            fibers = [sorted(fiber) for fiber in group.values()]
            steps += merged_in_passes(fibers, radix) if radix else merged_by_list(fibers)
        found.append((nest.result, steps))
    return found


# ---- memory -----------------------------------------------------------------------------


def in_lines(
    nests: list[Nest], shared: int, lyings: dict[str, Lying], lines: dict[str, Any]
) -> dict[tuple[str, str], Counter[str]]:
    """What each line reads of each operand off chip: entries, bits of data and of metadata, of
    tiles that come when their first place is asked for, and go when the line asks for another.

    lyings : of operands that come from off chip.
    """
    found: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    there: dict[tuple[str, str], tuple[Place, set[Place]]] = {}
    touched: dict[tuple[str, str], set[Place]] = defaultdict(set)
    line, width = lines["read_bits"], lines["pointer_bits"]

    def come(nest: Nest, access: Access) -> None:
        """Count what has come, now that it goes."""
        which, lying = (nest.result, access.tensor), lyings[access.tensor]
        _, places = there[which]
        held = lying.fibers(access)
        for key, fiber in held.items():
            mine = [i for i, place in enumerate(fiber) if place in places]
            touched[which] |= {key} if any(lying.key(place) == key for place in places) else set()
            found[which]["entries"] += len(mine)
            found[which]["data"] += pointers(mine, lying.value, line)
            found[which]["metadata"] += pointers(mine, bits_of(lying), line)
        if not told(nest, access)[1]:  # all of it, with all of its pointers
            found[which]["metadata"] += head(which, access)

    def head(which: tuple[str, str], access: Access) -> int:
        lying = lyings[access.tensor]
        held = lying.fibers(access)
        keys = {key for key in touched[which] if held[key] or not lying.listed}
        return heads(lying, held, keys, lines, width)

    def told(nest: Nest, access: Access) -> tuple[list[Loop], bool]:
        """Loops that name a tile of the level that is filled, and whether it is a part."""
        _, position = nest.stays[access.tensor][1]
        loops = nest.in_time(nest.loops[:position], nest.ranks(nest.terms[0]))
        while loops and loops[-1].rank not in access.names():
            loops.pop()
        return loops, any(loop.rank in access.names() for loop in loops)

    for nest, points in in_turns(nests, shared):
        for access in (one for one in nest.terms[0] if one.tensor in lyings):
            if nest.stays[access.tensor][0][0] != "DRAM":
                continue
            loops, _ = told(nest, access)
            which = nest.result, access.tensor
            for at in points:
                key = nest.when(loops, at)
                if which in there and there[which][0] != key:
                    come(nest, access)
                    del there[which]
                there.setdefault(which, (key, set()))[1].add(access.place(at))
    for nest in nests:
        for access in nest.terms[0]:
            which = nest.result, access.tensor
            if which in there:
                come(nest, access)
                if told(nest, access)[1]:
                    found[which]["metadata"] += head(which, access)
    return found

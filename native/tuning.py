"""``tune=True``: a few schedules are measured once for each class of calls, and the fastest kept.

`candidates` are the default and what lies around it; `fastest` takes them in turns.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from zeroskip.errors import CompilerError, KernelError, RoomError
from zeroskip.native import winners
from zeroskip.native.fixed import OPEN, Schedule
from zeroskip.native.lines import Line
from zeroskip.native.schedules import schedule_of, taken
from zeroskip.native.tile import TilePlan

AROUND = (
    OPEN,
    Schedule(unrolled=True),
    Schedule(rows=4, block=256),
    Schedule(rows=1, block=128),
    Schedule(bitmask=True),
    Schedule(rows=1, block=0),
    Schedule(rows=2, block=128),
    Schedule(rows=4, block=0),
    Schedule(kind="lanes"),
    Schedule(kind="dots"),
    Schedule(kind="plain"),
)
"""What is tried, the default first: the likeliest come early, for time may run out."""

PREPARING, MEASURING = 0.7, 0.3
"""Seconds after which no further candidate is compiled, packed and warmed; and measured."""

ROUNDS = 30
"""Most calls of each candidate."""

Clock = Callable[[], float]
clock: Clock = time.perf_counter


def candidates(line: Line, bound: Collection[str]) -> Iterator[Schedule]:
    """Schedules that the line can take, each another kernel, without packing at every call."""
    seen: set[Schedule] = set()
    for one in AROUND:
        tried = replace(line, fixed=one)
        try:
            plan = schedule_of(tried, bound)
            filled = taken(tried, plan, bound)
        except KernelError:
            continue
        if isinstance(plan, TilePlan) and plan.entries.tensor not in bound:
            continue
        if filled not in seen:
            seen.add(filled)
            yield one


def fastest(runs: Sequence[Callable[[], None]], now: Clock) -> int:
    """Which of some warmed runs takes least time: the least of each, taken in turns."""
    least = [float("inf")] * len(runs)
    started = now()
    for _ in range(ROUNDS):
        for k, run in enumerate(runs):
            before = now()
            run()
            least[k] = min(least[k], now() - before)
        if now() - started > MEASURING:
            break
    return min(range(len(runs)), key=least.__getitem__)


def recalled(line: Line, bound: Collection[str]) -> Schedule | None:
    """The schedule that was measured to be fastest for such calls; None where none was yet."""
    try:
        return _usable(line, bound, winners.recall(winners.class_of(line, bound)))
    except CompilerError:
        return None


def tuned(
    line: Line, bound: Collection[str], made: Callable[[Line], Callable[[], None] | None]
) -> Schedule:
    """The fastest schedule of a line: remembered, or measured now and remembered.

    made : what runs the line, as it is fixed; None where it cannot run in C.
    """
    found = recalled(line, bound)
    if found is not None:
        return found
    tried: list[Schedule] = []
    runs: list[Callable[[], None]] = []
    started = clock()
    for one in candidates(line, bound):
        if runs and clock() - started > PREPARING:
            break
        try:
            run = made(replace(line, fixed=one))
        except (CompilerError, RoomError):
            continue  # where no other is left, the default says what is wrong
        if run is not None:
            run()  # what is touched for the first time is not measured
            tried.append(one)
            runs.append(run)
    if not runs:
        return OPEN
    winner = tried[fastest(runs, clock) if len(runs) > 1 else 0]
    winners.remember(winners.class_of(line, bound), winner)
    return winner


def _usable(line: Line, bound: Collection[str], found: Schedule | None) -> Schedule | None:
    """A remembered schedule, unless the line cannot take it."""
    if found is None:
        return None
    tried = replace(line, fixed=found)
    try:
        plan = schedule_of(tried, bound)
        taken(tried, plan, bound)  # machine code may run in one process and not in another
    except KernelError:
        return None
    fresh = isinstance(plan, TilePlan) and plan.entries.tensor not in bound
    return None if fresh or found.order else found

"""PEs that take their work from queues, so that none waits for the slowest at every step.

    queue: 8          of an architecture: steps that a PE keeps waiting, as EIE's do

A step is sent to all PEs at once, one a cycle at most, when every queue has room; a PE takes its
steps in order, each as many cycles as it has points there, or vectors that meet.  A step without
work for any PE is not sent.  The recurrence is one of maxima and sums (c/zs_queues.c); with one
place in a queue PEs are nearly in step, with endless ones the PE with most work decides.
"""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.plan import TermPlan
from zeroskip.hwmodel.traffic import Counts
from zeroskip.native import routines

Whole = NDArray[np.int64]


def queue_cycles(work: Whole, depth: int) -> Whole:
    """When each PE is done.

    work : cycles of each step (first axis) on each PE (second axis)
    depth : steps that wait in a queue at most, 1 or more

    Examples
    --------
    >>> queue_cycles(np.array([[6, 1], [1, 1], [1, 6]]), depth=1)
    array([ 8, 12])
    >>> queue_cycles(np.array([[6, 1], [1, 1], [1, 6]]), depth=2)
    array([8, 8])
    """
    if depth < 1:
        raise ArchError(f"queue: expected 1 step or more, found {depth}")
    if work.ndim != 2 or (work.size and work.min() < 0):
        raise ArchError("queue: expected cycles of 0 or more, of steps and PEs")
    sent = np.ascontiguousarray(work[work.any(axis=1)], np.int64)
    steps, pes = sent.shape
    done = np.zeros(pes, np.int64)
    room = min(depth, max(steps, 1))
    buffers = [sent, done, np.zeros(room, np.int64)]
    symbol = "zs_queue_cycles"
    if not routines.run("zeroskip.hwmodel", "zs_queues.c", symbol, buffers, [steps, pes, room]):
        done = _twin(sent, room)
    return done


def queued_cycles_of(
    arch: Arch, schedule: Schedule, plan: TermPlan, counts: Counts, turns: Whole | None = None
) -> int:
    """Cycles of a term on PEs that have queues; where lines take turns, these are empty at the end
    of each: what one line makes, the next one reads, and its room is taken anew after that.

    turns : cycles of each step and PE, where these take vectors.
    """
    assert arch.queue is not None
    each = turns
    if each is None:
        each = -(-counts[plan.busy] * max(plan.term.multiplications, 1) // arch.multipliers)
    steps = each.shape[: counts[plan.steps].ndim]
    turned = [x for x in schedule.turned if x in schedule.steps and x.of(plan.term.ranks)]
    outer, inner = steps[: len(turned)], steps[len(turned) :]
    work = each.reshape(prod(outer), prod(inner), prod(each.shape[len(steps) :]))
    return sum(int(queue_cycles(turn, arch.queue).max(initial=0)) for turn in work)


def _twin(work: Whole, depth: int) -> Whole:
    done = np.zeros(work.shape[1], np.int64)
    starts: list[int] = []
    at = -1
    for t, cycles in enumerate(work):
        at = max(at + 1, starts[t - depth] if t >= depth else 0)
        start = np.maximum(done, at)
        starts.append(int(start.max(initial=at)))
        done = start + cycles
    return done

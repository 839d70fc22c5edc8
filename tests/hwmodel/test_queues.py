"""Queues of PEs, against a machine that is stepped cycle by cycle."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from layers import one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Mapping, arch, charge, queues
from zeroskip.hwmodel.queues import queue_cycles

LISTS = st.lists(st.lists(st.integers(0, 6), min_size=3, max_size=3), max_size=12)


def stepped(work: list[list[int]], depth: int) -> list[int]:
    """When each PE has done its last step; steps of no work left out."""
    waiting = deque(row for row in work if any(row))
    pes = max(map(len, work), default=3)
    held: list[deque[int]] = [deque() for _ in range(pes)]
    left, done, now = [0] * pes, [0] * pes, 0

    def take() -> None:
        for e in range(pes):
            while left[e] == 0 and held[e]:
                left[e] = held[e].popleft()
                done[e] = now + left[e]

    while waiting or any(held) or any(left):
        take()
        if waiting and all(len(queue) < depth for queue in held):
            for queue, cycles in zip(held, waiting.popleft(), strict=True):
                queue.append(cycles)
        take()
        now += 1
        left = [max(cycles - 1, 0) for cycles in left]
    return done


def as_work(rows: list[list[int]]) -> np.ndarray:
    return np.array(rows, np.int64).reshape(-1, 3)


@pytest.mark.parametrize("compiled", [True, False])
@given(rows=LISTS, depth=st.integers(1, 4))
def test_the_recurrence_is_the_machine(compiled: bool, rows: list[list[int]], depth: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(queues.routines, "run", lambda *_: False)
        found = queue_cycles(as_work(rows), depth).tolist()
    assert max(found) == max(stepped(rows, depth))


@given(LISTS)
def test_longer_queues_take_no_longer(rows: list[list[int]]) -> None:
    times = [int(queue_cycles(as_work(rows), depth).max()) for depth in (1, 2, 4, 99)]
    assert times == sorted(times, reverse=True)
    assert times[-1] >= as_work(rows).sum(0).max(initial=0)
    assert times[0] <= as_work(rows).max(1, initial=0).sum() + len(rows)


def test_a_charge_on_pes_with_queues() -> None:
    rng = np.random.default_rng(3)
    w, x = rng.random((12, 30)) < 0.4, rng.random(30) < 0.6
    spec = make_spec("y[m] = A[m,k]*B[k]")
    mapping = Mapping("k m", sync="k", space={"m": "pe"})
    changes: dict[str, Any] = {"array": {"pe": 3}, "multipliers": 2}
    operands = {"A": w, "B": x}
    work = (w * x).reshape(3, 4, 30).sum(1).T
    rows = (-(-work // 2)).tolist()
    for depth in (1, 3):
        source = arch(one_pe("skip A,B", **changes, queue=depth))
        found = charge(spec, source, operands, mapping)
        assert found.compute_cycles == max(stepped(rows, depth))
        assert f"queue: {depth} steps wait in each PE" in str(source)
        assert any("sent to all PEs" in text for text in found.assumptions)
    plain = charge(spec, arch(one_pe("skip A,B", **changes)), operands, mapping)
    assert plain.compute_cycles == sum(map(max, rows)) > found.compute_cycles


def test_what_is_no_queue_is_refused() -> None:
    with pytest.raises(ArchError, match="queue: expected 1 step or more, found 0"):
        queue_cycles(np.zeros((2, 2), np.int64), 0)
    with pytest.raises(ArchError, match="queue: expected cycles of 0 or more, of steps and PEs"):
        queue_cycles(np.array([[1, -1]]), 2)
    with pytest.raises(ArchError) as error:
        arch(one_pe(queue=0))
    assert str(error.value) == (
        "queue in the dict given: expected steps that wait in a queue of each PE, 1 or more, "
        "found 0"
    )

from itertools import pairwise

import numpy as np

from zeroskip.benchmark import measuring
from zeroskip.benchmark.measuring import Candidate, measure, share


def test_candidates_take_turns():
    calls = []
    found = measure(
        [Candidate("a", lambda: calls.append("a")), Candidate("b", lambda: calls.append("b"))],
        budget_s=0.5,
    )
    assert [t.rounds for t in found] == [measuring.ROUNDS] * 2
    assert all(t.low_s <= t.median_s <= t.high_s for t in found)
    timed = "".join(calls[4:])
    changes = sum(x != y for x, y in pairwise(timed))
    assert changes == 2 * measuring.ROUNDS - 1


def test_slow_candidates_sit_rounds_out_evenly():
    assert share(1.0, [0.001, 0.1, 5.0]) == [25, 4, 1]
    assert share(100.0, [0.001, 0.1]) == [25, 25]
    assert share(1.0, []) == []
    taken = [turn for turn in range(25) if measuring._takes_part(turn, 4, 25)]
    assert len(taken) == 4
    assert max(np.diff(taken)) - min(np.diff(taken)) <= 1

"""Distributions of counts, against every way to place what is drawn."""

from __future__ import annotations

from itertools import combinations, product
from math import lgamma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.hwmodel.distributions import (
    MOST_KNOWN,
    at_most,
    chosen,
    convolved,
    hypergeometric,
    log_factorial,
    mean_of_most,
    mixed,
)


@given(st.integers(1, 7), st.data())
def test_places_of_a_group(size: int, data: st.DataObject) -> None:
    held, places = data.draw(st.integers(0, size)), data.draw(st.integers(0, size))
    every = [sum(p < places for p in drawn) for drawn in combinations(range(size), held)]
    found = hypergeometric(size, held, places)
    assert np.allclose(found, np.bincount(every, minlength=len(found)) / len(every))
    assert len(found) == min(held, places) + 1


def test_factorials_within_the_table_and_beyond_it() -> None:
    numbers = np.array([0, 1, 5, 20, MOST_KNOWN - 1])
    known = [lgamma(n + 1) for n in numbers]
    assert np.allclose(log_factorial(numbers), known, rtol=1e-14)
    more = np.array([MOST_KNOWN, 3, 10**7])
    assert np.allclose(log_factorial(more), [lgamma(n + 1) for n in more], rtol=1e-14)
    assert len(log_factorial(numbers[:0])) == 0


def test_groups_of_which_some_are_picked() -> None:
    """Two of four groups; one holds 1, two hold 0 or 2, the last is not named."""
    parts = [np.array([0.0, 1.0]), *[np.array([0.5, 0, 0.5])] * 2, np.ones(1)]
    total = np.zeros(5)
    for pair in combinations(range(4), 2):
        total[: len(parts[pair[0]]) + len(parts[pair[1]]) - 1] += np.convolve(
            parts[pair[0]], parts[pair[1]]
        )
    found = chosen([(parts[0], 1), (parts[1], 2)], some=2, groups=4)
    assert np.allclose(found[:5], total / 6)
    assert found[5:].sum() == pytest.approx(0)


def test_sums_and_mixtures() -> None:
    die = np.array([0, *[1 / 6] * 6])
    sums = np.bincount([sum(r) for r in product(range(1, 7), repeat=3)]) / 216
    assert np.allclose(convolved([(die, 2), (die, 1)]), sums)
    assert convolved([]).tolist() == [1.0]
    both = mixed([die, np.ones(1)], np.array([0.25, 0.75]))
    assert both[0] == 0.75
    assert both.sum() == pytest.approx(1)
    assert at_most(both)[-1] == pytest.approx(1)


@given(st.integers(1, 4), st.integers(0, 3), st.integers(0, 3))
def test_the_mean_of_the_largest(width: int, dice: int, coins: int) -> None:
    rolls, flips = [range(1, 7)] * dice, [range(2)] * coins
    most = [-(-max(roll, default=0) // width) for roll in product(*rolls, *flips)]
    die, coin = np.array([0, *[1 / 6] * 6]), np.array([0.5, 0.5])
    assert mean_of_most([(die, dice), (coin, coins)], width) == pytest.approx(np.mean(most))

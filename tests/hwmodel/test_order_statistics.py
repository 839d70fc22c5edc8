"""The mean of a maximum, against sums over every outcome, closed forms and drawn counts."""

from __future__ import annotations

from itertools import combinations, pairwise
from math import comb, exp, factorial

import numpy as np
import pytest

from zeroskip.hwmodel.order_statistics import (
    MOST_NUMBERS,
    chances_of_drawn,
    chances_of_most,
    mean_of_maximum,
    mean_rounded,
)


def exact_of_poisson(rates: list[float], full: list[int] | None = None) -> float:
    """Sum over x of the chance that any count is more than x, from the masses themselves."""
    most = 400
    below = np.ones(most)
    for k, rate in enumerate(rates):
        masses = [exp(-rate) * rate**n / factorial(n) if n < 150 else 0.0 for n in range(most)]
        chance = np.minimum(np.cumsum(masses), 1)
        if full is not None:
            chance[full[k] :] = 1
        below *= chance
    return float((1 - below).sum())


@pytest.mark.parametrize("rates", [[0.05] * 16, [1.0, 2.0, 3.0], [7.0] * 8, [20.0, 25.0], [0.3]])
def test_few_entries_are_poisson_counts(rates: list[float]) -> None:
    mean = np.array(rates)
    assert mean_of_maximum(mean, mean) == pytest.approx(exact_of_poisson(rates), rel=0.01, abs=0.02)


def test_counts_are_no_more_than_all_there_is() -> None:
    rates, full = [1.5] * 64, [2] * 64
    found = mean_of_maximum(np.array(rates), np.array(rates), np.array(full, float))
    assert found == pytest.approx(exact_of_poisson(rates, full), rel=0.01)
    assert found <= 2


@pytest.mark.parametrize(
    ("number", "expected"), [(2, 0.56419), (3, 0.84628), (5, 1.16296), (10, 1.53875)]
)
def test_many_entries_are_normal_counts(number: int, expected: float) -> None:
    """Means of the largest of standard normal numbers: tables of order statistics."""
    found = mean_of_maximum(np.full(number, 1e4), np.full(number, 9.0))
    assert found == pytest.approx(1e4 + 3 * expected, abs=1e-3)


def test_kinds_are_as_many_counts_as_they_stand_for() -> None:
    mean, variance = np.array([40.0, 44.0]), np.array([30.0, 20.0])
    full, many = np.array([80.0, 80.0]), np.array([5, 2])
    apart = mean_of_maximum(mean.repeat(many), variance.repeat(many), full.repeat(many))
    assert mean_of_maximum(mean, variance, full, many) == pytest.approx(apart)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
@pytest.mark.parametrize(("tiles", "places"), [(4, 100), (64, 16), (200, 400)])
def test_drawn_counts(share: float, tiles: int, places: int) -> None:
    """Binomial counts: within 4 % of the mean of drawn maxima, or a fifth of an entry."""
    rng = np.random.default_rng(tiles)
    drawn = rng.binomial(places, share, (4000, tiles)).max(axis=1).mean()
    mean = np.full(tiles, places * share)
    variance = mean * (1 - share)
    found = mean_of_maximum(mean, variance, np.full(tiles, float(places)))
    assert found == pytest.approx(drawn, rel=0.04, abs=0.2)


def test_every_outcome_of_two_small_counts() -> None:
    """Two binomial counts of 6 places at a half: 4.0 by the sum over all outcomes, near 4.03."""
    masses = [comb(6, n) / 64 for n in range(7)]
    exact = sum(a * b * max(i, j) for i, a in enumerate(masses) for j, b in enumerate(masses))
    found = mean_of_maximum(np.full(2, 3.0), np.full(2, 1.5), np.full(2, 6.0))
    assert found == pytest.approx(exact, rel=0.06)


def test_nothing_varies_or_nothing_is_there() -> None:
    assert mean_of_maximum(np.zeros(0), np.zeros(0)) == 0
    assert mean_of_maximum(np.array([2.0, 7.0, 7.0]), np.zeros(3)) == 7
    assert mean_of_maximum(np.zeros(3), np.zeros(3)) == 0
    found = mean_of_maximum(np.array([0.0, 50.0]), np.array([0.0, 1e-12]))
    assert found == pytest.approx(50, abs=0.01)
    assert np.isfinite(mean_of_maximum(np.zeros(2), np.full(2, 0.1)))


def test_more_kinds_than_fit_at_a_time() -> None:
    """Kinds by the ten thousand, alike but for their number, are one kind so many times."""
    number = 10_000
    mean, variance = np.full(number, 100.0), np.full(number, 80.0)
    one = mean_of_maximum(mean[:1], variance[:1], None, np.array([number]))
    assert mean_of_maximum(mean, variance) == pytest.approx(one)


@pytest.mark.parametrize(
    ("cells", "many", "size"),
    [([2, 3], [2, 1], 9), ([1], [4], 4), ([3], [2], 6), ([0, 2], [1, 2], 5), ([2], [1], 7)],
)
def test_cells_of_what_is_drawn_against_every_placement(
    cells: list[int], many: list[int], size: int
) -> None:
    ends = np.cumsum([0, *np.repeat(cells, many)])
    for held in range(size + 1):
        most = [
            max(sum(a <= x < b for x in drawn) for a, b in pairwise(ends))
            for drawn in combinations(range(size), held)
        ]
        first, found = chances_of_drawn(cells, many, size, held)
        wanted = np.bincount(most, minlength=first + len(found)) / len(most)
        assert np.allclose(found, wanted[first:])
        assert not wanted[:first].any()


@pytest.mark.parametrize("share", [0.02, 0.2, 0.7])
def test_chances_of_the_largest_have_its_mean(share: float) -> None:
    mean = np.array([60.0, 80.0, 100.0]) * share
    variance, full = mean * (1 - share), np.array([60.0, 80.0, 100.0])
    many = np.array([3, 2, 1])
    found = chances_of_most(mean, variance, full, many)
    assert found is not None
    first, chances = found
    assert chances.sum() == pytest.approx(1)
    assert chances.min() >= 0
    assert chances[101 - first :].sum() == 0
    wanted = mean_of_maximum(mean, variance, full, many)
    assert (first + np.arange(len(chances))) @ chances == pytest.approx(wanted, rel=0.02, abs=0.05)


def test_too_many_numbers_have_no_chances_of_their_own() -> None:
    wide = np.array([MOST_NUMBERS**2 / 16.0])
    assert chances_of_most(np.array([1e6]), 2 * wide) is None
    assert chances_of_most(np.zeros(0), np.zeros(0)) is not None


def test_rounding_up_two_dice() -> None:
    die = 1, np.full(6, 1 / 6)
    wanted = np.mean([-(-a * b // 4) for a in range(1, 7) for b in range(1, 7)])
    assert mean_rounded([die, die], 1.0, 4) == pytest.approx(wanted)

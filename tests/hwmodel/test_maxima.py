"""Means of maxima: kinds of cells, products, what an event decides, and what is rounded up."""

from __future__ import annotations

from itertools import combinations, pairwise, product
from math import ceil
from typing import Any

import numpy as np
import pytest

from zeroskip.formats.density import Density
from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.maxima import Apart, Either, Largest, Rounded, largest_of
from zeroskip.hwmodel.order_statistics import mean_of_maximum
from zeroskip.hwmodel.spread import Spread

COUNTS = np.array([[3, 1, 3], [1, 3, 3], [2, 2, 0]])


def spread_of(counts: np.ndarray[Any, Any]) -> Spread:
    """Of independent points."""
    held = counts.astype(float)
    return Spread(("A",), {}, {}, held, held, frozenset())


def test_a_maximum_is_that_of_each_row_whatever_kinds_it_shares_with_others() -> None:
    """Rows 0 and 1 hold the same counts in another order, and are one."""
    made = largest_of(Closed({("A",): COUNTS}), spread_of(COUNTS), (0, 1), 1)
    assert len(made.rows) == 2
    assert made.where.tolist()[0] == made.where.tolist()[1] != made.where.tolist()[2]
    for share in (0.0, 0.2, 0.9, 1.0):
        found = made.value({"A": share})
        for row, counts in enumerate(COUNTS.astype(float)):
            wanted = mean_of_maximum(counts * share, counts * share * (1 - share), counts)
            assert found[row] == pytest.approx(wanted)


def test_a_maximum_over_other_axes_and_over_all() -> None:
    columns = largest_of(Closed({("A",): COUNTS}), None, (1, 0), 1)
    assert columns.value({"A": 0.5}).tolist() == (COUNTS.max(axis=0) / 2).tolist()
    whole = largest_of(Closed({("A",): COUNTS}), None, (0, 1), 0)
    assert whole.value({"A": 0.5}).shape == ()
    assert whole.value({"A": 0.5}) == 1.5


def largest(counts: Any, name: str) -> Largest:
    return largest_of(Closed({(name,): np.asarray(counts)}), None, (0, 1), 1)


def test_products_of_counts_apart_are_largest_together() -> None:
    a, b = largest([[2, 4], [1, 1]], "A"), largest([[5, 0, 5]], "B")
    made = Apart(((a, (2, 1)), (b, (1, 1))), 3.0)
    assert made.value({"A": 0.5, "B": 0.2}).tolist() == [[3 * 2 * 1.0], [3 * 0.5 * 1.0]]
    event = Closed({("A|2",): np.array([1, 1])})
    called = Apart(((b, (1,)), (event, (2,))), 1.0)
    assert called.value({"B": 0.2, "A|2": 0.75}).tolist() == [0.75, 0.75]


def test_an_event_decides_which_maximum_it_is() -> None:
    b, event = largest([[5, 0, 5], [1, 2, 0]], "B"), Closed({("A|2",): np.array([1, 0])})
    made = Either(event, b, Closed({(): np.array([9, 7])}))
    assert made.value({"B": 0.2, "A|2": 0.75}).tolist() == [0.75 * 1 + 0.25 * 9, 7.0]


def test_variances_are_of_the_cells_that_are_picked() -> None:
    density = Density((3, 3), 4 / 9)
    model: Any = density.model
    squares = (COUNTS.astype(float) ** 2, COUNTS.astype(float))
    held = Spread(("A",), {"A": model}, {"A": squares}, COUNTS * 2.0, COUNTS * 1.0, frozenset())
    made = largest_of(Closed({("A",): COUNTS}), held, (0, 1), 1)
    share = 4 / 9
    variance = held.variance({"A": share})
    for row in range(3):
        wanted = mean_of_maximum(COUNTS[row] * share, variance[row], COUNTS[row] * 2.0)
        assert made.value({"A": share})[row] == pytest.approx(wanted)


def cells_of(places: Any, name: str, size: int) -> Largest:
    """Rows of cells of a uniform tensor, no two of which share a place."""
    held = np.asarray(places)
    return largest_of(Closed({(name,): held}), None, (0, 1), 1, (name, size))


def placements(places: list[int], size: int, held: int) -> list[int]:
    """The most in a cell, of every way to place so many."""
    ends = np.cumsum([0, *places])
    return [
        max(sum(a <= place < b for place in drawn) for a, b in pairwise(ends))
        for drawn in combinations(range(size), held)
    ]


@pytest.mark.parametrize("held", range(7))
def test_the_largest_of_cells_of_one_tensor_is_exact(held: int) -> None:
    rows = [[2, 1, 2], [0, 1, 1]]
    made = cells_of(rows, "A", 6)
    assert made.drawn == ("A", 6)
    wanted = [np.mean(placements(row, 6, held)) for row in rows]
    assert made.value({"A": held / 6}).tolist() == pytest.approx(wanted)


def test_between_whole_numbers_of_entries_it_is_between_their_means() -> None:
    made = cells_of([[2, 1, 2]], "A", 6)
    two, three = (float(made.value({"A": n / 6})[0]) for n in (2, 3))
    assert made.value({"A": 2.25 / 6})[0] == pytest.approx(0.75 * two + 0.25 * three)


def test_rows_of_many_places_are_not() -> None:
    assert cells_of([[100, 100]], "A", 400).drawn == ("", 0)


@pytest.mark.parametrize(("each", "over"), [(1, 2), (1, 3), (2, 3), (3, 1)])
def test_products_of_two_largest_counts_round_up_at_every_outcome(each: int, over: int) -> None:
    a, b = cells_of([[2, 1], [1, 1]], "A", 5), cells_of([[3, 1]], "B", 4)
    made = Rounded(Apart(((a, (2, 1)), (b, (1, 1))), 2.0), each, over)
    others = placements([3, 1], 4, 2)
    for row, places in enumerate(([2, 1], [1, 1])):
        every = product(placements(places, 5, 3), others)
        wanted = np.mean([ceil(2 * x * y * each / over) for x, y in every])
        assert made.value({"A": 0.6, "B": 0.5})[row, 0] == pytest.approx(wanted)


def test_what_an_event_calls_for_is_rounded_where_it_is() -> None:
    b, event = cells_of([[3, 1]], "B", 4), Closed({("A|2",): np.array([1, 1])})
    called = Apart(((b, (1,)), (event, (2,))), 1.0)
    inside = float(np.mean([ceil(x / 2) for x in placements([3, 1], 4, 2)]))
    found = Rounded(called, 1, 2).value({"B": 0.5, "A|2": 0.75})
    assert found.tolist() == pytest.approx([0.75 * inside] * 2)
    nested = Apart(((called, (2,)), (Closed({("A|4",): np.array([1, 1])}), (2,))), 1.0)
    twice = Rounded(nested, 1, 2).value({"B": 0.5, "A|2": 0.75, "A|4": 0.5})
    assert twice.tolist() == pytest.approx([0.5 * 0.75 * inside] * 2)
    either = Either(Closed({("A|2",): np.array([1])}), b, Closed({(): np.array([5])}))
    found = Rounded(either, 1, 2).value({"B": 0.5, "A|2": 0.75})
    assert found.tolist() == pytest.approx([0.75 * inside + 0.25 * 3])


def test_of_counts_in_wide_spread_any_rest_is_as_likely() -> None:
    """Of normal counts of a thousand, on 4 multipliers: 3/8 of a cycle more."""
    counts = np.full((1, 4), 4000)
    made = largest_of(Closed({("A",): counts}), spread_of(counts * 500), (0, 1), 1)
    mean = float(made.value({"A": 0.25})[0])
    assert Rounded(made, 1, 4).value({"A": 0.25})[0] == pytest.approx(mean / 4 + 0.375)
    assert Rounded(made, 2, 4).value({"A": 0.25})[0] == pytest.approx(mean / 2 + 0.25)


def test_of_few_they_are_drawn() -> None:
    """The largest of 3 binomial counts of 40 places, on 3 multipliers: within 5 %."""
    counts, rng = np.full((1, 3), 40), np.random.default_rng(0)
    made = largest_of(Closed({("A",): counts}), spread_of(counts), (0, 1), 1)
    for share in (0.05, 0.3, 0.9):
        drawn = rng.binomial(40, share, (20_000, 3)).max(axis=1)
        found = Rounded(made, 1, 3).value({"A": share})[0]
        assert found == pytest.approx(np.ceil(drawn / 3).mean(), rel=0.05)

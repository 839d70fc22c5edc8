"""Caches of whole fibers, against a simulator that looks through the trace each time."""

from __future__ import annotations

import numpy as np
import pytest
from fiber_judges import cached, fewest_misses
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.errors import ArchError
from zeroskip.hwmodel import caches
from zeroskip.hwmodel.caches import misses

POLICIES = ("lru", "optimal", "bypass")


@st.composite
def traces(draw: st.DrawFn) -> tuple[list[int], list[int], int]:
    fibers = draw(st.integers(1, 6))
    sizes = draw(st.lists(st.integers(0, 4), min_size=fibers, max_size=fibers))
    trace = draw(st.lists(st.integers(0, fibers - 1), max_size=30))
    return trace, sizes, draw(st.integers(0, 8))


@given(traces(), st.sampled_from(POLICIES))
def test_misses_are_those_of_the_simulator(
    case: tuple[list[int], list[int], int], how: str
) -> None:
    trace, sizes, capacity = case
    assert misses(trace, sizes, capacity, how).tolist() == cached(trace, sizes, capacity, how)


@given(traces(), st.sampled_from(POLICIES))
def test_without_a_compiler_they_are_the_same(
    case: tuple[list[int], list[int], int], how: str
) -> None:
    trace, sizes, capacity = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(caches.routines, "run", lambda *_: False)
        found = misses(trace, sizes, capacity, how).tolist()
    assert found == cached(trace, sizes, capacity, how)


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 3))
def test_optimal_is_the_fewest_of_all_ways_where_sizes_are_equal(
    trace: list[int], places: int
) -> None:
    for how in ("optimal", "bypass"):
        found = misses(trace, [1] * 5, places, how).sum()
        assert found == fewest_misses(trace, places, bypass=how == "bypass")


def test_a_cache_without_a_limit_misses_each_fiber_once() -> None:
    trace = np.random.default_rng(1).integers(0, 50, 1000)
    for how in POLICIES:
        assert misses(trace, [10**15] * 50, None, how).sum() == len(np.unique(trace))


def test_what_is_larger_than_the_cache_passes_by() -> None:
    for how in POLICIES:
        assert misses([0, 1, 0, 1], [3, 9], 5, how).tolist() == [True, True, False, True]


@pytest.mark.parametrize(
    ("trace", "sizes", "how", "said"),
    [
        ([0], [1], "fifo", "policy: expected lru, optimal, bypass, found 'fifo'"),
        ([0, 2], [1, 1], "lru", "trace: expected fibers below 2, found 0 to 2"),
        ([0], [1, -1], "lru", "sizes: expected 0 or more, found -1 at 1"),
        ([0.5], [1], "lru", "trace: expected whole numbers in one axis, found float64 of 1"),
    ],
)
def test_what_cannot_be_is_refused(
    trace: list[int], sizes: list[int], how: caches.Policy, said: str
) -> None:
    with pytest.raises(ArchError) as error:
        misses(trace, sizes, 4, how)
    assert str(error.value) == said

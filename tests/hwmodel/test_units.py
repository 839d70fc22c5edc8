"""Units that intersect and merge, against simulators that go step by step."""

from __future__ import annotations

import numpy as np
import pytest
from fiber_judges import intersected, merged_by_list, merged_in_passes
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroskip.errors import ArchError
from zeroskip.hwmodel import fibers, units
from zeroskip.hwmodel.fibers import Fibers, fibers_of, reached_by_row
from zeroskip.hwmodel.units import (
    Access,
    intersection,
    intersection_steps,
    merge_list,
    merge_tree,
)

HOW = ("leader-follower", "two-finger", "skip-ahead", "bitmask(1)", "bitmask(4)")


def drawn(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> np.ndarray:
    mask = rng.random(shape) < density
    if len(mask):
        mask[rng.integers(0, len(mask))] = False
    return mask


def matrix(mask: np.ndarray) -> Fibers:
    return fibers_of(*np.nonzero(mask), *mask.shape)


@settings(max_examples=25)
@given(
    st.integers(0, 2**16),
    st.sampled_from(HOW),
    st.tuples(st.integers(1, 4), st.integers(1, 4), st.integers(1, 9)),
    st.sampled_from([0.0, 0.2, 0.5, 1.0]),
)
def test_steps_of_every_pair_of_fibers(
    seed: int, how: str, extents: tuple[int, int, int], density: float
) -> None:
    rng = np.random.default_rng(seed)
    m, n, k = extents
    a, b = drawn(rng, (m, k), density), drawn(rng, (k, n), 0.5)
    one, other = (Access("A", ("m", "k")), a), (Access("B", ("k", "n")), b)
    wanted = [
        [
            intersected(how, np.flatnonzero(a[i]).tolist(), np.flatnonzero(b[:, j]).tolist(), k)
            for j in range(n)
        ]
        for i in range(m)
    ]
    assert intersection_steps(how, one, other, "k", ["m", "n"]).tolist() == wanted
    assert intersection_steps(how, one, other, "k", ["n"]).tolist() == np.sum(wanted, 0).tolist()
    assert intersection_steps(how, one, other, "k") == np.sum(wanted)


def test_fibers_of_a_common_rank_are_paired() -> None:
    rng = np.random.default_rng(5)
    a, b = drawn(rng, (3, 2, 8), 0.5), drawn(rng, (3, 4, 8), 0.5)
    one, other = (Access("A", ("g", "m", "k")), a), (Access("B", ("g", "n", "k")), b)
    for how in HOW:
        wanted = sum(
            intersected(how, np.flatnonzero(x).tolist(), np.flatnonzero(y).tolist(), 8)
            for g in range(3)
            for x in a[g]
            for y in b[g]
        )
        assert intersection_steps(how, one, other, "k") == wanted


def test_what_is_no_intersection_is_refused() -> None:
    a, b = Access("A", ("m", "k")), Access("B", ("n", "k"))
    for how in ("three-finger", "bitmask(0)", "bitmask", "bitmask(4) "):
        with pytest.raises(ArchError) as error:
            intersection(how, a, b, "k", "steps", [])
        assert str(error.value) == (
            "intersect: expected leader-follower, two-finger, skip-ahead, bitmask(w), "
            f"found {how!r}"
        )
    with pytest.raises(ArchError) as error:
        intersection("two-finger", a, b, "n", "steps", [])
    assert str(error.value) == "intersect: A[m,k] has no rank n"


@st.composite
def groups(draw: st.DrawFn) -> list[list[list[int]]]:
    fiber = st.lists(st.integers(0, 8), max_size=5, unique=True).map(sorted)
    return draw(st.lists(st.lists(fiber, max_size=7), max_size=4))


@given(groups(), st.integers(2, 5))
def test_a_tree_of_mergers(given: list[list[list[int]]], radix: int) -> None:
    held = [[f for f in group if f] for group in given]
    found = merge_tree([len(g) for g in held], [sum(map(len, g)) for g in held], radix)
    assert found.tolist() == [merged_in_passes(group, radix) for group in given]


@pytest.mark.parametrize("compiled", [True, False])
@given(given=groups())
def test_a_sorted_list_of_heads(compiled: bool, given: list[list[list[int]]]) -> None:
    every = [fiber for group in given for fiber in group]
    sizes = np.cumsum([0, *map(len, given)]).astype(np.int64)
    group = Fibers(sizes, np.arange(len(every), dtype=np.int64), len(every))
    positions = np.cumsum([0, *map(len, every)]).astype(np.int64)
    merged = Fibers(positions, np.array([c for f in every for c in f], np.int64), 9)
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(units.routines, "run", lambda *_: False)
        found = merge_list(group, merged)
    assert found.tolist() == [merged_by_list(fibers) for fibers in given]


def test_mergers_of_less_than_two_fibers_and_of_fibers_that_are_not_there() -> None:
    with pytest.raises(ArchError, match="radix: expected 2 or more, found 1"):
        merge_tree([3], [4], 1)
    whole = matrix(np.ones((2, 3), bool))
    with pytest.raises(ArchError, match="merge: groups of 3 fibers, and there are 2"):
        merge_list(whole, whole)


@pytest.mark.parametrize("compiled", [True, False])
def test_places_that_a_product_reaches(compiled: bool) -> None:
    rng = np.random.default_rng(2)
    for density in (0.0, 0.1, 0.5, 1.0):
        a, b = drawn(rng, (7, 5), density), drawn(rng, (5, 9), density)
        with pytest.MonkeyPatch.context() as patch:
            if not compiled:
                patch.setattr(fibers.routines, "run", lambda *_: False)
            found = reached_by_row(matrix(a), matrix(b))
        assert found.tolist() == ((a.astype(int) @ b.astype(int)) > 0).sum(1).tolist()


def test_fibers_are_put_in_order() -> None:
    found = fibers_of(np.array([2, 0, 2]), np.array([4, 1, 3]), 3, 5)
    assert [found.fiber(f) for f in range(3)] == [[1], [], [3, 4]]
    assert found.entries.tolist() == [1, 0, 2]

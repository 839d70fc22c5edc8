"""Entries in the order of kernels: C and NumPy alike, and what the order has to be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroskip.native import patterns
from zeroskip.native.patterns import Ordered, by_patterns


def drawn(seed: int, groups: int, together: int, span: int, density: float):
    """Rows and offsets by ascending rows, those of a row in any order, none twice."""
    rng = np.random.default_rng(seed)
    rows, offset = np.nonzero(rng.random((groups * together, span)) < density)
    order = np.lexsort((rng.random(len(rows)), rows)) if rng.random() < 0.5 else slice(None)
    return rows[order].astype(np.int32), offset[order].astype(np.int32)


def check(made: Ordered, rows, offset, groups: int, together: int) -> None:
    """Every entry comes once, in its group, in the column of its offset, by ascending rows."""
    per_group, at = 2**together - 1, 0
    assert sorted(made.entry.tolist()) == list(range(len(rows)))
    for group in range(groups):
        assert made.first[group] == at
        for pattern in range(1, 2**together):
            lo, hi = made.columns[group * per_group + pattern - 1 :][:2]
            members = [m for m in range(together) if pattern >> m & 1]
            for column in range(lo, hi):
                entries = made.entry[at : at + len(members)]
                assert offset[entries].tolist() == [made.offset[column]] * len(members)
                assert rows[entries].tolist() == [group * together + m for m in members]
                at += len(members)
    assert at == len(rows)


@settings(max_examples=60)
@given(
    st.integers(0, 2**32 - 1),
    st.integers(1, 5),
    st.sampled_from([2, 3, 4, 8]),
    st.integers(1, 40),
    st.sampled_from([0, 0.1, 0.6, 1]),
)
def test_c_and_numpy(seed, groups, together, span, density):
    rows, offset = drawn(seed, groups, together, span, density)
    made = patterns._in_c(rows, offset, groups, together, span)
    assert made is not None
    check(made, rows, offset, groups, together)
    check(patterns._sorted(rows, offset, groups, together), rows, offset, groups, together)


def test_offsets_ascend_where_rows_do():
    rows, offset = np.nonzero(np.random.default_rng(3).random((8, 50)) < 0.5)
    made, twin = (
        order(rows.astype(np.int32), offset.astype(np.int32), 2, 4, *more)
        for order, more in ((patterns._in_c, (50,)), (patterns._sorted, ()))
    )
    assert made is not None
    for name in ("columns", "offset", "first", "entry"):
        assert np.array_equal(getattr(made, name), getattr(twin, name))


@pytest.mark.parametrize("few", [0, 100])
def test_two_entries_of_a_row_at_one_offset(monkeypatch, few):
    """They are columns of their own, which the routine leaves to its twin."""
    monkeypatch.setattr(patterns, "FEW", few)
    rows, offset = np.array([0, 0, 1, 1, 1], np.int32), np.array([2, 2, 2, 2, 0], np.int32)
    assert patterns._in_c(rows, offset, 1, 2, 3) is None
    made = by_patterns(rows, offset, 1, 2, 3)
    check(made, rows, offset, 1, 2)
    assert len(made.offset) == 4


def test_many_entries_go_to_the_routine(monkeypatch):
    monkeypatch.setattr(patterns, "FEW", 10)
    monkeypatch.setattr(patterns, "_sorted", lambda *_: pytest.fail("sorted"))
    rows, offset = drawn(1, 4, 4, 30, 0.5)
    check(by_patterns(rows, offset, 4, 4, 30), rows, offset, 4, 4)


@given(st.lists(st.integers(0, 2**40), max_size=300))
def test_the_order_of_numbers_keeps_equal_ones_as_they_lie(numbers):
    found = np.array(numbers, np.int64)
    assert np.array_equal(patterns.order_of(found), np.argsort(found, kind="stable"))

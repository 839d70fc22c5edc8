"""Coordinates in any order → sorted ones, each once; what of a dense array is an entry."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.formats.arrange import storage_order
from zeroskip.formats.tensor import Tensor


def test_nan_is_stored_and_negative_zero_is_not():
    array = np.array([np.nan, -0.0, 0.0, np.inf])
    tensor = Tensor.from_dense(array, "C")
    assert tensor.levels[0].arrays["crd"].tolist() == [0, 3]
    assert tensor.nnz == 2
    assert np.signbit(Tensor.from_dense(array, "U").values[1])


def test_sums_keep_their_type():
    small = Tensor.from_coords([[1, 1]], np.array([100, 100], np.int8), (3,), "C")
    assert small.dtype == np.int8
    assert small.values.tolist() == [-56]
    truth = Tensor.from_coords([[1, 1, 0]], np.array([True, True, False]), (3,), "C")
    assert truth.dtype == np.bool_
    assert truth.values.tolist() == [False, True]


@given(
    st.lists(st.tuples(st.integers(0, 2**40 - 1), st.integers(0, 2)), max_size=40),
    st.sampled_from([1, 7, 2**16, 2**16 + 1, 2**40]),
)
def test_the_radix_sort_is_the_stable_order_of_comparisons(pairs, extent):
    coords = [np.array([pair[k] for pair in pairs], dtype=np.int64) for k in (0, 1)]
    coords[0] %= extent
    rows = list(zip(coords[0].tolist(), coords[1].tolist(), strict=True))
    expected = sorted(range(len(rows)), key=lambda i: rows[i])
    assert storage_order(coords, (extent, 3)).tolist() == expected
    assert storage_order([coords[0] * 3 + coords[1]], [extent * 3]).tolist() == expected


@given(
    st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=40),
    st.permutations(range(3)),
    st.booleans(),
    st.sampled_from([5, 2**16 + 1, 2**30]),
)
def test_sorted_coordinates_are_put_into_any_order_of_ranks(points, ranks, once, extent):
    points = sorted(set(points) if once else points)
    coords = [np.array([point[rank] for point in points], dtype=np.int64) for rank in ranks]
    expected = sorted(range(len(points)), key=lambda i: [points[i][rank] for rank in ranks])
    assert storage_order(coords, [extent] * 3).tolist() == expected


@pytest.mark.parametrize(
    ("ranks", "shape", "passes"),
    [
        ((1, 0), (50, 40), 1),
        ((1, 0), (2**40, 40), 1),
        ((2, 0, 1), (5000, 4000, 3000), 1),
        ((1, 0, 2), (50, 40, 30), 1),
        ((0, 1, 2), (50, 40, 30), 0),
    ],
)
def test_ranks_inside_that_ascend_take_no_pass(ranks, shape, passes, monkeypatch):
    rng = np.random.default_rng(0)
    points = sorted(zip(*(rng.integers(0, n, 200).tolist() for n in shape), strict=True))
    coords = [np.array([point[rank] for point in points], dtype=np.int64) for rank in ranks]
    done, sort = [], np.argsort
    monkeypatch.setattr(np, "argsort", lambda *a, **k: done.append(a) or sort(*a, **k))
    order = storage_order(coords, [shape[rank] for rank in ranks])
    assert len(done) == passes
    assert order.tolist() == np.lexsort(coords[::-1]).tolist()

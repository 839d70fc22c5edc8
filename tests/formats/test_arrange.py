"""Coordinates in any order → sorted ones, each once; what of a dense array is an entry."""

from __future__ import annotations

import numpy as np
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

"""Scratch arrays begin a cache line."""

import numpy as np
import pytest

from zeroskip.native.scratch import LINE_BYTES, aligned_empty, aligned_zeros


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
@pytest.mark.parametrize("elements", [0, 1, 7, 1000, 100_000])
def test_arrays_begin_a_cache_line(dtype, elements):
    made = [aligned_zeros(elements, np.dtype(dtype)) for _ in range(5)]
    assert all(array.shape == (elements,) and array.dtype == dtype for array in made)
    assert all(array.flags.writeable and not array.any() for array in made)
    assert not elements or all(array.ctypes.data % LINE_BYTES == 0 for array in made)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8])
@pytest.mark.parametrize("elements", [0, 1, 7, 1000, 100_000])
def test_so_do_those_that_hold_anything(dtype, elements):
    made = [aligned_empty(elements, np.dtype(dtype)) for _ in range(5)]
    assert all(array.shape == (elements,) and array.dtype == dtype for array in made)
    assert all(array.flags.writeable for array in made)
    assert not elements or all(array.ctypes.data % LINE_BYTES == 0 for array in made)

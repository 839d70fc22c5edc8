"""Scratch arrays begin a cache line; long ones that stay lie in large pages."""

import mmap

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.native import scratch
from zeroskip.native.scratch import (
    LARGE_PAGE,
    LINE_BYTES,
    LONG_BYTES,
    aligned_empty,
    aligned_zeros,
    empty,
    on_large_pages,
    pages,
)

large = pytest.mark.skipif(not hasattr(mmap, "MADV_HUGEPAGE"), reason="no large pages here")


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


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int8, np.bool_])
def test_results_that_are_long_begin_a_cache_line(dtype):
    items = LONG_BYTES // np.dtype(dtype).itemsize
    for shape in [(), (0, 3), (items - 1,), (items,), (3, items // 2, 1)]:
        made = [empty(shape, np.dtype(dtype)) for _ in range(5)]
        assert all(array.shape == shape and array.dtype == dtype for array in made)
        assert all(array.flags.writeable and array.flags.c_contiguous for array in made)
        long = made[0].nbytes >= LONG_BYTES
        assert not long or all(array.ctypes.data % LINE_BYTES == 0 for array in made)
        made[0][...] = 1
        made[1][...] = 0
        assert (made[0] == 1).all()


def test_so_do_those_of_calls():
    """Of a first call, of one that is bound, and of those like it."""
    layer = zs.layer("C[i,j] = A[i,k]*B[k,j]")
    a, b = np.ones((200, 3), np.float32), np.ones((3, 200), np.float32)
    bound = layer.bind(A=a)
    for made in (layer(a, b), layer(a, b), bound(b), bound(b), bound(b)):
        assert made.ctypes.data % LINE_BYTES == 0
        assert (made == 3).all()


@large
@pytest.mark.parametrize("size", [1, 4096, LARGE_PAGE // 4, LARGE_PAGE, LARGE_PAGE + 1])
def test_pages_have_room_for_what_is_asked_for(size):
    held = pages(size)
    assert len(held) >= size
    assert held.flags.writeable
    assert not held.any()
    assert held.ctypes.data % (LARGE_PAGE if size >= LARGE_PAGE // 4 else mmap.PAGESIZE) == 0


@large
@pytest.mark.parametrize("dtype", [np.float32, np.uint16, np.int64])
@pytest.mark.parametrize("short", [0, 1])
def test_long_arrays_are_copied_to_where_few_pages_hold_them(dtype, short):
    array = np.arange(LARGE_PAGE // 4 // np.dtype(dtype).itemsize - short).astype(dtype)
    made = on_large_pages(array)
    if short:
        assert made is array
        return
    assert made.dtype == array.dtype
    assert np.array_equal(made, array)
    assert made.ctypes.data % LARGE_PAGE == 0
    assert not made.flags.writeable
    assert not np.shares_memory(made, array)


@large
def test_without_room_for_them_an_array_stays_where_it_is(monkeypatch):
    def full(*_):
        raise OSError("Cannot allocate memory")

    monkeypatch.setattr(scratch.mmap, "mmap", full)
    array = np.zeros(LARGE_PAGE)
    assert on_large_pages(array) is array

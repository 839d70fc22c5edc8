"""Memory of kernels: arrays that begin a cache line, so that no vector lies in two, and pages of
which few hold much, as each new one costs its translation while a kernel waits."""

from __future__ import annotations

import mmap
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.native.abi import ffi

LINE_BYTES = 64

ADDRESS = ffi.typeof("uintptr_t")

IN_PARTS = "Compute it in parts, or free memory first."
"""What to do where there is no room for scratch."""

LARGE_PAGE = 2**21
"""Bytes of a large page of x86-64."""


def aligned_zeros(elements: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """As ``np.zeros(elements, dtype)``, which promises 16 bytes only; shape (elements,)."""
    return _aligned(np.zeros(elements * dtype.itemsize + LINE_BYTES, np.uint8), elements, dtype)


def aligned_full(elements: int, dtype: np.dtype[Any], value: int) -> NDArray[Any]:
    """As `aligned_zeros`, with a value in it."""
    found = aligned_zeros(elements, dtype)
    if value:
        found[...] = value
    return found


def aligned_empty(elements: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """As `aligned_zeros`, with anything in it."""
    return _aligned(np.empty(elements * dtype.itemsize + LINE_BYTES, np.uint8), elements, dtype)


LONG_BYTES = 2**17
"""Of a result from which aligning it takes less than vectors that lie in two lines each do."""


def is_short(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    """Whether a result is shorter than `LONG_BYTES`."""
    return prod(shape) * dtype.itemsize < LONG_BYTES


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """As ``np.empty``, which promises 16 bytes only; what is not short begins a cache line."""
    if is_short(shape, dtype):
        return np.empty(shape, dtype)
    return within(np.empty(prod(shape) * dtype.itemsize + LINE_BYTES, np.uint8), shape, dtype)


def within(raw: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array that begins the first whole line of so many bytes and `LINE_BYTES`."""
    start = -int(ffi.cast(ADDRESS, ffi.from_buffer(raw))) % LINE_BYTES
    return np.ndarray(shape, dtype, raw, start)


def _aligned(raw: NDArray[Any], elements: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    """What begins at the first whole line of ``raw``; of no elements, an array by itself."""
    if not elements:
        return np.zeros(0, dtype)
    start = -raw.ctypes.data % LINE_BYTES
    return raw[start : start + elements * dtype.itemsize].view(dtype)


def pages_of(size: int) -> tuple[mmap.mmap, int, int]:
    """A mapping, where whole pages for so many bytes begin in it, and how many bytes these have:
    as much of it in large pages as fills them.

    Raises OSError where there is no room.
    """
    whole = size // LARGE_PAGE * LARGE_PAGE if hasattr(mmap, "MADV_HUGEPAGE") else 0
    room = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    spare = LARGE_PAGE if whole else 0
    found = mmap.mmap(-1, room + spare, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if not whole:
        return found, 0, room
    start = -int(ffi.cast(ADDRESS, ffi.from_buffer(found))) % LARGE_PAGE
    found.madvise(mmap.MADV_HUGEPAGE, start, whole)
    return found, start, room


def pages(size: int) -> NDArray[Any]:
    """Memory of its own for at least so many bytes, in whole pages: large ones for many bytes.

    Raises OSError where there is no room.
    """
    large = LARGE_PAGE if size >= LARGE_PAGE // 4 and hasattr(mmap, "MADV_HUGEPAGE") else 1
    found, start, room = pages_of(-(-size // large) * large)
    return np.ndarray(room, np.uint8, found, start)


def on_large_pages(array: NDArray[Any]) -> NDArray[Any]:
    """The array, or where it is long a copy in large pages that nobody writes: for what many calls
    read from beyond the caches."""
    if array.nbytes < LARGE_PAGE // 4 or not hasattr(mmap, "MADV_HUGEPAGE"):
        return array
    try:
        held = pages(array.nbytes)
    except OSError:
        return array
    copy = held[: array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    copy.flags.writeable = False
    return copy

"""Memory of large results, which later ones take once nobody holds it any more.

A page that is new to a process is zeroed by the system while the kernel that writes it waits, which
takes as long as the writing; what a result leaves behind needs none of that.  Until then it is lent
to the system, which takes it where it needs room.

Where the allocator hands out memory that somebody has written before, that is taken instead: it may
still be in the caches, whoever wrote it, as what was left here longer ago is not.
"""

from __future__ import annotations

import mmap
import weakref
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.native import scratch, settings
from zeroskip.records import dataclass

LEAST_BYTES = scratch.LONG_BYTES
"""Of an array that has memory of its own; the allocator keeps what shorter ones leave."""

PLAIN_BYTES = 2**26
"""Bytes of what was left last that are kept as they are: to have the system look for what it may
take costs a write to each of these pages more than to one that is plainly there."""

SPARE = 2
"""An array takes memory of at most so many times its bytes."""

KEPT = 4
"""An array that is trimmed keeps memory of at most so many times its bytes."""

BYTE = np.dtype(np.uint8)
NOTHING = bytes(scratch.LINE_BYTES)

KEEPS = hasattr(mmap, "MADV_FREE")
"""Whether the system can be told that it may take memory which is kept."""


@dataclass(slots=True, eq=False)
class _Block:
    """Bytes ``[start, start + size)`` of a mapping, in whole pages.

    offered : whether the system may take them.
    """

    mapping: mmap.mmap
    start: int
    size: int
    offered: bool = False


class _Loan(weakref.ref[NDArray[Any]]):
    """Of a block, to the array that all views of it hold."""

    __slots__ = ("block",)
    block: _Block


_idle: list[_Block] = []  # each step is one of a list: an array can go at any of them
_loans: dict[int, _Loan] = {}
_most = [0]
"""Bytes that are kept, by the settings of the last result; what was left first goes first."""


def empty(shape: int | tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """As `scratch.empty`, for what is returned."""
    extents = (shape,) if isinstance(shape, int) else shape
    size = prod(extents) * dtype.itemsize
    if size < LEAST_BYTES:
        return np.empty(extents, dtype)
    _most[0] = settings.current().kept_bytes
    if not _most[0] or not KEEPS:
        _idle.clear()
        return scratch.empty(extents, dtype)
    if size < scratch.LARGE_PAGE:  # no cache of a core holds more, and blocks lie in large pages
        raw = _allocated(size + scratch.LINE_BYTES)
        if _was_written(raw):
            return scratch.within(raw, extents, dtype)
    try:
        block = _taken(size) or _Block(*scratch.pages_of(size))
    except OSError:
        _idle.clear()
        return scratch.empty(extents, dtype)
    found = np.ndarray(extents, dtype, block.mapping, block.start)
    loan = _Loan(found, _returned)
    loan.block = block
    _loans[id(loan)] = loan
    return found


def trimmed(array: NDArray[Any], count: int) -> NDArray[Any]:
    """The first ``count`` items of what `empty` has made, which nobody else holds; a copy where
    that would keep much memory for little."""
    if array.flags.owndata:
        array.resize(count, refcheck=False)
        return array
    if count * KEPT < len(array):
        return array[:count].copy()
    return array[:count]


def _allocated(size: int) -> NDArray[Any]:
    return np.empty(size, BYTE)


def _was_written(raw: NDArray[Any]) -> bool:
    """Whether anything but zeros ends what an array would have of such memory, as nothing does in
    pages that are new to the process."""
    return raw[-2 * scratch.LINE_BYTES : -scratch.LINE_BYTES].tobytes() != NOTHING


def _taken(size: int) -> _Block | None:
    """Of the blocks that fit the one that was left last; None where none does."""
    for block in reversed(tuple(_idle)):
        if size <= block.size <= SPARE * size:
            try:
                _idle.remove(block)
            except ValueError:  # another thread has it
                continue
            return block
    return None


def _returned(loan: _Loan) -> None:
    """What becomes of a block whose array has gone."""
    del _loans[id(loan)]
    loan.block.offered = False
    _idle.append(loan.block)
    held, most = 0, _most[0]
    for block in reversed(tuple(_idle)):
        held += block.size
        if held > most or (held > PLAIN_BYTES and not block.offered):
            try:
                _idle.remove(block)
            except ValueError:  # another thread has it
                continue
            if held > most:
                continue
            with suppress(OSError):  # of pages that are locked: these go
                block.mapping.madvise(mmap.MADV_FREE, block.start, block.size)
                block.offered = True
                _idle.insert(0, block)  # not before: nobody writes it meanwhile

"""The arrays of one level, their index types, and how much room they may take."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import FormatError, RoomError, TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Compressed, LevelFormat, RunLength, Singleton, Structured
from zeroskip.formats.memory import lately_available
from zeroskip.formats.splits import part_shape
from zeroskip.records import dataclass

Array = NDArray[Any]
Indices = NDArray[np.int64]

MAX_POSITIONS = 2**62
"""Positions of one rank; above, position arithmetic in 64 bits could overflow."""

SMALL_BYTES = 2**24
"""Arrays below are asked for as they are: to ask the system takes longer than a small kernel."""


@dataclass(frozen=True, slots=True, eq=False)
class LevelData:
    """One storage rank of a tensor.

    spec : its level format.
    extent : its number of coordinates, the product of its axes' extents.
    axes : the tensor's axes that it flattens, row-major (of a split format, its `parts`).
    fibers : positions of the rank above (1 at the root).
    entries : positions at this rank.
    arrays : the arrays of ``spec.arrays`` by name: 1-D, C-contiguous, read-only.
    """

    spec: LevelFormat
    extent: int
    axes: tuple[int, ...]
    fibers: int
    entries: int
    arrays: dict[str, Array]


def index_dtype(spec: LevelFormat, name: str, extent: int) -> np.dtype[Any]:
    """The dtype of array ``name``: as narrow as the extent or the run field allows.

    crd is uint16 for extents up to 65536, int32 up to 2**31, else int64; run is uint8,
    uint16 or uint32 by its bits; offset is uint8 or uint16 by its group; pos and rank are
    int64, words uint64.
    """
    if name == "crd":
        wide = np.int32 if extent <= 2**31 else np.int64
        return np.dtype(np.uint16 if extent <= 2**16 else wide)
    if name == "run" and isinstance(spec, RunLength):
        wider = np.uint16 if spec.run_bits <= 16 else np.uint32
        return np.dtype(np.uint8 if spec.run_bits <= 8 else wider)
    if name == "offset" and isinstance(spec, Structured):
        return np.dtype(np.uint8 if spec.group <= 2**8 else np.uint16)
    return np.dtype(np.uint64 if name == "words" else np.int64)


def mask_words(extent: int) -> int:
    """64-bit words of a bitmask fiber."""
    return -(-extent // 64)


def coordinate_bits(extent: int) -> int:
    """ceil(log2 extent): bits that tell ``extent`` coordinates apart."""
    return max(extent - 1, 0).bit_length()


def storage_extents(shape: Sequence[int], bound: Format) -> tuple[int, ...]:
    """Extent of every storage rank; refuses one that its fields cannot address."""
    return _extents(tuple(shape), bound)


@lru_cache(maxsize=1024)
def _extents(shape: tuple[int, ...], bound: Format) -> tuple[int, ...]:
    sizes = part_shape(shape, bound)
    extents = tuple(prod(sizes[part] for part in parts) for parts in bound.order)
    for i, (rank, extent) in enumerate(zip(bound.ranks, extents, strict=True)):
        if extent > MAX_POSITIONS:
            raise TensorError(
                f"rank {i} ({rank}) has extent {extent}, more than {MAX_POSITIONS}\n"
                "Store its axes as ranks of their own instead of flattening them."
            )
        level = rank.level
        if isinstance(level, Compressed | Singleton) and level.coordinate_bits is not None:
            needed = coordinate_bits(extent)
            if level.coordinate_bits < needed:
                raise FormatError(
                    f"rank {i} ({rank}) has extent {extent}, whose coordinates need {needed} "
                    f"bits; the field has {level.coordinate_bits}\n"
                    f"Write {level.letter}({needed}), or {level.letter} for the narrowest field."
                )
    return extents


def check_room(
    items: int,
    itemsize: int,
    what: str,
    hint: str = "Store the long ranks as C, so that only their entries take room.",
) -> None:
    """Refuse an array for which there is no memory, before asking for it.

    Raises RoomError with the bytes needed and those available; ``hint`` says what to do.
    """
    needed = items * itemsize
    if needed < SMALL_BYTES:
        return
    available = lately_available()
    if needed > available:
        raise RoomError(
            f"{what} would hold {items} items of {itemsize} bytes, {needed} bytes, more than the "
            f"{available} bytes of memory that are available\n{hint}"
        )


def freeze(array: Array) -> Array:
    """The array itself, read-only from now on."""
    array.setflags(write=False)
    return array

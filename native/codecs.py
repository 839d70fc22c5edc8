"""Encoding and decoding in C (c/zs_codecs.c), which formats use for large arrays.

The NumPy of `formats.build` and `formats.expand` is the twin of all of it: the results are equal
to the bit, and where None or False is returned the twin does the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import CacheError, CompilerError
from zeroskip.formats.fills import is_nan
from zeroskip.formats.level_data import LevelData, check_room, index_dtype, mask_words
from zeroskip.formats.levels import Bitmask, LevelFormat
from zeroskip.formats.values import as_bits, is_float
from zeroskip.native.load import KernelFailure, header, load

LONG_BYTES = 2**26
"""Arrays from this size on can be left by Ctrl-C."""

Array = NDArray[Any]


def encode(
    flat: Array, spec: LevelFormat, fibers: int, extent: int, fill: Any
) -> tuple[dict[str, Array], Array] | None:
    """Arrays of a C or B level over ``fibers`` rows of a dense array, and its values.

    flat : 1-D, C-contiguous and aligned, of ``fibers * extent`` items.

    Returns None where there is no compiler, and for a NaN as the fill.
    """
    if is_nan(fill):
        return None
    bits, width = as_bits(flat), flat.itemsize
    care = 2 ** (8 * width) - 1
    if is_float(flat.dtype) and not fill:
        care >>= 1
    count = fibers * mask_words(extent)
    check_room(2 * count + 1, 8, "words and rank of the bitmask")
    words, rank = np.empty(count, np.uint64), np.empty(count + 1, np.int64)
    long = flat.nbytes >= LONG_BYTES
    dims = [fibers, extent, width, _signed(care), _signed(_bits_of(fill))]
    if not _call("zs_masks", [bits, words, rank], dims, long):
        return None
    total = int(rank[-1])
    check_room(total, width + 8, "values and coordinates")
    values = np.empty(total, flat.dtype)
    if not _call("zs_values", [bits, words, as_bits(values)], [fibers, extent, width, total], long):
        return None
    if isinstance(spec, Bitmask):
        return {"words": words, "rank": rank[:-1].copy()}, values
    crd = np.empty(total, index_dtype(spec, "crd", extent))
    if not _call("zs_coordinates", [words, crd], [fibers, extent, crd.itemsize, total], long):
        return None
    return {"pos": rank[:: mask_words(extent)].copy(), "crd": crd}, values


def decode(level: LevelData, values: Array, flat: Array, fill: Any) -> bool:
    """Write the values of a C or B level to their places in a dense array that holds the fill.

    flat : 1-D, of ``level.fibers * level.extent`` items.

    Returns False, with the places of any values written, where there is no compiler or the
    arrays contradict each other.
    """
    arrays, width, total = level.arrays, values.itemsize, len(values)
    held = [as_bits(values), as_bits(flat)]
    dims, long = [level.fibers, level.extent, width], flat.nbytes >= LONG_BYTES
    if isinstance(level.spec, Bitmask):
        if len(arrays["words"]) != level.fibers * mask_words(level.extent):
            return False
        dims += [total, _signed(_bits_of(fill))]
        return _call("zs_spread", [arrays["words"], *held], dims, long)
    if len(arrays["pos"]) != level.fibers + 1 or len(arrays["crd"]) != total:
        return False
    dims += [arrays["crd"].itemsize, total]
    return _call("zs_scatter", [arrays["pos"], arrays["crd"], *held], dims, long)


def _bits_of(value: Any) -> int:
    return int.from_bytes(value.tobytes(), "little" if np.little_endian else "big")


def _signed(bits: int) -> int:
    return bits - 2**64 if bits >= 2**63 else bits


def _call(symbol: str, buffers: Sequence[Array], dims: Sequence[int], long: bool) -> bool:
    try:
        load(header("zs_codecs.c"), symbol).prepare(buffers, dims).call(long=long)
    except (CompilerError, CacheError, KernelFailure):
        return False
    return True

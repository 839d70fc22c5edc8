"""Encoding and decoding in C (c/zs_codecs.c), and axes in another order (c/zs_turn.c).

`formats` uses them for large arrays.  The NumPy of `formats.build`, `formats.expand` and
`formats.turned` is the twin of all of it: the results are equal to the bit, and where None or
False is returned the twin does the work.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import CacheError, CompilerError
from zeroskip.formats.fills import is_nan
from zeroskip.formats.level_data import LevelData, check_room, index_dtype, mask_words
from zeroskip.formats.levels import Bitmask, LevelFormat
from zeroskip.formats.values import as_bits, is_float
from zeroskip.native import settings
from zeroskip.native.load import KernelFailure, load
from zeroskip.native.reused import empty, trimmed
from zeroskip.native.scratch import aligned_empty
from zeroskip.native.texts import header

LONG_BYTES = 2**26
"""Arrays from this size on can be left by Ctrl-C."""

WORD = 64
"""Items of a word of a mask, and the room that its values may overwrite."""

TURNED = 16
"""Columns that are turned at a time (ZS_TURN_COLUMNS)."""

FIRST_ROOM = 2**20
"""Values that there is room for at first; a longer array gets more as it turns out to be full."""

BYTE = np.dtype(np.uint8)

Array = NDArray[Any]


def encode(
    flat: Array, spec: LevelFormat, fibers: int, extent: int, fill: Any, columns: int = 0
) -> tuple[dict[str, Array], Array] | None:
    """Arrays of a C or B level over ``fibers`` rows of a dense array, and its values.

    flat : 1-D, C-contiguous and aligned, of ``fibers * extent`` items.
    columns : where it holds matrices of ``extent`` rows, whose columns are the fibers, how many
        each has; they are turned on the way.

    Returns None where there is no compiler, and for a NaN as the fill.
    """
    if is_nan(fill):
        return None
    bits, width = as_bits(flat), flat.itemsize
    care = _care(flat.dtype, fill)
    if isinstance(spec, Bitmask):
        count = fibers * mask_words(extent)
        check_room(2 * count, 8, "words and rank of the bitmask")
        arrays: dict[str, Array] = {
            "words": empty(count, np.dtype(np.uint64)),
            "rank": empty(count, np.dtype(np.int64)),
        }
        symbol, entries, crd_width = "zs_encode_words", [], 0
        index = list(arrays.values())
    else:
        check_room(fibers + 1, 8, "pointers of the list of coordinates")
        arrays = {"pos": np.zeros(fibers + 1, np.int64)}
        crd_dtype = index_dtype(spec, "crd", extent)
        symbol, entries, crd_width = "zs_encode_lists", [crd_dtype], crd_dtype.itemsize
        index = [arrays["pos"]]
    state, room = np.zeros(3, np.int64), min(len(flat), FIRST_ROOM) + WORD
    near = state
    if columns:
        items = min(TURNED, columns) * extent
        check_room(items, width, "the columns that are turned")
        near = aligned_empty(items * width, BYTE)
    total, filling = 0, _bits_of(fill)
    grown: list[Array] = []
    while True:
        check_room(room, width + crd_width, "values and coordinates")
        if grown:
            grown = [_longer(array, total, room) for array in grown]
        else:
            grown = [empty(room, dtype) for dtype in (flat.dtype, *entries)]
        dims = [fibers, extent, width, room, care, filling, crd_width, columns]
        held = [bits, state, *map(as_bits, grown), *index, near]
        if not _call(symbol, held, dims, flat.nbytes >= LONG_BYTES):
            return None
        row, at, total = state.tolist()
        if row == fibers:
            break
        done = row * extent + at  # what is left is taken to be as full as that
        room = min(len(flat), total * len(flat) // done * 9 // 8) + 2 * WORD
    del held  # views of memory that may move now
    grown = [trimmed(array, total) for array in grown]
    if crd_width:
        arrays["crd"] = grown[1]
    return arrays, grown[0]


REPEATED_BYTES = 2**23
"""Arrays up to which it pays to have all of `encode` prepared that is not the encoding."""


def encoder(
    dtype: np.dtype[Any], spec: LevelFormat, fibers: int, extent: int, columns: int
) -> Callable[[Array], tuple[dict[str, Array], Array] | None] | None:
    """`encode` of one array after the other, with 0 as the fill; None where there is no compiler,
    and for arrays or types that are not prepared for.

    What it returns for an array is None where `encode` is to see to it: after a change of settings.
    """
    size, width, now = fibers * extent, dtype.itemsize, settings.current()
    if size * width > REPEATED_BYTES or dtype.kind == "V" or not size:
        return None
    words, room = isinstance(spec, Bitmask), size + WORD
    crd_dtype = np.dtype(np.uint64) if words else index_dtype(spec, "crd", extent)
    crds = fibers * mask_words(extent) if words else room
    pointers = crds if words else fibers + 1
    crd_width = 0 if words else crd_dtype.itemsize
    dims = [fibers, extent, width, room, _care(dtype, 0), 0, crd_width, columns]
    items = min(TURNED, columns) * extent
    symbol = "zs_encode_words" if words else "zs_encode_lists"
    try:
        kernel = load(header("zs_codecs.c"), symbol)
    except (CompilerError, CacheError):
        return None
    current, new, int64 = settings.current, np.empty, np.dtype(np.int64)

    def prepared() -> tuple[Array, Callable[..., bool]]:
        """Where it comes to, and what runs it."""
        state = np.zeros(3, int64)
        near = aligned_empty(items * width, BYTE)
        call = kernel.prepare((None, state, None, None, None, near), dims)
        return state, call.again((0, 2, 3, 4))

    idle = [prepared()]

    def again(flat: Array) -> tuple[dict[str, Array], Array] | None:
        if current() is not now:
            return None
        try:
            taken = idle.pop()
        except IndexError:  # others are in calls of other threads
            taken = prepared()
        state, run = taken
        values, crd, pos = new(room, dtype), new(crds, crd_dtype), new(pointers, int64)
        if not words:
            pos[0] = 0
        state[...] = 0
        run(flat, values, crd, pos)
        total = int(state[2])
        idle.append(taken)
        values.resize(total, refcheck=False)
        if words:
            return {"words": crd, "rank": pos}, values
        crd.resize(total, refcheck=False)
        return {"pos": pos, "crd": crd}, values

    return again


def decode(level: LevelData, values: Array, flat: Array, fill: Any, filled: bool) -> bool:
    """Write a dense array of a C or B level's values and of the fill.

    flat : 1-D, of ``level.fibers * level.extent`` items that need hold nothing.
    filled : whether it holds nothing but the fill, and a C level's values alone are written.

    Returns False, with anything written, where there is no compiler or the arrays contradict
    each other.
    """
    arrays, width, total = level.arrays, values.itemsize, len(values)
    held = [as_bits(values), as_bits(flat)]
    dims, long = [level.fibers, level.extent, width], flat.nbytes >= LONG_BYTES
    if isinstance(level.spec, Bitmask):
        if len(arrays["words"]) != level.fibers * mask_words(level.extent):
            return False
        dims += [total, _bits_of(fill)]
        return _call("zs_spread", [arrays["words"], *held], dims, long)
    if len(arrays["pos"]) != level.fibers + 1 or len(arrays["crd"]) != total:
        return False
    dims += [arrays["crd"].itemsize, total, _bits_of(fill), filled]
    return _call("zs_scatter", [arrays["pos"], arrays["crd"], *held], dims, long)


def turn(flat: Array, count: int, rows: int, columns: int) -> Array | None:
    """So many matrices by rows, one after the other, with the columns of each as rows.

    flat : 1-D, C-contiguous and aligned, of ``count * rows * columns`` items.

    Returns what begins a cache line, as kernels may read it in vectors; None where there is no
    compiler.
    """
    check_room(flat.size, flat.itemsize, "the array in another order of axes")
    turned = aligned_empty(flat.size, flat.dtype)
    held, dims = [as_bits(flat), as_bits(turned)], [count, rows, columns, flat.itemsize]
    done = _call("zs_turn", held, dims, flat.nbytes >= LONG_BYTES, "zs_turn.c")
    return turned if done else None


def turning(
    dtype: np.dtype[Any], count: int, rows: int, columns: int
) -> Callable[[Array], Array] | None:
    """`turn` of one array after the other, into the same memory; None where there is no compiler.

    What it returns is for one call at a time, and written over by the next.
    """
    size = count * rows * columns
    long = size * dtype.itemsize >= LONG_BYTES
    check_room(size, dtype.itemsize, "the array in another order of axes")
    turned = aligned_empty(size, dtype)
    dims = [count, rows, columns, dtype.itemsize]
    try:
        call = load(header("zs_turn.c"), "zs_turn").prepare((None, as_bits(turned)), dims)
    except (CompilerError, CacheError):
        return None

    def into(flat: Array) -> Array:
        call.set_buffers((as_bits(flat),))
        call.call(long=long)
        call.forget((0,))
        return turned

    return into


def _care(dtype: np.dtype[Any], fill: Any) -> int:
    """The bits of an item that tell it from the fill: all but the sign of floats that are not 0."""
    return 2 ** (8 * dtype.itemsize - 1) - 1 if not fill and is_float(dtype) else -1


def _longer(array: Array, kept: int, length: int) -> Array:
    """An array of ``length`` items, of which the first ``kept`` are these."""
    longer = empty(length, array.dtype)
    longer[:kept] = array[:kept]
    return longer


def _bits_of(value: Any) -> int:
    """Those of a fill, as what a kernel takes for its extents: of 64, the first is the sign."""
    if not value:
        return 0
    bits = int.from_bytes(value.tobytes(), "little" if np.little_endian else "big")
    return bits - 2**64 if bits >= 2**63 else bits


def _call(
    symbol: str,
    buffers: Sequence[Array],
    dims: Sequence[int],
    long: bool,
    file: str = "zs_codecs.c",
) -> bool:
    try:
        load(header(file), symbol).once(buffers, dims, long=long)
    except (CompilerError, CacheError, KernelFailure):
        return False
    return True

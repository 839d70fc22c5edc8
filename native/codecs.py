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
from zeroskip.native.abi import ffi
from zeroskip.native.load import KernelFailure, load
from zeroskip.native.reused import LEAST_BYTES, empty, trimmed
from zeroskip.native.scratch import aligned_empty
from zeroskip.native.texts import header
from zeroskip.records import dataclass

LONG_BYTES = 2**26
"""Arrays from this size on can be left by Ctrl-C."""

WORD = 64
"""Items of a word of a mask, and the room that its values may overwrite."""

TURNED = 16
"""Columns that are turned at a time (ZS_TURN_COLUMNS)."""

FIRST_ROOM = 2**20
"""Values that there is room for at first; a longer array gets more as it turns out to be full."""

ROOM = 3
"""Which extent of a kernel says how many values there is room for."""

STATE, BEGIN = ffi.typeof("int64_t[]"), (0, 0, 0)
"""Where an encoder comes to: row, coordinate, values.  Cffi reads it in fewer steps than NumPy."""

BYTE, INT64 = np.dtype(np.uint8), np.dtype(np.int64)

Array = NDArray[Any]

Encoded = tuple[dict[str, Array], Array]
"""The arrays of a level, and the values."""


def encode(
    flat: Array, spec: LevelFormat, fibers: int, extent: int, fill: Any, columns: int = 0
) -> Encoded | None:
    """Arrays of a C or B level over ``fibers`` rows of a dense array, and its values.

    flat : 1-D, C-contiguous and aligned, of ``fibers * extent`` items.
    columns : where it holds matrices of ``extent`` rows, whose columns are the fibers, how many
        each has; they are turned on the way.

    Returns None where there is no compiler, and for a NaN as the fill.
    """
    if is_nan(fill):
        return None
    kind = _kind(flat.dtype, spec, fibers, extent, fill, columns)
    came_to, near, dims = np.zeros(3, np.int64), kind.near(), list(kind.dims)
    long = flat.nbytes >= LONG_BYTES

    def make_room(room: int) -> None:
        dims[ROOM] = room

    def run(flat: Array, values: Array, crd: Array, pos: Array) -> None:
        kernel.once((as_bits(flat), came_to, as_bits(values), crd, pos, near), dims, long=long)

    try:
        kernel = load(header("zs_codecs.c"), kind.symbol)
        state = ffi.from_buffer(STATE, came_to)
        return _made(kind, flat, empty, kind.dims[ROOM], state, make_room, run)
    except (CompilerError, CacheError, KernelFailure):
        return None


REPEATED_BYTES = 2**23
"""Arrays up to which it pays to have all of `encode` prepared that is not the encoding."""


def encoder(
    dtype: np.dtype[Any], spec: LevelFormat, fibers: int, extent: int, columns: int
) -> Callable[[Array], Encoded | None] | None:
    """`encode` of one array after the other, with 0 as the fill; None where there is no compiler,
    and for arrays or types that are not prepared for.

    Where the array before has had many values, there is room at first for these and some more, in
    what earlier ones have left; of few, the allocator takes the rest back.

    What it returns for an array is None where `encode` is to see to it: after a change of settings.
    """
    size, now, current = fibers * extent, settings.current(), settings.current
    if size * dtype.itemsize > REPEATED_BYTES or dtype.kind == "V" or not size:
        return None
    kind = _kind(dtype, spec, fibers, extent, 0, columns)
    try:
        kernel = load(header("zs_codecs.c"), kind.symbol)
    except (CompilerError, CacheError):
        return None

    def prepared() -> tuple[Any, Callable[[int], None], Callable[..., object]]:
        """Where it comes to, what is told how much room there is, and what runs it."""
        came_to, has = np.zeros(3, np.int64), kind.dims[ROOM]
        call = kernel.prepare((None, came_to, None, None, None, kind.near()), kind.dims)

        def make_room(room: int) -> None:
            nonlocal has
            if room != has:
                call.set_dims((room,), ROOM)
                has = room

        return ffi.from_buffer(STATE, came_to), make_room, call.again((0, 2, 3, 4))

    idle, room = [prepared()], kind.dims[ROOM]
    new: Callable[..., Array] = np.empty
    many = LEAST_BYTES // dtype.itemsize

    def encoded(flat: Array) -> Encoded | None:
        nonlocal new, room
        if current() is not now:
            return None
        try:
            taken = idle.pop()
        except IndexError:  # others are in calls of other threads
            taken = prepared()
        made = _made(kind, flat, new, room, *taken)
        idle.append(taken)
        count = len(made[1])
        if count < many:
            new, room = np.empty, kind.dims[ROOM]
        elif new is np.empty or not count + WORD <= room <= 2 * count:
            new, room = empty, _with_more(count, size)
        return made

    return encoded


@dataclass(frozen=True, slots=True)
class _Kind:
    """What encoding comes to for arrays of one shape and type.

    symbol, dims : the encoder, and its extents, with room for as many values as there is at first.
    index : how many pointers or ranks there are.
    words, crd : how many words, None where there are coordinates; the type of either.
    """

    dtype: np.dtype[Any]
    symbol: str
    dims: tuple[int, ...]
    index: int
    words: int | None
    crd: np.dtype[Any]

    def near(self) -> Array:
        """Room for the columns that are turned together."""
        columns = min(TURNED, self.dims[7])
        return aligned_empty(columns * self.dims[1] * self.dtype.itemsize, BYTE)


def _kind(
    dtype: np.dtype[Any], spec: LevelFormat, fibers: int, extent: int, fill: Any, columns: int
) -> _Kind:
    width, room = dtype.itemsize, min(fibers * extent, FIRST_ROOM) + WORD
    words: int | None = None
    if isinstance(spec, Bitmask):
        words = index = fibers * mask_words(extent)
        check_room(2 * words, 8, "words and rank of the bitmask")
        symbol, crd, crd_width = "zs_encode_words", np.dtype(np.uint64), 0
    else:
        index = fibers + 1
        check_room(index, 8, "pointers of the list of coordinates")
        symbol, crd = "zs_encode_lists", index_dtype(spec, "crd", extent)
        crd_width = crd.itemsize
    check_room(min(TURNED, columns) * extent, width, "the columns that are turned")
    check_room(room, width + crd_width, "values and coordinates")
    care, filling = _care(dtype, fill), _bits_of(fill)
    dims = (fibers, extent, width, room, care, filling, crd_width, columns)
    return _Kind(dtype, symbol, dims, index, words, crd)


def _made(
    kind: _Kind,
    flat: Array,
    new: Callable[..., Array],
    room: int,
    state: Any,
    make_room: Callable[[int], None],
    run: Callable[..., object],
) -> Encoded:
    """Encode an array, with as much room for values as turns out to be needed.

    new : makes arrays like `empty`.
    run : given the array, and where values, coordinates or words, and pointers or ranks go, goes on
        from what ``state`` says.
    """
    words, index, dims = kind.words, kind.index, kind.dims
    values, crd = new(room, kind.dtype), new(room if words is None else words, kind.crd)
    pos = new(index, INT64)
    state[0:3] = BEGIN
    while True:
        make_room(room)
        run(flat, values, crd, pos)
        row, at, total = state
        if row == dims[0]:
            break
        fibers, extent, width, *_, crd_width, _ = dims
        size = fibers * extent  # what is left is taken to be as full as what is done
        room = _with_more(total * size // (row * extent + at), size)
        check_room(room, width + crd_width, "values and coordinates")
        values = _longer(values, total, room)
        crd = _longer(crd, total, room) if words is None else crd
    values = trimmed(values, total)
    if words is None:
        return {"pos": pos, "crd": trimmed(crd, total)}, values
    return {"words": crd, "rank": pos}, values


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


def _with_more(values: int, size: int) -> int:
    """Room for some more values than so many, of which there are ``size`` at most."""
    return min(size, values * 9 // 8) + 2 * WORD


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

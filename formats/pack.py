"""The bit stream whose length `storage` states, and back.

Level by level, outermost first: the fiber pointers, then the coordinates, runs or mask bits;
after the levels, the values.  Fields follow each other without gaps.  Bit i of the stream is
bit i % 8 of byte i // 8, and a field's least significant bit comes first; the last byte is
filled up with zeros.  Integers are two's complement, floats IEEE 754 (bfloat16
in 16 bits its own).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.bits import LevelBits, layout, value_width
from zeroskip.formats.build import popcounts_before
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import Array, LevelData, mask_words
from zeroskip.formats.levels import Bitmask
from zeroskip.formats.tensor import Tensor
from zeroskip.records import dataclass

Bits = Any
"""One-dimensional uint8 array of zeros and ones."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A tensor as a stream of bits, with what is needed to read it.

    data : the stream, little-endian.
    n_bits : its length, equal to the tensor's ``storage(...).total_bits``.
    value_bits : width of a value; pointer_bits that of a fiber pointer, None for the
        narrowest of each rank.
    entries : entries at each storage rank.
    fill : the value of what is not stored, known beside the stream.
    """

    data: bytes
    n_bits: int
    shape: tuple[int, ...]
    format: Format
    dtype: np.dtype[Any]
    value_bits: int
    pointer_bits: int | None
    entries: tuple[int, ...]
    fill: Any = 0

    @property
    def widths(self) -> tuple[LevelBits, ...]:
        """Number and width of the fields of each level."""
        return layout(self.shape, self.format, self.entries, self.pointer_bits)

    def unpack(self) -> Tensor:
        """The tensor; see `unpack`."""
        return unpack(self)


def pack(
    tensor: Tensor, value_bits: int | None = None, *, pointer_bits: int | None = None
) -> Packed:
    """Write every level and value as fields of the widths that `Tensor.storage` charges.

    Raises
    ------
    TensorError
        If a value has no exact form in ``value_bits``, naming the value; float values have
        forms of 16, 32 and 64 bits.
    """
    width = value_width(tensor.dtype, value_bits)
    entries = tuple(level.entries for level in tensor.levels)
    fields = layout(tensor.shape, tensor.format, entries, pointer_bits)
    parts = [
        part
        for level, bits in zip(tensor.levels, fields, strict=True)
        for part in _level_fields(level, bits)
    ]
    parts.append(_to_bits(_encode_values(tensor.values, width), width))
    stream = np.concatenate(parts)
    return Packed(
        np.packbits(stream, bitorder="little").tobytes(),
        len(stream),
        tensor.shape,
        tensor.format,
        tensor.dtype,
        width,
        pointer_bits,
        entries,
        tensor.fill,
    )


def unpack(packed: Packed) -> Tensor:
    """The tensor that was packed, entry by entry.

    Raises
    ------
    TensorError
        If the stream is of another length than its fields, if bits are set past its end, or
        if what is read contradicts itself: pointers that fall, a coordinate out of range.
    """
    if len(packed.entries) != len(packed.format.ranks):
        raise TensorError(
            f"packed {packed.format.label}: entries of {len(packed.entries)} ranks for a format "
            f"of {len(packed.format.ranks)}"
        )
    fields = packed.widths
    stored = packed.entries[-1] if packed.entries else 1
    expected = sum(bits.metadata_bits for bits in fields) + stored * packed.value_bits
    if packed.n_bits != expected or len(packed.data) != -(-expected // 8):
        raise TensorError(
            f"packed {packed.format.label}: {packed.n_bits} bits in {len(packed.data)} bytes; "
            f"its fields take {expected} bits in {-(-expected // 8)} bytes"
        )
    stream = np.unpackbits(np.frombuffer(packed.data, np.uint8), bitorder="little")
    if stream[expected:].any():
        raise TensorError(f"packed {packed.format.label}: bits are set after the last, {expected}")
    reader = _Reader(stream)
    parts = [
        _level_arrays(rank.level, bits, reader)
        for rank, bits in zip(packed.format.ranks, fields, strict=True)
    ]
    values = _decode_values(reader.take(stored, packed.value_bits), packed.dtype, packed.value_bits)
    tensor = Tensor.from_parts(packed.shape, packed.format, parts, values, fill=packed.fill)
    for i, (level, said) in enumerate(zip(tensor.levels, packed.entries, strict=True)):
        if level.entries != said:
            raise TensorError(
                f"packed {packed.format.label}: rank {i} holds {level.entries} entries, "
                f"its header says {said}"
            )
    return tensor


# ---- levels ---------------------------------------------------------------------------------


def _level_fields(level: LevelData, bits: LevelBits) -> Iterator[Bits]:
    if isinstance(level.spec, Bitmask):
        width = 64 * mask_words(level.extent)
        octets = level.arrays["words"].astype("<u8").view(np.uint8)
        rows = np.unpackbits(octets, bitorder="little").reshape(level.fibers, width)
        yield rows[:, : level.extent].reshape(-1)
        return
    if bits.pointers:
        yield _to_bits(level.arrays["pos"], bits.pointer_bits)
    for name in level.spec.arrays:
        if name != "pos":
            yield _to_bits(level.arrays[name], bits.field_bits)


def _level_arrays(spec: Any, bits: LevelBits, reader: _Reader) -> dict[str, Array]:
    if isinstance(spec, Bitmask):
        width = 64 * mask_words(bits.extent)
        rows = np.zeros((bits.fibers, width), dtype=np.uint8)
        rows[:, : bits.extent] = reader.bits(bits.fields).reshape(bits.fibers, bits.extent)
        words = np.packbits(rows.reshape(-1), bitorder="little").view("<u8").astype(np.uint64)
        return {"words": words, "rank": popcounts_before(words)}
    arrays: dict[str, Array] = {}
    for name in spec.arrays:
        if name == "pos" and not bits.pointers:
            arrays[name] = np.array([0, bits.entries], dtype=np.int64)
        elif name == "pos":
            arrays[name] = reader.take(bits.pointers, bits.pointer_bits)
        else:
            arrays[name] = reader.take(bits.fields, bits.field_bits)
    return arrays


# ---- values ---------------------------------------------------------------------------------


def _encode_values(values: Array, width: int) -> Array:
    """Values as unsigned integers of ``width`` bits."""
    if values.dtype == np.bool_:
        return values.astype(np.uint64)
    if values.dtype.kind == "u":
        most = (1 << width) - 1
        _refuse_first(values > most, values, width, f"0 .. {most}")
        return values.astype(np.uint64)
    if values.dtype.kind == "i":
        low, high = -(1 << (width - 1)), (1 << (width - 1)) - 1
        _refuse_first((values < low) | (values > high), values, width, f"{low} .. {high}")
        return values.astype(np.int64).view(np.uint64)
    if values.dtype.name == "bfloat16":
        if width == 16:
            return values.view(np.uint16)
        values = values.astype(np.float32)
    _check_float_width(values.dtype, width)
    with np.errstate(over="ignore", under="ignore"):
        narrow = values.astype(f"<f{width // 8}")
    exact = (narrow.astype(values.dtype) == values) | np.isnan(values)
    _refuse_first(~exact, values, width, "no exact form")
    return narrow.view(f"<u{width // 8}")


def _check_float_width(dtype: np.dtype[Any], width: int) -> None:
    if width not in (16, 32, 64):
        raise TensorError(
            f"{dtype} values pack in 16, 32 or 64 bits, found value_bits={width}\n"
            "Quantise them to integers first."
        )


def _refuse_first(bad: Array, values: Array, width: int, why: str) -> None:
    places = np.flatnonzero(bad)
    if len(places):
        p = int(places[0])
        raise TensorError(
            f"value {values[p]} at position {p} does not fit value_bits={width} ({why})\n"
            "Packing loses nothing: use more bits, or quantise the values first."
        )


def _decode_values(fields: Array, dtype: np.dtype[Any], width: int) -> Array:
    if dtype == np.bool_:
        bad = np.flatnonzero(fields > 1)
        if len(bad):
            raise TensorError(
                f"packed bool at position {bad[0]} is {fields[bad[0]]}; expected 0 or 1"
            )
        return fields.astype(np.bool_)
    if dtype.kind == "u":
        most = np.iinfo(dtype).max
        bad = np.flatnonzero(fields > most)
        if len(bad):
            raise TensorError(f"packed value {fields[bad[0]]} at position {bad[0]} is no {dtype}")
        return fields.astype(dtype)
    if dtype.kind == "i":
        shift = np.uint64(64 - width)
        signed = (fields.astype(np.uint64) << shift).view(np.int64) >> np.int64(64 - width)
        info = np.iinfo(dtype)
        bad = np.flatnonzero((signed < info.min) | (signed > info.max))
        if len(bad):
            raise TensorError(f"packed value {signed[bad[0]]} at position {bad[0]} is no {dtype}")
        return signed.astype(dtype)
    if dtype.name == "bfloat16" and width == 16:
        return fields.astype(np.uint16).view(dtype)
    _check_float_width(dtype, width)
    return fields.astype(f"<u{width // 8}").view(f"<f{width // 8}").astype(dtype)


# ---- fields ---------------------------------------------------------------------------------


def _container(width: int) -> int:
    """Bytes of the smallest unsigned integer of at least ``width`` bits."""
    return next(size for size in (1, 2, 4, 8) if width <= size * 8)


def _to_bits(fields: Array, width: int) -> Bits:
    """The low ``width`` bits of each field, least significant first."""
    size = _container(width)
    octets = fields.astype(f"<u{size}").view(np.uint8).reshape(len(fields), size)
    return np.unpackbits(octets, axis=1, bitorder="little")[:, :width].reshape(-1)


class _Reader:
    """Takes fields off the front of a stream whose length was checked."""

    def __init__(self, stream: Bits) -> None:
        self.stream = stream
        self.at = 0

    def bits(self, count: int) -> Bits:
        self.at += count
        return self.stream[self.at - count : self.at]

    def take(self, count: int, width: int) -> Array:
        """``count`` unsigned integers of ``width`` bits."""
        size = _container(width)
        rows = np.zeros((count, size * 8), dtype=np.uint8)
        rows[:, :width] = self.bits(count * width).reshape(count, width)
        return np.packbits(rows, axis=1, bitorder="little").reshape(-1).view(f"<u{size}")

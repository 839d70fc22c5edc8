"""What a format costs in hardware: field widths and bits of every level.

    U     nothing
    C     (fibers + 1) pointers, none at the root; one coordinate an entry
    B     one bit a position
    R(r)  pointers as in C; r bits an entry, bridges included
    S     one coordinate an entry
    H     one offset of ceil(log2 H) bits an entry, pads included

A coordinate takes ceil(log2 extent) bits unless the format gives its width, a pointer
ceil(log2(entries + 1)), the narrowest that can hold every pointer of its rank.  `pack`
writes exactly these fields and no others.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from zeroskip.checks import whole_of
from zeroskip.errors import FormatError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import LevelData, coordinate_bits, storage_extents
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    LevelFormat,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class LevelBits:
    """Metadata of one storage rank: two runs of equal fields.

    rank : the rank as written, ``"1*2:C"``.
    pointers, pointer_bits : number and width of the fiber pointers.
    fields, field_bits : number and width of coordinates, runs or mask bits.
    """

    rank: str
    fibers: int
    extent: int
    entries: int
    pointers: int
    pointer_bits: int
    fields: int
    field_bits: int

    @property
    def metadata_bits(self) -> int:
        return self.pointers * self.pointer_bits + self.fields * self.field_bits


@dataclass(frozen=True, slots=True)
class Storage:
    """Bits of one tensor in its format; ``total_bits`` is the length of ``pack()``.

    value_bits : width of a value.
    stored : values held, bridges and stored zeros included.
    levels : metadata of each storage rank, outermost first.
    dense_bits : what the values would cost without a format.
    """

    format: Format
    value_bits: int
    stored: int
    levels: tuple[LevelBits, ...]
    dense_bits: int

    @property
    def data_bits(self) -> int:
        return self.stored * self.value_bits

    @property
    def metadata_bits(self) -> int:
        return sum(level.metadata_bits for level in self.levels)

    @property
    def total_bits(self) -> int:
        return self.data_bits + self.metadata_bits

    @property
    def metadata_share(self) -> float:
        """Metadata over total; 0.0 of nothing."""
        return self.metadata_bits / self.total_bits if self.total_bits else 0.0

    @property
    def worth_it(self) -> bool:
        """Whether the format costs less than the dense array."""
        return self.total_bits < self.dense_bits

    def __str__(self) -> str:
        lines = [
            f"{self.format.label}: {self.total_bits} bits = {self.data_bits} data "
            f"({self.stored} × {self.value_bits}) + {self.metadata_bits} metadata; "
            f"dense {self.dense_bits}"
        ]
        for level in self.levels:
            parts = [
                f"{count} {what} × {width}"
                for count, width, what in (
                    (level.pointers, level.pointer_bits, "pointers"),
                    (level.fields, level.field_bits, "fields"),
                )
                if count
            ]
            lines.append(f"  {level.rank}: {level.metadata_bits} bits {' + '.join(parts)}".rstrip())
        return "\n".join(lines)


def level_bits(
    spec: LevelFormat,
    extent: int,
    fibers: int,
    entries: int,
    *,
    root: bool,
    rank: str = "",
    pointer_bits: int | None = None,
) -> LevelBits:
    """Metadata of one level; ``pointer_bits`` is None for the narrowest pointer."""
    pointers, field_count, width = 0, entries, 0
    match spec:
        case Uncompressed():
            field_count = 0
        case Bitmask():
            field_count, width = fibers * extent, 1
        case RunLength():
            pointers, width = fibers + 1, spec.run_bits
        case Structured():
            width = coordinate_bits(spec.group)
        case Compressed() | Singleton():
            given = spec.coordinate_bits
            width = coordinate_bits(extent) if given is None else given
            pointers = fibers + 1 if isinstance(spec, Compressed) else 0
    if root:
        pointers = 0
    needed = entries.bit_length()
    if pointers and pointer_bits is not None and pointer_bits < needed:
        raise FormatError(
            f"rank {rank} has {entries} entries, whose pointers need {needed} bits; "
            f"pointer_bits is {pointer_bits}"
        )
    each = (needed if pointer_bits is None else pointer_bits) if pointers else 0
    return LevelBits(rank, fibers, extent, entries, pointers, each, field_count, width)


def storage_of(
    shape: Sequence[int],
    format: Format,
    levels: Sequence[LevelData],
    dtype: np.dtype[Any],
    value_bits: int | None = None,
    pointer_bits: int | None = None,
) -> Storage:
    """The price of a tensor's levels and values."""
    entries = [level.entries for level in levels]
    if pointer_bits is not None:
        pointer_bits = whole_of("pointer_bits", pointer_bits, 0, FormatError)
    width = value_width(dtype, value_bits)
    return Storage(
        format,
        width,
        entries[-1] if entries else 1,
        layout(shape, format, entries, pointer_bits),
        prod(shape) * width,
    )


def layout(
    shape: Sequence[int],
    bound: Format,
    entries: Sequence[int],
    pointer_bits: int | None = None,
) -> tuple[LevelBits, ...]:
    """The fields of every level, from the entries at each."""
    extents = storage_extents(shape, bound)
    fibers = [1, *entries[:-1]]
    return tuple(
        level_bits(
            rank.level,
            extents[i],
            fibers[i],
            entries[i],
            root=i == 0,
            rank=str(rank),
            pointer_bits=pointer_bits,
        )
        for i, rank in enumerate(bound.ranks)
    )


def value_width(dtype: np.dtype[Any], value_bits: int | None = None) -> int:
    """Bits of a value: as asked for, else those of its type (1 for bool)."""
    if value_bits is None:
        return 1 if dtype == np.bool_ else dtype.itemsize * 8
    if isinstance(value_bits, bool) or not isinstance(value_bits, int | np.integer):
        raise FormatError(f"value_bits is an integer, found {value_bits!r}")
    if not 1 <= value_bits <= 64:
        raise FormatError(f"expected value_bits in 1 .. 64, found {value_bits}")
    return int(value_bits)

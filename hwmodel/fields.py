"""Metadata of a tile on chip, level by level of its format.

    U, then C     a coordinate an entry; with pointers, one a fiber and one more
    C, then C     a coordinate a fiber that has an entry, and one an entry; pointers likewise
    B             a bit for each position of every fiber that is there

A tile is what its loops touch of a tensor, as a fibertree of its own: a fiber under U is there
whether it has an entry or not, one under C or B where the tile has an entry in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import coordinate_bits, storage_extents
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)


@dataclass(frozen=True, slots=True)
class Field:
    """So many bits for each place along some axes that a tile reaches, or has entries at.

    axes : of the tensor; none: once for the tile; None: all of them, place by place.
    kind : ``in`` where the tile reaches, else the mask of its entries.
    under : the fibers above, of which those count that are there; None where all are.
    pointers : whether fiber pointers are among the bits.
    """

    axes: tuple[int, ...] | None
    kind: str
    bits: int
    under: Field | None = None
    pointers: bool = False

    @property
    def name(self) -> str:
        """In lines of the accounting."""
        if self.axes is None:
            return "places"
        return "fibers" if self.axes else "tiles"


def encoded_in(
    bound: Format,
    shape: tuple[int, ...],
    kind: str,
    pointer_bits: int | None,
    what: str,
    off_chip: str,
) -> tuple[int, int, tuple[Field, ...]]:
    """Bits that a look-up of an entry reads beside its value, of its coordinates and of its
    position; and what a tile has beside the former.

    kind : the mask of the entries; pointer_bits : None where pointers are not kept there.
    what : the tensor, its format and the level, for errors; off_chip : the level off chip, empty
        where this is it.

    Raises
    ------
    ArchError
        For formats that are not modelled on chip.
    """
    levels = bound.levels
    _check(bound, what, off_chip)
    extents, last = storage_extents(shape, bound), len(levels) - 1
    while isinstance(levels[last], Singleton):
        last -= 1
    found: list[Field] = []
    above: tuple[int, ...] = ()
    full = True  # whether all fibers so far are there, with entries or without
    for number in range(last + 1):
        level, own = levels[number], (*above, *bound.order[number])
        fibers = "in" if full else kind
        if isinstance(level, Compressed) and number and pointer_bits is not None:
            found.append(Field(above, fibers, pointer_bits, pointers=True))
            found.append(Field((), "in", pointer_bits, pointers=True))
        if number == last:
            break
        if isinstance(level, Bitmask):
            found.append(Field(own, "in", 1, None if full else Field(above, kind, 0)))
        elif isinstance(level, Compressed):
            found.append(Field(own, kind, _coordinate(level, extents[number])))
        elif not full:
            raise ArchError(
                f"{what}; there a U level under a compressed one is not modelled yet: blocks hold "
                "zeros\nUse C or B below C and B."
            )
        full &= isinstance(level, Uncompressed)
        above = own
    if isinstance(levels[last], Bitmask):
        if full:
            return 0, 1, (*found, Field(None, "in", 1))
        every = (*above, *bound.order[last])
        return 0, 1, (*found, Field(every, "in", 1, Field(above, kind, 0)))
    entry = sum(_coordinate(levels[i], extents[i]) for i in range(last, len(levels)))
    return entry, 0, tuple(found)


def has_pointers(bound: Format) -> bool:
    """Whether fibers of a level begin where a pointer says."""
    return any(isinstance(level, Compressed) for level in bound.levels[1:])


def _coordinate(level: object, extent: int) -> int:
    """Bits of a coordinate of C or S."""
    assert isinstance(level, Compressed | Singleton)
    given = level.coordinate_bits
    return coordinate_bits(extent) if given is None else given


def _check(bound: Format, what: str, off_chip: str) -> None:
    levels = bound.levels
    if any(isinstance(level, RunLength) for level in levels):
        if not off_chip:
            raise ArchError(
                f"{what}, run-length coded, and comes in tiles, or at places that are named, which "
                "are picked out one by one\nUse C or B there."
            )
        raise ArchError(
            f"{what}, run-length coded, where entries are picked out one by one\n"
            f"Use C or B there; RLE is for {off_chip}."
        )
    if bound.split or any(isinstance(level, Structured) for level in levels):
        raise ArchError(
            f"{what}; split axes and groups G:H are not modelled there yet\nUse C or B."
        )
    if isinstance(levels[-1], Uncompressed):
        raise ArchError(
            f"{what}; there a U level under a compressed one is not modelled yet: blocks hold "
            "zeros\nUse C or B below C and B."
        )

"""Metadata of a tile on chip, level by level of its format.

    U, then C     a coordinate an entry; with pointers, one a fiber and one more
    C, then C     a coordinate a fiber that has an entry, and one an entry; pointers likewise
    B             a bit for each position of every fiber that is there
    C, then S     a coordinate of either for each pair that has an entry

A tile is what its loops touch of a tensor, as a fibertree of its own: a fiber under U is there
whether it has an entry or not, one under C or B where the tile has an entry in it.

Formats that hold more than what is stored (run lengths, groups G:H, blocks) and split axes go by
where each entry is in its tile: `zeroskip.hwmodel.tile_trees` counts their fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import dropwhile

from zeroskip.formats.format import Format
from zeroskip.formats.level_data import coordinate_bits, storage_extents
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    LevelFormat,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)
from zeroskip.hwmodel.tile_trees import joined


@dataclass(frozen=True, slots=True)
class Field:
    """So many bits for each place along some axes that a tile reaches, or has entries at.

    axes : of the tensor; none: once for the tile; None: all of them, place by place.
    kind : ``in`` where the tile reaches, else the mask of its entries.
    under : the fibers above, of which those count that are there; None where all are.
    pointers : whether fiber pointers are among the bits.
    listed : where every place of a tile is listed: the format, a level of `joined`, what of it.
    valued : whether each is an entry with a value, which stands for no place that is stored.
    """

    axes: tuple[int, ...] | None
    kind: str
    bits: int
    under: Field | None = None
    pointers: bool = False
    listed: tuple[Format, int, str] | None = None
    valued: bool = False

    @property
    def name(self) -> str:
        """In lines of the accounting."""
        if self.listed is not None:
            _, level, what = self.listed
            return what if self.valued else f"{what}{level}"
        if self.axes is None:
            return "places"
        return "fibers" if self.axes else "tiles"


def encoded_in(
    bound: Format,
    shape: tuple[int, ...],
    kind: str,
    pointer_bits: int | None,
) -> tuple[int, int, tuple[Field, ...]]:
    """Bits that a look-up of an entry reads beside its value, of its coordinates and of its
    position; and what a tile has beside the former.

    kind : the mask of the entries; pointer_bits : None where pointers are not kept there.
    """
    if fills_gaps(bound):
        return listed_in(bound, shape, kind, pointer_bits)
    levels, widths = joined(bound), _widths(bound, shape)
    last = len(levels) - 1
    found: list[Field] = []
    above: tuple[int, ...] = ()
    full = True  # whether all fibers so far are there, with entries or without
    for number, (level, parts) in enumerate(levels):
        own = (*above, *parts)
        fibers = "in" if full else kind
        if isinstance(level, Compressed) and number and pointer_bits is not None:
            found.append(Field(above, fibers, pointer_bits, pointers=True))
            found.append(Field((), "in", pointer_bits, pointers=True))
        if number == last:
            break
        if isinstance(level, Bitmask):
            found.append(Field(own, "in", 1, None if full else Field(above, kind, 0)))
        elif isinstance(level, Compressed):
            found.append(Field(own, kind, widths[number]))
        full &= isinstance(level, Uncompressed)
        above = own
    innermost, parts = levels[last]
    if isinstance(innermost, Bitmask):
        if full:
            return 0, 1, (*found, Field(None, "in", 1))
        every = (*above, *parts)
        return 0, 1, (*found, Field(every, "in", 1, Field(above, kind, 0)))
    return widths[last], 0, tuple(found)


def listed_in(
    bound: Format, shape: tuple[int, ...], kind: str, pointer_bits: int | None
) -> tuple[int, int, tuple[Field, ...]]:
    """The same where tiles are encoded place by place."""
    levels, widths = joined(bound), _widths(bound, shape)
    found: list[Field] = []
    last = len(levels) - 1
    for depth, (level, _) in enumerate(levels):
        if pointer_bits is not None and depth and isinstance(level, Compressed | RunLength):
            pointers = bound, depth, "pointers"
            found.append(Field((), kind, pointer_bits, pointers=True, listed=pointers))
        if isinstance(level, Bitmask):
            found.append(Field((), kind, 1, listed=(bound, depth, "positions")))
        elif depth < last and widths[depth]:
            found.append(Field((), kind, widths[depth], listed=(bound, depth, "entries")))
    if not isinstance(levels[last][0], Bitmask | Compressed):
        fillers = bound, last, "fillers"
        found.append(Field((), kind, widths[last], listed=fillers, valued=True))
    return widths[last], int(isinstance(levels[last][0], Bitmask)), tuple(found)


def fills_gaps(bound: Format) -> bool:
    """Whether a format holds more than what is stored, or goes by parts of axes: then where an
    entry is in its tile tells what the tile has."""
    levels = list(dropwhile(lambda level: isinstance(level, Uncompressed), bound.levels))
    filling = (RunLength, Structured, Uncompressed)
    return any(isinstance(x, filling) for x in levels) or (bool(levels) and bound.split)


def has_pointers(bound: Format) -> bool:
    """Whether fibers of a level begin where a pointer says."""
    return any(isinstance(level, Compressed | RunLength) for level in bound.levels[1:])


def _widths(bound: Format, shape: tuple[int, ...]) -> list[int]:
    """Bits of an entry of each level of `joined`."""
    found: list[int] = []
    for level, extent in zip(bound.levels, storage_extents(shape, bound), strict=True):
        if isinstance(level, Singleton):
            found[-1] += _entry(level, extent)
        else:
            found.append(_entry(level, extent))
    return found


def _entry(level: LevelFormat, extent: int) -> int:
    """Bits of an entry of a level."""
    match level:
        case RunLength():
            return level.run_bits
        case Structured():
            return coordinate_bits(level.group)
        case Compressed() | Singleton():
            given = level.coordinate_bits
            return coordinate_bits(extent) if given is None else given
    return 0

"""Whole lines of a memory: what moves off chip where every fiber begins on a line of its own.

    lines: {read_bits: 64, write_bits: 1, pointer_bits: 32, lists: unread}        of the level

Coordinates of a fiber and its values begin on a line each and are rounded up to whole ones;
pointers, one a fiber, lie packed.  A fiber that is not stored has no pointer; of those that are
read, each line of pointers is read once.  ``write_bits: 1`` packs what is written.

Behind a cache (``cache: lru | optimal | bypass`` at the level inside) operands are read fiber by
fiber, each time that one is not there, in the order of the loops (`zeroskip.hwmodel.traces`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import coordinate_bits, storage_extents
from zeroskip.formats.levels import (
    Compressed,
    LevelFormat,
    RunLength,
    Structured,
    Uncompressed,
)
from zeroskip.hwmodel.caches import Policy
from zeroskip.hwmodel.fibers import Fibers, Whole
from zeroskip.hwmodel.fields import has_pointers
from zeroskip.hwmodel.moves import Moves, reads, writes
from zeroskip.hwmodel.relations import codes

if TYPE_CHECKING:
    from zeroskip.hwmodel.evaluate import Operand
    from zeroskip.hwmodel.reader import Reader


@dataclass(frozen=True, slots=True)
class Lines:
    """Bits of a line, of reads and of writes, and of a pointer.

    lists : whether the list of the fibers that hold something is read, where the format has one.
    """

    read_bits: int
    write_bits: int
    pointer_bits: int
    lists: bool = True


@dataclass(frozen=True, slots=True)
class Lined:
    """What moves of fibers: entries, and bits in whole lines."""

    entries: int
    data_bits: int
    metadata_bits: int

    def read(self, *, decoded: bool = False) -> Moves:
        """As what is read of a level."""
        return reads(self.entries, self.data_bits, self.metadata_bits, decoded=decoded)

    def written(self, *, encoded: bool = False) -> Moves:
        """As what is written into one."""
        return writes(self.entries, self.data_bits, self.metadata_bits, encoded=encoded)


def read_lines(entry: Reader) -> Lines | None:
    """The section ``lines`` of a level."""
    if entry.data.get("lines") is None:
        entry.asked.add("lines")
        return None
    section = entry.section("lines")
    read = section.whole("read_bits", expected="bits of a line")
    write = section.whole("write_bits", read, expected="bits of a line")
    pointer = section.whole("pointer_bits", 32, expected="bits of a pointer")
    lists = section.text("lists", "read", "read or unread")
    if lists not in ("read", "unread"):
        section.fail("lists", "expected read or unread", lists)
    section.close()
    return Lines(read, write, pointer, lists == "read")


def read_cache(entry: Reader) -> Policy | None:
    """The key ``cache`` of a level."""
    if entry.data.get("cache") is None:
        entry.asked.add("cache")
        return None
    found = entry.text("cache")
    for policy in get_args(Policy):
        if found == policy:
            return policy  # type: ignore[no-any-return]
    entry.fail("cache", f"expected {', '.join(get_args(Policy))}", found)


@dataclass(frozen=True, slots=True)
class Layout:
    """A tensor by fibers as lines hold it.

    fibers : of the innermost level of its format.
    top_bits : a coordinate of each fiber that holds something, where the outer level names only
        these; None where there is room for a pointer to every one.
    coordinate_bits : 0 where a fiber has every place.
    pointers : whether fibers are found by them: not a single one, and not those of equal length.
    """

    fibers: Fibers
    line_bits: int
    lines: Lines
    top_bits: int | None
    coordinate_bits: int
    value_bits: int
    pointers: bool = True

    def whole(self, fields: Whole | int, bits: int) -> Whole:
        """Bits of whole lines that so many fields take."""
        return -(-(np.asarray(fields, np.int64) * bits) // self.line_bits) * self.line_bits

    def bits(self) -> tuple[Whole, Whole]:
        """Data and metadata of each fiber."""
        entries = self.fibers.entries
        return self.whole(entries, self.value_bits), self.whole(entries, self.coordinate_bits)

    def asked(self, fibers: Whole, *, led: bool) -> NDArray[np.bool_]:
        """Which of these are looked for: those that hold something, where the outer level names
        only these and no other tensor says which (``led``)."""
        if led or self.top_bits is None:
            return np.ones(len(fibers), np.bool_)
        return self.fibers.entries[fibers] > 0

    def heads(self, fibers: Whole) -> int:
        """Bits of the lines that hold the pointers of these fibers, and of all top coordinates.

        Who looks for a fiber that is not in the list finds the pointer of the next one.
        """
        if not self.pointers:
            return 0
        places = self.pointed(np.sort(fibers))
        bits = self.touched(np.zeros_like(places), places, self.lines.pointer_bits)
        return bits + int(self.whole(len(self.listed), self.top_bits or 0))

    @property
    def listed(self) -> Whole:
        """The fibers of the list, where one is moved."""
        named = self.pointers and self.top_bits is not None and self.lines.lists
        return np.flatnonzero(self.fibers.entries > 0) if named else np.zeros(0, np.int64)

    def pointed(self, fibers: Whole) -> Whole:
        """Where the pointers of these fibers are among all that there are."""
        if self.top_bits is None:
            return fibers
        held = self.fibers.entries > 0
        return (np.cumsum(held) - held)[fibers]

    def once(self) -> Lined:
        """Everything, once."""
        every = np.arange(len(self.fibers))
        listed = every[self.asked(every, led=False)]
        return self.read(every, listed)

    def touched(self, group: Whole, place: Whole, bits: int) -> int:
        """Bits of the lines that hold fields of so many bits each; of each group by itself.

        place : of the fields of a group, in order.
        """
        first = place * bits // self.line_bits
        last = ((place + 1) * bits - 1) // self.line_bits
        known = np.concatenate([[-1], last[:-1]])
        known[1:][group[1:] != group[:-1]] = -1
        lines = int(np.maximum(last - np.maximum(first, known + 1) + 1, 0).sum()) if bits else 0
        return lines * self.line_bits

    def lines_at(self, group: Whole, place: Whole, bits: int, when: Whole) -> Whole:
        """Of every line that holds fields of so many bits each, the least ``when`` of these."""
        if not bits or not len(place):
            return np.zeros(0, np.int64)
        first = place * bits // self.line_bits
        number = ((place + 1) * bits - 1) // self.line_bits - first + 1
        field = np.repeat(np.arange(len(place)), number)
        inside = np.arange(len(field)) - np.repeat(np.cumsum(number) - number, number)
        line, when = codes([group[field], first[field] + inside]), when[field]
        order = np.lexsort((when, line))
        least = np.diff(line[order], prepend=-1) != 0
        return np.asarray(when[order][least], np.int64)

    def pointers_at(self, fibers: Whole, when: Whole) -> Whole:
        """The same of the lines that hold the pointers of these fibers."""
        if not self.pointers:
            return np.zeros(0, np.int64)
        places = self.pointed(fibers)
        return self.lines_at(np.zeros_like(places), places, self.lines.pointer_bits, when)

    def read(self, fetched: Whole, asked: Whole) -> Lined:
        """Whole fibers, as often as they are named; ``asked`` : those that were looked for."""
        data, metadata = self.bits()
        return Lined(
            int(self.fibers.entries[fetched].sum()),
            int(data[fetched].sum()),
            int(metadata[fetched].sum()) + self.heads(np.unique(asked)),
        )


def check_lined(bound: Format, tensor: str) -> None:
    """Refuse a format without fibers that lines could hold: those of its last level, C, R, H or U,
    under levels U, or of C under one C."""
    *outer, last = bound.levels or (None,)
    fits = isinstance(last, Uncompressed | Compressed | RunLength | Structured) and not bound.split
    fits &= all(isinstance(level, Uncompressed) for level in outer) or (
        len(outer) == 1 and isinstance(outer[0], Compressed) and isinstance(last, Compressed)
    )
    if not fits:
        raise ArchError(
            f"lines: {tensor} is {bound.label}, which is not modelled in whole lines as yet: "
            "expected levels U and a last one C, R, H or U, or two levels C\n"
            "Give it a format such as a:U b:C or a:C b:C, or leave lines and cache out."
        )


def layout_of(
    held: Operand,
    tensor: str,
    bound: Format,
    lines: Lines,
    value_bits: int,
    *,
    writing: bool = False,
) -> Layout:
    """A tensor in a format of fibers, in lines of reads or writes.

    Raises
    ------
    ArchError
        For another format; see `check_lined`.
    """
    check_lined(bound, tensor)
    bits = lines.write_bits if writing else lines.read_bits
    return layout_with(held.fibers_in(bound), held.shape, bound, lines, value_bits, bits)


def layout_with(
    fibers: Fibers,
    shape: tuple[int, ...],
    bound: Format,
    lines: Lines,
    value_bits: int,
    line_bits: int,
) -> Layout:
    """The same of these fibers."""
    *outer, inner = bound.levels
    extents = storage_extents(shape, bound)

    def width(level: LevelFormat, extent: int) -> int:
        match level:
            case RunLength():
                return level.run_bits
            case Structured():
                return coordinate_bits(level.group)
            case Compressed():
                given = level.coordinate_bits
                return coordinate_bits(extent) if given is None else given
        return 0

    named = bool(outer) and isinstance(outer[0], Compressed)
    return Layout(
        fibers=fibers,
        line_bits=line_bits,
        lines=lines,
        top_bits=width(outer[0], extents[0]) if named else None,
        coordinate_bits=width(inner, extents[-1]),
        value_bits=value_bits,
        pointers=has_pointers(bound),
    )

"""Whole lines of a memory: what moves off chip where every fiber begins on a line of its own.

    lines: {read_bits: 64, write_bits: 1, pointer_bits: 32, lists: unread}        of the level

Coordinates of a fiber and its values begin on a line each and are rounded up to whole ones;
pointers, one a fiber, lie packed.  A fiber that is not stored has no pointer; of those that are
read, each line of pointers is read once.  ``write_bits: 1`` packs what is written.

Behind a cache (``cache: lru | optimal | bypass`` at the level inside) the operand that another one
leads is read fiber by fiber, each time that it is not there, in the order of the leader's entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

import numpy as np

from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import coordinate_bits
from zeroskip.formats.levels import Compressed, Uncompressed
from zeroskip.hwmodel.caches import Policy, misses
from zeroskip.hwmodel.fibers import Fibers, Whole

if TYPE_CHECKING:
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
    """What one pass over fibers moves: entries, and bits in whole lines."""

    entries: int
    data_bits: int
    metadata_bits: int


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
    """A matrix by fibers as lines hold it.

    fibers : of the innermost rank.
    top_bits : a coordinate of each fiber that holds something, where the outer rank names only
        these; None where it has a pointer for every one.
    """

    fibers: Fibers
    line_bits: int
    lines: Lines
    top_bits: int | None
    coordinate_bits: int
    value_bits: int

    def whole(self, fields: Whole | int, bits: int) -> Whole:
        """Bits of whole lines that so many fields take."""
        return -(-(np.asarray(fields, np.int64) * bits) // self.line_bits) * self.line_bits

    def bits(self) -> tuple[Whole, Whole]:
        """Data and metadata of each fiber."""
        entries = self.fibers.entries
        return self.whole(entries, self.value_bits), self.whole(entries, self.coordinate_bits)

    def heads(self, fibers: Whole) -> int:
        """Bits of the lines that hold the pointers of these fibers, and of all top coordinates.

        Who looks for a fiber that is not in the list finds the pointer of the next one.
        """
        places, bits = np.sort(fibers), 0
        if self.top_bits is not None:
            held = self.fibers.entries > 0
            places = (np.cumsum(held) - held)[places]
            if self.lines.lists:
                bits = int(self.whole(int(held.sum()), self.top_bits))
        width = self.lines.pointer_bits
        first = places * width // self.line_bits
        last = ((places + 1) * width - 1) // self.line_bits
        known = np.concatenate([[-1], last[:-1]])
        lines = int(np.maximum(last - np.maximum(first, known + 1) + 1, 0).sum())
        return bits + lines * self.line_bits

    def once(self) -> Lined:
        """Everything, once."""
        data, metadata = self.bits()
        every = self.top_bits is None
        listed = np.arange(len(self.fibers)) if every else np.flatnonzero(self.fibers.entries)
        heads = self.heads(listed)
        return Lined(int(self.fibers.entries.sum()), int(data.sum()), int(metadata.sum()) + heads)

    def led(self, trace: Whole, capacity: int | None, policy: Policy) -> Lined:
        """The fibers of a trace, through a cache that holds them whole."""
        data, metadata = self.bits()
        fetched = trace[misses(trace, data + metadata, capacity, policy)]
        return Lined(
            int(self.fibers.entries[fetched].sum()),
            int(data[fetched].sum()),
            int(metadata[fetched].sum()) + self.heads(np.unique(trace)),
        )


def check_lined(bound: Format) -> None:
    """Refuse a format that is no matrix by its first axis, with one or two levels C."""
    levels = bound.levels
    fits = len(levels) == 2 and bound.order == ((0,), (1,)) and not bound.split
    fits = fits and isinstance(levels[0], Uncompressed | Compressed)
    if not fits or not isinstance(levels[-1], Compressed):
        raise ArchError(
            f"lines: {bound.label} is not modelled in whole lines as yet\n"
            "Use a matrix by its first axis, such as a:U b:C or a:C b:C, or leave lines out."
        )


def layout_of(
    fibers: Fibers, bound: Format, lines: Lines, value_bits: int, *, writing: bool = False
) -> Layout:
    """A matrix in a format ``U C`` or ``C C``, by its first axis, in lines of reads or writes.

    Raises
    ------
    ArchError
        For another format; see `check_lined`.
    """
    check_lined(bound)

    def width(level: Compressed, extent: int) -> int:
        given = level.coordinate_bits
        return coordinate_bits(extent) if given is None else given

    outer, inner = bound.levels
    assert isinstance(inner, Compressed)
    top = width(outer, len(fibers)) if isinstance(outer, Compressed) else None
    inside = width(inner, fibers.extent)
    bits = lines.write_bits if writing else lines.read_bits
    return Layout(fibers, bits, lines, top, inside, value_bits)

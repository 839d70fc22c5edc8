"""Mean lines of drawn tensors that come whole: fibers that round up, each by itself.

    bits = sum over fibers of  E[ceil(entries*width/line)]*line,    and pointers, which are static

How many entries a fiber holds has a known distribution (`zeroskip.hwmodel.regions`), so that bits
are *exact in expectation*; of uniform densities they are a formula, too: a sum over the entries
that a fiber may hold.  What comes tile by tile, goes through a cache, is listed fiber by fiber or
is a compressed result has no such mean here: it is that of draws (`zeroskip.hwmodel.sampled`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import storage_extents
from zeroskip.formats.levels import Compressed, RunLength, Structured, Uncompressed
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.distributions import MOST_PLACES, mean_of_drawn
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_scans import is_uniform
from zeroskip.hwmodel.fibers import Fibers
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.lined import cached_tensors, from_lines
from zeroskip.hwmodel.lines import check_lined, layout_of, layout_with
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import Traffic, reads
from zeroskip.hwmodel.plan import Accounting
from zeroskip.hwmodel.regions import Regions, counts_of, grouped
from zeroskip.hwmodel.stored import format_at
from zeroskip.hwmodel.traffic import times_whole


def mean_lines(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    operands: Mapping[str, Operand],
    *,
    compressed: bool,
) -> Traffic | None:
    """What is read off chip in whole lines; None where some of it has no mean but that of draws.

    compressed : whether the result is.

    Raises
    ------
    ArchError
        For densities that are symbols and not uniform, and for fibers of more places than a formula
        has terms.
    """
    lines, (term,) = arch.off_chip.lines, layer.work
    if lines is None or compressed or cached_tensors(layer, arch, schedule):
        return None
    if term.within or any(operand.is_index for operand in term.operands):
        return None
    found: Traffic = {}
    for tensor in from_lines(layer, arch, schedule):
        times = _times(schedule, accounting, tensor)
        bound = format_at(layer, arch, schedule, tensor, arch.off_chip.name)
        check_lined(bound, tensor)
        if times is None or any(isinstance(level, Compressed) for level in bound.levels[:-1]):
            return None
        if any(isinstance(level, RunLength | Structured) for level in bound.levels):
            return None  # how often a gap is bridged goes by where entries are
        operand = operands[tensor]
        if isinstance(operand, Expected):
            moved = _drawn(operand, bound, arch, tensor)
        else:
            once = layout_of(operand, tensor, bound, lines, arch.value_bits).once()
            moved = once.entries, once.data_bits, once.metadata_bits
        found[arch.off_chip.name, tensor] = reads(*(times * number for number in moved))
    return found


def decoded_as(lines: Traffic, by_bits: Traffic) -> Traffic:
    """The same, of which goes through a decoder what does bit by bit."""
    return {
        where: replace(moves, decoded_bits=moves.read_bits)
        if by_bits[where].decoded_bits != 0
        else moves
        for where, moves in lines.items()
    }


def _times(schedule: Schedule, accounting: Accounting, tensor: str) -> int | None:
    """How often all of a tensor comes; None where tiles of it come, or come where others say."""
    home = schedule.stays[tensor][0].level
    mine = [f for f in accounting.fills if f.operand.tensor == tensor and f.parent == home]
    if any(fill.outer is not None or fill.called for fill in mine):
        return None
    return sum(times_whole(mine, {}).values())


def _drawn(operand: Expected, bound: Format, arch: Arch, tensor: str) -> tuple[Any, Any, Any]:
    """Mean entries, bits of data and of metadata, of all fibers once."""
    *_, extent = storage_extents(operand.shape, bound) or (1,)
    count = prod(operand.shape) // max(extent, 1) if extent else 0
    lines = arch.off_chip.lines
    assert lines is not None
    fibers = Fibers(np.zeros(count + 1, np.int64), np.zeros(0, np.int64), extent)
    bits = lines.read_bits
    layout = layout_with(fibers, operand.shape, bound, lines, arch.value_bits, bits)
    heads = layout.heads(np.arange(count))
    if isinstance(bound.levels[-1], Uncompressed):
        entries = count * extent
        return entries, count * int(layout.whole(extent, arch.value_bits)), heads
    data, metadata = (
        layout.whole(np.arange(extent + 1), width)
        for width in (arch.value_bits, layout.coordinate_bits)
    )
    if operand.symbolic:
        return _in_share(operand, tensor, count, data, metadata, heads)
    places = np.arange(operand.density.size).reshape(operand.shape)
    order = [axis for axes in bound.order for axis in axes]
    place = places.transpose(order).reshape(-1)
    cells = grouped(operand.density, Regions((count,), np.arange(len(place)) // extent, place))
    found = np.zeros(2)
    for chances, times in zip(
        counts_of(operand.density, cells), np.bincount(cells.which), strict=True
    ):
        held = np.arange(len(chances))
        found += times * np.array([chances @ data[held], chances @ metadata[held]])
    return operand.share * operand.density.size, float(found[0]), float(found[1]) + heads


def _in_share(
    operand: Expected, tensor: str, count: int, data: Any, metadata: Any, heads: int
) -> tuple[Any, Any, Any]:
    """The same in the share of all places that hold something, a symbol."""
    size, places = operand.density.size, len(data) - 1
    why = ""
    if not is_uniform(operand):
        why = "some of its places are more likely than others"
    elif places > MOST_PLACES:
        why = f"its fibers have {places:,} places, and a formula has terms of {MOST_PLACES} at most"
    if why:
        raise ArchError(
            f"no closed formula of the lines of {tensor} in the densities: {why}\n"
            "Charge each density, or use zs.sweep."
        )
    moved = [count * mean_of_drawn(size, operand.share, x.tolist()) for x in (data, metadata)]
    return operand.share * size, moved[0], moved[1] + heads

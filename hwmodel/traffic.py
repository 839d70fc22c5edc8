"""Counts into bits: what moves at each level, for each tensor, data and metadata apart.

fills      read from the level outside in its format, written in the format of the level
drains     results leave a level with their last part, or with one that comes back: then it is
           written outside as it is, and read again
network    whatever goes between levels of which the array has different numbers
units      read operands, and read and write accumulators, at every operation, in the innermost
           level that keeps them; a bias is added as an operation is
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.formats.bits import Storage
from zeroskip.formats.format import Format
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import NETWORK, Moves, Traffic, reads, writes
from zeroskip.hwmodel.plan import Accounting, Drain, Encoded, Fill, TermPlan, total
from zeroskip.hwmodel.storages import storage_at
from zeroskip.hwmodel.stored import held_formats, recoded

Counts = Mapping[str, NDArray[np.int64]]
PLAIN = Format("dense")


def traffic_of(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    operands: Mapping[str, Operand],
    result: Storage,
) -> Traffic:
    """Moves by (level, tensor).

    result : the result in its format at home: off chip, or where the mapping says.
    """
    found: Traffic = {}

    def add(level: str, tensor: str, moves: Moves) -> None:
        before = found.get((level, tensor))
        found[level, tensor] = moves if before is None else before + moves

    innermost = {tensor: stays[-1].level for tensor, stays in schedule.stays.items()}
    for fill in accounting.fills:
        tensor = fill.operand.tensor
        if fill.outer is None:
            continue
        if fill.parent == arch.off_chip.name and fill.outer.stored.pointer_bits is not None:
            storage_at(layer, arch, schedule, operands[tensor], tensor, arch.off_chip)  # they reach
        width = fill.operand.bits(arch.value_bits)
        moved = _entries(fill.outer, counts, width)
        read = reads(moved.entries, moved.data, moved.metadata, decoded=fill.decoded)
        add(fill.parent, tensor, read)
        arrived = _entries(fill.inner, counts, width).spread(fill)
        came = arrived.entries, arrived.data, arrived.metadata
        add(fill.level, tensor, writes(*came, encoded=fill.encoded))
        for network in _networks(arch, fill.parent, fill.level):
            add(network, tensor, writes(*came))
        if fill.level == innermost[tensor]:
            walked = _walked(fill.inner, counts, width).spread(fill)
            add(fill.level, tensor, reads(walked.entries, walked.data, walked.metadata))
    come = {f.way: f for f in reversed(accounting.fills) if f.outer is None and f.whole}
    for (parent, level, tensor), times in times_whole(accounting.fills, counts).items():
        read, written = whole_moves(layer, arch, schedule, operands, (parent, level, tensor))
        add(parent, tensor, times * read)
        add(level, tensor, times * written)
        if level == innermost[tensor] and (parent, level, tensor) in come:
            fill = come[parent, level, tensor]
            add(level, tensor, times * walked_whole(fill, counts, arch.value_bits))
    for plan in accounting.terms:
        points = {name: total(counts, name) for _, name in plan.reads}
        for tensor, moves in operation_moves(plan, points, arch, layer.target.tensor):
            add(innermost[tensor], tensor, moves)
    for tensor, moves in addition_moves(layer, arch, accounting):
        add(innermost[tensor], tensor, moves)
    for level, moves in _results(layer, arch, accounting, counts, result):
        add(level, layer.target.tensor, moves)
    return found


def times_whole(fills: Iterable[Fill], counts: Counts) -> dict[tuple[str, str, str], int]:
    """How often all of a tensor comes at a time, by level outside, level, tensor.

    Two accesses that bring it once each bring it once.
    """
    found: dict[tuple[str, str, str], int] = {}
    for fill in fills:
        if fill.outer is None:
            way = fill.way
            times = fill.whole * prod(total(counts, call.name) for call in fill.called)
            once = times == 1 and found.get(way, 1) == 1
            found[way] = 1 if once else found.get(way, 0) + times
    return found


def whole_moves(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    operands: Mapping[str, Operand],
    way: tuple[str, str, str],
) -> tuple[Moves, Moves]:
    """What a tensor that comes whole moves: reads of the level outside, writes of the level.

    way : level outside, level, tensor.
    """
    parent, level, tensor = way
    outside = storage_at(layer, arch, schedule, operands[tensor], tensor, arch.level(parent))
    inside = storage_at(layer, arch, schedule, operands[tensor], tensor, arch.level(level))
    held = held_formats(layer, arch, schedule, layer.first(tensor))
    return (
        _read(outside, decoded=recoded(held[parent], held[level])),
        written_of(inside, encoded=recoded(held[level], held[parent])),
    )


@dataclass(frozen=True, slots=True)
class _Moved:
    """Entries, and their bits; of a mean, no whole numbers."""

    entries: Any
    data: Any
    metadata: Any

    def spread(self, fill: Fill) -> _Moved:
        """What arrives where this is read."""
        times, over = fill.arrivals, max(fill.reads, 1)
        whole = self.entries, self.data, self.metadata
        return _Moved(
            *(x * times // over if isinstance(x, int) else x * times / over for x in whole)
        )


def _entries(held: Encoded, counts: Counts, value_bits: int) -> _Moved:
    entries = held.values(lambda flow: total(counts, flow.fetched))
    metadata = held.metadata(lambda flow: total(counts, flow.fetched))
    return _Moved(entries, entries * value_bits, metadata)


def _walked(held: Encoded, counts: Counts, value_bits: int) -> _Moved:
    """What no operation reads, but whoever goes over the fibers of a tile does once."""
    entries, metadata = held.walked(lambda flow: total(counts, flow.fetched))
    return _Moved(entries, entries * value_bits, metadata)


def walked_whole(fill: Fill, counts: Counts, value_bits: int) -> Moves:
    """The same reads of a tensor that comes whole, each time: of the places that are reached."""
    width = fill.operand.bits(value_bits)
    entries, metadata = fill.inner.walked(lambda flow: total(counts, flow.tile))
    return reads(entries, entries * width, metadata)


def _networks(arch: Arch, one: str, other: str) -> tuple[str, ...]:
    """The network, where two levels have different numbers of instances."""
    apart = arch.level(one).instances != arch.level(other).instances
    return (NETWORK,) if apart else ()


def _read(storage: Storage, *, decoded: bool) -> Moves:
    return reads(storage.stored, storage.data_bits, storage.metadata_bits, decoded=decoded)


def written_of(storage: Storage, *, encoded: bool) -> Moves:
    return writes(storage.stored, storage.data_bits, storage.metadata_bits, encoded=encoded)


def operation_moves(
    plan: TermPlan, counted: Mapping[str, Any], arch: Arch, target: str
) -> list[tuple[str, Moves]]:
    """Reads of the innermost level at every operation; the accumulator is read and written.

    counted : points by name, numbers or arrays.
    """
    found = []
    for number, name in plan.reads:
        points = counted[name]
        if number < 0:
            bits = points * arch.accumulator_bits
            moves = reads(points, bits) + writes(points, bits)
            found.append((target, moves))
            continue
        rule, operand = plan.rules[number], plan.term.operands[number]
        each = rule.read.entry_bits or rule.read.place_bits
        data = points * operand.bits(arch.value_bits)
        found.append((operand.tensor, reads(points, data, points * each)))
    return found


def addition_moves(layer: Layer, arch: Arch, accounting: Accounting) -> list[tuple[str, Moves]]:
    """Each addition reads its term, and reads and writes the accumulator."""
    found = []
    for term, rules in zip(layer.additions, accounting.policy.additions, strict=True):
        bits = term.inside * arch.accumulator_bits
        found.append((layer.target.tensor, reads(term.inside, bits) + writes(term.inside, bits)))
        for operand, rule in zip(term.operands, rules, strict=True):
            each = rule.read.entry_bits or rule.read.place_bits
            data = term.inside * operand.bits(arch.value_bits)
            found.append((operand.tensor, reads(term.inside, data, term.inside * each)))
    return found


def merged_of(accounting: Accounting, counts: Counts) -> int:
    """Parts of results that are added to another part of theirs on their way out."""
    return sum(flow.resident - flow.distinct for flow in flows_of(accounting, counts))


@dataclass(frozen=True, slots=True)
class _Flow:
    """Entries of the result that leave a level; distinct ones of all its instances, and of
    those outside."""

    drain: Drain
    drained: int
    resident: int
    distinct: int

    @property
    def again(self) -> int:
        """Entries that come back into the level."""
        return self.drained - self.resident

    @property
    def partial(self) -> int:
        """Writes outside that find a part there, which is read first."""
        return self.drained - self.distinct


def _larger(one: Any, other: Any) -> Any:
    """Of two numbers, or expressions."""
    if isinstance(one, int | float) and isinstance(other, int | float):
        return max(one, other)
    import sympy

    return sympy.Max(one, other)


def flows_of(accounting: Accounting, counts: Counts) -> list[_Flow]:
    """Innermost level first.  Of a result without any point nothing is added: it has no parts,
    and each of its places leaves every level once."""
    found = []
    if not any(plan.term.points for plan in accounting.terms):
        for drain in accounting.drains:
            once = total(counts, accounting.drains[-1].distinct)
            found.append(_Flow(drain, once, once, once))
        return found
    for drain in accounting.drains:
        distinct = total(counts, drain.distinct) * drain.outer_copies
        resident = _larger(total(counts, drain.resident) * drain.copies, distinct)
        drained = sum(total(counts, name) for name in drain.drained) or resident
        found.append(_Flow(drain, drained, resident, distinct))
    return found


def _results(
    layer: Layer, arch: Arch, accounting: Accounting, counts: Counts, outside: Storage
) -> list[tuple[str, Moves]]:
    """What the result moves.  A level that gets parts holds them at the width of an
    accumulator, as the innermost does; the last part of each leaves for its home, off chip or on
    it, at that of a value, in the format that it has there."""
    size = prod(layer.extents.shapes[layer.target.tensor])
    found: list[tuple[str, Moves]] = []
    held = arch.accumulator_bits
    for flow in flows_of(accounting, counts):
        level, parent = flow.drain.level, flow.drain.parent
        last = flow.drain is accounting.drains[-1]
        inner = level != arch.local.name
        width = arch.accumulator_bits if flow.partial else arch.value_bits
        back = flow.again * arch.accumulator_bits
        between = [name for hop in flow.drain.hops for name in _networks(arch, *hop)]
        out = flow.drained
        if last and inner:
            out = size + flow.partial
            found.append((level, reads(size, size * arch.value_bits)))
            found.append((level, reads(flow.partial, flow.partial * arch.accumulator_bits)))
        else:
            found.append((level, reads(out, out * held)))
        found.append((level, writes(flow.again, back)))
        for name in between:
            found.append((name, writes(out, out * width)))
            found.append((name, writes(flow.again, back)))
        for name, _ in flow.drain.passes:
            gone, came = flow.drained, flow.again
            for way in (writes, reads):
                found.append((name, way(gone, gone * width) + way(came, back)))
        if last:
            found.append((parent, arriving_of(arch, accounting, counts, layer, outside)))
            out = flow.partial
        found.append((parent, writes(out, out * width)))
        found.append((parent, reads(flow.partial, flow.partial * arch.accumulator_bits)))
        held = width
    return found


def arriving_of(
    arch: Arch, accounting: Accounting, counts: Counts, layer: Layer, outside: Storage
) -> Moves:
    """The finished result on its way to its home: whole, fiber pointers and all, or in tiles.
    Levels inside hold sums one by one, so that a home that is compressed encodes them.

    outside : all of it in its format there.
    """
    home = accounting.homes.get(layer.target.tensor)
    if home is None or not home.entries.keys:
        return finished(outside)
    entries = home.values(lambda flow: total(counts, flow.fetched))
    metadata = home.metadata(lambda flow: total(counts, flow.fetched))
    bits = entries * arch.value_bits, metadata
    return writes(entries, *bits, encoded=recoded(home.stored.format, PLAIN))


def finished(result: Storage) -> Moves:
    """A result that is written at home, all of it."""
    return written_of(result, encoded=recoded(result.format, PLAIN))

"""Counts into bits: what moves at each level, for each tensor, data and metadata apart.

off chip   each operand is read once in its format there, the result written once
buffer     each operand is written once, read by the PEs step by step; the result is
           written by the PEs and read once to leave
network    every entry to every PE that needs it, and the results back
PE         operands are written on arrival and read at every operation; accumulators are
           read and written at every operation; a bias is added as an operation is
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.formats.bits import Storage, layout
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import storage_extents
from zeroskip.formats.levels import Bitmask, Compressed, RunLength, Uncompressed
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.arch import Arch, Level
from zeroskip.hwmodel.evaluate import Counted, Operand
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.plan import Accounting, Fetch, TermPlan
from zeroskip.hwmodel.policy import bound_format, result_format

Counts = Mapping[str, NDArray[np.int64]]
NETWORK = "network"


@dataclass(frozen=True, slots=True)
class Moves:
    """What moves in and out of one level for one tensor.

    reads, writes : entries (values).  The bits are those of values and of metadata.
    """

    reads: int = 0
    writes: int = 0
    read_data_bits: int = 0
    read_metadata_bits: int = 0
    write_data_bits: int = 0
    write_metadata_bits: int = 0

    @property
    def data_bits(self) -> int:
        return self.read_data_bits + self.write_data_bits

    @property
    def metadata_bits(self) -> int:
        return self.read_metadata_bits + self.write_metadata_bits

    @property
    def read_bits(self) -> int:
        return self.read_data_bits + self.read_metadata_bits

    @property
    def write_bits(self) -> int:
        return self.write_data_bits + self.write_metadata_bits

    @property
    def bits(self) -> int:
        return self.read_bits + self.write_bits

    def __add__(self, other: Moves) -> Moves:
        return Moves(
            self.reads + other.reads,
            self.writes + other.writes,
            self.read_data_bits + other.read_data_bits,
            self.read_metadata_bits + other.read_metadata_bits,
            self.write_data_bits + other.write_data_bits,
            self.write_metadata_bits + other.write_metadata_bits,
        )


def reads(entries: int, data: int, metadata: int = 0) -> Moves:
    return Moves(reads=entries, read_data_bits=data, read_metadata_bits=metadata)


def writes(entries: int, data: int, metadata: int = 0) -> Moves:
    return Moves(writes=entries, write_data_bits=data, write_metadata_bits=metadata)


Traffic = dict[tuple[str, str], Moves]


@dataclass(frozen=True, slots=True)
class Capacity:
    """Bits that must fit a level at a time, and its capacity (None: unlimited)."""

    level: str
    needed_bits: int
    capacity_bits: int | None

    @property
    def overflow_bits(self) -> int:
        limit = self.capacity_bits
        return 0 if limit is None else max(self.needed_bits - limit, 0)


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

    result : the result in its format off chip.
    """
    found: Traffic = {}

    def add(level: str, tensor: str, moves: Moves) -> None:
        found[level, tensor] = found.get((level, tensor), Moves()) + moves

    off_chip, buffer, local = (level.name for level in arch.levels)
    for tensor in layer.tensors:
        outside = _storage(layer, arch, schedule, operands[tensor], tensor, arch.off_chip)
        inside = _storage(layer, arch, schedule, operands[tensor], tensor, arch.buffer)
        add(off_chip, tensor, reads(outside.stored, outside.data_bits, outside.metadata_bits))
        add(buffer, tensor, writes(inside.stored, inside.data_bits, inside.metadata_bits))
    for fetch in (*(f for plan in accounting.terms for f in plan.fetches), *accounting.additions):
        moved = _fetched(fetch, counts, arch.value_bits)
        tensor = fetch.operand.tensor
        add(buffer, tensor, moved)
        data, metadata = moved.read_data_bits * fetch.copies, moved.read_metadata_bits
        arrived = writes(moved.reads * fetch.copies, data, metadata * fetch.copies)
        add(NETWORK, tensor, arrived)
        add(local, tensor, arrived)
    for plan in accounting.terms:
        for tensor, moved in _operations(plan, counts, arch, layer.target.tensor):
            add(local, tensor, moved)
    for tensor, moved in _additions(layer, arch, accounting):
        add(local, tensor, moved)
    for level, moved in _result(layer, arch, accounting, counts, result):
        add(level, layer.target.tensor, moved)
    return found


def _fetched(fetch: Fetch, counts: Counts, value_bits: int) -> Moves:
    entries = _int(counts, fetch.entries.fetched)
    metadata = entries * fetch.stored.entry_bits
    if fetch.places is not None:
        metadata += _int(counts, fetch.places.fetched) * fetch.stored.place_bits
    return reads(entries, entries * value_bits, metadata)


def _operations(plan: TermPlan, counts: Counts, arch: Arch, target: str) -> list[tuple[str, Moves]]:
    """Reads of the local store at every operation; the accumulator is read and written."""
    found = []
    for number, name in plan.reads:
        points = _int(counts, name)
        if number < 0:
            bits = points * arch.accumulator_bits
            moves = reads(points, bits) + writes(points, bits)
            found.append((target, moves))
            continue
        fetch = plan.fetches[number]
        each = fetch.stored.entry_bits or fetch.stored.place_bits
        found.append((fetch.operand.tensor, reads(points, points * arch.value_bits, points * each)))
    return found


def _additions(layer: Layer, arch: Arch, accounting: Accounting) -> list[tuple[str, Moves]]:
    """Each addition reads its term, and reads and writes the accumulator."""
    found, fetches = [], iter(accounting.additions)
    for term in layer.additions:
        bits = term.points * arch.accumulator_bits
        found.append((layer.target.tensor, reads(term.points, bits) + writes(term.points, bits)))
        for operand in term.operands:
            stored = next(fetches).stored
            data, each = term.points * arch.value_bits, stored.entry_bits or stored.place_bits
            found.append((operand.tensor, reads(term.points, data, term.points * each)))
    return found


def merged_of(accounting: Accounting, counts: Counts) -> int:
    """Parts of results that are added in the buffer to another part of theirs."""
    plan = accounting.output
    return max(_int(counts, plan.written) * plan.copies - _int(counts, plan.distinct), 0)


def _result(
    layer: Layer, arch: Arch, accounting: Accounting, counts: Counts, outside: Storage
) -> list[tuple[str, Moves]]:
    """The result leaves the PEs once; where several PEs hold a part, the parts are added in
    the buffer, at the width of an accumulator."""
    plan, size = accounting.output, prod(layer.extents.shapes[layer.target.tensor])
    written = _int(counts, plan.written) * plan.copies
    merged = merged_of(accounting, counts)
    width = arch.accumulator_bits if merged else arch.value_bits
    off_chip, buffer, local = (level.name for level in arch.levels)
    return [
        (local, reads(written, written * arch.accumulator_bits)),
        (NETWORK, writes(written, written * width)),
        (buffer, writes(written, written * width)),
        (buffer, reads(merged, merged * width)),
        (buffer, reads(size, size * arch.value_bits)),
        (off_chip, writes(outside.stored, outside.data_bits, outside.metadata_bits)),
    ]


def capacities(arch: Arch, accounting: Accounting, counts: Counts) -> tuple[Capacity, ...]:
    """What buffer and local store must hold.

    The buffer: of every operand of a step what the step needs, or all of it where later
    steps come back to it.  A PE: what it needs in its largest step of each operand (an upper
    bound, since these need not be one step), and the accumulators of all its outputs.
    """
    buffer = local = 0
    for plan in accounting.terms:
        tile = most = 0
        for fetch in plan.fetches:
            each = arch.value_bits + fetch.stored.entry_bits
            tile += _int(counts, fetch.entries.tile) * each
            most += _int(counts, fetch.entries.most) * each
            if fetch.places is not None:
                tile += _int(counts, fetch.places.tile) * fetch.stored.place_bits
                most += _int(counts, fetch.places.most) * fetch.stored.place_bits
        buffer, local = max(buffer, tile), max(local, most)
    local += _int(counts, accounting.output.most) * arch.accumulator_bits
    return (
        Capacity(arch.buffer.name, buffer, arch.buffer.capacity_bits),
        Capacity(arch.local.name, local, arch.local.capacity_bits),
    )


def _storage(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    operand: Operand,
    tensor: str,
    level: Level,
) -> Storage:
    text = arch.format(tensor, layer.roles[tensor], level.name)
    bound = bound_format(text, layer.first(tensor), schedule)
    return storage_bits(operand, bound, arch.value_bits)


def storage_bits(operand: Operand, bound: Format, value_bits: int) -> Storage:
    """What an operand costs in a format, as `Tensor.storage` says.

    U ranks around one C, B or R need no encoding: their fields follow from the entries.
    """
    levels, shape = bound.levels, operand.shape
    outer, last = levels[:-1], levels[-1] if levels else Uncompressed()
    if isinstance(operand, Counted):
        entries = [operand.rows if isinstance(outer[0], Compressed) else shape[0], operand.entries]
        fields = layout(shape, bound, entries)
        return Storage(bound, value_bits, operand.entries, fields, prod(shape) * value_bits)
    held: Any = operand.value
    simple = isinstance(last, Uncompressed | Compressed | Bitmask)
    simple |= isinstance(last, RunLength) and not isinstance(held, Tensor)
    if bound.split or not simple or not all(isinstance(level, Uncompressed) for level in outer):
        if not isinstance(held, Tensor):
            return Tensor.from_dense(operand.nonzero, bound).storage(value_bits)
        return held.asformat(bound).storage(value_bits)
    sizes = storage_extents(shape, bound)
    entries = [prod(sizes[: i + 1]) for i in range(len(sizes))]
    if isinstance(last, RunLength):
        order = [axis for axes in bound.order for axis in axes]
        entries[-1] = _runs(operand.nonzero.transpose(order), sizes[-1], last.run_bits)
    elif entries and not isinstance(last, Uncompressed):
        entries[-1] = operand.entries
    stored = entries[-1] if entries else 1
    fields = layout(shape, bound, entries)
    return Storage(bound, value_bits, stored, fields, prod(shape) * value_bits)


def _runs(mask: NDArray[np.bool_], positions: int, run_bits: int) -> int:
    """Entries of a mask whose fibers of so many positions are run-length coded, bridges among
    them: floor(gap / 2**run_bits) of them before an entry."""
    places = np.flatnonzero(mask)
    if not len(places):
        return 0
    gaps = np.diff(places, prepend=-1) - 1
    position = places % positions
    np.minimum(gaps, position, out=gaps)  # the first of a fiber has the zeros of its own alone
    return len(places) + int((gaps >> run_bits).sum())


def result_storage(layer: Layer, arch: Arch, result: Operand) -> Storage:
    """The result in its format off chip."""
    name = layer.target.tensor
    text = arch.format(name, "O", arch.off_chip.name)
    bound = result_format(text, layer)
    return storage_bits(result, bound, arch.value_bits)


def _int(counts: Counts, name: str) -> int:
    return int(counts[name].sum())

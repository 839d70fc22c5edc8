"""What the levels must hold at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.overfull import Held, place_of, refuse
from zeroskip.hwmodel.plan import Accounting, Drain, Encoded, Flow, Housed, Turns, total
from zeroskip.hwmodel.traffic import Counts, flows_of


@dataclass(frozen=True, slots=True)
class Part:
    """The largest tile of a tensor: what counts it, how many are there at a time, their bits.

    renewed : loops of whose iterations the next one finds nothing of it there.
    home : whether it is there from the start, or at the end.
    words : where it passes and is not kept, those under way; nothing else is there.
    """

    tensor: str
    counted: Flow | Drain
    times: int
    bits: Any
    renewed: tuple[Loop, ...] = ()
    home: bool = False
    words: int = 0

    def held(self, counts: Counts, extents: Mapping[str, int]) -> Held:
        if self.words:
            return Held(self.tensor, "", 1, self.bits, self.words)
        where = place_of(counts[self.counted.tile], self.counted.keys, extents)
        return Held(self.tensor, where, self.times, self.bits)


@dataclass(frozen=True, slots=True)
class Capacity:
    """Bits that must fit a level at a time, and its capacity (None: unlimited).

    tiles : of what is exact and does not fit, the largest of each tensor, which add up to the
        bits; the largest first.
    result_bits : of the bits those of the result.
    terms : of each term: bits of the tile of each operand, by its number and tensor; the largest
        term is what is needed, beside the result's.
    parts : of each tensor what is needed, its bits in one; not shown, nor compared.
    """

    level: str
    needed_bits: int
    capacity_bits: int | None
    tiles: tuple[Held, ...] = ()
    result_bits: Any = 0
    terms: tuple[Mapping[tuple[int, str], Any], ...] = ()
    parts: tuple[Part, ...] = field(default=(), repr=False, compare=False)

    @property
    def overflow_bits(self) -> int:
        limit = self.capacity_bits
        return 0 if limit is None else max(self.needed_bits - limit, 0)

    def at_home(self, tensor: str) -> Any:
        """Bits of a tensor that is there from the start, or at the end."""
        return sum(part.bits for part in self.parts if part.home and part.tensor == tensor)

    def staying(self, loop: Loop) -> Any:
        """Bits of tiles that have come and are still there when the next iteration of a loop
        begins."""
        there = (p for p in self.parts if not p.home and not p.words)
        return sum(p.bits for p in there if loop not in p.renewed)

    @property
    def named(self) -> str:
        """The tiles, behind a colon; empty where none are known."""
        return f": {', '.join(map(str, self.tiles))}" if self.tiles else ""


def capacities(
    arch: Arch, accounting: Accounting, counts: Counts, schedule: Schedule, layer: Layer
) -> tuple[Capacity, ...]:
    """What one instance of each level must hold.

    Of every operand its largest tile (an upper bound, since these need not be of one time); of
    the result, its largest tile in the innermost level and where parts come back to it.  Of what
    passes, the words under way.

    Raises
    ------
    ArchError
        Naming the tiles of a level whose overflow the mapping refuses.
    """
    names = [level.name for level in arch.levels[1:]]
    parts: dict[str, list[Part]] = {name: [] for name in names}
    terms: dict[str, list[Mapping[tuple[int, str], Any]]] = {name: [] for name in names}
    results = dict.fromkeys(names, 0)
    for plan in accounting.terms:
        tiles: dict[str, list[Part]] = {name: [] for name in names}
        needs: dict[str, dict[tuple[int, str], Any]] = {name: {} for name in names}
        for number, fill in ((i, fill) for i, fills in enumerate(plan.fills) for fill in fills):
            held = fill.inner
            if not held.entries.most and not fill.words:
                continue  # the same tiles, from another level
            width = fill.operand.bits(arch.value_bits)
            bits = bits_at_most(held, counts, width, fill.words)
            times = _twice(arch, fill.turns)
            tensor = fill.operand.tensor
            needs[fill.level][number, tensor] = times * bits
            part = Part(tensor, held.entries, times, times * bits, fill.renewed, words=fill.words)
            tiles[fill.level].append(part)
        for name in names:
            terms[name].append(needs[name])
        parts = {name: max(parts[name], tiles[name], key=_bits) for name in names}
    inner = True
    flows = flows_of(accounting, counts)
    for flow in flows:
        if inner:
            drain, times = flow.drain, _twice(arch, flow.drain.turns)
            bits = times * total(counts, drain.most) * arch.accumulator_bits
            parts[drain.level].append(Part(layer.target.tensor, drain, times, bits, drain.renewed))
            results[drain.level] = bits
        inner = flow.again > 0
        width = arch.accumulator_bits if flow.partial else arch.value_bits
        for name, words in flow.drain.passes:
            bits = words * width
            parts[name].append(Part(layer.target.tensor, flow.drain, 1, bits, words=words))
    for name, made in accounting.homes.items():
        parted = bool(flows) and name == layer.target.tensor and flows[-1].partial > 0
        value_bits = layer.first(name).bits(arch.value_bits)
        value_bits = arch.accumulator_bits if parted else value_bits
        bits = bits_at_most(made, counts, value_bits)
        home = schedule.stays[name][0].level
        parts[home].append(Part(name, made.entries, 1, bits, home=True))
    found = []
    for level in arch.levels[1:]:
        room = Capacity(level.name, _bits(parts[level.name]), level.capacity_bits)
        room = replace(room, result_bits=results[level.name], terms=tuple(terms[level.name]))
        room = replace(room, parts=tuple(parts[level.name]))
        if room.overflow_bits and isinstance(room.needed_bits, int):
            found_tiles = [part.held(counts, layer.extents.ranks) for part in parts[level.name]]
            largest = sorted(found_tiles, key=lambda tile: -tile.bits)
            room = replace(room, tiles=tuple(tile for tile in largest if tile.bits))
        if room.overflow_bits and schedule.mapping.overflow.get(level.name) == "refuse":
            assert room.capacity_bits is not None
            refuse(room.level, room.needed_bits, room.capacity_bits, room.overflow_bits, room.tiles)
        found.append(room)
    return tuple(found)


def bits_at_most(held: Encoded | Housed, counts: Counts, value_bits: int, words: int = 0) -> Any:
    """Bits of the largest tile, values of so many bits and metadata; or of so many words."""
    if words:
        return words * (value_bits + held.stored.entry_bits + held.stored.place_bits)
    bits = total(counts, held.entries.most) * (value_bits + held.stored.entry_bits)
    if held.places is not None:
        bits += total(counts, held.places.most) * held.stored.place_bits
    return bits


def _bits(parts: Sequence[Part]) -> Any:
    return sum(part.bits for part in parts)


def _twice(arch: Arch, turns: Turns | None) -> int:
    """How many tiles are there at a time: two where the next comes while this one is used."""
    return 2 if arch.overlap == "double" and turns is not None and turns.ahead else 1

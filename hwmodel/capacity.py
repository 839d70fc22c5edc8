"""What the levels must hold at a time."""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.plan import Accounting, Turns, total
from zeroskip.hwmodel.traffic import Counts, flows_of


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


def capacities(arch: Arch, accounting: Accounting, counts: Counts) -> tuple[Capacity, ...]:
    """What one instance of each level must hold.

    Of every operand its largest tile (an upper bound, since these need not be of one time); of
    the result, its largest tile in the innermost level and where parts come back to it.
    """
    needed = dict.fromkeys((level.name for level in arch.levels[1:]), 0)
    for plan in accounting.terms:
        tiles = dict.fromkeys(needed, 0)
        for fill in (fill for fills in plan.fills for fill in fills):
            stored, held = fill.inner.stored, fill.inner
            twice = _twice(arch, fill.turns)
            tiles[fill.level] += twice * (
                total(counts, held.entries.most) * (arch.value_bits + stored.entry_bits)
            )
            if held.places is not None:
                tiles[fill.level] += twice * total(counts, held.places.most) * stored.place_bits
        needed = {name: max(needed[name], tiles[name]) for name in needed}
    inner = True
    for flow in flows_of(accounting, counts):
        if inner:
            most = _twice(arch, flow.drain.turns) * total(counts, flow.drain.most)
            needed[flow.drain.level] += most * arch.accumulator_bits
        inner = flow.again > 0
    return tuple(
        Capacity(level.name, needed[level.name], level.capacity_bits) for level in arch.levels[1:]
    )


def _twice(arch: Arch, turns: Turns | None) -> int:
    """How many tiles are there at a time: two where the next comes while this one is used."""
    return 2 if arch.overlap == "double" and turns is not None and turns.ahead else 1

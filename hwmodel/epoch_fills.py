"""What operands bring in each epoch: tiles before the first that uses them, or beside its work."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.bandwidth import kinds_of, moves_of
from zeroskip.hwmodel.epoch_bits import EpochBits, Phase, Rows
from zeroskip.hwmodel.epoch_rows import EpochRows
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.moves import Moves, reads, writes
from zeroskip.hwmodel.plan import Accounting, Encoded, Fill, Flow, Turns, total
from zeroskip.hwmodel.traffic import Counts, walked_whole

Wholes = Callable[[tuple[str, str, str]], tuple[Moves, Moves]]


def add_fills(
    layer: Layer,
    arch: Arch,
    accounting: Accounting,
    counts: Counts,
    terms: Sequence[EpochRows],
    wholes: Wholes,
    innermost: Mapping[str, str],
    bits: EpochBits,
    instead: Callable[[Fill], Collection[str]],
) -> None:
    """Add what comes of operands.

    wholes : (level outside, level, tensor) -> what a tensor that comes whole moves at either.
    innermost : tensor -> the level that units read.
    instead : levels whose moves at a fill are not those by single bits, and added elsewhere.
    """
    of_fill = {id(fill): term for term in terms for fills in term.plan.fills for fill in fills}
    come: set[tuple[str, str, str]] = set()
    for fill in accounting.fills:
        term, turns = of_fill.get(id(fill)), fill.turns
        apart = instead(fill)
        width = fill.operand.bits(arch.value_bits)
        if fill.outer is None:
            way = fill.way
            called = fill.whole * prod(total(counts, call.name) for call in fill.called)
            if called and way not in come:  # else nobody needs it, or it came for another term
                moved = zip((fill.parent, fill.level), wholes(way), strict=True)
                each = {level: moves for level, moves in moved if level not in apart}
                _whole(fill, counts, term, each, bits)
                if fill.level == innermost[fill.operand.tensor]:
                    then: tuple[Phase, int] = ("load", 0) if term is None else ("work", term.start)
                    walked = walked_whole(fill, counts, arch.value_bits)
                    bits.add(then[0], fill.level, walked, then[1])
            if called:
                come.add(way)
        elif turns is None or term is None:
            outer, inner = (
                _brought(held, lambda flow: total(counts, flow.fetched))
                for held in (fill.outer, fill.inner)
            )
            bits.add("load", fill.parent, reads(*outer.bits(width), decoded=fill.decoded), 0)
            over = fill.arrivals, max(fill.reads, 1)
            arrived = writes(*inner.bits(width), encoded=fill.encoded)
            bits.add("load", fill.level, _times(arrived, *over), 0)
            if fill.level == innermost[fill.operand.tensor]:
                bits.add("load", fill.level, _times(reads(*inner.walked(width)), *over), 0)
        else:
            first = term.turning(turns, last=False)
            outer, inner = (
                _loaded(term, turns, x, counts, first) for x in (fill.outer, fill.inner)
            )
            reading = term.often(layer, turns.again, [*turns.inner, *turns.read], first)
            arriving = term.often(layer, turns.again, [*turns.inner, *turns.arrive], first)
            beside = turns.within and arch.overlap == "double"
            phase: Phase = "work" if beside else "load"
            at = first + term.start
            if fill.parent not in apart:
                read = reads(*outer.bits(width), decoded=fill.decoded)
                bits.add(phase, fill.parent, _times(read, reading), at)
            if fill.level not in apart:
                arrived = writes(*inner.bits(width), encoded=fill.encoded)
                bits.add(phase, fill.level, _times(arrived, arriving), at)
            if fill.level == innermost[fill.operand.tensor]:
                walked = reads(*inner.walked(width))
                bits.add("work", fill.level, _times(walked, arriving), at)


def _whole(
    fill: Fill, counts: Counts, term: EpochRows | None, moved: Mapping[str, Moves], bits: EpochBits
) -> None:
    """A tensor that comes whole: each part has its share of all bits, by its entries."""
    name, start = fill.inner.entries.loads, 0 if term is None else term.start
    at, entries = np.array([start]), np.array([1])
    if term is not None and fill.turns is not None and name:
        first = term.turning(fill.turns, last=False)
        at, entries = first + start, term.pick(counts[name], fill.turns.keys, first)
    for level, moves in moved.items():
        bits.add("load", level, bits.shares(moves, entries), at)


@dataclass(frozen=True, slots=True)
class _Brought:
    """Entries that come, and their metadata; of these, what no operation reads: entries that only
    hold a place, bits of fibers."""

    entries: Any
    metadata: Any
    fillers: Any
    of_fibers: Any

    def bits(self, width: int) -> tuple[Any, Any, Any]:
        """width : of a value."""
        return self.entries, self.entries * width, self.metadata

    def walked(self, width: int) -> tuple[Any, Any, Any]:
        """What is read once by whoever goes over the fibers."""
        return self.fillers, self.fillers * width, self.of_fibers


def _brought(held: Encoded, counted: Callable[[Flow], Any]) -> _Brought:
    return _Brought(held.values(counted), held.metadata(counted), *held.walked(counted))


def _loaded(term: EpochRows, turns: Turns, held: Encoded, counts: Counts, at: Rows) -> _Brought:
    """Of a tile at these epochs."""
    return _brought(held, lambda flow: term.pick(counts[flow.loads], turns.keys, at))


def _times(moves: Moves, times: Any, over: int = 1) -> Moves:
    """So many times, over what divides it."""
    found = {kind: number * times for kind, number in kinds_of(moves).items()}
    if over > 1:
        found = {k: x // over if isinstance(x, int) else x / over for k, x in found.items()}
    return moves_of(found)

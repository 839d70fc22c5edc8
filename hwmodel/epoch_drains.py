"""What the result moves in each epoch: tiles leave after their last one, parts come back before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.bandwidth import kinds_of, moves_of
from zeroskip.hwmodel.epoch_bits import Cells, EpochBits, Phase, Rows
from zeroskip.hwmodel.epoch_rows import EpochRows
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.moves import Moves, reads, writes
from zeroskip.hwmodel.plan import Accounting, Leaving
from zeroskip.hwmodel.traffic import Counts, flows_of


@dataclass(frozen=True, slots=True)
class _Left:
    """Entries of the result that go one way in one term, by its comings and leavings.

    first, last : epochs at which a tile is there first and last.
    out : entries that leave; of these back : came back before; new : are not outside yet; final :
        do not come back.
    within : whether that is during the work of epochs.
    """

    first: Rows
    last: Rows
    out: Any
    back: Any
    new: Any
    final: Any
    within: bool = False


def add_drains(
    layer: Layer,
    arch: Arch,
    accounting: Accounting,
    counts: Counts,
    terms: Sequence[EpochRows],
    stored: Moves,
    bits: EpochBits,
    lines: Moves | None,
) -> None:
    """Add what the result moves: tiles leave after their last epoch; what comes back does before
    the first.

    stored : what is written at its home, in its format there.
    lines : the same in each epoch, where it is in whole lines; then it leaves one way.
    """
    size = prod(layer.extents.shapes[layer.target.tensor])
    held, wide = arch.accumulator_bits, arch.accumulator_bits
    done = iter(terms)
    term_of = [next(done) if plan.term.points else None for plan in accounting.terms]
    for flow in flows_of(accounting, counts):
        level, parent = flow.drain.level, flow.drain.parent
        ways = [
            _piecewise(layer, leaving, counts, term)
            for leaving, term in zip(flow.drain.leaving, term_of, strict=False)
            if leaving is not None and term is not None
        ]
        if not ways:
            end = np.array([bits.number - 1])
            out, new = np.array([flow.drained]), np.array([flow.distinct])
            ways = [_Left(end, end, out=out, back=np.zeros_like(out), new=new, final=new)]
        width = wide if flow.partial else arch.value_bits
        last = flow.drain is accounting.drains[-1]
        apart = last and level != arch.local.name
        final = np.concatenate([way.final for way in ways])
        ended = bits.shares(stored, final)
        leaving = bits.shares(reads(0, size * arch.value_bits), final)
        start = 0
        for way in ways:
            mine = slice(start, start + len(way.last))
            start += len(way.last)
            beside = way.within and arch.overlap == "double"
            load: Phase = "work" if beside else "load"
            drain: Phase = "work" if beside else "drain"
            parts = way.out - way.final
            bits.add(load, level, writes(0, way.back * wide), way.first)
            bits.add(load, parent, reads(0, way.back * wide), way.first)
            bits.add(drain, parent, reads(0, (way.out - way.new - way.back) * wide), way.last)
            read = reads(0, parts * wide if apart else way.out * held)
            bits.add(drain, level, read, way.last)
            if apart:
                bits.add(drain, level, _at(leaving, mine), way.last)
            if last and lines is not None:
                bits.add(drain, parent, lines, slice(None))
            elif last:
                bits.add(drain, parent, _at(ended, mine), way.last)
            bits.add(drain, parent, writes(0, (parts if last else way.out) * width), way.last)
            for name, _ in flow.drain.passes:
                for through in (writes, reads):
                    bits.add(drain, name, through(0, way.out * width), way.last)
                    bits.add(load, name, through(0, way.back * wide), way.first)
        held = width


def _at(moves: Moves, mine: slice) -> Moves:
    """Of moves whose bits are arrays, some places."""
    every: Mapping[str, Any] = kinds_of(moves)
    return moves_of({kind: cells[mine] for kind, cells in every.items()})


def _piecewise(layer: Layer, leaving: Leaving, counts: Counts, term: EpochRows) -> _Left:
    """What leaves by tiles: an entry is new at the first of its tiles, at the first iteration of
    what each comes again at, and done at the last of these."""
    turns = leaving.turns
    first, last = term.turning(turns, last=False), term.turning(turns, last=True)

    def counted(name: str) -> Cells:
        return term.pick(counts[name], turns.keys, first)

    tile = counted(leaving.out)
    out = tile * term.often(layer, turns.again, [*turns.inner, *turns.arrive], first)
    anew = ~term.rows[first][:, term.columns(turns.again)].any(axis=1)
    keys = term.rows[first][:, term.columns(turns.keys)]
    last_of = {tuple(key): number for number, key in enumerate(keys.tolist())}
    final = np.zeros_like(tile)
    if leaving.ends and leaving.done:
        ends = list(last_of.values())
        final[ends] = counted(leaving.done)[ends]
    return _Left(
        first + term.start,
        last + term.start,
        out=out,
        back=out - np.where(anew, counted(leaving.begun) * leaving.copies, 0),
        new=np.where(anew, counted(leaving.new) * leaving.outer_copies, 0),
        final=final,
        within=turns.within,
    )

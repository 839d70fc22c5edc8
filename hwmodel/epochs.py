"""Time by epochs: what comes, is done and leaves in each iteration of the loops down to the sync.

    none      load 0 | work 0 | drain 0 | load 1 | work 1 | drain 1 ...
    double    load 0 | load 1 | load 2  | load 3  ...
                     | work 0 | work 1  | work 2  ...
                              | drain 0 | drain 1 ...

Tiles come before the first epoch that uses them and leave after the last (`turns`).  What comes or
leaves inside an epoch goes on beside its work with ``double``, and is loaded and drained like the
rest with ``none``.  A tensor that comes whole is spread over its parts by their entries, fiber
pointers and all, unless it has metadata by fibers there, which are not cut; what is added once
comes before the first epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from types import MappingProxyType
from typing import Any

import numpy as np

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.bandwidth import cycles_of_many, kinds_of, moves_of
from zeroskip.hwmodel.costs import compute_cycles_by_step
from zeroskip.hwmodel.epoch_bits import Cells, EpochBits, Phase, Rows
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import Moves, Traffic, reads, writes
from zeroskip.hwmodel.nest import Loop, places
from zeroskip.hwmodel.pipeline import Epochs, timed
from zeroskip.hwmodel.plan import (
    Accounting,
    Encoded,
    Fill,
    Flow,
    Leaving,
    TermPlan,
    Turns,
    total,
)
from zeroskip.hwmodel.traffic import (
    Counts,
    addition_moves,
    flows_of,
    operation_moves,
    walked_whole,
)
from zeroskip.hwmodel.unit_charges import UnitCharge
from zeroskip.hwmodel.unit_epochs import steps_by_epoch

Wholes = Callable[[tuple[str, str, str]], tuple[Moves, Moves]]


@dataclass(slots=True)
class _Term:
    """The epochs of one term: a row of iterations each, in order, and where the first stands."""

    plan: TermPlan
    loops: tuple[Loop, ...]
    rows: Rows
    start: int

    def columns(self, loops: Iterable[Loop]) -> list[int]:
        names = [loop.name for loop in self.loops]
        return [names.index(loop.name) for loop in loops]

    def pick(self, counts: Cells, loops: Sequence[Loop], at: Any = slice(None)) -> Cells:
        """Counts over iterations of ``loops``, for the epochs ``at``."""
        rows = self.rows[at]
        if not loops:
            return np.full(len(rows), counts)
        return np.asarray(counts[tuple(rows[:, column] for column in self.columns(loops))])

    def turning(self, turns: Turns, *, last: bool) -> Rows:
        """The first, or last, epoch of each iteration of what a tile comes at."""
        held = self.rows[:, sorted(self.columns([*turns.keys, *turns.again]))]
        changed = np.any(held[1:] != held[:-1], axis=1)
        return np.flatnonzero([*changed, True] if last else [True, *changed])

    def often(self, layer: Layer, outer: Sequence[Loop], inner: Sequence[Loop], at: Rows) -> Cells:
        """How many iterations of ``inner`` there are in those of ``outer``, at these epochs."""
        extents, found = layer.extents.ranks, np.ones(len(at), np.int64)
        for rank in dict.fromkeys(loop.rank for loop in inner):
            before = [loop for loop in outer if loop.rank == rank]
            mine = [loop for loop in inner if loop.rank == rank]
            ranks = rank.split("*")
            table = np.zeros([loop.count for loop in before], np.int64)
            for row in places([*before, *mine], extents, ranks).tolist():
                table[tuple(row[: len(before)])] += 1
            found = found * self.pick(table, before, at)
        return found


def epochs_of(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    traffic: Traffic,
    wholes: Wholes,
    stored: Moves,
    slowest: Cells | None = None,
    units: Mapping[str, UnitCharge] = MappingProxyType({}),
) -> Epochs:
    """The epochs of a layer on an architecture that says how loads and work overlap.

    traffic : all that moves; its bits are those of all epochs together.
    wholes : (level outside, level, tensor) -> what a tensor that comes whole moves at either.
    stored : what the result moves off chip, in its format there.
    slowest : cycles of each step where they follow from no points, but from vectors of entries.
    units : by name; their steps are done beside the work of an epoch.
    """
    terms: list[_Term] = []
    number = 0
    for plan in accounting.terms:
        if plan.term.points:
            terms.append(_term(layer, schedule, plan, number))
            number += len(terms[-1].rows)
    number = max(number, 1)
    means = any(x.dtype.kind == "f" for x in counts.values())
    bits = EpochBits(number, float if means else np.int64)
    compute: Cells = np.zeros(number, bits.kind)
    for term in terms:
        steps = slowest
        if steps is None:
            steps = compute_cycles_by_step(arch, term.plan, counts)
        compute[term.start : term.start + len(term.rows)] = term.pick(steps, term.loops)
    innermost = {tensor: stays[-1].level for tensor, stays in schedule.stays.items()}
    _fills(layer, arch, accounting, counts, terms, wholes, innermost, bits)
    _operations(layer, arch, schedule, accounting, counts, terms, bits)
    _drains(layer, arch, accounting, counts, terms, stored, bits)
    if not means:
        _check(arch, traffic, bits)
    busy = {"compute": compute}
    for name, unit in units.items():
        busy[name] = cycles_of_many(_steps(layer, unit, terms), unit.unit.rate, 1)
    return timed(arch, busy, bits)


def _steps(layer: Layer, unit: UnitCharge, terms: Sequence[_Term]) -> Cells:
    """Steps of a unit in each epoch of the one product; in the only one where it has no points."""
    if not terms:
        return np.array([unit.by_place.sum()])
    (term,) = terms
    return steps_by_epoch(unit.by_place, unit.ranks, term.loops, term.rows, layer.extents.ranks)


def _term(layer: Layer, schedule: Schedule, plan: TermPlan, start: int) -> _Term:
    loops = tuple(step for step in schedule.steps if step.of(plan.term.ranks))
    return _Term(plan, loops, places(loops, layer.extents.ranks, plan.term.ranks), start)


# ---- operands -----------------------------------------------------------------------------


def _fills(
    layer: Layer,
    arch: Arch,
    accounting: Accounting,
    counts: Counts,
    terms: Sequence[_Term],
    wholes: Wholes,
    innermost: Mapping[str, str],
    bits: EpochBits,
) -> None:
    of_fill = {id(fill): term for term in terms for fills in term.plan.fills for fill in fills}
    come: set[tuple[str, str, str]] = set()
    for fill in accounting.fills:
        term, turns = of_fill.get(id(fill)), fill.turns
        width = fill.operand.bits(arch.value_bits)
        if fill.outer is None:
            way = fill.way
            called = fill.whole * prod(total(counts, name) for name in fill.called)
            if called and way not in come:  # else nobody needs it, or it came for another term
                _whole(fill, counts, term, wholes(way), bits)
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
            read = reads(*outer.bits(width), decoded=fill.decoded)
            arrived = writes(*inner.bits(width), encoded=fill.encoded)
            bits.add(phase, fill.parent, _times(read, reading), at)
            bits.add(phase, fill.level, _times(arrived, arriving), at)
            if fill.level == innermost[fill.operand.tensor]:
                walked = reads(*inner.walked(width))
                bits.add("work", fill.level, _times(walked, arriving), at)


def _whole(
    fill: Fill, counts: Counts, term: _Term | None, moved: tuple[Moves, Moves], bits: EpochBits
) -> None:
    """A tensor that comes whole: each part has its share of all bits, by its entries."""
    name, start = fill.inner.entries.loads, 0 if term is None else term.start
    at, entries = np.array([start]), np.array([1])
    if term is not None and fill.turns is not None and name:
        first = term.turning(fill.turns, last=False)
        at, entries = first + start, term.pick(counts[name], fill.turns.keys, first)
    for level, moves in zip((fill.parent, fill.level), moved, strict=True):
        bits.add("load", level, bits.shares(moves, entries), at)


@dataclass(frozen=True, slots=True)
class _Brought:
    """Entries that come, and their metadata; of these, what only hold a place, bits of fibers."""

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
    own = held.fillers(counted), held.of_fibers(counted)
    return _Brought(held.values(counted), held.metadata(counted), *own)


def _loaded(term: _Term, turns: Turns, held: Encoded, counts: Counts, at: Rows) -> _Brought:
    """Of a tile at these epochs."""
    return _brought(held, lambda flow: term.pick(counts[flow.loads], turns.keys, at))


def _times(moves: Moves, times: Any, over: int = 1) -> Moves:
    """So many times, over what divides it."""
    found = {kind: number * times for kind, number in kinds_of(moves).items()}
    if over > 1:
        found = {k: x // over if isinstance(x, int) else x / over for k, x in found.items()}
    return moves_of(found)


# ---- operations ---------------------------------------------------------------------------


def _operations(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    terms: Sequence[_Term],
    bits: EpochBits,
) -> None:
    innermost = {tensor: stays[-1].level for tensor, stays in schedule.stays.items()}
    for term in terms:
        counted = {}
        for _, name in term.plan.reads:
            apart = tuple(range(len(term.loops), counts[name].ndim))
            counted[name] = term.pick(counts[name].sum(axis=apart), term.loops)
        here = slice(term.start, term.start + len(term.rows))
        for tensor, moves in operation_moves(term.plan, counted, arch, layer.target.tensor):
            bits.add("work", innermost[tensor], moves, here)
    for tensor, moves in addition_moves(layer, arch, accounting):
        bits.add("load", innermost[tensor], moves, 0)


# ---- the result ---------------------------------------------------------------------------


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


def _drains(
    layer: Layer,
    arch: Arch,
    accounting: Accounting,
    counts: Counts,
    terms: Sequence[_Term],
    stored: Moves,
    bits: EpochBits,
) -> None:
    """Tiles leave after their last epoch; what comes back does before the first."""
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
            if last:
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


def _piecewise(layer: Layer, leaving: Leaving, counts: Counts, term: _Term) -> _Left:
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


# ---- time ---------------------------------------------------------------------------------


def _check(arch: Arch, traffic: Traffic, bits: EpochBits) -> None:
    """All epochs together move what the layer moves."""
    for level in arch.levels:
        every = sum((m for (name, _), m in traffic.items() if name == level.name), Moves())
        for kind, number in kinds_of(every).items():
            cells = [moved[kind] for (_, at), moved in bits.moved.items() if at == level.name]
            found = sum(int(x.sum()) for x in cells)
            assert found == number, f"{level.name}, {kind}: {found} bits by epochs of {number}"

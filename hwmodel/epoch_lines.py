"""Whole lines and fibers of a cache by epochs.

    A by rows, m in time, a tile of 3 columns:   |. x|x x|. x|.     a line holds two values
    k1, its parts, in epochs of their own:        0 0 0 1 1 1 2     lines come in 0, 0, 1 (and 2)

A line comes with its tile; of one that comes part by part, with the first part that has an entry in
it.  Lines of pointers, and the list of fibers, are read once: with the first tile that touches
their fibers.  What a cache has not comes in the epoch of the access; where a mapping fills the next
level inside beside the work, so does what that asks for.  Of a compressed result a line is written
with the last entry in it, one of pointers when all places of their fibers have left.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.epoch_bits import EpochBits, Phase
from zeroskip.hwmodel.epoch_fills import Wholes
from zeroskip.hwmodel.epoch_rows import EpochRows
from zeroskip.hwmodel.evaluate import Counted, Operand
from zeroskip.hwmodel.holding import holds_places
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.line_fills import FIBER, fiber_rows, places_in, tile_lines
from zeroskip.hwmodel.lined import Asked, LinedMoves, is_decoded
from zeroskip.hwmodel.lines import Layout
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import Moves, reads, writes
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.plan import Accounting, Fill, TermPlan
from zeroskip.hwmodel.relations import ENTRY, Column, Rows, Whole, codes, length
from zeroskip.hwmodel.stored import format_at, result_format
from zeroskip.hwmodel.traces import Nested, entry_rows, nested
from zeroskip.hwmodel.traffic import Counts


@dataclass(frozen=True, slots=True)
class EpochLines:
    """What moves in whole lines, for the epochs of one product."""

    layer: Layer
    arch: Arch
    schedule: Schedule
    accounting: Accounting
    counts: Counts
    operands: Mapping[str, Operand]
    moved: LinedMoves

    def instead(self, fill: Fill) -> Collection[str]:
        """Levels whose moves at a fill are in whole lines: these are added here."""
        cache, tensor = self.arch.cache, fill.operand.tensor
        if cache is not None and fill.level == cache.name and tensor in self.moved.asked:
            return fill.parent, fill.level
        return (fill.parent,) if self._by_tiles(fill) else ()

    def wholes(self, plain: Wholes) -> Wholes:
        """What a tensor that comes whole moves."""

        def found(way: tuple[str, str, str]) -> tuple[Moves, Moves]:
            read, written = plain(way)
            parent, _, tensor = way
            if parent == self.arch.off_chip.name and tensor in self.moved.filled:
                once = self.moved.filled[tensor][0].once()
                bits = once.entries, once.data_bits, once.metadata_bits
                decoded = is_decoded(self.layer, self.arch, self.schedule, tensor)
                read = reads(*bits, decoded=decoded)
            return read, written

        return found

    def add(self, terms: Sequence[EpochRows], bits: EpochBits) -> None:
        """Add what operands bring."""
        self._check_ways()
        self._check_places()
        for tensor, asked in self.moved.asked.items():
            if not len(asked.fibers):
                self._add_unfound(tensor, asked, bits)
        for term in terms:
            nest = nested(self.layer, self.schedule.loops, self.operands)
            for fills in term.plan.fills:
                for fill in fills:
                    if self._by_tiles(fill):
                        self._add_tiles(nest, term, fill, bits)
            for asked in self.moved.asked.values():
                self._add_asked(nest, term, asked, bits)

    def _check_ways(self) -> None:
        """Refuse what passes a level on its way."""
        for tensor in (*self.moved.filled, *self.moved.asked):
            stays = self.schedule.stays[tensor]
            passed = [stay.level for stay in stays if stay.words]
            passed += [spill.level for spill in self.schedule.spills if spill.tensor == tensor]
            if passed:
                raise ArchError(
                    f"overlap: {tensor} passes {passed[0]}, and which lines, or fibers of a cache, "
                    "of what passes a level come in which epoch is not listed as yet\n"
                    f"Keep {tensor} in {passed[0]}, or leave out overlap, or lines and cache."
                )

    def _check_places(self) -> None:
        """Refuse entries that only hold a place."""
        off_chip, target = self.arch.off_chip.name, self.layer.target.tensor
        sources = dict.fromkeys(self.moved.filled, off_chip)
        sources |= {tensor: asked.source for tensor, asked in self.moved.asked.items()}
        found = {
            tensor: format_at(self.layer, self.arch, self.schedule, tensor, level)
            for tensor, level in sources.items()
        }
        if self.moved.written is not None:
            found[target] = result_format(self.arch.format(target, "O", off_chip), self.layer)
            sources[target] = off_chip
        if self.moved.asked or self.moved.written is not None:
            (term,), (rules,) = self.layer.work, self.accounting.policy.terms
            for operand, rule in zip(term.operands, rules, strict=True):
                if rule.read.fills and rule.skipped_by:
                    found[operand.tensor] = rule.read.format
                    sources[operand.tensor] = self.schedule.stays[operand.tensor][-1].level
        for tensor, bound in found.items():
            if holds_places(bound):
                level = sources[tensor]
                raise ArchError(
                    f"overlap: {tensor} is {bound.label} in {level}, and in which epoch lines, or "
                    "fibers of a cache, come that what only holds a place is in, or asks for, is "
                    f"not listed as yet\nGive {tensor} the format C at {level}, or leave out "
                    "overlap, or lines and cache."
                )

    def _by_tiles(self, fill: Fill) -> bool:
        """Whether tiles come by a fill in whole lines."""
        tiles = fill.outer is not None and fill.parent == self.arch.off_chip.name
        return tiles and fill.operand.tensor in self.moved.filled

    def _phase(self, *, within: bool) -> Phase:
        return "work" if within and self.arch.overlap == "double" else "load"

    def _add_tiles(self, nest: Nested, term: EpochRows, fill: Fill, bits: EpochBits) -> None:
        tensor, turns = fill.operand.tensor, fill.turns
        (layout, held), level = self.moved.filled[tensor], fill.parent
        bound = format_at(self.layer, self.arch, self.schedule, tensor, level)
        assert turns is not None
        if _listed(layout):
            raise ArchError(
                f"overlap: {tensor} is {bound.label} in {level}, and in which epoch the list of "
                "its fibers comes, where tiles come one by one, is not listed as yet\nGive levels."
                f"{level}.lines lists: unread, have {tensor} come whole, or leave out overlap."
            )
        stay = next(s for s in self.schedule.stays[tensor] if s.level == fill.level)
        outside = {loop.name for loop in self.schedule.loops[: stay.position]}
        by = [loop for loop in turns.keys if loop.name not in outside]
        known = self.counts, held, layout, bound
        found = tile_lines(nest, self.schedule, fill, *known, by=by)
        when = _met(term, found.rows, turns.keys)
        data, metadata = (
            layout.line_bits * term.counted(layout.lines_at(found.tile, found.place, width, when))
            for width in (layout.value_bits, layout.coordinate_bits)
        )
        first = term.turning(turns, last=False)
        tile = term.met(
            turns.keys, list(term.rows[first][:, term.columns(turns.keys)].T), len(first)
        )
        often = term.often(self.layer, turns.again, [*turns.inner, *turns.read], first)
        moved: list[Any] = [x[tile] * often for x in (term.counted(when), data, metadata)]
        phase = self._phase(within=turns.within)
        bits.add(phase, level, reads(*moved, decoded=fill.decoded), first + term.start)
        when = _met(term, found.asked, turns.keys)
        heads: Any = layout.line_bits * term.counted(_heads(layout, found.asked[FIBER], when))
        bits.add(phase, level, reads(0, 0, heads, decoded=fill.decoded), term.here)

    def _asking(self, plan: TermPlan, number: int) -> Phase:
        """When an operand asks a cache: as the mapping fills the next level inside."""
        cache = self.arch.cache
        assert cache is not None
        inside = [fill for fill in plan.fills[number] if fill.parent == cache.name]
        within = not inside or any(x.turns is not None and x.turns.within for x in inside)
        return self._phase(within=within)

    def _add_unfound(self, tensor: str, asked: Asked, bits: EpochBits) -> None:
        """A list in which nobody finds a fiber comes with the first epoch."""
        cache, (plan,), layout = self.arch.cache, self.accounting.terms, asked.layout
        assert cache is not None
        number = [operand.tensor for operand in self.layer.work[0].operands].index(tensor)
        phase, listed = self._asking(plan, number), layout.line_bits * _listed(layout)
        bits.add(phase, asked.source, reads(0, 0, listed), 0)
        bits.add(phase, cache.name, writes(0, 0, listed), 0)

    def _add_asked(self, nest: Nested, term: EpochRows, asked: Asked, bits: EpochBits) -> None:
        """What is not in the cache, for each operand that asks by itself."""
        cache, layout = self.arch.cache, asked.layout
        assert cache is not None
        who, when = asked.times[:, -2], np.zeros(len(asked.fibers), np.int64)
        loops = {loop.name: loop for loop in term.loops}
        columns = [(i, loops[x.name]) for i, x in enumerate(nest.loops) if x.name in loops]
        for asks in np.unique(asked.times[:, -2:], axis=0):
            mine = (asked.times[:, -2:] == asks).all(axis=1)
            times = asked.times[mine]
            told = [(i, loop) for i, loop in columns if times[0, i] >= 0]
            at = [times[:, i] for i, _ in told]
            when[mine] = term.met([loop for _, loop in told], at, len(times))
        sizes = (layout.fibers.entries, *layout.bits())
        order = np.argsort(codes(list(asked.times.T)), kind="stable")
        heads = order[_heads(layout, asked.fibers, np.argsort(order))] if len(order) else order
        for number in range(len(nest.term.operands)):
            fetched = asked.missed & (who == number)
            moved: list[Any] = [
                term.counted(when[fetched], x[asked.fibers[fetched]]) for x in sizes
            ]
            moved[-1] += layout.line_bits * term.counted(when[heads[who[heads] == number]])
            phase = self._asking(term.plan, number)
            bits.add(phase, asked.source, reads(*moved), term.here)
            bits.add(phase, cache.name, writes(*moved), term.here)

    def written(self, terms: Sequence[EpochRows]) -> Moves | None:
        """What is written of a result that is compressed, in each epoch."""
        if self.moved.written is None:
            return None
        layout, result = self.moved.written
        if not terms:
            once = layout.once()
            return writes(once.entries, once.data_bits, once.metadata_bits, encoded=True)
        (term,) = terms
        (leaving,) = self.accounting.drains[-1].leaving or (None,)
        loops = () if leaving is None else leaving.turns.keys
        done, gone = self._leaving(term, loops, layout, result)
        held = layout.fibers.entries
        fiber = np.repeat(np.arange(len(held)), held)
        place = np.arange(len(fiber)) - layout.fibers.positions[fiber]
        named = layout.listed
        order = np.arange(len(named))
        every = np.arange(len(held))
        asked = every[layout.asked(every, led=False)]
        data = layout.lines_at(fiber, place, layout.value_bits, -gone)
        metadata = np.concatenate(
            [
                layout.lines_at(fiber, place, layout.coordinate_bits, -gone),
                layout.lines_at(order * 0, order, layout.top_bits or 0, -done[named]),
                layout.pointers_at(asked, -done[asked]),
            ]
        )
        lines: list[Any] = [layout.line_bits * term.counted(-when) for when in (data, metadata)]
        entries: Any = term.counted(gone)
        return writes(entries, *lines, encoded=True)

    def _leaving(
        self, term: EpochRows, loops: Sequence[Loop], layout: Layout, result: Operand
    ) -> tuple[Whole, Whole]:
        """The epoch after which all places of each fiber have left, and that of each entry.

        loops : outside the sync, at whose iterations a tile of the result leaves.

        Raises
        ------
        ArchError
            Where loops cut fibers of which it is only known how many entries they have.
        """
        target = self.layer.target
        format = self.arch.format(target.tensor, "O", self.arch.off_chip.name)
        bound = result_format(format, self.layer)
        nest = nested(self.layer, self.schedule.loops, self.operands)
        columns = [Column(loop.rank, loop) for loop in loops]
        rows, number = fiber_rows(nest, target, bound, columns), len(layout.fibers)
        done = _latest(term, rows[FIBER], _met(term, rows, loops, last=True), number)
        *_, inner = bound.order
        along = {name for axis in inner for name in variables(target.subscripts[axis])}
        cut = [loop for loop in loops if loop.of(along)]
        if not cut:
            return done, np.repeat(done, layout.fibers.entries)
        if isinstance(result, Counted):
            raise ArchError(
                f"overlap: {target.tensor} has {prod(result.shape):,} places, of which is known "
                f"how many of each fiber are reached, not where; {cut[0].name}, which is outside "
                f"the sync, cuts its fibers\nLet PEs wait (sync) at a loop outside {cut[0].name}, "
                "charge a part of the layer, or leave out overlap."
            )
        rows = entry_rows(nest, target, result.coordinates, columns)
        when = _met(term, rows, loops, last=True)
        gone = _latest(term, rows[ENTRY], when, result.entries)
        fiber, place = places_in(result.coordinates, result.shape, bound)
        return done, gone[np.argsort(codes([fiber, place]), kind="stable")]


def _met(term: EpochRows, rows: Rows, loops: Sequence[Loop], *, last: bool = False) -> Whole:
    """The first, or last, epoch in which each row is met, by the columns of these loops."""
    at = {c.loop.name: values for c, values in rows.items() if c.loop is not None}
    return term.met(loops, [at[loop.name] for loop in loops], length(rows), last=last)


def _latest(term: EpochRows, place: Whole, when: Whole, number: int) -> Whole:
    """Of so many places the latest epoch; of those that no row has, the last of all."""
    found = np.full(number, -1, np.int64)
    np.maximum.at(found, place, when)
    return np.where(found < 0, len(term.rows) - 1, found)


def _heads(layout: Layout, fibers: Whole, when: Whole) -> Whole:
    """When each line of pointers is read, and of the list of fibers, which is with the first."""
    start = when.min() if len(when) else 0
    return np.concatenate([np.full(_listed(layout), start), layout.pointers_at(fibers, when)])


def _listed(layout: Layout) -> int:
    """Lines of the list of fibers."""
    return int(layout.whole(len(layout.listed), layout.top_bits or 0)) // layout.line_bits

"""The epochs of one term of a layer: iterations of its loops down to the sync, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from zeroskip.hwmodel.epoch_bits import Cells, Rows
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop, places
from zeroskip.hwmodel.plan import TermPlan, Turns
from zeroskip.hwmodel.relations import codes


@dataclass(slots=True)
class EpochRows:
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

    @property
    def here(self) -> slice:
        """All of them."""
        return slice(self.start, self.start + len(self.rows))

    def met(
        self, loops: Sequence[Loop], at: Sequence[Rows], number: int, *, last: bool = False
    ) -> Rows:
        """The first, or last, epochs at so many iterations of these loops."""
        if not loops:
            return np.full(number, len(self.rows) - 1 if last else 0)
        both = zip(self.rows[:, self.columns(loops)].T, at, strict=True)
        code = codes([np.concatenate(pair) for pair in both])
        own, other = code[: len(self.rows)], code[len(self.rows) :]
        every, epoch = np.unique(own[::-1] if last else own, return_index=True)
        epoch = len(own) - 1 - epoch if last else epoch
        return np.asarray(epoch[np.searchsorted(every, other)], np.int64)

    def counted(self, when: Rows, each: Rows | int = 1) -> Rows:
        """How many there are in each epoch, or of these all together."""
        found = np.zeros(len(self.rows), np.int64)
        np.add.at(found, when, each)
        return found

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


def rows_of(layer: Layer, schedule: Schedule, plan: TermPlan, start: int) -> EpochRows:
    """start : where the first stands."""
    loops = tuple(step for step in schedule.steps if step.of(plan.term.ranks))
    return EpochRows(plan, loops, places(loops, layer.extents.ranks, plan.term.ranks), start)

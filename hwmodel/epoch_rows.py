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

"""Bits that every level moves in every phase of every epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.bandwidth import KINDS, kinds_of, moves_of
from zeroskip.hwmodel.moves import Moves

Phase = Literal["load", "work", "drain"]
PHASES: tuple[Phase, ...] = ("load", "work", "drain")
Cells = NDArray[Any]
Rows = NDArray[np.int64]


@dataclass(slots=True)
class EpochBits:
    """Bits of each kind that every level moves in every phase of every epoch."""

    number: int
    kind: type
    moved: dict[tuple[Phase, str], dict[str, Cells]] = field(default_factory=dict)

    def add(self, phase: Phase, level: str, moves: Moves, at: Any) -> None:
        """Moves, whose bits are numbers or arrays, at these epochs."""
        for kind, bits in kinds_of(moves).items():
            if np.any(bits):
                self.of(phase, level)[kind][at] += bits

    def shares(self, moves: Moves, entries: Cells) -> Moves:
        """Moves, whose bits are numbers, in parts by their entries: through each part goes its
        share, rounded down; all in the last one where there are none."""
        weights = entries.tolist() if entries.any() else [0] * (len(entries) - 1) + [1]
        every = sum(weights)
        found: dict[str, Any] = {}
        for kind, number in kinds_of(moves).items():
            through: Any = 0
            gone: list[Any] = [0]
            for weight in weights:
                through += weight
                exact = isinstance(number, int) and isinstance(every, int)
                gone.append(number * through // every if exact else number * through / every)
            found[kind] = np.diff(np.array(gone, self.kind))
        return moves_of(found)

    def of(self, phase: Phase, level: str) -> dict[str, Cells]:
        key = phase, level
        if key not in self.moved:
            self.moved[key] = {kind: np.zeros(self.number, self.kind) for kind in KINDS}
        return self.moved[key]

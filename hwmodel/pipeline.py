"""How long epochs take: one phase after the other, or three epochs side by side.

Each phase, or with ``double`` each column, takes as long as the slowest of: the busiest PE, each
kind of unit, and of every level each port's bits over its bandwidth.  The total is their sum; with
``double`` the first load fills the pipeline and the last drain empties it.  Where one batch follows
the other, the first epochs of the next are loaded beside the last ones of this: from batch to batch
pass the columns of a ring, load e beside work e-1 and drain e-2, before the first epoch the last of
the batch before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.bandwidth import cycles_of_many, ports_of
from zeroskip.hwmodel.epoch_bits import PHASES, Cells, EpochBits, Phase

Overlap = Literal["none", "double"]


@dataclass(frozen=True, slots=True, eq=False)
class Epochs:
    """The time of a layer, epoch by epoch.

    cycles : of each epoch; with ``double``, in which they overlap, of each column of the pipeline,
        which are two more.
    limits : ``compute``, units and levels -> the cycles in which each is what takes longest.
    number : of epochs.
    interval : cycles from one batch to the next, where the layer is run on one after the other.
    """

    overlap: Overlap
    cycles: Cells
    limits: dict[str, float]
    number: int
    interval: float

    @property
    def total(self) -> float:
        found = self.cycles.sum()
        return float(found) if self.cycles.dtype.kind == "f" else int(found)

    @property
    def figures(self) -> dict[str, float]:
        """For tables: their number, the ends of the pipeline, and what bounds for how long."""
        found: dict[str, float] = {"epochs": self.number}
        if self.overlap == "double":
            found["cycles, first load"] = self.cycles[0].item()
            found["cycles, last drain"] = self.cycles[-1].item()
            found["cycles, batch to batch"] = self.interval
        return found | {f"cycles, bound by {name}": n for name, n in self.limits.items()}


def mean_epochs(every: Sequence[Epochs]) -> Epochs:
    """The mean of epochs that are alike in number."""
    cycles: Cells = np.mean([epochs.cycles for epochs in every], axis=0)
    names = dict.fromkeys(name for epochs in every for name in epochs.limits)
    limits = {name: sum(e.limits.get(name, 0) for e in every) / len(every) for name in names}
    interval = sum(epochs.interval for epochs in every) / len(every)
    return Epochs(every[0].overlap, cycles, limits, every[0].number, interval)


def timed(arch: Arch, busy: Mapping[str, Cells], bits: EpochBits) -> Epochs:
    """How long each phase, or each column of the pipeline, takes.

    busy : cycles of PEs and units at the work of each epoch.
    """
    assert arch.overlap is not None
    number, ahead = bits.number, arch.overlap == "double"
    columns: list[list[tuple[Phase, int]]] = [[(phase, 0)] for phase in PHASES]
    if ahead:
        columns = [[(phase, late) for late, phase in enumerate(PHASES)]]
    length = number + (len(PHASES) - 1 if ahead else 0)
    cycles: Cells = np.zeros(length, bits.kind)
    limits: dict[str, float] = {}

    def late_by(cells: Cells, late: int) -> Cells:
        found: Cells = np.zeros(length, bits.kind)
        found[late : late + number] = cells
        return found

    for column in columns:
        times = _side_by_side(arch, busy, bits, column, late_by)
        if not times:
            continue
        every = np.stack(list(times.values()))
        longest, which = every.max(axis=0), every.argmax(axis=0)
        cycles += longest
        for place, name in enumerate(times):
            limits[name] = limits.get(name, 0) + longest[which == place].sum().item()
    interval = cycles.sum().item()
    if ahead:
        times = _side_by_side(arch, busy, bits, columns[0], np.roll)
        interval = np.maximum.reduce(list(times.values())).sum().item()
    return Epochs(arch.overlap, cycles, limits, number, interval)


def _side_by_side(
    arch: Arch,
    busy: Mapping[str, Cells],
    bits: EpochBits,
    column: Sequence[tuple[Phase, int]],
    late_by: Callable[[Cells, int], Cells],
) -> dict[str, Cells]:
    """How long PEs, units and every level with a limit take, where phases are side by side.

    column : phases, and by how many epochs each is late; late_by : what makes cells so.
    """
    times: dict[str, Cells] = {}
    for phase, late in column:
        if phase == "work":
            times |= {name: late_by(cells, late) for name, cells in busy.items()}
    for level in arch.levels:
        moved: dict[str, Cells] = {}
        for phase, late in column:
            for kind, cells in bits.of(phase, level.name).items():
                found = late_by(cells, late)
                moved[kind] = moved[kind] + found if kind in moved else found
        beside = arch.number(level)
        ports = [cycles_of_many(x, rate, beside) for x, rate in ports_of(level, moved)]
        if ports:
            times[level.name] = np.maximum.reduce(ports)
    return times

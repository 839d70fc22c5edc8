"""`Totals`: what a charge of one line and one of a cascade have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.checks import is_one_of
from zeroskip.errors import TensorError
from zeroskip.hwmodel.accuracy import Accuracy
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.by_name import ByName
from zeroskip.hwmodel.conversion import Conversion
from zeroskip.hwmodel.later import Later
from zeroskip.hwmodel.measured import metrics_of
from zeroskip.hwmodel.metrics import Metrics
from zeroskip.hwmodel.moves import NETWORK, Moves, Traffic
from zeroskip.hwmodel.report import energy_table, moves_table, summary_table
from zeroskip.table import Table

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Totals(ABC):
    """Figures of a charge, and what follows from them; see `Charge` for each."""

    arch: Arch
    ops: dict[str, int]
    multiplications: dict[str, int]
    additions: int
    working: Later[NDArray[np.int64]]
    compute_cycles: float
    busy: int
    worked: int
    bandwidth_cycles: dict[str, float]
    traffic: Traffic
    conversions: tuple[Conversion, ...]
    energy: dict[str, float]
    assuming: Later[tuple[str, ...]]
    missing: tuple[str, ...]

    def __post_init__(self) -> None:
        for name in ("ops", "multiplications", "bandwidth_cycles", "energy"):
            object.__setattr__(self, name, ByName(name, getattr(self, name)))

    @property
    @abstractmethod
    def text(self) -> str:
        """The Einsum, with every sum written out."""

    @property
    def interval_cycles(self) -> float:
        """From one batch to the next, each from its first line to its last: `cycles`, but for what
        the next one overlaps with."""
        return self.cycles

    @property
    @abstractmethod
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every tensor."""

    @property
    @abstractmethod
    def parts(self) -> tuple[Charge, ...]:
        """The charge of every line."""

    @property
    @abstractmethod
    def mapped(self) -> str:
        """The complete mapping, as text."""

    @property
    @abstractmethod
    def accounting(self) -> str:
        """The accounting Einsums, as text that parses and evaluates."""

    @property
    def of_units(self) -> dict[str, float]:
        """Figures of units, lanes and queues that an architecture may have, for tables."""
        return {}

    @property
    def work_per_pe(self) -> NDArray[np.int64]:
        """Points that take a cycle in each PE, by the shape of the array: all but the skipped."""
        return self.working.value

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the figures take for granted."""
        return self.assuming.value

    # ---- time ---------------------------------------------------------------------------

    @property
    @abstractmethod
    def cycles(self) -> float:
        """Cycles from the first bit that moves to the last."""

    @property
    @abstractmethod
    def bound_by(self) -> str:
        """What takes the most of `cycles`."""

    @property
    def conversion_cycles(self) -> int:
        """Cycles before a line, one transpose after the other."""
        return sum(conversion.cycles for conversion in self.conversions)

    @property
    def seconds(self) -> float:
        return self.cycles / self.arch.clock_hz

    @property
    def executed(self) -> int:
        """Multiplications done: effectual, and ineffectual ones that nothing prevented."""
        return self.multiplications["effectual"] + self.multiplications["ineffectual"]

    @property
    def utilisation(self) -> float:
        """Share of the multipliers' cycles, in all of `cycles`, in which they do work."""
        return self.worked / max(self.arch.pes * self.arch.multipliers * self.cycles, 1)

    @property
    def imbalance(self) -> float:
        """`compute_cycles` over what they would be with the work spread evenly; 1 or more."""
        return _ratio(self.compute_cycles * self.arch.pes * self.arch.multipliers, self.busy)

    # ---- movement and energy ------------------------------------------------------------

    def at(self, level: str, tensor: str) -> Moves:
        """What moves at a level (or ``network``) for one tensor, or for ``transpose of A``.

        Raises `ArchError` for a level, `TensorError` for a tensor that is not there.
        """
        if not is_one_of(level, (NETWORK,)):
            self.arch.level(level)
        tensors = dict.fromkeys(name for _, name in self.traffic)
        if not is_one_of(tensor, tensors):
            raise TensorError(f"no tensor {tensor!r} in this layer: it has {', '.join(tensors)}")
        return self.traffic.get((level, tensor), Moves())

    def level(self, level: str) -> Moves:
        """What moves at a level, all tensors together, transposes among them."""
        if not is_one_of(level, (NETWORK,)):
            self.arch.level(level)
        return sum((m for (at, _), m in self.traffic.items() if at == level), Moves())

    @property
    def energy_pj(self) -> float:
        return sum(self.energy.values())

    @property
    @abstractmethod
    def overflow(self) -> tuple[str, ...]:
        """What does not fit, level by level, in bits."""

    @property
    @abstractmethod
    def spills(self) -> tuple[str, ...]:
        """Of tiles that do not fit, and spill, what stays and what passes."""

    # ---- against dense ------------------------------------------------------------------

    @property
    @abstractmethod
    def baseline(self) -> Totals:
        """The same on the same array and memories, without gating, skipping and compression."""

    @property
    def speedup(self) -> float:
        """Cycles of the baseline over those here."""
        return _ratio(self.baseline.cycles, self.cycles)

    @property
    def energy_ratio(self) -> float:
        """Energy here over that of the baseline."""
        return _ratio(self.energy_pj, self.baseline.energy_pj)

    # ---- as a network -------------------------------------------------------------------

    def metrics(
        self,
        *,
        batch: int,
        network: str | None = None,
        accuracy: Accuracy | Sequence[Accuracy] = (),
        most_watts: float | None = None,
        area_mm2: float | None = None,
        process_nm: float | None = None,
    ) -> Metrics:
        """Throughput, latency, energy and cost of inferences, of which the operands hold ``batch``.

        See `zeroskip.hwmodel.metrics_of`, which takes the charges of several layers, too.
        """
        return metrics_of(
            self,
            batch=batch,
            network=network,
            accuracy=accuracy,
            most_watts=most_watts,
            area_mm2=area_mm2,
            process_nm=process_nm,
        )

    # ---- print --------------------------------------------------------------------------

    def table(self) -> Table:
        """Operations, cycles, bits and energy, beside the dense baseline."""
        return summary_table(self)

    def moves(self) -> Table:
        """Reads, writes and bits of every level and tensor."""
        return moves_table(self)

    def to_pandas(self) -> Any:
        return self.table().to_pandas()

    def plot(self, **options: Any) -> Any:
        """Energy by component, as bars."""
        return energy_table(self).plot(**options)

    def __repr__(self) -> str:
        return str(self.table())

    def __rich__(self) -> Any:
        return self.table().__rich__()

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()


def _ratio(top: float, bottom: float) -> float:
    """0/0 is 1: nothing on both sides."""
    if bottom:
        return top / bottom
    return 1.0 if not top else float("inf")

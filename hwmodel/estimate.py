"""What is estimated of a charge, how, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np

from zeroskip.formats.density import Density
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.cartesian import CartesianCharge
from zeroskip.hwmodel.closed import is_static
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import TINY, Derived, Expected
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.lined import is_lined
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.plan import Accounting, Drain, Flow
from zeroskip.hwmodel.sampled import Sampled, said_of
from zeroskip.hwmodel.storages import storage_at
from zeroskip.hwmodel.traffic import Counts
from zeroskip.hwmodel.unit_charges import UnitCharge

FIGURES = ("ops", "cycles", "energy_pj", "work_per_pe", "traffic", "capacity")
SURE = ("exact", "exact in expectation", "bound", "approximate")
"""Tags, from what is surest on: a bound beside what is approximate bounds nothing."""


@dataclass(frozen=True, slots=True, repr=False)
class Estimate:
    """How the figures of an expected charge came about.

    geometry : its counts over full operands; outcome : the result off chip.
    given : whether the result was given, and does not follow from the operands.
    units : steps of units; vectors : products of vectors, where the architecture has lanes.
    sampled : charges of draws, where figures go by the order of places.
    """

    layer: Layer
    arch: Arch
    schedule: Schedule
    cascade: Accounting
    geometry: Geometry
    operands: Mapping[str, Operand]
    outcome: Operand
    given: bool
    units: Mapping[str, UnitCharge]
    vectors: CartesianCharge | None
    sampled: Sampled | None

    @property
    def derived(self) -> tuple[str, ...]:
        """Operands that are results of lines before, drawn by a mean of theirs."""
        return tuple(n for n, x in self.operands.items() if isinstance(x, Derived))

    @property
    def spread_evenly(self) -> tuple[str, ...]:
        """Leaders that are drawn, by whose entries ranks are split."""
        leaders = dict.fromkeys(self.cascade.leaders.values())
        return tuple(n for n in leaders if isinstance(self.operands[n], Expected))

    @property
    def tags(self) -> dict[str, str]:
        """Figure -> ``exact in expectation``, ``approximate`` or ``bound``; the least
        sure of its counts.  By a result of another line, which is an estimate, none is more than
        ``approximate``; nor by tiles of equally many entries of a leader that is drawn."""
        if self.derived or self.spread_evenly:
            return dict.fromkeys(FIGURES, "approximate")
        terms = self.cascade.terms
        operations = {n for p in terms for n in (p.fetched, p.busy, p.executed, p.effectual) if n}
        moved = {name for p in terms for _, name in p.reads}
        flows = [
            flow
            for fill in self.cascade.fills
            for held in (fill.inner, fill.outer)
            if held is not None
            for flow in held.flows
        ]
        moved |= {flow.fetched for flow in flows if flow.fetched}
        most = {flow.most for flow in flows if flow.most}
        for home in self.cascade.homes.values():
            moved |= {flow.fetched for flow in home.flows}
            most |= {flow.most for flow in home.flows}
        compressed = "approximate" if isinstance(self.outcome, Expected) else ""
        limits = self.units or any(level.has_limit for level in self.arch.levels)
        compute = self._worst({p.turns or p.cycles for p in terms})
        if self.vectors is not None and self._rounds_alone:
            compute = "exact in expectation"
        elif self.vectors is not None or self.arch.queue is not None or self._drawn_epochs:
            compute = "approximate"
        lined = "approximate" if self.sampled is not None and is_lined(self.arch) else ""
        traffic = self._worst(moved, compressed, lined, "approximate" if self._widths_vary else "")
        uncounted = "approximate" if most - set(self.geometry.lines) else ""
        costs = self.arch.energy
        by_draws = "approximate" if any(u.drawn_by for u in self.units.values()) else ""
        stepped = any(u.drawn_by and costs.action(name) for name, u in self.units.items())
        return {
            "ops": self._worst(operations),
            "cycles": self._worst(
                set(), compute, *([compressed, lined, by_draws, "bound"] if limits else [])
            ),
            "energy_pj": self._worst(operations | moved, traffic, "approximate" if stepped else ""),
            "work_per_pe": self._worst({p.of_pe for p in terms}),
            "traffic": traffic,
            "capacity": self._worst(most, uncounted, "approximate" if self._added_up else ""),
        }

    @property
    def _drawn_epochs(self) -> bool:
        """Whether epochs are means of draws."""
        drawn = self.sampled is not None and self.arch.overlap is not None
        return drawn and is_lined(self.arch)

    @property
    def _rounds_alone(self) -> bool:
        """Whether vectors round up on PEs that wait neither for each other nor for banks."""
        alone = self.vectors is not None and bool(self.vectors.vectors) and self.vectors.one_pe
        return alone and self.arch.queue is None

    @property
    def _widths_vary(self) -> bool:
        """Whether a tensor comes whole with pointers that are as wide as entries need which differ
        from draw to draw, such as bridges: the width of their mean is no mean of widths."""
        whole = [fill for fill in self.cascade.fills if fill.outer is None and fill.whole]
        for fill in whole:
            tensor, operand = fill.operand.tensor, self.operands[fill.operand.tensor]
            if not isinstance(operand, Expected):
                continue
            for level in map(self.arch.level, (fill.parent, fill.level)):
                given = self.layer, self.arch, self.schedule, operand, tensor, level
                held = storage_at(*given).levels if level.pointer_bits is None else ()
                entries = [one.entries for one in held if one.pointers]
                if any(abs(n - operand.density.nnz) > TINY for n in entries):
                    return True
        return False

    @property
    def _added_up(self) -> bool:
        """Whether some room is a sum of largest tiles that need not be there at one time, or the
        largest of means of several terms."""
        by_level: dict[str, list[Flow | Drain]] = {level.name: [] for level in self.arch.levels}
        for fill in self.cascade.fills:
            by_level[fill.level] += () if fill.words else fill.inner.flows
        for name, home in self.cascade.homes.items():
            by_level[self.schedule.stays[name][0].level] += home.flows
        for drain in self.cascade.drains[:1]:
            by_level[drain.level].append(drain)
        lines, several = self.geometry.lines, len(self.cascade.terms) > 1
        for held in by_level.values():
            counted = [flow for flow in held if flow.most]
            drawn = any(not is_static(lines.get(flow.most)) for flow in counted)
            if drawn and (several or sum(map(self._varies, counted)) > 1):
                return True
        return False

    def _varies(self, held: Flow | Drain) -> bool:
        """Whether tiles may differ in size."""
        line = self.geometry.closed(held.tile) if held.tile in self.geometry.lines else None
        if line is None or not is_static(line):
            return any(loop.count > 1 for loop in held.keys)
        return any(np.ptp(sizes) > 0 for sizes in line.terms.values() if sizes.size)

    def _worst(self, names: set[str], *more: str) -> str:
        found = {self.geometry.tags.get(name, "exact in expectation") for name in names} | {*more}
        return max(found - {""}, key=SURE.index, default="exact in expectation")

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the means take for granted."""
        found = []
        for name, operand in self.operands.items():
            if isinstance(operand, Derived):
                found.append(
                    f"{name}: density {operand.share:.3g}, the mean of its line, where points are "
                    "independent of each other; drawn anywhere, apart from other operands"
                )
            elif isinstance(operand, Expected):
                density = operand.density
                found.append(
                    f"{name}: {density.nnz:,} of {density.size:,} places, {_where(density)}, "
                    "drawn apart from other operands"
                )
        found += [
            f"{name}: its tiles of equally many entries end where they do on average"
            for name in self.spread_evenly
        ]
        found += [
            f"{name}: its places at one point are independent of each other"
            for name in self.geometry.independent
        ]
        if any(tag == "approximate" for tag in self.geometry.tags.values()):
            found.append(
                "maxima over PEs and steps: means of the largest of independent counts that have "
                "the mean and the variance of each"
            )
        if self.vectors is not None and not self._rounds_alone and self.arch.queue is None:
            found.append(
                "lanes: vectors of a cell round up by the distribution of its entries; the slowest "
                "PE of a step is the largest of cells that are independent of each other"
            )
        if any(tag == "bound" for tag in self.geometry.tags.values()):
            found.append("some maxima are the largest of means: their own mean is no less")
        if self._added_up:
            found.append(
                "room: largest tiles on average are added up, which need not be there at one time: "
                "an upper bound; of several terms the largest mean"
            )
        if self.sampled is not None:
            units = [name for name, unit in self.units.items() if unit.drawn_by is not None]
            found += said_of(self.sampled, self.arch, units)
        if not self._drawn_epochs:
            found.append(
                "cycles: the largest of means of compute and levels: their own mean is no less"
            )
        if isinstance(self.outcome, Expected) and self.outcome.density.size:
            target = self.layer.target.tensor
            found.append(f"{target}: density {float(self.outcome.density.density):.3g}, off chip")
        return tuple(found)


def _where(density: Density) -> str:
    """Where its non-zeros lie, in words."""
    match density.structure:
        case None:
            return "anywhere"
        case "banded":
            return f"at most {density.width} off the diagonal"
        case "profile" | "empirical":
            assert density.measured is not None
            parts = ", ".join(map(str, density.measured.parts))
            if density.structure == "profile":
                return f"as many in each slice along axes {parts} as measured"
            return f"as many in each tile of {parts} as in one that was measured"
        case _:
            return "in each group"


def expected_counts(
    cascade: Accounting, geometry: Geometry, operands: Mapping[str, Operand]
) -> Counts:
    """Means of every count; 0 for what belongs to terms without any point."""
    shares = {name: x.share for name, x in operands.items() if isinstance(x, Expected)}
    return cast("Counts", geometry.counts(shares, cascade.idle))

"""What is estimated of a charge, how, and in which formulas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zeroskip.errors import ArchError, TensorError
from zeroskip.formats.density import Density
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.costs import CLASSES, classes_of, energy_of
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.geometry import Closed, Geometry
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.plan import Accounting, total
from zeroskip.hwmodel.traffic import Counts, result_storage, traffic_of

FIGURES = ("ops", "cycles", "energy_pj", "work_per_pe", "traffic", "capacity")


@dataclass(frozen=True, slots=True, repr=False)
class Estimate:
    """How the figures of an expected charge came about.

    geometry : its counts over full operands; outcome : the result off chip.
    """

    layer: Layer
    arch: Arch
    schedule: Schedule
    cascade: Accounting
    geometry: Geometry
    operands: Mapping[str, Operand]
    outcome: Operand

    @property
    def tags(self) -> dict[str, str]:
        """Figure -> ``exact in expectation``, ``approximate`` or ``bound``; the worst of its
        counts."""
        terms = self.cascade.terms
        operations = {n for p in terms for n in (p.fetched, p.busy, p.executed, p.effectual) if n}
        moved = {name for p in terms for _, name in p.reads}
        flows = [
            flow
            for fill in self.cascade.fills
            for held in (fill.inner, fill.outer)
            if held is not None
            for flow in (held.entries, held.places)
            if flow is not None
        ]
        moved |= {flow.fetched for flow in flows if flow.fetched}
        most = {flow.most for flow in flows if flow.most}
        compressed = "approximate" if isinstance(self.outcome, Expected) else ""
        traffic = self._worst(moved, compressed)
        limits = any(level.has_limit for level in self.arch.levels)
        return {
            "ops": self._worst(operations),
            "cycles": self._worst(
                {p.cycles for p in terms}, *([compressed, "bound"] if limits else [])
            ),
            "energy_pj": self._worst(operations | moved, compressed),
            "work_per_pe": self._worst({p.of_pe for p in terms}),
            "traffic": traffic,
            "capacity": self._worst(most),
        }

    def _worst(self, names: set[str], *more: str) -> str:
        found = {self.geometry.tags.get(name, "exact in expectation") for name in names} | {*more}
        for tag in ("bound", "approximate"):
            if tag in found:
                return tag
        return "exact in expectation"

    @property
    def assumptions(self) -> tuple[str, ...]:
        """What the means take for granted."""
        found = []
        for name, operand in self.operands.items():
            if isinstance(operand, Expected):
                density = operand.density
                found.append(
                    f"{name}: {density.nnz:,} of {density.size:,} places, {_where(density)}, "
                    "drawn apart from other operands"
                )
        found += [
            f"{name}: its places at one point are independent of each other"
            for name in self.geometry.independent
        ]
        if any(tag == "approximate" for tag in self.geometry.tags.values()):
            found.append(
                "maxima over PEs and steps: means of the largest of independent counts that have "
                "the mean and the variance of each"
            )
        if any(tag == "bound" for tag in self.geometry.tags.values()):
            found.append("some maxima are the largest of means: their own mean is no less")
        found.append(
            "cycles: the largest of means of compute and levels: their own mean is no less"
        )
        if isinstance(self.outcome, Expected) and self.outcome.density.size:
            target = self.layer.target.tensor
            found.append(f"{target}: density {float(self.outcome.density.density):.3g}, off chip")
        return tuple(found)

    def formula(self, figure: str) -> Any:
        """The figure in the densities; see `Charge.formula`."""
        import sympy

        if figure not in (*CLASSES, "energy_pj"):
            names = ", ".join((*CLASSES, "energy_pj"))
            raise ArchError(f"no closed formula of {figure!r}; there is one of {names}")
        symbols = {
            name: sympy.Symbol(f"d_{name}")
            for name, x in self.operands.items()
            if isinstance(x, Expected)
        }
        drawn: dict[str, Operand] = {
            name: Expected(x.density, symbols[name]) if isinstance(x, Expected) else x
            for name, x in self.operands.items()
        }
        counts: dict[str, Any] = {}
        for name, line in self.geometry.lines.items():
            if isinstance(line, Closed):
                arrays = {k: a.astype(object) for k, a in line.terms.items()}
                counts[name] = np.asarray(Closed(arrays).value(symbols), dtype=object)
        effectual = tuple(total(counts, plan.effectual) for plan in self.cascade.terms)
        ops, multiplications = classes_of(self.cascade, counts, effectual)
        if figure != "energy_pj":
            return sympy.expand(ops[figure])
        outcome = self.outcome
        if isinstance(outcome, Expected):
            outcome = structural(self.layer, drawn, like=outcome.density)
        traffic = traffic_of(
            self.layer,
            self.arch,
            self.schedule,
            self.cascade,
            counts,
            drawn,
            result_storage(self.layer, self.arch, outcome),
        )
        additions = sum(term.points for term in self.layer.additions)
        energy = energy_of(self.arch, self.cascade, counts, multiplications, additions, traffic)
        return sympy.sympify(sum(energy.values()))


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
    idle = cascade.idle
    found: Any = geometry.counts(shares)
    return {name: np.zeros_like(x) if name in idle else x for name, x in found.items()}


def check_expected(arch: Arch) -> None:
    """Refuse what only real coordinates can tell."""
    parts = {
        "units": bool(arch.units),
        "lanes": arch.lanes is not None,
        "a queue": arch.queue is not None,
        "lines": arch.off_chip.lines is not None,
        "cache": any(level.cache is not None for level in arch.levels),
    }
    for name, there in parts.items():
        if there:
            raise TensorError(
                f"{arch.name} has {name}, which are charged on real coordinates only, not on a "
                "Density\nDraw arrays, density.sample(rng), and charge these."
            )


def structural(
    layer: Layer, operands: Mapping[str, Operand], like: Density | None = None
) -> Expected:
    """The result as one that is drawn: a place is not zero where any product is effectual, taken as
    independent of each other; of relu, half of them.

    like : the density of the result, where the shares are symbols.
    """
    missed: Any = 1
    for term in layer.work:
        share: Any = 1
        for operand in term.operands:
            known = operands[operand.tensor]
            share = share * (known.share if isinstance(known, Expected) else _share(known))
        points = prod(layer.extent(r) for r in term.ranks if r in layer.reductions)
        missed = missed * (1 - share) ** points
    there = 1 - missed if not layer.additions else missed * 0 + 1
    if layer.form.post == "relu":
        there = there / 2
    if like is not None:
        return Expected(like, there)
    shape = layer.extents.shapes[layer.target.tensor]
    return Expected(Density(shape, float(there)), float(there))


def _share(operand: Operand) -> float:
    size = prod(operand.shape)
    return operand.entries / size if size else 0.0

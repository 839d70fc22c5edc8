"""`Charge`: what a layer costs on an architecture, with its figures by name.

cycles         transposes, then the most of: compute, units, each level; with ``overlap`` by epochs
compute        sum over steps of the busiest PE's cycles, gated operations included
energy         operations and bits, each times its cost in the energy table
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.by_name import ByName
from zeroskip.hwmodel.capacity import Capacity
from zeroskip.hwmodel.cartesian import CartesianCharge
from zeroskip.hwmodel.cycle_formulas import FIGURES as CYCLES
from zeroskip.hwmodel.estimate import FIGURES, Estimate
from zeroskip.hwmodel.evaluate import structure
from zeroskip.hwmodel.formulas import formula_in_extents, formula_of, function_of, without_formula
from zeroskip.hwmodel.later import Later
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.pipeline import Epochs
from zeroskip.hwmodel.plan import Accounting
from zeroskip.hwmodel.sections import together
from zeroskip.hwmodel.tables import cycles_function
from zeroskip.hwmodel.totals import Totals
from zeroskip.hwmodel.unit_charges import UnitCharge
from zeroskip.table import by_size


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Charge(Totals):
    """What one layer costs on one architecture.

    Attributes
    ----------
    ops : dict
        Points of the iteration space (multiply-accumulates of a product of two operands) by
        class: ``effectual`` (no operand is zero), ``gated`` (a cycle, no work), ``skipped``
        (neither), ``never_fetched``, ``ineffectual`` (executed on a zero), and ``dense``, all
        of them.  Padding taps are points.
    multiplications : dict
        The same in multiplications: a product of three operands has two a point.
    additions : int
        Terms of one operand (a bias) added to accumulators.
    working, assuming, rooms : Later
        What `work_per_pe`, `assumptions` and `capacity` are, each made when it is asked for.
    compute_cycles : int, of an expected charge float
        Sum over steps of the largest number of cycles that a PE takes; of PEs with queues or
        lanes, what these say.
    busy, worked : int
        Cycles that multipliers spend on points, all PEs together; ``worked`` without those
        in which the point is gated.  A line without products spends them on additions.
    bandwidth_cycles : dict
        Cycles that each level needs to move the layer's bits; levels without a limit are left
        out.
    traffic : dict
        (level, tensor) -> `Moves`; a transpose of A is the tensor ``transpose of A``.
    conversions : tuple of Conversion
        Operands that are transposed first: they come in another order than they are charged in.
    energy : dict
        Picojoules by component: ``multiply``, ``add``, ``network``, and each level.
    epochs : Epochs or None
        Time epoch by epoch, where the architecture says how loads and work overlap.
    units : dict
        ``intersect``, ``merge`` -> `UnitCharge`: their steps and cycles, where the architecture
        has such units.
    cartesian : CartesianCharge or None
        Products of vectors and their time, where the architecture has lanes: those off the output
        are no points of the layer and in no class, but their multiplications cost energy.
    estimate : Estimate or None
        Of a charge that is expected, from densities: how each figure was estimated, and its
        formulas.  Figures are means then, and no whole numbers.
    missing : tuple of str
        What the figures leave out.
    measured : callable
        Makes the expected charge of densities measured of real operands, or of profiles along
        some of their axes, by operand.
    dense : callable
        Makes `baseline`, when it is asked for.
    """

    schedule: maps.Schedule
    layer: Layer
    cascade: Accounting
    epochs: Epochs | None
    units: dict[str, UnitCharge]
    cartesian: CartesianCharge | None
    estimate: Estimate | None
    rooms: Later[tuple[Capacity, ...]]
    measured: Callable[[Mapping[str, tuple[int, ...]]], Charge]
    dense: Callable[[], Charge]

    # ---- time ---------------------------------------------------------------------------

    @property
    def cycles(self) -> float:
        """The transposes, then all epochs; without them the slowest of compute, units and every
        level's bandwidth, which overlap."""
        if self.epochs is not None:
            return self.conversion_cycles + self.epochs.total
        return self.conversion_cycles + max(self.overlapping.values())

    @property
    def interval_cycles(self) -> float:
        """From one run of the layer to the next, each on a batch of its own: `cycles`, which a
        batch takes from its first bit to its last, but for what the next one overlaps with."""
        if self.epochs is not None:
            return self.conversion_cycles + self.epochs.interval
        return self.cycles

    @property
    def overlapping(self) -> dict[str, float]:
        """Cycles of what works at the same time: compute, units, and the ports of each level."""
        units = {name: unit.cycles for name, unit in self.units.items()}
        return {"compute": self.compute_cycles, **units, **self.bandwidth_cycles}

    @property
    def bound_by(self) -> str:
        """What takes the most of `cycles`: ``compute``, a unit, a level, or ``transposes``."""
        times = self.overlapping if self.epochs is None else dict(self.epochs.limits)
        if self.conversions:
            times["transposes"] = self.conversion_cycles
        return max(times, key=lambda name: times[name])

    @property
    def of_units(self) -> dict[str, float]:
        """Epochs and what their time goes to; steps and cycles of units; products of vectors, and
        what of their lanes is lost."""
        found: dict[str, float] = {} if self.epochs is None else self.epochs.figures
        for name, unit in self.units.items():
            found[f"steps, {name}"] = unit.steps
            found[f"cycles, {name}"] = unit.cycles
        if self.cartesian is not None:
            found["products executed"] = self.cartesian.products
            found["products off the output"] = self.cartesian.off_output
            found["idle lanes"] = self.cartesian.idle_lanes
        return found

    @property
    def active_pes(self) -> int:
        """PEs that a place of the loops across the array falls to, whatever its operands hold; with
        lanes, which put places of the input there, all that these loops have."""
        across = self.schedule.across
        if self.cartesian is not None:
            return prod(loop.tiles for loop in across)
        return prod(min(loop.count, loop.tiles) for loop in across)

    # ---- what does not fit --------------------------------------------------------------

    @property
    def capacity(self) -> tuple[Capacity, ...]:
        """Working sets of buffer and local store against their capacities."""
        return self.rooms.value

    @property
    def overflow(self) -> tuple[str, ...]:
        """What does not fit, level by level, in bits."""
        return tuple(
            f"{c.level} must hold {by_size(c.needed_bits)} bits and holds {c.capacity_bits:,}: "
            f"{by_size(c.overflow_bits)} bits too few{c.named}"
            for c in self.capacity
            if c.overflow_bits
        )

    @property
    def spills(self) -> tuple[str, ...]:
        """Of tiles that do not fit, and spill, what stays and what passes."""
        return tuple(map(str, self.schedule.spills))

    # ---- against dense ------------------------------------------------------------------

    @cached_property
    def baseline(self) -> Charge:
        """The same layer on the same array and memories, without gating, skipping and
        compression."""
        return self.dense()

    # ---- expected -----------------------------------------------------------------------

    @property
    def tags(self) -> dict[str, str]:
        """Figure -> how sure it is: ``exact`` everywhere, where operands are real; else ``exact in
        expectation``, ``approximate`` (a maximum) or ``bound`` (the mean is no less)."""
        known = self.estimate
        return ByName("tags", dict.fromkeys(FIGURES, "exact") if known is None else known.tags)

    def formula(self, figure: str, *, extents: bool = False) -> Any:
        """A figure as a SymPy expression in the densities, ``d_I`` of operand I.

        The figure of this charge is that at ``d.nnz / d.size`` of each `Density` d, which has whole
        entries: 18 of 35 places at a density of 0.5.

        figure : ``"energy_pj"``, a class of `ops` such as ``"effectual"``, ``"cycles"`` or
            ``"compute_cycles"``.  These are a ``Max`` of polynomials where each step is one PE's;
            where PEs wait for the busiest, they have a `function`.
        extents : whether ranks stand there by their extents, ``C``, too.  Counts that are no
            product of extents stand by the name of their line in `accounting`, and taps of padded
            axes that are inside as ``taps_pr``; `extent_values` has the number of each.  Widths
            of fields, and how often tiles come, are those of this charge.

        Raises `ArchError` for a charge of real operands, and for a figure that has none.

        >>> from zeroskip import Density, charge
        >>> e = charge("y[i] = A[i,j]*x[j]", "scnn", A=Density((8, 4), 0.5), x=Density((4,), 0.5))
        >>> e.formula("effectual"), e.formula("effectual", extents=True)
        (32*d_A*d_x, I*J*d_A*d_x)
        """
        if self.estimate is None:
            raise without_formula(figure)
        if extents:
            return formula_in_extents(self.estimate, figure)[0]
        return formula_of(self.estimate, figure)

    def extent_values(self, figure: str) -> dict[str, int]:
        """The number of each extent and count of a formula in extents, by its name."""
        if self.estimate is None:
            raise without_formula(figure)
        _, values = formula_in_extents(self.estimate, figure)
        return {str(symbol): number for symbol, number in values.items()}

    def function(self, figure: str) -> Callable[..., Any]:
        """A figure as a NumPy function of the densities, by name: many points at once.

        figure : one with a `formula`; or ``"cycles"`` or ``"compute_cycles"``, which without a
            formula are read from a table that is made first, with its relative ``error``.

        >>> import numpy as np
        >>> from zeroskip import Density, charge
        >>> e = charge("y[i] = A[i,j]*x[j]", "scnn", A=Density((8, 8), 0.5), x=Density((8,), 0.5))
        >>> e.function("effectual")(d_A=np.array([0.25, 1.0]), d_x=0.5)
        array([ 8., 32.])
        >>> cycles = e.function("compute_cycles")
        >>> cycles(d_A=1.0, d_x=np.array([0.5, 1.0])).round(3), cycles.error < 0.05
        (array([4., 8.]), True)
        """
        if figure in CYCLES and self.estimate is not None:
            return cycles_function(self, figure)
        return function_of(figure, self.formula(figure))

    # ---- print --------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The line, with every sum written out."""
        return self.layer.form_text

    @property
    def parts(self) -> tuple[Charge]:
        return (self,)

    @property
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """Shape of every operand and of the result."""
        return self.layer.extents.shapes

    @property
    def mapped(self) -> str:
        """The complete mapping, as text."""
        return str(self.schedule)

    @property
    def mapping(self) -> maps.Mapping:
        """The complete mapping; it prints as text."""
        return self.schedule.mapping

    @property
    def accounting(self) -> str:
        """The accounting Einsums, as text that parses and evaluates."""
        units = (f"# steps of {u.unit}\n{u.accounting}" for u in self.units.values())
        vectors = self.cartesian
        lanes = [] if vectors is None else [f"# vectors that meet\n{vectors.accounting}"]
        return together([self.cascade.printed, *lanes, *units])

    @property
    def factored_accounting(self) -> str:
        """The same as it is evaluated: sums pushed into products."""
        return structure(self.cascade.text).factored.text

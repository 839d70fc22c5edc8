"""`charge`: what a layer costs on an architecture, exactly, from its real operands.

layer, arch, mapping ──► accounting Einsums ──► counts ──► cycles, bits, energy

cycles         transposes, then the most of: compute, off chip, buffer, local store
compute        sum over steps of the busiest PE's cycles, gated operations included
energy         operations and bits, each times its cost in the energy table
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from zeroskip.errors import ArchError, TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.accounting import write_accounting
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.arch import arch as make_arch
from zeroskip.hwmodel.cartesian import CartesianCharge, charge_cartesian
from zeroskip.hwmodel.conversion import conversions_of
from zeroskip.hwmodel.costs import (
    bandwidth_cycles_of,
    classes_of,
    compute_cycles_of,
    cycles_of_points,
    energy_of,
    work_per_pe_of,
)
from zeroskip.hwmodel.estimate import FIGURES, Estimate, check_expected, expected_counts, structural
from zeroskip.hwmodel.evaluate import Operand, structure
from zeroskip.hwmodel.evaluate import counts as evaluate_counts
from zeroskip.hwmodel.expected import geometry_of
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.given import (
    check_mapping,
    evaluate_result,
    known_operands,
    resolved,
    single,
)
from zeroskip.hwmodel.layer import Layer, LayerSpec, layer_of
from zeroskip.hwmodel.lined import is_lined, lined_traffic, structural_result
from zeroskip.hwmodel.notes import assumptions_of, missing_of
from zeroskip.hwmodel.plan import Accounting, total
from zeroskip.hwmodel.policy import policy_of
from zeroskip.hwmodel.queues import queued_cycles_of
from zeroskip.hwmodel.rings import zero_of
from zeroskip.hwmodel.totals import Totals
from zeroskip.hwmodel.traffic import (
    Capacity,
    Counts,
    capacities,
    result_storage,
    traffic_of,
)
from zeroskip.hwmodel.unit_charges import UnitCharge, charge_units


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the dense charge beside this one is made of.

    effectual : effectual points of each term: those of the real operands.
    zero : the value that adds nothing.
    """

    spec: LayerSpec
    shapes: dict[str, tuple[int, ...]]
    effectual: tuple[int, ...]
    zero: float = 0


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
    work_per_pe : ndarray of int64, the shape of the PE array
        Points that take a cycle there: all but the skipped.
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
    units : dict
        ``intersect``, ``merge`` -> `UnitCharge`: their steps and cycles, where the architecture
        has such units.
    cartesian : CartesianCharge or None
        Products of vectors and their time, where the architecture has lanes: those off the output
        are no points of the layer and in no class, but their multiplications cost energy.
    estimate : Estimate or None
        Of a charge that is expected, from densities: how each figure was estimated, and its
        formulas.  Figures are means then, and no whole numbers.
    capacity : tuple of Capacity
        Working sets of buffer and local store against their capacities.
    assumptions, missing : tuple of str
        What the figures take for granted, and what they leave out.
    """

    schedule: maps.Schedule
    layer: Layer
    cascade: Accounting
    units: dict[str, UnitCharge]
    cartesian: CartesianCharge | None
    estimate: Estimate | None
    capacity: tuple[Capacity, ...]
    beside: Baseline

    # ---- time ---------------------------------------------------------------------------

    @property
    def cycles(self) -> float:
        """The transposes, then the slowest of compute, units and every level's bandwidth, which
        overlap."""
        return self.conversion_cycles + max(self._overlapping.values())

    @property
    def _overlapping(self) -> dict[str, float]:
        units = {name: unit.cycles for name, unit in self.units.items()}
        return {"compute": self.compute_cycles, **units, **self.bandwidth_cycles}

    @property
    def bound_by(self) -> str:
        """What takes the most of `cycles`: ``compute``, a unit, a level, or ``transposes``."""
        times = self._overlapping
        if self.conversions:
            times["transposes"] = self.conversion_cycles
        return max(times, key=lambda name: times[name])

    @property
    def of_units(self) -> dict[str, int]:
        """Steps and cycles of units; products of vectors, and what of their lanes is lost."""
        found = {}
        for name, unit in self.units.items():
            found[f"steps, {name}"] = unit.steps
            found[f"cycles, {name}"] = unit.cycles
        if self.cartesian is not None:
            found["products executed"] = self.cartesian.products
            found["products off the output"] = self.cartesian.off_output
            found["idle lanes"] = self.cartesian.idle_lanes
        return found

    # ---- what does not fit --------------------------------------------------------------

    @property
    def overflow(self) -> tuple[str, ...]:
        """What does not fit, level by level, in bits."""
        return tuple(
            f"{c.level} must hold {c.needed_bits:,} bits and holds {c.capacity_bits:,}: "
            f"{c.overflow_bits:,} bits too few"
            for c in self.capacity
            if c.overflow_bits
        )

    # ---- against dense ------------------------------------------------------------------

    @cached_property
    def baseline(self) -> Charge:
        """The same layer on the same array and memories, without gating, skipping and
        compression."""
        shapes, known = self.beside.shapes, self.beside.effectual
        bare = {name: Operand(shape, None) for name, shape in shapes.items()}
        plain = self.arch.without_sparsity()
        return _charge(
            self.beside.spec, plain, bare, self.mapping, _everything, known, self.beside.zero
        )

    # ---- expected -----------------------------------------------------------------------

    @property
    def tags(self) -> dict[str, str]:
        """Figure -> how sure it is: ``exact`` everywhere, where operands are real; else ``exact in
        expectation``, ``approximate`` (a maximum) or ``bound`` (the mean is no less)."""
        return dict.fromkeys(FIGURES, "exact") if self.estimate is None else self.estimate.tags

    def formula(self, figure: str) -> Any:
        """A figure as a SymPy expression in the densities, ``d_I`` of operand I.

        figure : ``"energy_pj"``, or a class of `ops` such as ``"effectual"``.
        Raises `ArchError` for a charge of real operands, and for a figure that has none.
        """
        if self.estimate is None:
            raise ArchError(
                f"formula({figure!r}): this charge counts real operands and has numbers only\n"
                "Charge a Density: I=zs.Density(x.shape, 0.4)."
            )
        return self.estimate.formula(figure)

    def function(self, figure: str) -> Callable[..., Any]:
        """The formula of a figure as a NumPy function of the densities, by name: many points at
        once.

        >>> import numpy as np
        >>> from zeroskip import Density, charge
        >>> e = charge("y[i] = A[i,j]*x[j]", "scnn", A=Density((8, 8), 0.5), x=Density((8,), 0.5))
        >>> e.function("effectual")(d_A=np.array([0.25, 1.0]), d_x=0.5)
        array([ 8., 32.])
        """
        import sympy

        formula = self.formula(figure)
        names = sorted(formula.free_symbols, key=str)
        made = sympy.lambdify(names, formula, "numpy")
        wanted = {str(name) for name in names}

        def at(**densities: Any) -> Any:
            missing = wanted - set(densities)
            if missing:
                raise ArchError(
                    f"{figure}: expected the densities {', '.join(sorted(missing))} too"
                )
            return made(**{name: densities[name] for name in wanted})

        return at

    # ---- print --------------------------------------------------------------------------

    @property
    def text(self) -> str:
        """The line, with every sum written out."""
        return self.layer.form_text

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
        return "\n".join([self.cascade.text, *lanes, *units])

    @property
    def factored_accounting(self) -> str:
        """The same as it is evaluated: sums pushed into products."""
        return structure(self.cascade.text).factored.text


def charge(
    spec: LayerSpec,
    arch: Arch | str | Path | Mapping[str, Any],
    operands: Mapping[str, Any],
    mapping: maps.Mapping | None = None,
) -> Charge:
    """What a layer costs on an architecture, exactly.

    Parameters
    ----------
    spec : Spec
        One line: products of up to three tensors, summed.
    arch : Arch, or whatever `zeroskip.hwmodel.arch` takes
    operands : name -> ndarray, Tensor, or whatever `zeroskip.tensor` takes
        The result may be given too, by its name.  It is computed if it is not, and only if
        the architecture compresses results off chip: then its bits depend on its zeros.
    mapping : Mapping, optional
        What it leaves open is derived and printed.

    Raises
    ------
    EinsumError, ArchError, TensorError
    """
    check_mapping(mapping)
    given = dict(operands)
    target = spec.forms[-1].target.tensor
    result = given.pop(target, None)
    held = known_operands({n: x for n, x in given.items() if not isinstance(x, Density)})
    fills = {name: value.fill for name, value in held.items() if isinstance(value, Tensor)}
    zero = zero_of(spec.forms[0], fills)
    made: dict[str, Operand] = {
        name: Operand(value.shape, value, zero) for name, value in held.items()
    }
    drawn = {name: value for name, value in given.items() if isinstance(value, Density)}
    made |= {name: Expected(single(name, density)) for name, density in drawn.items()}
    made = {name: made[name] for name in given}

    def computed(shape: tuple[int, ...]) -> Operand:
        if isinstance(result, Density):
            return Expected(single(target, result))
        value = evaluate_result(spec, held) if result is None else result
        known = resolved(value)
        if known.shape != shape:
            raise TensorError(
                f"{target} has shape {known.shape}, but the layer makes one of shape {shape}"
            )
        if isinstance(known, Tensor) and known.fill != zero:
            known = known.toarray()
        return Operand(known.shape, known, zero)

    return _charge(spec, make_arch(arch), made, mapping, computed, None, zero, result)


def _charge(
    spec: LayerSpec,
    arch: Arch,
    operands: Mapping[str, Operand],
    mapping: maps.Mapping | None,
    result: Callable[[tuple[int, ...]], Operand],
    effectual: tuple[int, ...] | None,
    zero: float = 0,
    known: object = None,
) -> Charge:
    """effectual : effectual points of each term, where they are known.  known : the result, where
    it was given."""
    roles = mapping.roles if mapping is not None else None
    shapes = {name: operand.shape for name, operand in operands.items()}
    layer = layer_of(spec, shapes, roles, zero)
    schedule = maps.complete(mapping, layer, arch)
    zeros = [name for name, operand in operands.items() if operand.explicit_zeros]
    policy = policy_of(layer, schedule, arch, zeros)
    cascade = write_accounting(layer, schedule, policy, effectual=effectual is None)
    expecting = any(isinstance(operand, Expected) for operand in operands.values())
    if expecting:
        check_expected(arch)
    geometry = geometry_of(cascade, operands) if expecting else None
    counts: Counts = (
        evaluate_counts(cascade, operands)
        if geometry is None
        else expected_counts(cascade, geometry, operands)
    )
    found = tuple(total(counts, plan.effectual) for plan in cascade.terms)
    ops, multiplications = classes_of(cascade, counts, effectual or found)
    target = layer.target.tensor
    shape = layer.extents.shapes[target]
    plain = arch.format(target, "O", arch.off_chip.name) in ("U", "dense")
    lined = is_lined(arch)
    outcome: Operand | None
    if lined and not plain:
        outcome = structural_result(layer, arch, operands)
    else:
        outcome = Operand(shape, None) if plain else None
    if outcome is None and expecting and known is None:
        outcome = structural(layer, operands)
    if outcome is None:
        outcome = result(shape)
    traffic = traffic_of(
        layer,
        arch,
        schedule,
        cascade,
        counts,
        operands,
        result_storage(layer, arch, outcome),
    )
    if lined:
        held = None if plain else outcome
        traffic |= lined_traffic(layer, arch, schedule, operands, held, traffic)
    additions = sum(term.points for term in layer.additions)
    conversions = conversions_of(layer, arch, schedule, operands)
    everything = traffic | {(arch.off_chip.name, c.label): c.moves for c in conversions}
    executed = ops["effectual"] + ops["ineffectual"] + ops["gated"]
    cartesian = charge_cartesian(arch, layer, schedule, operands, policy.terms[0], executed)
    cycles_of = compute_cycles_of if arch.queue is None else queued_cycles_of
    compute: float = sum(cycles_of(arch, plan, counts) for plan in cascade.terms)
    multiplied = dict(multiplications)
    if cartesian is not None:
        compute = cartesian.cycles
        multiplied["ineffectual"] += cartesian.off_output
    busy, worked = cycles_of_points(cascade, counts)
    estimate = None
    if geometry is not None:
        estimate = Estimate(layer, arch, schedule, cascade, geometry, operands, outcome)
    return Charge(
        arch=arch,
        schedule=schedule,
        layer=layer,
        cascade=cascade,
        units=charge_units(arch, layer, operands),
        cartesian=cartesian,
        estimate=estimate,
        ops=ops,
        multiplications=multiplications,
        additions=additions,
        work_per_pe=work_per_pe_of(arch, schedule, cascade, counts),
        compute_cycles=compute,
        busy=busy,
        worked=worked,
        bandwidth_cycles=bandwidth_cycles_of(arch, traffic),
        traffic=everything,
        conversions=conversions,
        energy=energy_of(arch, cascade, counts, multiplied, additions, everything),
        capacity=capacities(arch, cascade, counts),
        assumptions=(
            *assumptions_of(layer, arch, schedule, conversions),
            *(() if estimate is None else estimate.assumptions),
        ),
        missing=missing_of(layer, arch, schedule),
        beside=Baseline(spec, shapes, effectual or found, zero),
    )


def _everything(shape: tuple[int, ...]) -> Operand:
    """A result without zeros."""
    return Operand(shape, None)

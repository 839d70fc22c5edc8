"""Figures of an expected charge as SymPy expressions in the densities, and as NumPy functions.

The same code that makes figures of numbers makes them of symbols: counts as polynomials, storage,
traffic, energy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.checks import brief, is_one_of
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.conversion import conversions_of
from zeroskip.hwmodel.costs import CLASSES, classes_of, energy_of
from zeroskip.hwmodel.cycle_formulas import FIGURES as CYCLES
from zeroskip.hwmodel.cycle_formulas import after_transposes, check_time, compute_in, times_in
from zeroskip.hwmodel.distributions import MOST_PLACES
from zeroskip.hwmodel.estimate import Estimate
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_line_moves import decoded_as, mean_lines
from zeroskip.hwmodel.expected_operand import Expected, Sized
from zeroskip.hwmodel.expected_results import structural
from zeroskip.hwmodel.expected_scans import is_uniform, two_finger_beside, two_finger_in
from zeroskip.hwmodel.extents import Counted
from zeroskip.hwmodel.geometry import Geometry
from zeroskip.hwmodel.layer import WorkTerm
from zeroskip.hwmodel.lined import is_lined
from zeroskip.hwmodel.moves import Traffic
from zeroskip.hwmodel.pairs import pair_of
from zeroskip.hwmodel.plan import total
from zeroskip.hwmodel.storages import result_storage
from zeroskip.hwmodel.stored import is_compressed
from zeroskip.hwmodel.traffic import traffic_of
from zeroskip.hwmodel.unit_charges import UnitCharge

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge

FIGURES = (*CLASSES, "energy_pj", *CYCLES)
"""Those that are closed formulas; cycles, where no step has a maximum over PEs."""

MOVING = ("energy_pj", "cycles")
"""Of these, those of what moves."""


def check_figure(figure: str) -> None:
    if not is_one_of(figure, FIGURES):
        raise ArchError(f"no closed formula of {figure!r}; there is one of {', '.join(FIGURES)}")


def without_formula(figure: str) -> ArchError:
    """The error where nothing is drawn."""
    return ArchError(
        f"formula({figure!r}): this charge counts real operands and has numbers only\n"
        "Charge a Density: I=zs.Density(x.shape, 0.4)."
    )


def check_tiles(estimate: Estimate, figure: str) -> None:
    """Refuse what holds for the density of the charge alone."""
    for leader in estimate.spread_evenly:
        raise ArchError(
            f"{figure} of this charge is of one density: tiles of equally many entries of {leader} "
            "are others at another\nCharge each density, or split ranks by coordinates."
        )


def symbols_of(estimate: Estimate) -> dict[str, Any]:
    """Operand, or result that was given -> the symbol of its density."""
    import sympy

    drawn = [name for name, x in estimate.operands.items() if isinstance(x, Expected)]
    if estimate.given and isinstance(estimate.outcome, Expected):
        drawn.append(estimate.layer.target.tensor)
    return {name: sympy.Symbol(f"d_{name}") for name in drawn}


def masks_of(estimate: Estimate, symbols: dict[str, Any]) -> dict[str, Any]:
    """The same, and the share of a result whose entries are counted at home on chip."""
    target = estimate.layer.target.tensor
    counted = target in estimate.cascade.homes and isinstance(estimate.outcome, Expected)
    if not counted or target in symbols:
        return symbols
    return {**symbols, target: share_of_result(estimate, symbols)}


def drawn_by(estimate: Estimate, symbols: dict[str, Any]) -> dict[str, Operand]:
    """The operands, their shares symbols."""
    return {
        name: with_share(x, symbols[name]) if isinstance(x, Expected) else x
        for name, x in estimate.operands.items()
    }


def with_share(operand: Expected, share: Any) -> Expected:
    """The same operand with another density."""
    if isinstance(operand, Sized):
        return Sized(operand.density, share, operand.axes)
    return Expected(operand.density, share)


def formula_of(estimate: Estimate, figure: str) -> Any:
    """The figure in the densities; see `Charge.formula`."""
    import sympy

    check_figure(figure)
    check_tiles(estimate, figure)
    symbols = symbols_of(estimate)
    counts = counts_of(estimate.geometry, masks_of(estimate, symbols))
    for name in estimate.cascade.idle & set(counts):
        counts[name] = np.zeros_like(counts[name])
    found = sympy.sympify(_figure(estimate, figure, symbols, counts))
    if figure in ("energy_pj", *CYCLES) or estimate.geometry.events:
        return found  # chances of large tiles stay powers: (1 - d)**80
    return sympy.expand(found)


def formula_in_extents(estimate: Estimate, figure: str) -> tuple[Any, dict[Any, int]]:
    """The figure in densities and extents, and the number of each symbol that is no density."""
    import sympy

    check_figure(figure)
    check_tiles(estimate, figure)
    fixed = [name for name, x in estimate.operands.items() if not isinstance(x, Expected)]
    beside = {
        "its units": estimate.units,
        "its lanes": estimate.vectors is not None,
        "its lines": figure in MOVING and estimate.arch.off_chip.lines is not None,
    }
    fixed = fixed or [what for what, there in beside.items() if there]
    if fixed or estimate.cascade.idle:
        what = ", ".join(fixed) or "terms without points"
        raise ArchError(
            f"formula({figure!r}, extents=True): {what} of this charge hold for these extents "
            "alone\nLeave extents out, or charge a Density of every operand on a design without "
            "units, lanes and lines."
        )
    symbols = symbols_of(estimate)
    known = Counted(estimate.layer, estimate.cascade, estimate.geometry.lines)
    chances = estimate.geometry.chances(masks_of(estimate, symbols))
    counts = {
        name: np.asarray(
            sum(count * prod(chances[n] for n in names) for names, count in totals.items()),
            dtype=object,
        )
        for name, totals in known.totals.items()
    }
    found = sympy.sympify(_figure(in_extents(estimate, known), figure, symbols, counts))
    used = {symbol: known.values[symbol] for symbol in found.free_symbols & set(known.values)}
    return found, used


def in_extents(estimate: Estimate, known: Counted) -> Estimate:
    """An estimate whose points, shapes and operands have symbols for extents."""

    def sized(term: WorkTerm) -> WorkTerm:
        points = known.points(term.ranks)
        return replace(term, points=points, inside=term.inside if term.within else points)

    layer = estimate.layer
    target = layer.target.tensor
    extents = replace(
        layer.extents,
        ranks={rank: known.extent(rank) for rank in layer.extents.ranks},
        shapes={**layer.extents.shapes, target: known.shape(target)},
    )
    plans = tuple(replace(plan, term=sized(plan.term)) for plan in estimate.cascade.terms)
    operands = {
        name: Sized(x.density, x.share, known.shape(name)) if isinstance(x, Expected) else x
        for name, x in estimate.operands.items()
    }
    outcome = estimate.outcome
    density = outcome.density if isinstance(outcome, Expected) else Density(outcome.shape, 1.0)
    share = outcome.share if isinstance(outcome, Expected) else 1
    return replace(
        estimate,
        layer=replace(
            layer,
            extents=extents,
            work=tuple(map(sized, layer.work)),
            additions=tuple(map(sized, layer.additions)),
        ),
        cascade=replace(estimate.cascade, terms=plans),
        operands=operands,
        outcome=Sized(density, share, known.shape(target)),
    )


def _figure(
    estimate: Estimate, figure: str, symbols: dict[str, Any], counts: dict[str, Any]
) -> Any:
    """A figure of counts in symbols."""
    if figure in CYCLES:
        return _cycles(estimate, figure, symbols, counts)
    effectual = tuple(total(counts, plan.effectual) for plan in estimate.cascade.terms)
    ops, multiplications = classes_of(estimate.cascade, counts, effectual)
    if figure != "energy_pj":
        return ops[figure]
    layer, arch = estimate.layer, estimate.arch
    if estimate.vectors is not None:
        assert estimate.vectors.geometry is not None
        products = total(counts_of(estimate.vectors.geometry, symbols), "products")
        multiplications["ineffectual"] += products - ops["effectual"] - ops["ineffectual"]
        multiplications["ineffectual"] -= ops["gated"]
    traffic = traffic_in(estimate, symbols, counts)
    for made in conversions_of(layer, arch, estimate.schedule, estimate.operands):
        traffic[arch.off_chip.name, made.label] = made.moves
    additions = sum(term.inside for term in layer.additions)
    steps = {**steps_in(estimate, symbols), "compress": _compressed(estimate)}
    energy = energy_of(arch, estimate.cascade, counts, multiplications, additions, traffic, steps)
    return sum(energy.values())


def _cycles(
    estimate: Estimate, figure: str, symbols: dict[str, Any], counts: dict[str, Any]
) -> Any:
    """The most of compute, units and levels, or compute alone."""
    check_time(estimate, f"formula({figure!r})", "no closed formula")
    compute = compute_in(estimate, symbols, counts)
    if figure == "compute_cycles":
        return compute
    traffic = traffic_in(estimate, symbols, counts)
    times = times_in(estimate, steps_in(estimate, symbols), traffic)
    return after_transposes(estimate, [compute, *times])


def _compressed(estimate: Estimate) -> Any:
    """Values of a result that is compressed, in extents where its shape is."""
    layer, outcome = estimate.layer, estimate.outcome
    if not is_compressed(layer, estimate.arch, estimate.schedule):
        return 0
    axes = outcome.axes if isinstance(outcome, Sized) else layer.extents.shapes[layer.target.tensor]
    return prod(axes, start=1)


def traffic_in(estimate: Estimate, symbols: dict[str, Any], counts: Mapping[str, Any]) -> Traffic:
    """What moves while the layer runs, after its transposes."""
    layer, arch, outcome = estimate.layer, estimate.arch, estimate.outcome
    if is_lined(arch) and estimate.sampled is not None:
        raise ArchError(
            f"no closed formula of what {arch.name} moves in lines, or through a cache, in the "
            "densities: it is the mean of draws\nCharge each density, or use zs.sweep."
        )
    drawn = drawn_by(estimate, symbols)
    if isinstance(outcome, Expected):
        share = structural(layer, drawn, like=outcome.density).share
        if estimate.given:
            share = symbols[layer.target.tensor]
        plain = isinstance(outcome, Sized) and outcome.share == 1
        outcome = outcome if plain else with_share(outcome, share)
    stored = result_storage(layer, arch, estimate.schedule, outcome)
    traffic = traffic_of(layer, arch, estimate.schedule, estimate.cascade, counts, drawn, stored)
    if is_lined(arch):
        given = layer, arch, estimate.schedule, estimate.cascade, drawn
        traffic |= decoded_as(mean_lines(*given, compressed=False) or {}, traffic)
    return traffic


def steps_in(estimate: Estimate, symbols: dict[str, Any]) -> dict[str, Any]:
    """Steps of units.  Raises `ArchError` for those that are no formula in the densities."""
    found: dict[str, Any] = {}
    for name, unit in estimate.units.items():
        if unit.geometry is not None:
            found[name] = total(counts_of(unit.geometry, symbols), "steps")
        else:
            found[name] = _scanned(estimate, unit, symbols) if unit.drawn else unit.steps
    return found


def _scanned(estimate: Estimate, unit: UnitCharge, symbols: dict[str, Any]) -> Any:
    """Of two fingers, where every place of each operand is as likely as any other."""
    why = "are the mean of draws"
    if unit.drawn_by is None:
        why = "are sums over pairs of places"
        pair = pair_of(estimate.layer, f"units.{unit.unit.kind}", unit.unit.rank)
        drawn = drawn_by(estimate, symbols)
        one, other = drawn[pair.leader], drawn[pair.follower]
        if unit.unit.how == "two-finger":
            why = "are closed of uniform densities alone"
            alike = is_uniform(one) and is_uniform(other)
            if isinstance(one, Expected) and isinstance(other, Expected):
                if alike:
                    return two_finger_in(one, other)
            elif one.shape[1] > MOST_PLACES:
                why = f"have terms of at most {MOST_PLACES} places beside a real operand"
            elif isinstance(one, Expected) and alike:
                return two_finger_beside(other.stored.T, one, one.shape[0])
            elif isinstance(other, Expected) and alike:
                return two_finger_beside(one.stored, other, other.shape[1])
    raise ArchError(
        f"no closed formula of the steps of {unit.unit.kind}, {unit.unit.how}, in the densities: "
        f"they {why}\nCharge each density, or use zs.sweep."
    )


def counts_of(geometry: Geometry, symbols: Mapping[str, Any]) -> dict[str, Any]:
    """The sums of the counts that are polynomials."""
    counts: dict[str, Any] = {}
    known = geometry.chances(symbols)
    for name, line in geometry.lines.items():
        if isinstance(line, Closed):
            sums = {k: np.asarray(a.sum().item(), dtype=object) for k, a in line.terms.items()}
            counts[name] = np.asarray(Closed(sums).value(known), dtype=object)
    return counts


def formula_of_lines(figure: str, lines: Mapping[str, Charge]) -> Any:
    """The figure of lines one after the other, in the densities of what no line computes."""
    import sympy

    check_figure(figure)
    found: Any = sympy.Integer(0)
    shares: dict[Any, Any] = {}
    for name, line in lines.items():
        if line.estimate is None:
            number = line.ops[figure] if figure in CLASSES else getattr(line, figure)
            found += sympy.sympify(number)
            continue
        found += formula_of(line.estimate, figure).subs(shares)
        share = share_of_result(line.estimate, symbols_of(line.estimate))
        shares[sympy.Symbol(f"d_{name}")] = share.subs(shares)
    if not shares:
        raise without_formula(figure)
    return found


def share_of_result(estimate: Estimate, shares: dict[str, Any]) -> Any:
    """The density of the result in those of the operands, symbols or numbers."""
    drawn = drawn_by(estimate, shares)
    like = Density(estimate.layer.extents.shapes[estimate.layer.target.tensor], 1.0)
    return structural(estimate.layer, drawn, like=like).share


def function_of(figure: str, formula: Any) -> Callable[..., Any]:
    """A formula as a NumPy function of its symbols, by name."""
    import sympy

    names = sorted(formula.free_symbols, key=str)
    made = sympy.lambdify(names, formula, "numpy")
    most = {str(name): 1.0 for name in names}

    def at(**densities: Any) -> Any:
        return made(**densities_of(figure, most, densities))

    return at


def densities_of(
    figure: str, most: Mapping[str, float], given: Mapping[str, Any]
) -> dict[str, Any]:
    """The densities of a call as numbers, or arrays of them.

    most : density -> the most that it can be.

    Raises
    ------
    ArchError
        For one that is missing, no number, or out of range.
    """
    missing = set(most) - set(given)
    if missing:
        raise ArchError(f"{figure}: expected the densities {', '.join(sorted(missing))} too")
    found: dict[str, Any] = {}
    for name, limit in most.items():
        try:
            share = np.asarray(given[name], np.float64)
        except (TypeError, ValueError):
            share = np.asarray(np.nan)
        if not np.all((share >= 0) & (share <= limit * (1 + 1e-12))):
            raise ArchError(
                f"{figure}: expected {name} of 0 .. {limit:g}, found {brief(given[name])}"
            )
        found[name] = share if share.ndim else float(share)
    return found

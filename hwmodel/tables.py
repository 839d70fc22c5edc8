"""Cycles at many densities: means of maxima from a table, what is closed from its formula.

    compute_cycles    a table over the densities, and a cubic spline between its points
    cycles            the most of that, of units and of every level's bandwidth, as `Charge.cycles`

Where a step is one PE's, both are formulas and no table is made.

Points of the table lie closer at both ends of each density, where a maximum changes most:
d = sin(u)**4 for even u.  The error is measured where it is largest, half-way between points.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.costs import compute_cycles_of
from zeroskip.hwmodel.cycle_formulas import check_time, has_closed_compute, times_in
from zeroskip.hwmodel.estimate import Estimate
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.formulas import (
    check_tiles,
    counts_of,
    densities_of,
    formula_of,
    function_of,
    masks_of,
    steps_in,
    symbols_of,
    traffic_in,
)

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge

Reals = NDArray[np.float64]

POINTS = {0: 1, 1: 129, 2: 33, 3: 13}
"""Points along each density, by how many of them vary."""

TRIED = 64
"""Points at which the error is measured."""

LEAST = 0.02
"""Least density at which it is: below, a maximum is one of a few entries."""


@dataclass(frozen=True, slots=True)
class Tabled:
    """A figure that is a mean of maxima, as a function of densities by name (``d_I=...``).

    most : the largest density of each operand that varies; the others are as they are.
    error : the largest relative error seen half-way between points of densities of `LEAST` of
        ``most`` or more.
    """

    figure: str
    most: Mapping[str, float]
    coefficients: Reals
    error: float

    def __call__(self, **densities: Any) -> Any:
        """Raises `ArchError` for a density that is missing, no number or out of range."""
        from scipy.ndimage import map_coordinates

        given = np.broadcast_arrays(*densities_of(self.figure, self.most, densities).values())
        if not given:
            return float(self.coefficients)
        places = np.empty((len(given), given[0].size))
        for axis, most in enumerate(self.most.values()):
            share = given[axis].reshape(-1) / most
            places[axis] = np.arcsin(np.sqrt(np.sqrt(np.minimum(share, 1.0))))
            places[axis] *= (self.coefficients.shape[axis] - 1) * 2 / np.pi
        found = map_coordinates(self.coefficients, places, prefilter=False, mode="mirror")
        shaped = np.maximum(found, 0.0).reshape(given[0].shape)
        return shaped if shaped.ndim else float(shaped)


def cycles_function(charge: Charge, figure: str) -> Callable[..., Any]:
    """`compute_cycles` or `cycles` of an expected charge as a function of densities."""
    estimate = charge.estimate
    assert estimate is not None
    check_time(estimate, f"function({figure!r})", "no table")
    check_tiles(estimate, figure)
    if has_closed_compute(estimate):
        return _Closed(figure, formula_of(estimate, figure))
    compute = _table(estimate)
    return compute if figure == "compute_cycles" else _Slowest(charge, compute)


class _Closed:
    """A formula, which has no error; where a density does not matter, of its shape all the same."""

    error = 0.0

    def __init__(self, figure: str, formula: Any) -> None:
        self._figure, self._at = figure, function_of(figure, formula)

    def __call__(self, **densities: Any) -> Any:
        """Raises `ArchError` for a density that is missing, no number or out of range."""
        found = self._at(**densities)
        given = densities_of(self._figure, dict.fromkeys(densities, 1.0), densities)
        shape = np.broadcast_shapes(np.shape(found), *map(np.shape, given.values()))
        return np.array(np.broadcast_to(found, shape), np.float64) if shape else float(found)


class _Slowest:
    """The most of compute and what is closed, after the transposes."""

    def __init__(self, charge: Charge, compute: Tabled) -> None:
        import sympy

        estimate = charge.estimate
        assert estimate is not None
        symbols = symbols_of(estimate)
        traffic = traffic_in(
            estimate, symbols, counts_of(estimate.geometry, masks_of(estimate, symbols))
        )
        times = times_in(estimate, steps_in(estimate, symbols), traffic)
        self.compute, self.error = compute, compute.error
        self._closed = [function_of("cycles", sympy.sympify(time)) for time in times]
        self._before = charge.conversion_cycles

    def __call__(self, **densities: Any) -> Any:
        found = self.compute(**{n: x for n, x in densities.items() if n in self.compute.most})
        for closed in self._closed:
            found = np.maximum(found, closed(**densities))
        return found + self._before


def _table(estimate: Estimate) -> Tabled:
    from scipy.ndimage import spline_filter

    fixed, most = {}, {}
    read = {mask.tensor for mask in estimate.cascade.masks.values()}
    for name, operand in estimate.operands.items():
        if isinstance(operand, Expected):
            full = operand.density.pattern
            scaled = full != operand.density or full.structure in (None, "banded")
            fixed[name] = operand.share
            if scaled and name in read:
                most[name] = full.model.share
    terms = estimate.cascade.terms
    idle = estimate.cascade.idle
    geometry = estimate.geometry.needed({x for p in terms for x in (p.steps, p.turns) if x})

    def at(shares: Mapping[str, float]) -> float:
        counts: Any = geometry.counts({**fixed, **shares}, idle)
        return float(sum(compute_cycles_of(estimate.arch, plan, counts) for plan in terms))

    number = POINTS[len(most)]
    each = np.sin(np.linspace(0, np.pi / 2, number)) ** 4
    grid = np.empty((number,) * len(most))
    for place in product(range(number), repeat=len(most)):
        grid[place] = at({n: m * each[k] for (n, m), k in zip(most.items(), place, strict=True)})
    coefficients = np.asarray(spline_filter(grid, mode="mirror") if most else grid, np.float64)
    found = Tabled("compute_cycles", {f"d_{n}": m for n, m in most.items()}, coefficients, 0.0)
    return Tabled(found.figure, found.most, coefficients, _error(found, at, number))


def _error(found: Tabled, at: Any, number: int) -> float:
    """Half-way between points, at random ones of them."""
    if not found.most:
        return 0.0
    rng, worst = np.random.default_rng(0), 0.0
    between = np.sin((np.arange(number - 1) + 0.5) * np.pi / 2 / (number - 1)) ** 4
    between = between[between >= LEAST]
    for chosen in rng.choice(between, (TRIED, len(found.most))):
        shares = dict(zip(found.most, chosen.tolist(), strict=True))
        shares = {name: share * found.most[name] for name, share in shares.items()}
        exact = at({name.removeprefix("d_"): share for name, share in shares.items()})
        if exact:
            worst = max(worst, abs(found(**shares) / exact - 1))
    return worst

"""`break_even`: the density below which a sparse kernel beats the fastest dense one, measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from zeroskip.benchmark.benching import (
    Row,
    bound_of,
    check_options,
    formats_of,
    table_of,
    time_ways,
)
from zeroskip.benchmark.cases import factors, has_compiler, make_case
from zeroskip.benchmark.measuring import pinned, progress
from zeroskip.benchmark.notes import crossing, notes_of
from zeroskip.checks import is_one_of, number_of, whole_of
from zeroskip.errors import CompilerError, TensorError, ZeroskipError
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.given import Given, as_layer, sample, sample_dtype, take_operands
from zeroskip.table import Table


@dataclass(frozen=True, slots=True, repr=False)
class BreakEven:
    """Where one sparse kernel meets the fastest dense one.

    Attributes
    ----------
    operand, format : whose density was changed, and how it was stored
    density : float or None
        Below it the sparse kernel wins.  1.0 where it won full; None where it always lost.
    low, high : float
        Densities measured on either side, between which ``density`` was interpolated.
    table : Table
        Every measurement.
    """

    operand: str
    format: str
    density: float | None
    low: float
    high: float
    table: Table

    def __str__(self) -> str:
        name = f"{self.operand} {self.format}"
        if self.density is None:
            return f"{name} loses at every density from {self.low:.3g} up"
        if self.low == self.high:
            return f"{name} wins at every density up to {self.high:.3g}"
        return (
            f"{name} wins below density {self.density:.2g} "
            f"(measured at {self.low:.3g}: wins, at {self.high:.3g}: loses)"
        )

    __repr__ = __str__


def break_even(
    layer: object,
    /,
    *operands: object,
    operand: str | None = None,
    format: str | Format = "CSR",
    low: float = 0.01,
    high: float = 1.0,
    steps: int = 7,
    threads: int = 1,
    seed: int = 0,
    bound: Sequence[str] | None = None,
    budget_s: float = 10.0,
    **named: object,
) -> BreakEven:
    """Measure the density at which one operand in a format stops being worth it.

    The operand is drawn at densities between ``low`` and ``high``, halving the range (of its
    logarithm) each time; the last two are interpolated.  Noise near the crossing moves it:
    look at ``.table`` before quoting two digits.

    Parameters
    ----------
    layer, operands, threads, seed, bound, budget_s : as `zeroskip.bench`
    operand : name, optional
        Whose density is changed; by default the one given as a `Density`, else the first that
        stays bound.  Only its shape and type are used.
    format : its format
    low, high : densities
    steps : measurements at most, at least 2; no more than entries can be told apart

    Examples
    --------
    >>> found = break_even("y[i] = A[i,j]*x[j]", A=Density((96, 96), 0.1), x=np.ones(96),
    ...                    steps=2, budget_s=0.1)
    >>> found.operand, found.format
    ('A', 'CSR')
    """
    made = as_layer(layer)
    check_options(made, threads, seed, bound, None, budget_s)
    given = take_operands(made, operands, named)
    chosen = _operand(operand, given, factors(made))
    wanted = formats_of(made, given, {chosen: format})
    if not wanted:
        raise TensorError(f"format dense of {chosen} has no density to break even at")
    low, high, steps = number_of("low", low), number_of("high", high), whole_of("steps", steps, 2)
    if not 0 < low < high <= 1:
        raise ZeroskipError(f"expected 0 < low < high <= 1, found low {low} and high {high}")
    if not has_compiler():
        raise CompilerError("break_even() times compiled kernels, and there is no C compiler")
    held = bound_of(made, given, wanted, bound)
    rows: list[Row] = []
    dtype = sample_dtype(given)
    fixed = {
        name: sample(name, next(iter(x)), made, seed, dtype) if isinstance(x, Density) else x
        for name, x in given.items()
    }
    share_s = budget_s / steps
    here = {chosen: wanted[chosen][0]}

    def speedup(density: float) -> float:
        drawn = sample(chosen, Density(given[chosen].shape, density), made, seed, dtype)
        case = make_case(made, {**fixed, chosen: drawn})
        ways = [*case.peers([], ("numpy", "torch, if loaded")), *case.dense(held)]
        ways += case.sparse(here, held)[:1]
        timed = list(time_ways(case, ways, share_s, bar, None))
        rows.extend(timed)
        return timed[-1].speedup

    with pinned(threads) as pin, progress("timing", budget_s) as bar:
        places = prod(given[chosen].shape)
        found, below, above = _search(speedup, low, high, steps, places)
    notes = notes_of(rows, pin=pin, bound=held, swept=[chosen], left_out=(), arch=None)
    table = table_of(made, rows, [chosen], notes, modelled=False)
    return BreakEven(chosen, here[chosen], found, below, above, table)


def _operand(wanted: str | None, given: dict[str, Given], names: Sequence[str]) -> str:
    if wanted is not None:
        if not is_one_of(wanted, names):
            raise TensorError(f"operand: expected any of {', '.join(names)}, found {wanted!r}")
        return wanted
    drawn = [name for name in names if isinstance(given[name], Density)]
    held = [name for name in names if given[name].ndim]
    if not held:
        raise TensorError("expected an operand with axes, whose density to vary; found none")
    return (drawn or held)[0]


def _search(
    speedup: Callable[[float], float], low: float, high: float, steps: int, places: int
) -> tuple[float | None, float, float]:
    """Bisect between a density that wins and one that loses, until they differ by less than one of
    so many places."""
    at_high = speedup(high)
    if at_high >= 1:
        return high, high, high
    at_low = speedup(low)
    if at_low < 1:
        return None, low, high
    for _ in range(steps - 2):
        if (high - low) * places < 1:
            break
        middle = float(np.sqrt(low * high))
        found = speedup(middle)
        if found >= 1:
            low, at_low = middle, found
        else:
            high, at_high = middle, found
    return crossing(low, at_low, high, at_high), low, high

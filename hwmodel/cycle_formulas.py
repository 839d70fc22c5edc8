"""Cycles of an expected charge as a SymPy expression: the most of closed formulas, as those of a
`Charge` are the most of numbers.

    compute     sum over steps of the busiest PE's points: closed where a step is one PE's, or where
                no density matters to it; the mean of a maximum over PEs is no polynomial.  With
                lanes turns, whose vectors round up: a sum over the entries that a cell may hold
    units       steps over their rate
    levels      bits of each port over its bandwidth
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from zeroskip.errors import ArchError
from zeroskip.hwmodel.bandwidth import kinds_of, ports_of
from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.conversion import conversions_of
from zeroskip.hwmodel.costs import cycles_of_a_point
from zeroskip.hwmodel.estimate import Estimate
from zeroskip.hwmodel.expected_lanes import turns_in
from zeroskip.hwmodel.moves import Moves, Traffic, by_level
from zeroskip.hwmodel.plan import TermPlan

FIGURES = ("cycles", "compute_cycles")


def check_time(estimate: Estimate, what: str, lacks: str) -> None:
    """Refuse cycles that are no function of counts.

    what : that is asked for; lacks : what there is none of.

    Raises
    ------
    ArchError
        For a design that overlaps epochs, and for one with queues, banks, or lanes on PEs that
        wait for each other.
    """
    arch = estimate.arch
    if arch.overlap is not None:
        raise ArchError(
            f"{what}: this design overlaps epochs, and their time at many densities is in "
            f"{lacks}\nCharge each density, or use zs.sweep."
        )
    vectors = estimate.vectors
    has = ""
    if arch.queue is not None:
        has = "queues"
    elif vectors is not None and not vectors.vectors:
        has = "banks that products wait for"
    elif vectors is not None and not vectors.one_pe:
        has = "lanes on PEs that wait for each other"
    if has:
        raise ArchError(
            f"{what}: {arch.name} has {has}, and their cycles at many densities are in "
            f"{lacks}\nCharge each density, or use zs.sweep."
        )


def has_closed_compute(estimate: Estimate) -> bool:
    """Whether compute cycles are a polynomial in the densities."""
    lines, terms = estimate.geometry.lines, estimate.cascade.terms
    return estimate.vectors is not None or all(
        isinstance(lines[_counted(plan)[0]], Closed) for plan in terms
    )


def compute_in(estimate: Estimate, shares: Mapping[str, Any], counts: Mapping[str, Any]) -> Any:
    """Compute cycles of closed counts, at these shares of what is drawn.

    Raises
    ------
    ArchError
        Where the busiest PE of a step is another one from draw to draw.
    """
    if estimate.vectors is not None:
        return turns_in(estimate.vectors.vectors, shares)
    found: Any = 0
    for plan in estimate.cascade.terms:
        name, each = _counted(plan)
        if name not in counts:
            raise ArchError(
                f"no closed formula of the cycles of {estimate.arch.name} in the densities: "
                f"{name}, the most that a PE has in each step, is the mean of a maximum\n"
                'function("cycles") reads it from a table of densities; a mapping that puts each '
                "step on one PE has a formula."
            )
        found = found + each * counts[name].sum()
    return found


def _counted(plan: TermPlan) -> tuple[str, int]:
    """The count whose sum over steps is compute cycles, and how many each is."""
    return (plan.turns, 1) if plan.turns else (plan.steps, cycles_of_a_point(plan))


def times_in(estimate: Estimate, steps: Mapping[str, Any], traffic: Traffic) -> list[Any]:
    """Cycles of units, and of the ports of each level with a limit."""
    arch, units = estimate.arch, estimate.units
    found = [number / units[name].unit.rate for name, number in steps.items()]
    moved = by_level(traffic)
    for level in arch.levels:
        for bits, rate in ports_of(level, kinds_of(moved.get(level.name, Moves()))):
            found.append(bits / (rate * arch.number(level)))
    return found


def after_transposes(estimate: Estimate, times: Iterable[Any]) -> Any:
    """The largest of what works at the same time, after the transposes."""
    import sympy

    given = estimate.layer, estimate.arch, estimate.schedule, estimate.operands
    before = sum(made.cycles for made in conversions_of(*given))
    return before + sympy.Max(*map(sympy.sympify, times))

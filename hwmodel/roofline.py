"""The roofline: what a design attains at most, by how often it uses what it moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroskip.errors import ArchError
from zeroskip.hwmodel.figures import check_number
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from zeroskip.hwmodel.totals import Totals


def roofline(peak: float, intensity: float, bandwidth: float) -> float:
    """The most that a design attains: its peak, or what its bandwidth feeds.

    peak : operations a cycle; intensity : operations a value; bandwidth : values a cycle.

    >>> roofline(peak=1.0, intensity=0.5, bandwidth=1.0)
    0.5
    """
    bandwidth = check_number("bandwidth", bandwidth)
    return min(check_number("peak", peak), check_number("intensity", intensity) * bandwidth)


def intensity(charge: Totals, level: str | None = None) -> float:
    """Operations that take time for each value read or written at a level, by default off chip.

    Raises `ArchError` for a level that is not there, and where nothing moves.
    """
    _check(charge)
    at = charge.arch.off_chip.name if level is None else level
    moved = charge.level(at)
    if not moved.reads + moved.writes:
        raise ArchError(f"roofline: nothing moves at {at}: intensity is operations over values")
    return charge.busy / (moved.reads + moved.writes)


def roofline_table(*charges: Totals) -> Table:
    """Charges under the roofs of every level that has a limit: a row a charge and level.

    An operation is one that takes a cycle of a multiplier; those that are skipped are none.
    Bandwidth is what the level does in the time that the busier of its two ways takes.

    Raises `ArchError` where there is nothing to draw.
    """
    rows = []
    for charge in charges:
        _check(charge)
        arch = charge.arch
        peak = float(arch.pes * arch.multipliers)
        attained = charge.busy / charge.cycles if charge.cycles else 0.0
        for level, cycles in charge.bandwidth_cycles.items():
            moved = charge.level(level)
            values = moved.reads + moved.writes
            if not values or not cycles or not charge.busy:
                continue
            bound = roofline(peak, intensity(charge, level), values / cycles)
            limit = "PEs" if bound == peak else level
            rows.append(
                (
                    charge.text,
                    arch.name,
                    level,
                    intensity(charge, level),
                    values / cycles,
                    peak,
                    bound,
                    attained,
                    limit,
                )
            )
    if not rows:
        raise ArchError(
            "roofline: expected a charge of work on a design with a bandwidth, found none\n"
            "Give a level read_bits_per_cycle and write_bits_per_cycle."
        )
    columns = [
        Column("layer"),
        Column("design"),
        Column("level"),
        Column("intensity", "operations/value", "by size"),
        Column("bandwidth", "values/cycle", "by size"),
        Column("peak", "operations/cycle", "by size"),
        Column("bound", "operations/cycle", "by size"),
        Column("attained", "operations/cycle", "by size"),
        Column("limited by"),
    ]
    return Table("roofline", columns, rows)


def _check(charge: object) -> None:
    if not hasattr(charge, "bandwidth_cycles"):
        raise ArchError(f"roofline: expected charges, found {type(charge).__name__}")

"""Flexibility: one design on a set of layers: which it runs at all, and which it runs well."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from zeroskip.hwmodel.totals import Totals


def flexibility(found: Mapping[str, Totals | ZeroskipError]) -> Table:
    """One design on a set of layers: which it runs at all, and how well it runs these.

    found : by name of the layer, its charge, or the error with which it was refused: what a
        design cannot run is functional support that it lacks, and no reason to leave the layer out.

    Columns: operations, cycles, utilisation, operations a cycle and energy of one, and the share
    of the best layer's throughput.

    Raises
    ------
    ArchError
        For nothing to compare, for charges on several designs, and where no layer is run.
    """
    if not isinstance(found, Mapping):
        raise ArchError(
            f"flexibility: expected charges by name of the layer, found {type(found).__name__}"
        )
    ran = {name: made for name, made in found.items() if not isinstance(made, Exception)}
    for name, made in ran.items():
        if not hasattr(made, "traffic"):
            raise ArchError(
                f"flexibility: expected a charge of {name}, or the error that refused it, found "
                f"{type(made).__name__}"
            )
        if not made.cycles or not made.ops["dense"]:
            raise ArchError(f"flexibility: {name} takes no time")
    if not ran:
        raise ArchError(f"flexibility: expected layers that run, found none of {len(found)}")
    first = next(iter(ran.values())).arch
    for name, made in ran.items():
        if made.arch != first:
            raise ArchError(
                f"flexibility: expected charges on one design, {first.name} of {first.pes} PEs, "
                f"found {name} on {made.arch.name} of {made.arch.pes}"
            )
    rates = {name: made.ops["dense"] / made.cycles for name, made in ran.items()}
    best = max(rates.values())
    rows: list[tuple[object, ...]] = []
    notes = [f"functional: runs {len(ran)} of {len(found)} layers"]
    for name, outcome in found.items():
        if isinstance(outcome, Exception):
            rows.append((name, False, *[None] * 6))
            notes.append(f"{name} is refused: {str(outcome).splitlines()[0]}")
            continue
        rows.append(
            (
                name,
                True,
                outcome.ops["dense"],
                outcome.cycles,
                outcome.utilisation,
                rates[name],
                outcome.energy_pj / outcome.ops["dense"],
                rates[name] / best,
            )
        )
    used = {name: made.utilisation for name, made in ran.items()}
    low, high = min(used, key=lambda n: used[n]), max(used, key=lambda n: used[n])
    notes.append(
        f"efficient: utilisation from {used[low]:.1%} ({low}) to {used[high]:.1%} ({high})"
    )
    columns = [
        Column("layer"),
        Column("runs"),
        Column("operations"),
        Column("cycles", "", "by size"),
        Column("utilisation", "", ".1%"),
        Column("throughput", "operations/cycle", "by size"),
        Column("energy", "pJ/operation", "by size"),
        Column("of the best", "", ".2f"),
    ]
    return Table(f"flexibility of {first.name}", columns, rows, notes)

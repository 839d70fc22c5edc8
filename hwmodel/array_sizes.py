"""Scaling: a design at several sizes, on one problem and on problems that grow with it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zeroskip.errors import ArchError
from zeroskip.hwmodel.measured import storage_bits_of
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from zeroskip.hwmodel.totals import Totals

SAME = 0.1
"""Weak scaling: how far the operations of a PE may be off those of the smallest array."""


def strong_scaling(charges: Sequence[Totals]) -> Table:
    """One layer, or cascade, on arrays of several sizes: how much faster more PEs make it.

    Columns: PEs, storage, cycles, speed-up over the smallest array, efficiency (that over the
    ratio of PEs), energy and its ratio.

    Raises
    ------
    ArchError
        For fewer than two charges, equal sizes, and charges that are not of one layer of one
        shape.
    """
    ordered = _by_pes(charges, "strong")
    for charge in ordered[1:]:
        if (charge.text, charge.shapes) != (ordered[0].text, ordered[0].shapes):
            raise ArchError(
                "strong scaling: expected one problem of one size on every array, found "
                f"{_problem(ordered[0])} and {_problem(charge)}\n"
                "Problems that grow with the array go to weak_scaling()."
            )
    return _table("strong scaling", ordered)


def weak_scaling(charges: Sequence[Totals]) -> Table:
    """Layers that grow with the array: what each PE loses by there being more.

    Columns as of `strong_scaling`; speed-up is in operations a cycle.

    Raises
    ------
    ArchError
        For fewer than two charges, equal sizes, and operations that do not grow with the PEs:
        those of one PE may differ by a tenth from the smallest array's.
    """
    ordered = _by_pes(charges, "weak")
    first = _dense(ordered[0]) / ordered[0].arch.pes
    for charge in ordered[1:]:
        own = _dense(charge) / charge.arch.pes
        if abs(own - first) > SAME * first:
            raise ArchError(
                "weak scaling: expected problems that grow with the array, about "
                f"{first:,.0f} operations of each PE, found {own:,.0f} on {charge.arch.pes} PEs\n"
                "One problem on every array goes to strong_scaling()."
            )
    return _table("weak scaling", ordered)


def _dense(charge: Totals) -> int:
    return charge.ops["dense"]


def _problem(charge: Totals) -> str:
    shapes = ", ".join(f"{name}{list(shape)}" for name, shape in charge.shapes.items())
    return f"{charge.text} of {shapes}"


def _by_pes(charges: Sequence[Totals], kind: str) -> list[Totals]:
    listed = list(charges) if isinstance(charges, Sequence) else [charges]
    for charge in listed:
        if not hasattr(charge, "traffic"):
            raise ArchError(f"{kind} scaling: expected charges, found {type(charge).__name__}")
        if not charge.cycles or not _dense(charge):
            raise ArchError(f"{kind} scaling: {_problem(charge)} takes no time")
    ordered = sorted(listed, key=lambda charge: charge.arch.pes)
    sizes = [charge.arch.pes for charge in ordered]
    if len(sizes) < 2 or len(set(sizes)) < len(sizes):
        raise ArchError(
            f"{kind} scaling: expected arrays of two sizes or more, each once, found "
            f"{', '.join(map(str, sizes)) or 'none'} PEs\n"
            'Charge the layer on arch("scnn", size=(4, 4)), arch("scnn", size=(8, 8)) and so on.'
        )
    return ordered


def _table(title: str, ordered: Sequence[Totals]) -> Table:
    first = ordered[0]
    rate = _dense(first) / first.cycles
    rows = []
    for charge in ordered:
        faster = _dense(charge) / charge.cycles / rate
        energy = charge.energy_pj / _dense(charge)
        base = first.energy_pj / _dense(first)
        rows.append(
            (
                charge.arch.name,
                charge.arch.pes,
                storage_bits_of(charge.arch),
                _dense(charge),
                charge.cycles,
                faster,
                faster * first.arch.pes / charge.arch.pes,
                energy,
                energy / base if base else None,
                charge.bound_by,
            )
        )
    columns = [
        Column("design"),
        Column("PEs"),
        Column("storage", "bits"),
        Column("operations"),
        Column("cycles", "", "by size"),
        Column("speed-up", "", ".2f"),
        Column("efficiency", "", ".2f"),
        Column("energy", "pJ/operation", "by size"),
        Column("energy ratio", "", ".3f"),
        Column("bound by"),
    ]
    notes = [f"{charge.arch.pes} PEs: {text}" for charge in ordered for text in charge.overflow]
    return Table(f"{title}: {first.text}", columns, rows, notes)

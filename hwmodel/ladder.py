"""From a density to the data: what each step of knowing more does to the error of an estimate.

    uniform     every operand by its density alone
    profile     operands also by how full each slice along one rank is, the rank that helps most
    exact       the real operands

Where a profile along a rank takes most of the error away, operands are correlated along that rank:
the slices that are full in one are full (or empty) in the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.errors import ArchError, EinsumError, TensorError
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge
    from zeroskip.hwmodel.totals import Totals

SMALL = 0.005
"""Share of the exact figure up to which an error needs no reason."""

HALF = 0.5
"""Share of the uniform error that a profile may leave for its rank to be the reason."""


def ladder_table(charges: Sequence[Totals]) -> Table:
    """Figures of each line of exact charges, as estimated from densities, profiles and data; of
    expected ones beside them nothing is shown.

    Raises
    ------
    ArchError
        Where every charge is expected: none has data to compare with.
    """
    rows: list[tuple[Any, ...]] = []
    real = [c for c in charges if all(line.estimate is None for line in _lines(c))]
    for charge in real or charges:
        for line in _lines(charge):
            if line.estimate is not None:
                raise ArchError(
                    f"ladder of {line.text}: this charge is expected, and has no data\n"
                    "Charge the real operands; their densities are measured."
                )
            rows += _rows(line)
    columns = [Column("line"), Column("on"), Column("figure"), Column("uniform", format="by size")]
    columns += [Column("error", format=".1%"), Column("rank"), Column("profile", format="by size")]
    columns += [Column("its error", format=".1%"), Column("exact", format="by size")]
    notes = [
        "profile: operands by how full each slice along the rank is; the rank that helps most, "
        "named where it leaves at most half of the uniform error"
    ]
    return Table("from densities to data", columns, rows, notes)


def _lines(charge: Totals) -> list[Charge]:
    lines: Any = getattr(charge, "lines", None)
    return [charge] if lines is None else list(lines.values())  # type: ignore[list-item]


def _rows(exact: Charge) -> Iterator[tuple[Any, ...]]:
    uniform = _estimated(exact, {})
    profiles = {rank: _estimated(exact, axes) for rank, axes in _ranks(exact).items()}
    for figure, of in _FIGURES.items():
        true = of(exact)
        head = exact.text, exact.arch.name, figure
        if uniform is None or not true:
            yield (*head, None if uniform is None else of(uniform), None, "", None, None, true)
            continue
        error = of(uniform) / true - 1
        found = {rank: of(c) / true - 1 for rank, c in profiles.items() if c is not None}
        rank = min(found, key=lambda r: abs(found[r]), default=None)
        if rank is None:
            yield (*head, of(uniform), error, "", None, None, true)
            continue
        left = found[rank]
        reason = "" if abs(error) <= SMALL else rank if abs(left) <= HALF * abs(error) else "none"
        profile = profiles[rank]
        assert profile is not None
        yield (*head, of(uniform), error, reason, of(profile), left, true)


_FIGURES: dict[str, Any] = {
    "effectual": lambda c: c.ops["effectual"],
    "cycles, compute": lambda c: c.compute_cycles,
    "energy, pJ": lambda c: c.energy_pj,
}


def _ranks(exact: Charge) -> dict[str, dict[str, tuple[int, ...]]]:
    """Subscript -> the axis of each operand that it names; axes of one place are left out.

    So are operands of which it names several (k in A[m,k]*A[k,n]): along both it is the data.
    """
    found: dict[str, dict[str, set[int]]] = {}
    for term in exact.layer.work:
        for operand in term.operands:
            for axis, subscript in enumerate(operand.subscripts):
                if exact.shapes[operand.tensor][axis] > 1:
                    named = found.setdefault(deparse(subscript), {})
                    named.setdefault(operand.tensor, set()).add(axis)
    alone = {
        rank: {tensor: tuple(axes) for tensor, axes in named.items() if len(axes) == 1}
        for rank, named in found.items()
    }
    return {rank: axes for rank, axes in alone.items() if axes}


def _estimated(exact: Charge, axes: dict[str, tuple[int, ...]]) -> Charge | None:
    """The charge of densities, or of profiles along some axes; None where it has none."""
    try:
        return exact.measured(axes)
    except (EinsumError, TensorError):
        return None

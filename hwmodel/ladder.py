"""From a density to the data: what each step of knowing more does to the error of an estimate.

    uniform     every operand by its density alone
    profile     operands also by how full each slice along one rank is, the rank that helps most
    exact       the real operands

Where a profile along a rank takes most of the error away, operands are correlated along that rank:
the slices that are full in one are full (or empty) in the other.

`ladder_table` has all of it; `causes_of` says in a sentence why an estimate beside its data errs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.errors import ArchError, EinsumError, TensorError
from zeroskip.table import Column, Table, by_size

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge
    from zeroskip.hwmodel.totals import Totals

SMALL = 0.005
"""Share of the exact figure up to which an error needs no reason."""

MOST_PLACES = 2**18
"""Of operands and result together, up to which `causes_of` looks for a rank unasked."""

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
    refusals: list[str] = []
    real = [c for c in charges if all(line.estimate is None for line in _lines(c))]
    for charge in real or charges:
        for line in _lines(charge):
            if line.estimate is not None:
                raise ArchError(
                    f"ladder of {line.text}: this charge is expected, and has no data\n"
                    "Charge the real operands; their densities are measured."
                )
            estimates = _estimates(line)
            rows += _rows(line, estimates)
            refusals += _refusals(line, estimates)
    columns = [Column("line"), Column("on"), Column("figure"), Column("uniform", format="by size")]
    columns += [Column("error", format=".1%"), Column("rank"), Column("profile", format="by size")]
    columns += [Column("its error", format=".1%"), Column("exact", format="by size")]
    notes = [
        "profile: operands by how full each slice along the rank is; the rank that helps most, "
        "named where it leaves at most half of the uniform error"
    ]
    return Table("from densities to data", columns, rows, [*notes, *dict.fromkeys(refusals)])


def causes_of(charges: Sequence[Totals]) -> list[str]:
    """Why estimates err that stand beside the data: a sentence for each figure of each line.

    Nothing is said where no charge is exact, or none is expected of the same line on the same
    design, and of errors up to half a percent.  What would take long is named, not done: operands
    and results of more than `MOST_PLACES` places, and figures that are means of draws.
    """
    found = []
    guessed = [line for charge in charges for line in _lines(charge) if line.estimate is not None]
    real = [line for charge in charges for line in _lines(charge) if line.estimate is None]
    done: list[Charge] = []
    for exact in real:
        beside = [one for one in guessed if _alike(exact, one)]
        if not beside or any(exact is one for one in done):
            continue
        done.append(exact)
        drawn = any(one.estimate is not None and one.estimate.sampled for one in beside)
        places = sum(prod(shape) for shape in exact.shapes.values())
        if drawn or places > MOST_PLACES:
            why = "means of draws" if drawn else f"{places:,} places"
            found.append(
                f"{exact.text} on {exact.arch.name}: which rank is the reason of an error is not "
                f"looked for ({why}); compare(..., ladder=True) does"
            )
            continue
        rows = _rows(exact, _estimates(exact))
        found += [text for row in rows if (text := _said(exact, row))]
    return found


def _alike(one: Charge, other: Charge) -> bool:
    same = one.text == other.text and one.arch.name == other.arch.name
    return same and one.shapes == other.shapes


def _said(exact: Charge, row: tuple[Any, ...]) -> str:
    """A row of the ladder in words; nothing where there is no error to speak of."""
    _, _, figure, uniform, error, rank, profile, left, true = row
    if not rank:
        return ""
    start = (
        f"{exact.text} on {exact.arch.name}, {figure}: by density alone {by_size(uniform)}, "
        f"{error:+.1%} off the data's {by_size(true)}"
    )
    if rank == "none":
        return f"{start}; no rank by itself is the reason: the best profile leaves {left:+.1%}"
    return (
        f"{start}; operands are correlated along {rank}: by how full its slices are it is "
        f"{by_size(profile)}, {left:+.1%}"
    )


def _lines(charge: Totals) -> list[Charge]:
    lines: Any = getattr(charge, "lines", None)
    return [charge] if lines is None else list(lines.values())  # type: ignore[list-item]


def _estimates(exact: Charge) -> dict[str, Charge | str]:
    """By density alone, under "", and by each rank; in place of one that is refused, why."""
    every = {"": {}, **_ranks(exact)}
    return {rank: _estimated(exact, axes) for rank, axes in every.items()}


def _refusals(exact: Charge, estimates: Mapping[str, Charge | str]) -> Iterator[str]:
    """Why columns are empty; of one reason for all, once."""
    uniform = estimates[""]
    for rank, why in estimates.items():
        if isinstance(why, str) and (not rank or why != uniform):
            of = f"profile along {rank}" if rank else "densities"
            yield f"{exact.text} on {exact.arch.name}: no estimate from {of}: {why}"


def _rows(exact: Charge, estimates: Mapping[str, Charge | str]) -> Iterator[tuple[Any, ...]]:
    made = {rank: None if isinstance(c, str) else c for rank, c in estimates.items()}
    uniform = made[""]
    profiles = {rank: charge for rank, charge in made.items() if rank}
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


def _estimated(exact: Charge, axes: dict[str, tuple[int, ...]]) -> Charge | str:
    """The charge of densities, or of profiles along some axes; where it has none, why."""
    try:
        return exact.measured(axes)
    except (ArchError, EinsumError, TensorError) as refused:
        return str(refused)

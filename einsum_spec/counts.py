"""How many operations a form is, were every operand dense."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.walk import free
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Ops:
    """Operations of a layer on dense operands, padding included; functions are not counted.

    multiplications : products of operands at every point, of coefficients after the sums.
    additions : n - 1 for a sum of n values.
    comparisons : the same for a reduction by max, min, any or all.
    """

    multiplications: int
    additions: int
    comparisons: int = 0

    def __add__(self, other: Ops) -> Ops:
        return Ops(
            self.multiplications + other.multiplications,
            self.additions + other.additions,
            self.comparisons + other.comparisons,
        )


def count(forms: Sequence[Form], extents: Extents) -> Ops:
    """Operations of all lines of a program."""
    return sum((_of_form(form, extents) for form in forms), Ops(0, 0))


def _of_form(form: Form, extents: Extents) -> Ops:
    def points(names: tuple[str, ...]) -> int:
        return prod(extents.ranks[name] for name in names)

    values = points((*free(form.target), *form.reduced))
    multiplications, additions = 0, (len(form.terms) - 1) * values
    for term in form.terms:
        inner = points(term.ranks)
        factors = len(term.scalars) + (abs(term.number) != 1)
        multiplied = len(term.accesses) + len(term.factors)
        multiplications += values * inner * max(multiplied - 1, 0)
        multiplications += values * (factors if multiplied else max(factors - 1, 0))
        additions += values * max(inner - 1, 0)
    if form.reduction is None:
        return Ops(multiplications, additions)
    combined = max(values - prod(extents.shapes[form.target.tensor]), 0)
    if form.reduction == "*":
        return Ops(multiplications + combined, additions)
    if form.reduction == "+":
        return Ops(multiplications, additions + combined)
    return Ops(multiplications, additions, combined)

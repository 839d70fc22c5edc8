"""What counts as nothing in a layer: 0 in sums of products, infinity in shortest paths.

    C[i,j]    = A[i,k] * B[k,j]     0, which absorbs in a product and adds nothing
    D[i,j] min= A[i,k] + B[k,j]     inf
    D[i,j] max= A[i,k] + B[k,j]     -inf

A layer of the second kind is charged as one of the first: its terms are the factors of one
operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import inf
from typing import Any

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.errors import TensorError
from zeroskip.hwmodel.absorbing import FULL

_ENDS = {"min": inf, "max": -inf}


def zero_of(form: Form, fills: Mapping[str, Any]) -> float:
    """The value that adds nothing to a layer.

    fills : of the operands that may leave values unstored.

    Raises
    ------
    TensorError
        Where an operand has a fill that the layer does not leave out: naming both.
    """
    end = end_of(form)
    zero = end if end and any(fill == end for fill in fills.values()) else 0
    for name, fill in fills.items():
        if fill != zero:
            wanted = f"{zero:g}" + (f", or {end:g}" if end and not zero else "")
            raise TensorError(
                f"{name} has fill {fill}, and a charge of {form_text(form)} counts what is not "
                f"{wanted}\n"
                f"Charge it densely ({name}.toarray()), or store it with fill={zero:g}."
            )
    return zero


def end_of(form: Form) -> float:
    """The infinity that adds nothing to a layer, where there is one; else 0."""
    return _ENDS.get(form.reduction or "", 0) if _sums_of_operands(form) else 0


def adds_nothing(form: Form) -> bool:
    """Whether a term that is 0 at a point leaves the result as it is.  A function around the whole
    is that of each point under a reduction at the assignment: Z[m] += exp(A[m,k])."""
    return form.reduction is None or (form.reduction in ("+", "|") and form.post not in FULL)


def as_product(form: Form) -> tuple[Term, ...]:
    """The operands that are added up under min= or max= as the factors of one term."""
    first, *_ = form.terms
    accesses = tuple(access for term in form.terms for access in term.accesses)
    return (replace(first, accesses=accesses),)


def _sums_of_operands(form: Form) -> bool:
    return form.post is None and all(
        len(term.accesses) == 1 and term.number == 1 and not term.scalars and not term.factors
        for term in form.terms
    )

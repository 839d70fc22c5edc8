"""Algebra of additive terms: products of them, quotients by numbers, sums over them.

    (3*A[i]) * (2*sum[k](B[k]))     ->     6*A[i]*B[k], summed over k
    (sum[k](A[k])) * C[k]           ->     C[k] * (the sum, as a factor): k is not the same one

Whole numbers stay whole; what is too large, or divided by zero, is refused where it stands.
"""

from __future__ import annotations

from dataclasses import replace

from zeroskip.einsum_spec.form import Term, summed
from zeroskip.einsum_spec.tokens import MAX_FACTORS, MAX_INTEGER, MAX_TERMS
from zeroskip.einsum_spec.tree import Access, Expr
from zeroskip.einsum_spec.walk import free
from zeroskip.errors import EinsumError


class TermAlgebra:
    """What is done to the terms of one statement.  text : that their spans point into."""

    def __init__(self, text: str | None) -> None:
        self.text = text

    def error(self, message: str, at: Expr | Access, hint: str | None = None) -> EinsumError:
        return EinsumError(message, text=self.text, spans=[at.span] if at.span else [], hint=hint)

    def capped(self, terms: list[Term], at: Expr) -> list[Term]:
        if len(terms) > MAX_TERMS:
            raise self.error(
                f"more than {MAX_TERMS} additive terms once products are multiplied out",
                at,
                "Compute the sums in lines of their own.",
            )
        return terms

    def times(self, a: Term, b: Term, at: Expr) -> Term:
        inside = {*a.ranks} & {*b.held, *b.ranks} | {*b.ranks} & {*a.held, *a.ranks}
        if inside:  # multiplied out, one sum would cover what stands in the other factor
            a, b = self.unsummed(a), self.unsummed(b)
        if sum(len(t.accesses) + len(t.scalars) + len(t.factors) for t in (a, b)) > MAX_FACTORS:
            raise self.error(
                f"a product of more than {MAX_FACTORS} factors",
                at,
                "Compute part of it in a line of its own.",
            )
        number = self.checked(a.number * b.number, at)
        return Term(
            number,
            a.scalars + b.scalars,
            a.accesses + b.accesses,
            a.ranks + b.ranks,
            a.factors + b.factors,
        )

    def unsummed(self, term: Term) -> Term:
        """The term with its sum as a factor, where multiplying out would be wrong."""
        if not term.ranks:
            return term
        over = set(term.ranks)
        reads = [a for a in term.accesses if not over.isdisjoint(free(a))]
        factors = [f for f in term.factors if not over.isdisjoint(free(f))]
        inner = Term(1, (), tuple(reads), term.ranks, tuple(factors))
        return Term(
            term.number,
            term.scalars,
            tuple(a for a in term.accesses if a not in reads),
            (),
            (*(f for f in term.factors if f not in factors), summed(inner)),
        )

    def summed(self, term: Term, ranks: tuple[str, ...], at: Expr) -> Term:
        twice = [name for name in ranks if name in term.ranks]
        if twice:
            raise self.error(
                f"rank {twice[0]} is summed by two sums, one inside the other",
                at,
                f"Give the inner rank a name of its own: sum[{twice[0]}1](...).",
            )
        return replace(term, ranks=(*term.ranks, *ranks))

    # ---- numbers ------------------------------------------------------------------------

    def quotient(self, top: int | float, bottom: int | float, at: Expr) -> int | float:
        if bottom == 0:
            raise self.error("division by zero", at)
        if isinstance(top, int) and isinstance(bottom, int) and top % bottom == 0:
            return top // bottom
        return self.checked(top / bottom, at)

    def checked(self, value: int | float, at: Expr) -> int | float:
        if (isinstance(value, int) and abs(value) > MAX_INTEGER) or abs(value) == float("inf"):
            raise self.error(
                "a number out of range",
                at,
                "Whole numbers reach to 2**62, others to the largest float64.",
            )
        return value

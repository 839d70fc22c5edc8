"""Reductions inside pointwise expressions, taken out as lines of their own.

    A[m,p] = exp(S[m,p])/sum[k](exp(S[k,p]))

becomes

    A_1[p] = sum[k](exp(S[k,p]))
    A[m,p] = exp(S[m,p])/A_1[p]

so that what the compiler sees is, line by line, one reduction over products of reads and
pointwise expressions.  A temporary holds one value for every place of the ranks that the
reduction leaves free, and is computed once.  An argmax is two lines: the largest value, and
the first place that has it; over several ranks, the place among all of them, flattened.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.functions import PLACES
from zeroskip.einsum_spec.ordering import canonical_order
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Call,
    Compare,
    Expr,
    Monomial,
    Mul,
    Place,
    Reduce,
    Scalar,
    Statement,
    Var,
)
from zeroskip.einsum_spec.walk import expressions, free, rebuild


def hoist(forms: Sequence[Form]) -> tuple[Form, ...]:
    """The forms with no reduction left inside a factor; temporaries stand before their use."""
    work = _Hoisting({name for form in forms for name in _names(form)})
    return tuple(made for form in forms for made in work.lines_of(form))


def _names(form: Form) -> set[str]:
    found = {form.target.tensor, *form.ranks, *(rank.upper() for rank in form.ranks)}
    for term in form.terms:
        found |= {*term.bare, *(access.tensor for access in term.reads)}
    return found


class _Hoisting:
    def __init__(self, taken: set[str]) -> None:
        self.taken = taken
        self.known: dict[Expr, Access] = {}

    def lines_of(self, form: Form) -> list[Form]:
        held = [factor for term in form.terms for factor in term.factors]
        if not any(isinstance(node, Reduce) for factor in held for node in expressions(factor)):
            return [form]
        match form:
            case Form(reduction=None, post=None, terms=(Term(1, (), (), (), (Reduce() as only,)),)):
                return self.assign(form.target, only)  # the line is a reduction and nothing else
        made: list[Form] = []

        def name(node: Expr) -> Expr:
            return self.temporary(form.target.tensor, node, made) if _reduces(node) else node

        terms = []
        for term in form.terms:
            factors = [rebuild(factor, name) for factor in term.factors]
            reads = tuple(f for f in factors if isinstance(f, Access) and f.subscripts)
            bare = tuple(f.tensor for f in factors if isinstance(f, Access) and not f.subscripts)
            rest = tuple(f for f in factors if not isinstance(f, Access))
            terms.append(
                replace(
                    term,
                    accesses=term.accesses + reads,
                    scalars=term.scalars + bare,
                    factors=rest,
                )
            )
        return [*made, canonical_order(replace(form, terms=tuple(terms)))]

    def temporary(self, result: str, node: Expr, made: list[Form]) -> Expr:
        """A read of the line that computes ``node``, which holds no reduction below it."""
        found = self.known.get(node)
        if found is None:
            places = tuple(_rank(name) for name in free(node))
            found = Access(self.fresh(result), places, node.span)
            made += self.assign(found, node)
            self.known[node] = found
        return found if found.subscripts else Scalar(found.tensor, node.span)

    def fresh(self, result: str) -> str:
        n = 1
        while f"{result}_{n}" in self.taken:
            n += 1
        self.taken.add(f"{result}_{n}")
        return f"{result}_{n}"

    def assign(self, target: Access, node: Expr) -> list[Form]:
        assert isinstance(node, Reduce)
        if node.op not in PLACES:
            return self.lines_of(elaborate(Statement(target, None, node)))
        made: list[Form] = []
        best = Reduce(PLACES[node.op], node.ranks, node.body)
        extreme = self.temporary(target.tensor, best, made)
        if isinstance(extreme, Access):
            extreme = Access(extreme.tensor, extreme.subscripts)
        place, beyond = _flat_place(node.ranks)
        # A NaN is the extreme where there is one, as in NumPy, and equals nothing.
        nan = Call("where", (Compare("!=", node.body, node.body), place, beyond))
        first = Call("where", (Compare("==", node.body, extreme), place, nan))
        return [*made, *self.lines_of(elaborate(Statement(target, "min", first)))]


def _flat_place(ranks: Sequence[str]) -> tuple[Expr, Expr]:
    """The place among all of these ranks, flattened in this order, and how many places there are:
    ``J*i + j`` and ``I*J``."""
    place: Expr = Place(_rank(ranks[0]))
    count: Expr = Scalar(ranks[0].upper())
    for rank in ranks[1:]:
        extent = Scalar(rank.upper())
        place = Add((Mul((extent, place)), Place(_rank(rank))))
        count = Mul((count, extent))
    return place, count


def _reduces(node: Expr) -> bool:
    return isinstance(node, Reduce)


def _rank(name: str) -> Affine:
    return Affine(((Monomial(1), Var(name)),))

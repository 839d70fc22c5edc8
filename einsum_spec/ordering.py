"""Terms, factors and ranks in one order, so that two spellings of a line have equal forms."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Expr
from zeroskip.einsum_spec.walk import free


def canonical_order(form: Form) -> Form:
    """The form with factors and terms sorted by what they are, not by where they stood."""
    terms = []
    for term in form.terms:
        accesses = tuple(sorted(term.accesses, key=deparse))
        scalars = tuple(sorted(term.scalars))
        factors = tuple(sorted(term.factors, key=deparse))
        ranks = _ranks_in_order(term.ranks, (*accesses, *factors))
        terms.append(Term(term.number, scalars, accesses, ranks, factors))
    terms.sort(key=_order)
    held = [part for term in terms for part in (*term.accesses, *term.factors)]
    return replace(form, terms=tuple(terms), reduced=_ranks_in_order(form.reduced, held))


def _order(term: Term) -> tuple[object, ...]:
    texts = [deparse(a) for a in term.accesses], [deparse(f) for f in term.factors]
    return *texts, term.scalars, term.ranks, term.number


def _ranks_in_order(ranks: Iterable[str], parts: Iterable[Expr]) -> tuple[str, ...]:
    wanted = set(ranks)
    seen = dict.fromkeys(v for part in parts for v in free(part) if v in wanted)
    return (*seen, *sorted(wanted - set(seen)))

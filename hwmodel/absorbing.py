"""What the factors of a term read, and which zeros make the whole term zero.

    I[m,k]*F[k,n]            a zero of either
    A[m,n]/D[m]              of A alone
    relu(I[m,k])*F[k,n]      of either: relu(0) is 0
    (I[n,c]-mean[c])*g[c]    of g alone

Only where an operand absorbs does its zero, or what a format leaves out, allow to gate or to skip.
"""

from __future__ import annotations

from collections.abc import Iterable

from zeroskip.einsum_spec.form import Term
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Call,
    Compare,
    Div,
    Expr,
    Literal,
    Mul,
    Neg,
)
from zeroskip.einsum_spec.walk import accesses

FULL = frozenset({"exp", "log", "sigmoid"})
"""Functions of one argument that make something of a zero."""

Zeros = frozenset[Access]


def accesses_of(term: Term) -> tuple[Access, ...]:
    """Every access of a term once: those multiplied, then those of factors."""
    inside = (access for factor in term.factors for access in accesses(factor))
    known = dict.fromkeys(term.accesses)
    return (*term.accesses, *dict.fromkeys(access for access in inside if access not in known))


def absorbed(term: Term) -> Zeros:
    """Accesses of which a zero makes the term zero."""
    return frozenset(term.accesses).union(*map(zeros_of, term.factors))


def zeros_of(expr: Expr) -> Zeros:
    """Accesses of which a zero makes the expression zero, as far as its form says."""
    match expr:
        case Access():
            return frozenset({expr})
        case Neg(arg=arg) | Div(numerator=arg):
            return zeros_of(arg)
        case Mul(factors=factors):
            return frozenset().union(*map(zeros_of, factors))
        case Add(terms=terms):
            return _common(terms)
        case Call(function="max" | "min", args=args):
            return _common(args)
        case Call(function="where", args=(_, chosen, other)):
            return _common((chosen, other))
        case Call(function="pow", args=(base, Literal(value=power))) if power > 0:
            return zeros_of(base)
        case Call(function=name, args=(arg,)) if name not in FULL:
            return zeros_of(arg)
        case Compare(op=">" | "<" | "!=", left=Literal(value=0), right=other) if not isinstance(
            other, Affine
        ):
            return zeros_of(other)
        case Compare(op=">" | "<" | "!=", left=other, right=Literal(value=0)) if not isinstance(
            other, Affine
        ):
            return zeros_of(other)
        case _:
            return frozenset()


def _common(parts: Iterable[Expr]) -> Zeros:
    """Of which a zero makes each part zero; a part that is the number 0 is so anyway."""
    found = [zeros_of(part) for part in parts if not (isinstance(part, Literal) and not part.value)]
    return frozenset.intersection(*found) if found else frozenset()

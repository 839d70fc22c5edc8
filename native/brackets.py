"""Comparisons of places: as bounds of a loop, or as a test."""

from __future__ import annotations

from zeroskip.einsum_spec.tree import Compare
from zeroskip.native.cursor import State
from zeroskip.native.forms import sides_of
from zeroskip.native.integers import ONE, Cond, Const, Expr, add, ceildiv, floordiv, neg, sub
from zeroskip.native.scheme import Scheme
from zeroskip.native.solve import solvable

_MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "=="}


def open_ranks(state: State, bracket: Compare) -> list[str]:
    """The ranks of a comparison that are still to be bound."""
    return list(dict.fromkeys(v for side in sides_of(bracket) for v in state.unbound(side)))


def condition(scheme: Scheme, bracket: Compare) -> Cond:
    """The comparison as a test of bound ranks."""
    left, right = (scheme.affine(side) for side in sides_of(bracket))
    return Cond(bracket.op, left, right)  # type: ignore[arg-type]


def bounds(scheme: Scheme, bracket: Compare, rank: str) -> tuple[list[Expr], list[Expr]] | None:
    """Bounds (from, up to) that a comparison sets to a rank; None where it sets none."""
    left, right = sides_of(bracket)
    if bracket.op == "!=" or not all(solvable(s, rank) for s in (left, right)):
        return None
    (a, rest), (b, other) = (scheme.split(side, rank) for side in (left, right))
    factor, limit, op = a - b, sub(other, rest), bracket.op
    if factor == 0:
        return None
    if factor < 0:
        factor, limit, op = -factor, neg(limit), _MIRRORED[op]
    low, high = ceildiv(limit, Const(factor)), floordiv(limit, Const(factor))
    return {
        "<": ([], [low]),
        "<=": ([], [add(high, ONE)]),
        ">=": ([low], []),
        ">": ([add(high, ONE)], []),
        "==": ([low], [add(high, ONE)]),
    }[op]

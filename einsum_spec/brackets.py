"""The sides of an Iverson bracket: a subscript where index variables stand, else an expression."""

from __future__ import annotations

from functools import reduce

from zeroskip.einsum_spec import names as nm
from zeroskip.einsum_spec.tree import (
    Add,
    Affine,
    Call,
    Compare,
    Div,
    Expr,
    Literal,
    Mul,
    Neg,
    Place,
    Scalar,
    Span,
    Var,
)
from zeroskip.errors import EinsumError


def comparison(
    op: str,
    left: Expr,
    right: Expr,
    names: nm.Names | None,
    text: str | None,
    span: Span | None,
) -> Compare:
    """``left op right``, as subscripts where a side holds index variables.

    ``(m <= p)`` compares places, ``(A[i] > 0)`` values, ``(4*p//P == t)`` a tile's number.
    """
    if names is None:
        return Compare(op, left, right, span)
    sides: list[Expr | Affine] = [left, right]
    polynomials = [_polynomial(left), _polynomial(right)]
    held = [p is not None and bool(nm.names_of(p) & names.variables) for p in polynomials]
    for i, polynomial in enumerate(polynomials):
        if polynomial is not None and (held[i] or held[1 - i]):
            side = sides[i]
            place = side.span or span
            try:
                sides[i] = names.affine(polynomial, place)
            except nm.NotAffineError as error:
                raise EinsumError(
                    str(error).replace("a subscript", "a comparison of places"),
                    text=text,
                    spans=[place] if place else [],
                    hint="Compare sums of index variables times integers or named constants.",
                ) from None
    return Compare(op, sides[0], sides[1], span)


def _polynomial(expr: Expr) -> nm.Polynomial | None:
    """The polynomial over bare names that ``expr`` is, or None where it is something else."""
    try:
        return _convert(expr)
    except nm.NotAffineError:
        return None


def _convert(expr: Expr) -> nm.Polynomial:
    match expr:
        case Literal(value=int(value)):
            return nm.constant(value)
        case Scalar(name=name):
            return nm.identifier(name)
        case Place(subscript=Affine(terms=((_, Var(name=name)),))):
            return nm.identifier(name)
        case Neg(arg=arg):
            return nm.sum_up([(-1, _convert(arg))])
        case Add(terms=terms):
            return nm.sum_up((1, _convert(term)) for term in terms)
        case Mul(factors=factors):
            return reduce(nm.times, map(_convert, factors))
        case Call(function="floor", args=(Div(numerator=top, denominator=bottom),)):
            return nm.floordiv(_convert(top), _convert(bottom))
        case _:
            raise nm.NotAffineError("a value")

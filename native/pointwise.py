"""Pointwise expressions of the language → values of a nest."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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
    Place,
    Scalar,
)
from zeroskip.native.dtypes import compared_in
from zeroskip.native.nest import (
    Absent,
    Choose,
    Elem,
    Func,
    Number,
    Prod,
    Ratio,
    Select,
    Sum,
    Test,
    Value,
    Whole,
)
from zeroskip.native.scheme import Scheme

Read = Callable[[Access], Value]


def value_of(node: Expr, scheme: Scheme, read: Read, dtype: str) -> Value:
    """The value of a pointwise expression.

    read : the value of an access at the point, `Absent` where it may not be stored.
    dtype : that the expression is computed in.
    """

    def go(child: Expr) -> Value:
        return value_of(child, scheme, read, dtype)

    match node:
        case Literal(value=value):
            return Number(value)
        case Scalar(name=name):
            return scheme.scalar(name)
        case Place(subscript=part):
            return Whole(scheme.affine(part))
        case Access():
            return read(node)
        case Neg(arg=arg):
            return Prod((Number(-1), go(arg)))
        case Add(terms=terms):
            return Sum(tuple(map(go, terms)))
        case Mul(factors=factors):
            return times([go(factor) for factor in factors], scheme, dtype)
        case Div(numerator=top, denominator=bottom):
            return Ratio(go(top), go(bottom))
        case Compare():
            return _compare(node, scheme, read)
        case Call(function="where", args=(test, yes, no)):
            return Choose(go(test), go(yes), go(no))
        case Call(function=name, args=args):
            return Func(name, tuple(map(go, args)))
        case _:
            raise TypeError(f"{type(node).__name__} is hoisted before it is lowered")


def times(values: list[Value], scheme: Scheme, dtype: str) -> Value:
    """A product in which what is absent stays absent, whatever it meets: 0 of what is not stored
    times infinity is 0.

    Integers need no care: 0 times anything is 0.
    """
    if len(values) == 1:
        return values[0]
    made: Value = Prod(tuple(values))
    if np.dtype(dtype).kind != "f":
        return made
    for value in values:
        match value:
            case Elem() if scheme.fills(value):
                made = Select(value, made)
            case Absent(position, Elem() as stored, Number(0)):
                inside = Select(stored, made) if scheme.fills(stored) else made
                made = Absent(position, inside, Number(0))
            case Absent(position, _, Number(0)):
                made = Absent(position, made, Number(0))
            case Select(test=test):
                made = Select(test, made)
    return made


def _compare(node: Compare, scheme: Scheme, read: Read) -> Value:
    dtypes = {name: s.dtype for name, s in scheme.signatures.items()}
    dtype = compared_in(node, dtypes, {}).name
    sides: list[Value] = [
        Whole(scheme.affine(s)) if isinstance(s, Affine) else value_of(s, scheme, read, dtype)
        for s in (node.left, node.right)
    ]
    return Test(node.op, sides[0], sides[1], dtype)

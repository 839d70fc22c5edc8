"""Pointwise expressions of the language → values of a nest."""

from __future__ import annotations

import math
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
from zeroskip.native.dtypes import compared_apart, compared_in
from zeroskip.native.scheme import Scheme
from zeroskip.native.values import (
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
            return plus([go(term) for term in terms], scheme, dtype)
        case Mul(factors=factors):
            return times([go(factor) for factor in factors], scheme, dtype)
        case Div(numerator=top, denominator=bottom):
            return Ratio(go(top), go(bottom))
        case Compare():
            return _compare(node, scheme, read)
        case Call(function="where", args=(test, yes, no)):
            return Choose(go(test), go(yes), go(no))
        case Call(function=name, args=args):
            return _called(name, [go(arg) for arg in args], scheme)
        case _:
            raise TypeError(f"{type(node).__name__} is hoisted before it is lowered")


def times(values: list[Value], scheme: Scheme, dtype: str) -> Value:
    """A product in which what is absent stays absent, whatever it meets: 0 of what is not stored
    times infinity is 0.

    Integers need no care: 0 times anything is 0.
    """
    if len(values) == 1:
        return values[0]
    made = Prod(tuple(values))
    return _absorbed(made, values, scheme, (0,)) if np.dtype(dtype).kind == "f" else made


def plus(values: list[Value], scheme: Scheme, dtype: str) -> Value:
    """A sum in which an infinite fill stays what it is, whatever it meets; where another may be
    of the other sign, they are added up, to NaN."""
    if len(values) == 1:
        return values[0]
    made = Sum(tuple(values))
    ends = {end for value in values for end in _ends(value, scheme)}
    if np.dtype(dtype).kind != "f" or len(ends) != 1:
        return made
    return _absorbed(made, values, scheme, tuple(ends))


def _called(name: str, values: list[Value], scheme: Scheme) -> Value:
    made = Func(name, tuple(values))
    end = {"max": math.inf, "min": -math.inf}.get(name)
    return made if end is None else _absorbed(made, values, scheme, (end,))


def _ends(value: Value, scheme: Scheme) -> set[float]:
    """The infinities that a value may be where operands are absent."""
    fill = _fill(value, scheme)
    if fill is not None and math.isinf(fill):
        return {fill}
    parts: tuple[Value, ...]
    match value:
        case Prod(args) | Sum(args) | Func(_, args):
            parts = args
        case Ratio(top, bottom):
            parts = top, bottom
        case Choose(_, yes, no):
            parts = yes, no
        case Absent(_, inner, _) | Select(_, inner):
            parts = (inner,)
        case _:
            parts = ()
    return {math.inf, -math.inf} if any(_ends(part, scheme) for part in parts) else set()


def _fill(value: Value, scheme: Scheme) -> int | float | None:
    match value:
        case Elem():
            return scheme.filler(value)
        case Absent(otherwise=Number(fill)):
            return fill
        case Select(otherwise=fill):
            return fill
        case _:
            return None


def _absorbed(
    made: Value, values: list[Value], scheme: Scheme, absorbing: tuple[float, ...]
) -> Value:
    """``made`` of ``values``, but where one of them is absent and its fill absorbs all else."""
    for value in values:
        fill = _fill(value, scheme)
        if fill is None or fill not in absorbing:
            continue
        match value:
            case Elem():
                made = Select(value, made, fill, fill)
            case Absent(position, Elem() as stored, _):
                among = scheme.filler(stored) is not None
                inside = Select(stored, made, fill, fill) if among else made
                made = Absent(position, inside, Number(fill))
            case Absent(position, _, _):
                made = Absent(position, made, Number(fill))
            case Select(test=test, fill=filler):
                made = Select(test, made, filler, fill)
    return made


def _compare(node: Compare, scheme: Scheme, read: Read) -> Value:
    dtypes = {name: s.dtype for name, s in scheme.signatures.items()}
    dtype = compared_in(node, dtypes, {}).name
    apart = compared_apart(node, dtypes)
    sides: list[Value] = [
        Whole(scheme.affine(s)) if isinstance(s, Affine) else value_of(s, scheme, read, own)
        for s, own in zip((node.left, node.right), apart or (dtype, dtype), strict=True)
    ]
    return Test(node.op, sides[0], sides[1], dtype, apart)

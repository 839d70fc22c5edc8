"""What an expression is where an operand stores nothing: which operands a loop may follow.

A loop may visit only the stored coordinates of an operand where the whole value, with that
operand at its fill, is what the reduction starts from.  Such an operand is needed; any other
is optional, and is looked up at every point.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from functools import reduce

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
from zeroskip.native.functions import FUNCTIONS, SEVERAL

Number = int | float

_COMPARE = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    ">=": lambda a, b: a >= b,
    ">": lambda a, b: a > b,
}


def needed(
    value: Expr, atom: Access | Compare, fills: Mapping[str, Number], identity: Number
) -> bool:
    """Whether ``value`` is ``identity`` wherever ``atom`` is absent (a comparison: false)."""
    return folded(value, (atom,), fills) == identity


def folded(
    node: Expr, atoms: Collection[Access | Compare], fills: Mapping[str, Number]
) -> Number | None:
    """The number that ``node`` is where all ``atoms`` are absent, or None where it is not one.

    Absent times anything is absent: 0 times what is unknown is 0, and an infinity that is
    added to what is unknown stays one, as min-plus has it, unless that may be the other
    infinity where it is absent itself.  Whole numbers that may wrap around give None.
    """

    def go(child: Expr) -> Number | None:
        return folded(child, atoms, fills)

    if isinstance(node, Access | Compare) and node in atoms:
        return fills.get(node.tensor, 0) if isinstance(node, Access) else 0
    match node:
        case Literal(value=value):
            return value
        case Neg(arg=arg):
            inner = go(arg)
            return None if inner is None else _exact(-inner)
        case Add(terms=terms):
            absent = [folded(term, list(accesses(term)), fills) for term in terms]
            return _sum([go(term) for term in terms], absent)
        case Mul(factors=factors):
            return _product([go(factor) for factor in factors])
        case Div(numerator=top, denominator=bottom):
            above, below = go(top), go(bottom)
            if above == 0 and below != 0:
                return 0
            return None if above is None or not below else above / below
        case Compare(op=op, left=left, right=right):
            sides = [None if isinstance(s, Affine) else go(s) for s in (left, right)]
            if sides[0] is None or sides[1] is None:
                return None
            return int(_COMPARE[op](*sides))
        case Call(function="where", args=(test, yes, no)):
            chosen = go(test)
            if chosen is not None:
                return go(yes) if chosen else go(no)
            a, b = go(yes), go(no)
            return a if a == b else None
        case Call(function=name, args=args):
            return _called(name, [go(arg) for arg in args])
        case _:
            return None


def _sum(parts: list[Number | None], absent: list[Number | None]) -> Number | None:
    """absent : each part where all its operands are absent."""
    known = [part for part in parts if part is not None]
    if len(known) == len(parts):
        return _exact(sum(known))
    ends = {part for part in (*known, *absent) if part is not None and math.isinf(part)}
    if len(ends) == 1 and not any(map(math.isnan, known)):
        return next((part for part in known if part in ends), None)
    return None


def _product(parts: Iterable[Number | None]) -> Number | None:
    found = list(parts)
    if 0 in found:
        return 0
    return None if None in found else _exact(math.prod(p for p in found if p is not None))


def _called(name: str, args: list[Number | None]) -> Number | None:
    known = [arg for arg in args if arg is not None]
    if len(known) < len(args):
        end = {"max": math.inf, "min": -math.inf}.get(name)
        return end if end in known else None
    if name in SEVERAL:
        return _exact(reduce(SEVERAL[name].python, known))
    return _exact(FUNCTIONS[name].python(known[0]))


def _exact(number: Number) -> Number | None:
    """A number, or None where the narrowest type that computes may have no room for it."""
    return None if isinstance(number, int) and abs(number) >= 2**31 else number

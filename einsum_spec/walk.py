"""Walks over the tree: what a subscript or an expression holds, and bounds of subscripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Call,
    Compare,
    Div,
    Expr,
    Floor,
    Literal,
    Monomial,
    Mul,
    Neg,
    Reduce,
    Scalar,
    Var,
)


def variables(subscript: Affine) -> Iterator[str]:
    """Index variables of a subscript, in order, floors included; may repeat."""
    for _, atom in subscript.terms:
        if isinstance(atom, Floor):
            yield from variables(atom.inner)
        else:
            yield atom.name


def constants(subscript: Affine) -> Iterator[str]:
    """Named constants of a subscript, divisors of floors included; may repeat."""
    for monomial, atom in subscript.terms:
        yield from monomial.names
        if isinstance(atom, Floor):
            yield from constants(atom.inner)
            yield from atom.divisor.names
    for monomial in subscript.offset:
        yield from monomial.names


def single(subscript: Affine) -> str | None:
    """The index variable that the subscript is, where it is one and nothing else."""
    match subscript:
        case Affine(terms=((Monomial(value=1, names=()), Var(name=name)),), offset=()):
            return name
        case _:
            return None


def bounds(
    subscript: Affine, ranks: Mapping[str, int], values: Mapping[str, int]
) -> tuple[int, int]:
    """Least and largest value of a subscript over ``0 <= v < ranks[v]``; no rank is empty.

    values : the named constants; a divisor of 0 is the extent of an empty rank.
    Exact where no index variable stands in two atoms, but for remainders ``p-4*(p//4)``;
    else a range that may be too wide.
    """
    low = high = sum(monomial_value(m, values) for m in subscript.offset)
    remainders = _remainders(subscript, values)
    for i, (monomial, atom) in enumerate(subscript.terms):
        if i in remainders.values():
            continue
        if isinstance(atom, Floor):
            divisor = monomial_value(atom.divisor, values)
            first, last = bounds(atom.inner, ranks, values)
            first, last = (first // divisor, last // divisor) if divisor else (0, 0)
        else:
            first, last = 0, ranks[atom.name] - 1
            if i in remainders:
                floor = subscript.terms[remainders[i]][1]
                assert isinstance(floor, Floor)
                last = min(last, monomial_value(floor.divisor, values) - 1)
        factor = monomial_value(monomial, values)
        ends = (factor * first, factor * last)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _remainders(subscript: Affine, values: Mapping[str, int]) -> dict[int, int]:
    """Term of p -> term of ``-d*(p//d)``, for each pair of terms that is a remainder."""
    found: dict[int, int] = {}
    for j, (monomial, floor) in enumerate(subscript.terms):
        name = single(floor.inner) if isinstance(floor, Floor) else None
        if name is None or not isinstance(floor, Floor):
            continue
        step = monomial_value(monomial, values)
        divisor = monomial_value(floor.divisor, values)
        for i, (other, atom) in enumerate(subscript.terms):
            same = isinstance(atom, Var) and atom.name == name and i not in found
            if same and monomial_value(other, values) * divisor == -step:
                found[i] = j
    return found


def children(node: Expr) -> Iterator[Expr]:
    """The expressions directly below an expression."""
    match node:
        case Neg(arg=arg):
            yield arg
        case Add(terms=parts) | Mul(factors=parts) | Call(args=parts):
            yield from parts
        case Div(numerator=top, denominator=bottom):
            yield top
            yield bottom
        case Reduce(body=body):
            yield body
        case Compare(left=left, right=right):
            yield from (side for side in (left, right) if not isinstance(side, Affine))
        case _:
            return


def expressions(node: Expr) -> Iterator[Expr]:
    """An expression and all below it, from left to right."""
    yield node
    for child in children(node):
        yield from expressions(child)


def accesses(node: Expr) -> Iterator[Access]:
    """Every access of an expression, from left to right."""
    return (n for n in expressions(node) if isinstance(n, Access))


def scalars(node: Expr) -> Iterator[Scalar]:
    """Every bare name of an expression, from left to right."""
    return (n for n in expressions(node) if isinstance(n, Scalar))


def subscripts(node: Expr) -> Iterator[Affine]:
    """Every subscript of an expression, those in Iverson brackets included."""
    for n in expressions(node):
        if isinstance(n, Access):
            yield from n.subscripts
        elif isinstance(n, Compare):
            yield from (side for side in (n.left, n.right) if isinstance(side, Affine))


def free(node: Expr) -> dict[str, None]:
    """Index variables of an expression that no reduction inside it binds, in order."""
    match node:
        case Reduce(ranks=ranks, body=body):
            return {name: None for name in free(body) if name not in ranks}
        case Access(subscripts=parts):
            return dict.fromkeys(name for part in parts for name in variables(part))
        case Compare(left=left, right=right):
            found: dict[str, None] = {}
            for side in (left, right):
                inner = dict.fromkeys(variables(side)) if isinstance(side, Affine) else free(side)
                found.update(inner)
            return found
        case _:
            found = {}
            for child in children(node):
                found.update(free(child))
            return found


def map_subscripts(node: Expr, change: Callable[[Affine], Affine]) -> Expr:
    """The expression with every subscript replaced by ``change(subscript)``."""

    def go(n: Expr) -> Expr:
        match n:
            case Literal() | Scalar():
                return n
            case Access(tensor=tensor, subscripts=parts, span=span):
                return Access(tensor, tuple(map(change, parts)), span)
            case Neg(arg=arg, span=span):
                return Neg(go(arg), span)
            case Add(terms=terms, span=span):
                return Add(tuple(map(go, terms)), span)
            case Mul(factors=factors, span=span):
                return Mul(tuple(map(go, factors)), span)
            case Div(numerator=top, denominator=bottom, span=span):
                return Div(go(top), go(bottom), span)
            case Call(function=function, args=args, span=span):
                return Call(function, tuple(map(go, args)), span)
            case Reduce(op=op, ranks=ranks, body=body, span=span):
                return Reduce(op, ranks, go(body), span)
            case Compare(op=op, left=left, right=right, span=span):
                return Compare(op, side(left), side(right), span)

    def side(n: Expr | Affine) -> Expr | Affine:
        return change(n) if isinstance(n, Affine) else go(n)

    return go(node)

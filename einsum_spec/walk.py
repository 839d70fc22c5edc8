"""Walks over the tree: what a subscript or an expression holds, and bounds of subscripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Atom,
    Call,
    Compare,
    Div,
    Expr,
    Floor,
    Gather,
    Literal,
    Monomial,
    Mul,
    Neg,
    Place,
    Reduce,
    Scalar,
    Var,
)


def variables(subscript: Affine) -> Iterator[str]:
    """Index variables of a subscript, in order, floors and gathers included; may repeat."""
    for _, atom in subscript.terms:
        if isinstance(atom, Floor):
            yield from variables(atom.inner)
        elif isinstance(atom, Gather):
            for part in atom.access.subscripts:
                yield from variables(part)
        else:
            yield atom.name


def constants(subscript: Affine) -> Iterator[str]:
    """Named constants of a subscript, divisors of floors included; may repeat."""
    for monomial, atom in subscript.terms:
        yield from monomial.names
        if isinstance(atom, Floor):
            yield from constants(atom.inner)
            yield from atom.divisor.names
        elif isinstance(atom, Gather):
            for part in atom.access.subscripts:
                yield from constants(part)
    for monomial in subscript.offset:
        yield from monomial.names


def gathers(subscript: Affine) -> Iterator[Gather]:
    """The index tensors that a subscript reads, inner ones first; floors included."""
    for _, atom in subscript.terms:
        if isinstance(atom, Floor):
            yield from gathers(atom.inner)
        elif isinstance(atom, Gather):
            for part in atom.access.subscripts:
                yield from gathers(part)
            yield atom


def by_data(access: Access) -> bool:
    """Whether an access reads places from an index tensor."""
    return any(True for part in access.subscripts for _ in gathers(part))


def reads_of(access: Access) -> Iterator[Access]:
    """An access, after the accesses of index tensors in its subscripts."""
    for part in access.subscripts:
        for gather in gathers(part):
            yield gather.access
    yield access


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
            if i in remainders:
                most = _divisor(subscript, remainders[i], values) // divisor - 1
                first, last = 0, min(last, most) if first >= 0 else most
        elif isinstance(atom, Gather):
            raise TypeError("what an index tensor holds is known at run time only")
        else:
            first, last = 0, ranks[atom.name] - 1
            if i in remainders:
                last = min(last, _divisor(subscript, remainders[i], values) - 1)
        factor = monomial_value(monomial, values)
        ends = (factor * first, factor * last)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _remainders(subscript: Affine, values: Mapping[str, int]) -> dict[int, int]:
    """Term of p -> term of ``-d*(p//d)``, for each pair of terms that is a remainder; also of
    ``p//b``, with ``-c*(p//(b*c))``."""
    found: dict[int, int] = {}
    for j, (monomial, floor) in enumerate(subscript.terms):
        if not isinstance(floor, Floor):
            continue
        step = monomial_value(monomial, values)
        divisor = monomial_value(floor.divisor, values)
        for i, (other, atom) in enumerate(subscript.terms):
            if i in found or i == j:
                continue
            own = _own_divisor(atom, floor, values)
            times = divisor // own if own and divisor % own == 0 else 0
            if times and monomial_value(other, values) * times == -step:
                found[i] = j
    return found


def _own_divisor(atom: Atom, floor: Floor, values: Mapping[str, int]) -> int:
    """b of ``p//b``, where ``floor`` is of the same p; 1 of p itself; 0 of anything else."""
    if isinstance(atom, Floor):
        return monomial_value(atom.divisor, values) if atom.inner == floor.inner else 0
    return int(isinstance(atom, Var) and atom.name == single(floor.inner))


def _divisor(subscript: Affine, term: int, values: Mapping[str, int]) -> int:
    floor = subscript.terms[term][1]
    assert isinstance(floor, Floor)
    return monomial_value(floor.divisor, values)


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
        case Literal() | Scalar() | Place() | Access():
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
        elif isinstance(n, Place):
            yield n.subscript
        elif isinstance(n, Compare):
            yield from (side for side in (n.left, n.right) if isinstance(side, Affine))


def free(node: Expr) -> dict[str, None]:
    """Index variables of an expression that no reduction inside it binds, in order."""
    match node:
        case Reduce(ranks=ranks, body=body):
            return {name: None for name in free(body) if name not in ranks}
        case Access(subscripts=parts):
            return dict.fromkeys(name for part in parts for name in variables(part))
        case Place(subscript=part):
            return dict.fromkeys(variables(part))
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


def rebuild(node: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """The expression with ``change`` applied to every node, from the leaves up."""

    def go(n: Expr) -> Expr:
        match n:
            case Literal() | Scalar() | Place() | Access():
                return change(n)
            case Neg(arg=arg, span=span):
                return change(Neg(go(arg), span))
            case Add(terms=terms, span=span):
                return change(Add(tuple(map(go, terms)), span))
            case Mul(factors=factors, span=span):
                return change(Mul(tuple(map(go, factors)), span))
            case Div(numerator=top, denominator=bottom, span=span):
                return change(Div(go(top), go(bottom), span))
            case Call(function=function, args=args, span=span):
                return change(Call(function, tuple(map(go, args)), span))
            case Reduce(op=op, ranks=ranks, body=body, span=span):
                return change(Reduce(op, ranks, go(body), span))
            case Compare(op=op, left=left, right=right, span=span):
                sides = [s if isinstance(s, Affine) else go(s) for s in (left, right)]
                return change(Compare(op, sides[0], sides[1], span))

    return go(node)


def map_subscripts(node: Expr, change: Callable[[Affine], Affine]) -> Expr:
    """The expression with every subscript replaced by ``change(subscript)``."""

    def one(n: Expr) -> Expr:
        match n:
            case Access(tensor=tensor, subscripts=parts, span=span):
                return Access(tensor, tuple(map(change, parts)), span)
            case Place(subscript=part, span=span):
                return Place(change(part), span)
            case Compare(op=op, left=left, right=right, span=span):
                sides = [change(s) if isinstance(s, Affine) else s for s in (left, right)]
                return Compare(op, sides[0], sides[1], span)
            case _:
                return n

    return rebuild(node, one)

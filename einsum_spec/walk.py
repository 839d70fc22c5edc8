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
    for part in access.subscripts:
        for _, atom in part.terms:
            if not isinstance(atom, Var) and any(True for _ in gathers(part)):
                return True
    return False


def reads_of(access: Access) -> Iterator[Access]:
    """An access, after the accesses of index tensors in its subscripts."""
    if by_data(access):
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
    Exact where no index variable stands in two atoms, but for remainders ``p-4*(p//4)``, also
    of remainders, and their blocks; else a range that may be too wide.
    """
    terms = [(monomial_value(m, values), atom) for m, atom in subscript.terms]
    offset = sum(monomial_value(m, values) for m in subscript.offset)
    low, high = _bounds(terms, offset, ranks, values)
    for times, inner, block, others in _gathered(terms, values):
        least, most = bounds(inner, ranks, values)
        ends = (times * (least // block), times * (most // block))
        least, most = _bounds(others, offset, ranks, values)
        low, high = max(low, least + min(ends)), min(high, most + max(ends))
    return low, high


_Terms = list[tuple[int, Atom]]


def _bounds(
    terms: _Terms, offset: int, ranks: Mapping[str, int], values: Mapping[str, int]
) -> tuple[int, int]:
    """The same of a sum, term by term, but for its remainders."""
    low = high = offset
    left = dict(enumerate(terms))
    for used, times, floor in _remainders(terms, values):
        if not all(i in left for i in used):
            continue
        first, last = bounds(floor.inner, ranks, values)
        most = monomial_value(floor.divisor, values) - 1
        most = times * (min(last, most) if first >= 0 else most)
        low, high = low + min(most, 0), high + max(most, 0)
        for i in used:
            del left[i]
    for factor, atom in left.values():
        if isinstance(atom, Floor):
            divisor = monomial_value(atom.divisor, values)
            first, last = bounds(atom.inner, ranks, values)
            first, last = (first // divisor, last // divisor) if divisor else (0, 0)
        elif isinstance(atom, Gather):
            raise TypeError("what an index tensor holds is known at run time only")
        else:
            first, last = 0, ranks[atom.name] - 1
        ends = (factor * first, factor * last)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _remainders(
    terms: _Terms, values: Mapping[str, int]
) -> list[tuple[frozenset[int], int, Floor]]:
    """Which terms are so many times ``x - d*(x//d)``, those of most first; two may share one."""
    found = []
    for j, (step, floor) in enumerate(terms):
        if not isinstance(floor, Floor) or floor.inner.offset:
            continue
        divisor = monomial_value(floor.divisor, values)
        if not (step and divisor) or step % divisor:
            continue
        times = -step // divisor
        wanted = [(times * monomial_value(m, values), atom) for m, atom in floor.inner.terms]
        if all(term in terms for term in wanted):
            used = frozenset(terms.index(term) for term in wanted)
            found.append((used | {j}, times, floor))
    return sorted(found, key=lambda remainder: -len(remainder[0]))


def _gathered(
    terms: _Terms, values: Mapping[str, int]
) -> Iterator[tuple[int, Affine, int, _Terms]]:
    """``p//4 - 5*(p//20)`` as ``(p - 20*(p//20))//4``: for each floor with what shares a variable
    with it inside, how often it counts, that sum, its divisor, and all other terms."""
    for j, (times, floor) in enumerate(terms):
        if not isinstance(floor, Floor):
            continue
        divisor, names = monomial_value(floor.divisor, values), set(variables(floor.inner))
        inside = [
            i
            for i, (factor, atom) in enumerate(terms)
            if i != j and times and factor % times == 0 and not names.isdisjoint(_names(atom))
        ]
        if divisor and inside:
            moved = [(Monomial(terms[i][0] // times * divisor), terms[i][1]) for i in inside]
            inner = Affine((*floor.inner.terms, *moved), floor.inner.offset)
            others = [term for i, term in enumerate(terms) if i != j and i not in inside]
            yield times, inner, divisor, others


def _names(atom: Atom) -> Iterator[str]:
    return variables(Affine(((Monomial(1), atom),)))


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
            names: dict[str, None] = {}
            for part in parts:
                for _, atom in part.terms:
                    if not isinstance(atom, Var):
                        names.update(dict.fromkeys(variables(part)))
                        break
                    names[atom.name] = None
            return names
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

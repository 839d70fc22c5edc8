"""Which identifiers of subscripts are index variables, and which named constants.

A subscript is read as a polynomial over identifiers first.  Once every subscript of
the program is known, its identifiers are told apart (`classify`), and each polynomial
becomes an `Affine` (`Names.affine`) or is refused for not being one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field
from math import prod

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.tokens import MAX_INTEGER
from zeroskip.einsum_spec.tree import Access, Affine, Floor, Gather, Monomial, Span, Var
from zeroskip.errors import EinsumError
from zeroskip.records import dataclass

MAX_MONOMIALS = 64


@dataclass(frozen=True, slots=True)
class RawFloor:
    """``inner // divisor`` before its identifiers are told apart."""

    inner: RawItems
    divisor: Monomial
    size: int = 1  # monomials inside, at every depth


#: Sorted identifiers multiplied together, times a floor or nothing.
RawKey = tuple[tuple[str, ...], RawFloor | None]
RawItems = tuple[tuple[RawKey, int], ...]
#: Monomial -> integer factor, in order of first appearance.
Polynomial = dict[RawKey, int]


class NotAffineError(Exception):
    """A polynomial that no subscript can be; the message is a clause, without place."""


def constant(value: int) -> Polynomial:
    """The polynomial of an integer."""
    return {((), None): value} if value else {}


def identifier(name: str) -> Polynomial:
    """The polynomial of one name."""
    return {((name,), None): 1}


def sum_up(signed: Iterable[tuple[int, Polynomial]]) -> Polynomial:
    """The sum of ``sign * polynomial``; like terms are merged, and what cancels is gone."""
    total: Polynomial = {}
    for sign, polynomial in signed:
        for key, value in polynomial.items():
            total[key] = total.get(key, 0) + sign * value
            if len(total) > MAX_MONOMIALS:
                raise NotAffineError(f"a subscript has more than {MAX_MONOMIALS} terms")
            if abs(total[key]) > MAX_INTEGER:
                raise NotAffineError("a subscript has a number above 2**62")
    return {key: value for key, value in total.items() if value}


def names_of(polynomial: Polynomial) -> set[str]:
    """Its identifiers, those inside floors included, divisors not."""
    found: set[str] = set()
    for names, floor in polynomial:
        found.update(names)
        if floor is not None:
            found |= names_of(dict(floor.inner))
    return found


def times(a: Polynomial, b: Polynomial) -> Polynomial:
    """``a * b``, or `NotAffineError` for two floors or too many terms."""
    if len(a) * len(b) > MAX_MONOMIALS:
        raise NotAffineError(f"a subscript has more than {MAX_MONOMIALS} terms")
    total: Polynomial = {}
    for (names_a, floor_a), value_a in a.items():
        for (names_b, floor_b), value_b in b.items():
            if floor_a is not None and floor_b is not None:
                raise NotAffineError("a subscript multiplies two floors")
            key = (tuple(sorted(names_a + names_b)), floor_a or floor_b)
            total[key] = total.get(key, 0) + value_a * value_b
            if abs(total[key]) > MAX_INTEGER or len(key[0]) > 16:
                raise NotAffineError("a subscript has a factor above 2**62")
    return {key: value for key, value in total.items() if value}


def floordiv(a: Polynomial, b: Polynomial) -> Polynomial:
    """``a // b``, where b must be one positive integer or product of named constants."""
    if len(b) != 1:
        raise NotAffineError(
            "a subscript is divided by zero"
            if not b
            else "a subscript is divided by a sum; only an integer or a named constant divides"
        )
    (((names, inner_floor), value),) = b.items()
    if inner_floor is not None:
        raise NotAffineError("a subscript is divided by a floor")
    if value < 0:
        raise NotAffineError("a subscript is divided by a negative number")
    if not names and all(not key[0] and key[1] is None for key in a):
        return constant(sum(a.values()) // value)
    if not names and value == 1:
        return a
    size = sum(1 + (key[1].size if key[1] else 0) for key in a)
    if size > MAX_MONOMIALS:
        raise NotAffineError(f"a subscript has more than {MAX_MONOMIALS} terms")
    return {((), RawFloor(tuple(a.items()), Monomial(value, names), size)): 1}


@dataclass(slots=True)
class Evidence:
    """What the text shows about its identifiers, gathered subscript by subscript."""

    polynomials: list[Polynomial] = field(default_factory=list)
    ranks: set[str] = field(default_factory=set)
    spans: dict[str, list[Span]] = field(default_factory=dict)

    def saw(self, name: str, span: Span) -> None:
        self.spans.setdefault(name, []).append(span)


def classify(evidence: Evidence, consts: Collection[str] = (), text: str | None = None) -> Names:
    """Tell index variables from named constants.

    In a subscript, what divides, what is multiplied with an index variable, and what
    ``consts`` names is a constant.  A name that is a whole subscript somewhere, or the
    rank of a reduction, is an index variable.  Where a product leaves a choice, the
    lower-case name is the variable.  The upper-case name of an index variable is its
    extent.  Every other name is an index variable.

    Raises
    ------
    EinsumError
        Where a name would have to be both, or a product leaves two candidates.
    """
    monomials = [item for p in evidence.polynomials for item in _monomials(p.items())]
    constants, variables = set(consts), evidence.ranks - set(consts)
    groups: list[tuple[str, ...]] = []
    singles: dict[str, None] = {}
    for names, floor in monomials:
        if floor is not None:
            constants.update(floor.divisor.names)
            constants.update(names)
        elif len(names) > 1:
            groups.append(names)
        else:
            singles.update(dict.fromkeys(names))
    for p in evidence.polynomials:
        if len(p) == 1:
            (((names, floor), value),) = p.items()
            if len(names) == 1 and floor is None and value == 1 and names[0] not in consts:
                variables.add(names[0])
    _spread(groups, variables, constants)
    variables.update(n for n in singles if not n[0].isupper() and n not in constants)
    _spread(groups, variables, constants)
    for names in groups:
        left = [n for n in dict.fromkeys(names) if n not in constants and n not in variables]
        lower = [n for n in left if not n[0].isupper()]
        if variables.isdisjoint(names) and len(lower) > 1:
            raise EinsumError(
                f"{'*'.join(names)}: which of {' and '.join(lower)} is the index variable?",
                text=text,
                spans=[s for n in lower for s in evidence.spans.get(n, [])[:1]],
                hint=f'Name the constants: consts={{"{lower[0]}": 2}}, or write them in capitals.',
            )
        if variables.isdisjoint(names):
            variables.update(lower)
        _spread(groups, variables, constants)
        constants.update(n for n in left if n not in variables)
    extents = {v.upper() for v in variables if v.isidentifier()}
    for name in singles:
        if name not in variables and name not in constants:
            (constants if name in extents else variables).add(name)
    both = sorted(variables & constants)
    if both:
        raise EinsumError(
            f"{both[0]} is an index variable and also divides or multiplies one",
            text=text,
            spans=evidence.spans.get(both[0], []),
            hint=f"A factor or divisor in a subscript is an integer or a named constant;"
            f' rename one {both[0]}, or give its value: consts={{"{both[0]}": 2}}.',
        )
    return Names(frozenset(variables), frozenset(constants))


def _monomials(items: Iterable[tuple[RawKey, int]]) -> Iterator[RawKey]:
    for key, _ in items:
        yield key
        if key[1] is not None:
            yield from _monomials(key[1].inner)


def _spread(groups: list[tuple[str, ...]], variables: set[str], constants: set[str]) -> None:
    """A product with an index variable makes its other names constants."""
    for names in groups:
        if not variables.isdisjoint(names):
            constants.update(n for n in names if n not in variables)


@dataclass(frozen=True, slots=True)
class Names:
    """The index variables and the named constants of a program's subscripts.

    gathered : reads of index tensors by their text, ``X[n]``, which stands in polynomials as
        the name of a variable does.
    """

    variables: frozenset[str]
    constants: frozenset[str]
    gathered: dict[str, Access] = field(default_factory=dict)

    def affine(self, polynomial: Polynomial, span: Span | None = None) -> Affine:
        """The subscript that ``polynomial`` is.

        Raises
        ------
        NotAffineError
            For a product of index variables, or two coefficients of one variable.
        """
        terms: dict[Var | Floor | Gather, Monomial] = {}
        offset: list[Monomial] = []
        for (names, raw), value in polynomial.items():
            held = [n for n in names if n in self.variables]
            factors = tuple(n for n in names if n not in self.variables)
            atom: Var | Floor | Gather
            if raw is not None:
                if held:
                    raise NotAffineError(f"a subscript multiplies {held[0]} with a floor")
                atom = Floor(self.affine(dict(raw.inner), span), raw.divisor, span)
            elif len(held) > 1:
                raise NotAffineError(
                    f"a subscript multiplies two index variables, {held[0]} and {held[1]}"
                )
            elif held and held[0] in self.gathered:
                atom = Gather(self.gathered[held[0]], span)
            elif held:
                atom = Var(held[0], span)
            else:
                offset.append(Monomial(value, factors))
                continue
            if atom in terms:
                raise NotAffineError(f"{_show(atom)} has two coefficients in one subscript")
            terms[atom] = Monomial(value, factors)
        offset.sort(key=lambda m: (not m.names, m.names))
        return Affine(tuple((m, atom) for atom, m in terms.items()), tuple(offset), span)


def cancelled(name: str, left: Affine, text: str | None) -> EinsumError:
    """The error of a subscript that an index variable drops out of: it would be no rank there, and
    a sum over it none.  left : the subscript without it."""
    rest = deparse(left)
    return EinsumError(
        f"{name} cancels in a subscript that is {rest} at every {name}",
        text=text,
        spans=[left.span] if left.span else [],
        hint=f"Write {rest}, or give the other {name} a name of its own.",
    )


def _show(atom: Var | Floor | Gather) -> str:
    match atom:
        case Var(name=name):
            return name
        case Gather(access=access):
            return f"{access.tensor}[...]"
        case Floor():
            return "a floor"


def monomial_value(monomial: Monomial, constants: Mapping[str, int]) -> int:
    """The integer that a monomial is, where ``constants`` holds all its names."""
    return monomial.value * prod(constants[name] for name in monomial.names)

"""Does a target hit a place twice?  Then `=` has no meaning, and only a reduction will do."""

from __future__ import annotations

from collections.abc import Mapping
from math import gcd

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.tree import Access, Affine, Atom, Floor, Monomial, Statement, Var
from zeroskip.einsum_spec.walk import by_data, single, variables
from zeroskip.errors import EinsumError


def check_target(form: Form, statement: Statement, text: str | None = None) -> None:
    """Refuse a ``=`` whose target hits a place twice at every extent above 1.

    What depends on the extents, such as ``O[2*p+r]``, is `check_target_extents`'s.
    """
    if statement.reduction is not None:
        return
    if by_data(form.target):
        return  # found where the places are read
    for part in _undetermined(form.target):
        coefficients = [m for m, _ in part.terms]
        floored = any(isinstance(atom, Floor) for _, atom in part.terms)
        if floored or len(set(coefficients)) < len(coefficients) or form.reduction is not None:
            raise _twice(form.target, part, text)


def check_target_extents(
    form: Form, ranks: Mapping[str, int], values: Mapping[str, int], text: str | None = None
) -> None:
    """Refuse a ``=`` whose target hits a place twice at these extents.

    Exact for subscripts of two index variables; of three or more, each step must pass the
    reach of all smaller ones, as in a number written in mixed radix.
    """
    if form.reduction is not None or by_data(form.target):
        return
    for part in _undetermined(form.target):
        terms = [
            (abs(monomial_value(m, values)), ranks[atom.name] - 1)
            for m, atom in part.terms
            if isinstance(atom, Var) and ranks[atom.name] > 1
        ]
        if any(ranks[name] == 0 for name in variables(part)):
            continue
        if len(terms) == 2:
            (a, last_a), (b, last_b) = terms
            common = gcd(a, b)
            twice = last_a * common >= b and last_b * common >= a
        else:
            reach, twice = 0, False
            for step, last in sorted(terms):
                twice = twice or step <= reach
                reach += step * last
        if twice:
            raise _twice(form.target, part, text)


def _undetermined(target: Access) -> list[Affine]:
    """Subscripts of several variables that the subscripts together do not determine.

    A subscript determines its variable where it holds one whose place follows from it;
    a subscript of several does so once all others of it are determined.  A quotient and
    its remainder, ``p//4`` and ``p-4*(p//4)``, determine theirs; so do as many
    independent sums as there are variables.
    """
    known = _split(target)
    left = [part for part in target.subscripts if part.terms]
    while True:
        rest = []
        for part in left:
            unknown = set(variables(part)) - known
            held = [atom for _, atom in part.terms if _holds(atom, unknown)]
            if len(unknown) == 1 and len(held) == 1 and isinstance(held[0], Var):
                known |= unknown
            elif unknown:
                rest.append(part)
        if len(rest) == len(left):
            break
        left = rest
    parts = [_without(part, known) for part in left]
    return [] if _independent(parts) else parts


def _split(target: Access) -> set[str]:
    """Index variables of which the target has the quotient and the remainder."""
    found = set()
    for part in target.subscripts:
        match part:
            case Affine(terms=((Monomial(value=1, names=()), Floor() as floor),)):
                name = single(floor.inner)
            case _:
                continue
        if name is not None:
            step = Monomial(-floor.divisor.value, floor.divisor.names)
            rest = {(Monomial(1), Var(name)), (step, floor)}
            if any(set(other.terms) == rest for other in target.subscripts):
                found.add(name)
    return found


def _independent(parts: list[Affine]) -> bool:
    """Whether sums with integer factors fix all their variables: full column rank."""
    names = dict.fromkeys(name for part in parts for name in variables(part))
    if len(names) > len(parts):
        return False
    rows = []
    for part in parts:
        factors = dict.fromkeys(names, 0)
        for monomial, atom in part.terms:
            if not isinstance(atom, Var) or monomial.names:
                return False
            factors[atom.name] = monomial.value
        rows.append(list(factors.values()))
    for column in range(len(names)):
        pivot = next((r for r in rows[column:] if r[column]), None)
        if pivot is None:
            return False
        rows.remove(pivot)
        rows.insert(column, pivot)
        for row in rows[column + 1 :]:
            own, its = row[column], pivot[column]  # cross-multiplied, all stay whole
            row[:] = [x * its - y * own for x, y in zip(row, pivot, strict=True)]
    return True


def _holds(atom: Atom, names: set[str]) -> bool:
    return not names.isdisjoint(variables(Affine(((Monomial(1), atom),))))


def _without(part: Affine, known: set[str]) -> Affine:
    terms: tuple[tuple[Monomial, Atom], ...] = tuple(
        (m, a) for m, a in part.terms if not isinstance(a, Var) or a.name not in known
    )
    return Affine(terms, part.offset, part.span)


def _twice(target: Access, part: Affine, text: str | None) -> EinsumError:
    names = " and ".join(dict.fromkeys(variables(part)))
    return EinsumError(
        f"= writes some places of {target.tensor} more than once: "
        f"{deparse(part)} is the same for several {names}",
        text=text,
        spans=[part.span] if part.span else [],
        hint="Say how they combine: += adds them up, max= keeps the largest.",
    )

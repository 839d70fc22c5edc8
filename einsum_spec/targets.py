"""Does a target hit a place twice?  Then `=` has no meaning, and only a reduction will do."""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.tree import Access, Affine, Floor, Monomial, Statement, Var
from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import EinsumError


def check_target(form: Form, statement: Statement, text: str | None = None) -> None:
    """Refuse a ``=`` whose target hits a place twice at every extent above 1.

    What depends on the extents, such as ``O[2*p+r]``, is `check_target_extents`'s.
    """
    if statement.reduction is not None:
        return
    for part in _undetermined(form.target):
        coefficients = [m for m, _ in part.terms]
        floored = any(isinstance(atom, Floor) for _, atom in part.terms)
        if floored or len(set(coefficients)) < len(coefficients) or form.reduction is not None:
            raise _twice(form.target, part, text)


def check_target_extents(
    form: Form, ranks: Mapping[str, int], values: Mapping[str, int], text: str | None = None
) -> None:
    """Refuse a ``=`` whose target hits a place twice at these extents."""
    if form.reduction is not None:
        return
    for part in _undetermined(form.target):
        reach = 0
        terms = [
            (abs(monomial_value(m, values)), ranks[atom.name] - 1)
            for m, atom in part.terms
            if isinstance(atom, Var)
        ]
        for step, last in sorted(t for t in terms if t[1] > 0):
            if step <= reach:
                raise _twice(form.target, part, text)
            reach += step * last


def _undetermined(target: Access) -> list[Affine]:
    """Subscripts of several variables that no other subscript determines.

    A subscript determines its variable where it holds one whose place follows from it;
    a subscript of several does so once all others of it are determined.
    """
    known: set[str] = set()
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
    return [_without(part, known) for part in left]


def _holds(atom: Var | Floor, names: set[str]) -> bool:
    if isinstance(atom, Var):
        return atom.name in names
    return not names.isdisjoint(variables(atom.inner))


def _without(part: Affine, known: set[str]) -> Affine:
    terms: tuple[tuple[Monomial, Var | Floor], ...] = tuple(
        (m, a) for m, a in part.terms if isinstance(a, Floor) or a.name not in known
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

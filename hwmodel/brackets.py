"""Iverson brackets of index variables in a product: the points outside are never fetched.

    inside[m,p] |= (p <= m)                          points that the loops go over
    busy[m,i] += inside[m,p]*nzQ[m,k]*nzK[p,k]
    openK[m//2,p//4] |= inside[m,p]                  tiles that have any of them: others do not come

So do loop bounds: what is outside takes no cycle, and nothing is read for it, whatever the design
does about zeros.  A tile is a box: it comes whole where it has a point inside.  Under a reduction
to which a zero is no nothing (``max[m](A[m]*(m <= p))``), a bracket is a number like any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.form import Term
from zeroskip.einsum_spec.subscripts import fold
from zeroskip.einsum_spec.tree import Affine, Compare, Expr, Place
from zeroskip.einsum_spec.walk import expressions, gathers, variables
from zeroskip.formats.level_data import check_room
from zeroskip.hwmodel.subscript_values import values_of

Bits = NDArray[np.bool_]

_HOLDS = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
    "!=": np.not_equal,
}


def is_bracket(factor: Expr) -> bool:
    """Whether a factor compares index variables alone."""
    match factor:
        case Compare(left=Affine() as left, right=Affine() as right):
            return not any(True for side in (left, right) for _ in gathers(side))
        case _:
            return False


def brackets_of(
    term: Term, values: Mapping[str, int]
) -> tuple[tuple[Compare, ...], tuple[Expr, ...]]:
    """The brackets among the factors of a term, every constant multiplied out; and as written."""
    found, written = [], []
    for factor in term.factors:
        if is_bracket(factor):
            assert isinstance(factor, Compare)
            assert isinstance(factor.left, Affine)
            assert isinstance(factor.right, Affine)
            sides = fold(factor.left, values), fold(factor.right, values)
            found.append(Compare(factor.op, *sides))
            written.append(factor)
    return tuple(found), tuple(written)


def counters_of(term: Term, brackets: Sequence[Expr] = ()) -> int:
    """Places that a term has as values, each of them once: of ``A[m]*m`` one, and of a bracket that
    is multiplied; a comparison of places inside a function costs nothing, as functions do.

    brackets : factors that are none.
    """
    found: dict[Expr | Affine, None] = {}
    for factor in term.factors:
        if factor in brackets:
            continue
        for part in expressions(factor):
            if isinstance(part, Place):
                found[part.subscript] = None
            elif is_bracket(part):
                found |= {part: None} if part is factor else {}
            elif isinstance(part, Compare):
                found |= dict.fromkeys(s for s in (part.left, part.right) if isinstance(s, Affine))
    return len(found)


def ranks_of(brackets: Sequence[Compare]) -> tuple[str, ...]:
    """Index variables that brackets compare, in order."""
    sides = (side for one in brackets for side in (one.left, one.right))
    return tuple(dict.fromkeys(v for s in sides if isinstance(s, Affine) for v in variables(s)))


def inside_of(brackets: Sequence[Compare], extents: Mapping[str, int]) -> Bits:
    """Where all of them hold, over the extents of their `ranks_of`."""
    ranks = ranks_of(brackets)
    shape = tuple(extents[rank] for rank in ranks)
    hint = f"Charge a part of the layer, with shorter {' and '.join(ranks)}."
    check_room(prod(shape), 32, f"the places of {', '.join(ranks)}", hint)
    grid = np.ogrid[tuple(slice(0, n) for n in shape)]
    at = dict(zip(ranks, (np.asarray(axis, np.int64) for axis in grid), strict=True))
    at = at or {"": np.zeros((), np.int64)}
    found = np.ones(shape, np.bool_)
    for one in brackets:
        assert isinstance(one.left, Affine)
        assert isinstance(one.right, Affine)
        found &= _HOLDS[one.op](values_of(one.left, at), values_of(one.right, at))
    return found

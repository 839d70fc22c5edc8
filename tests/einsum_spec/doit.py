"""SymPy as a judge: the right side of an `Eq`, computed by ``doit()`` place by place.

It knows nothing of forms, loops, formats or NumPy: sums and reductions are SymPy's, and numbers
are rational.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import sympy as sp

Pads = Mapping[str, tuple[tuple[int, int], ...]]


def computed(
    expr: Any,
    arrays: Mapping[str, Any],
    numbers: Mapping[str, int],
    shape: tuple[int, ...],
    pads: Pads | None = None,
) -> Any:
    """The result of a line as an array of rationals, as objects.

    arrays : operands, of no axes too; pads : of each, places on both sides that hold 0.
    numbers : extents and constants.  shape : of the result, whose subscripts are plain.
    """
    held = {name: np.asarray(array) for name, array in arrays.items()}
    symbols = {sp.Symbol(name, integer=True): n for name, n in numbers.items()}
    symbols |= {sp.Symbol(name): _number(x) for name, x in held.items() if not x.ndim}
    reads = {
        name: _operand(name, x, (pads or {}).get(name) or ((0, 0),) * x.ndim)
        for name, x in held.items()
    }
    right = expr.rhs.replace(
        lambda e: isinstance(e, sp.Indexed), lambda e: reads[str(e.base)](*e.indices)
    )
    names = [sp.Symbol(str(index), integer=True) for index in getattr(expr.lhs, "indices", ())]
    found = np.zeros(shape, object)
    for place in product(*map(range, shape)):
        at = symbols | dict(zip(names, place, strict=True))
        found[place] = sp.nsimplify(_done(right.subs(at)), rational=True)
    return found


def _done(expr: Any) -> Any:
    """``doit()``; where SymPy fails to sum comparisons by symbols, with its sums written out."""
    try:
        value = expr.doit()
    except TypeError:
        return expr.replace(sp.Sum, _written_out).doit()
    return value if value.is_real else expr.replace(sp.Sum, _written_out).doit()


def _written_out(body: Any, *limits: tuple[Any, Any, Any]) -> Any:
    ranges = [range(int(low), int(high) + 1) for _, low, high in limits]
    names = [name for name, _, _ in limits]
    return sp.Add(*(body.subs(dict(zip(names, at, strict=True))) for at in product(*ranges)))


def _operand(name: str, array: Any, pads: tuple[tuple[int, int], ...]) -> Any:
    """The function of SymPy that is the operand's value at places, once they are numbers."""

    def eval(cls: Any, *places: Any) -> Any:
        if not all(place.is_Integer for place in places):
            return None
        inside = [int(x) - lo for x, (lo, _) in zip(places, pads, strict=True)]
        around = zip(inside, array.shape, pads, strict=True)
        if not all(-lo <= x < n + hi for x, n, (lo, hi) in around):
            return None  # SymPy looks past a sum's ends for what telescopes
        if all(0 <= x < n for x, n in zip(inside, array.shape, strict=True)):
            return _number(array[tuple(inside)])
        return sp.Integer(0)

    return type(name, (sp.Function,), {"eval": classmethod(eval)})


def _number(value: Any) -> Any:
    exact = Fraction(float(value)) if not isinstance(value, int) else Fraction(value)
    return sp.Rational(exact.numerator, exact.denominator)

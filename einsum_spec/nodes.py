"""SymPy nodes of our own, for what SymPy would rewrite into something else.

Imports SymPy; `zeroskip.einsum_spec.expression` alone imports this.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import sympy
from sympy.core.symbol import Str


class Pointwise(sympy.Expr):  # type: ignore[misc]
    """``Pointwise("relu", x)``: a function of the language that SymPy must not rewrite."""

    is_commutative = True

    def __new__(cls, name: object, *args: object) -> Any:
        return sympy.Basic.__new__(cls, _str(name), *map(sympy.sympify, args))

    def doit(self, **hints: Any) -> Any:
        return _MEANING[str(self.args[0])](*(arg.doit(**hints) for arg in self.args[1:]))

    def _sympystr(self, printer: Any) -> str:
        return f"{self.args[0]}({', '.join(map(printer.doprint, self.args[1:]))})"


class Minus(sympy.Expr):  # type: ignore[misc]
    """``-x`` that does not cancel against ``x``."""

    is_commutative = True

    def doit(self, **hints: Any) -> Any:
        return -self.args[0].doit(**hints)

    def _sympystr(self, printer: Any) -> str:
        return f"Minus({printer.doprint(self.args[0])})"


class Iverson(sympy.Expr):  # type: ignore[misc]
    """``Iverson("<=", m, p)``: 1 where the comparison holds, else 0."""

    is_commutative = True

    def __new__(cls, op: object, left: object, right: object) -> Any:
        return sympy.Basic.__new__(cls, _str(op), sympy.sympify(left), sympy.sympify(right))

    def doit(self, **hints: Any) -> Any:
        op, left, right = self.args
        holds = sympy.Rel(left.doit(**hints), right.doit(**hints), str(op))
        return sympy.Piecewise((1, holds), (0, True))

    def _sympystr(self, printer: Any) -> str:
        op, left, right = self.args
        return f"[{printer.doprint(left)} {op} {printer.doprint(right)}]"


class Reduction(sympy.Expr):  # type: ignore[misc]
    """``Reduction("max", body, (k, 0, K - 1))``; op is one of ``prod max min any all sum``."""

    is_commutative = True

    def __new__(cls, op: object, body: object, *limits: object) -> Any:
        ranges = (sympy.Tuple(*limit) for limit in limits)  # type: ignore[misc]
        return sympy.Basic.__new__(cls, _str(op), sympy.sympify(body), *ranges)

    @property
    def bound_symbols(self) -> list[Any]:
        return [limit[0] for limit in self.args[2:]]

    @property
    def free_symbols(self) -> Any:
        ends = set().union(*(limit[2].free_symbols for limit in self.args[2:]))
        return (self.args[1].free_symbols - set(self.bound_symbols)) | ends

    def doit(self, **hints: Any) -> Any:
        op, body, *limits = self.args
        ends = [(int(low), int(high)) for _, low, high in limits]
        values = [
            body.xreplace(dict(zip(self.bound_symbols, map(sympy.Integer, place), strict=True)))
            for place in product(*(range(low, high + 1) for low, high in ends))
        ]
        return _FOLD[str(op)]([value.doit(**hints) for value in values])

    def _sympystr(self, printer: Any) -> str:
        op, body, *limits = self.args
        ranges = ", ".join(printer.doprint(limit) for limit in limits)
        return f"{op}[{ranges}]({printer.doprint(body)})"


class Assigned(Reduction):
    """The right side of ``op=``: a reduction over every rank that the left side lacks."""


def _str(name: object) -> Any:
    return name if isinstance(name, Str) else Str(str(name))


def _truth(values: list[Any], fold: Any) -> Any:
    held = fold(*(sympy.Ne(value, 0) for value in values))
    return sympy.Piecewise((1, held), (0, True))


_FOLD: dict[str, Any] = {
    "sum": lambda values: sympy.Add(*values),
    "prod": lambda values: sympy.Mul(*values),
    "max": lambda values: sympy.Max(*values),
    "min": lambda values: sympy.Min(*values),
    "any": lambda values: _truth(values, sympy.Or),
    "all": lambda values: _truth(values, sympy.And),
    "argmax": lambda values: sympy.Integer(values.index(sympy.Max(*values))),
    "argmin": lambda values: sympy.Integer(values.index(sympy.Min(*values))),
}

_MEANING: dict[str, Any] = {
    "relu": lambda x: sympy.Max(0, x),
    "exp": sympy.exp,
    "log": sympy.log,
    "sqrt": sympy.sqrt,
    "tanh": sympy.tanh,
    "sigmoid": lambda x: 1 / (1 + sympy.exp(-x)),
    "abs": sympy.Abs,
    "sign": sympy.sign,
    "gelu": lambda x: x * (1 + sympy.erf(x / sympy.sqrt(2))) / 2,
    "swish": lambda x: x / (1 + sympy.exp(-x)),
    "floor": sympy.floor,
    "ceil": sympy.ceiling,
    "max": sympy.Max,
    "min": sympy.Min,
    "pow": sympy.Pow,
    "where": lambda c, a, b: sympy.Piecewise((a, sympy.Ne(c, 0)), (b, True)),
}

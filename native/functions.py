"""Pointwise functions: NumPy for the judges, C for the kernels."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Pointwise:
    """A function of one argument.

    python : on a Python float or int; the interpreter's judge.
    c : C text of the argument (used once or bound by the caller to a name) and dtype → C text.
    integer : whether it is defined on integers.
    """

    python: Callable[[float], float]
    c: Callable[[str, str], str]
    integer: bool


@dataclass(frozen=True, slots=True)
class Several:
    """A function of several arguments, folded from the left.

    python : of two numbers.  c : C texts of two arguments and dtype → C text.
    """

    python: Callable[[float, float], float]
    c: Callable[[str, str, str], str]

    def text(self, args: Sequence[str], dtype: str) -> str:
        made = args[0]
        for arg in args[1:]:
            made = self.c(made, arg, dtype)
        return made


def _libm(name: str) -> Callable[[str, str], str]:
    def text(x: str, dtype: str) -> str:
        return f"__builtin_{name}{'f' if dtype == 'float32' else ''}({x})"

    return text


def _helper(name: str) -> Callable[[str, str], str]:
    def text(x: str, dtype: str) -> str:
        return f"zs_{name}_{dtype}({x})"

    return text


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def _log(x: float) -> float:
    if x > 0:
        return math.log(x)
    return -math.inf if x == 0 else math.nan


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + _exp(-x))


def _gelu(x: float) -> float:
    return x * (1.0 + math.erf(x / math.sqrt(2.0))) / 2.0


def _swish(x: float) -> float:
    return x * _sigmoid(x)


def _whole(rounded: Callable[[float], int]) -> Callable[[float], float]:
    return lambda x: x if isinstance(x, np.integer) or not math.isfinite(x) else rounded(x)


def _rounding(name: str) -> Callable[[str, str], str]:
    """Text of ``floor`` or ``ceil``, which leave integers as they are."""
    text = _libm(name)
    return lambda x, dtype: text(x, dtype) if dtype.startswith("float") else x


FUNCTIONS: dict[str, Pointwise] = {
    "relu": Pointwise(lambda x: 0 if x < 0 else x, _helper("relu"), True),
    "truth": Pointwise(lambda x: int(x != 0), lambda x, dtype: f"(({x}) != 0)", True),
    "abs": Pointwise(abs, _helper("abs"), True),
    "sign": Pointwise(lambda x: int(x > 0) - int(x < 0) if x == x else x, _helper("sign"), True),
    "exp": Pointwise(_exp, _libm("exp"), False),
    "log": Pointwise(_log, _libm("log"), False),
    "sqrt": Pointwise(_sqrt, _libm("sqrt"), False),
    "tanh": Pointwise(math.tanh, _libm("tanh"), False),
    "floor": Pointwise(_whole(math.floor), _rounding("floor"), True),
    "ceil": Pointwise(_whole(math.ceil), _rounding("ceil"), True),
    "gelu": Pointwise(_gelu, _helper("gelu"), False),
    "swish": Pointwise(_swish, _helper("swish"), False),
    "sigmoid": Pointwise(_sigmoid, _helper("sigmoid"), False),
}


def _extreme(name: str) -> Callable[[str, str, str], str]:
    return lambda a, b, dtype: f"zs_{name}_{dtype}({a}, {b})"


def _pow(a: float, b: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.power(np.float64(a), np.float64(b)))


SEVERAL: dict[str, Several] = {
    "max": Several(lambda a, b: a if a != a or a > b else b, _extreme("max")),
    "min": Several(lambda a, b: a if a != a or a < b else b, _extreme("min")),
    "pow": Several(
        _pow, lambda a, b, dtype: f"__builtin_pow{'f' if dtype == 'float32' else ''}({a}, {b})"
    ),
}
"""But ``where``, which is `values.Choose`."""

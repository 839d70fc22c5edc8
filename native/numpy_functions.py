"""Reductions, comparisons and pointwise functions as NumPy has them.

What the dense reference computes with, and the dense rows of a benchmark; `functions` says what
a loop nest computes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

REDUCE: dict[str, np.ufunc] = {
    "+": np.add,
    "*": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "|": np.logical_or,
    "&": np.logical_and,
}


COMPARE: dict[str, np.ufunc] = {
    "<": np.less,
    "<=": np.less_equal,
    "==": np.equal,
    "!=": np.not_equal,
    ">=": np.greater_equal,
    ">": np.greater,
}


#: Functions of several arguments, but ``where``.
SEVERAL: dict[str, np.ufunc] = {"max": np.maximum, "min": np.minimum, "pow": np.power}


def _sigmoid(x: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-x)))


def _gelu(x: Array) -> Array:
    erf = np.frompyfunc(math.erf, 1, 1)(x / math.sqrt(2))
    return np.asarray(x * (1 + np.asarray(erf).astype(np.float64)) / 2)


POST: dict[str | None, Callable[[Array], Array]] = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, np.zeros((), x.dtype)),
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "abs": np.abs,
    "sign": np.sign,
    "gelu": _gelu,
    "swish": lambda x: x * _sigmoid(x),
    "floor": np.floor,
    "ceil": np.ceil,
}

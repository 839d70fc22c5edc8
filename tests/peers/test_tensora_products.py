"""Expressions × formats in tensora's grammar: zeroskip, tensora and NumPy give the same.

Neither the wheel nor the source archive of tensora holds its tests; the expressions here are
ours, and every combination of its formats (``d`` dense, ``s`` compressed, ``d1s0`` by columns)
is asked of tensora itself.  Where it has no kernel, as for discordant orders, NumPy alone judges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
import pytest
from peering import agree, leave_out

import zeroskip as zs

tensora = pytest.importorskip("tensora", reason="tensora is not installed: make peers")

NO_KERNEL = pytest.importorskip("tensora.desugar").NoKernelFoundError

SIZES = {"i": 4, "j": 5, "k": 3}
VECTOR, ROWS = ("d", "s"), ("dd", "ds", "sd", "ss")
MATRIX = (*ROWS, "d1d0", "d1s0", "s1d0", "s1s0")
CUBE = tuple(map("".join, product("ds", repeat=3)))

# Expression -> the formats of each tensor in turn, and what NumPy computes.
PRODUCTS = {
    "y(i) = A(i,j) * x(j)": {"y": VECTOR, "A": MATRIX, "x": VECTOR},
    "y() = x(i) * z(i)": {"y": ("",), "x": VECTOR, "z": VECTOR},
    "y(i) = x(i) + z(i)": {"y": VECTOR, "x": VECTOR, "z": VECTOR},
    "A(i,j) = B(i,j) + C(i,j)": {"A": ("dd", "ds", "ss"), "B": ROWS, "C": ROWS},
    "A(i,j) = B(i,j) * C(i,j)": {"A": ("dd", "ds", "ss"), "B": ROWS, "C": ROWS},
    "A(i,k) = B(i,j) * C(j,k)": {"A": ("dd", "ds"), "B": ROWS, "C": ROWS},
    "y(i) = b(i) - A(i,j) * x(j)": {"y": VECTOR, "b": VECTOR, "A": ROWS, "x": VECTOR},
    "A(i,j) = T(i,j,k) * x(k)": {"A": ("dd", "ss"), "T": CUBE, "x": VECTOR},
    "A(i,j) = S(i,j) * B(i,k) * C(j,k)": {
        "A": ("dd", "ds"),
        "S": ROWS,
        "B": ("dd", "ds"),
        "C": ("dd", "ds"),
    },
}
ACCESS = re.compile(r"(\w)\(([^)]*)\)")


def _cases() -> Iterator[tuple[str, dict[str, str]]]:
    for expression, formats in PRODUCTS.items():
        for chosen in product(*formats.values()):
            yield expression, dict(zip(formats, chosen, strict=True))


CASES = list(_cases())


def _name(expression: str, formats: Mapping[str, str]) -> str:
    return f"{expression} {' '.join(f'{name}:{x}' for name, x in formats.items())}"


def _format(text: str) -> str:
    """A format of tensora's in zeroskip's notation: ``d1s0`` is ``1:U 0:C``."""
    modes = re.findall(r"([ds])(\d?)", text)
    return " ".join(f"{axis or k}:{'U' if m == 'd' else 'C'}" for k, (m, axis) in enumerate(modes))


def _operands(expression: str) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(len(expression))
    found = {}
    for name, ranks in ACCESS.findall(expression.split("=")[1]):
        shape = [SIZES[rank] for rank in ranks.split(",")]
        found[name] = rng.integers(1, 9, shape) * (rng.random(shape) < 0.5) * 1.0
    return found


def _expected(expression: str, operands: Mapping[str, np.ndarray]) -> np.ndarray:
    """The sum of its terms, each by NumPy's einsum."""
    left, right = expression.split(" = ")
    out = "".join(ranks.replace(",", "") for _, ranks in ACCESS.findall(left))
    total = np.zeros([SIZES[rank] for rank in out])
    for sign, term in re.findall(r"(^|[+-] )([^+-]+)", right):
        factors = ACCESS.findall(term)
        inputs = ",".join(ranks.replace(",", "") for _, ranks in factors)
        value = np.einsum(f"{inputs}->{out}", *(operands[name] for name, _ in factors))
        total = total - value if sign == "- " else total + value
    return total


@pytest.mark.parametrize(("expression", "formats"), CASES, ids=[_name(*case) for case in CASES])
def test_all_three_agree(expression: str, formats: Mapping[str, str]) -> None:
    leave_out("tensora", _name(expression, formats))
    operands = _operands(expression)
    expected = _expected(expression, operands)
    result = formats[expression[0]]
    line = ACCESS.sub(r"\1[\2]", expression).replace("[]", "")
    given = {name: zs.tensor(x, _format(formats[name])) for name, x in operands.items()}
    agree(zs.einsum(line, **given, format=_format(result) or None), expected)
    theirs = {
        name: tensora.Tensor.from_numpy(x, format=formats[name]) for name, x in operands.items()
    }
    try:
        answer = tensora.evaluate(expression, result, **theirs)
    except NO_KERNEL:
        return
    assert np.array_equal(answer.to_numpy(), expected)

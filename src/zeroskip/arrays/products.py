"""``A @ B``: the matrix product as a line of Einsum."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from zeroskip.arrays.operands import axes_of, broadcast_shape, retyped, subscripts
from zeroskip.computing import einsum
from zeroskip.errors import TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.reshaping import free_of_groups
from zeroskip.formats.tensor import Tensor


def matmul(a: Any, b: Any) -> Any:
    """The product of two operands, of which axes before the last two are broadcast.

    A `Tensor` where both are, else an ndarray; a scalar for two vectors.
    """
    for x, side in ((a, "left"), (b, "right")):
        if not axes_of(x):
            raise TensorError(f"the operand on the {side} of @ has no axes; write * for a number")
    inner = a.shape[-1], b.shape[-2 if b.ndim > 1 else 0]
    if inner[0] != inner[1]:
        raise TensorError(
            f"shapes {a.shape} and {b.shape} do not match for @: {inner[0]} columns on the left, "
            f"{inner[1]} rows on the right"
        )
    *_, dtype = np.matmul.resolve_dtypes((a.dtype, b.dtype, None))
    line, axes = _line(a.shape[:-2], b.shape[:-2], a.ndim > 1, b.ndim > 1)
    cast = [retyped(x, dtype) if dtype != np.bool_ else x for x in (a, b)]
    both = isinstance(a, Tensor) and isinstance(b, Tensor) and axes
    format = _format(a, b, axes) if both else None
    result = einsum(line, A=cast[0], B=cast[1], format=format)
    result = retyped(result, dtype)
    return result if axes else result[()]


@lru_cache(maxsize=256)
def _line(
    outer_a: tuple[int, ...], outer_b: tuple[int, ...], by_rows: bool, by_columns: bool
) -> tuple[str, int]:
    """The line, and how many axes its result has."""
    rows, columns = ["m"] * by_rows, ["n"] * by_columns
    outer = broadcast_shape([outer_a, outer_b])
    target = [*(f"i{axis}" for axis in range(len(outer))), *rows, *columns]
    if not target:
        return "O = A[k]*B[k]", 0
    left = [subscripts(outer_a, outer), *rows, "k"]
    right = [subscripts(outer_b, outer), "k", *columns]
    return f"O[{_list(target)}] = A[{_list(left)}]*B[{_list(right)}]", len(target)


def _list(parts: list[str]) -> str:
    return ",".join(part for part in parts if part)


def _format(a: Tensor, b: Tensor, ndim: int) -> Format:
    """That of an operand with as many axes as the result, the first where both have."""
    return free_of_groups(
        next((x.format for x in (a, b) if x.ndim == ndim), Format("COO").bind(ndim))
    )

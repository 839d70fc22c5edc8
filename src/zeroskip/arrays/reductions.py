"""Reductions of a tensor, each a line of Einsum: ``O[i1] += A[i0,i1]``."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from zeroskip.arrays.operands import put_out, retyped
from zeroskip.computing import einsum
from zeroskip.errors import IndexingError, TensorError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import HALVES

ASSIGNED_BY = {
    "sum": "+=", "mean": "+=", "prod": "*=", "max": "max=", "min": "min=", "any": "|=", "all": "&="
}  # fmt: skip
PLACES = ("argmax", "argmin")
NEEDS_ONE = ("max", "min", *PLACES)
"""Reductions of which nothing is the value of nothing."""

REDUCED_BY: dict[np.ufunc, str] = {
    np.add: "sum",
    np.multiply: "prod",
    np.maximum: "max",
    np.minimum: "min",
    np.logical_or: "any",
    np.logical_and: "all",
}


def reduce(
    name: str,
    tensor: Tensor,
    axis: int | Sequence[int] | None,
    dtype: Any,
    out: Any,
    keepdims: bool,
    format: Any,
) -> Any:
    """A reduction over axes: an ndarray, a scalar where no axis is left, or a `Tensor` in
    ``format``; its type is NumPy's."""
    if name in PLACES and axis is None and tensor.ndim != 1:
        whole = reduce(name, tensor.reshape(-1), 0, None, None, False, None)
        return _finished(np.asarray(whole), (1,) * tensor.ndim if keepdims else (), out)
    axes = read_axes(axis, tensor.ndim)
    if name in PLACES and (len(axes) != 1 or isinstance(axis, Sequence)):
        raise TensorError(f"{name} runs along one axis, found {axis!r}")
    reduced = [tensor.shape[a] for a in axes]
    left = [a for a in range(tensor.ndim) if a not in axes]
    if name in NEEDS_ONE and 0 in reduced and 0 not in [tensor.shape[a] for a in left]:
        raise TensorError(
            f"the {name} over axes {axes} of shape {tensor.shape} is of no values, and has none"
        )
    held, given = _types(name, tensor, dtype)
    every = ",".join(f"i{a}" for a in range(tensor.ndim))
    kept = ",".join(f"i{a}" for a in left)
    target = f"O[{kept}]" if left else "O"
    if not tensor.ndim:
        result: Any = np.asarray(0) if name in PLACES else tensor.toarray()
    elif name in PLACES:
        result = einsum(f"{target} = {name}[i{axes[0]}](A[{every}])", A=held, format=format)
    else:
        result = einsum(f"{target} {ASSIGNED_BY[name]} A[{every}]", A=held, format=format)
    if name == "mean":
        with np.errstate(all="ignore"):
            result = result / held.dtype.type(prod(reduced))
    result = retyped(result, given)
    shape = tuple(1 if a in axes else extent for a, extent in enumerate(tensor.shape))
    return _finished(result, shape if keepdims else tuple(tensor.shape[a] for a in left), out)


def _types(name: str, tensor: Tensor, dtype: Any) -> tuple[Tensor, np.dtype[Any]]:
    """What is reduced, and the type of the result; the sum of a mean of halves may be infinite
    in their own type."""
    one = np.ones(1, tensor.dtype)
    given = getattr(np, name)(one, **({} if dtype is None else {"dtype": dtype})).dtype
    if name == "mean" and given.name in HALVES:
        return retyped(tensor, np.dtype(np.float32)), given
    return (retyped(tensor, given) if name in ("sum", "prod", "mean") else tensor), given


def _finished(result: Any, shape: tuple[int, ...], out: Any) -> Any:
    result = result.reshape(shape)
    if out is not None:
        return put_out(result, out)
    return result[()] if isinstance(result, np.ndarray) and not shape else result


def read_axes(axis: int | Sequence[int] | None, ndim: int) -> tuple[int, ...]:
    """Axes as numbers from 0, in order; refuses what is no axis, or one given twice."""
    if axis is None:
        return tuple(range(ndim))
    given = tuple(axis) if isinstance(axis, Sequence) else (axis,)
    axes = []
    for each in given:
        try:
            number = each.__index__()
        except (AttributeError, TypeError):
            raise TensorError(f"an axis is an integer, found {each!r}") from None
        if not -ndim <= number < ndim:
            raise IndexingError(f"axis {number} of a tensor of {ndim} axes")
        axes.append(number % ndim)
    if len(set(axes)) < len(axes):
        raise TensorError(f"axis {axis!r} names an axis twice")
    return tuple(sorted(axes))

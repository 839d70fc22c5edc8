"""Operands and results of operators: read, broadcast, retyped, put where ``out=`` says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.convert import as_array, tensor
from zeroskip.formats.reshaping import with_values
from zeroskip.formats.scipy_io import is_scipy
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.torch_io import from_torch, is_torch
from zeroskip.formats.values import check_dtype, is_masked


def read_operand(x: Any) -> Any:
    """A `Tensor`, an ndarray with axes, or a number; ``NotImplemented`` for anything else."""
    if isinstance(x, Tensor):
        return x
    if is_torch(x):
        x = from_torch(x) if str(x.layout) == "torch.strided" else tensor(x)
    elif is_scipy(x):
        x = tensor(x)
    elif isinstance(x, list | tuple) or is_masked(x):
        x = as_array(x)
    if isinstance(x, np.ndarray | np.generic):
        check_dtype(x.dtype)
        return x if x.ndim else np.asarray(x)[()]
    known = isinstance(x, Tensor | bool | int | float)
    return x if known else NotImplemented


def axes_of(x: Any) -> int:
    """Axes of what `read_operand` gives; NumPy's ``ndim`` asks a tensor by a long way."""
    return getattr(x, "ndim", 0)


def is_sparse(x: Tensor) -> bool:
    """Whether anything may be left unstored."""
    return any(not level.spec.full for level in x.levels)


def broadcast_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        found = " and ".join(map(str, shapes))
        raise TensorError(f"shapes {found} cannot be broadcast together") from None


def subscripts(shape: tuple[int, ...], whole: tuple[int, ...]) -> str:
    """Subscripts of an operand that is broadcast to a shape: ``i0,0,i2``, 0 on an axis that is
    stretched."""
    first = len(whole) - len(shape)
    return ",".join(
        f"i{axis}" if extent == whole[axis] else "0" for axis, extent in enumerate(shape, first)
    )


def retyped(x: Any, dtype: np.dtype[Any]) -> Any:
    """The result or operand in another type; whole numbers wrap around, as NumPy's do."""
    if x.dtype == dtype:
        return x
    if isinstance(x, Tensor):
        return with_values(x, x.values.astype(dtype), x.fill.astype(dtype))
    return x.astype(dtype)


def put_out(result: Any, out: Any) -> Any:
    """Copy a result into ``out``, and return that.

    Raises `TensorError` where it is no ndarray of the shape and of a type that can take it.
    The result was computed beside it, so that ``out`` may be an operand.
    """
    if isinstance(out, tuple) and len(out) == 1:
        (out,) = out
    if isinstance(out, Tensor):
        raise TensorError("out= is a Tensor, which is immutable; pass an ndarray")
    shape, dtype = np.shape(result), result.dtype
    if not isinstance(out, np.ndarray):
        raise TensorError(f"out=: expected an ndarray of shape {shape}, found {type(out).__name__}")
    if out.shape != shape or not np.can_cast(dtype, out.dtype, "same_kind"):
        raise TensorError(
            f"out=: expected a {dtype} array of shape {shape}, "
            f"found {out.dtype} of shape {out.shape}"
        )
    if not out.flags.writeable:
        raise TensorError("out=: the array is read-only")
    np.copyto(out, result.toarray() if isinstance(result, Tensor) else result, casting="same_kind")
    return out

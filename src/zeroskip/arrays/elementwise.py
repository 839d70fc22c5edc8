"""NumPy's functions on tensors: `apply`.

A function of one tensor (and numbers) maps what is stored and the fill.  One of several operands
with axes is a line of Einsum: ``O[i,j] = A[i,j] + B[i,0]``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from zeroskip.arrays.operands import (
    axes_of,
    broadcast_shape,
    is_sparse,
    put_out,
    read_operand,
    retyped,
    subscripts,
)
from zeroskip.arrays.products import matmul
from zeroskip.arrays.reductions import REDUCED_BY, reduce
from zeroskip.computing import einsum
from zeroskip.errors import TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.reshaping import free_of_groups, with_values
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.torch_io import is_torch, to_torch
from zeroskip.formats.values import is_float

LINES: dict[np.ufunc, str] = {
    np.add: "{a} + {b}",
    np.subtract: "{a} - {b}",
    np.multiply: "{a}*{b}",
    np.divide: "{a}/{b}",
    np.power: "pow({a}, {b})",
    np.maximum: "max({a}, {b})",
    np.minimum: "min({a}, {b})",
    np.equal: "({a} == {b})",
    np.not_equal: "({a} != {b})",
    np.less: "({a} < {b})",
    np.less_equal: "({a} <= {b})",
    np.greater: "({a} > {b})",
    np.greater_equal: "({a} >= {b})",
}
"""Functions of two operands with axes."""

OF_TRUTHS: dict[np.ufunc, str] = {
    np.add: "max({a}, {b})",
    np.multiply: "{a}*{b}",
    np.maximum: "max({a}, {b})",
    np.minimum: "{a}*{b}",
    np.logical_or: "max({a}, {b})",
    np.logical_and: "{a}*{b}",
    np.logical_xor: "({a} != {b})",
    np.bitwise_or: "max({a}, {b})",
    np.bitwise_and: "{a}*{b}",
    np.bitwise_xor: "({a} != {b})",
}
"""Those whose result is a bool, of operands that are."""

OPPOSITES: dict[np.ufunc, np.ufunc] = {
    np.equal: np.not_equal,
    np.less_equal: np.greater,
    np.greater_equal: np.less,
}
"""Comparisons that hold where nothing is stored are the opposite of one that does not: a line
that follows what is stored.  With floats only the first: a NaN is neither greater nor not."""


def apply(ufunc: np.ufunc, method: str, operands: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What ``ufunc`` gives for operands of which one at least is a tensor.

    Raises `TensorError` for a function that would have to be computed densely, by its name.
    """
    if method == "reduce" and ufunc in REDUCED_BY:
        return _reduced(ufunc, operands, options)
    if method != "__call__" or ufunc.nout != 1 or ufunc.nin > 2:
        name = ufunc.__name__ + ("" if method == "__call__" else f".{method}")
        raise _refused(name)
    read = [read_operand(x) for x in operands]
    if any(x is NotImplemented for x in read):
        return NotImplemented
    read = [x.toarray()[()] if isinstance(x, Tensor) and not x.shape else x for x in read]
    if not any(isinstance(x, Tensor) for x in read):
        return ufunc(*read, **options)
    if ufunc is np.matmul:
        _check_options(ufunc, options, ("out",))
        result = matmul(*read)
    elif sum(axes_of(x) > 0 for x in read) < 2:
        result = _mapped(ufunc, read, options)
    else:
        result = _line(ufunc, read, options)
    (out,) = options.get("out") or (None,)
    if out is not None:
        return put_out(result, out)
    if isinstance(result, np.ndarray) and any(is_torch(x) for x in operands):
        return to_torch(result)
    return result


def _refused(name: str) -> TensorError:
    return TensorError(
        f"np.{name} of a tensor would have to be computed densely\n"
        "Write it as a line of zeroskip.einsum, or pass t.toarray()."
    )


def _mapped(ufunc: np.ufunc, read: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A function of one tensor and numbers: of each value, and of the fill."""
    _check_options(ufunc, options, ("out", "dtype"))
    dtype = {key: options[key] for key in ("dtype",) if options.get(key) is not None}
    tensor = next(x for x in read if isinstance(x, Tensor))
    values = ufunc(*(x.values if x is tensor else x for x in read), **dtype)
    with np.errstate(all="ignore"):
        fill = ufunc(*(x.fill if x is tensor else x for x in read), **dtype)
    return with_values(tensor, values, fill)


def _line(ufunc: np.ufunc, read: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """A function of two operands with axes, as a line."""
    _check_options(ufunc, options, ("out",))
    taken = [x.dtype if hasattr(x, "dtype") else type(x) for x in read]
    *wanted, given = ufunc.resolve_dtypes((*taken, None))
    truths = given == np.bool_ and ufunc in OF_TRUTHS
    if ufunc not in (OF_TRUTHS if truths else LINES):
        raise _refused(f"{ufunc.__name__} of several operands")
    if truths or given != np.bool_:
        wanted = [given, given]
    if ufunc is np.power and given.kind in "iu":
        raise TensorError(
            f"np.power of two operands of type {given} is not exact in floating point\n"
            "Convert one with .astype('float64')."
        )
    opposite = OPPOSITES.get(ufunc)
    if opposite is not None and (ufunc is np.equal or not is_float(np.dtype(wanted[0]))):
        return np.logical_not(_line(opposite, read, {}))
    shape = broadcast_shape([x.shape if hasattr(x, "shape") else () for x in read])
    cast = [
        retyped(x, dtype) if isinstance(x, Tensor) else np.asarray(x, dtype)
        for x, dtype in zip(read, wanted, strict=True)
    ]
    format = _format(ufunc, cast, len(shape))
    names = [f"{name}[{subscripts(x.shape, shape)}]" for name, x in zip("AB", cast, strict=True)]
    line = (OF_TRUTHS if truths else LINES)[ufunc].format(a=names[0], b=names[1])
    target = subscripts(shape, shape)
    result = einsum(f"O[{target}] = {line}", A=cast[0], B=cast[1], format=format)
    return retyped(result, given)


def _format(ufunc: np.ufunc, operands: Sequence[Any], ndim: int) -> Format | None:
    """The format of a result; None where it is a plain array.

    That of the first sparse operand with as many axes; H, whose groups may overflow, becomes
    C.  A dense operand makes the result dense, unless what is absent absorbs it.
    """
    sparse = [x for x in operands if isinstance(x, Tensor) and is_sparse(x)]
    if len(sparse) < len(operands):
        first = operands[0]
        absorbs = ufunc in (np.multiply, np.logical_and, np.bitwise_and) or (
            ufunc is np.divide and sparse and sparse[0] is first
        )
        if not absorbs or not sparse or sparse[0].fill:
            together = all(isinstance(x, Tensor) for x in operands)
            return Format("dense").bind(ndim) if together else None
    kept = next((x.format for x in sparse if x.ndim == ndim), Format("COO").bind(ndim))
    return free_of_groups(kept)


def _check_options(ufunc: np.ufunc, options: Mapping[str, Any], known: Sequence[str]) -> None:
    for name, value in options.items():
        if name not in known and not (name == "where" and value is True):
            raise TensorError(f"np.{ufunc.__name__} of a tensor takes no {name}=")


def _reduced(ufunc: np.ufunc, operands: Sequence[Any], options: Mapping[str, Any]) -> Any:
    if len(operands) != 1 or not isinstance(operands[0], Tensor):
        return NotImplemented
    _check_options(ufunc, options, ("axis", "dtype", "out", "keepdims"))
    (out,) = options.get("out") or (None,)
    return reduce(
        REDUCED_BY[ufunc],
        operands[0],
        options.get("axis", 0),
        options.get("dtype"),
        out,
        options.get("keepdims", False),
        None,
    )

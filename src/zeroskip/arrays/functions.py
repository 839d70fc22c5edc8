"""NumPy's functions that are no ufuncs: a few on tensors, the rest refused by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from zeroskip.arrays.elementwise import apply
from zeroskip.arrays.operands import read_operand, retyped
from zeroskip.computing import einsum
from zeroskip.errors import IndexingError, TensorError
from zeroskip.formats.convert import tensor
from zeroskip.formats.fills import same
from zeroskip.formats.reshaping import in_format
from zeroskip.formats.tensor import Tensor

ITS_OWN = frozenset(
    (
        *(np.sum, np.prod, np.mean, np.max, np.amax, np.min, np.amin, np.any, np.all),
        *(np.argmax, np.argmin, np.transpose, np.reshape, np.ravel, np.squeeze, np.expand_dims),
        *(np.shape, np.ndim, np.size, np.result_type, np.can_cast, np.iscomplexobj, np.isrealobj),
    )
)
"""Functions that ask a tensor for a method of this name, or for its shape or type."""

DENSELY = frozenset((np.array_equal, np.array_equiv, np.allclose, np.copyto))
"""Functions that look at every value, or write it, and make no array of their own."""


def call(function: Callable[..., Any], operands: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """What ``function`` gives where an operand is a tensor.

    Raises `TensorError` for a function that would have to be computed densely, by its name.
    """
    if function in _ON_TENSORS:
        return _ON_TENSORS[function](*operands, **options)
    if function in ITS_OWN:
        return function._implementation(*operands, **options)  # type: ignore[attr-defined]
    if function in DENSELY:
        dense = (x.toarray() if isinstance(x, Tensor) else x for x in operands)
        return function(*dense, **options)
    name = f"{function.__module__.replace('numpy', 'np')}.{function.__name__}"
    if function is np.save:
        raise TensorError(f"{name} would write the zeros too; use zeroskip.save")
    raise TensorError(
        f"{name} of a tensor would have to be computed densely\n"
        "Write it as a line of zeroskip.einsum, or pass t.toarray()."
    )


def dot(a: Any, b: Any, out: Any = None) -> Any:
    """``np.dot`` of vectors, matrices and numbers."""
    options = {} if out is None else {"out": (out,)}
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return apply(np.multiply, "__call__", (a, b), options)
    if np.ndim(b) > 2:
        raise TensorError(f"np.dot with a tensor of {np.ndim(b)} axes; write a line, or use @")
    return apply(np.matmul, "__call__", (a, b), options)


def concatenate(parts: Sequence[Any], axis: int | None = 0) -> Tensor:
    """Tensors one after the other along an axis, in the format of the first where it can be."""
    held = _tensors(parts)
    if axis is None:
        held, axis = [part.reshape(-1) for part in held], 0
    first = held[0]
    if not -first.ndim <= axis < first.ndim:
        raise IndexingError(f"axis {axis} of tensors of {first.ndim} axes")
    axis %= first.ndim
    for part in held:
        if part.shape[:axis] + part.shape[axis + 1 :] != (
            first.shape[:axis] + first.shape[axis + 1 :]
        ):
            found = ", ".join(str(each.shape) for each in held)
            raise TensorError(f"shapes {found} differ in more than axis {axis}")
    ends = np.cumsum([0, *(part.shape[axis] for part in held)])
    pieces = [part.coords() for part in held]
    coords = [
        np.concatenate(
            [
                crd[k] + start if k == axis else crd[k]
                for (crd, _), start in zip(pieces, ends[:-1], strict=True)
            ]
        )
        for k in range(first.ndim)
    ]
    values = np.concatenate([values for _, values in pieces])
    shape = [int(ends[-1]) if k == axis else n for k, n in enumerate(first.shape)]
    return in_format(coords, values, shape, first, first.format)


def stack(parts: Sequence[Any], axis: int = 0) -> Tensor:
    """Tensors of one shape along a new axis."""
    held = _tensors(parts)
    ndim = held[0].ndim + 1
    if not -ndim <= axis < ndim:
        raise IndexingError(f"axis {axis} of a stack of {ndim} axes")
    at = axis % ndim
    key = (*[slice(None)] * at, None)
    return concatenate([part[key] for part in held], axis=at)


def _tensors(parts: Sequence[Any]) -> list[Tensor]:
    """Every part as a tensor, of the type that NumPy gives the whole; their fills must agree."""
    read = [read_operand(part) for part in parts]
    if not read or any(np.ndim(part) == 0 or part is NotImplemented for part in read):
        raise TensorError("expected tensors and arrays, each of one axis at least")
    dtype = np.result_type(*(part.dtype for part in read))
    fill = retyped(next(part for part in read if isinstance(part, Tensor)), dtype).fill
    held = [
        retyped(part, dtype) if isinstance(part, Tensor) else tensor(part, dtype=dtype, fill=fill)
        for part in read
    ]
    for part in held:
        if not same(part.fill, fill):
            raise TensorError(
                f"tensors of fills {fill} and {part.fill} have no fill together\n"
                "Convert one: zeroskip.tensor(t, fill=...)."
            )
    return held


_ON_TENSORS: dict[Callable[..., Any], Callable[..., Any]] = {
    np.concatenate: concatenate,
    np.stack: stack,
    np.dot: dot,
    np.einsum: einsum,
}

"""`tensor()`: whatever holds numbers becomes a `Tensor`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.auto import is_auto, smallest_format
from zeroskip.formats.fills import count, read_fill, same
from zeroskip.formats.format import Format, bound_to
from zeroskip.formats.repeated import repeated
from zeroskip.formats.scipy_io import fibers_in_order, from_scipy, is_scipy
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.torch_io import from_torch, is_torch
from zeroskip.formats.values import cast, check_dtype, is_masked, read_dtype

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from zeroskip.formats.level_data import Array


def tensor(
    x: Any,
    format: Format | str = "auto",
    *,
    dtype: DTypeLike | None = None,
    fill: Any = None,
) -> Tensor:
    """A `Tensor` of what ``x`` holds, in ``format``.

    Parameters
    ----------
    x : array_like, SciPy sparse matrix or array, torch tensor, or Tensor
        Copied, never changed.  Of a dense array the non-zeros are stored: NaN is one, -0.0 is
        not.  Of a sparse one everything that it stores is, explicit zeros too; values at
        equal coordinates are added up.
    format : Format or str
        The notation of `Format`.  ``"auto"`` keeps the format of a `Tensor`; for anything
        else it takes the one of dense, bitmask, CSR and COO that costs the fewest bits in
        hardware (`Tensor.storage`), the first of equals.
    dtype : optional
        Type of the values; by default that of ``x``.
    fill : scalar, optional
        The value of what is not stored: 0, or that of a `Tensor`.  Of a dense array, or of a
        `Tensor` with another fill, everything that differs from it is stored (for NaN: what
        is not NaN).  What a SciPy or a sparse torch matrix leaves out takes this value, such
        as inf for the distance of nodes without an edge.

    Raises
    ------
    FormatError
        If the format cannot be read or does not fit the axes.
    TensorError
        If the data contradicts itself, or its type cannot be held.

    Examples
    --------
    >>> tensor([[0, 2.5], [0, 0]], "CSR")
    <Tensor 2×2 float64, format 'CSR', 1 non-zeros (density 0.25), 1 stored>
    >>> tensor([[np.inf, 2.5], [0, np.inf]], "CSR", fill=np.inf)
    <Tensor 2×2 float64, format 'CSR', 2 other (density 0.5), 2 stored, fill inf>
    """
    if fill is None and dtype is None and (made := repeated(x, format)) is not None:
        return made
    if isinstance(x, Tensor):
        held = x if dtype is None else x.astype(dtype)
        if fill is not None and not same(held.fill, read_fill(fill, held.dtype)):
            wanted = held.format if is_auto(format) else format
            return Tensor.from_dense(held.toarray(), wanted, fill=fill)
        return held if is_auto(format) else held.asformat(format)
    fill = 0 if fill is None else fill
    if is_scipy(x) and (made := _as_it_lies(x, format, dtype, fill)) is not None:
        return made
    source = from_torch(x) if is_torch(x) else from_scipy(x) if is_scipy(x) else as_array(x)
    if isinstance(source, tuple):
        coords, values, shape = source
        return from_coords(coords, _typed(values, dtype), shape, format, fill=fill)
    dense = _typed(source, dtype)
    if is_auto(format):
        stored = count(dense, read_fill(fill, dense.dtype))
        format = smallest_format(dense.shape, stored, dense.dtype)
    return Tensor.from_dense(dense, format, fill=fill)


def _as_it_lies(x: Any, format: Format | str, dtype: DTypeLike | None, fill: Any) -> Tensor | None:
    """SciPy's matrix by rows or columns in the same format, where its coordinates ascend and that
    is the format wanted; else None, and it has to be sorted."""
    lying = fibers_in_order(x)
    if lying is None:
        return None
    name, (pos, crd), values = lying
    values = _typed(values, dtype)
    own = bound_to(name, 2)
    wanted = smallest_format(x.shape, len(values), values.dtype) if is_auto(format) else format
    if bound_to(wanted, 2) != own:
        return None
    return Tensor.from_parts(x.shape, own, [{}, {"pos": pos, "crd": crd}], values, fill=fill)


def from_coords(
    coords: Sequence[Any],
    values: Any,
    shape: Sequence[int],
    format: Format | str = "auto",
    *,
    fill: Any = 0,
) -> Tensor:
    """A `Tensor` of values at coordinates: one array of integers an axis, in any order.

    Values at equal coordinates are added up (or-ed, for bool); zeros among the values are
    stored.  ``format`` and ``fill`` as in `tensor`; with a fill other than 0 a coordinate
    that is given twice is refused.

    Raises `TensorError` naming the position of a coordinate that is no integer in range.

    Examples
    --------
    >>> from_coords([[0, 2, 0], [1, 1, 1]], [1, 5, 2], (3, 2), "COO").toarray()
    array([[0, 3],
           [0, 0],
           [0, 5]])
    """
    if not is_auto(format):
        return Tensor.from_coords(coords, values, shape, format, fill=fill)
    merged = Tensor.from_coords(coords, values, shape, "COO", fill=fill)
    return merged.asformat(smallest_format(merged.shape, merged.stored, merged.dtype))


def as_array(x: Any) -> Array:
    """A dense array of an array_like; refuses what NumPy would misread."""
    if is_masked(x):
        raise TensorError("a masked array has places without a value; pass x.filled(0)")
    try:
        return np.asarray(x)
    except (ValueError, TypeError) as error:
        raise TensorError(f"{type(x).__name__} is no array of numbers: {error}") from error


def _typed(values: Array, dtype: DTypeLike | None) -> Array:
    if dtype is None:
        check_dtype(values.dtype)
        return values
    wanted = read_dtype(dtype)
    return values if values.dtype == wanted else cast(values, wanted)

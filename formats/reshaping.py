"""Other shapes of a tensor: axes in another order, other extents; other values in its places."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from operator import index
from typing import Any

import numpy as np

from zeroskip.checks import brief, is_listed
from zeroskip.errors import FormatError, IndexingError, TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import MAX_POSITIONS, Array, freeze
from zeroskip.formats.levels import Compressed, LevelFormat, Structured
from zeroskip.formats.ranks import Axis, Part, axis_of
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import check_dtype


def with_values(tensor: Tensor, values: Array, fill: Any) -> Tensor:
    """The tensor with other values in the places that it stores, and another fill."""
    check_dtype(values.dtype)
    levels = tensor.levels
    return Tensor(tensor.shape, tensor.format, levels, freeze(np.array(values)), fill)


def transpose(tensor: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Axes in another order, reversed by default; nothing stored is moved or copied.

    The rows of a CSR matrix become the columns of a CSC one.
    """
    ndim = tensor.ndim
    if axes is not None and not is_listed(axes):
        raise TensorError(f"axes: expected an order of {ndim} axes, found {brief(axes)}")
    order = range(ndim)[::-1] if axes is None else [_axis(each, ndim) for each in axes]
    if sorted(order) != list(range(ndim)):
        raise TensorError(f"axes {tuple(order)} are no order of {ndim} axes")
    shape = tuple(tensor.shape[old] for old in order)
    format = renamed(tensor.format, {old: place for place, old in enumerate(order)})
    levels = tuple(
        replace(level, axes=numbers)
        for level, numbers in zip(tensor.levels, format.order, strict=True)
    )
    return Tensor(shape, format, levels, tensor.values, tensor.fill)


def reshape(tensor: Tensor, shape: int | Sequence[int]) -> Tensor:
    """The same elements, in row-major order, in another shape; one extent may be -1.

    In the same format where it is a named one, or stores as many axes; else COO.
    """
    try:
        wanted = [index(extent) for extent in (shape if isinstance(shape, Iterable) else [shape])]
    except TypeError:
        raise TensorError(f"expected a shape such as (2, 3), found {shape!r}") from None
    known = prod(extent for extent in wanted if extent != -1)
    if wanted.count(-1) == 1 and known and not tensor.size % known:
        wanted[wanted.index(-1)] = tensor.size // known
    if prod(wanted) != tensor.size or any(extent < 0 for extent in wanted):
        raise TensorError(f"a tensor of shape {tensor.shape} has no shape {tuple(wanted)}")
    if tuple(wanted) == tensor.shape:
        return tensor
    if tensor.size > MAX_POSITIONS:
        raise TensorError(f"{tensor.size} elements are more than {MAX_POSITIONS}")
    coords, values = tensor.coords()
    flat = np.zeros(len(values), np.int64)
    for crd, extent in zip(coords, tensor.shape, strict=True):
        flat = flat * extent + crd
    made = []
    for extent in wanted[::-1]:
        flat, crd = np.divmod(flat, max(extent, 1))
        made.append(crd)
    return in_format(made[::-1], values, wanted, tensor, tensor.format.label)


def squeezed(shape: Sequence[int], axis: int | Sequence[int] | None) -> list[int]:
    """A shape without its extents of 1, or without those of these axes."""
    if axis is None:
        return [extent for extent in shape if extent != 1]
    away = [_axis(each, len(shape)) for each in (axis if isinstance(axis, Sequence) else [axis])]
    for each in away:
        if shape[each] != 1:
            raise TensorError(f"axis {each} has extent {shape[each]}; only one of 1 can go")
    return [extent for each, extent in enumerate(shape) if each not in away]


def in_format(
    coords: Sequence[Array],
    values: Array,
    shape: Sequence[int],
    like: Tensor,
    format: Format | str | None,
) -> Tensor:
    """A tensor at these coordinates with the fill of ``like``: in a format if it can, else COO."""
    if format is not None:
        try:
            bound = free_of_groups(Format(format).bind(len(shape)))
            return Tensor.from_coords(coords, values, shape, bound, fill=like.fill)
        except FormatError:
            pass
    return Tensor.from_coords(coords, values, shape, "COO", fill=like.fill)


def renamed(bound: Format, numbers: Mapping[int, int]) -> Format:
    """The format with axis ``a`` called ``numbers[a]``, and without those that have no number.

    Raises `FormatError` where what is left is no format.
    """
    ranks: list[tuple[list[Axis], LevelFormat]] = []
    for rank in bound.ranks:
        axes: list[Axis] = []
        for axis in rank.axes:
            new = numbers.get(int(axis_of(axis)))
            if new is not None:
                axes.append(replace(axis, axis=new) if isinstance(axis, Part) else new)
        if axes:
            ranks.append((axes, rank.level))
    return Format.of(ranks)


def free_of_groups(bound: Format) -> Format:
    """The format with C in the place of H(G:H), whose groups may be too full for other data."""
    if not any(isinstance(level, Structured) for level in bound.levels):
        return bound
    return Format.of(
        [
            (rank.axes, Compressed() if isinstance(rank.level, Structured) else rank.level)
            for rank in bound.ranks
        ]
    )


def _axis(given: Any, ndim: int) -> int:
    if isinstance(given, int | np.integer) and -ndim <= given < ndim:
        return int(given) % ndim
    raise IndexingError(f"{given!r} is no axis of a tensor of {ndim} axes")

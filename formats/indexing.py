"""``t[2, 1:5, ..., ::2]``: parts of a tensor, of what is stored alone.

Every index is NumPy's: integers, slices, ``...``, ``None``, arrays of integers (broadcast
together) and of truths.  Coordinates that the index picks are renumbered; nothing is densified.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np

from zeroskip.errors import FormatError, IndexingError
from zeroskip.formats.arrange import storage_order
from zeroskip.formats.fibers import (
    cut,
    cut_depth,
    run_axis,
    run_of,
    taken,
    without_outermost,
)
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import Array, Indices
from zeroskip.formats.reshaping import in_format, renamed
from zeroskip.formats.tensor import Tensor
from zeroskip.records import dataclass

Part = int | slice | None | Array
"""One index: an array has integers, and picks from one axis."""


@dataclass(frozen=True, slots=True)
class Entries:
    """Stored entries on their way to the result.

    coords : for each axis of the tensor.
    made : for each axis of the result, where it is known already.
    """

    coords: list[Indices]
    values: Array
    made: dict[int, Indices]

    def keep(self, which: Array) -> Entries:
        return Entries(
            [crd[which] for crd in self.coords],
            self.values[which],
            {axis: crd[which] for axis, crd in self.made.items()},
        )


def get(tensor: Tensor, key: Any) -> Any:
    """The part of a tensor that a key picks: a `Tensor`, or a scalar where no axis is left.

    The format is the tensor's without the axes that the key takes away; COO where these
    were flattened or what is left is no format.

    Raises
    ------
    IndexingError
        An IndexError: an index out of bounds, too many of them, or something that is none.
    """
    parts = _parts(key, tensor.shape)
    if _all_whole(parts):
        return tensor if parts or key is Ellipsis or _has_ellipsis(key) else tensor.toarray()[()]
    tensor, parts = _by_levels(*_by_fibers(tensor, parts))
    if _all_whole(parts):
        return tensor
    arrays = [i for i, part in enumerate(parts) if isinstance(part, np.ndarray)]
    if arrays:  # beside arrays an integer is an array of one
        parts = [np.asarray(p) if isinstance(p, int) else p for p in parts]
        arrays = [i for i, part in enumerate(parts) if isinstance(part, np.ndarray)]
    coords, values = tensor.coords()
    entries = Entries(list(coords), values, {})
    shape: list[int] = []
    sources: list[int | None] = []  # axis of the tensor that an axis of the result is a part of
    together = arrays == list(range(arrays[0], arrays[-1] + 1)) if arrays else False
    picked = _broadcast([parts[i] for i in arrays]) if arrays else []
    block = picked[0].shape if picked else ()
    at: int | None = None  # where the axes of the arrays stand

    def place_block() -> None:
        nonlocal at
        at = len(shape)
        shape.extend(block)
        sources.extend([_axis_of(parts, arrays[0]) if len(block) == 1 == len(arrays) else None]
                       * len(block))  # fmt: skip

    if arrays and not together:
        place_block()
    axis = 0
    for i, part in enumerate(parts):
        if part is None:
            entries.made[len(shape)] = np.zeros(len(entries.values), np.int64)
            shape.append(1)
            sources.append(None)
            continue
        if isinstance(part, np.ndarray):
            if together and i == arrays[0]:
                place_block()
        elif isinstance(part, slice):
            entries, extent = _sliced(entries, axis, part, tensor.shape[axis], len(shape))
            shape.append(extent)
            sources.append(axis)
        else:
            entries = entries.keep(entries.coords[axis] == part)
        axis += 1
    if at is not None:
        axes = [_axis_of(parts, i) for i in arrays]
        entries = _gathered(entries, axes, picked, tensor.shape, at)
    if not shape:
        return entries.values[0] if len(entries.values) else tensor.fill
    made = [entries.made[axis] for axis in range(len(shape))]
    return in_format(made, entries.values, shape, tensor, _format(tensor.format, sources))


def rows(tensor: Tensor) -> Iterator[Any]:
    """The parts along the first axis, in order."""
    if tensor.ndim < 2:
        yield from tensor.toarray()
        return
    (first, *others), values = tensor.coords()
    order = storage_order([first], [tensor.shape[0]])
    ends = np.searchsorted(first[order], np.arange(tensor.shape[0] + 1))
    format = _format(tensor.format, list(range(1, tensor.ndim)))
    for start, stop in pairwise(ends):
        row = order[start:stop]
        part = [crd[row] for crd in others]
        yield in_format(part, values[row], tensor.shape[1:], tensor, format)


# ---- what a key says ------------------------------------------------------------------------


def _parts(key: Any, shape: tuple[int, ...]) -> list[Part]:
    """One part for every axis, and None for each new one; bools are arrays of places by now."""
    keys = [_read(item) for item in (key if isinstance(key, tuple) else (key,))]
    used = sum(
        item.ndim if isinstance(item, np.ndarray) and item.dtype == bool else 1
        for item in keys
        if item is not None and item is not Ellipsis
    )
    if used > len(shape):
        raise IndexingError(
            f"too many indices: the tensor has {len(shape)} axes, and {used} were indexed"
        )
    dots = [i for i, item in enumerate(keys) if item is Ellipsis]
    if len(dots) > 1:
        raise IndexingError("an index can only have a single ellipsis ('...')")
    where = dots[0] if dots else len(keys)
    keys[where : where + 1] = [slice(None)] * (len(shape) - used)
    parts: list[Part] = []
    axis = 0
    for item in keys:
        if item is None:
            parts.append(None)
        elif isinstance(item, np.ndarray) and item.dtype == bool:
            _check_mask(item, shape[axis : axis + item.ndim], axis)
            parts.extend(item.nonzero())
            axis += item.ndim
        else:
            parts.append(_in_bounds(item, axis, shape[axis]))
            axis += 1
    return parts


def _has_ellipsis(key: Any) -> bool:
    return isinstance(key, tuple) and any(item is Ellipsis for item in key)


def _read(item: Any) -> Any:
    """An int, slice, None, ``...``, or an array of integers or bools."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, bool | np.bool_):
        raise IndexingError("a single truth is no index; write t[None] or t[:0]")
    if hasattr(item, "__index__") and not isinstance(item, np.ndarray | Tensor):
        try:
            return int(item.__index__())
        except TypeError:
            pass
    if isinstance(item, Tensor | np.ndarray | list):
        try:
            array = np.asarray(item)
        except ValueError as error:  # a ragged list
            raise IndexingError(f"{item!r:.80} is no array of indices: {error}") from None
        if array.dtype == bool and array.ndim:
            return array
        if array.dtype.kind in "iu" or (not array.size and isinstance(item, list)):
            return int(array) if not array.ndim else array.astype(np.int64)
        raise IndexingError(f"an index of type {array.dtype}; expected integers or bools")
    raise IndexingError(
        "only integers, slices (':'), '...', None, and arrays of integers or bools are indices; "
        f"found {item!r:.80}"
    )


def _check_mask(mask: Array, shape: tuple[int, ...], axis: int) -> None:
    if mask.shape != shape:
        raise IndexingError(
            f"a mask of shape {mask.shape} on axes of shape {shape}, from axis {axis} on"
        )


def _in_bounds(item: int | slice | Array, axis: int, extent: int) -> Part:
    """Integers counted from the start; raises where one names no coordinate."""
    if isinstance(item, slice):
        return item
    array = np.asarray(item)
    bad = (array < -extent) | (array >= extent)
    if bad.any():
        raise IndexingError(
            f"index {array[bad].flat[0]} is out of bounds for axis {axis} with extent {extent}"
        )
    array = np.where(array < 0, array + extent, array)
    return array if isinstance(item, np.ndarray) else int(array)


def _broadcast(arrays: list[Any]) -> list[Array]:
    try:
        return list(np.broadcast_arrays(*arrays))
    except ValueError:
        found = " ".join(str(array.shape) for array in arrays)
        raise IndexingError(f"index arrays of shapes {found} cannot be broadcast") from None


def _axis_of(parts: list[Part], i: int) -> int:
    """The axis of the tensor that part ``i`` indexes."""
    return sum(part is not None for part in parts[:i])


def _all_whole(parts: list[Part]) -> bool:
    return all(isinstance(part, slice) and part == slice(None) for part in parts)


def _by_fibers(tensor: Tensor, parts: list[Part]) -> tuple[Tensor, list[Part]]:
    """Where a part takes fibers of the outermost rank: these, and what is then left to be done."""
    axis = run_axis(tensor)
    places = [i for i, part in enumerate(parts) if part is not None]
    if axis is None or not places:
        return tensor, parts
    part, others = parts[places[axis]], [p for i, p in enumerate(parts) if i != places[axis]]
    rest: Part = slice(None)
    if isinstance(part, int):
        tensor, rest = run_of(tensor, part, part + 1), 0
    elif isinstance(part, slice) and part != rest:
        start, stop, step = _indices(part, axis, tensor.shape[axis])
        if step == 1:
            tensor = run_of(tensor, start, max(start, stop))
        else:
            tensor = taken(tensor, np.arange(start, stop, step))
    elif isinstance(part, np.ndarray) and part.ndim == 1 and all(map(_is_slice, others)):
        tensor = taken(tensor, part)
    else:
        return tensor, parts
    return tensor, [rest if i == places[axis] else p for i, p in enumerate(parts)]


def _by_levels(tensor: Tensor, parts: list[Part]) -> tuple[Tensor, list[Part]]:
    """Where parts take coordinates of ranks below U alone: these, and what is then left."""
    if all(isinstance(part, int) for part in parts):
        return tensor, parts  # one element
    parts, axis, axes = list(parts), 0, []
    for i, part in enumerate(parts):
        if part is None:
            continue
        places = _ascending(part, axis, tensor.shape[axis])
        depth = None if places is None else cut_depth(tensor, axis)
        if places is not None and depth is not None:
            tensor = cut(tensor, depth, places)
            parts[i] = 0 if isinstance(part, int) else slice(None)
        axes.append(i)
        axis += 1
    outer = run_axis(tensor)
    if outer is not None and isinstance(parts[axes[outer]], int) and _no_arrays(parts):
        left = without_outermost(tensor)
        if left is not None:
            return left, [part for i, part in enumerate(parts) if i != axes[outer]]
    return tensor, parts


def _ascending(part: Part, axis: int, extent: int) -> range | None:
    """The coordinates that a part picks, of more of which an axis has; None where they do not
    ascend, or are listed."""
    if isinstance(part, int):
        return range(part, part + 1) if extent > 1 else None
    if not isinstance(part, slice):
        return None
    places = range(*_indices(part, axis, extent))
    return places if places.step > 0 and len(places) < extent else None


def _no_arrays(parts: list[Part]) -> bool:
    return not any(isinstance(part, np.ndarray) for part in parts)


def _is_slice(part: Part) -> bool:
    """Whether a part picks no single coordinates: a slice, or a new axis."""
    return part is None or isinstance(part, slice)


def _indices(part: slice, axis: int, extent: int) -> tuple[int, int, int]:
    try:
        return part.indices(extent)
    except (TypeError, ValueError) as error:
        raise IndexingError(f"slice {part} of axis {axis}: {error}") from None


# ---- what it does to entries ----------------------------------------------------------------


def _sliced(
    entries: Entries, axis: int, part: slice, extent: int, place: int
) -> tuple[Entries, int]:
    start, stop, step = _indices(part, axis, extent)
    count = len(range(start, stop, step))
    if (start, step, count) != (0, 1, extent):
        nth = entries.coords[axis] - start
        inside = True
        if step != 1:  # to divide takes longer than all the rest
            nth, left = np.divmod(nth, step)
            inside = left == 0
        which = inside & (nth >= 0) & (nth < count)
        entries, nth = entries.keep(which), nth[which]
    else:
        nth = entries.coords[axis]
    entries.made[place] = nth
    return entries, count


def _gathered(
    entries: Entries, axes: list[int], picked: list[Array], shape: tuple[int, ...], at: int
) -> Entries:
    """An entry once for each place of the index arrays that names its coordinates."""
    wanted = np.stack([array.reshape(-1) for array in picked])
    held = np.stack([entries.coords[axis] for axis in axes])
    # Keys tell coordinates apart, however long the axes: each is numbered by what is wanted.
    key_wanted, key_held = np.zeros(wanted.shape[1], np.int64), np.zeros(held.shape[1], np.int64)
    found = np.ones(held.shape[1], bool)
    for theirs, ours in zip(wanted, held, strict=True):
        names, number = np.unique(theirs, return_inverse=True)
        nth = np.minimum(np.searchsorted(names, ours), max(len(names) - 1, 0))
        found &= names[nth] == ours if len(names) else False
        # Numbered anew, keys stay below the number of places wanted.
        both = np.concatenate([key_wanted * len(names) + number, key_held * len(names) + nth])
        both = np.unique(both, return_inverse=True)[1]
        key_wanted, key_held = both[: len(key_wanted)], both[len(key_wanted) :]
    entries, key_held = entries.keep(found), key_held[found]
    order = np.argsort(key_wanted, kind="stable")
    first = np.searchsorted(key_wanted, key_held, sorter=order)
    counts = np.searchsorted(key_wanted, key_held, "right", sorter=order) - first
    entries = entries.keep(np.repeat(np.arange(len(counts)), counts))
    nth = np.arange(len(entries.values)) - np.repeat(np.cumsum(counts) - counts, counts)
    place = order[np.repeat(first, counts) + nth]
    block = picked[0].shape
    for axis, crd in enumerate(np.unravel_index(place, block) if block else ()):
        entries.made[at + axis] = crd.astype(np.int64)
    return entries


def _format(bound: Format, sources: list[int | None]) -> Format | None:
    """The tensor's format for axes that are parts of its axes; None where there is none."""
    kept = {source: axis for axis, source in enumerate(sources) if source is not None}
    if len(kept) < len(sources):
        return None
    try:
        return renamed(bound, kept)
    except FormatError:
        return None

"""Split axes: ``k/128`` is the block of a coordinate, ``k%128`` its place in the block.

A format with splits stores a tensor of more axes, its parts: an axis of extent n that is split
by s becomes two neighbours of extents ceil(n / s) and s.  Everything below works on parts; the
functions here lead there and back.  Past the extent, in the last block, stands the fill.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.fills import differs
from zeroskip.formats.ranks import Part

if TYPE_CHECKING:
    from zeroskip.formats.format import Format
    from zeroskip.formats.level_data import Array, Indices


def part_shape(shape: Sequence[int], bound: Format) -> tuple[int, ...]:
    """Extent of every part of a tensor's axes."""
    extents = []
    for part in bound.parts:
        if not isinstance(part, Part):
            extents.append(shape[part])
        elif part.inner:
            extents.append(part.size)
        else:
            extents.append(-(-shape[int(part.axis)] // part.size))
    return tuple(extents)


def part_coordinates(coords: Sequence[Indices], bound: Format) -> list[Indices]:
    """Coordinates of axes → coordinates of their parts."""
    found = []
    for part in bound.parts:
        if not isinstance(part, Part):
            found.append(coords[part])
        else:
            crd = coords[int(part.axis)]
            found.append(crd % part.size if part.inner else crd // part.size)
    return found


def whole_coordinates(parts: Sequence[Indices], bound: Format) -> list[Indices]:
    """Coordinates of parts → coordinates of axes; past the extent where a block goes on."""
    coords: list[Indices] = []
    for part, crd in zip(bound.parts, parts, strict=True):
        if isinstance(part, Part) and part.inner:
            coords[-1] = coords[-1] * part.size + crd
        else:
            coords.append(crd)
    return coords


def in_blocks(array: Array, bound: Format, fill: Any) -> Array:
    """A dense array with an axis for each part, the last blocks filled up."""
    if not bound.split:
        return array
    sizes = part_shape(array.shape, bound)
    padded = np.full(_padded(sizes, bound), fill, dtype=array.dtype)
    padded[tuple(slice(extent) for extent in array.shape)] = array
    return padded.reshape(sizes)


def out_of_blocks(array: Array, shape: Sequence[int], bound: Format) -> Array:
    """The dense array of a tensor's shape from one with an axis for each part."""
    if not bound.split:
        return array
    whole = array.reshape(_padded(array.shape, bound))
    return np.array(whole[tuple(slice(extent) for extent in shape)], order="C")


def _padded(sizes: Sequence[int], bound: Format) -> tuple[int, ...]:
    extents: list[int] = []
    for part, extent in zip(bound.parts, sizes, strict=True):
        if isinstance(part, Part) and part.inner:
            extents[-1] *= extent
        else:
            extents.append(extent)
    return tuple(extents)


def check_tails(
    coords: Sequence[Indices], values: Array, fill: Any, shape: Sequence[int], fills: bool
) -> None:
    """Refuse an entry past the extent of an axis, unless it only fills a place there.

    coords : of every entry, by axis.  fills : whether the last level may hold such entries.
    """
    for axis, (crd, extent) in enumerate(zip(coords, shape, strict=True)):
        past = crd >= extent
        if fills:
            past = past & differs(values, fill)
        bad = np.flatnonzero(past)
        if len(bad):
            p = int(bad[0])
            raise TensorError(
                f"position {p} stands at coordinate {crd[p]} of axis {axis}, past its extent "
                f"{extent}, and holds {values[p]}; expected nothing there, or the fill {fill}"
            )

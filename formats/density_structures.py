"""What `Density(structure=...)` says, read and held against a shape: a band, or groups G:H."""

from __future__ import annotations

from math import prod

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.density_models import band
from zeroskip.formats.level_data import check_room


def full_band(shape: tuple[int, ...], width: int | None) -> float:
    """The share of the places that a band has; refuses one that does not fit."""
    if len(shape) < 2:
        raise TensorError(f"structure 'banded' needs two axes or more; found shape {shape}")
    if isinstance(width, bool) or not isinstance(width, int | np.integer) or width < 0:
        raise TensorError(
            "structure 'banded' needs its width, the diagonals on either side of the main one: "
            f"width=2; found {width!r}"
        )
    if width >= max(shape[-2:], default=0) > 0:
        raise TensorError(
            f"a band of width {width} is wider than the last two axes of shape {shape}\n"
            "Leave the structure out: non-zeros then lie anywhere."
        )
    check_room(shape[-2] * shape[-1], 9, f"a band of shape {shape[-2:]}")
    held = band(shape[-2:], int(width))
    return float(held.mean()) if held.size else 0.0


def levels_of(structure: str) -> tuple[tuple[int, int], ...]:
    """(G, H) of each level of ``"4:8 2:4"``, outermost first."""
    pairs = [text.partition(":") for text in str(structure).split()]
    digits = [part for g, _, h in pairs for part in (g, h)]
    if not pairs or not all(part.isascii() and part.isdigit() for part in digits):
        raise TensorError(
            f"a structure is written 'G:H', such as '2:4'; found {structure!r}\n"
            "Several, from outside in, are hierarchical, '4:8 2:4'; 'banded' has a width."
        )
    levels = tuple((int(g), int(h)) for g, _, h in pairs)
    if not all(0 < g <= h for g, h in levels):
        raise TensorError(f"structure {structure!r}: expected 0 < G <= H")
    return levels


def axis_of(
    axis: int | None, levels: tuple[tuple[int, int], ...], structure: object, shape: tuple[int, ...]
) -> int:
    """The axis of groups: by default the last that whole groups fill; refuses one that they do not
    fill, or that is not there."""
    span = prod(h for _, h in levels)
    needs = f"structure {structure!r} needs an axis of a multiple of {span}"
    fit = [k for k, n in enumerate(shape) if n % span == 0]
    if axis is None:
        if not fit:
            raise TensorError(f"{needs}; found {f'shape {shape}' if shape else 'no axis'}")
        return fit[-1]
    whole = isinstance(axis, int | np.integer) and not isinstance(axis, bool)
    if not whole or not 0 <= axis < len(shape):
        raise TensorError(
            f"axis: expected one of 0 .. {len(shape) - 1} of shape {shape}, found {axis!r}"
        )
    if axis not in fit:
        raise TensorError(
            f"{needs}; found extent {shape[axis]} of axis {axis}\n"
            + (f"Groups fit axis {fit[-1]}: axis={fit[-1]}." if fit else "No axis is of such.")
        )
    return int(axis)

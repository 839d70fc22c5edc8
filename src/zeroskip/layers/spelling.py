"""Parts of a layer's text: names of axes, subscripts of windows, expressions of activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any

import numpy as np

from zeroskip.checks import brief, is_one_of
from zeroskip.einsum_spec.functions import POINTWISE
from zeroskip.errors import EinsumError

Axes = int | Sequence[int]
"""One number for every axis of the window, or one for each."""

Padding = int | Sequence[int | tuple[int, int]]
"""Places on both sides of every axis, or for each axis: on both sides, or (before, behind)."""

NamedPadding = Padding | str
"""The same, or ``"valid"`` for none, or ``"same"`` for as many outputs as inputs."""

PLACES, TAPS, INPUTS = "lpq", "krs", "dhw"
"""Letters of the output's, the filter's and the input's axes; the last are those of fewer axes."""

_AXES = ("", "c", "nc", "ncl", "nchw", "ncdhw")


def letters(ndim: int, what: str = "ndim") -> str:
    """Names of the axes of a tensor of ``ndim`` axes: ``nchw`` of 4."""
    if not isinstance(ndim, int) or not 0 < ndim < len(_AXES):
        raise EinsumError(f"{what}: expected 1 to {len(_AXES) - 1} axes, found {ndim!r}")
    return _AXES[ndim]


def listed(names: str) -> str:
    """``nchw`` as it stands in brackets: ``n,c,h,w``."""
    return ",".join(names)


@dataclass(frozen=True, slots=True)
class Window:
    """Where a filter lies, for each axis of the image.

    pads : places (before, behind) of each axis.
    """

    stride: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]

    @property
    def ndim(self) -> int:
        return len(self.stride)

    @property
    def places(self) -> str:
        """Letters of the output's axes."""
        return PLACES[-self.ndim :]

    @property
    def taps(self) -> str:
        """Letters of the filter's axes."""
        return TAPS[-self.ndim :]

    @property
    def inputs(self) -> str:
        """Letters of the input's own axes."""
        return INPUTS[-self.ndim :]

    def read(self) -> str:
        """Subscripts of what the window reads: ``2*p+r,2*q+s``."""
        return self._steps(self.places)

    def written(self) -> str:
        """Subscripts of what the window writes, in scatter form: ``2*h+r,2*w+s``."""
        return self._steps(self.inputs)

    def _steps(self, of: str) -> str:
        parts = zip(of, self.stride, self.taps, self.dilation, strict=True)
        return ",".join(f"{times(u, p)}+{times(d, r)}" for p, u, r, d in parts)

    def pad(
        self, tensor: str = "I", first: int = 2, *, skip: bool = False
    ) -> dict[str, Any] | None:
        """What `zeroskip.layer` takes as ``pad=``; axes of the image start at ``first``."""
        axes: dict[int | str, Any] = {
            first + axis: pair for axis, pair in enumerate(self.pads) if any(pair)
        }
        if axes and skip:
            axes["value"] = "skip"
        return {tensor: axes} if axes else None


def window(ndim: int, stride: Axes, padding: Padding, dilation: Axes) -> Window:
    """The window of ``ndim`` axes that such arguments mean.

    Raises
    ------
    EinsumError
        For what is no positive stride or dilation, or no padding.
    """
    return Window(
        each("stride", stride, ndim), both_sides(padding, ndim), each("dilation", dilation, ndim)
    )


def filtered(
    ndim: int, stride: Axes, padding: NamedPadding, dilation: Axes, kernel_size: Axes | None
) -> tuple[dict[str, int], Window]:
    """Extents of a filter's axes, as far as they are given, and its window.

    padding : also ``"valid"``, and ``"same"``, which takes kernel_size and a stride of 1: D·(R-1)
        places around an axis, an odd one behind.
    """
    taps = () if kernel_size is None else each("kernel_size", kernel_size, ndim)
    valid = window(ndim, stride, 0, dilation)
    sizes = dict(zip(valid.taps, taps, strict=False))
    if not isinstance(padding, str):
        return sizes, window(ndim, stride, padding, dilation)
    if padding == "valid":
        return sizes, valid
    if padding != "same":
        raise EinsumError(
            f"padding: expected numbers of places, 'same' or 'valid', found {padding!r}"
        )
    if max(valid.stride) > 1:
        raise EinsumError(
            f"padding='same': expected a stride of 1, found {stride!r}",
            hint="With strides, give numbers of places: (before, behind) for each axis.",
        )
    if not taps:
        raise EinsumError(
            "padding='same' needs kernel_size, the extents of F behind its channels",
            hint="Give it, or the numbers: (before, behind) = (D*(R-1)//2, D*(R-1) - D*(R-1)//2).",
        )
    around = [step * (size - 1) for step, size in zip(valid.dilation, taps, strict=True)]
    pads = tuple((total // 2, total - total // 2) for total in around)
    return sizes, replace(valid, pads=pads)


def each(name: str, value: Axes, ndim: int, least: int = 1) -> tuple[int, ...]:
    """A number for each of ``ndim`` axes."""
    given = value if isinstance(value, Sequence) and not isinstance(value, str) else [value] * ndim
    try:
        found = tuple(index(number) for number in given)
    except TypeError:
        found = ()
    if len(found) != ndim or min(found) < least:
        axes = f" or {ndim} of them" if ndim > 1 else ""
        raise EinsumError(f"{name}: expected a whole number from {least} on{axes}, found {value!r}")
    return found


def both_sides(padding: Padding, ndim: int) -> tuple[tuple[int, int], ...]:
    """Places before and behind each axis."""
    given: Sequence[Any]
    if isinstance(padding, Sequence) and not isinstance(padding, str):
        given = padding
    else:
        given = [padding] * ndim
    try:
        pairs = [(part, part) if isinstance(part, int) else tuple(part) for part in given]
        found = tuple((index(low), index(high)) for low, high in pairs)
    except (TypeError, ValueError):
        found = ()
    if len(found) != ndim or min(map(min, found)) < 0:
        raise EinsumError(
            f"padding: expected a whole number from 0 on, or for each of {ndim} axes a number or "
            f"(before, behind), found {padding!r}",
        )
    return found


def times(factor: int, name: str) -> str:
    """``2*p``, and ``p`` for a factor of 1."""
    return name if factor == 1 else f"{factor}*{name}"


def plus(subscript: str, offset: int) -> str:
    """``p+1``, and ``p`` for an offset of 0."""
    return f"{subscript}{offset:+d}" if offset else subscript


def wrapped(activation: str | None, text: str) -> str:
    """The function around a whole right side, where there is one."""
    if activation is None:
        return text
    if not is_one_of(activation, POINTWISE):
        raise EinsumError(
            f"activation: expected one of {', '.join(sorted(POINTWISE))}, found {activation!r}",
            hint="Any other is a layer of its own, in zeroskip.layers.",
        )
    return f"{activation}({text})"


def flag(name: str, value: object) -> bool:
    """True or False, of Python or NumPy; nothing else that has a truth value."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    raise EinsumError(f"{name}: expected True or False, found {brief(value)}")


def number(name: str, value: float) -> str:
    """A number as it stands in a text, in brackets where it is negative."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        found = float("nan")
    if found != found or abs(found) == float("inf") or isinstance(value, str | bool):
        raise EinsumError(f"{name}: expected a number, found {value!r}")
    return f"{found!r}" if found >= 0 else f"({found!r})"

"""The windows of ONNX's convolutions and poolings: attributes → subscripts, sizes and padding."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

OUT, KERNEL, IMAGE = tuple("pqo"), tuple("rst"), tuple("hwd")
"""Ranks of the places of a result, of a window, and of an image; up to three axes."""


@dataclass(frozen=True)
class Window:
    """Windows over the last axes of an image.

    Attributes
    ----------
    image, kernel, strides, dilations, begin, end, out : lists of int, one for each axis
        ``end`` is the padding that the last window needs, at least what is asked for.
    asked_end : list of int
        The padding at the end that the attributes ask for.
    """

    image: Sequence[int]
    kernel: Sequence[int]
    strides: Sequence[int]
    dilations: Sequence[int]
    begin: Sequence[int]
    asked_end: Sequence[int]
    out: Sequence[int]

    @property
    def axes(self) -> int:
        return len(self.image)

    @property
    def end(self) -> list[int]:
        return [
            max(asked, (out - 1) * stride + dilation * (kernel - 1) + 1 - size - begin)
            for asked, out, stride, dilation, kernel, size, begin in zip(
                self.asked_end,
                self.out,
                self.strides,
                self.dilations,
                self.kernel,
                self.image,
                self.begin,
                strict=True,
            )
        ]

    @property
    def places(self) -> list[str]:
        """A subscript for each axis: ``2*p+r``."""
        return [
            f"{stride}*{p}+{dilation}*{r}"
            for stride, dilation, p, r in zip(
                self.strides, self.dilations, OUT, KERNEL, strict=False
            )
        ]

    @property
    def sizes(self) -> dict[str, int]:
        """Extents of the ranks of places and of windows."""
        n = self.axes
        return dict(zip(OUT[:n] + KERNEL[:n], [*self.out, *self.kernel], strict=True))

    def pad(self, first: int = 2, *, skip: bool = False) -> dict[int | str, Any]:
        """Padding of an image whose window axes begin at ``first``."""
        pairs: dict[int | str, Any] = {
            first + k: pair for k, pair in enumerate(zip(self.begin, self.end, strict=True))
        }
        return pairs | ({"value": "skip"} if skip else {})


def window(attributes: Mapping[str, Any], image: Sequence[int], kernel: Sequence[int]) -> Window:
    """The windows that the attributes of Conv or of a pooling mean."""
    n = len(image)
    strides = attributes.get("strides", [1] * n)
    dilations = attributes.get("dilations", [1] * n)
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    auto = attributes.get("auto_pad", b"NOTSET").decode()
    pads = attributes.get("pads", [0] * 2 * n)
    begin, end = list(pads[:n]), list(pads[n:])
    if auto.startswith("SAME"):
        out = [math.ceil(size / s) for size, s in zip(image, strides, strict=True)]
        for k, size in enumerate(image):
            total = max((out[k] - 1) * strides[k] + reach[k] - size, 0)
            less, more = total // 2, total - total // 2
            begin[k], end[k] = (less, more) if auto == "SAME_UPPER" else (more, less)
        return Window(image, kernel, strides, dilations, begin, end, out)
    rounded = math.ceil if attributes.get("ceil_mode") else math.floor
    out = []
    for k, size in enumerate(image):
        places = rounded((size + begin[k] + end[k] - reach[k]) / strides[k]) + 1
        if attributes.get("ceil_mode") and (places - 1) * strides[k] >= size + begin[k]:
            places -= 1  # no window begins in the padding at the end
        out.append(places)
    return Window(image, kernel, strides, dilations, begin, end, out)

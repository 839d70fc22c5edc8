"""The layers of the pruned SqueezeNet, with the activations of image 0."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zeroskip as zs

Array = NDArray[Any]
TEXT = "O[n,m,p,q] = I[n,c,U*p+r,U*q+s] * F[m,c,r,s]"


@dataclass(frozen=True, slots=True)
class SqueezeLayer:
    """One convolution: ``layer`` is its Einsum with stride and padding."""

    name: str
    layer: zs.Layer
    weights: Array
    activations: Array
    stride: int
    pad: int


def layers(folder: Path) -> list[SqueezeLayer]:
    """All 26, in the order of their names; conv_final without padding."""
    found = []
    with np.load(folder / "nets" / "squeezenet_dc.npz") as file:
        for name in sorted({key.rsplit(".", 1)[0] for key in file.files if key.endswith(".w")}):
            own = f"{name}.x" in file.files
            source = name if own else name.replace("expand3x3", "expand1x1")
            weights = file[f"{name}.w"]
            stride = 2 if weights.shape[2] == 7 else 1
            pad = int(weights.shape[2] == 3)
            found.append(
                SqueezeLayer(
                    name,
                    zs.layer(TEXT, consts={"U": stride}, pad=pad),
                    weights,
                    file[f"{source}.x"][:1],
                    stride,
                    pad,
                )
            )
    return found

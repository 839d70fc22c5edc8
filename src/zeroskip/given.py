"""What `bench`, `explain` and `charge` are handed → a layer, and operands by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.calling import name_operands
from zeroskip.computing import BoundLayer, Layer, layer
from zeroskip.errors import TensorError
from zeroskip.formats.density import Density
from zeroskip.native.arguments import Operand, resolve

Given = Operand | Density
"""An operand that was looked at: an array, a `Tensor`, or a `Density` in place of one."""


def as_layer(given: object) -> Layer:
    """A `Layer` as it is; text or a SymPy `Eq` through `zeroskip.layer`.

    Raises
    ------
    TensorError
        For a bound layer, whose operands would be hidden from the count.
    """
    if isinstance(given, Layer):
        return given
    if isinstance(given, BoundLayer):
        raise TensorError(
            "expected a layer, found one with operands bound\n"
            "Pass the layer itself, and every operand by name."
        )
    return layer(given)


def take_operands(
    of: Layer, operands: tuple[object, ...], named: Mapping[str, object]
) -> dict[str, Given]:
    """Every operand by name, as an array, a `Tensor` or a `Density`.

    Raises
    ------
    EinsumError
        For operands missing, left over or given twice.
    TensorError
        For one that cannot be read.
    """
    found = name_operands(of.operands, operands, named, of.text)
    return {
        name: given if isinstance(given, Density) else resolve(name, given)
        for name, given in found.items()
    }


def sample(name: str, density: Density, of: Layer, seed: int, dtype: Any) -> NDArray[Any]:
    """The array that ``seed`` means for this operand: the same for every density and format.

    Each operand has a generator of its own, so that one operand more or less changes no other.
    """
    place = of.operands.index(name)
    return density.sample(np.random.default_rng([seed, place]), dtype)


def sample_dtype(operands: Mapping[str, Given]) -> np.dtype[Any]:
    """Type of sampled values: that of the first operand with axes, by default float32."""
    for given in operands.values():
        if not isinstance(given, Density) and given.ndim and given.dtype != np.bool_:
            return given.dtype
    return np.dtype(np.float32)

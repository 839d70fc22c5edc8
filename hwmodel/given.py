"""What a charge is handed: operands as arrays, tensors or densities, a mapping; checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError, TensorError
from zeroskip.formats.convert import tensor
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import mapping as maps
from zeroskip.native.engine import evaluate


def check_mapping(mapping: object, what: str = "mapping") -> None:
    """Refuse what is neither a `Mapping` nor left out."""
    if mapping is not None and not isinstance(mapping, maps.Mapping):
        raise ArchError(
            f"{what}: expected a Mapping, found {mapping!r}\n"
            'Write Mapping(order="c m p q", sync="c"), or leave it out.'
        )


def known_operands(given: Mapping[str, Any]) -> dict[str, NDArray[Any] | Tensor]:
    """Operands as arrays and tensors."""
    return {name: resolved(value) for name, value in given.items()}


def single(name: str, density: Density) -> Density:
    """A density that is no sweep.  Raises `TensorError` for one that is."""
    if density.swept:
        raise TensorError(
            f"{name} is a sweep over {len(density)} densities, and a charge has one\n"
            "Use zs.sweep, or charge each: [zs.charge(..., I=point) for point in density]."
        )
    return density


def resolved(value: Any) -> NDArray[Any] | Tensor:
    """An array as it is; SciPy's, torch's and lists as a `Tensor`."""
    if isinstance(value, np.ndarray | Tensor):
        return value
    return tensor(value)


def evaluate_result(spec: Any, operands: Mapping[str, Any]) -> Any:
    """The layer's result, by the engine."""
    return evaluate(spec, operands)[spec.forms[-1].target.tensor]

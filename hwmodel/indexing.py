"""What index tensors hold, against the axes that they address."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import EinsumError, TensorError
from zeroskip.formats.level_data import check_room
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.indices import names_places
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Access
from zeroskip.hwmodel.subscript_values import points_of, values_of


def check_places(layer: Layer, operands: Mapping[str, Operand]) -> None:
    """Refuse index tensors that do not hold integers, are drawn, or name what is not there.

    Raises
    ------
    TensorError
        For one that is a `Density`, or holds no integers.
    EinsumError
        For a place outside its axis.
    """
    every = [o for term in (*layer.work, *layer.additions) for o in term.operands]
    for tensor in dict.fromkeys(one.tensor for one in every if one.is_index):
        held = operands[tensor]
        if isinstance(held, Expected):
            raise TensorError(
                f"{tensor} names places of another operand and is a Density, which says where "
                "non-zeros are and not what they are\nDraw an array of places, "
                "rng.integers(0, rows, shape), and charge that."
            )
        kind = getattr(held.value, "dtype", np.dtype(np.int64))
        if not np.issubdtype(kind, np.integer):
            raise TensorError(f"{tensor} names places, which are integers, and holds {kind}")
    for one in dict.fromkeys([*every, layer.target]):
        for axis, subscript in enumerate(one.subscripts):
            if names_places(subscript):
                _check_axis(one, axis, layer, operands)


def _check_axis(one: Access, axis: int, layer: Layer, operands: Mapping[str, Operand]) -> None:
    subscript, length = one.subscripts[axis], one.lengths[axis]
    extents = layer.extents.ranks
    ranks = sorted(set(variables(subscript)))
    number = int(np.prod([extents[rank] for rank in ranks], dtype=np.float64))
    hint = f"Charge a part of the layer, with shorter {' and '.join(ranks)}."
    check_room(number, 32, f"the places of {', '.join(ranks)}", hint)
    at = points_of(ranks, extents)
    found = values_of(subscript, at, {}, tables_of(layer, operands))
    if found.size and not 0 <= found.min() <= found.max() < length:
        wrong = int(found[(found < 0) | (found >= length)][0])
        raise EinsumError(
            f"{deparse(subscript)} names place {wrong} of axis {axis} of {one.tensor}, which has "
            f"places 0 to {length - 1}",
            hint="Hand over places that are there.",
        )


def tables_of(layer: Layer, operands: Mapping[str, Operand]) -> dict[str, NDArray[np.int64]]:
    """What the index tensors of a layer hold, by name."""
    return {name: operands[name].places for name in sorted(indices_of(layer))}


def indices_of(layer: Layer) -> set[str]:
    """Operands that name places of others."""
    every = (o for term in (*layer.work, *layer.additions) for o in term.operands)
    return {operand.tensor for operand in every if operand.is_index}


def without_zeros(layer: Layer, operands: Mapping[str, Operand]) -> dict[str, Operand]:
    """Operands of these shapes that hold a value everywhere; what names places names the same."""
    kept = indices_of(layer)
    return {
        name: held if name in kept else Operand(held.shape, None) for name, held in operands.items()
    }

"""Places that subscripts name at points of a layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.tree import Affine, Floor, Gather, Var
from zeroskip.einsum_spec.walk import variables


def places_of(
    subscripts: Sequence[Affine], extents: Mapping[str, int]
) -> tuple[NDArray[np.int64], ...]:
    """The places along some axes that the points of a layer touch, an array for each axis."""
    ranks = sorted({name for subscript in subscripts for name in variables(subscript)})
    grid = np.meshgrid(*(np.arange(extents[rank]) for rank in ranks), indexing="ij")
    at = {rank: values.ravel() for rank, values in zip(ranks, grid, strict=True)}
    if not at:
        at = {"": np.zeros(1, np.int64)}
    return tuple(values_of(subscript, at) for subscript in subscripts)


def values_of(
    subscript: Affine,
    at: Mapping[str, NDArray[np.int64]],
    constants: Mapping[str, int] = MappingProxyType({}),
    tables: Mapping[str, NDArray[np.int64]] = MappingProxyType({}),
) -> NDArray[np.int64]:
    """The place that a subscript names at every point.

    at : places of its index variables; constants : extents, by their names; tables : what index
    tensors hold.

    Raises IndexError where a table has no such place.
    """
    offset = sum(monomial_value(m, constants) for m in subscript.offset)
    found = np.full_like(next(iter(at.values())), offset)
    for monomial, atom in subscript.terms:
        factor = monomial_value(monomial, constants)
        match atom:
            case Var(name):
                found = found + factor * at[name]
            case Floor(inner, divisor):
                below = values_of(inner, at, constants, tables)
                found = found + factor * (below // monomial_value(divisor, constants))
            case Gather(access):
                parts = access.subscripts
                places = tuple(values_of(part, at, constants, tables) for part in parts)
                found = found + factor * tables[access.tensor][places]
    return found

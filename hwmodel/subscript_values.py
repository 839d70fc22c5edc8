"""Places that subscripts name at points of a layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.names import monomial_value
from zeroskip.einsum_spec.tree import Affine, Floor, Gather, Var
from zeroskip.einsum_spec.walk import variables


def points_of(ranks: Iterable[str], extents: Mapping[str, int]) -> dict[str, NDArray[np.int64]]:
    """Every combination of places of some ranks, an array for each rank, in row-major order of the
    ranks by name; of no ranks the one point that there is, under a name that none has."""
    named = sorted(set(ranks))
    grid = np.meshgrid(*(np.arange(extents[rank]) for rank in named), indexing="ij")
    found = {rank: values.ravel() for rank, values in zip(named, grid, strict=True)}
    return found or {"": np.zeros(1, np.int64)}


def places_of(
    subscripts: Sequence[Affine], extents: Mapping[str, int]
) -> tuple[NDArray[np.int64], ...]:
    """The places along some axes that the points of a layer touch, an array for each axis."""
    at = points_of((name for subscript in subscripts for name in variables(subscript)), extents)
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

"""Places of the tiles that a line of an accounting asks of.

someA[m//4,k//4] |= nzA[m,k]          each place is in one tile
someI[c,p//3] |= nzI[c,p+r,q+s]       windows, which share places
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import by_data, single, variables
from zeroskip.errors import EinsumError
from zeroskip.hwmodel.evaluate import sized
from zeroskip.hwmodel.regions import Regions
from zeroskip.hwmodel.subscript_values import values_of
from zeroskip.native.engine import evaluate

if TYPE_CHECKING:
    from zeroskip.hwmodel.expected_lines import Compiler

Whole = NDArray[np.int64]

MOST_PLACES = 2**24
"""Places of tiles, all tiles together, that are told apart at most."""


def is_partition(form: Form, access: Access) -> bool:
    """Whether every place of a tensor is in one tile at most, and comes there once."""
    axes = [single(s) for s in access.subscripts]
    named = {v for s in form.target.subscripts for v in variables(s)}
    plain = None not in axes and len(set(axes)) == len(axes)
    return plain and named <= set(axes) and set(form.ranks) <= set(axes)


def places_of_tiles(known: Compiler, text: str, form: Form, access: Access) -> Whole:
    """How many places of a tensor, each once, a tile has."""
    if len(form.terms[0].accesses) == 1 and is_partition(form, access):
        return _counted(known, text, form, access)
    touched, cells = _touched(known, text, form, access)
    return np.asarray(touched.sum(axis=tuple(range(cells, touched.ndim))), np.int64)


def regions_of_tiles(known: Compiler, text: str, form: Form, access: Access) -> Regions:
    """The places of each tile."""
    mask = dict(known.masks)[access.tensor]
    alone = len(form.terms[0].accesses) == 1 and is_partition(form, access)
    if alone and not by_data(form.target):
        at = np.nonzero(known.possible[access.tensor])
        axes = (str(single(s)) for s in access.subscripts)
        named = {axis: np.asarray(a, np.int64) for axis, a in zip(axes, at, strict=True)}
        extents = {name.upper(): n for name, n in known.sizes}
        cells = [values_of(s, named, extents) for s in form.target.subscripts]
        shape = _counted(known, text, form, access).shape
    else:
        touched, depth = _touched(known, text, form, access)
        found = np.nonzero(touched)
        every = _axes(form, access)
        at = tuple(found[every.index(deparse(s))] for s in access.subscripts)
        cells, shape = list(found[:depth]), touched.shape[:depth]
    places = [np.asarray(a) - lo for a, (lo, _) in zip(at, mask.pads, strict=True)]
    whole = dict(known.drawn)[mask.tensor].shape
    place = np.ravel_multi_index(places, whole).astype(np.int64)
    cell = np.ravel_multi_index(cells, shape).astype(np.int64) if shape else 0 * place
    return Regions(tuple(shape), cell, place)


def refused(text: str, what: str) -> EinsumError:
    """The error of a line without a mean."""
    return EinsumError(
        f"{what} has no expectation here:\n  {text}\n"
        "Draw arrays from the densities, density.sample(rng), and charge these."
    )


def _counted(known: Compiler, text: str, form: Form, access: Access) -> Whole:
    """How many places each tile of a partition has."""
    name, _, right = text.partition("|=")
    found = known.run(f"{name}+={right}", _read(known, form, access))
    return np.asarray(np.maximum(found, 0), np.int64)


def _axes(form: Form, access: Access) -> list[str]:
    """Subscripts of a tile, then those of its tensor that it lacks."""
    return list(dict.fromkeys(deparse(s) for s in (*form.target.subscripts, *access.subscripts)))


def _touched(
    known: Compiler, text: str, form: Form, access: Access
) -> tuple[NDArray[np.bool_], int]:
    """Which places each tile has, by the axes of tiles and the others of the tensor; and how many
    axes tiles have."""
    _, _, right = text.partition("|=")
    arrays = _read(known, form, access)
    wider = f"places_of[{','.join(_axes(form, access))}] |={right}"
    spec = sized(wider, known.sizes)
    cells = prod(spec.extents({n: a.shape for n, a in arrays.items()}).shapes["places_of"])
    if cells > MOST_PLACES:
        raise refused(text, f"a tile among {cells:,} places")
    touched = np.asarray(evaluate(spec, arrays)["places_of"]) > 0
    return touched, len(form.target.subscripts)


def _read(known: Compiler, form: Form, access: Access) -> dict[str, NDArray[Any]]:
    """What a line reads: of the tensor, where it may hold something."""
    reads = {a.tensor for a in form.reads} - known.numbers.names
    arrays = {tensor: known.static(tensor) for tensor in reads}
    return {**arrays, access.tensor: known.possible[access.tensor]}

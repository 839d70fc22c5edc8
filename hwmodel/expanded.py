"""Operands that are read where data says, as units find them: by what names their places.

    O[n,d] = W[X[n],d]*g[n]        W as W[n,d]: its row X[n], once for each n that names it

Units and vectors take entries as they come, whoever said which these are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.tree import Affine, Monomial, Var
from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import ArchError
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Bits, Operand
from zeroskip.hwmodel.indexing import tables_of
from zeroskip.hwmodel.indices import names_places
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Read
from zeroskip.hwmodel.subscript_values import points_of, values_of


def expanded(layer: Layer) -> Layer:
    """The layer without index tensors; itself where it has none.

    Raises
    ------
    ArchError
        For an operand that is read by places that are named and otherwise, too: it would be two.
    """
    if not any(o.is_index for term in layer.work for o in term.operands):
        return layer
    shapes = dict(layer.extents.shapes)
    work = []
    for term in layer.work:
        reads = [_read(o, layer) for o in term.operands if not o.is_index]
        names = [one.tensor for one in reads]
        for old in term.operands:
            if old.gathered and names.count(old.tensor) > 1:
                raise ArchError(
                    f"{old.tensor} is read twice, once where an index tensor says, and units and "
                    "lanes are charged for it as it is read\nHand over the same array by two names."
                )
        shapes |= {o.tensor: _shape(o, layer) for o in term.operands if o.gathered}
        work.append(replace(term, operands=tuple(reads)))
    return replace(layer, work=tuple(work), extents=replace(layer.extents, shapes=shapes))


def expanded_operands(
    layer: Layer, operands: Mapping[str, Operand], wide: Layer
) -> dict[str, Operand]:
    """What the operands of an `expanded` layer, ``wide``, store.

    Raises
    ------
    ArchError
        For one of more than `MOST_SCATTERED` places.
    """
    found = dict(operands)
    for old in (o for term in layer.work for o in term.operands if o.gathered):
        shape = wide.extents.shapes[old.tensor]
        if prod(shape) > MOST_SCATTERED:
            raise ArchError(
                f"{old.tensor} is read at {prod(shape):,} places that an index tensor names, and "
                f"units and lanes are charged for {MOST_SCATTERED:,} at most\n"
                "Charge a part of the layer."
            )
        found[old.tensor] = Operand(shape, _stored(old, layer, operands))
    return found


def _read(one: Read, layer: Layer) -> Read:
    """An operand by the ranks that name its places."""
    if not one.gathered:
        return one
    subscripts: list[Affine] = []
    lengths, pads = [], []
    for axis, subscript in enumerate(one.subscripts):
        if not names_places(subscript):
            subscripts.append(subscript)
            lengths.append(one.lengths[axis] - sum(one.pads[axis]))
            pads.append(one.pads[axis])
            continue
        for rank in _ranks(subscript):
            subscripts.append(Affine(((Monomial(1, ()), Var(rank)),)))
            lengths.append(layer.extent(rank))
            pads.append((0, 0))
    reach = tuple(n + sum(pad) for n, pad in zip(lengths, pads, strict=True))
    return replace(one, subscripts=tuple(subscripts), lengths=reach, pads=tuple(pads))


def _shape(one: Read, layer: Layer) -> tuple[int, ...]:
    """Places of an operand by the ranks that name them; other axes as they are, whatever of them
    is reached."""
    shape: list[int] = []
    for subscript, length in zip(one.subscripts, layer.extents.shapes[one.tensor], strict=True):
        named = names_places(subscript)
        shape += [layer.extent(rank) for rank in _ranks(subscript)] if named else [length]
    return tuple(shape)


def _stored(one: Read, layer: Layer, operands: Mapping[str, Operand]) -> Bits:
    """What is stored at each place of it."""
    held, tables = operands[one.tensor].stored, tables_of(layer, operands)
    axes: list[tuple[tuple[int, ...], NDArray[np.int64]]] = []
    for axis, subscript in enumerate(one.subscripts):
        if not names_places(subscript):
            axes.append(((held.shape[axis],), np.arange(held.shape[axis])))
            continue
        ranks = _ranks(subscript)
        shape = tuple(layer.extent(rank) for rank in ranks)
        at = points_of(ranks, layer.extents.ranks)
        places = values_of(subscript, at, {}, tables)
        order = [sorted(ranks).index(rank) for rank in ranks]
        grid = places.reshape(tuple(layer.extent(rank) for rank in sorted(ranks)))
        axes.append((shape, grid.transpose(order)))
    total, before, index = sum(len(shape) for shape, _ in axes), 0, []
    for shape, places in axes:
        around = (*[1] * before, *shape, *[1] * (total - before - len(shape)))
        index.append(places.reshape(around))
        before += len(shape)
    return np.asarray(held[tuple(index)], np.bool_)


def _ranks(subscript: Affine) -> tuple[str, ...]:
    return tuple(dict.fromkeys(variables(subscript)))

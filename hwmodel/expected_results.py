"""How full a result is, where operands are known by their density: in numbers or symbols.

    Z[m,n] = C[m,n]*A[m,k]*B[k,n]      d_Z = d_C * (1 - (1 - d_A*d_B)**K)

A place is not zero where any product is effectual.  Operands that have no rank of the sum are met
once, the others at every point of it; points are taken as independent of each other, and every
place as likely as any other.  Where data tells the places, so many sums go to each as are named.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from zeroskip.formats.density import Density
from zeroskip.formats.level_data import check_room
from zeroskip.hwmodel.absorbing import FULL
from zeroskip.hwmodel.brackets import inside_of, ranks_of
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.indexing import tables_of
from zeroskip.hwmodel.layer import Layer, WorkTerm
from zeroskip.hwmodel.subscript_values import points_of, values_of


def structural(
    layer: Layer, operands: Mapping[str, Operand], like: Density | None = None
) -> Expected:
    """The result as one that is drawn; of relu, half of what the sums leave.

    like : the density of the result, where the shares are symbols.

    Examples
    --------
    Half of the points of two are effectual: three quarters of the places.

    >>> from zeroskip.einsum_spec.spec import make_spec
    >>> from zeroskip.hwmodel.layer import layer_of
    >>> layer = layer_of(make_spec("y[m] = A[m,k]*x[k]"), {"A": (4, 2), "x": (2,)})
    >>> x = Operand((2,), None)
    >>> structural(layer, {"A": Expected(Density((4, 2), 0.5)), "x": x}).share
    0.75
    """
    missed: Any = 1
    for term in (*layer.work, *layer.additions):
        once = 1 - _reached(term, layer, operands)
        named = _named(layer, operands)
        missed = missed * (sum(once**n * part for n, part in named) if named else once)
    there = missed * 0 + 1 if layer.form.post in FULL else 1 - missed
    if layer.form.post == "relu":
        there = there / 2
    if like is not None:
        return Expected(like, there)
    shape = layer.extents.shapes[layer.target.tensor]
    return Expected(Density(shape, float(there)), float(there))


def _reached(term: WorkTerm, layer: Layer, operands: Mapping[str, Operand]) -> Any:
    """The chance that a term leaves something at a place of the result; where it has brackets, the
    mean over all places."""
    once: Any = 1
    each: Any = 1
    for operand in term.operands:
        if not operand.absorbs:
            continue
        known = operands[operand.tensor]
        share = known.share if isinstance(known, Expected) else _share(known)
        if operand.variables & set(layer.reductions):
            each = each * share
        else:
            once = once * share
    summed = [r for r in term.ranks if r in layer.reductions]
    compared = ranks_of(term.within)
    points = prod(layer.extent(r) for r in summed if r not in compared)
    if not term.within or not term.points:
        return once * (1 - (1 - each) ** points)
    box = inside_of(term.within, layer.extents.ranks)
    gone = tuple(axis for axis, rank in enumerate(compared) if rank in summed)
    many, places = np.unique(box.sum(axis=gone), return_counts=True)
    chances = [
        (1 - (1 - each) ** (points * inside)) * number
        for inside, number in zip(many.tolist(), places.tolist(), strict=True)
    ]
    return once * sum(chances) / int(places.sum())


def _named(layer: Layer, operands: Mapping[str, Operand]) -> list[tuple[int, float]]:
    """How many sums are named to go to a place of the result, and the part of the places of which
    so many are; none where no data tells them."""
    target = layer.target
    if not target.gathered:
        return []
    extents, tables = layer.extents, tables_of(layer, operands)
    shape = extents.shapes[target.tensor]
    points = prod(extents.ranks[rank] for rank in target.variables)
    hint = "Charge a part of the layer."
    check_room(points, 16 * len(shape), f"the places of {target.tensor} that are named", hint)
    at = points_of(target.variables, extents.ranks)
    axes = [values_of(subscript, at, {}, tables) for subscript in target.subscripts]
    place = np.ravel_multi_index(axes, shape) if prod(shape) else np.zeros(0, np.int64)
    sums, places = np.unique(np.bincount(place, minlength=prod(shape)), return_counts=True)
    return list(zip(sums.tolist(), (places / max(prod(shape), 1)).tolist(), strict=True))


def _share(operand: Operand) -> float:
    size = prod(operand.shape)
    return operand.entries / size if size else 0.0

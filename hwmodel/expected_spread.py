"""What the variance of a line of an accounting is made of, where its operands are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import variables
from zeroskip.formats.density_models import Blocks
from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.spread import PlacesOfCells, Reals, Spread

if TYPE_CHECKING:
    from zeroskip.hwmodel.expected_lines import Compiler

MOST_MOMENTS = 2**24
"""Elements of the largest array made for a variance; beyond, points count as independent."""


def spread_of(known: Compiler, name: str, gone: Sequence[int]) -> Spread | None:
    """What the variance of a count is made of; None where it is not known."""
    text, form = known.texts[name]
    source, term = known.lines[name], form.terms[0]
    assert isinstance(source, Closed)
    if len(source.terms) != 1 or any(scalar in known.lines for scalar in term.scalars):
        return None
    if known.events.keys() & set(*source.terms):
        return None
    ((monomial, sums),) = source.terms.items()
    times = known.times(term)
    counts = np.asarray(sums, np.float64)
    masks = dict(known.masks)
    reads = {}
    for access in term.accesses:
        mask = masks.get(access.tensor)
        if mask is not None and mask.kind != "in" and mask.tensor not in known.fixed:
            reads[mask.tensor] = access
    uneven = any(known.likely[a.tensor] is not known.possible[a.tensor] for a in reads.values())
    full = _of(known, text, form, known.possible) if uneven else counts
    cells = (known.numbers.leader(s) for s in form.target.subscripts)
    common = {leader for leader in cells if leader is not None}  # as many entries in every tile
    rough = Spread(monomial, {}, {}, full, counts * times, frozenset(common))
    if len(form.terms) > 1 or len(reads) > 2 or sorted(reads) != list(monomial):
        return rough
    apart = {v for k in gone for v in variables(form.target.subscripts[k])}
    models = {tensor: dict(known.drawn)[tensor].model for tensor in reads}
    parts = {}
    for tensor, access in reads.items():
        points = _points(known, text, form, access, counts)
        found = points and points.squares(models[tensor].parts)
        if not found:
            return rough
        parts[tensor] = found
        held = {v for s in access.subscripts for v in variables(s)}
        others = [models[other] for other in reads if other != tensor]
        banded = any(isinstance(one, Blocks) and one.support is not None for one in others)
        if not held & apart and not banded:  # counts beside a band have other parts of it
            common.add(tensor)
    pairs = _of(known, text, form, known.varying) if uneven else counts
    return Spread(monomial, models, parts, full, pairs * times, frozenset(common))


def _of(known: Compiler, text: str, form: Form, masks: Mapping[str, NDArray[Any]]) -> Reals:
    """A count over masks of another kind."""
    reads = {access.tensor for access in form.reads} - known.numbers.names
    arrays = {n: masks[n] if n in masks else known.static(n) for n in reads}
    return np.asarray(np.maximum(known.run(text, arrays), 0), np.float64)


def _points(
    known: Compiler, text: str, form: Form, access: Access, counts: Reals
) -> PlacesOfCells | None:
    """How many points each place of an operand has in each cell, others as likely as they
    are; None where that is too large an array."""
    left = [deparse(s) for s in form.target.subscripts]
    axes = [deparse(s) for s in access.subscripts]
    more = [s for s in axes if s not in left]
    extents = known.possible[access.tensor].shape
    if counts.size * prod(n for s, n in zip(axes, extents, strict=True) if s in more) > (
        MOST_MOMENTS
    ):
        return None
    _, _, right = text.partition("+=")
    wider = f"points_of[{','.join((*left, *more))}] +={right}"
    reads = {a.tensor for a in form.terms[0].accesses}
    arrays = {n: known.static(n) for n in reads}
    arrays[access.tensor] = known.possible[access.tensor]
    wide = {**dict(zip(axes, extents, strict=True)), **dict(zip(left, counts.shape, strict=True))}
    points = np.asarray(known.run(wider, arrays, wide), np.float64)
    if points.shape[: len(left)] != counts.shape:
        return None
    mask = dict(known.masks)[access.tensor]
    shape = dict(known.drawn)[mask.tensor].shape
    return PlacesOfCells(points, left, axes, shape, tuple(lo for lo, _ in mask.pads))

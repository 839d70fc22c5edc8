"""How many entries a sparse result will have, before it is computed."""

from __future__ import annotations

from collections.abc import Collection
from math import expm1, log1p, prod

from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import free
from zeroskip.formats.tensor import Tensor
from zeroskip.native.lines import Line
from zeroskip.native.passes import every_visit, seen


def expected_entries(line: Line) -> int:
    """Places of the result that stored values reach, were what each operand stores independent of
    the others and spread evenly.  What cancels, or a relu or a maximum drops, is still counted.
    """
    places = prod(line.shape)
    empty = 1.0  # the share of places that nothing reaches
    known = seen(line.signatures)
    kept = free(line.form.target)
    for visits in every_visit(line.form, known, line.dtype.name):
        for one in visits.passes:
            followed = [a for a in one.follow if a.tensor in known.sparse]
            if followed:
                empty *= _missed(line, followed, kept)
            elif one.follow or one.optional:  # a constant is a part of the fill
                return places
    return round(places * (1 - empty))


def _missed(line: Line, followed: list[Access], kept: Collection[str]) -> float:
    """The chance that a place is reached by none of the points that are summed into it."""
    share = prod(_density(line, access.tensor) for access in followed)
    ranks = {rank for access in followed for rank in free(access)}
    points = prod(line.extents.ranks[rank] for rank in ranks if rank not in kept)
    if share >= 1:
        return 0.0 if points else 1.0
    return 1 + expm1(points * log1p(-share))


def _density(line: Line, name: str) -> float:
    operand = line.used[name]
    if not isinstance(operand, Tensor) or not operand.size:
        return 1.0
    return min(operand.stored / operand.size, 1.0)

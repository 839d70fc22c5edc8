"""How many entries a sparse result will have, before it is computed."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from math import expm1, log1p, prod

import numpy as np

from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import free, single
from zeroskip.errors import CacheError, CompilerError
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Operand
from zeroskip.native.lines import Line
from zeroskip.native.load import load
from zeroskip.native.passes import every_visit, seen
from zeroskip.native.texts import header

WORTH_COMPILING = 2**14
"""Entries from which products are counted in C; NumPy takes some 0.1 ms for as many."""


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


def most_products(line: Line) -> int | None:
    """Products of the entries of two matrices stored by rows: no more entries than that are in the
    result.  None for any other line."""
    names = factors_of(line)
    return None if names is None else products_of(*(line.used[name] for name in names))


def factors_of(line: Line) -> tuple[str, str] | None:
    """The operands of a product ``A[i,k]*B[k,j]`` of two matrices stored by rows, the one whose
    columns name rows of the other first; None for any other line."""
    reads = list(line.form.reads)
    if len(line.form.terms) != 1 or len(reads) != 2 or len(line.used) > 2:
        return None
    for a, b in (reads, reads[::-1]):
        left, right = (line.used[access.tensor] for access in (a, b))
        if not (_by_rows(left) and _by_rows(right)) or len(a.subscripts) != 2:
            continue
        inner, outer = a.subscripts[1], b.subscripts[0]
        if single(inner) is None or single(inner) != single(outer):
            continue
        if left.shape[1] == right.shape[0] and len({*free(a), *free(b)}) == 3:
            return a.tensor, b.tensor
    return None


def products_of(left: Operand, right: Operand) -> int:
    """How many products the entries of two matrices stored by rows have (c/zs_products.c)."""
    assert isinstance(left, Tensor)
    assert isinstance(right, Tensor)
    rows, columns = right.levels[1].arrays["pos"], left.levels[1].arrays["crd"]
    kind = columns.dtype.name
    if len(columns) >= WORTH_COMPILING and kind in ("uint16", "int32"):
        found = np.empty(1, np.int64)
        with suppress(CompilerError, CacheError):
            routine = load(header("zs_products.c"), f"zs_products_{kind}")
            routine.once([rows, columns, found], [len(columns)])
            return int(found[0])
    return int(np.bincount(columns, minlength=len(rows) - 1) @ np.diff(rows))


def _by_rows(operand: Operand) -> bool:
    """Whether an operand is a matrix stored as CSR is."""
    if not isinstance(operand, Tensor) or operand.ndim != 2:
        return False
    levels = operand.levels
    return [(x.spec.letter, x.axes) for x in levels] == [("U", (0,)), ("C", (1,))]


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

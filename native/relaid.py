"""Dots of a bound operand: in which layout its entries are kept, by their density."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np

from zeroskip.einsum_spec.walk import single
from zeroskip.formats.tensor import Tensor
from zeroskip.native import dots
from zeroskip.native.dotted import NARROW
from zeroskip.native.lines import Line, line_of
from zeroskip.native.lower import one_product
from zeroskip.native.scratch import on_large_pages
from zeroskip.native.vectors import gathers

SPREAD_WIDE, SPREAD_GATHERED, SPREAD = 0.15, 0.3, 0.35
"""Density from which a bitmask is faster than coordinates: with an instruction that expands a
vector of 64 bytes, where coordinates gather values at once as well, and with a permutation of 32.
Found by trying both on matrices of 4096 × 4096; no command of the repository finds it again, and a
wrong one costs time alone."""

SPREAD_NARROW = {2: 0.07, 1: 0.05}
"""The same where values are multiplied 64 bytes at once, by the vectors that 64 of them make."""


def relaid(line: Line, bound: Collection[str], vector_bytes: int) -> Line:
    """The line with its one sparse operand, which is bound, by rows of the result: a bitmask where
    it is dense enough, else coordinates.  As it is where there is nothing to choose.
    """
    layout = None if line.order else _layout(line, bound, vector_bytes)
    if layout is None:
        return line
    tensor, text = layout
    used = {**line.used, tensor: _stored(line, tensor, text)}
    made = line_of(line.form, used, line.extents, fixed=line.fixed)
    found = dots.plan(made.form, made.signatures, made.dtype.name)
    if found is None:
        return line
    extents = made.extents.ranks
    if not dots.worth(found, made.used, extents, vector_bytes, made.dtype) and _by_rows(line):
        return line
    return replace(made, kept=line.kept)


def _by_rows(line: Line) -> bool:
    """Whether its walk adds up the entries of a fiber as they lie."""
    return dots.plan(line.form, line.signatures, line.dtype.name) is not None


def _stored(line: Line, tensor: str, text: str) -> Tensor:
    """The operand in a format, in memory that calls read fast; once for all of them."""
    operand = line.used[tensor]
    assert isinstance(operand, Tensor)

    def build() -> Tensor:
        made = operand.asformat(text)
        levels = tuple(
            replace(level, arrays={n: on_large_pages(a) for n, a in level.arrays.items()})
            for level in made.levels
        )
        return Tensor(made.shape, made.format, levels, on_large_pages(made.values), made.fill)

    return line.laid_out(tensor, ("relaid", text), build)


def _layout(line: Line, bound: Collection[str], vector_bytes: int) -> tuple[str, str] | None:
    """The operand, and its format: axes of the result's ranks, and behind them the one that is
    summed."""
    parts = one_product(line.form, line.signatures, line.dtype.name)
    if parts is None:
        return None
    term, _, ranks = parts
    sparse = [access for access in term.accesses if line.signatures[access.tensor].skips]
    if len(sparse) != 1 or sparse[0].tensor not in bound:
        return None
    tensor = sparse[0].tensor
    held = [single(subscript) for subscript in sparse[0].subscripts]
    if None in held or len(set(held)) != len(held) or any(line.signatures[tensor].padded):
        return None
    if sum(access.tensor == tensor for access in line.form.reads) != 1:
        return None
    rows = [held.index(rank) for rank in ranks if rank in held]
    summed = [k for k in range(len(held)) if k not in rows]
    if len(summed) != 1:
        return None
    operand = line.used[tensor]
    assert isinstance(operand, Tensor)
    wide = vector_bytes >= 64
    bridged = line.signatures[tensor].bridged  # entries that only fill a place are left out
    entries = np.count_nonzero(operand.values) if bridged else operand.stored
    others = [access.tensor for access in term.accesses if access.tensor != tensor]
    types = [line.signatures[name].dtype for name in (tensor, *others)]
    pieces = NARROW.get((types[0], types[-1], line.dtype.name)) if len(types) == 2 else None
    alone = SPREAD_GATHERED if gathers() and line.dtype.kind == "f" else SPREAD_WIDE
    least = SPREAD if not wide else alone if pieces is None else SPREAD_NARROW[pieces]
    dense = entries >= least * operand.size
    spread = dense and vector_bytes > dots.BASELINE
    spread = spread and operand.shape[summed[0]] >= dots.FEWEST_COLUMNS
    levels = [*(f"{k}:U" for k in rows), f"{summed[0]}:{'B' if spread else 'C'}"]
    return tensor, " ".join(levels)

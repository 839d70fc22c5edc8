"""The fill of a sparse result: what its line is where no sparse operand stores anything."""

from __future__ import annotations

import math
from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import accesses, free
from zeroskip.native.absence import Number, folded
from zeroskip.native.dtypes import identity
from zeroskip.native.forms import is_joint, plain_target, product_of, right_side
from zeroskip.native.functions import FUNCTIONS
from zeroskip.native.lines import Line


def result_fill(line: Line) -> Any:
    """A scalar of the result's type; 0 where the value without the sparse operands is no constant.

    >>> import numpy as np, zeroskip as zs
    >>> roads = zs.tensor([[np.inf, 3.0], [np.inf, np.inf]], "CSR", fill=np.inf)
    >>> zs.einsum("D[i,j] min= A[i,k] + A[k,j]", A=roads, format="CSR").fill
    np.float64(inf)
    """
    dtype = line.result
    found = _whole(line) if is_joint(line.form) else _sums(line)
    if found is None:
        return dtype.type(0)
    with np.errstate(all="ignore"):
        try:
            fill = dtype.type(found)
        except OverflowError:
            return dtype.type(0)
    return fill if fill == found or math.isnan(found) else dtype.type(0)


def _whole(line: Line) -> Number | None:
    form = line.form
    whole = right_side(form)
    each = folded(whole, _sparse(line, accesses(whole)), line.fills)
    start = identity(form.reduction or "+", line.dtype)
    if each is None or each == start:
        return each
    ranks = {r for t in form.terms for r in (*t.ranks, *t.held)} | set(form.reduced)
    many = _points(line, ranks)
    if many is None or any(name in line.extents.skipped for name in line.used):
        return None
    match form.reduction:
        case _ if many == 0:
            return start
        case "+":
            return each * many
        case "*":
            return each**many if many < 64 or each in (0, 1) else None
        case _:
            return each


def _sums(line: Line) -> Number | None:
    total: Number = 0
    for term in line.form.terms:
        product = product_of(term)
        each = folded(product, _sparse(line, accesses(product)), line.fills)
        if each is None or (each and term.scalars):
            return None
        if not each:
            continue
        many = _points(line, {*term.held, *term.ranks, *line.form.reduced})
        if many is None:
            return None
        total += each * term.number * many if many else 0
    found = after(line.form.post, total)
    return found if found == 0 or _points(line, set()) is not None else None


def after(post: str | None, number: Number) -> Number:
    """The function around a right side, of a number."""
    return number if post is None else FUNCTIONS[post].python(number)


def _sparse(line: Line, reads: Iterable[Access]) -> list[Access]:
    return [access for access in reads if line.signatures[access.tensor].skips]


def _points(line: Line, ranks: set[str]) -> int | None:
    """How many points are reduced to one place of the result; None where these are not the same
    everywhere."""
    if not plain_target(line.form):
        return None
    return prod(line.extents.ranks[rank] for rank in ranks - set(free(line.form.target)))

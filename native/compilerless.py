"""What answers a user where there is no C compiler: NumPy on dense copies, where that gives the
same, and sooner than the interpreter of the loop nest, which takes microseconds for each point.

Where something absent meets an infinity, NumPy has NaN and the nest nothing; so a result with a NaN
in it is the interpreter's.  Counts are never taken here.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np

from zeroskip.einsum_spec.form import Term
from zeroskip.einsum_spec.walk import by_data, single
from zeroskip.formats.memory import lately_available
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Array, densify
from zeroskip.native.dtypes import LOGICAL
from zeroskip.native.effort import stored_points
from zeroskip.native.forms import plain_target
from zeroskip.native.lines import Line
from zeroskip.native.numpy_functions import POST
from zeroskip.native.reference import evaluate_form

VISIT = 100
"""Points of dense copies that NumPy goes through in less time than the interpreter visits one."""

ROOM = 2**30
"""Bytes that dense copies and results may take."""

HELD = 2**26
"""Numbers that a product of some operands of several may have on its way to the result."""


def in_numpy(line: Line, start: Array | None) -> Array | None:
    """The dense result of a line; None where the interpreter is to see to it.

    start : what a reduction begins with, in place of its identity.
    """
    form = line.form
    if form.reduction in LOGICAL or any(term.factors for term in form.terms):
        return None  # truths and functions hide that something was no number
    if any(map(by_data, (form.target, *form.reads))) or not _is_sooner(line):
        return None
    dense = {name: densify(x) for name, x in line.used.items()}
    with np.errstate(all="ignore"):
        found = _by_einsum(line, dense) if start is None else None
        if found is None:
            found = evaluate_form(form, dense, line.extents, start)
        none = found.dtype.kind not in "iub" and bool(np.isnan(found).any())
    return None if none else found


def _is_sooner(line: Line) -> bool:
    """Whether there is room for dense copies, and few points for each that is stored."""
    copies = [x for x in line.used.values() if isinstance(x, Tensor)]
    room = sum(x.size * x.dtype.itemsize for x in copies)
    room += 3 * np.dtype(np.int64).itemsize * prod(line.shape)
    if room > min(ROOM, lately_available() // 2):
        return False
    whole = sum(prod(line.extents.ranks.values()) for _ in line.form.terms)
    return whole <= VISIT * stored_points(line.form, line.used, line.extents)


def _by_einsum(line: Line, dense: Mapping[str, Array]) -> Array | None:
    """Sums of products of operands whose axes are ranks, by matrix products where they are such;
    None where a line has others."""
    form = line.form
    padded = any(any(map(any, line.extents.pads.get(access.tensor, ()))) for access in form.reads)
    if form.reduction is not None or padded or not plain_target(form):
        return None
    total: Array = np.zeros(line.shape, line.dtype)
    for term in form.terms:
        made = _product(line, term, dense)
        if made is None:
            return None
        total += made
    return np.asarray(POST[form.post](total)).astype(line.result)


def _product(line: Line, term: Term, dense: Mapping[str, Array]) -> Array | None:
    """One term at every place of the result."""
    held = [[single(part) for part in access.subscripts] for access in term.accesses]
    target = [single(part) for part in line.form.target.subscripts]
    ranks = {rank for of in held for rank in of}
    if not held or term.scalars or None in ranks or not {*term.ranks} <= ranks:
        return None
    number = {rank: k for k, rank in enumerate(sorted(map(str, ranks)))}
    args: list[Any] = []
    for access, of in zip(term.accesses, held, strict=True):
        args += [dense[access.tensor].astype(line.dtype, copy=False), [number[str(r)] for r in of]]
    kept = [rank for rank in target if rank in ranks]
    optimize = ("greedy", HELD) if len(held) > 1 else False
    made = np.einsum(*args, [number[str(rank)] for rank in kept], optimize=optimize)
    if term.number != 1:
        made = made * line.dtype.type(term.number)
    shape = [n if rank in ranks else 1 for n, rank in zip(line.shape, target, strict=True)]
    return np.asarray(made).reshape(shape)

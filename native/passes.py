"""The passes over a value: which operands each follows, which it looks up.

A loop may visit only what an operand stores where the value without it is what the reduction
starts from (`absence.needed`): ``A[i,k]*relu(B[k,j])`` is one pass that follows both.  The value
``max(A[i,k], B[i,k])`` has no such operand, and is nothing where both are absent: one pass
follows A and looks B up, a second follows B where A stores nothing.  Each point is visited by
one pass; a value that is something where nothing is stored takes one pass over every point.

A maximum or minimum may do better: `left_over` is what the value is where nothing is stored, and is
folded in once wherever a place of the result has points that no pass visited.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access, Expr
from zeroskip.einsum_spec.walk import accesses, single
from zeroskip.native.absence import folded
from zeroskip.native.dtypes import identity
from zeroskip.native.forms import is_joint, product_of, right_side

Fills = Mapping[str, int | float]

IDEMPOTENT = ("max", "min", "|", "&")
"""Reductions to which a value may be given twice."""


@dataclass(frozen=True, slots=True)
class Pass:
    """One visit of the points at which a value is more than what a reduction starts from.

    follow : what loops may follow: where one of them is absent, nothing is to be done.
    optional : what is looked up.
    missing : those of ``optional`` that must be absent, as another pass follows them.
    """

    follow: tuple[Access, ...]
    optional: tuple[Access, ...] = ()
    missing: tuple[Access, ...] = ()


def term_passes(term: Term, sparse: Callable[[str], bool], fills: Fills) -> tuple[Pass, ...]:
    """The passes over one term of a sum.

    sparse : whether an operand leaves coordinates out.
    """
    return passes(product_of(term), sparse, fills, 0)


def whole_passes(
    form: Form,
    sparse: Callable[[str], bool],
    fills: Fills,
    dtype: str,
    *,
    cut: bool,
) -> tuple[Pass, ...]:
    """The passes over a right side that is evaluated whole; ``cut`` as in `left_over`."""
    rest = left_over(form, sparse, fills, dtype, cut=cut)
    start = identity(form.reduction or "+", dtype) if rest is None else rest
    return passes(right_side(form), sparse, fills, start)


def left_over(
    form: Form, sparse: Callable[[str], bool], fills: Fills, dtype: str, *, cut: bool
) -> int | float | None:
    """What the value is at the points that the passes leave out, where that is not what the
    reduction starts from but may be folded in once; else None.

    cut : whether points are left out as padding, so that places of the result differ in how
        many they have.
    """
    plain = [single(part) for part in form.target.subscripts]
    if cut or form.reduction not in IDEMPOTENT or None in plain or len(set(plain)) < len(plain):
        return None
    whole, start = right_side(form), identity(form.reduction, dtype)
    if _lead(passes(whole, sparse, fills, start), sparse):
        return None
    rest = folded(whole, [a for a in accesses(whole) if sparse(a.tensor)], fills)
    if rest is None or rest == start or not _holds(np.dtype(dtype), rest):
        return None
    return rest if _lead(passes(whole, sparse, fills, rest), sparse) else None


def _lead(found: tuple[Pass, ...], sparse: Callable[[str], bool]) -> bool:
    """Whether every pass follows what some operand stores."""
    return all(any(sparse(a.tensor) for a in one.follow) for one in found)


def _holds(dtype: np.dtype[Any], number: int | float) -> bool:
    if dtype.kind == "f":
        return math.isinf(number) or abs(number) <= float(np.finfo(dtype).max)
    ends = identity("max", dtype), identity("min", dtype)
    return math.isfinite(number) and ends[0] <= number <= ends[1] and number == int(number)


def every_pass(
    form: Form, sparse: Callable[[str], bool], fills: Fills, dtype: str, *, cut: bool
) -> Iterator[Pass]:
    """Those of every term, or of the whole; ``cut`` as in `left_over`."""
    if is_joint(form):
        yield from whole_passes(form, sparse, fills, dtype, cut=cut)
        return
    for term in form.terms:
        yield from term_passes(term, sparse, fills)


def passes(
    value: Expr, sparse: Callable[[str], bool], fills: Fills, start: int | float
) -> tuple[Pass, ...]:
    """The fewest passes that leave out what they can.

    start : what the value is where there is nothing to do.
    """
    reads = tuple(dict.fromkeys(accesses(value)))

    def after(missing: tuple[Access, ...]) -> tuple[Pass, ...] | None:
        """The passes over points where these are absent; None where that is every point."""
        if missing and folded(value, missing, fills) == start:
            return ()
        left = [a for a in reads if a not in missing]
        follow = tuple(a for a in left if folded(value, (*missing, a), fills) == start)
        others = tuple(a for a in reads if a not in follow)
        if any(sparse(a.tensor) for a in follow):
            return (Pass(follow, others, missing),)
        lead = next((a for a in left if sparse(a.tensor)), None)
        rest = None if lead is None else after((*missing, lead))
        if lead is None or rest is None:
            return None if missing else (Pass(follow, others),)
        others = tuple(a for a in others if a != lead)
        return (Pass((lead, *follow), others, missing), *rest)

    found = after(())
    assert found is not None
    return found

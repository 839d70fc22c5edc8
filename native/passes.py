"""The passes over a value: which operands each follows, which it looks up.

A loop may visit only what an operand stores where the value without it is what the reduction
starts from (`absence.needed`): ``A[i,k]*relu(B[k,j])`` is one pass that follows both.  The value
``max(A[i,k], B[i,k])`` has no such operand, and is nothing where both are absent: one pass
follows A and looks B up, a second follows B where A stores nothing.  Each point is visited by
one pass.

Where a value is a constant without its operands, as ``exp(A[i,k])`` is 1, the passes visit what
is stored all the same, if every place of the result reduces as many points as any other: what
was not visited is folded in at the end (`Visits.rest`).  A value that is something else where
nothing is stored takes one pass over every point.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isinf, isnan

import numpy as np

from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access, Expr
from zeroskip.einsum_spec.walk import accesses, free, single
from zeroskip.native.absence import folded
from zeroskip.native.dtypes import identity
from zeroskip.native.forms import is_joint, plain_target, product_of, right_side
from zeroskip.native.operand import Signature
from zeroskip.records import dataclass


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


@dataclass(frozen=True, slots=True)
class Visits:
    """passes : over the points of a value.
    rest : the value at every point that no pass visits; None where it adds nothing there."""

    passes: tuple[Pass, ...]
    rest: int | float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of the operands.

    sparse : those that leave coordinates out.
    fills : what is read of each where nothing is stored.
    skips_padding : whether points in some padding are left out of the reduction.
    """

    sparse: frozenset[str]
    fills: Mapping[str, int | float]
    skips_padding: bool


def seen(signatures: Mapping[str, Signature]) -> Seen:
    """What signatures tell."""
    return Seen(
        frozenset(name for name, of in signatures.items() if of.skips),
        {name: of.fill for name, of in signatures.items()},
        any(of.skips_padding for of in signatures.values()),
    )


def term_visits(form: Form, term: Term, known: Seen, dtype: str) -> Visits:
    """The passes over one term of a sum."""
    return _visits(product_of(term), known, 0, _even(form, known), dtype)


def whole_visits(form: Form, known: Seen, dtype: str) -> Visits:
    """The passes over a right side that is evaluated whole."""
    reduction = form.reduction or "+"
    even = reduction != "*" and _even(form, known)
    return _visits(right_side(form), known, identity(reduction, dtype), even, dtype)


def every_visit(form: Form, known: Seen, dtype: str) -> Iterator[Visits]:
    """Those of every term, or of the whole."""
    if is_joint(form):
        yield whole_visits(form, known, dtype)
        return
    for term in form.terms:
        yield term_visits(form, term, known, dtype)


def _even(form: Form, known: Seen) -> bool:
    """Whether every place of the result reduces the same number of points."""
    return plain_target(form) and not known.skips_padding


def _visits(value: Expr, known: Seen, start: int | float, even: bool, dtype: str) -> Visits:
    """The fewest passes that leave out what they can."""
    found = passes(value, known, start)
    sparse = [a for a in dict.fromkeys(accesses(value)) if a.tensor in known.sparse]
    if not even or not sparse or any(a in one.follow for one in found for a in sparse):
        return Visits(found)
    rest = folded(value, sparse, known.fills)
    if rest is None or isnan(rest) or rest == start or not _holds(dtype, rest):
        return Visits(found)
    return Visits(passes(value, known, rest), rest)


def _holds(dtype: str, number: int | float) -> bool:
    """Whether a type has room for a number; integers that wrap around are computed point by
    point."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        return isinf(number) or abs(number) <= float(np.finfo(kind).max)
    ends = identity("max", dtype), identity("min", dtype)
    return not isinf(number) and ends[0] <= number <= ends[1] and number == int(number)


def passes(value: Expr, known: Seen, start: int | float) -> tuple[Pass, ...]:
    """The passes over the points at which a value is not ``start``; or over all of them."""
    reads = tuple(dict.fromkeys(accesses(value)))
    fills = known.fills

    def after(missing: tuple[Access, ...]) -> tuple[Pass, ...] | None:
        """The passes over points where these are absent; None where that is every point."""
        if missing and folded(value, missing, fills) == start:
            return ()
        left = [a for a in reads if a not in missing]
        follow = tuple(a for a in left if folded(value, (*missing, a), fills) == start)
        others = tuple(a for a in reads if a not in follow)
        if any(a.tensor in known.sparse for a in follow):
            return (Pass(follow, others, missing),)
        lead = next((a for a in left if a.tensor in known.sparse), None)
        rest = None if lead is None else after((*missing, lead))
        if lead is None or rest is None:
            return None if missing else (Pass(follow, others),)
        others = tuple(a for a in others if a != lead)
        return (Pass((lead, *follow), others, missing), *rest)

    found = after(())
    assert found is not None
    return found


def is_plain(access: Access) -> bool:
    """Whether every axis is read at a rank of its own: loops follow such operands first."""
    return all(single(part) is not None for part in access.subscripts)


def scanned(one: Pass, tensors: Mapping[str, Signature]) -> Iterator[Access]:
    """What a pass follows and comes to in a listed level (S) whose place others have bound: each
    time, every entry of the fiber above it would be looked at.

    tensors : the operands that may leave coordinates out."""
    bound: set[str] = set()
    followed = [a for a in one.follow if a.tensor in tensors and tensors[a.tensor].skips]
    for turn, access in enumerate(sorted(followed, key=lambda a: not is_plain(a))):
        ranks = [set(free(Access("", (part,)))) for part in access.subscripts]
        listed = (level for level in tensors[access.tensor].levels if level.letter == "S")
        if turn and any(ranks[axis] <= bound for level in listed for axis in level.axes):
            yield access
        bound.update(free(access))

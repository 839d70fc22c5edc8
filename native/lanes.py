"""The lane schedule: one rank of the result in vectors, innermost, under any walk.

    O[n,m,p,q] = post(B[m] + sum[c,r,s](I[n,c,U*p+r,U*q+s] * F[m,c,r,s]))     I sparse, lanes m

For every stored activation and every weight position that it meets, one row of weights over m
is added into one row of sums over m.  The dense operands that hold the lane rank are staged
with it innermost; so are the sums, whose rows are padded to whole vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.formats.levels import Uncompressed
from zeroskip.native.cursor import State
from zeroskip.native.descend import Descent, value_at
from zeroskip.native.dtypes import exact
from zeroskip.native.integers import ONE, ZERO, Name, add, mul
from zeroskip.native.lower import Lowered, finish, one_product
from zeroskip.native.nest import Fill, Reduce, Stage, StageAxis, Stmt
from zeroskip.native.operand import LevelSignature, Signature
from zeroskip.native.parallel import own_ranks, shared
from zeroskip.native.passes import Pass
from zeroskip.native.pointwise import times
from zeroskip.native.scheme import Scheme
from zeroskip.native.sums import Sums
from zeroskip.native.values import Elem, Number

FEWEST_LANES = 8
"""Extent of a lane rank below which its vectors would be mostly padding."""


@dataclass(frozen=True, slots=True)
class LanePlan:
    """rank : whose coordinates are the lanes; term : the product; late : added at the end;
    staged : the dense operands that hold the rank."""

    form: Form
    rank: str
    term: Term
    late: tuple[Term, ...]
    staged: tuple[Access, ...]

    @property
    def rows(self) -> tuple[str, ...]:
        """Ranks of the result but the lanes', in the result's order."""
        ranks = [single(s) for s in self.form.target.subscripts]
        return tuple(r for r in ranks if r is not None and r != self.rank)


def plans(form: Form, signatures: Mapping[str, Signature], dtype: str) -> tuple[LanePlan, ...]:
    """The lane schedules of a form, one for each rank that can be the lanes.

    They fit one product with a sparse operand, all of one dtype, and a rank of the result that
    no sparse operand holds and that every dense one holds plainly or not at all.
    """
    parts = one_product(form, signatures, dtype)
    if parts is None:
        return ()
    term, late, ranks = parts
    names = {a.tensor for a in term.accesses}
    if len(names) != len(term.accesses):
        return ()
    if not all(exact(signatures[n].dtype, dtype) for n in names):
        return ()
    if not any(signatures[n].skips for n in names):
        return ()
    staged = {rank: _staged(term, rank, signatures) for rank in ranks}
    return tuple(LanePlan(form, rank, term, late, of) for rank, of in staged.items() if of)


def longest(
    found: Sequence[LanePlan], extents: Extents, fewest: int | None = None
) -> LanePlan | None:
    """The schedule with the longest lanes; None where they are fewer than ``fewest``."""
    fewest = FEWEST_LANES if fewest is None else fewest
    long = [one for one in found if extents.ranks[one.rank] >= fewest]
    return max(long, key=lambda p: extents.ranks[p.rank], default=None)


def _staged(
    term: Term, rank: str, signatures: Mapping[str, Signature]
) -> tuple[Access, ...] | None:
    """The accesses to stage; None where one of them cannot take the rank as lanes."""
    found = []
    for access in term.accesses:
        holds = [rank in variables(s) for s in access.subscripts]
        if not any(holds):
            continue
        signature = signatures[access.tensor]
        axis = holds.index(True)
        plain = single(access.subscripts[axis]) == rank and not signature.padded[axis]
        if sum(holds) > 1 or not signature.dense or not plain:
            return None
        found.append(access)
    return tuple(found)


def lower_lanes(
    plan: LanePlan, signatures: Mapping[str, Signature], dtype: str, vector_bytes: int
) -> Lowered:
    """Loop nest of the lane schedule; its integers come from `numbers`."""
    turned = dict(signatures)
    for access in plan.staged:
        turned[access.tensor] = _innermost(signatures[access.tensor], _axis(access, plan.rank))
    scheme = Scheme(plan.form, turned, dtype, staged=frozenset(a.tensor for a in plan.staged))
    sums = Sums(scheme)
    rows = scheme.buffer(("rows",), "row_sums", dtype, written=True)
    pitch = scheme.number("row_pitch")
    lane = Name(scheme.rank(plan.rank))
    place = Elem(rows, add(mul(scheme.point(plan.rows), pitch), lane))

    def leaf(state: State) -> tuple[Stmt, ...]:
        values = sums.scale(plan.term) + [value_at(c, scheme) for c in state.cursors]
        value = times(values, scheme, dtype)
        return (Reduce(place, "+", value, max(len(state.cursors) - 1, 0)),)

    stages = tuple(_stage(scheme, access, plan.rank) for access in plan.staged)
    size = mul(pitch, *(scheme.extent(rank) for rank in plan.rows))
    descent = Descent(scheme, sums.ranks(plan.term), leaf, lambda state: None, plan.rank)
    loops = descent.go(State(frozenset(), sums.cursors(Pass(plan.term.accesses))))
    last = sums.over_result((sums.store(place, map(sums.late_value, plan.late)),))
    body = (*stages, Fill(rows, size, Number(0)), *loops, *last)
    body = shared(body, [place.index, scheme.row_major(plan.form.target)], own_ranks(scheme))
    return finish(scheme, (*sums.title(), f"lanes: {plan.rank}"), body, vector_bytes)


def _axis(access: Access, rank: str) -> int:
    return next(k for k, s in enumerate(access.subscripts) if single(s) == rank)


def _innermost(signature: Signature, axis: int) -> Signature:
    """The dense operand with one axis moved innermost."""
    order = [k for k in range(len(signature.levels)) if k != axis] + [axis]
    levels = tuple(LevelSignature(Uncompressed, (k,), ()) for k in order)
    return replace(signature, levels=levels)


def _stage(scheme: Scheme, access: Access, rank: str) -> Stage:
    tensor = access.tensor
    target = scheme.values(tensor)
    dtype = scheme.signatures[tensor].dtype
    source = scheme.buffer(("vals", tensor), f"{tensor}_vals", dtype)

    lane = _axis(access, rank)
    axes = tuple(
        StageAxis(
            scheme.number(f"{tensor}_extent{k}"),
            ZERO,
            1,
            ONE if k == len(access.subscripts) - 1 else scheme.number(f"{tensor}_from{k}"),
            ZERO,
            ONE if k == lane else scheme.number(f"{tensor}_to{k}"),
        )
        for k in range(len(access.subscripts))
    )
    return Stage(target, source, axes)


def numbers(plan: LanePlan, extents: Extents, lanes_per_vector: int) -> dict[str, int]:
    """Every integer that the kernel is handed beyond extents, by name."""
    found = {}
    lanes = extents.ranks[plan.rank]
    found["row_pitch"] = -(-lanes // lanes_per_vector) * lanes_per_vector
    for access in plan.staged:
        shape = extents.shapes[access.tensor]
        axis = _axis(access, plan.rank)
        order = [k for k in range(len(shape)) if k != axis] + [axis]
        for kind, axes in (("from", range(len(shape))), ("to", order)):
            step = 1
            for k in reversed(axes):
                found[f"{access.tensor}_{kind}{k}"] = step
                step *= shape[k]
        for k, extent in enumerate(shape):
            found[f"{access.tensor}_extent{k}"] = extent
    return found

"""The lane schedule: one rank of the result in vectors, innermost, under any walk.

    O[n,m,p,q] = post(B[m] + sum[c,r,s](I[n,c,U*p+r,U*q+s] * F[m,c,r,s]))     I sparse, lanes m

For every stored activation and every weight position that it meets, one row of weights over m
is added into one row of sums over m.  Lanes are cut into tiles of some vectors, and everything
is walked once for each; from where the other ranks of the result are known, the sums of a tile
stay in registers.  The dense operands that hold the lane rank are laid out tile by tile, with
it innermost; the sums have it innermost, in rows padded to whole vectors.  What a tile reads of
them may be more than the nearest cache holds: fibers are then followed in blocks (`cuts`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.formats.levels import Uncompressed
from zeroskip.native.arguments import Array
from zeroskip.native.cursor import Cursor, State
from zeroskip.native.cuts import Cuts, Cutting, cutting
from zeroskip.native.descend import Descent, value_at
from zeroskip.native.domains import Range
from zeroskip.native.dtypes import exact
from zeroskip.native.geometry import SLACK
from zeroskip.native.integers import ONE, ZERO, Name, Op, add, least, mul, sub, without
from zeroskip.native.lower import Lowered, finish, one_product
from zeroskip.native.nest import Acc, Fill, Loop, Reduce, Stmt
from zeroskip.native.nest_tiles import Stage, StageAxis, Tiles
from zeroskip.native.operand import LevelSignature, Signature
from zeroskip.native.parallel import own_ranks, shared
from zeroskip.native.passes import Pass
from zeroskip.native.pointwise import times
from zeroskip.native.scheme import Scheme
from zeroskip.native.scratch import aligned_zeros, on_large_pages
from zeroskip.native.sums import Sums
from zeroskip.native.tile_shape import tiles_of
from zeroskip.native.values import Elem, Held, Number
from zeroskip.records import dataclass

MOST_VECTORS = 8
"""Vectors of sums that a tile of lanes holds in registers; those of its loads need others."""

FEWEST_LANES = 8
"""Extent of a lane rank below which its vectors would be mostly padding."""


@dataclass(frozen=True, slots=True)
class LanePlan:
    """rank : whose coordinates are the lanes; term : the product; late : added at the end;
    staged : the dense operands that hold the rank; order : of the loops, empty where that is left
    to what the operands store; cut : how fibers can be followed in blocks, None where not."""

    form: Form
    rank: str
    term: Term
    late: tuple[Term, ...]
    staged: tuple[Access, ...]
    order: tuple[str, ...] = ()
    cut: Cutting | None = None

    @property
    def rows(self) -> tuple[str, ...]:
        """Ranks of the result but the lanes', in the result's order."""
        ranks = [single(s) for s in self.form.target.subscripts]
        return tuple(r for r in ranks if r is not None and r != self.rank)

    def axes(self, access: Access) -> tuple[int, ...]:
        """Axes of a staged operand as they are laid out, the lanes' last: in the order of the
        loops, so that what the inner loops meet of it lies together."""

        def met(axis: int) -> int:
            subscript = access.subscripts[axis]
            if single(subscript) == self.rank:
                return len(self.order) + 1
            ranks = [self.order.index(name) for name in variables(subscript) if name in self.order]
            return min(ranks, default=0)

        return tuple(sorted(range(len(access.subscripts)), key=met))


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
    found = [LanePlan(form, rank, term, late, of) for rank, of in staged.items() if of]
    return tuple(_ordered(plan, signatures) for plan in found)


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
    plan: LanePlan,
    signatures: Mapping[str, Signature],
    dtype: str,
    vector_bytes: int,
    vectors: tuple[int, ...],
    kept: frozenset[str] = frozenset(),
    cut: bool = False,
) -> Lowered:
    """Loop nest of the lane schedule; its integers come from `numbers`.

    vectors : how many vectors a tile may have.
    kept : staged operands that are laid out already, as `laid_out` does.
    cut : whether fibers are followed in blocks.
    """
    turned = dict(signatures)
    for access in plan.staged:
        turned[access.tensor] = _in_order(signatures[access.tensor], plan.axes(access))
    staged = frozenset(a.tensor for a in plan.staged)
    scheme = Scheme(plan.form, turned, dtype, staged, plan.order)
    for tensor in sorted(kept):  # these are not written
        scheme.buffer(("staged", tensor), f"{tensor}_staged", dtype)
    sums, fresh, number = Sums(scheme), scheme.names.fresh, scheme.number
    rows = scheme.buffer(("rows",), "row_sums", dtype, written=True)
    rank = scheme.rank(plan.rank)
    tile = _Tile(Name(fresh("x")), Name(fresh("width")), Name(fresh("lane")), rank)
    acc, part, pitch = fresh("acc"), fresh("part"), number("row_pitch")
    row = mul(scheme.point(plan.rows), pitch)
    place = Elem(rows, add(row, tile.first, tile.lane))
    bound = frozenset({plan.rank})
    cuts = Cuts(scheme, plan.cut) if cut and plan.cut is not None else None
    opened: set[str] = set()

    def hook(state: State) -> Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]] | None:
        if cuts is not None and "blocks" not in opened and state.bound >= set(cuts.of.windows):
            opened.add("blocks")
            over = Range(ZERO, cuts.blocks)
            return lambda body: (Loop(cuts.at.name, over, body, note="blocks of fibers"),)
        if "sums" in opened or not state.bound >= set(plan.rows):
            return None
        opened.add("sums")
        axes = {access.tensor: plan.axes(access) for access in plan.staged}
        next_block = cuts.brought(tile.first, tile.width, axes, plan.rows) if cuts else ()

        def wrap(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
            held = Acc(acc, dtype, place, body, (Reduce(place, "=", Held(acc)),))
            return (*next_block, Loop(tile.lane.name, Range(ZERO, tile.width), (held,), "vec"))

        return wrap

    def leaf(state: State) -> tuple[Stmt, ...]:
        values = sums.scale(plan.term) + [tile.value(c, scheme) for c in state.cursors]
        value = times(values, scheme, dtype)
        return (Reduce(Held(acc), "+", value, max(len(state.cursors) - 1, 0)),)

    def tiles(body: tuple[Stmt, ...], note: str) -> Tiles:
        line, count = scheme.extent(plan.rank), number("lane_tiles")
        return Tiles(tile.first.name, tile.width.name, part, line, count, vectors, body, note)

    copies = [
        _stage(scheme, access, plan, tile) for access in plan.staged if access.tensor not in kept
    ]
    staging = (tiles(tuple(copies), "operands by tiles of lanes"),) if copies else ()
    size = mul(pitch, *(scheme.extent(r) for r in plan.rows))
    ranks = tuple(r for r in sums.ranks(plan.term) if r != plan.rank)
    descent = Descent(scheme, ranks, leaf, hook, None)
    cursors = sums.cursors(Pass(plan.term.accesses))
    state = State(bound, cursors, piece=cuts.piece if cuts else None)
    loops = tiles(descent.go(state), "register tiles of lanes")
    whole = Elem(rows, add(row, Name(rank)))
    turned_back = (sums.store(whole, map(sums.late_value, plan.late)),)
    last = sums.over_result(turned_back, _rows_by_rows(plan))
    begins = cuts.found if cuts else ()
    body = (*staging, *begins, Fill(rows, size, Number(0)), loops, *last)
    places = [place.index, whole.index, scheme.row_major(plan.form.target)]
    body = shared(body, places, own_ranks(scheme))
    return finish(scheme, (*sums.title(), f"lanes: {plan.rank}"), body, vector_bytes)


def _rows_by_rows(plan: LanePlan) -> tuple[str, ...]:
    """The order in which sums are stored: of lanes that are not the result's last rank, those of
    its last rows together, so that neither the sums nor the result are gone through in leaps."""
    ranks = [single(s) for s in plan.form.target.subscripts]
    if ranks[-1] == plan.rank or not plan.rows:
        return (*plan.rows, plan.rank)
    return (*plan.rows[:-1], plan.rank, plan.rows[-1])


def _ordered(plan: LanePlan, signatures: Mapping[str, Signature]) -> LanePlan:
    """The plan with the order of its loops, and how its fibers are cut."""
    order = _windows_first(plan, signatures)
    if not order:
        return plan
    (access,) = [a for a in plan.term.accesses if signatures[a.tensor].skips]
    signature = signatures[access.tensor]
    cut = cutting(access, signature, order, plan.rows, plan.staged, plan.rank)
    return replace(plan, order=order, cut=cut)


def _windows_first(plan: LanePlan, signatures: Mapping[str, Signature]) -> tuple[str, ...]:
    """An order of the loops where a sparse operand is found by windows and followed in fibers
    of one summed rank: the places of the window outermost, so that what a fiber meets of the
    staged operands is met again by the next fiber, out of the nearest cache.  Empty elsewhere.
    """
    sparse = [a for a in plan.term.accesses if signatures[a.tensor].skips]
    if len(sparse) != 1:
        return ()
    (access,) = sparse
    *outer, last = signatures[access.tensor].levels
    inner = single(access.subscripts[last.axes[0]]) if len(last.axes) == 1 else None
    found = [access.subscripts[axis] for level in outer for axis in level.axes]
    if inner is None or inner in plan.rows or last.part is not None:
        return ()
    if not all(level.kind is Uncompressed and level.part is None for level in outer):
        return ()
    if all(single(subscript) is not None for subscript in found):
        return ()
    held = dict.fromkeys(name for subscript in found for name in variables(subscript))
    windows = [name for name in held if name not in plan.rows]
    others = [r for r in plan.term.ranks if r not in (*windows, inner, *plan.rows, plan.rank)]
    return (*windows, *plan.rows, *others, inner)


@dataclass(frozen=True, slots=True)
class _Tile:
    """Lanes of a tile: the first, how many, one of them; and the rank that they are places of."""

    first: Name
    width: Name
    lane: Name
    rank: str

    def value(self, cursor: Cursor, scheme: Scheme) -> Elem:
        """An operand's value at a lane; what is staged lies tile by tile."""
        tensor = cursor.access.tensor
        if tensor not in scheme.staged:
            return value_at(cursor, scheme)
        lanes = scheme.level(cursor.access, cursor.depth - 1).extent
        before = without(cursor.position, self.rank)
        if before != ZERO:
            assert isinstance(before, Op)
            assert before.op == "*"
            assert before.args[-1] == lanes
            before = mul(*before.args[:-1], self.width)
        start = mul(self.first, scheme.number(f"{tensor}_places"))
        return Elem(scheme.values(tensor), add(start, before, self.lane))


def _in_order(signature: Signature, axes: Sequence[int]) -> Signature:
    """The dense operand with its axes in another order."""
    levels = tuple(LevelSignature(Uncompressed, (k,), ()) for k in axes)
    return replace(signature, levels=levels)


def _stage(scheme: Scheme, access: Access, plan: LanePlan, tile: _Tile) -> Stage:
    """The lanes of a tile, those of each place behind those of the one before."""
    tensor, (*others, lane) = access.tensor, plan.axes(access)
    target, number = scheme.values(tensor), scheme.number
    source = scheme.buffer(("vals", tensor), f"{tensor}_vals", scheme.signatures[tensor].dtype)
    steps = [
        ONE if k == len(access.subscripts) - 1 else number(f"{tensor}_from{k}")
        for k in range(len(access.subscripts))
    ]
    axes = [
        StageAxis(
            number(f"{tensor}_extent{k}"),
            ZERO,
            1,
            steps[k],
            ZERO,
            mul(number(f"{tensor}_to{k}"), tile.width),
        )
        for k in others
    ]
    lanes = least(sub(scheme.extent(plan.rank), tile.first), tile.width)
    axes.append(StageAxis(lanes, ZERO, 1, steps[lane], ZERO, ONE))
    into = mul(tile.first, number(f"{tensor}_places"))
    return Stage(target, source, tuple(axes), mul(tile.first, steps[lane]), into)


def laid_out(array: Array, axes: tuple[int, ...], lanes_per_vector: int, most: int) -> Array:
    """What the copies of a kernel make: the lanes of the last of ``axes`` tile by tile, zeros
    behind them, for places of the others in that order.

    array : of any shape.  Returns one of one axis, with `SLACK` elements to spare.
    """
    line = array.shape[axes[-1]]
    places = prod(array.shape[axis] for axis in axes[:-1])
    rows = array.transpose(axes).reshape(places, line)
    vectors = -(-line // lanes_per_vector)
    found = aligned_zeros(vectors * lanes_per_vector * len(rows) + SLACK, array.dtype)
    tiles = tiles_of(vectors, most)[0] if line else 0
    for t in range(tiles):
        first, end = (vectors * n // tiles * lanes_per_vector for n in (t, t + 1))
        block = found[first * len(rows) : end * len(rows)].reshape(len(rows), end - first)
        block[:, : min(end, line) - first] = rows[:, first:end]
    return on_large_pages(found)


def numbers(plan: LanePlan, extents: Extents, lanes_per_vector: int, most: int) -> dict[str, int]:
    """Every integer that the kernel is handed beyond extents, by name."""
    lanes = extents.ranks[plan.rank]
    vectors = -(-lanes // lanes_per_vector)
    found = {"row_pitch": vectors * lanes_per_vector}
    found["lane_tiles"] = tiles_of(vectors, most)[0] if lanes else 0
    for access in plan.staged:
        shape, tensor = extents.shapes[access.tensor], access.tensor
        order = plan.axes(access)[:-1]
        for kind, axes in (("from", range(len(shape))), ("to", order)):
            step = 1
            for k in reversed(axes):
                found[f"{tensor}_{kind}{k}"] = step
                step *= shape[k]
        found[f"{tensor}_places"] = prod(shape[k] for k in order)
        for k in order:
            found[f"{tensor}_extent{k}"] = shape[k]
    return found

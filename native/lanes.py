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

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.formats.levels import Uncompressed
from zeroskip.native.cursor import Cursor, State
from zeroskip.native.cuts import Cuts, Cutting, cutting
from zeroskip.native.descend import value_at
from zeroskip.native.domains import Range
from zeroskip.native.integers import ONE, ZERO, Name, Op, add, least, mul, sub, without
from zeroskip.native.lane_layout import turned_back
from zeroskip.native.lower import Lowered, finish, one_product
from zeroskip.native.nest import Acc, Fill, Loop, Reduce, Stmt
from zeroskip.native.nest_tiles import Stage, StageAxis, Tiles
from zeroskip.native.operand import LevelSignature, Signature
from zeroskip.native.parallel import own_ranks, shared
from zeroskip.native.passes import Pass
from zeroskip.native.pointwise import times
from zeroskip.native.scheme import Scheme
from zeroskip.native.slides import Along, Slides, Sliding, sliding
from zeroskip.native.sums import Sums
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
    to what the operands store; cut : how fibers can be followed in blocks, None where not; slid :
    the plan whose windows slide as ``sliding`` says, where there is one."""

    form: Form
    rank: str
    term: Term
    late: tuple[Term, ...]
    staged: tuple[Access, ...]
    order: tuple[str, ...] = ()
    cut: Cutting | None = None
    sliding: Sliding | None = None
    slid: LanePlan | None = None

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

    They fit one product with a sparse operand, and a rank of the result that
    no sparse operand holds and that every dense one holds plainly or not at all.
    """
    parts = one_product(form, signatures, dtype)
    if parts is None:
        return ()
    term, late, ranks = parts
    names = {a.tensor for a in term.accesses}
    if len(names) != len(term.accesses):
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
    taps: int = 0,
) -> Lowered:
    """Loop nest of the lane schedule; its integers come from `lane_layout.numbers`.

    vectors : how many vectors a tile may have.
    kept : staged operands that are laid out already, as `lane_layout.laid_out` does.
    cut : whether fibers are followed in blocks.
    taps : places of the windows that slide.
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
    bound = frozenset({plan.rank, *((plan.sliding.window,) if plan.sliding else ())})
    cuts = Cuts(scheme, plan.cut) if cut and plan.cut is not None else None
    slides = Slides(scheme, plan.sliding, taps, acc) if plan.sliding is not None else None
    opened: set[str] = set()

    def next_block() -> tuple[Stmt, ...]:
        axes = {access.tensor: plan.axes(access) for access in plan.staged}
        return cuts.brought(tile.first, tile.width, axes, plan.rows) if cuts else ()

    def instead(state: State) -> tuple[Stmt, ...] | None:
        """What windows slide along."""
        if slides is None or "sums" in opened or (cuts is not None and "blocks" not in opened):
            return None
        if not state.bound >= {*plan.rows} - {slides.of.rank}:
            return None
        opened.add("sums")
        below = replace(state, bound=state.bound | {slides.of.rank}, whole=False)
        body = slides.around(place, dtype, next_block(), lambda: descent.go(below))
        return (Loop(tile.lane.name, Range(ZERO, tile.width), (body,), "vec"),)

    def hook(state: State) -> Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]] | None:
        if cuts is not None and "blocks" not in opened and state.bound >= set(cuts.of.windows):
            opened.add("blocks")
            over = Range(ZERO, cuts.blocks)
            return lambda body: (Loop(cuts.at.name, over, body, note="blocks of fibers"),)
        if "sums" in opened or not state.bound >= set(plan.rows):
            return None
        opened.add("sums")

        def wrap(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
            held = Acc(acc, dtype, place, body, (Reduce(place, "=", Held(acc)),))
            return (*next_block(), Loop(tile.lane.name, Range(ZERO, tile.width), (held,), "vec"))

        return wrap

    def leaf(state: State) -> tuple[Stmt, ...]:
        values = sums.scale(plan.term) + [tile.value(c, scheme) for c in state.cursors]
        work = max(len(state.cursors) - 1, 0)
        if slides is not None:
            return slides.added(values, lambda own: times(own, scheme, dtype), work)
        return (Reduce(Held(acc), "+", times(values, scheme, dtype), work),)

    def tiles(body: tuple[Stmt, ...], note: str) -> Tiles:
        line, count = scheme.extent(plan.rank), number("lane_tiles")
        return Tiles(tile.first.name, tile.width.name, part, line, count, vectors, body, note)

    copies = [
        _stage(scheme, access, plan, tile) for access in plan.staged if access.tensor not in kept
    ]
    staging = (tiles(tuple(copies), "operands by tiles of lanes"),) if copies else ()
    size = mul(pitch, *(scheme.extent(r) for r in plan.rows))
    ranks = tuple(r for r in sums.ranks(plan.term) if r != plan.rank)
    descent = Along(scheme, ranks, leaf, hook, instead)
    cursors = sums.cursors(Pass(plan.term.accesses))
    state = State(bound, cursors, piece=cuts.piece if cuts else None)
    loops = tiles(descent.go(state), "register tiles of lanes")
    whole = Elem(rows, add(row, Name(rank)))
    stored = sums.store(whole, map(sums.late_value, plan.late))
    last: tuple[Stmt, ...] = sums.over_result((stored,), _rows_by_rows(plan))
    if stored.value == whole and scheme.stored == dtype:
        last = (turned_back(plan, scheme, rows, sums.result),)
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
    inner = order[-1]

    def cut(order: tuple[str, ...]) -> LanePlan:
        how = cutting(access, signature, order, plan.rows, plan.staged, plan.rank)
        return replace(plan, order=order, cut=how)

    found = cut(order)
    along = sliding(access, plan.term, plan.staged, plan.rows)
    if along is None or along.window not in order[: order.index(inner)]:
        return found
    inside = (*(rank for rank in order if rank != along.window), along.window)
    return replace(found, slid=replace(cut(inside), sliding=along))


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

"""The tiled schedule: one operand's entries against register tiles of the other.

    O[n,m,p,q] = post(B[m] + sum[c,r,s](I[n,c,U*p+r,U*q+s] * F[m,c,r,s]))
                                             lanes          entries

One operand (the *entries*: its ranks plain, none shared with the lanes) is packed by rows of
the result: for each entry its value and the *offset* that its coordinates mean in the other.
The other (the *lanes*: dense) is staged so that every remaining rank of the result lies on one
line with stride 1: halo and padding copied in, strides split into phases, lane ranks innermost.
Then, for a tile of lanes x and a row m,

    acc[x] += value * staged[x + offset]        for each entry of the row

and what lies between the rows of the line (the halo) is cropped when the tile is stored.
A matrix product, a fully connected layer and a convolution of any stride are one kernel.

Where no window reaches from one lane into the next, an offset counts whole lines, and a tile's
lanes are copied into a *panel*, in which its vectors lie one behind the other.  `tile_shape` says
whether that copy pays, how many rows share each load of the lanes, and how much of the staged copy
is gone through before the next row is taken up (a *block*, which the first-level cache holds);
`geometry` turns all of it into integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access, Affine, Var
from zeroskip.einsum_spec.walk import free, single
from zeroskip.formats.tensor import Tensor
from zeroskip.native.crop import ROWS_TURNED, crop_rows, crop_turned, is_turned
from zeroskip.native.domains import Range, Together
from zeroskip.native.integers import (
    ONE,
    ZERO,
    Cond,
    Const,
    Expr,
    Name,
    add,
    ceildiv,
    least,
    mul,
    sub,
)
from zeroskip.native.lower import Lowered, finish, one_product
from zeroskip.native.nest import Acc, Guard, Loop, Reduce, Stmt
from zeroskip.native.nest_tiles import Stage, StageAxis, Tiles
from zeroskip.native.on_line import lanes_on_line, steps_of
from zeroskip.native.operand import Signature
from zeroskip.native.scheme import Scheme
from zeroskip.native.sums import Sums
from zeroskip.native.tile_shape import TileShape
from zeroskip.native.values import Absent, Elem, Held, Number, Prod, Sum, Value
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class LaneAxis:
    """One axis of the lanes' operand.

    rank : the result's rank on it, or None; stride : that rank's coefficient.
    """

    axis: int
    rank: str | None
    stride: int


@dataclass(frozen=True, slots=True)
class TilePlan:
    """Which operand is which.

    term : the product; late : the terms that are added when the result is stored.
    rows : ranks of the result that the entries hold, in the result's order.
    lanes : ranks of the result that the lanes hold, in the result's order.
    panels : whether no summed rank shares an axis with a lane rank, and nothing is padded.
    in_place : whether the operand already lies as the staged copy would.
    across : whether it lies as that turned: lanes a row apart, the places of each in a row.
    window : the axis of the last lane rank, where a window reaches from one lane into the next or
        there is padding: lanes that a shift takes from the next row may be masked out.
    """

    form: Form
    term: Term
    late: tuple[Term, ...]
    entries: Access
    lane_access: Access
    axes: tuple[LaneAxis, ...]
    rows: tuple[str, ...]
    lanes: tuple[str, ...]
    panels: bool
    in_place: bool
    across: bool
    window: int | None


def plan(form: Form, signatures: Mapping[str, Signature], dtype: str) -> TilePlan | None:
    """The tiled schedule of a form, or None where it does not fit.

    It fits a sum of products of two operands, where every rank of the result is held by one of
    the two alone, and every summed rank by both, and where the entries have no padding.  Of two
    choices the one whose lanes hold the result's last rank is taken.
    """
    parts = one_product(form, signatures, dtype)
    if parts is None:
        return None
    term, late, ranks = parts
    if not ranks or len(term.accesses) != 2 or term.scalars or term.number != 1:
        return None
    first, second = term.accesses
    if first.tensor == second.tensor:
        return None
    found = []
    for entries, lanes in ((first, second), (second, first)):
        if not signatures[lanes.tensor].dense or any(signatures[entries.tensor].padded):
            continue
        made = _assign(form, term, late, entries, lanes, ranks, signatures)
        if made is not None:
            found.append(made)
    last = ranks[-1:]
    return min(found, key=lambda p: (p.lanes[-1:] != last, p.entries.tensor), default=None)


def _assign(
    form: Form,
    term: Term,
    late: tuple[Term, ...],
    entries: Access,
    lane_access: Access,
    target: tuple[str, ...],
    signatures: Mapping[str, Signature],
) -> TilePlan | None:
    held = [single(s) for s in entries.subscripts]
    if None in held or len(set(held)) != len(held):
        return None
    on_lanes = set(free(lane_access))
    rows = tuple(r for r in target if r in held)
    lanes = tuple(r for r in target if r not in held)
    summed = set(term.ranks)
    if not lanes or set(lanes) - on_lanes or set(rows) & on_lanes:
        return None
    if summed != set(held) - set(rows) or summed - on_lanes or on_lanes - summed - set(lanes):
        return None
    axes, seen = [], set()
    for k, subscript in enumerate(lane_access.subscripts):
        made = _lane_axis(k, subscript, set(lanes))
        if made is None or (made.rank is not None and made.rank in seen):
            return None
        seen.add(made.rank)
        axes.append(made)
    shared = zip(axes, lane_access.subscripts, strict=True)
    plain = all(a.rank is None or a.rank == single(s) for a, s in shared)
    panels = plain and not any(signatures[lane_access.tensor].padded)
    order = [a.rank for a in axes if a.rank is not None]
    behind = [a.rank is not None for a in axes]
    in_order = panels and tuple(order) == lanes
    in_place = in_order and behind == sorted(behind)
    across = in_order and not in_place and behind == sorted(behind, reverse=True)
    window = None if panels else next(a.axis for a in axes if a.rank == lanes[-1])
    return TilePlan(
        form=form,
        term=term,
        late=late,
        entries=entries,
        lane_access=lane_access,
        axes=tuple(axes),
        rows=rows,
        lanes=lanes,
        panels=panels,
        in_place=in_place,
        across=across,
        window=window,
    )


def _lane_axis(axis: int, subscript: Affine, lanes: set[str]) -> LaneAxis | None:
    """None where a rank is inside a floor, a coefficient is not a positive number, or two
    ranks of the result share the axis."""
    rank, stride = None, 1
    for coefficient, atom in subscript.terms:
        if not isinstance(atom, Var) or coefficient.names or coefficient.value < 1:
            return None
        if atom.name in lanes:
            if rank is not None:
                return None
            rank, stride = atom.name, coefficient.value
    if any(m.names or m.value < 0 for m in subscript.offset):
        return None
    return LaneAxis(axis, rank, stride)


def comes_by_rows(plan: TilePlan, operand: Tensor) -> bool:
    """Whether what an operand stores comes by ascending rows of the result, or blocks of them."""
    if operand.format.split:
        return True
    held = [single(s) for s in plan.entries.subscripts]
    ranks = [held[axis] for level in operand.levels for axis in level.axes]
    return tuple(ranks[: len(plan.rows)]) == plan.rows


# ---- the kernel -------------------------------------------------------------------------


def lower_tile(
    plan: TilePlan,
    signatures: Mapping[str, Signature],
    dtype: str,
    shape: TileShape,
    offset_dtype: str,
    direct: bool,
) -> Lowered:
    """Loop nest of the tiled schedule; its integers come from `geometry`.

    direct : whether the rows of lanes are those of the result, as it lies.
    """
    scheme = Scheme(plan.form, signatures, dtype)
    sums, fresh = Sums(scheme), scheme.names.fresh
    number = scheme.number
    in_panel = plan.panels and shape.panel
    source, staging = lanes_on_line(plan, scheme, in_panel)
    entries = plan.entries.tensor
    x, width, lane, part = (fresh(n) for n in ("x", "width", "lane", "part"))
    block, row, offset, e, member = (fresh(n) for n in ("block", "row", "offset", "e", "member"))
    acc, chunk = fresh("acc"), fresh("chunk")
    panel: tuple[Stmt, ...] = ()
    at: list[Expr] = [Name(x), Name(lane)]
    step = Name(width) if in_panel else number("line") if plan.panels else ONE
    if in_panel:
        held = scheme.buffer(("panel",), f"{plan.lane_access.tensor}_panel", dtype, written=True)
        own = mul(Name(part), number("panel_size"))
        panel = (_panel(plan, held, source, number, Name(x), Name(width), own),)
        source, at = held, [own, Name(lane)]
    at.append(mul(Name(offset), step))
    if shape.block:
        at.append(mul(mul(Name(block), number("block_span")), step))
    read = None if in_panel or not plan.panels else sub(number("line"), Name(x))
    columns = scheme.buffer(("columns",), f"{entries}_columns", "int64")
    rows_together = Together(
        columns,
        scheme.buffer(("offset",), f"{entries}_offset", offset_dtype),
        scheme.buffer(("first",), f"{entries}_first", "int64") if shape.rows > 1 else columns,
        add(mul(Name(block), number("row_blocks")) if shape.block else ZERO, Name(row)),
        shape.rows,
        member,
        e,
        shape.chains,
    )
    packed = scheme.buffer(("packed",), f"{entries}_packed", dtype)
    which = Name(member) if shape.rows * shape.chains > 1 else None
    of_row: Expr = Name(row)
    if shape.rows > 1:
        of_row = add(mul(of_row, Const(shape.rows)), Name(member))
    direct = direct and scheme.stored == dtype
    sum_of_rows = sums.result
    if not direct:
        sum_of_rows = scheme.buffer(("rows",), "row_sums", dtype, written=True)
    pitch = number("line" if direct else "row_pitch")
    there = sub(pitch, Name(x)) if direct else None
    first = Name(x) if direct else ZERO

    def place(of: Expr) -> Elem:
        return Elem(sum_of_rows, add(mul(of, pitch), first, Name(lane)), there)

    there_is = (Cond("<", of_row, number("rows")),) if shape.rows > 1 else ()
    shared = there_is and shape.chains == 1  # read before it is known whether the row is there
    before = place(least(of_row, sub(number("rows"), ONE)) if shared else of_row)
    start: Value = Number(0)
    if shape.block:
        start = Absent(sub(Name(block), ONE), before, Number(0))
    total: Value = Held(acc, which)
    if shape.chains > 1:
        first_sum: Expr = Name(member) if shape.rows > 1 else ZERO
        chains = (Held(acc, add(first_sum, Const(shape.rows * k))) for k in range(shape.chains))
        total, start = Sum((*((start,) if shape.block else ()), *chains)), Number(0)
    store: Stmt = Reduce(place(of_row), "=", total)
    if direct and there_is:  # the last rows may be fewer
        store = Guard(there_is, (store,))
    factors = Elem(packed, Name(e)), Elem(source, add(*at), read)
    update = Reduce(Held(acc, which), "+", Prod(factors), 1)
    work = Acc(
        acc,
        dtype,
        start,
        (Loop(offset, rows_together, (update,)),),
        (store,),
        member if which else "",
        shape.rows * shape.chains,
        shape.rows if shape.chains > 1 else 0,
    )
    crop: tuple[Stmt, ...] = ()
    turned = is_turned(plan) and not direct
    over_rows, some = Range(ZERO, number("row_blocks")), Const(ROWS_TURNED // shape.rows)
    if turned:
        blocks_past = least(number("row_blocks"), mul(add(Name(chunk), ONE), some))
        over_rows = Range(mul(Name(chunk), some), blocks_past)
        crop = crop_turned(
            plan,
            scheme,
            sums,
            (sum_of_rows, ZERO),
            mul(over_rows.lo, Const(shape.rows)),
            least(number("rows"), mul(blocks_past, Const(shape.rows))),
            Name(x),
            Name(width),
            Name(part),
        )
    elif not direct or plan.late or plan.form.post is not None:
        held_in = None if direct else (sum_of_rows, ZERO)
        crop = crop_rows(plan, scheme, sums, held_in, of_row, Name(x), Name(width))
        if there_is:
            rows = Range(ZERO, Const(shape.rows))
            crop = (Loop(member, rows, (Guard(there_is, crop),)),)
    if shape.block and crop:
        last = Cond("==", Name(block), sub(number("blocks"), ONE))
        crop = (Guard((last,), crop),)
    vectors = Loop(lane, Range(ZERO, Name(width)), (work,), "vec")
    body: Stmt = Loop(row, over_rows, (vectors, *(() if turned else crop)), par=not turned)
    if turned:
        over_chunks = Range(ZERO, ceildiv(number("row_blocks"), some))
        body = Loop(chunk, over_chunks, (body, *crop), par=True)
    if shape.block:
        body = Loop(block, Range(ZERO, number("blocks")), (body,))
    note, line, count = "register tiles of the line", number("line"), number("line_tiles")
    simple = direct and (not crop or len(plan.lanes) == 1)  # rows of the result go by lanes
    early = (source, shape.early) if shape.early and simple else None
    cut = line, count, shape.vectors
    tiles = Tiles(x, width, part, *cut, (*panel, body), note, par=True, early=early)
    return finish(scheme, sums.title(), (*staging, tiles), shape.vector_bytes)


def _panel(
    plan: TilePlan,
    panel: str,
    source: str,
    number: Callable[[str], Expr],
    x: Expr,
    width: Expr,
    own: Expr,
) -> Stage:
    """The lanes of a tile, those of each summed place behind those of the one before; in the panel
    of the part's own."""
    place, lane = steps_of(plan, number)
    places = StageAxis(number("places"), ZERO, 1, place, ZERO, width)
    lanes = StageAxis(least(sub(number("line"), x), width), ZERO, 1, lane, ZERO, ONE)
    return Stage(panel, source, (places, lanes), mul(x, lane), own)

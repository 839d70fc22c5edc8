"""The tiled schedule: one operand's entries against register tiles of the other.

    O[n,m,p,q] = post(B[m] + sum[c,r,s](I[n,c,U*p+r,U*q+s] * F[m,c,r,s]))
                                             lanes          entries

One operand (the *entries*: its ranks plain, none shared with the lanes) is packed by rows of
the result: for each entry its value and the *offset* that its coordinates mean in the other.
The other (the *lanes*: dense) is staged so that every remaining rank of the result lies on one
line with stride 1: halo and padding copied in, strides split into phases, lane ranks innermost.
Then, for a tile of lanes x and a row m,

    acc[x] += value * staged[x + offset]        for each entry of the row

and what lies between the rows of the line (the halo) is cropped when the result is stored.
A matrix product, a fully connected layer and a convolution of any stride are one kernel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access, Affine, Var
from zeroskip.einsum_spec.walk import free, single
from zeroskip.native.dtypes import exact
from zeroskip.native.integers import ONE, ZERO, Name, add, mul
from zeroskip.native.lower import Lowered, finish, one_product
from zeroskip.native.nest import Acc, Level, Loop, Range, Reduce, Stage, StageAxis, Stmt, Stored
from zeroskip.native.operand import Signature
from zeroskip.native.scheme import Scheme
from zeroskip.native.sums import Sums
from zeroskip.native.values import Elem, Held, Number, Prod

SLACK = 64
"""Elements behind the staged copy: a vector that starts at its last element stays inside."""


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
    """

    form: Form
    term: Term
    late: tuple[Term, ...]
    entries: Access
    lane_access: Access
    axes: tuple[LaneAxis, ...]
    rows: tuple[str, ...]
    lanes: tuple[str, ...]


def plan(form: Form, signatures: Mapping[str, Signature], dtype: str) -> TilePlan | None:
    """The tiled schedule of a form, or None where it does not fit.

    It fits a sum of products of two operands of the arithmetic's dtype (or a half of it), where
    every rank of the result is held by one of the two alone, and every summed rank by both, and
    where the entries have no padding.  Of two choices the one whose lanes hold the result's last
    rank is taken.
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
        if not all(exact(signatures[a.tensor].dtype, dtype) for a in (entries, lanes)):
            continue
        made = _assign(form, term, late, entries, lanes, ranks)
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
    return TilePlan(form, term, late, entries, lane_access, tuple(axes), rows, lanes)


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


# ---- the kernel -------------------------------------------------------------------------


def lower_tile(
    plan: TilePlan, signatures: Mapping[str, Signature], dtype: str, offset_dtype: str
) -> Lowered:
    """Loop nest of the tiled schedule; its integers come from `Geometry`."""
    scheme = Scheme(plan.form, signatures, dtype)
    sums = Sums(scheme)
    number = scheme.number
    source = scheme.values(plan.lane_access.tensor)
    lanes, entries = plan.lane_access.tensor, plan.entries.tensor
    staged = scheme.buffer(("staged",), f"{lanes}_staged", dtype, written=True)
    pos = scheme.buffer(("pos",), f"{entries}_pos", "int64")
    offsets = scheme.buffer(("offset",), f"{entries}_offset", offset_dtype)
    packed = scheme.buffer(("packed",), f"{entries}_packed", dtype)
    sums_of_rows = scheme.buffer(("rows",), "row_sums", dtype, written=True)

    stage = Stage(staged, source, tuple(_stage_axis(plan, scheme, a) for a in plan.axes))
    x, row, offset, e = (scheme.names.fresh(n) for n in ("x", "row", "offset", "e"))
    acc = scheme.names.fresh("acc")
    level = Level(entries, "packed", "C", (pos, offsets), number("staged_size"))
    update = Reduce(
        Held(acc),
        "+",
        Prod((Elem(packed, Name(e)), Elem(staged, add(Name(x), Name(offset))))),
        1,
    )
    store = Reduce(
        Elem(sums_of_rows, add(mul(Name(row), number("row_pitch")), Name(x))), "=", Held(acc)
    )
    walk = Loop(offset, Stored(level, Name(row), e), (update,))
    rows = Loop(row, Range(ZERO, number("rows")), (Acc(acc, dtype, Number(0), (walk,), (store,)),))
    tiles = Loop(x, Range(ZERO, number("line")), (rows,), "vec", "register tiles of the line")
    return finish(scheme, sums.title(), (stage, tiles, *_crop(plan, scheme, sums, sums_of_rows)))


def _stage_axis(plan: TilePlan, scheme: Scheme, at: LaneAxis) -> StageAxis:
    """Strides that are 1 for every geometry are written as 1, so that copies become vectors."""
    number, last = scheme.number, at.axis == len(plan.axes) - 1
    return StageAxis(
        number(f"source_extent{at.axis}"),
        scheme.pad(plan.lane_access, at.axis),
        at.stride if at.rank is not None else 1,
        ONE if last else number(f"source_stride{at.axis}"),
        number(f"phase_stride{at.axis}") if at.stride > 1 else ZERO,
        ONE if at.rank == plan.lanes[-1] else number(f"row_stride{at.axis}"),
    )


def _crop(plan: TilePlan, scheme: Scheme, sums: Sums, rows: str) -> tuple[Stmt, ...]:
    """Take the result out of the line, with the bias and the function."""
    row = scheme.point(plan.rows)
    line = [mul(Name(scheme.rank(r)), scheme.number(f"pitch_{r}")) for r in plan.lanes[:-1]]
    line.append(Name(scheme.rank(plan.lanes[-1])))
    held = Elem(rows, add(mul(row, scheme.number("row_pitch")), *line))
    return sums.over_result((sums.store(held, map(sums.late_value, plan.late)),))


# ---- numbers ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of the staged line for given extents.

    numbers : every integer that the kernel is handed beyond extents, by name.
    strides : elements that a step along each axis of the lanes' operand moves in the staged
        copy, as (per row, per phase).
    """

    numbers: dict[str, int]
    strides: tuple[tuple[int, int], ...]

    @property
    def staged_elements(self) -> int:
        return self.numbers["staged_size"] + SLACK

    @property
    def row_elements(self) -> int:
        return self.numbers["rows"] * self.numbers["row_pitch"] + SLACK


def geometry(plan: TilePlan, extents: Extents, lanes_per_vector: int) -> Geometry:
    """Lay the staged copy out: summed axes, then phases, then the lane axes innermost."""
    access = plan.lane_access
    shape, pads = extents.shapes[access.tensor], extents.pads[access.tensor]
    padded = [n + lo + hi for n, (lo, hi) in zip(shape, pads, strict=True)]
    by_rank = {a.rank: a for a in plan.axes if a.rank is not None}
    row: dict[int, int] = {}
    phase: dict[int, int] = {}
    numbers: dict[str, int] = {}
    step = 1
    for rank in reversed(plan.lanes):
        axis = by_rank[rank]
        row[axis.axis] = numbers[f"pitch_{rank}"] = step
        step *= max(-(-padded[axis.axis] // axis.stride), 1)
    for axis in reversed(plan.axes):
        if axis.rank is not None and axis.stride > 1:
            phase[axis.axis] = step
            step *= axis.stride
    for axis in reversed(plan.axes):
        if axis.rank is None:
            row[axis.axis] = step
            step *= max(padded[axis.axis], 1)
    line = sum((extents.ranks[r] - 1) * numbers[f"pitch_{r}"] for r in plan.lanes) + 1
    if any(extents.ranks[r] == 0 for r in plan.lanes):
        line = 0
    source = 1
    for k in reversed(range(len(shape))):
        numbers[f"source_extent{k}"] = shape[k]
        numbers[f"source_stride{k}"] = source
        numbers[f"row_stride{k}"] = row[k]
        numbers[f"phase_stride{k}"] = phase.get(k, 0)
        source *= shape[k]
    numbers["staged_size"] = step
    numbers["line"] = line
    numbers["row_pitch"] = -(-line // lanes_per_vector) * lanes_per_vector
    numbers["rows"] = prod(extents.ranks[r] for r in plan.rows)
    strides = tuple((row[k], phase.get(k, 0)) for k in range(len(shape)))
    return Geometry(numbers, strides)


def offset_dtype(geometry: Geometry) -> str:
    """uint16 where every offset fits, as cache lines of offsets cost as much as values."""
    size = geometry.numbers["staged_size"]
    if size <= 2**16:
        return "uint16"
    return "int32" if size <= 2**31 else "int64"

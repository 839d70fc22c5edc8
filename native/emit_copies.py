"""C of copies: staged layouts, and loops that move what lies one behind the other by vectors."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from zeroskip.native.cexpr import OF_PARTS, integer, itemsize, mentions, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Range
from zeroskip.native.dotted import EXTREMES
from zeroskip.native.emit_parts import counted
from zeroskip.native.integers import (
    ONE,
    ZERO,
    Const,
    Expr,
    Name,
    Op,
    add,
    ceildiv,
    floordiv,
    least,
    mod,
    mul,
    sub,
)
from zeroskip.native.nest import Loop, Reduce
from zeroskip.native.nest_tiles import Stage, StageAxis
from zeroskip.native.tile_shape import TURNED, WIDE
from zeroskip.native.values import Elem, Func, Number, Prod, Sum, Value

ROWS_AHEAD = 8
"""Rows of vectors ahead of the one that is copied that are asked for: they lie apart, and no
processor foresees them."""


def stage(node: Stage, out: CWriter) -> None:
    """Copy element by element, or row by row: the address in the layout is linear in the source's
    index."""
    start = "" if node.start == ZERO else f" from {integer(node.start)} on,"
    rest = f"is {node.bias}" if node.start == ZERO else "stays"
    sides, joined = _sides(node, out), _joined(node)
    how = "laid out for vectors" if sides is None else "its rows as columns"
    how = how if joined is None else "places side by side"
    out.line(f"/* {node.target}: {node.source}{start} {how}; what it does not reach {rest} */")
    if sides is not None:
        _turned(node, *sides, out)
        return
    if joined is not None:
        _side_by_side(node, *joined, out)
        return
    source, target = [node.start], [node.into]
    shared = min(len(node.axes) - 1, 2) if node.par else 0
    loops = ExitStack()
    for k, axis in enumerate(node.axes):
        i = out.local(f"i{k}")
        here, there = _along(axis, Name(i))
        source.append(here)
        target.append(there)
        par, around = k < max(shared, node.par), k + 1 < shared
        at, to = Elem(node.source, add(*source)), Elem(node.target, add(*target))
        inner = Loop(i, Range(ZERO, axis.extent), (Reduce(to, "=", at),), par=par)
        if k == len(node.axes) - 1 and is_copy(inner, out):
            with loops:
                copy(inner, out)
            return
        head = counted(out, i, "0", integer(axis.extent), par=par, around=around)
        loops.enter_context(head)
        out.alone = True
        if node.there is not None and k == len(node.axes) - 2:
            break
    with loops:
        at, to = Elem(node.source, add(*source)), Elem(node.target, add(*target))
        if node.there is not None:
            there = sub(node.there, source[-1])
            load = f"zs_load_part({at.array} + {integer(at.index)}, {integer(there)})"
            if len(node.axes) > 2:
                later = add(at.index, mul(Const(ROWS_AHEAD), node.axes[-3].source_stride))
                out.line(f"ZS_FETCH({at.array} + {integer(later, 1)}, 0);")
            out.line(f"*(zs_vec *)({to.array} + {integer(to.index)}) = {load};")
            return
        plus = f" + {node.bias}" if node.bias else ""
        out.line(f"{to.array}[{integer(to.index)}] = {value(at, out.values)}{plus};")


def _joined(node: Stage) -> tuple[int, int] | None:
    """The axis some of whose places lie side by side in the layout, and that whose elements follow
    each other at that distance; None where there are none."""
    for place, axis in enumerate(node.axes):
        if axis.stride == 1 or axis.phase_stride != ONE or axis.lo != ZERO:
            continue
        each = Const(axis.stride)
        lanes = [k for k, a in enumerate(node.axes) if a.stride == 1 and a.row_stride == each]
        if len(lanes) == 1:
            return place, lanes[0]
    return None


def _side_by_side(node: Stage, place: int, lane: int, out: CWriter) -> None:
    """Copy some places of all lanes at once (`zs_joined.h`)."""
    source, target = [node.start], [node.into]
    loops, shared = ExitStack(), min(len(node.axes) - 1, 2) if node.par else 0
    lanes, places = node.axes[lane], node.axes[place]
    count, high = lanes.extent, places.extent
    with loops:
        for level, k in enumerate(k for k in range(len(node.axes)) if k != lane):
            axis, i = node.axes[k], out.local(f"i{k}")
            extent, at, to = axis.extent, *_along(axis, Name(i))
            if k == place:  # by lanes, of which the last may have fewer places
                each = Const(axis.stride)
                high = least(sub(axis.extent, mul(each, Name(i))), each)
                extent = ceildiv(axis.extent, each)
                at = mul(each, Name(i), axis.source_stride)
                to = mul(Name(i), axis.row_stride)
            elif node.there is not None:
                count = least(count, sub(node.there, at))
            par, around = level < shared, level + 1 < shared
            loops.enter_context(counted(out, i, "0", integer(extent), par=par, around=around))
            source.append(at)
            target.append(to)
        target.append(_along(lanes, ZERO)[1])
        where = f"{node.target} + {integer(add(*target))}, {node.source} + {integer(add(*source))}"
        steps = f"{integer(places.source_stride)}, {integer(lanes.source_stride)}"
        out.line(f"zs_join({where}, {steps}, {integer(high)}, {integer(count)});")


def _sides(node: Stage, out: CWriter) -> tuple[int, int] | None:
    """The axes whose elements lie one behind the other in the layout and in the source, where
    they are two, and squares of them can be turned."""
    dtypes, dtype = out.values.dtypes, out.values.dtype
    if dtypes.get(node.source) != dtype or dtypes.get(node.target) != dtype or node.there:
        return None
    even = [k for k, axis in enumerate(node.axes) if axis.stride == 1]
    rows = [k for k in even if node.axes[k].row_stride == ONE]
    columns = [k for k in even if node.axes[k].source_stride == ONE]
    if len(rows) != 1 or len(columns) != 1 or rows == columns or itemsize(dtype) not in (4, 8):
        return None
    return rows[0], columns[0]


def _turned(node: Stage, row: int, column: int, out: CWriter) -> None:
    """Copy by squares, some rows of the source at once: they are columns of the layout."""
    source, target = [node.start], [node.into]
    others = [k for k in range(len(node.axes)) if k not in (row, column)]
    shared = min(len(others) + 1, 2) if node.par else 0
    rows, columns = node.axes[row], node.axes[column]
    with ExitStack() as loops:
        for level, k in enumerate(others):
            axis, i = node.axes[k], out.local(f"i{k}")
            at, to = _along(axis, Name(i))
            source.append(at)
            target.append(to)
            par, around = level < shared, level + 1 < shared
            extent = integer(axis.extent)
            loops.enter_context(counted(out, i, "0", extent, par=par, around=around))
        first: Expr = ZERO
        high = integer(rows.extent)
        if len(others) < shared:
            i, end = out.local(f"i{row}"), integer(ceildiv(rows.extent, Const(TURNED)))
            loops.enter_context(counted(out, i, "0", end, par=True))
            first = mul(Const(TURNED), Name(i))
            high = integer(least(sub(rows.extent, first), Const(TURNED)))
        at, to = _along(rows, first)
        read = integer(add(*source, at))
        written = integer(add(*target, to, _along(columns, ZERO)[1]))
        to_pitch, pitch = integer(columns.row_stride), integer(rows.source_stride)
        wide = integer(columns.extent)
        where = f"{node.target} + {written}, {to_pitch}, {node.source} + {read}, {pitch}"
        out.line(f"zs_turn_rows({where}, {high}, {wide});")


def _along(axis: StageAxis, index: Expr) -> tuple[Expr, Expr]:
    """Where an index of an axis is in the source and in the layout."""
    padded = add(index, axis.lo)
    if axis.stride == 1:
        return mul(index, axis.source_stride), mul(padded, axis.row_stride)
    stride = Const(axis.stride)
    phase = mul(mod(padded, stride), axis.phase_stride)
    return mul(index, axis.source_stride), add(
        phase, mul(floordiv(padded, stride), axis.row_stride)
    )


def is_copy(node: Loop, out: CWriter) -> bool:
    """Whether a loop can store a vector at a time, its last one under a mask: one statement, which
    stores what is read, or sums, products and relu of it, at addresses that grow by 1, adds it to
    what is there, or takes the extreme of both.

    Few elements, as the rows of a small image, take a compiler's own vectors longer to get to and
    out of than they take to move.
    """
    if not isinstance(node.over, Range) or node.kind != "seq" or node.par or len(node.body) != 1:
        return False
    move = node.body[0]
    if not isinstance(move, Reduce) or move.op not in ("=", "+", *EXTREMES):
        return False
    if move.work and out.count_work:
        return False
    if not isinstance(move.place, Elem) or out.kernel.vector_bytes < WIDE or out.values.lane:
        return False
    if move.place.array in _read(move.value):  # one lane's place may be what another reads
        return False
    return _moves(move.place, node.var, out) and _is_vector(move.value, node.var, out)


def copy(node: Loop, out: CWriter) -> None:
    """The loop of `is_copy`."""
    (move,) = node.body
    assert isinstance(node.over, Range)
    assert isinstance(move, Reduce)
    assert isinstance(move.place, Elem)
    var, lo, hi, to = node.var, integer(node.over.lo), integer(node.over.hi), move.place
    end = out.local(f"{var}_end")
    there = sub(Name(end), Name(var))
    with out.scope():
        out.line(f"const int64_t {end} = {hi};")
        with out.block(f"for (int64_t {var} = {lo}; {var} < {end}; {var} += LANES)"):
            out.values.lane = var
            text = value(_in_parts(move.value, var, there), out.values)
            out.values.lane = None
            at = f"{to.array} + {integer(to.index, 1)}"
            if move.op == "+":
                text = f"zs_load_part({at}, {integer(there)}) + {text}"
            elif move.op in EXTREMES:
                text = f"zs_{move.op}_lanes(zs_load_part({at}, {integer(there)}), {text})"
            out.line(f"zs_store_part({at}, {integer(there)}, {text});")


def _in_parts(node: Value, var: str, there: Expr) -> Value:
    """A value whose elements are as many lanes as there are."""
    if isinstance(node, Elem) and mentions(node.index, var):
        return replace(node, lanes=there)
    if isinstance(node, Prod | Sum | Func):
        return replace(node, args=tuple(_in_parts(arg, var, there) for arg in node.args))
    return node


def _is_vector(node: Value, var: str, out: CWriter) -> bool:
    """Whether a value is one of vectors, of which it reads at least one."""
    if isinstance(node, Elem):
        return _moves(node, var, out)
    if not out.values.dtype.startswith("float"):
        return False
    if isinstance(node, Func):
        return node.name in OF_PARTS and _is_vector(node.args[0], var, out)
    if not isinstance(node, Prod | Sum):
        return False
    return any(_is_vector(arg, var, out) for arg in node.args) and all(
        _is_vector(arg, var, out) or _is_same(arg, var, out) for arg in node.args
    )


def _read(node: Value) -> set[str]:
    """Arrays that a value reads."""
    if isinstance(node, Elem):
        return {node.array}
    return set().union(*map(_read, node.args)) if isinstance(node, Prod | Sum | Func) else set()


def _is_same(node: Value, var: str, out: CWriter) -> bool:
    """Whether a value is the same in every lane."""
    if isinstance(node, Elem):
        return (
            not mentions(node.index, var) and out.values.dtypes.get(node.array) == out.values.dtype
        )
    return isinstance(node, Number)


def _moves(elem: Elem, var: str, out: CWriter) -> bool:
    """Whether an element lies behind that of the iteration before, as the kernel's arithmetic
    has it."""
    ctx = out.values
    same = ctx.dtypes.get(elem.array) == ctx.dtype
    return same and elem.lanes is None and _grows(elem.index, var)


def _grows(expr: Expr, var: str) -> bool:
    """Whether an integer is ``var`` and what does not hold it."""
    if expr == Name(var):
        return True
    if not isinstance(expr, Op) or expr.op != "+":
        return False
    held = [arg for arg in expr.args if mentions(arg, var)]
    return len(held) == 1 and _grows(held[0], var)

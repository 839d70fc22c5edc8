"""C of two loops that move what lies by rows to where it lies by columns, in squares of vectors."""

from __future__ import annotations

from dataclasses import replace

from zeroskip.native.cexpr import integer, mentions, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Range
from zeroskip.native.emit_copies import in_parts, is_vector, moves
from zeroskip.native.integers import Name, sub
from zeroskip.native.nest import Loop, Reduce
from zeroskip.native.tile_shape import WIDE
from zeroskip.native.values import Elem, Func, Held, Prod, Sum, Value

SQUARES = {"float32": 4, "int32": 4, "float64": 8, "int64": 8, "uint64": 8}
"""Bytes of the arithmetic's items: which of zs_turn_square_…() turns them."""


def is_turned(node: Loop, out: CWriter) -> bool:
    """Whether a loop and the only one inside it can go by squares: one statement stores by the
    inner one's variable, at addresses that grow by 1, what it reads of one array at addresses that
    grow by 1 with the outer one's."""
    return _inside(node, out) is not None


def _inside(node: Loop, out: CWriter) -> tuple[Loop, Reduce, Elem] | None:
    """The inner loop, its statement, and what that reads across; None where it is not so."""
    if out.kernel.vector_bytes < WIDE or out.values.lane or len(node.body) != 1:
        return None
    (inner,) = node.body
    if not isinstance(inner, Loop) or len(inner.body) != 1:
        return None
    (move,) = inner.body
    plain = all(
        isinstance(loop.over, Range) and loop.kind == "seq" and not loop.par
        for loop in (node, inner)
    )
    if not plain or not isinstance(move, Reduce) or move.op != "=" or move.work:
        return None
    if not isinstance(move.place, Elem) or not moves(move.place, inner.var, out):
        return None
    read = set(_elements(move.value))
    across = [e for e in read if moves(e, node.var, out) and mentions(e.index, inner.var)]
    if len(across) != 1 or move.place.array in {e.array for e in read}:
        return None
    along = _put(move.value, across[0], Elem(across[0].array, Name(inner.var)))
    return (inner, move, across[0]) if is_vector(along, inner.var, out) else None


def turned(node: Loop, out: CWriter) -> None:
    """The loops of `is_turned`."""
    found = _inside(node, out)
    assert found is not None
    inner, move, across = found
    assert isinstance(node.over, Range)
    assert isinstance(inner.over, Range)
    assert isinstance(move.place, Elem)
    names = f"{node.var}_first", f"{inner.var}_first", f"{node.var}_end", f"{inner.var}_end"
    row, column, row_end, column_end = map(out.local, names)
    square, column_of, k = map(out.local, ("square", "turned", "k"))
    rows, columns = sub(Name(row_end), Name(row)), sub(Name(column_end), Name(column))
    with out.scope():
        out.line(f"const int64_t {row_end} = {integer(node.over.hi)};")
        out.line(f"const int64_t {column_end} = {integer(inner.over.hi)};")
        steps = (row, node.over.lo, row_end), (column, inner.over.lo, column_end)
        heads = [
            f"for (int64_t {at} = {integer(lo)}; {at} < {end}; {at} += LANES)"
            for at, lo, end in steps
        ]
        with out.block(heads[0]), out.block(heads[1]):
            out.line(f"zs_vec {square}[LANES] = {{}};")
            inside = f"{k} < (int64_t)LANES && {k} < {integer(columns)}"
            with (
                out.block(f"for (int64_t {k} = 0; {inside}; {k}++)"),
                out.constant(node.var, row),
                out.constant(inner.var, f"{column} + {k}"),
            ):
                load = f"{across.array} + {integer(across.index, 1)}, {integer(rows)}"
                out.line(f"{square}[{k}] = zs_load_part({load});")
            out.line(f"zs_turn_square_{SQUARES[out.kernel.dtype]}({square});")
            inside = f"{k} < (int64_t)LANES && {k} < {integer(rows)}"
            with (
                out.block(f"for (int64_t {k} = 0; {inside}; {k}++)"),
                out.constant(node.var, f"{row} + {k}"),
                out.constant(inner.var, column),
            ):
                out.line(f"const zs_vec {column_of} = {square}[{k}];")
                held = _put(move.value, across, Held(column_of))
                out.values.lane = inner.var
                text = value(in_parts(held, inner.var, columns), out.values)
                out.values.lane = None
                at = f"{move.place.array} + {integer(move.place.index, 1)}"
                out.line(f"zs_store_part({at}, {integer(columns)}, {text});")


def _elements(node: Value) -> tuple[Elem, ...]:
    """What a value reads."""
    if isinstance(node, Elem):
        return (node,)
    if isinstance(node, Prod | Sum | Func):
        return tuple(elem for arg in node.args for elem in _elements(arg))
    return ()


def _put(node: Value, old: Elem, new: Value) -> Value:
    """A value with something else in place of an element."""
    if node == old:
        return new
    if isinstance(node, Prod | Sum | Func):
        return replace(node, args=tuple(_put(arg, old, new) for arg in node.args))
    return node

"""C of copies: staged layouts, and loops that move what lies one behind the other by vectors."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace

from zeroskip.native.cexpr import OF_PARTS, integer, mentions, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Range
from zeroskip.native.emit_parts import counted
from zeroskip.native.integers import ZERO, Const, Expr, Name, Op, add, floordiv, mod, mul, sub
from zeroskip.native.nest import Loop, Reduce
from zeroskip.native.nest_tiles import Stage
from zeroskip.native.tile_shape import WIDE
from zeroskip.native.values import Elem, Func, Number, Prod, Sum, Value


def stage(node: Stage, out: CWriter) -> None:
    """Copy element by element, or row by row: the address in the layout is linear in the source's
    index."""
    start = "" if node.start == ZERO else f" from {integer(node.start)} on,"
    rest = "is 0" if node.start == ZERO else "does not count"
    out.line(
        f"/* {node.target}: {node.source}{start} laid out for vectors; "
        f"what it does not reach {rest} */"
    )
    source, target = [node.start], [node.into]
    shared = min(len(node.axes) - 1, 2) if node.par else 0
    loops = ExitStack()
    for k, axis in enumerate(node.axes):
        i = out.local(f"i{k}")
        source.append(mul(Name(i), axis.source_stride))
        padded = add(Name(i), axis.lo)
        if axis.stride > 1:
            stride = Const(axis.stride)
            target.append(mul(mod(padded, stride), axis.phase_stride))
            target.append(mul(floordiv(padded, stride), axis.row_stride))
        else:
            target.append(mul(padded, axis.row_stride))
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
            out.line(f"*(zs_vec *)({to.array} + {integer(to.index)}) = {load};")
            return
        out.line(f"{to.array}[{integer(to.index)}] = {value(at, out.values)};")


def is_copy(node: Loop, out: CWriter) -> bool:
    """Whether a loop can store a vector at a time, its last one under a mask: one statement, which
    stores what is read, or sums, products and relu of it, at addresses that grow by 1.

    Few elements, as the rows of a small image, take a compiler's own vectors longer to get to and
    out of than they take to move.
    """
    if not isinstance(node.over, Range) or node.kind != "seq" or node.par or len(node.body) != 1:
        return False
    move = node.body[0]
    if not (isinstance(move, Reduce) and move.op == "=" and not move.work):
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

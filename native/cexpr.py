"""Integer expressions and values of a nest as C text."""

from __future__ import annotations

import math
import re
from dataclasses import field, replace

import numpy as np

from zeroskip.formats.values import HALVES
from zeroskip.native.integers import Cond, Const, Expr, Name, Op, Pick, without
from zeroskip.native.values import (
    Absent,
    Choose,
    Elem,
    Func,
    Held,
    Number,
    Parameter,
    Prod,
    Ratio,
    Select,
    Sum,
    Test,
    Value,
    Whole,
)
from zeroskip.records import dataclass

C_TYPES = {
    "float64": "double",
    "float32": "float",
    "float16": "zs_float16",
    "bfloat16": "zs_bfloat16",
    "int8": "int8_t",
    "int16": "int16_t",
    "int32": "int32_t",
    "int64": "int64_t",
    "uint8": "uint8_t",
    "uint16": "uint16_t",
    "uint32": "uint32_t",
    "uint64": "uint64_t",
    "bool": "uint8_t",
}


def itemsize(dtype: str) -> int:
    """Bytes of a value of a type; of a bool one."""
    return int(re.sub(r"\D", "", dtype) or 8) // 8


_BINDS = {"+": 1, "*": 2}

_CALLS = {
    "//": ("zs_floor_div", "zs_wide_floor_div"),
    "%": ("zs_floor_mod", "zs_wide_floor_mod"),
    "ceil": ("zs_ceil_div", "zs_wide_ceil_div"),
    "min": ("zs_min", "zs_wide_min"),
    "max": ("zs_max", "zs_wide_max"),
}
"""Functions of zs_kernel.h, in 64 bits and in 128."""


def nonnegative(expr: Expr) -> bool:
    """True where the expression cannot be negative where it is used."""
    if isinstance(expr, Const):
        return expr.value >= 0
    if isinstance(expr, Name):
        return not expr.signed
    if isinstance(expr, Pick):
        return nonnegative(expr.then) and nonnegative(expr.other)
    if expr.op == "max":
        return any(nonnegative(a) for a in expr.args)
    return all(nonnegative(a) for a in expr.args)


def integer(expr: Expr, outer: int = 0, *, wide: bool = False) -> str:
    """C for an integer expression; ``outer`` is how tightly the context binds.

    wide : in 128 bits, where what was read may be so large that 64 wrap around.
    """
    if isinstance(expr, Const):
        return str(expr.value) if expr.value >= 0 or outer == 0 else f"({expr.value})"
    if isinstance(expr, Name):
        return f"(__int128){expr.name}" if wide else expr.name
    if isinstance(expr, Pick):
        tests = " && ".join(map(condition, expr.conditions))
        then, other = (integer(side, wide=wide) for side in (expr.then, expr.other))
        return f"({tests} ? {then} : {other})"
    if expr.op in _BINDS:
        level = _BINDS[expr.op]
        if expr.op == "+":
            text = _sum(expr.args, wide)
        else:
            text = " * ".join(integer(a, 2, wide=wide) for a in expr.args)
        return f"({text})" if outer >= level and not (outer == level == 1) else text
    if expr.op in ("//", "%"):
        a, b = expr.args
        if nonnegative(a):
            loose = expr.op == "//" and isinstance(a, Op) and a.op in ("*", "//")  # 4 * p / P
            left = integer(a, 1 if loose else 3, wide=wide)
            text = f"{left} {'/' if expr.op == '//' else '%'} {integer(b, 3, wide=wide)}"
            return f"({text})" if outer > 1 else text
    name = _CALLS[expr.op][wide]
    text = integer(expr.args[0], wide=wide)
    for arg in expr.args[1:]:
        text = f"{name}({text}, {integer(arg, wide=wide)})"
    return text


def _sum(args: tuple[Expr, ...], wide: bool) -> str:
    text = ""
    for arg in args:
        minus, part = False, arg
        if isinstance(arg, Const) and arg.value < 0:
            minus, part = True, Const(-arg.value)
        elif isinstance(arg, Op) and arg.op == "*" and isinstance(arg.args[0], Const):
            head = arg.args[0].value
            if head < 0:
                rest = arg.args[1:] if head == -1 else (Const(-head), *arg.args[1:])
                minus, part = True, rest[0] if len(rest) == 1 else Op("*", rest)
        if text:
            text += " - " if minus else " + "
        elif minus:
            text += "-"
        inner = 2 if minus and isinstance(part, Op) and part.op == "+" else 1
        text += integer(part, inner, wide=wide)
    return text


def condition(cond: Cond) -> str:
    return f"{integer(cond.left)} {cond.op} {integer(cond.right)}"


@dataclass
class ValueContext:
    """What a value needs to know to become C.

    dtype : NumPy name of the kernel's arithmetic; dtypes : of each buffer.
    lane : the vector loop's variable, or None in scalar code.
    lane_index : C text of the vector's number where accumulators are arrays of vectors.
    tile : most vectors of the tile around; 0 outside of tiles.
    width, counts : what its lanes are called, and how many vectors it may have.
    early : C name of the lanes of a tile's first vector that lie before the line, if some may.
    held : C names of addresses, each computed once, of elements at the tile's first lane.
    bases : C names of such addresses of the first column, on from which the others lie.
    """

    dtype: str
    dtypes: dict[str, str]
    parameters: dict[str, str]
    lane: str | None = None
    lane_index: str | None = None
    tile: int = 0
    width: str = ""
    early: str = ""
    counts: tuple[int, ...] = ()
    tiled: set[str] = field(default_factory=set)
    held: dict[Elem, str] = field(default_factory=dict)
    bases: dict[Elem, str] = field(default_factory=dict)


def rounds(expr: Expr) -> bool:
    """Whether it is more than sums and products, of which 64 bits are the last of 128."""
    if isinstance(expr, Op):
        return expr.op not in _BINDS or any(map(rounds, expr.args))
    return isinstance(expr, Pick)


def mentions(expr: Expr, name: str) -> bool:
    if isinstance(expr, Name):
        return expr.name == name
    if isinstance(expr, Pick):
        sides = [side for c in expr.conditions for side in (c.left, c.right)]
        return any(mentions(part, name) for part in (expr.then, expr.other, *sides))
    return isinstance(expr, Op) and any(mentions(a, name) for a in expr.args)


def place(elem: Elem, ctx: ValueContext) -> str:
    """C lvalue of an element: a vector where the address moves with the lane."""
    if ctx.lane is not None and mentions(elem.index, ctx.lane):
        if not ctx.lane_index:
            at = f"{elem.array} + {integer(elem.index, 1)}"
            if elem.lanes is not None:
                return f"zs_load_part({at}, {integer(elem.lanes)})"
            return f"*(zs_vec *)({at})"
        at, there = part(elem, ctx)
        if elem in ctx.held:
            at = f"{ctx.held[elem]} + {ctx.lane_index}"
        if elem.lanes is None:
            return f"*(zs_vec *)({at})"
        return f"zs_load_{'within' if ctx.early else 'part'}({at}, {there})"
    return f"{elem.array}[{integer(elem.index)}]"


def part(elem: Elem, ctx: ValueContext) -> tuple[str, str]:
    """C for the address of a tile's vector, and for how many of its lanes are there: all, but for
    the tile's last vector, since a line is cut into whole vectors.  Where the first may begin
    before the line, how many of it do comes first."""
    first = without(elem.index, ctx.lane or "")
    there = ""
    if elem.lanes is not None:
        there = f"v + 1 < tile ? LANES : {integer(elem.lanes, 1)} - {ctx.lane_index}"
        there = f"v ? 0 : {ctx.early}, {there}" if ctx.early else there
    return f"{elem.array} + {integer(first, 1)} + {ctx.lane_index}", there


def _folded(node: Prod | Sum, dtype: str) -> tuple[Value, ...]:
    """The arguments, whole numbers among them made one that wraps around in its type: C would
    compute ``3 * 1000000000`` in an int."""
    known = [a.value for a in node.args if isinstance(a, Number)]
    if np.dtype(dtype).kind not in "iu" or len(known) < 2:
        return node.args
    ends = np.iinfo(dtype)
    found = math.prod(map(int, known)) if isinstance(node, Prod) else sum(map(int, known))
    number = Number((found - int(ends.min)) % 2**ends.bits + int(ends.min))
    return (number, *(a for a in node.args if not isinstance(a, Number)))


def stored_as(text: str, dtype: str, computed: str) -> str:
    """C for a value of the type ``computed`` on its way into an array of ``dtype``."""
    return f"zs_narrow_{dtype}({text})" if dtype in HALVES and dtype != computed else text


def value(node: Value, ctx: ValueContext, outer: int = 0) -> str:
    """C rvalue; ``outer`` is 2 inside a product."""
    if isinstance(node, Elem):
        text = place(node, ctx)
        stored = ctx.dtypes[node.array]
        if stored in HALVES:
            text, stored = f"zs_wide_{stored}({text})", "float32"
        if stored != ctx.dtype and C_TYPES[stored] != C_TYPES[ctx.dtype]:
            return f"({C_TYPES[ctx.dtype]}){text}"
        return text.replace("*(zs_vec *)", "*(const zs_vec *)")
    if isinstance(node, Held):
        which = "" if node.member is None else f"[{integer(node.member)}]"
        return f"{node.name}{which}[v]" if node.name in ctx.tiled else node.name
    if isinstance(node, Number):
        return number(node.value, ctx.dtype)
    if isinstance(node, Parameter):
        return f"({C_TYPES[ctx.dtype]}){ctx.parameters[node.name]}"
    if isinstance(node, Whole):
        text = integer(node.expr, 3)
        return text if ctx.dtype == "int64" else f"({C_TYPES[ctx.dtype]}){text}"
    if isinstance(node, Prod):
        args = _folded(node, ctx.dtype)
        text = " * ".join(value(a, ctx, 2) for a in args)
        return f"({text})" if outer == 3 and len(args) > 1 else text
    if isinstance(node, Sum):
        args = _folded(node, ctx.dtype)
        text = " + ".join(value(a, ctx, 1) for a in args)
        return f"({text})" if outer >= 2 and len(args) > 1 else text
    if isinstance(node, Select):
        fill, otherwise = (number(x, ctx.dtype) if x else "0" for x in (node.fill, node.otherwise))
        test, chosen = f"{value(node.test, ctx)} != {fill}", value(node.value, ctx)
        if ctx.lane is None:
            return f"({test} ? {chosen} : {otherwise})"
        lanes = "(zs_vec){}" if otherwise == "0" else f"(zs_vec){{}} + {otherwise}"
        return f"({test} ? (zs_vec)({chosen}) : {lanes})"
    if isinstance(node, Ratio):
        text = f"{value(node.top, ctx, 2)} / {value(node.bottom, ctx, 3)}"
        return f"({text})" if outer else text
    if isinstance(node, Test):
        return f"({comparison(node, ctx)})"
    if isinstance(node, Choose):
        yes, no = (value(branch, ctx, 1) for branch in (node.yes, node.no))
        if ctx.dtype == "uint64":  # of comparisons alone a branch is an int
            yes, no = f"(uint64_t)({yes})", f"(uint64_t)({no})"
        return f"({truth(node.test, ctx)} ? {yes} : {no})"
    if isinstance(node, Absent):
        here, missing = value(node.value, ctx, 1), value(node.otherwise, ctx, 1)
        if ctx.lane is not None:
            missing = "(zs_vec){}" if node.otherwise == Number(0) else f"(zs_vec){{}} + {missing}"
        return f"({integer(node.position)} >= 0 ? {here} : {missing})"
    return function(node, ctx)


def side(node: Value, ctx: ValueContext) -> str:
    """C for a side of a comparison; a comparison is a number there."""
    return f"({value(node, ctx)} ? 1 : 0)" if isinstance(node, Test) else value(node, ctx, 1)


def comparison(node: Test, ctx: ValueContext) -> str:
    """C for the comparison of two values, in its own type."""
    if node.sides:
        left, right = (
            f"(__int128)({side(part, replace(ctx, dtype=own))})"
            for part, own in zip((node.left, node.right), node.sides, strict=True)
        )
        return f"{left} {node.op} {right}"
    inner = replace(ctx, dtype=node.dtype)
    return f"{side(node.left, inner)} {node.op} {side(node.right, inner)}"


def truth(node: Value, ctx: ValueContext) -> str:
    """C for "is not 0"."""
    return comparison(node, ctx) if isinstance(node, Test) else f"{value(node, ctx, 1)} != 0"


def number(x: int | float, dtype: str) -> str:
    """A literal of the kernel's arithmetic; infinities, NaN and extreme integers included."""
    if dtype.startswith("float"):
        suffix = "f" if dtype == "float32" else ""
        if x != x:
            return f'__builtin_nan{suffix}("")'
        if x in (float("inf"), float("-inf")):
            return ("-" if x < 0 else "") + f"__builtin_inf{suffix}()"
        return f"{float(x)!r}{suffix}"
    if x == -(2**63):
        return "INT64_MIN"
    if x >= 2**63:
        return f"UINT64_C({int(x)})"
    return f"INT64_C({int(x)})" if abs(int(x)) >= 2**31 else str(int(x))


OF_PARTS = frozenset({"relu"})
"""Functions of zs_parts.h, of a whole vector."""


def function(node: Func, ctx: ValueContext) -> str:
    """A pointwise function; a NaN stays a NaN."""
    from zeroskip.native.functions import FUNCTIONS, SEVERAL

    args = [value(arg, ctx) for arg in node.args]
    if ctx.lane is not None and node.name in OF_PARTS:
        return f"zs_{node.name}_part({args[0]})"
    if node.name in SEVERAL:
        return SEVERAL[node.name].text(args, ctx.dtype)
    return FUNCTIONS[node.name].c(args[0], ctx.dtype)

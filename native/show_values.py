"""Values, addresses and conditions of a loop nest, as `show` prints them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from zeroskip.native.integers import Cond, Const, Expr, Name, Op, Pick, add, mul
from zeroskip.native.nest import Kernel
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

_BINDS = {"+": 1, "*": 2, "//": 2, "%": 2}


def show_test(node: Value, kernel: Kernel) -> str:
    """A value as a condition: that it is not 0."""
    if not isinstance(node, Test):
        return f"{show_value(node, kernel)} != 0"
    return f"{show_value(node.left, kernel)} {node.op} {show_value(node.right, kernel)}"


def show_value(node: Value, kernel: Kernel, outer: int = 0) -> str:
    """``outer`` is 2 inside a product."""
    match node:
        case Elem(array, index):
            return f"{array.removesuffix('_vals')}[{show_index(index, kernel)}]"
        case Held(name, member):
            return name if member is None else f"{name}[{show_int(member)}]"
        case Parameter(name):
            return name
        case Number(value):
            return f"{value:g}" if isinstance(value, float) else str(value)
        case Whole(expr):
            return show_int(expr, outer)
        case Func(name, args):
            return f"{name}({', '.join(show_value(arg, kernel) for arg in args)})"
        case Ratio(top, bottom):
            text = f"{show_value(top, kernel, 2)} / {show_value(bottom, kernel, 3)}"
            return f"({text})" if outer > 1 else text
        case Test():
            return f"({show_test(node, kernel)})"
        case Choose(test, yes, no):
            shown = (show_value(part, kernel) for part in (test, yes, no))
            return f"where({', '.join(shown)})"
        case Absent(_, value, otherwise):
            return f"({show_value(value, kernel)} or {show_value(otherwise, kernel)})"
        case Select(test, value, 0, 0):
            return f"({show_value(value, kernel)} if {show_value(test, kernel)})"
        case Select(test, value, fill, otherwise):
            head = f"{show_value(value, kernel)} if {show_value(test, kernel)} != {fill:g}"
            return f"({head} else {otherwise:g})"
        case Prod(args):
            text = " * ".join(show_value(a, kernel, 2) for a in args)
            return f"({text})" if outer == 3 else text
        case Sum(args):
            text = " + ".join(show_value(a, kernel, 1) for a in args)
            return f"({text})" if outer >= 2 else text
    raise TypeError(f"no text for {type(node).__name__}")


def show_index(address: Expr, kernel: Kernel) -> str:
    return ",".join(show_int(part) for part in axes_of(address, set(kernel.dims)))


def axes_of(address: Expr, dims: set[str]) -> tuple[Expr, ...]:
    """A row-major address as one index an axis: ``(n*M + m)*P + p`` is (n, m, p).

    dims : names of extents and constants.  An address without that shape is one index.
    """
    parts = address.args if isinstance(address, Op) and address.op == "+" else (address,)
    outer = [part for part in parts if _scaled(part, dims)]
    if len(outer) != 1:
        return (address,)
    (product,) = outer
    assert isinstance(product, Op)
    inner = add(*(part for part in parts if part is not product))
    return (*axes_of(mul(*product.args[:-1]), dims), inner)


def _scaled(part: Expr, dims: set[str]) -> bool:
    """Whether it is an index times the extent of the axis below: some loop's times a size."""
    if not isinstance(part, Op) or part.op != "*":
        return False
    last, rest = part.args[-1], part.args[:-1]
    by_extent = isinstance(last, Name) and last.name in dims
    return by_extent and any(names_of(factor) - dims for factor in rest)


# ---- integers ---------------------------------------------------------------------------


def show_conditions(conditions: Sequence[Cond]) -> Iterator[str]:
    """``0 <= p < P`` where two conditions bound one number."""
    pending = list(conditions)
    while pending:
        first = pending.pop(0)
        if first.op == ">=" and pending and pending[0].op == "<" and pending[0].left == first.left:
            second = pending.pop(0)
            yield f"{show_int(first.right)} <= {show_int(first.left)} < {show_int(second.right)}"
        else:
            yield f"{show_int(first.left)} {first.op} {show_int(first.right)}"


def names_of(expr: Expr) -> set[str]:
    match expr:
        case Name(name):
            return {name}
        case Op(_, args):
            return set().union(*(names_of(a) for a in args))
        case Pick(conditions, then, other):
            sides = [side for c in conditions for side in (c.left, c.right)]
            return set().union(*(names_of(a) for a in (then, other, *sides)))
    return set()


def show_int(expr: Expr, outer: int = 0) -> str:
    """``outer`` is how tightly the context binds."""
    match expr:
        case Const(value):
            return str(value) if value >= 0 or not outer else f"({value})"
        case Name(name):
            return name
        case Pick(conditions, then, other):
            test = " and ".join(show_conditions(conditions))
            return f"({show_int(then)} if {test} else {show_int(other)})"
        case Op("min" | "max" as op, args):
            return f"{op}({', '.join(map(show_int, args))})"
        case Op("ceil", (a, b)):
            return f"ceil({show_int(a, 2)}/{show_int(b, 3)})"
        case Op(op, args):
            level = _BINDS[op]
            if op == "+":
                text = _sum(args)
            elif op == "*":
                text = "*".join(show_int(a, 2) for a in args)
            else:
                text = f" {op} ".join((show_int(args[0], 2), show_int(args[1], 3)))
            return f"({text})" if outer > level or (outer == level and op in ("//", "%")) else text


def _sum(args: Sequence[Expr]) -> str:
    text = ""
    part: Expr
    for arg in args:
        match arg:
            case Const(value) if value < 0:
                minus, part = True, Const(-value)
            case Op("*", (Const(value), *rest)) if value < 0:
                minus, part = True, mul(Const(-value), *rest)
            case _:
                minus, part = False, arg
        sign = (" - " if minus else " + ") if text else ("-" if minus else "")
        text += sign + show_int(part, 2 if minus else 1)
    return text

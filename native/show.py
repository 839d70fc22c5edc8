"""A loop nest as the book prints loop nests: indented pseudo-loops, to be read by people.

    for m in [0, M):
      for (c,r,s), pF_crs in F.crs[m]:  # compressed
        for q in [0, Q):
          O[m,q] += F[pF_crs] * I[c,q + s]

``F.crs[m]`` is fiber m of the level that stores ranks c, r, s of F together; the loop visits what
is stored there.  ``pF_crs`` is a position: the place of an entry among the values of F.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import singledispatch

from zeroskip.native.domains import Level, Merge, Range, Stored, Together
from zeroskip.native.integers import Cond, Const, Expr, Name, Op, Pick, add, mul
from zeroskip.native.nest import (
    Acc,
    Bind,
    Check,
    Fetch,
    Fill,
    Find,
    Gathered,
    Guard,
    Kernel,
    Locate,
    Loop,
    Once,
    Reduce,
    Stage,
    Stmt,
    Tiles,
    Touch,
)
from zeroskip.native.scope import free_names
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

INDENT = "  "
WALKS = {
    "C": "compressed",
    "B": "bitmask",
    "R": "run-length",
    "S": "singleton",
    "H": "structured",
}
_BINDS = {"+": 1, "*": 2, "//": 2, "%": 2}


def show(kernel: Kernel) -> str:
    """The kernel's loop nest, its title first as comments."""
    lines = [f"# {line}" for line in kernel.title]
    lines += [line for stmt in kernel.body for line in _lines(stmt, kernel)]
    return "\n".join(lines)


# ---- statements -------------------------------------------------------------------------


@singledispatch
def _lines(node: object, kernel: Kernel) -> Iterator[str]:
    raise TypeError(f"no text for {type(node).__name__}")


def _block(head: str, body: Sequence[Stmt], kernel: Kernel) -> Iterator[str]:
    yield head
    for stmt in body:
        for line in _lines(stmt, kernel):
            yield INDENT + line


@_lines.register
def _(node: Loop, kernel: Kernel) -> Iterator[str]:
    var, body = node.var, node.body
    match node.over:
        case Range(lo, hi):
            head = f"for {var} in [{_int(lo)}, {_int(hi)}):"
            notes = {"vec": ["vectors"], "dot": ["lanes share the sum"]}.get(node.kind, [])
        case Stored() as over:
            var, body = _taken_apart(node, kernel)
            head = f"for {var}, {over.pos} in {_fiber(over)}:"
            notes = [WALKS[over.level.letter]]
            notes += ["lanes share the entries"] if node.kind == "dot" else []
        case Together() as over:
            of = over.coordinates.removesuffix("_offset")
            fiber = f"{of}.packed[{_int(over.block)}]"
            which = over.pos if over.rows == 1 else f"({over.row}, {over.pos})"
            head = f"for {var}, {which} in {fiber}:"
            notes = ["packed"] if over.rows == 1 else [f"{over.rows} rows together"]
        case Merge(left, right):
            head = f"for {var}, ({left.pos}, {right.pos}) in {_fiber(left)} & {_fiber(right)}:"
            notes = ["merged"]
    notes += ["parallel"] if node.par else []
    notes += [node.note] if node.note else []
    yield from _block(f"{head}{'  # ' if notes else ''}{', '.join(notes)}", body, kernel)


def _taken_apart(node: Loop, kernel: Kernel) -> tuple[str, tuple[Stmt, ...]]:
    """``(c,r,s)`` where the body does nothing with a flattened coordinate but divide it."""
    names: list[str] = []
    body = node.body
    while len(body) == 1 and isinstance(body[0], Bind) and _digit(body[0].expr, node.var, kernel):
        names.append(body[0].var)
        body = body[0].body
    if len(names) < 2 or node.var in free_names(body, set())[1]:
        return node.var, node.body
    return f"({','.join(names)})", body


def _digit(expr: Expr, var: str, kernel: Kernel) -> bool:
    """Whether the expression is ``var // a % b``, or a part of that."""
    match expr:
        case Name(name):
            return name == var
        case Op("//" | "%", (inner, by)):
            return _names(by) <= set(kernel.dims) and _digit(inner, var, kernel)
    return False


@_lines.register
def _(node: Bind, kernel: Kernel) -> Iterator[str]:
    yield f"{node.var} = {_int(node.expr)}"
    for stmt in node.body:
        yield from _lines(stmt, kernel)


@_lines.register
def _(node: Guard, kernel: Kernel) -> Iterator[str]:
    tests = [*_conditions(node.conditions), *(_holds(v, kernel) for v in node.nonzero)]
    yield from _block(f"if {' and '.join(tests)}:", node.body, kernel)


def _conditions(conditions: Sequence[Cond]) -> Iterator[str]:
    """``0 <= p < P`` where two conditions bound one number."""
    pending = list(conditions)
    while pending:
        first = pending.pop(0)
        if first.op == ">=" and pending and pending[0].op == "<" and pending[0].left == first.left:
            second = pending.pop(0)
            yield f"{_int(first.right)} <= {_int(first.left)} < {_int(second.right)}"
        else:
            yield f"{_int(first.left)} {first.op} {_int(first.right)}"


@_lines.register
def _(node: Locate, kernel: Kernel) -> Iterator[str]:
    fiber = _level(node.level, node.parent)
    head = f"if {_int(node.coordinate)} in {fiber}, at {node.pos}:  # located"
    yield from _block(head, node.body, kernel)


@_lines.register
def _(node: Find, kernel: Kernel) -> Iterator[str]:
    fiber = _level(node.level, node.parent)
    tests = [f"if {' and '.join(_conditions(node.conditions))}"] if node.conditions else []
    yield " ".join([f"{node.pos} = find {_int(node.coordinate)} in {fiber}", *tests, "else -1"])
    for stmt in node.body:
        yield from _lines(stmt, kernel)


@_lines.register
def _(node: Fetch, kernel: Kernel) -> Iterator[str]:
    array = node.array.removesuffix("_vals")
    yield f"{node.var} = {array}[{_index(node.index, kernel)}]"
    for stmt in node.body:
        yield from _lines(stmt, kernel)


@_lines.register
def _(node: Check, kernel: Kernel) -> Iterator[str]:
    yield f"check 0 <= {_int(node.coordinate)} < {_int(node.extent)}"
    for stmt in node.body:
        yield from _lines(stmt, kernel)


@_lines.register
def _(node: Once, kernel: Kernel) -> Iterator[str]:
    yield f"check {node.place.array}[{_index(node.place.index, kernel)}] is new"


@_lines.register
def _(node: Stage, kernel: Kernel) -> Iterator[str]:
    strides = [f"axis {k} in {a.stride} phases" for k, a in enumerate(node.axes) if a.stride > 1]
    padded = [f"axis {k}" for k, a in enumerate(node.axes) if a.lo != Const(0)]
    notes = ["copied into vectors' order"]
    notes += [f"padding around {', '.join(padded)}"] if padded else []
    source = node.source.removesuffix("_vals")
    yield f"{node.target} = stage({source})  # {', '.join([*notes, *strides])}"


@_lines.register
def _(node: Tiles, kernel: Kernel) -> Iterator[str]:
    head = f"for {node.var} in [0, {_int(node.line)}) by {node.width}:  # {node.note or 'tiles'}"
    yield from _block(head, node.body, kernel)


@_lines.register
def _(node: Acc, kernel: Kernel) -> Iterator[str]:
    each = f"[{node.member}]" if node.members > 1 else ""
    of = f" for {node.member} in [0, {node.members})" if each else ""
    yield f"{node.name}{each} = {_value(node.init, kernel)}{of}"
    for stmt in node.body:
        yield from _lines(stmt, kernel)
    for stmt in node.flush:
        for line in _lines(stmt, kernel):
            yield line + of


@_lines.register
def _(node: Reduce, kernel: Kernel) -> Iterator[str]:
    op = "=" if node.op == "=" else f"{node.op}="
    yield f"{_value(node.place, kernel)} {op} {_value(node.value, kernel)}"


@_lines.register
def _(node: Gathered, kernel: Kernel) -> Iterator[str]:
    row, out = node.row, node.row.out.removesuffix("_vals")
    if node.ordered:
        for stmt in node.body:
            yield from _lines(stmt, kernel)
        return
    yield from _block(f"with {row.vals}[{_int(row.extent)}], empty:", node.body, kernel)
    value = f"{row.post}({row.vals}[at])" if row.post else f"{row.vals}[at]"
    where = f" where {value} != 0" if row.drops else ""
    yield f"append {out}[{_int(row.outer)}; at] = {value} for at touched, in order{where}"


@_lines.register
def _(node: Touch, kernel: Kernel) -> Iterator[str]:
    if node.ordered:
        out, value = node.row.out.removesuffix("_vals"), _value(node.value, kernel)
        value = f"{node.row.post}({value})" if node.row.post else value
        drops = " if not 0" if node.row.drops else ""
        yield f"append {out}[{_int(node.row.outer)}; {_int(node.index)}] = {value}{drops}"
        return
    op = node.row.op if len(node.row.op) == 1 else f" {node.row.op}"
    place = f"{node.row.vals}[{_index(node.index, kernel)}]"
    yield f"{place} {op.strip()}= {_value(node.value, kernel)}"


@_lines.register
def _(node: Fill, kernel: Kernel) -> Iterator[str]:
    yield f"{node.array.removesuffix('_vals')}[...] = {_value(node.value, kernel)}"


def _fiber(over: Stored) -> str:
    text = _level(over.level, over.parent)
    if over.window is not None:
        lo, hi = over.window
        text += f"[{_int(lo)} : {_int(hi)}]"
    return text


def _level(level: Level, parent: Expr) -> str:
    """``F.crs[m]``; the one fiber of an outermost level needs no number."""
    number = "" if parent == Const(0) else f"[{_int(parent)}]"
    return f"{level.tensor}.{level.label}{number}"


# ---- values -----------------------------------------------------------------------------


def _holds(node: Value, kernel: Kernel) -> str:
    """A value as a condition: that it is not 0."""
    if not isinstance(node, Test):
        return f"{_value(node, kernel)} != 0"
    return f"{_value(node.left, kernel)} {node.op} {_value(node.right, kernel)}"


def _value(node: Value, kernel: Kernel, outer: int = 0) -> str:
    """``outer`` is 2 inside a product."""
    match node:
        case Elem(array, index):
            return f"{array.removesuffix('_vals')}[{_index(index, kernel)}]"
        case Held(name, member):
            return name if member is None else f"{name}[{_int(member)}]"
        case Parameter(name):
            return name
        case Number(value):
            return f"{value:g}" if isinstance(value, float) else str(value)
        case Whole(expr):
            return _int(expr, outer)
        case Func(name, args):
            return f"{name}({', '.join(_value(arg, kernel) for arg in args)})"
        case Ratio(top, bottom):
            text = f"{_value(top, kernel, 2)} / {_value(bottom, kernel, 3)}"
            return f"({text})" if outer > 1 else text
        case Test():
            return f"({_holds(node, kernel)})"
        case Choose(test, yes, no):
            shown = (_value(part, kernel) for part in (test, yes, no))
            return f"where({', '.join(shown)})"
        case Absent(_, value, otherwise):
            return f"({_value(value, kernel)} or {_value(otherwise, kernel)})"
        case Select(test, value, 0, 0):
            return f"({_value(value, kernel)} if {_value(test, kernel)})"
        case Select(test, value, fill, otherwise):
            head = f"{_value(value, kernel)} if {_value(test, kernel)} != {fill:g}"
            return f"({head} else {otherwise:g})"
        case Prod(args):
            text = " * ".join(_value(a, kernel, 2) for a in args)
            return f"({text})" if outer == 3 else text
        case Sum(args):
            text = " + ".join(_value(a, kernel, 1) for a in args)
            return f"({text})" if outer >= 2 else text
    raise TypeError(f"no text for {type(node).__name__}")


def _index(address: Expr, kernel: Kernel) -> str:
    return ",".join(_int(part) for part in axes_of(address, set(kernel.dims)))


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
    return by_extent and any(_names(factor) - dims for factor in rest)


# ---- integers ---------------------------------------------------------------------------


def _names(expr: Expr) -> set[str]:
    match expr:
        case Name(name):
            return {name}
        case Op(_, args):
            return set().union(*(_names(a) for a in args))
        case Pick(conditions, then, other):
            sides = [side for c in conditions for side in (c.left, c.right)]
            return set().union(*(_names(a) for a in (then, other, *sides)))
    return set()


def _int(expr: Expr, outer: int = 0) -> str:
    """``outer`` is how tightly the context binds."""
    match expr:
        case Const(value):
            return str(value) if value >= 0 or not outer else f"({value})"
        case Name(name):
            return name
        case Pick(conditions, then, other):
            return f"({_int(then)} if {' and '.join(_conditions(conditions))} else {_int(other)})"
        case Op("min" | "max" as op, args):
            return f"{op}({', '.join(map(_int, args))})"
        case Op("ceil", (a, b)):
            return f"ceil({_int(a, 2)}/{_int(b, 3)})"
        case Op(op, args):
            level = _BINDS[op]
            if op == "+":
                text = _sum(args)
            elif op == "*":
                text = "*".join(_int(a, 2) for a in args)
            else:
                text = f" {op} ".join((_int(args[0], 2), _int(args[1], 3)))
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
        text += sign + _int(part, 2 if minus else 1)
    return text

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
from zeroskip.native.integers import Const, Expr, Name, Op, add, mul
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
    Stmt,
    Touch,
)
from zeroskip.native.nest_tiles import Bring, Columns, Cut, Share, Slide, Stage, Tiles, Unrolled
from zeroskip.native.scope import free_names
from zeroskip.native.show_values import (
    names_of,
    show_conditions,
    show_index,
    show_int,
    show_test,
    show_value,
)

INDENT = "  "
WALKS = {
    "C": "compressed",
    "B": "bitmask",
    "R": "run-length",
    "S": "singleton",
    "H": "structured",
}


def show(kernel: Kernel) -> str:
    """The kernel's loop nest, its title first as comments."""
    lines = [f"# {line}" for line in kernel.title]
    lines += [line for stmt in kernel.body for line in _lines(stmt, kernel)]
    return "\n".join(lines)


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
            head = f"for {var} in [{show_int(lo)}, {show_int(hi)}):"
            notes = {"vec": ["vectors"], "dot": ["lanes share the reduction"]}.get(node.kind, [])
        case Stored() as over:
            var, body = _taken_apart(node, kernel)
            head = f"for {var}, {over.pos} in {_fiber(over)}:"
            notes = [WALKS[over.level.letter]]
            notes += ["lanes share the entries"] if node.kind == "dot" else []
        case Together() as over:
            of = over.coordinates.removesuffix("_offset")
            fiber = f"{of}.packed[{show_int(over.block)}]"
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
            return names_of(by) <= set(kernel.dims) and _digit(inner, var, kernel)
    return False


@_lines.register
def _(node: Bind, kernel: Kernel) -> Iterator[str]:
    yield f"{node.var} = {show_int(node.expr)}"
    for stmt in node.body:
        yield from _lines(stmt, kernel)


@_lines.register
def _(node: Guard, kernel: Kernel) -> Iterator[str]:
    tests = [*show_conditions(node.conditions), *(show_test(v, kernel) for v in node.nonzero)]
    yield from _block(f"if {' and '.join(tests)}:", node.body, kernel)


@_lines.register
def _(node: Locate, kernel: Kernel) -> Iterator[str]:
    fiber = _level(node.level, node.parent)
    head = f"if {show_int(node.coordinate)} in {fiber}, at {node.pos}:  # located"
    yield from _block(head, node.body, kernel)


@_lines.register
def _(node: Find, kernel: Kernel) -> Iterator[str]:
    fiber = _level(node.level, node.parent)
    tests = [f"if {' and '.join(show_conditions(node.conditions))}"] if node.conditions else []
    yield " ".join([f"{node.pos} = find {show_int(node.coordinate)} in {fiber}", *tests, "else -1"])
    for stmt in node.body:
        yield from _lines(stmt, kernel)


@_lines.register
def _(node: Fetch, kernel: Kernel) -> Iterator[str]:
    array = node.array.removesuffix("_vals")
    yield f"{node.var} = {array}[{show_index(node.index, kernel)}]"
    for stmt in node.body:
        yield from _lines(stmt, kernel)


@_lines.register
def _(node: Check, kernel: Kernel) -> Iterator[str]:
    yield f"check 0 <= {show_int(node.coordinate)} < {show_int(node.extent)}"
    for stmt in node.body:
        yield from _lines(stmt, kernel)


@_lines.register
def _(node: Once, kernel: Kernel) -> Iterator[str]:
    yield f"check {node.place.array}[{show_index(node.place.index, kernel)}] is new"


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
    head = (
        f"for {node.var} in [0, {show_int(node.line)}) by {node.width}:  # {node.note or 'tiles'}"
    )
    yield from _block(head, node.body, kernel)


@_lines.register
def _(node: Cut, kernel: Kernel) -> Iterator[str]:
    fibers, blocks, size = map(show_int, (node.fibers, node.blocks, node.size))
    yield (
        f"{node.array} = cut({node.level.tensor}.{node.level.label})"
        f"  # {fibers} fibers, where each of {blocks} blocks of {size} begins"
    )


@_lines.register
def _(node: Bring, kernel: Kernel) -> Iterator[str]:
    yield f"bring {node.array}[{show_index(node.index, kernel)} ...]  # {show_int(node.count)}"


@_lines.register
def _(node: Slide, kernel: Kernel) -> Iterator[str]:
    last, var = node.members - 1, node.var
    yield f"for {var} in [0, {show_int(node.places)} + {last}):  # slides"
    yield f"{INDENT}{node.name}[0] = {show_value(node.place, kernel)} if {var} is there"
    for stmt in node.body:
        for line in _lines(stmt, kernel):
            yield INDENT + line
    yield f"{INDENT}{show_value(node.last, kernel)} = {node.name}[{last}] if that is there"
    yield f"{INDENT}{node.name}[i] = {node.name}[i - 1] for i in ({last}, 0]"


@_lines.register
def _(node: Share, kernel: Kernel) -> Iterator[str]:
    tiles, programs = show_int(node.tiles), show_int(node.programs)
    head = (
        f"share [{node.lo}, {node.hi}) of [0, {tiles}), "
        f"[{node.first}, {node.end}) of [0, {programs}):  # parallel"
    )
    yield from _block(head, node.body, kernel)


@_lines.register
def _(node: Unrolled, kernel: Kernel) -> Iterator[str]:
    line, groups, members = map(show_int, (node.line, node.groups, node.members))
    yield (
        f"for each vector x of [0, {line}):"
        f"  # a program: {groups} groups of {members} rows, an instruction for each entry"
    )
    if node.joined > 1:
        yield f"    # value and lane are {node.joined} integers each, of neighbouring places"
    op = "=" if node.resumed == Const(0) else f"(+)= if {show_int(node.resumed)} > 0 else ="
    yield (
        f"    {node.result}[row, x] {op} sum(e of row: {node.packed}[e] * "
        f"{node.source}[{node.offset}[e] + x])"
    )
    if node.lying is not None:
        first, end = show_int(node.lying.first), show_int(node.lying.end)
        yield f"    # vectors [{first}, {end}) of the line in {node.lying.source}, where they lie"


@_lines.register
def _(node: Columns, kernel: Kernel) -> Iterator[str]:
    yield (
        f"for each lane x of [0, {show_int(node.line)}):"
        f"  # {show_int(node.there)} columns, a bit for each of the rows, which share a vector"
    )
    op = "=" if node.resumed == Const(0) else f"(+)= if {show_int(node.resumed)} > 0 else ="
    at = show_int(add(node.at, mul(Name("k"), node.step), Name("x")))
    yield (
        f"    {node.result}[row, x] {op} sum(k that row stores: {node.packed}[row, k] * "
        f"{node.source}[{at}])"
    )


@_lines.register
def _(node: Acc, kernel: Kernel) -> Iterator[str]:
    each = f"[{node.member}]" if node.members > 1 else ""

    def of(count: int) -> str:
        return f" for {node.member} in [0, {count})" if count > 1 else ""

    yield f"{node.name}{each} = {show_value(node.init, kernel)}{of(node.members)}"
    for stmt in node.body:
        yield from _lines(stmt, kernel)
    for stmt in node.flush:
        for line in _lines(stmt, kernel):
            yield line + of(node.flushes or node.members)


@_lines.register
def _(node: Reduce, kernel: Kernel) -> Iterator[str]:
    op = "=" if node.op == "=" else f"{node.op}="
    yield f"{show_value(node.place, kernel)} {op} {show_value(node.value, kernel)}"


@_lines.register
def _(node: Gathered, kernel: Kernel) -> Iterator[str]:
    row, out = node.row, node.row.out.removesuffix("_vals")
    if node.ordered:
        for stmt in node.body:
            yield from _lines(stmt, kernel)
        return
    yield from _block(f"with {row.vals}[{show_int(row.extent)}], empty:", node.body, kernel)
    value = f"{row.post}({row.vals}[at])" if row.post else f"{row.vals}[at]"
    where = f" where {value} != 0" if row.drops else ""
    yield f"append {out}[{show_int(row.outer)}; at] = {value} for at touched, in order{where}"


@_lines.register
def _(node: Touch, kernel: Kernel) -> Iterator[str]:
    if node.ordered:
        out, value = node.row.out.removesuffix("_vals"), show_value(node.value, kernel)
        value = f"{node.row.post}({value})" if node.row.post else value
        drops = " if not 0" if node.row.drops else ""
        yield f"append {out}[{show_int(node.row.outer)}; {show_int(node.index)}] = {value}{drops}"
        return
    op = node.row.op if len(node.row.op) == 1 else f" {node.row.op}"
    place = f"{node.row.vals}[{show_index(node.index, kernel)}]"
    yield f"{place} {op.strip()}= {show_value(node.value, kernel)}"


@_lines.register
def _(node: Fill, kernel: Kernel) -> Iterator[str]:
    yield f"{node.array.removesuffix('_vals')}[...] = {show_value(node.value, kernel)}"


def _fiber(over: Stored) -> str:
    text = _level(over.level, over.parent)
    if over.window is not None:
        lo, hi = over.window
        text += f"[{show_int(lo)} : {show_int(hi)}]"
    return text


def _level(level: Level, parent: Expr) -> str:
    """``F.crs[m]``; the one fiber of an outermost level needs no number."""
    number = "" if parent == Const(0) else f"[{show_int(parent)}]"
    return f"{level.tensor}.{level.label}{number}"

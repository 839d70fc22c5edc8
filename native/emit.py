"""Loop nest → C that a person would write."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import singledispatch

from zeroskip.native.cexpr import (
    C_TYPES,
    ValueContext,
    condition,
    integer,
    mentions,
    number,
    place,
    value,
)
from zeroskip.native.nest import (
    LANE_BYTES,
    Acc,
    Bind,
    Fill,
    Guard,
    Held,
    Kernel,
    Locate,
    Loop,
    Merge,
    Name,
    Number,
    Range,
    Reduce,
    Stage,
    Stored,
)
from zeroskip.native.scope import free_names

SYMBOL = "zs_kernel"
TILE_VECTORS = 8
"""Accumulators of a register tile: 8 hide the latency of a fused multiply-add (4 cycles, two a
cycle) and leave room in 32 registers for operands."""


@dataclass
class CWriter:
    """Lines of C, indented, with the functions that were split off."""

    kernel: Kernel
    values: ValueContext
    count_work: bool = False
    lines: list[str] = field(default_factory=list)
    functions: list[str] = field(default_factory=list)
    depth: int = 1
    tiles: int = 0
    alone: bool = False

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        self.line(f"{head} {{" if head else "{")
        self.depth += 1
        yield
        self.depth -= 1
        self.line("}")

    @contextmanager
    def constant(self, name: str, text: str) -> Iterator[None]:
        """A name for an integer, left out where nothing in the block uses it."""
        at = len(self.lines)
        self.line(f"const int64_t {name} = {text};")
        yield
        if not any(re.search(rf"\b{name}\b", line) for line in self.lines[at + 1 :]):
            del self.lines[at]

    @contextmanager
    def scope(self) -> Iterator[None]:
        """Braces around declarations, unless they are alone in their block already."""
        if self.alone:
            yield
        else:
            with self.block(""):
                yield

    def body(self, stmts: tuple[object, ...]) -> None:
        for stmt in stmts:
            self.alone = len(stmts) == 1
            write(stmt, self)


def emit(kernel: Kernel, *, count_work: bool = False) -> str:
    """The whole C file of one kernel: header, split-off tiles, prologue, loops.

    count_work : also add up executed multiplications in ``args->work``.
    """
    ctx = ValueContext(
        kernel.dtype,
        {b.name: b.dtype for b in kernel.buffers},
        {name: name for name, _ in kernel.parameters},
    )
    out = CWriter(kernel, ctx, count_work)
    out.body(kernel.body)
    text = ['#include "zs_kernel.h"']
    if any(f"_{kernel.dtype}(" in line for line in (*out.lines, *out.functions)):
        text.append('#include "zs_pointwise.h"')
    text.append("")
    if any("zs_vec" in line for line in (*out.lines, *out.functions)):
        ctype = C_TYPES[kernel.dtype]
        text += [
            f"/* {LANE_BYTES} bytes of {ctype} at any element's address */",
            f"typedef {ctype} zs_vec __attribute__((vector_size({LANE_BYTES}), "
            f"aligned(sizeof({ctype})), may_alias));",
            f"enum {{ LANES = {LANE_BYTES} / sizeof({ctype}) }};",
            "",
        ]
    text += out.functions
    text += ["/*", *(f" * {line}".rstrip() for line in kernel.title), " */"]
    text += [f"int32_t {SYMBOL}(zs_args *args)", "{"]
    text += ["    if (zs_check_version(args) != ZS_OK) {", "        return args->error;", "    }"]
    text += ["    " + line for line in _prologue(kernel, out.lines)]
    if count_work:
        text.append("    int64_t work = 0;")
    text += ["", *out.lines]
    if count_work:
        text.append("    args->work = work;")
    text += ["    return ZS_OK;", "}", ""]
    return "\n".join(text)


def _prologue(kernel: Kernel, lines: list[str]) -> list[str]:
    """Names for the slots of the struct; those that the loops do not read are left out."""
    used = set(re.findall(r"[A-Za-z_]\w*", "\n".join(lines)))
    text = []
    for slot, buffer in enumerate(kernel.buffers):
        if buffer.name in used:
            const = "" if buffer.written else "const "
            text.append(
                f"{const}{C_TYPES[buffer.dtype]} *restrict {buffer.name} = args->buf[{slot}];"
            )
    for slot, name in enumerate(kernel.dims):
        if name in used:
            text.append(f"const int64_t {name} = args->dim[{slot}];")
    slots = {"real": 0, "whole": 0}
    for name, kind in kernel.parameters:
        if name in used:
            ctype = "double" if kind == "real" else "int64_t"
            text.append(f"const {ctype} {name} = args->{kind}[{slots[kind]}];")
        slots[kind] += 1
    return text


@singledispatch
def write(node: object, out: CWriter) -> None:
    raise TypeError(f"no C for {type(node).__name__}")


@write.register
def _(node: Loop, out: CWriter) -> None:
    if node.note:
        out.line(f"/* {node.note} */")
    if node.kind == "vec":
        _vector_loop(node, out)
    elif isinstance(node.over, Range):
        lo, hi = integer(node.over.lo), integer(node.over.hi)
        with out.block(f"for (int64_t {node.var} = {lo}; {node.var} < {hi}; {node.var}++)"):
            out.body(node.body)
    elif isinstance(node.over, Stored):
        _STORED[node.over.level.letter](node, node.over, out)
    else:
        _merge(node, node.over, out)


def _walk_compressed(node: Loop, over: Stored, out: CWriter) -> None:
    pos, crd = over.level.arrays
    p, parent = over.pos, over.parent
    begin, end = f"{pos}[{integer(parent)}]", f"{pos}[{integer(_next(parent))}]"
    if over.window is not None:
        kind = out.values.dtypes[crd]
        begin = f"zs_lower_bound_{kind}({crd}, {begin}, {end}, {integer(over.window[0])})"
    loop = out.block(f"for (int64_t {p} = {begin}; {p} < {end}; {p}++)")
    with loop, out.constant(node.var, f"{crd}[{p}]"):
        if over.window is not None:
            with out.block(f"if ({node.var} >= {integer(over.window[1])})"):
                out.line("break;")
        out.body(node.body)


def _walk_bitmask(node: Loop, over: Stored, out: CWriter) -> None:
    words, rank = over.level.arrays
    p, w, bits = over.pos, f"w_{node.var}", f"bits_{node.var}"
    per_fiber = f"zs_bit_words({integer(over.level.extent)})"
    base = integer(over.parent, 2)
    first, last = "0", per_fiber
    if over.window is not None:
        lo, hi = integer(over.window[0], 2), integer(over.window[1])
        first, last = f"{lo} / 64", f"zs_bit_words({hi})"
    with out.block(f"for (int64_t {w} = {first}; {w} < {last}; {w}++)"):
        at = f"{base} * {per_fiber} + {w}" if base != "0" else w
        out.line(f"uint64_t {bits} = {words}[{at}];")
        out.line(f"int64_t {p}_next = {rank}[{at}];")
        with out.block(f"for (; {bits} != 0; {bits} = zs_drop_lowest({bits}))"):
            out.line(f"const int64_t {p} = {p}_next++;")
            with out.constant(node.var, f"{w} * 64 + zs_ctz({bits})"):
                if over.window is not None:
                    v = node.var
                    lo, hi = integer(over.window[0]), integer(over.window[1])
                    with out.block(f"if ({v} < {lo} || {v} >= {hi})"):
                        out.line("continue;")
                out.body(node.body)


def _walk_runs(node: Loop, over: Stored, out: CWriter) -> None:
    pos, run = over.level.arrays
    p, parent, v = over.pos, over.parent, node.var
    with out.scope():
        out.line(f"int64_t {v}_next = 0;")
        head = f"int64_t {p} = {pos}[{integer(parent)}]; {p} < {pos}[{integer(_next(parent))}]"
        with out.block(f"for ({head}; {p}++)"):
            out.line(f"const int64_t {v} = {v}_next + {run}[{p}];")
            out.line(f"{v}_next = {v} + 1;")
            if over.window is not None:
                with out.block(f"if ({v} < {integer(over.window[0])})"):
                    out.line("continue;")
                with out.block(f"if ({v} >= {integer(over.window[1])})"):
                    out.line("break;")
            out.body(node.body)


def _walk_singleton(node: Loop, over: Stored, out: CWriter) -> None:
    (crd,) = over.level.arrays
    position = out.constant(over.pos, integer(over.parent))
    with out.scope(), position, out.constant(node.var, f"{crd}[{over.pos}]"):
        out.body(node.body)


_STORED = {
    "C": _walk_compressed,
    "B": _walk_bitmask,
    "R": _walk_runs,
    "S": _walk_singleton,
}


def _merge(node: Loop, over: Merge, out: CWriter) -> None:
    """Two fingers: advance the one at the smaller coordinate until either list ends."""
    fingers = (over.left, over.right)
    with out.scope():
        for side in fingers:
            pos, _ = side.level.arrays
            out.line(f"int64_t {side.pos} = {pos}[{integer(side.parent)}];")
            out.line(f"const int64_t {side.pos}_end = {pos}[{integer(_next(side.parent))}];")
        left, right = (s.pos for s in fingers)
        with out.block(f"while ({left} < {left}_end && {right} < {right}_end)"):
            for side in fingers:
                out.line(f"const int64_t {side.pos}_at = {side.level.arrays[1]}[{side.pos}];")
            match = out.block(f"if ({left}_at == {right}_at)")
            with match, out.constant(node.var, f"{left}_at"):
                out.body(node.body)
            out.line(f"const int64_t {node.var}_at = zs_min({left}_at, {right}_at);")
            for side in (left, right):
                out.line(f"{side} += {side}_at == {node.var}_at;")


def _next(expr: object) -> object:
    from zeroskip.native.nest import ONE, add

    return add(expr, ONE)  # type: ignore[arg-type]


@write.register
def _(node: Bind, out: CWriter) -> None:
    with out.constant(node.var, integer(node.expr)):
        out.body(node.body)


@write.register
def _(node: Guard, out: CWriter) -> None:
    tests = [condition(c) for c in node.conditions]
    tests += [f"{value(v, out.values)} != 0" for v in node.nonzero]
    with out.block(f"if ({' && '.join(tests)})"):
        out.body(node.body)


@write.register
def _(node: Locate, out: CWriter) -> None:
    level, parent, c = node.level, integer(node.parent), integer(node.coordinate)
    if level.letter == "C":
        pos, crd = level.arrays
        kind = out.values.dtypes[crd]
        end = f"{pos}[{integer(_next(node.parent))}]"  # type: ignore[arg-type]
        call = f"zs_locate_{kind}({crd}, {pos}[{parent}], {end}, {c})"
    else:
        words, rank = level.arrays
        first = ""
        if parent != "0":
            first = f" + {integer(node.parent, 2)} * zs_bit_words({integer(level.extent)})"
        call = f"zs_bit_locate({words}{first}, {rank}{first}, {c})"
    with out.scope():
        out.line(f"const int64_t {node.pos} = {call};")
        with out.block(f"if ({node.pos} >= 0)"):
            out.body(node.body)


@write.register
def _(node: Stage, out: CWriter) -> None:
    """Copy element by element: the address in the layout is linear in the source's index."""
    out.line(f"/* {node.target}: {node.source} with its halo, in rows the vectors can overrun */")
    source, target = [], []
    for k, axis in enumerate(node.axes):
        i = f"i{k}"
        source.append(f"{i} * {integer(axis.source_stride, 2)}")
        at = f"({i} + {integer(axis.lo, 1)})" if integer(axis.lo) != "0" else i
        if axis.stride > 1:
            target.append(f"{at} % {axis.stride} * {integer(axis.phase_stride, 2)}")
            target.append(f"{at} / {axis.stride} * {integer(axis.row_stride, 2)}")
        else:
            target.append(f"{at} * {integer(axis.row_stride, 2)}")
    opened = len(node.axes)
    for k, axis in enumerate(node.axes):
        out.line(f"for (int64_t i{k} = 0; i{k} < {integer(axis.extent)}; i{k}++) {{")
        out.depth += 1
    load = f"{node.source}[{' + '.join(source) or '0'}]"
    out.line(f"{node.target}[{' + '.join(target) or '0'}] = {load};")
    for _ in range(opened):
        out.depth -= 1
        out.line("}")


@write.register
def _(node: Acc, out: CWriter) -> None:
    ctype = C_TYPES[node.dtype]
    tiled = out.values.lane is not None
    with out.scope():
        if tiled:
            out.values.tiled.add(node.name)
            out.line(f"zs_vec {node.name}[{TILE_VECTORS}];")
            with _lanes(out):
                start = value(node.init, out.values)
                zero = f"(zs_vec){{}} + {start}" if start not in ("0", "0.0f", "0.0") else ""
                out.line(f"{node.name}[v] = {zero or '(zs_vec){}'};")
        else:
            out.line(f"{ctype} {node.name} = {value(node.init, out.values)};")
        out.body(node.body)
        out.body(node.flush)
        out.values.tiled.discard(node.name)


@write.register
def _(node: Reduce, out: CWriter) -> None:
    vector = out.values.lane_index is not None
    if vector and (
        isinstance(node.place, Held) or mentions(node.place.index, out.values.lane or "")
    ):
        with _lanes(out):
            _reduce(node, out)
    else:
        _reduce(node, out)


def _reduce(node: Reduce, out: CWriter) -> None:
    ctx = out.values
    target = value(node.place, ctx) if isinstance(node.place, Held) else place(node.place, ctx)
    text = value(node.value, ctx)
    if node.op == "=":
        out.line(f"{target} = {text};")
    elif node.op in ("max", "min"):
        out.line(f"{target} = zs_{node.op}_{ctx.dtype}({target}, {text});")
    else:
        out.line(f"{target} {node.op}= {text};")
    if out.count_work and node.work:
        lanes = " * LANES" if ctx.lane is not None else ""
        out.line(f"work += {node.work}{lanes};")


@contextmanager
def _lanes(out: CWriter) -> Iterator[None]:
    out.line("#pragma GCC unroll 8")
    with out.block("for (int v = 0; v < tile; v++)"):
        yield


@write.register
def _(node: Fill, out: CWriter) -> None:
    with out.block(f"for (int64_t i = 0; i < {integer(node.count)}; i++)"):
        start = node.value
        text = (
            number(start.value, out.values.dtypes[node.array])
            if isinstance(start, Number)
            else value(start, out.values)
        )
        out.line(f"{node.array}[i] = {text};")


def _vector_loop(node: Loop, out: CWriter) -> None:
    assert isinstance(node.over, Range)
    x, ctx = node.var, out.values
    lo, hi = integer(node.over.lo), integer(node.over.hi)
    if not _holds(node.body):
        ctx.lane = x
        with out.block(f"for (int64_t {x} = {lo}; {x} < {hi}; {x} += LANES)"):
            out.body(node.body)
        ctx.lane = None
        return
    # Tiles of up to TILE_VECTORS accumulators, as even as they come, in a function of their
    # own, so that the number of accumulators is a constant wherever it runs.
    out.tiles += 1
    name = f"tile_{x}" if out.tiles == 1 else f"tile_{x}{out.tiles}"
    inner = CWriter(out.kernel, ctx, out.count_work, functions=out.functions, tiles=out.tiles)
    ctx.lane, ctx.lane_index = x, "v * LANES"
    if out.count_work:
        inner.line("int64_t work = 0;")
    inner.body(node.body)
    if out.count_work:
        inner.line("*work_out += work;")
    ctx.lane = ctx.lane_index = None
    params = ["const int tile", f"const int64_t {x}", *_parameters(node, inner)]
    head = f"static inline __attribute__((always_inline)) void {name}("
    out.functions.append(f"/* {TILE_VECTORS} vectors of {x} at most, from {x} on */")
    out.functions.append(head + "\n    " + ",\n    ".join(params) + ")")
    out.functions += ["{", *inner.lines, "}", ""]
    args = ", ".join(p.split()[-1].lstrip("*") for p in params[1:])
    args = args.replace("work_out", "&work")
    with out.block(""):
        span = hi if lo == "0" else f"{hi} - {lo}"
        out.line(f"const int64_t vectors = ({span} + LANES - 1) / LANES;")
        out.line(f"const int64_t tiles = (vectors + {TILE_VECTORS - 1}) / {TILE_VECTORS};")
        with out.block("for (int64_t t = 0; t < tiles; t++)"):
            start = f"{lo} + " if lo != "0" else ""
            out.line(f"const int64_t {x} = {start}vectors * t / tiles * LANES;")
            with out.block("switch (vectors * (t + 1) / tiles - vectors * t / tiles)"):
                for n in range(1, TILE_VECTORS + 1):
                    out.line(f"case {n}: {name}({n}, {args}); break;")
                out.line("default: break;")


def _parameters(node: Loop, inner: CWriter) -> list[str]:
    """What a split-off tile is handed: the buffers and integers that its lines use."""
    arrays, scalars = free_names(node.body, {node.var}, inner.kernel)
    used = set(re.findall(r"[A-Za-z_]\w*", "\n".join(inner.lines)))
    params = []
    for buffer in inner.kernel.buffers:
        if buffer.name in arrays & used:
            const = "" if buffer.written else "const "
            params.append(f"{const}{C_TYPES[buffer.dtype]} *restrict {buffer.name}")
    params += [f"const int64_t {s}" for s in scalars if s in used]
    if inner.count_work:
        params.append("int64_t *work_out")
    return params


def _holds(body: tuple[object, ...]) -> bool:
    """Whether the body keeps accumulators."""
    for stmt in body:
        if isinstance(stmt, Acc):
            return True
        inner = getattr(stmt, "body", ())
        if inner and _holds(inner):
            return True
    return False


__all__ = ["SYMBOL", "Name", "emit"]

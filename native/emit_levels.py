"""C that walks the stored coordinates of each kind of level."""

from __future__ import annotations

from zeroskip.native.cexpr import integer
from zeroskip.native.cwriter import CWriter
from zeroskip.native.nest import ONE, Loop, Merge, Stored, add


def _walk_compressed(node: Loop, over: Stored, out: CWriter) -> None:
    pos, crd = over.level.arrays
    p, parent = over.pos, over.parent
    begin, end = f"{pos}[{integer(parent)}]", f"{pos}[{integer(add(parent, ONE))}]"
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
        head = f"int64_t {p} = {pos}[{integer(parent)}]; {p} < {pos}[{integer(add(parent, ONE))}]"
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


WALKS = {
    "C": _walk_compressed,
    "B": _walk_bitmask,
    "R": _walk_runs,
    "S": _walk_singleton,
}


def merge(node: Loop, over: Merge, out: CWriter) -> None:
    """Two fingers: advance the one at the smaller coordinate until either list ends."""
    fingers = (over.left, over.right)
    with out.scope():
        for side in fingers:
            pos, _ = side.level.arrays
            out.line(f"int64_t {side.pos} = {pos}[{integer(side.parent)}];")
            out.line(f"const int64_t {side.pos}_end = {pos}[{integer(add(side.parent, ONE))}];")
        left, right = (s.pos for s in fingers)
        with out.block(f"while ({left} < {left}_end && {right} < {right}_end)"):
            for side in fingers:
                out.line(f"const int64_t {side.pos}_at = {side.level.arrays[1]}[{side.pos}];")
            match = out.block(f"if ({left}_at == {right}_at)")
            with match, out.constant(node.var, f"{left}_at"):
                out.body(node.body)
            out.line(f"const int64_t {node.var}_at = zs_min({left}_at, {right}_at);")
            for pos in (left, right):
                out.line(f"{pos} += {pos}_at == {node.var}_at;")

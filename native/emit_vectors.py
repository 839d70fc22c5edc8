"""C of vector loops: whole vectors at once, or register tiles of several."""

from __future__ import annotations

import re

from zeroskip.native.cexpr import C_TYPES, integer
from zeroskip.native.cwriter import CWriter
from zeroskip.native.nest import Acc, Loop, Range
from zeroskip.native.scope import free_names

TILE_VECTORS = 8
"""Accumulators of a register tile: 8 hide the latency of a fused multiply-add (4 cycles, two a
cycle) and leave room in 32 registers for operands."""


def vector_loop(node: Loop, out: CWriter) -> None:
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
    inner = CWriter(
        out.kernel, ctx, out.write, out.count_work, functions=out.functions, tiles=out.tiles
    )
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
        t = out.local("t")
        with out.block(f"for (int64_t {t} = 0; {t} < tiles; {t}++)"):
            out.line("ZS_POLL(args);")
            start = f"{lo} + " if lo != "0" else ""
            out.line(f"const int64_t {x} = {start}vectors * {t} / tiles * LANES;")
            with out.block(f"switch (vectors * ({t} + 1) / tiles - vectors * {t} / tiles)"):
                for n in range(1, TILE_VECTORS + 1):
                    out.line(f"case {n}: {name}({n}, {args}); break;")
                out.line("default: break;")


def _parameters(node: Loop, inner: CWriter) -> list[str]:
    """What a split-off tile is handed: the buffers and integers that its lines use."""
    arrays, scalars = free_names(node.body, {node.var})
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

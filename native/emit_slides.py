"""C of windows that slide along a line of places."""

from __future__ import annotations

from zeroskip.native.cexpr import integer, place, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.emit_vectors import lanes, parameters
from zeroskip.native.integers import Const, add
from zeroskip.native.nest_tiles import Slide


def slide(node: Slide, out: CWriter) -> None:
    """A call for a line of places, of a function of its own: what loops around hold in registers
    would leave too few."""
    ctx, name = out.values, out.local(f"slide_{node.var}")
    while any(f" {name}(" in line for line in out.functions):
        name += "_"
    assert ctx.lane is not None, "sums of lanes"
    inner = CWriter(
        out.kernel, ctx, out.write, out.count_work, functions=out.functions, tiles=out.tiles
    )
    if out.count_work:
        inner.line("int64_t work = 0;")
    with inner.constant(ctx.width, "tile * LANES"):
        _line(node, inner)
    if out.count_work:
        inner.line("*work_out += work;")
    params = parameters((node,), {ctx.width, ctx.lane}, inner)
    args = ", ".join(p.split()[-1].lstrip("*") for p in params)
    listed = ",\n    ".join(params)
    out.functions += [
        f"/* sums of {node.members} places at a time along a line of {node.var} */",
        "static inline __attribute__((always_inline)) void "
        f"{name}(\n    const int tile,\n    {listed})",
        *("{", *inner.lines, "}", ""),
    ]
    for count in ctx.counts:
        head = f"static __attribute__((noinline)) void {name}{count}(\n    {listed})"
        out.functions += [head, "{", f"    {name}({count}, {args});", "}", ""]
    args = args.replace("work_out", "&work")
    with out.block("switch (tile)"):
        for count in ctx.counts:
            out.line(f"case {count}: {name}{count}({args}); break;")


def _line(node: Slide, out: CWriter) -> None:
    """Vectors of sums, which move from one to the next."""
    ctx, var, last = out.values, node.var, node.members - 1
    ctx.tiled.add(node.name)
    i, name = out.local("i"), node.name
    out.line(f"zs_vec {name}[{node.members}][{ctx.tile}];")
    out.line(f"/* {name}[{i}]: sums of {var} - {i} */")
    out.line(f"#pragma GCC unroll {node.members}")
    with out.block(f"for (int {i} = 0; {i} < {node.members}; {i}++)"), lanes(out):
        out.line(f"{name}[{i}][v] = (zs_vec){{}};")
    steps = integer(add(node.places, Const(last)))
    with out.block(f"for (int64_t {var} = 0; {var} < {steps}; {var}++)"):
        with out.block(f"if ({var} < {integer(node.places)})"), lanes(out):
            out.line(f"{name}[0][v] = {value(node.place, ctx)};")
        out.body(node.body)
        with out.block(f"if ({var} >= {last})"), lanes(out):
            out.line(f"{place(node.last, ctx)} = {name}[{last}][v];")
        out.line(f"#pragma GCC unroll {node.members}")
        with out.block(f"for (int {i} = {last}; {i} > 0; {i}--)"), lanes(out):
            out.line(f"{name}[{i}][v] = {name}[{i} - 1][v];")
    ctx.tiled.discard(node.name)

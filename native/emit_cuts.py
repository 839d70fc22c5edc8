"""C of fibers that are cut into blocks of coordinates, and of what is brought near meanwhile."""

from __future__ import annotations

from zeroskip.native.cexpr import C_TYPES, integer
from zeroskip.native.cwriter import CWriter
from zeroskip.native.integers import Name, add, mul
from zeroskip.native.nest_tiles import Bring, Cut


def cut(node: Cut, out: CWriter) -> None:
    """Where each fiber comes to each block, searched from where it came to the one before."""
    pos, crd = node.level.arrays
    f, b, p = out.local("f"), out.local("b"), out.local("p")
    out.line(
        f"/* {node.array}: where the fibers of {node.level.tensor}.{node.level.label} come to "
        f"each block of {integer(node.size)} coordinates */"
    )
    at = add(mul(Name(b), node.fibers), Name(f))
    end = add(mul(node.blocks, node.fibers), Name(f))
    with out.block(f"for (int64_t {f} = 0; {f} < {integer(node.fibers)}; {f}++)"):
        out.line(f"int64_t {p} = {pos}[{f}];")
        with out.block(f"for (int64_t {b} = 0; {b} < {integer(node.blocks)}; {b}++)"):
            search = f"zs_lower_bound_{out.values.dtypes[crd]}"
            first = integer(mul(Name(b), node.size))
            out.line(f"{p} = {search}({crd}, {p}, {pos}[{f} + 1], {first});")
            out.line(f"{node.array}[{integer(at)}] = {p};")
        out.line(f"{node.array}[{integer(end)}] = {pos}[{f} + 1];")


def bring(node: Bring, out: CWriter) -> None:
    """What comes next, asked for while others are at work: so many bytes from a place on."""
    at = f"{node.array} + {integer(node.index, 1)}"
    size = f"sizeof({C_TYPES[out.values.dtypes[node.array]]})"
    out.line(f"zs_bring({at}, {integer(node.count, 2)} * {size});")

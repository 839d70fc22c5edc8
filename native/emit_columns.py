"""C of columns of rows, against the lanes of a line."""

from __future__ import annotations

from zeroskip.native.cexpr import C_TYPES, integer
from zeroskip.native.cwriter import CWriter
from zeroskip.native.integers import ONE, ZERO, Expr, add, mul
from zeroskip.native.nest import Kernel
from zeroskip.native.nest_tiles import Columns


def columns(node: Columns, out: CWriter) -> None:
    """The lanes tile by tile, in each of which the sums of all rows are in registers."""
    t, x, count = map(out.local, ("t", "x", "count"))
    line, tiles = integer(node.line, 2), integer(node.tiles, 2)
    first = integer(node.group), integer(add(node.group, ONE))
    with out.scope():
        if out.count_work:
            stored = f"{node.first}[{first[1]}] - {node.first}[{first[0]}]"
            out.line(f"work += ({stored}) * {line};")
        with out.block(f"for (int64_t {t} = 0; {t} < {tiles}; {t}++)"):
            out.line(f"const int64_t {x} = {line} * {t} / {tiles};")
            out.line(f"const int64_t {count} = {line} * ({t} + 1) / {tiles} - {x};")
            args = (
                _from(node.masks, mul(node.group, node.columns)),
                f"{node.packed} + {node.first}[{first[0]}]",
                integer(node.there),
                f"{_from(node.source, node.at)} + {x}",
                integer(node.step),
                f"{_from(node.result, node.into)} + {x}",
                integer(node.pitch),
                integer(node.rows),
                "0" if node.resumed == ZERO else f"{integer(node.resumed, 1)} > 0",
            )
            with out.block(f"switch ({count})"):
                for n in node.lanes:
                    out.line(f"case {n}:")
                    out.line(f"    zs_add_columns({n}, {args[0]},")
                    for some in (args[1:3], args[3:5], args[5:]):
                        end = ");" if some[-1] is args[-1] else ","
                        out.line(f"                   {', '.join(some)}{end}")
                    out.line("    break;")
                out.line("default: return zs_fail(args, ZS_EINTERNAL, -1);")


def _from(array: str, at: Expr) -> str:
    return array if at == ZERO else f"{array} + {integer(at)}"


def defined(kernel: Kernel) -> str:
    """The macro that defines what the C calls."""
    own = f"{kernel.dtype}_{kernel.vector_bytes}"
    masks = next(b.dtype for b in kernel.buffers if b.name in _masks(kernel.body))
    return f"ZS_DEFINE_COLUMNS({C_TYPES[kernel.dtype]}, {own}, {C_TYPES[masks]})"


def _masks(body: tuple[object, ...]) -> set[str]:
    found = {node.masks for node in body if isinstance(node, Columns)}
    return found.union(*(_masks(getattr(node, "body", ())) for node in body))

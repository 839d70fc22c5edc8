"""C of the rows of a sparse result: gathered densely, appended in order."""

from __future__ import annotations

from zeroskip.native.cexpr import C_TYPES, integer, number, stored_as, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.integers import Name
from zeroskip.native.nest import Gathered, Touch
from zeroskip.native.values import Elem, Func, Value


def gathered(node: Gathered, out: CWriter) -> None:
    row = node.row
    found, k, at, total = map(out.local, ("n_row", "k", "at", "sum"))
    with out.scope():
        out.line(f"int64_t {found} = 0;")
        out.body(node.body)
        out.line(f"zs_sort_row({row.touched}, {found}, {row.seen}, {integer(row.extent)});")
        with out.block(f"for (int64_t {k} = 0; {k} < {found}; {k}++)"):
            out.line(f"const int64_t {at} = {row.touched}[{k}];")
            stored: Value = Elem(row.vals, Name(at))
            if row.post is not None:
                stored = Func(row.post, (stored,))
            ctype = C_TYPES[out.values.dtype]
            out.line(f"const {ctype} {total} = {value(stored, out.values)};")
            out.line(f"{row.seen}[{at}] = 0;")
            if row.drops:
                with out.block(f"if ({total} == 0)"):
                    out.line("continue;")
            with out.block(f"if ({row.count}[0] < {integer(row.room)})"):
                out.line(f"{row.outers}[{row.count}[0]] = {integer(row.outer)};")
                out.line(f"{row.inners}[{row.count}[0]] = {at};")
                kept = stored_as(total, out.values.dtypes[row.out], out.values.dtype)
                out.line(f"{row.out}[{row.count}[0]] = {kept};")
            out.line(f"{row.count}[0]++;")


def touch(node: Touch, out: CWriter) -> None:
    row = node.row
    found, place = out.local("n_row"), out.local("place")
    with out.scope():
        out.line(f"const int64_t {place} = {integer(node.index)};")
        with out.block(f"if (!{row.seen}[{place}])"):
            out.line(f"{row.seen}[{place}] = 1;")
            out.line(f"{row.touched}[{found}++] = {place};")
            start = number(row.start, out.values.dtype) if row.start else "0"
            out.line(f"{row.vals}[{place}] = {start};")
        target, new = f"{row.vals}[{place}]", value(node.value, out.values)
        if row.op in ("max", "min"):
            out.line(f"{target} = zs_{row.op}_{out.values.dtype}({target}, {new});")
        else:
            out.line(f"{target} {row.op}= {new};")
        if out.count_work and node.work:
            out.line(f"work += {node.work};")

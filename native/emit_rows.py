"""C of the rows of a sparse result: gathered densely, appended in order."""

from __future__ import annotations

from zeroskip.native.cexpr import C_TYPES, integer, number, stored_as, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.integers import ONE, Name, add
from zeroskip.native.nest import Gathered, Row, Touch
from zeroskip.native.values import Elem, Func, Value


def gathered(node: Gathered, out: CWriter) -> None:
    row = node.row
    found, kept = map(out.local, ("n_row", "n_out"))
    with out.scope():
        out.line(f"int64_t {found} = 0;")
        out.body(node.body)
        out.line(f"int64_t {kept} = {row.ends}[{integer(row.outer)}];")
        if row.post is None and not row.drops:
            full = f"zs_is_full({found}, {integer(row.extent)})"
            with out.block(f"if ({full} && {kept} + {found} < {integer(row.room)})"):
                _swept(row, kept, out)
            with out.block("else"):
                _listed(row, found, kept, out)
        else:
            _listed(row, found, kept, out)
        out.line(f"{row.ends}[{integer(add(row.outer, ONE))}] = {kept};")


def _swept(row: Row, kept: str, out: CWriter) -> None:
    """Append a row by its marks: every place is written, and stays where it was reached."""
    at, extent = out.local("at"), integer(row.extent)
    with out.block(f"for (int64_t {at} = 0; {at} < {extent}; {at}++)"):
        out.line(f"{row.inners}[{kept}] = {at};")
        out.line(f"{row.out}[{kept}] = {_narrowed(f'{row.vals}[{at}]', row, out)};")
        out.line(f"{kept} += {row.seen}[{at}];")
    for array, start in ((row.vals, _start(row, out)), (row.seen, "0")):
        with out.block(f"for (int64_t {at} = 0; {at} < {extent}; {at}++)"):
            out.line(f"{array}[{at}] = {start};")


def _listed(row: Row, found: str, kept: str, out: CWriter) -> None:
    """Append a row place by place."""
    k, at, total = map(out.local, ("k", "at", "sum"))
    arrays = f"{row.touched}, {found}, {row.seen}, {row.bits}"
    out.line(f"zs_sort_row({arrays}, {integer(row.extent)});")
    with out.block(f"for (int64_t {k} = 0; {k} < {found}; {k}++)"):
        out.line(f"const int64_t {at} = {row.touched}[{k}];")
        stored: Value = Elem(row.vals, Name(at))
        if row.post is not None:
            stored = Func(row.post, (stored,))
        ctype = C_TYPES[out.values.dtype]
        out.line(f"const {ctype} {total} = {value(stored, out.values)};")
        out.line(f"{row.vals}[{at}] = {_start(row, out)};")
        out.line(f"{row.seen}[{at}] = 0;")
        if row.drops:
            with out.block(f"if ({total} == 0)"):
                out.line("continue;")
        with out.block(f"if ({kept} < {integer(row.room)})"):
            out.line(f"{row.inners}[{kept}] = {at};")
            out.line(f"{row.out}[{kept}] = {_narrowed(total, row, out)};")
        out.line(f"{kept}++;")


def _narrowed(text: str, row: Row, out: CWriter) -> str:
    return stored_as(text, out.values.dtypes[row.out], out.values.dtype)


def _start(row: Row, out: CWriter) -> str:
    return number(row.start, out.values.dtype) if row.start else "0"


def touch(node: Touch, out: CWriter) -> None:
    row = node.row
    found, place = out.local("n_row"), out.local("place")
    with out.scope():
        out.line(f"const int64_t {place} = {integer(node.index)};")
        out.line(f"{row.touched}[{found}] = {place};")
        out.line(f"{found} += !{row.seen}[{place}];")
        out.line(f"{row.seen}[{place}] = 1;")
        target, new = f"{row.vals}[{place}]", value(node.value, out.values)
        if row.op in ("max", "min"):
            out.line(f"{target} = zs_{row.op}_{out.values.dtype}({target}, {new});")
        else:
            out.line(f"{target} {row.op}= {new};")
        if out.count_work and node.work:
            out.line(f"work += {node.work};")

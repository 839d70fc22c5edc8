"""C of the rows of a sparse result: gathered densely, appended in order."""

from __future__ import annotations

import numpy as np

from zeroskip.native.cexpr import C_TYPES, integer, number, stored_as, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Stored
from zeroskip.native.emit_dots import unrolled
from zeroskip.native.emit_short import Ways, combined, counting, short
from zeroskip.native.integers import ONE, Name, add
from zeroskip.native.nest import Gathered, Loop, Row, Touch
from zeroskip.native.parallel import nodes
from zeroskip.native.values import Elem, Func, Value

SWEPT = ("float32", "float64", "int32", "int64", "uint32", "uint64")
"""Types of values of which whole vectors are swept, from rows that start at 0."""


def gathered(node: Gathered, out: CWriter) -> None:
    """A row, by its marks alone where the one before was full, else with a list of its places."""
    row = node.row
    found, kept, most_products = map(out.local, ("n_row", "n_out", "most"))
    extent, outer = integer(row.extent), integer(row.outer)
    with out.scope():
        out.line(f"int64_t {kept} = {row.ends}[{outer}];")
        if node.ordered:
            out.body(node.body)
        else:
            counted = counting(node, most_products)
            if counted is None:
                _dense(node, found, kept, out)
            else:
                out.line(f"int64_t {most_products} = 0;")
                out.body(counted)
                with out.block(f"if ({most_products} <= zs_list_most({extent}))"):
                    # a row as long as this one may follow
                    where = f"{row.inners}, {row.out}, {kept} + {most_products}"
                    out.line(f"ZS_ASK({where}, {most_products});")
                    short(node, _ways(row, kept, out), out)
                with out.block("else"):
                    _dense(node, found, kept, out)
        out.line(f"{row.ends}[{integer(add(row.outer, ONE))}] = {kept};")


def _ways(row: Row, kept: str, out: CWriter) -> Ways:
    def append(at: str, stored: Value) -> None:
        total = out.local("stored")
        _total(row, stored, total, out)
        if row.drops:
            with out.block(f"if ({total} == 0)"):
                out.line("continue;")
        _append(row, at, total, kept, out)

    copied = None
    if row.post is None and not row.drops and _moves(row, out):
        dtypes = out.values.dtypes
        copied = f"zs_list_copied{np.dtype(dtypes[row.out]).itemsize}_{dtypes[row.inners]}"
    return Ways(_start(row, out), kept, append, copied)


def _dense(node: Gathered, found: str, kept: str, out: CWriter) -> None:
    """A row gathered at its places."""
    row = node.row
    extent, outer = integer(row.extent), integer(row.outer)
    if row.post is None and not row.drops:
        room = integer(row.room)
        most = "ZS_SWEPT_ROW" if _sweep(row, out) else "ZS_FULL_ROW"
        with out.block(f"if (zs_is_swept({row.ends}, {outer}, {extent}, {room}, {most}))"):
            before, asked = map(out.local, ("before", "asked"))
            out.unlisted = row
            asks = any(isinstance(loop, Loop) and is_apart(loop, out) for loop in nodes(node.body))
            if asks or _sweep(row, out) is not None:
                ends = f"{row.ends}[{outer}]"
                out.line(f"const int64_t {before} = {ends} - {row.ends}[{outer} - 1];")
            if asks:
                out.line(f"int64_t {asked} = 0;")
            out.body(node.body)
            out.unlisted = None
            _swept(row, kept, before, out)
        with out.block("else"):
            out.line(f"int64_t {found} = 0;")
            out.body(node.body)
            enough = f"{kept} + {found} + ZS_SWEPT <= {room}"
            with out.block(f"if (zs_is_full({found}, {extent}, {most}) && {enough})"):
                _swept(row, kept, found, out)
            with out.block("else"):
                _listed(row, found, kept, out)
    else:
        out.line(f"int64_t {found} = 0;")
        out.body(node.body)
        _listed(row, found, kept, out)


def _swept(row: Row, kept: str, about: str, out: CWriter) -> None:
    """Append a row by its marks: every place is written, and stays where it was reached.

    about : how many there are, about.
    """
    at, extent, start = out.local("at"), integer(row.extent), _start(row, out)
    sweep = _sweep(row, out)
    if sweep is not None:
        arrays = f"{row.vals}, {row.seen}, {row.inners}, {row.out}"
        out.line(f"{kept} = {sweep}({arrays}, {kept}, {extent}, {about});")
        return
    with out.block(f"for (int64_t {at} = 0; {at} < {extent}; {at}++)"):
        out.line(f"{row.inners}[{kept}] = {at};")
        out.line(f"{row.out}[{kept}] = {_narrowed(f'{row.vals}[{at}]', row, out)};")
        out.line(f"{kept} += {row.seen}[{at}];")
        out.line(f"{row.vals}[{at}] = {start};")
        out.line(f"{row.seen}[{at}] = 0;")


def _sweep(row: Row, out: CWriter) -> str | None:
    """The routine that sweeps the row by whole vectors; None where one mark follows the other."""
    if not _moves(row, out) or row.start:
        return None
    return f"zs_sweep{np.dtype(out.values.dtype).itemsize}_{out.values.dtypes[row.inners]}"


def _moves(row: Row, out: CWriter) -> bool:
    """Whether values and places are of types that routines move by whole vectors."""
    dtypes, dtype = out.values.dtypes, out.values.dtype
    return dtype == dtypes[row.out] in SWEPT and dtypes[row.inners] in ("uint16", "int32")


def _listed(row: Row, found: str, kept: str, out: CWriter) -> None:
    """Append a row place by place."""
    k, at, total = map(out.local, ("k", "at", "sum"))
    arrays = f"{row.touched}, {found}, {row.seen}, {row.bits}"
    out.line(f"zs_sort_row({arrays}, {integer(row.extent)});")
    with out.block(f"for (int64_t {k} = 0; {k} < {found}; {k}++)"):
        out.line(f"const int64_t {at} = {row.touched}[{k}];")
        _total(row, Elem(row.vals, Name(at)), total, out)
        out.line(f"{row.vals}[{at}] = {_start(row, out)};")
        out.line(f"{row.seen}[{at}] = 0;")
        if row.drops:
            with out.block(f"if ({total} == 0)"):
                out.line("continue;")
        _append(row, at, total, kept, out)


def _total(row: Row, stored: Value, total: str, out: CWriter) -> None:
    if row.post is not None:
        stored = Func(row.post, (stored,))
    out.line(f"const {C_TYPES[out.values.dtype]} {total} = {value(stored, out.values)};")


def _append(row: Row, at: str, total: str, kept: str, out: CWriter) -> None:
    with out.block(f"if ({kept} < {integer(row.room)})"):
        out.line(f"{row.inners}[{kept}] = {at};")
        out.line(f"{row.out}[{kept}] = {_narrowed(total, row, out)};")
    out.line(f"{kept}++;")


def _narrowed(text: str, row: Row, out: CWriter) -> str:
    return stored_as(text, out.values.dtypes[row.out], out.values.dtype)


def _start(row: Row, out: CWriter) -> str:
    return number(row.start, out.values.dtype) if row.start else "0"


AT_ONCE = 4
"""Entries of a fiber whose sums are read before the first is written: no two have a place."""


def is_apart(node: Loop, out: CWriter) -> bool:
    """Whether all that a loop does is to add a product to a place of its own for each entry, in a
    row that is not listed."""
    over = node.over
    if not isinstance(over, Stored) or over.level.letter != "C" or over.window is not None:
        return False
    match node.body:
        case (Touch(row=row, index=index, ordered=False),) if not over.ahead:
            return row == out.unlisted and row.op == "+" and index == Name(node.var)
    return False


def apart(node: Loop, over: Stored, out: CWriter) -> None:
    """Some entries at once, so that no sum waits for the one before to be written."""
    (touch,) = node.body
    assert isinstance(touch, Touch)
    pos, crd = over.level.arrays
    row, dtype = touch.row, out.values.dtype
    first, end, e, places, sums = map(
        out.local, (f"{over.pos}_at", f"{over.pos}_end", "e", "places", "sums")
    )
    with out.scope():
        out.line(f"int64_t {first} = {pos}[{integer(over.parent)}];")
        out.line(f"const int64_t {end} = {pos}[{integer(add(over.parent, ONE))}];")
        _ask(row, f"{end} - {first}", out)
        with out.block(f"for (; {first} + {AT_ONCE} <= {end}; {first} += {AT_ONCE})"):
            out.line(f"int64_t {places}[{AT_ONCE}];")
            out.line(f"{C_TYPES[dtype]} {sums}[{AT_ONCE}];")
            with unrolled(e, AT_ONCE, out):
                out.line(f"const int64_t {over.pos} = {first} + {e};")
                with out.constant(node.var, f"{crd}[{over.pos}]"):
                    new = value(touch.value, out.values, 1)
                    out.line(f"{places}[{e}] = {integer(touch.index)};")
                    out.line(f"{sums}[{e}] = {row.vals}[{integer(touch.index)}] + {new};")
            with unrolled(e, AT_ONCE, out):
                out.line(f"{row.seen}[{places}[{e}]] = 1;")
                out.line(f"{row.vals}[{places}[{e}]] = {sums}[{e}];")
            if out.count_work and touch.work:
                out.line(f"work += {touch.work * AT_ONCE};")
        rest = out.block(f"for (int64_t {over.pos} = {first}; {over.pos} < {end}; {over.pos}++)")
        with rest, out.constant(node.var, f"{crd}[{over.pos}]"):
            out.body(node.body)


def _ask(row: Row, entries: str, out: CWriter) -> None:
    """Ask for the memory of some entries more of the row, until there are as many as the row before
    had, while others are added up: it comes from as far as what is read."""
    kept, before, asked = map(out.local, ("n_out", "before", "asked"))
    with out.block(f"if ({asked} < {before})"):
        more = f"zs_min({entries}, {before} - {asked})"
        out.line(f"ZS_ASK({row.inners}, {row.out}, {kept} + {asked}, {more});")
        out.line(f"{asked} += {entries};")


def touch(node: Touch, out: CWriter) -> None:
    row = node.row
    if node.ordered:
        total, kept = map(out.local, ("sum", "n_out"))
        with out.scope():
            _total(row, node.value, total, out)
            if out.count_work and node.work:
                out.line(f"work += {node.work};")
            if row.drops:
                with out.block(f"if ({total} != 0)"):
                    _append(row, integer(node.index), total, kept, out)
            else:
                _append(row, integer(node.index), total, kept, out)
        return
    found, place = out.local("n_row"), out.local("place")
    with out.scope():
        new = value(node.value, out.values)
        out.line(f"const int64_t {place} = {integer(node.index)};")
        if out.listed is not None:
            out.listed.add(place, new, out)
        else:
            if out.unlisted != row:
                out.line(f"{row.touched}[{found}] = {place};")
                out.line(f"{found} += !{row.seen}[{place}];")
            out.line(f"{row.seen}[{place}] = 1;")
            out.line(combined(row.op, f"{row.vals}[{place}]", new, out))
        if out.count_work and node.work:
            out.line(f"work += {node.work};")

"""C of each statement of a nest."""

from __future__ import annotations

from contextlib import nullcontext
from functools import singledispatch

from zeroskip.formats.values import HALVES
from zeroskip.native.cexpr import (
    C_TYPES,
    condition,
    integer,
    mentions,
    number,
    part,
    place,
    rounds,
    stored_as,
    truth,
    value,
)
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Range, Stored, Together
from zeroskip.native.emit_columns import columns
from zeroskip.native.emit_copies import copy, is_copy, stage
from zeroskip.native.emit_cuts import bring, cut
from zeroskip.native.emit_dots import dot
from zeroskip.native.emit_entries import has_sums, sums
from zeroskip.native.emit_levels import WALKS, merge
from zeroskip.native.emit_parts import counted
from zeroskip.native.emit_rows import apart, gathered, is_apart, touch
from zeroskip.native.emit_short import Tally, is_run, run, tally
from zeroskip.native.emit_slides import slide
from zeroskip.native.emit_vectors import accumulators, lanes, tiles, together, vector_loop
from zeroskip.native.integers import ONE, ZERO, Const, Expr, Name, add, mul
from zeroskip.native.nest import (
    Acc,
    Alone,
    Barrier,
    Bind,
    Check,
    Fetch,
    Fill,
    Find,
    Gathered,
    Guard,
    Locate,
    Loop,
    Once,
    Poll,
    Reduce,
    Touch,
)
from zeroskip.native.nest_tiles import Bring, Columns, Cut, Share, Slide, Stage, Tiles, Unrolled
from zeroskip.native.values import Elem, Held, Number


@singledispatch
def write(node: object, out: CWriter) -> None:
    raise TypeError(f"no C for {type(node).__name__}")


@write.register
def _(node: Loop, out: CWriter) -> None:
    if node.note:
        out.line(f"/* {node.note} */")
    if node.kind == "dot":
        dot(node, out)
    elif node.kind == "vec":
        vector_loop(node, out)
    elif isinstance(node.over, Together):
        together(node, node.over, out)
    elif isinstance(node.over, Range):
        if is_copy(node, out):
            copy(node, out)
            return
        lo, hi = integer(node.over.lo), integer(node.over.hi)
        around = any(isinstance(stmt, Loop) and stmt.par for stmt in node.body)
        with counted(out, node.var, lo, hi, par=node.par, around=around, by=node.by):
            out.body(node.body)
    elif isinstance(node.over, Stored):
        if has_sums(node, out):
            sums(node, node.over, out)
            return
        if out.listed is not None and is_run(node):
            run(node, node.over, out)
            return
        if out.unlisted is not None and is_apart(node, out):
            apart(node, node.over, out)
            return
        WALKS[node.over.level.letter](node, node.over, out)
    else:
        merge(node, node.over, out)


@write.register
def _(node: Bind, out: CWriter) -> None:
    with out.constant(node.var, integer(node.expr)):
        out.body(node.body)


@write.register
def _(node: Guard, out: CWriter) -> None:
    tests = [condition(c) for c in node.conditions]
    tests += [truth(v, out.values) for v in node.nonzero]
    with out.block(f"if ({' && '.join(tests)})"):
        out.body(node.body)


@write.register
def _(node: Locate, out: CWriter) -> None:
    with out.scope():
        out.line(f"const int64_t {node.pos} = {_located(node, out)};")
        with out.block(f"if ({node.pos} >= 0)"):
            out.body(node.body)


def _located(node: Locate | Find, out: CWriter) -> str:
    """C for the position of a coordinate in a fiber, -1 where it is not stored."""
    level, parent, c = node.level, integer(node.parent), integer(node.coordinate)
    if level.letter == "C":
        pos, crd = level.arrays
        kind = out.values.dtypes[crd]
        end = f"{pos}[{integer(add(node.parent, ONE))}]"
        return f"zs_locate_{kind}({crd}, {pos}[{parent}], {end}, {c})"
    words, rank = level.arrays
    first = ""
    if parent != "0":
        first = f" + {integer(node.parent, 2)} * zs_bit_words({integer(level.extent)})"
    return f"zs_bit_locate({words}{first}, {rank}{first}, {c})"


@write.register
def _(node: Find, out: CWriter) -> None:
    call = _located(node, out)
    if node.conditions:
        call = f"{' && '.join(map(condition, node.conditions))} ? {call} : -1"
    with out.scope():
        out.line(f"const int64_t {node.pos} = {call};")
        out.body(node.body)


@write.register
def _(node: Fetch, out: CWriter) -> None:
    with out.scope():
        out.line(f"const int64_t {node.var} = {node.array}[{integer(node.index)}];")
        out.body(node.body)


@write.register
def _(node: Check, out: CWriter) -> None:
    """What is computed from what was read is looked at in 128 bits: 4 * 2^62 is 0 in 64.  Where it
    is within the extent, both are the same, but where a part is rounded."""
    at, extent = integer(node.coordinate), integer(node.extent)
    wide = at if isinstance(node.coordinate, Name) else integer(node.coordinate, wide=True)
    tests = [f"{wide} >= {extent}"]
    if not isinstance(node.extent, Const) or node.extent.value > 0:
        tests.insert(0, f"{wide} < 0")
    if rounds(node.coordinate):
        tests.append(f"{wide} != {at}")
    with out.block(f"if ({' || '.join(tests)})"):
        out.line(f"return zs_fail(args, ZS_ERANGE, {node.number});")
    out.body(node.body)


@write.register
def _(node: Once, out: CWriter) -> None:
    marks, at = node.place.array, integer(node.place.index)
    with out.block(f"if ({marks}[{at}]++)"):
        out.line(f"return zs_fail(args, ZS_ECOLLISION, {at});")


@write.register
def _(node: Gathered, out: CWriter) -> None:
    gathered(node, out)


@write.register
def _(node: Touch, out: CWriter) -> None:
    touch(node, out)


@write.register
def _(node: Tally, out: CWriter) -> None:
    tally(node, out)


@write.register
def _(node: Stage, out: CWriter) -> None:
    stage(node, out)


@write.register
def _(node: Tiles, out: CWriter) -> None:
    tiles(node, out)


@write.register
def _(node: Cut, out: CWriter) -> None:
    cut(node, out)


@write.register
def _(node: Bring, out: CWriter) -> None:
    bring(node, out)


@write.register
def _(node: Slide, out: CWriter) -> None:
    slide(node, out)


@write.register
def _(node: Share, out: CWriter) -> None:
    part, parts = out.part
    share = out.local("share")
    with out.scope():
        out.line(
            f"const zs_share {share} = zs_divide_line({part}, {parts}, {integer(node.tiles)}, "
            f"{integer(node.programs)});"
        )
        out.line(f"const int64_t {node.lo} = {share}.lo, {node.hi} = {share}.hi;")
        for name, cut in ((node.first, f"{share}.part"), (node.end, f"{share}.part + 1")):
            programs = integer(node.programs)
            out.line(f"const int64_t {name} = zs_cut({cut}, {share}.parts, 0, {programs});")
        with out.constant(node.part, part) if node.part else nullcontext():
            out.body(node.body)


@write.register
def _(node: Unrolled, out: CWriter) -> None:
    with out.scope():
        entries = node.first, node.member, node.offset
        held = node.code, node.starts, *entries, node.shift or "0", node.masks or "0"
        sizes = integer(node.groups), integer(node.members)
        all_programs = out.local("programs_")
        out.line(f"const zs_unrolled {all_programs} = {{{', '.join((*held, *sizes))}}};")
        lying = "0"
        if node.lying is not None:
            of, name = node.lying, out.local("lying")
            parts = of.at, of.first, of.end, of.behind, of.residue, of.programs
            where = ", ".join(map(integer, parts))
            out.line(f"const zs_lying {name} = {{{of.source}, {where}}};")
            lying = f"&{name}"
        out.line(
            f"zs_run_unrolled(&{all_programs}, {integer(node.program)}, {integer(node.after)}, "
            f"{integer(node.rows)}, "
            f"{node.packed}, {_from(node.source, node.at)}, {integer(node.step)}, "
            f"{integer(node.vector)}, {_from(node.result, node.into)}, {integer(node.pitch)}, "
            f"{integer(node.line)}, {integer(node.resumed)} > 0, {lying});"
        )
        if out.count_work:
            start = mul(node.program, node.groups)
            own = [integer(at) for at in (add(start, node.groups), start)]
            count = f"{node.first}[{own[0]}] - {node.first}[{own[1]}]"
            out.line(f"work += ({count}) * {integer(node.line, 2)};")


def _from(array: str, at: Expr) -> str:
    return array if at == ZERO else f"{array} + {integer(at)}"


@write.register
def _(node: Columns, out: CWriter) -> None:
    columns(node, out)


@write.register
def _(node: Acc, out: CWriter) -> None:
    if out.values.lane is not None:
        accumulators(node, out)
        return
    with out.scope():
        out.line(f"{C_TYPES[node.dtype]} {node.name} = {value(node.init, out.values)};")
        out.body(node.body)
        out.body(node.flush)


@write.register
def _(node: Reduce, out: CWriter) -> None:
    vector = out.values.lane_index is not None
    if vector and (
        isinstance(node.place, Held) or mentions(node.place.index, out.values.lane or "")
    ):
        with lanes(out):
            _reduce(node, out)
    else:
        _reduce(node, out)


def _reduce(node: Reduce, out: CWriter) -> None:
    ctx = out.values
    target = value(node.place, ctx) if isinstance(node.place, Held) else place(node.place, ctx)
    text = value(node.value, ctx)
    if isinstance(node.place, Elem):
        stored = ctx.dtypes[node.place.array]
        if isinstance(node.value, Number) and stored not in HALVES:
            text = number(node.value.value, stored)  # a mark is no float
        text = stored_as(text, stored, ctx.dtype)
    if isinstance(node.place, Elem) and node.place.lanes is not None:
        assert node.op == "="
        at, there = part(node.place, ctx)
        out.line(f"zs_store_{'within' if ctx.early else 'part'}({at}, {there}, {text});")
    elif node.op == "=":
        out.line(f"{target} = {text};")
    elif node.op in ("max", "min"):
        out.line(f"{target} = zs_{node.op}_{ctx.dtype}({target}, {text});")
    else:
        out.line(f"{target} {node.op}= {text};")
    if out.count_work and node.work:
        lanes = " * LANES" if ctx.lane is not None else ""
        out.line(f"work += {node.work}{lanes};")


@write.register
def _(node: Poll, out: CWriter) -> None:
    out.line("ZS_POLL(args);")


@write.register
def _(node: Alone, out: CWriter) -> None:
    with out.block("if (args->part == 0)"):
        out.body(node.body)


@write.register
def _(node: Barrier, out: CWriter) -> None:
    out.line("ZS_BARRIER(args);")


@write.register
def _(node: Fill, out: CWriter) -> None:
    i = "i"
    while mentions(node.count, i):
        i += "_"
    with counted(out, i, "0", integer(node.count), par=node.par):
        start = node.value
        text = (
            number(start.value, out.values.dtypes[node.array])
            if isinstance(start, Number)
            else value(start, out.values)
        )
        out.line(f"{node.array}[{i}] = {text};")

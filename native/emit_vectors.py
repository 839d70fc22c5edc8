"""C of vector loops: whole vectors at once, or register tiles of several."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from zeroskip.native.cexpr import C_TYPES, integer, itemsize, mentions, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import LANES_AHEAD, Range, Together
from zeroskip.native.integers import ONE, Const, Expr, Name, Op, add, factor, mul, without
from zeroskip.native.nest import Acc, Loop, Reduce
from zeroskip.native.nest_tiles import Tiles
from zeroskip.native.scope import free_names
from zeroskip.native.values import Elem, Prod

AHEAD = 4096
"""Bytes of values ahead of those at work that are asked for: where they come from beyond the
second-level cache, each page of memory is waited for anew otherwise.  Products of 4096 x 4096
entries and 3x3 windows of 512 channels, at densities from .3 to .8, took 10 to 25 % less on one
machine (Granite Rapids), and twice as many ahead the same; no command of the repository finds it
again."""

AHEAD_FEW = AHEAD // 2
"""The same of rows of few vectors, which leave the first-level cache to what they load: up to 9 %
less than twice as many in products of 4096 x 4096 entries and one vector, at densities from .05 to
.3 on the same machine."""

WORD, AT_ONCE = 8, 2
"""Bytes of places that are loaded at once, and words of them for which a loop goes round."""


def vector_loop(node: Loop, out: CWriter) -> None:
    """The lanes of a loop, a vector at a time; inside a tile, all its vectors at once."""
    assert isinstance(node.over, Range)
    x, ctx = node.var, out.values
    ctx.lane = x
    if ctx.tile:
        ctx.lane_index = "v * LANES"
        out.body(node.body)
    else:
        lo, hi = integer(node.over.lo), integer(node.over.hi)
        with out.block(f"for (int64_t {x} = {lo}; {x} < {hi}; {x} += LANES)"):
            out.body(node.body)
    ctx.lane = ctx.lane_index = None


def tiles(node: Tiles, out: CWriter) -> None:
    """A function for a tile, in which the number of its vectors is a constant wherever it is
    called, and the loop that calls it."""
    out.tiles += 1
    name = f"tile_{node.var}" if out.tiles == 1 else f"tile_{node.var}{out.tiles}"
    ctx, x = out.values, node.var
    inner = CWriter(
        out.kernel, ctx, out.write, out.count_work, functions=out.functions, tiles=out.tiles
    )
    early = out.local("before") if node.early else ""
    most = tuple(sorted({*node.vectors, *(node.early[1] if node.early else ())}))
    ctx.tile, ctx.width, ctx.counts, ctx.early = max(most, default=1), node.width, most, early
    parts = out.local("parts")
    inner.part = node.part, parts
    if out.count_work:
        inner.line("int64_t work = 0;")
    with inner.constant(node.width, "tile * LANES"):
        inner.body(node.body)
    if out.count_work:
        inner.line("*work_out += work;")
    ctx.tile, ctx.early = 0, ""
    used = set(re.findall(r"[A-Za-z_]\w*", "\n".join(inner.lines)))
    which = [name for name in inner.part if name in used]
    own = ["const int tile", f"const int64_t {x}", *(f"const int64_t {name}" for name in which)]
    if early:
        own.insert(1, f"const int64_t {early}")
    if "args" in used:  # it looks whether it is to stop
        own.append("zs_args *args")
    params = [*own, *parameters(node.body, {node.var, node.width, node.part}, inner)]
    stops = "args" in used
    gives = "int32_t" if stops else "void"
    head = f"static inline __attribute__((always_inline)) {gives} {name}("
    out.functions.append(f"/* {_vectors(most)} of {x}, from {x} on */")
    out.functions.append(head + "\n    " + ",\n    ".join(params) + ")")
    end = ["    return ZS_OK;"] if stops else []
    out.functions += ["{", *inner.lines, *end, "}", ""]
    args = ", ".join(p.split()[-1].lstrip("*") for p in params[2 if early else 1 :])
    args = args.replace("work_out", "&work")
    for own_part, text in zip(inner.part, out.part, strict=True):
        args = re.sub(rf"\b{own_part}\b", text, args)
    if node.note:
        out.line(f"/* {node.note} */")
    with out.block(""):
        _tile_by_tile(node, name, args, early, stops, out)


def _tile_by_tile(node: Tiles, name: str, args: str, early: str, stops: bool, out: CWriter) -> None:
    """The loop over tiles, each a call for as many vectors as it has.

    name : of the function; args : what it is handed, but for the numbers of vectors and of lanes
        before the line, which are ``early`` where there may be some.
    stops : whether it may end before it is done.
    """
    x, line, count, t = node.var, integer(node.line, 2), integer(node.tiles, 2), out.local("t")

    def call(vectors: int, lanes: str) -> str:
        own = f"{name}({vectors}, {lanes}{args})"
        return f"if ({own} != ZS_OK) {{ return args->error; }}" if stops else f"{own};"

    none, before = ("0, ", f" - {early}") if early else ("", "")
    sizes = node.vectors
    if node.early:
        array, vectors = node.early
        sizes = tuple(sorted({*sizes, *vectors[1:]}))
        lanes = "0" if out.count_work else f"zs_early({array}, {integer(node.line)})"
        out.line("/* lanes before the line, so that all vectors begin lines of the cache */")
        out.line(f"const int64_t {early} = {lanes};")
        line = f"{line} + {early}"
    out.line(f"const int64_t vectors = ({line} + LANES - 1) / LANES;")
    with out.block(f"for (int64_t {t} = 0; {t} < {count}; {t}++)"):
        out.line("ZS_POLL(args);")
        out.line(f"const int64_t {x} = vectors * {t} / {count} * LANES{before};")
        if node.early:
            with out.block(f"if ({x} < 0)"):
                out.line(call(node.early[1][0], f"{early}, "))
                out.line("continue;")
        with out.block(f"switch (vectors * ({t} + 1) / {count} - vectors * {t} / {count})"):
            for n in sizes:
                out.line(f"case {n}: {call(n, none)} break;")
            out.line("default: return zs_fail(args, ZS_EINTERNAL, -1);")


def _vectors(vectors: tuple[int, ...]) -> str:
    """How many vectors a tile has, in words."""
    most = max(vectors, default=1)
    if vectors == tuple(range(1, most + 1)):
        return f"{most} vectors at most" if most > 1 else "1 vector"
    return " or ".join(map(str, vectors)) + " vectors"


def accumulators(node: Acc, out: CWriter) -> None:
    """Vectors that stay in registers while the body runs, of one row or of several."""
    ctx = out.values
    ctx.tiled.add(node.name)
    several = f"[{node.members}]" if node.members > 1 else ""
    with out.scope():
        out.line(f"zs_vec {node.name}{several}[{ctx.tile}];")
        which = f"[{node.member}]" if node.members > 1 else ""
        with _members(node, node.members, out), lanes(out):
            start = value(node.init, ctx)
            if start in ("0", "0.0f", "0.0"):
                start = "(zs_vec){}"
            out.line(f"{node.name}{which}[v] = {start};")
        out.body(node.body)
        with _members(node, node.flushes or node.members, out):
            out.body(node.flush)
    ctx.tiled.discard(node.name)


@contextmanager
def _members(node: Acc, count: int, out: CWriter) -> Iterator[None]:
    """The first so many accumulators; of one alone the number is not asked for."""
    if count == 1:
        yield
        return
    out.line(f"#pragma GCC unroll {count}")
    i = node.member
    with out.block(f"for (int64_t {i} = 0; {i} < {count}; {i}++)"):
        yield


@contextmanager
def lanes(out: CWriter) -> Iterator[None]:
    """The vectors of a tile, each a constant once the loop is unrolled."""
    out.line(f"#pragma GCC unroll {out.values.tile}")
    with out.block("for (int v = 0; v < tile; v++)"):
        yield


def together(node: Loop, over: Together, out: CWriter) -> None:
    """The columns of a block, pattern after pattern: which rows store one is a constant."""
    entries = _by_patterns if over.rows > 1 else _chains if over.chains > 1 else _row
    with out.scope():
        _bases(node, over, out)
        entries(node, over, out)
        out.values.bases.clear()


def _row(node: Loop, over: Together, out: CWriter) -> None:
    """The entries of a single row, one by one."""
    e, of = over.pos, over.columns
    first, end = integer(over.block), integer(add(over.block, ONE))
    with (
        out.block(f"for (int64_t {e} = {of}[{first}]; {e} < {of}[{end}]; {e}++)"),
        out.constant(node.var, f"{over.coordinates}[{e}]"),
        _addresses(node, over, out),
    ):
        _fetch_lanes(node, over, out)
        out.body(node.body)


def _fetch_lanes(node: Loop, over: Together, out: CWriter) -> None:
    """Have the memory fetch the lanes that an entry some way on meets, where they are read as they
    lie: no processor foresees which they are, and a vector may lie in two lines of its cache."""
    ctx = out.values
    for elem in ctx.held:
        if elem.lanes is None or ctx.lane is None:
            continue
        later, from_ = out.local("later"), out.local("from")
        out.line(f"const int64_t {later} = {over.coordinates}[{over.pos} + {LANES_AHEAD}];")
        first = integer(without(without(elem.index, ctx.lane), node.var, Name(later)), 1)
        out.line(f"const {C_TYPES[ctx.dtypes[elem.array]]} *{from_} = {elem.array} + {first};")
        with lanes(out):
            out.line(f"ZS_FETCH({from_} + v * LANES, 0);")


def _by_patterns(node: Loop, over: Together, out: CWriter) -> None:
    """The columns of several rows: some at a time, each added to sums of its own; then the rest."""
    patterns, chains = 2**over.rows - 1, over.chains
    pattern, e, column = (out.local(name) for name in ("pattern", "e", "column"))
    start = mul(over.block, Const(patterns))
    out.line(f"int64_t {e} = {over.first}[{integer(over.block)}];")
    out.line(f"int64_t {column} = {over.columns}[{integer(start)}];")
    row = over.row if chains == 1 else out.local("i")
    out.line(f"/* columns by who stores them: row {row} where its bit of the pattern is set */")
    out.line(f"#pragma GCC unroll {patterns}")
    with out.block(f"for (int {pattern} = 1; {pattern} <= {patterns}; {pattern}++)"):
        last = f"{over.columns}[{integer(start, 1)} + {pattern}]"
        if chains > 1:
            chain = out.local("chain")
            with out.block(f"for (; {column} + {chains} <= {last}; {column} += {chains})"):
                _bring_near(node, over, e, column, out)
                out.line(f"#pragma GCC unroll {chains}")
                with out.block(f"for (int64_t {chain} = 0; {chain} < {chains}; {chain}++)"):
                    at, sums = f"{column} + {chain}", f" + {over.rows} * {chain}"
                    _column(node, over, (pattern, row, e), at, sums, out)
        with out.block(f"for (; {column} < {last}; {column}++)"):
            if chains == 1:
                with out.block(f"if (({pattern} & ({pattern} - 1)) != 0)"):
                    _bring_near(node, over, e, "", out)
            _column(node, over, (pattern, row, e), column, "", out)


def _column(
    node: Loop, over: Together, names: tuple[str, str, str], at: str, sums: str, out: CWriter
) -> None:
    """One column, added to the sums of the rows that store it, ``sums`` behind their numbers.

    names : of the pattern, of a row, and of the next entry.
    """
    pattern, row, e = names
    with out.constant(node.var, f"{over.coordinates}[{at}]"), _addresses(node, over, out):
        out.line(f"#pragma GCC unroll {over.rows}")
        with (
            out.block(f"for (int64_t {row} = 0; {row} < {over.rows}; {row}++)"),
            out.block(f"if ({pattern} >> {row} & 1)"),
        ):
            out.line(f"const int64_t {over.pos} = {e}++;")
            if row != over.row:
                out.line(f"const int64_t {over.row} = {row}{sums};")
            out.body(node.body)


def _bring_near(
    node: Loop, over: Together, at: str, column: str, out: CWriter, ahead: int = AHEAD
) -> None:
    """Have the memory fetch what entries hold that come behind ``at``, and the places of columns
    behind ``column``: where one loop has several, so that few are asked for twice."""
    for elem in _elements(node):
        if elem.index == Name(over.pos):
            fetch(elem.array, at, over.coordinates if column else "", column, out, ahead)


def _elements(node: Loop) -> list[Elem]:
    """The elements of arrays that the sums of a loop multiply, each once."""
    values = [s.value for s in node.body if isinstance(s, Reduce)]
    factors = [f for v in values for f in (v.args if isinstance(v, Prod) else (v,))]
    return list(dict.fromkeys(f for f in factors if isinstance(f, Elem)))


def fetch(values: str, at: str, places: str, column: str, out: CWriter, ahead: int = AHEAD) -> None:
    """Have the memory fetch values so many bytes behind ``at``, and the places of as many entries
    behind ``column``."""
    out.line(f"ZS_FETCH({values} + {at}, {ahead});")
    if places:
        dtypes = out.values.dtypes
        ahead = ahead // itemsize(dtypes[values]) * itemsize(dtypes[places])
        out.line(f"ZS_FETCH({places} + {column}, {ahead});")


def _chains(node: Loop, over: Together, out: CWriter) -> None:
    """The entries of a row, several at a time, each added to a sum of its own; then the rest.

    Where they lie comes by whole words: a load that finds one place is as dear as a vector's.
    """
    e, of = over.pos, over.columns
    at, end = out.local("at_"), out.local("end")
    first = integer(over.block)
    out.line(f"int64_t {at} = {of}[{first}];")
    out.line(f"const int64_t {end} = {of}[{integer(add(over.block, ONE))}];")
    dtype = out.values.dtypes[over.coordinates]
    in_word = WORD // itemsize(dtype)
    step = max(in_word, over.chains) * AT_ONCE
    out.line("/* so many sums, none of which waits for another */")
    with out.block(f"for (; {at} + {step} <= {end}; {at} += {step})"):
        _bring_near(node, over, at, at, out, AHEAD_FEW)
        word, i, places = (out.local(name) for name in ("word", "i", "places"))
        out.line(f"#pragma GCC unroll {step // in_word}")
        with out.block(f"for (int64_t {word} = 0; {word} < {step}; {word} += {in_word})"):
            out.line(f"const uint64_t {places} = zs_word({over.coordinates} + {at} + {word});")
            out.line(f"#pragma GCC unroll {in_word}")
            with (
                out.block(f"for (int64_t {i} = 0; {i} < {in_word}; {i}++)"),
                out.constant(e, f"{at} + {word} + {i}"),
                out.constant(over.row, f"({word} + {i}) % {over.chains}"),
                out.constant(node.var, f"ZS_PLACE({C_TYPES[dtype]}, {places}, {i})"),
                _addresses(node, over, out),
            ):
                out.body(node.body)
    with (
        out.block(f"for (; {at} < {end}; {at}++)"),
        out.constant(e, at),
        out.constant(over.row, "0"),
        out.constant(node.var, f"{over.coordinates}[{e}]"),
        _addresses(node, over, out),
    ):
        out.body(node.body)


def _bases(node: Loop, over: Together, out: CWriter) -> None:
    """Where the lanes of the first column are, of what `_addresses` steps along: added up once."""
    ctx = out.values
    for elem in _elements(node):
        own = any(mentions(elem.index, name) for name in (over.row, over.pos))
        if ctx.lane is None or own or not mentions(elem.index, ctx.lane):
            continue
        if not _multiplied(elem.index, node.var):
            continue
        base = integer(without(without(elem.index, ctx.lane), node.var), 1)
        name = elem.array
        if base != "0":
            name = out.local("base")
            out.line(f"const {C_TYPES[ctx.dtypes[elem.array]]} *{name} = {elem.array} + {base};")
        ctx.bases[elem] = name


@contextmanager
def _addresses(node: Loop, over: Together, out: CWriter) -> Iterator[None]:
    """Where a column's lanes are, one pointer for all its rows and vectors, if its offset counts
    lines: left to itself the compiler multiplies it, and then adds it up at every access.  Where
    it counts elements an access takes it as it is."""
    ctx = out.values
    for elem, base in ctx.bases.items():
        at, step = out.local("at"), mul(Name(node.var), factor(elem.index, node.var))
        out.line(f"const {C_TYPES[ctx.dtypes[elem.array]]} *{at} = {base} + {integer(step, 1)};")
        out.line(f"ZS_HOLD({at});")
        ctx.held[elem] = at
    yield
    ctx.held.clear()


def _multiplied(expr: Expr, name: str) -> bool:
    if not isinstance(expr, Op):
        return False
    if expr.op == "*":
        return mentions(expr, name)
    return any(_multiplied(part, name) for part in expr.args)


def parameters(body: tuple[object, ...], bound: set[str], inner: CWriter) -> list[str]:
    """What a function that is split off is handed: the buffers and integers that its lines use,
    but for those that it binds itself."""
    arrays, scalars = free_names(body, bound)
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

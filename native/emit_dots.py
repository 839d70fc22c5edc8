"""C of loops whose products the lanes of a vector share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from zeroskip.native.cexpr import C_TYPES, integer, itemsize, number, place, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Range, Stored
from zeroskip.native.dotted import EXTREMES, Factor, dotted, inside
from zeroskip.native.dtypes import identity
from zeroskip.native.emit_narrow import hold, narrow, total, word
from zeroskip.native.emit_vectors import fetch
from zeroskip.native.integers import ONE, Name, add
from zeroskip.native.nest import Loop, Reduce
from zeroskip.native.values import Elem, Held

SUMS = 4
"""Vectors of sums over a range or under a bitmask: as many as a multiply-add takes cycles."""


WIDENED_BY_INT32 = ("int8", "uint8", "int16", "uint16", "int32", "bool")
"""Types whose values int32 holds."""

GATHERED = {(t, t, place) for t in ("float32", "float64") for place in ("uint16", "int32")}
"""Arithmetic, values and coordinates of which 64 bytes are picked at once: zs_picked_…()."""


def dot(node: Loop, out: CWriter) -> None:
    """Whole vectors of products, then those that are left; each lane has a sum of its own."""
    over = node.over
    factors = dotted(node)
    assert factors is not None, "a loop that vectors cannot share"
    with out.scope():
        if isinstance(over, Range):
            _range(node, over, factors, out)
            return
        assert isinstance(over, Stored)
        if over.level.letter == "B":
            _bitmask(node, over, factors, out)
        else:
            _compressed(node, over, factors, out)


def _range(node: Loop, over: Range, factors: tuple[Factor, ...], out: CWriter) -> None:
    """Several vectors at once, so that no sum waits for the one before; then one by one."""
    x, hi = node.var, integer(over.hi)
    sums, v = map(out.local, ("sums", "v"))

    def products(at: str) -> str:
        return product(node, factors, at, out)

    op = _operator(node)
    out.line(f"int64_t {x} = {integer(over.lo)};")
    out.line(f"zs_vec {sums}[{SUMS}] = {{}};")
    if op in EXTREMES:
        dtype = out.kernel.dtype
        start = f"({C_TYPES[dtype]}){number(identity(op, dtype), dtype)}"
        with unrolled(v, SUMS, out):
            out.line(f"{sums}[{v}] += {start};")
    with out.block(f"for (; {x} + {SUMS} * LANES <= {hi}; {x} += {SUMS} * LANES)"):
        with unrolled(v, SUMS, out):
            out.line(_into(op, f"{sums}[{v}]", products(f" + {v} * LANES")))
        _count(node, f"{SUMS} * LANES", out)
    with out.block(f"for (; {x} + LANES <= {hi}; {x} += LANES)"):
        out.line(_into(op, f"{sums}[0]", products("")))
        _count(node, "LANES", out)
    _added(node, _lane_extreme(op, sums) if op in EXTREMES else _lane_sum(sums, out), out)
    with out.block(f"for (; {x} < {hi}; {x}++)"):
        out.body(node.body)


def _operator(node: Loop) -> str:
    (work,) = node.body
    assert isinstance(work, Reduce)
    return work.op


def _into(op: str, lanes: str, more: str) -> str:
    """A vector of lanes with more of them combined into it."""
    return f"{lanes} = zs_{op}_lanes({lanes}, {more});" if op in EXTREMES else f"{lanes} += {more};"


def _lane_extreme(op: str, lanes: str) -> str:
    """The extreme of all lanes of some vectors."""
    text = f"{lanes}[0]"
    for k in range(1, SUMS):
        text = f"zs_{op}_lanes({text}, {lanes}[{k}])"
    return f"zs_lane_{op}({text})"


def product(node: Loop, factors: tuple[Factor, ...], at: str, out: CWriter) -> str:
    """A vector of products of a range, ``at`` behind its variable, or a function of them."""
    lines = [factor for factor in factors if factor.reached == "line"]
    starts = [integer(add(f.first, Name(node.var))) for f in lines if f.first is not None]
    first, *others = [_along(f, s + at, out) for f, s in zip(lines, starts, strict=True)]
    text = " * ".join([first, *_same(factors, out), *others])
    (work,) = node.body
    assert isinstance(work, Reduce)
    function, _ = inside(work.value)
    return f"zs_{function}_lanes({text})" if function else text


def _compressed(node: Loop, over: Stored, factors: tuple[Factor, ...], out: CWriter) -> None:
    pos, crd = over.level.arrays
    p, end, sums = over.pos, out.local(f"{over.pos}_end"), out.local("sums")
    (run,) = (factor for factor in factors if factor.reached == "run")
    assert isinstance(run.value, Elem)
    out.line(f"int64_t {p} = {pos}[{integer(over.parent)}];")
    out.line(f"const int64_t {end} = {pos}[{integer(add(over.parent, ONE))}];")
    out.line(f"zs_vec {sums} = {{}};")
    with out.block(f"for (; {p} + LANES <= {end}; {p} += LANES)"):
        fetch(run.value.array, p, crd, p, out)
        product = [_along(run, p, out)]
        picked = [factor for factor in factors if factor.reached in ("line", "picked")]
        for k, factor in enumerate(picked):
            name = out.local(f"picked{k + 1}" if len(picked) > 1 else "picked")
            product.append(_picked(factor, name, node.var, crd, p, out))
        product += _same(factors, out)
        out.line(f"{sums} += {' * '.join(product)};")
        _count(node, "LANES", out)
    if _last_at_once(factors, node.var, crd, out):
        _last(node, factors, crd, p, end, sums, out)
        _added(node, _lane_sum(sums, out, 1), out)
        return
    _added(node, _lane_sum(sums, out, 1), out)
    with (
        out.block(f"for (; {p} < {end}; {p}++)"),
        out.constant(node.var, f"{crd}[{p}]"),
    ):
        out.body(node.body)


def _last_at_once(factors: tuple[Factor, ...], var: str, crd: str, out: CWriter) -> bool:
    """Whether the last entries of a fiber make a vector too.  Its other lanes are 0 in both
    factors; a third might be infinite."""
    other = [factor for factor in factors if factor.reached != "run"]
    if len(other) != 1 or len(factors) != 2 or other[0].reached == "same":
        return False
    (run,) = (factor.value for factor in factors if factor.reached == "run")
    assert isinstance(run, Elem)
    text = value(other[0].value, out.values)
    plain = out.values.dtypes[run.array] == out.kernel.dtype
    return plain and _gathers(other[0], text, var, crd, out)


def _last(
    node: Loop,
    factors: tuple[Factor, ...],
    crd: str,
    p: str,
    end: str,
    sums: str,
    out: CWriter,
) -> None:
    """The entries that are left of a fiber, fewer than a vector has lanes."""
    (run,) = (factor.value for factor in factors if factor.reached == "run")
    (other,) = (factor.value for factor in factors if factor.reached != "run")
    assert isinstance(run, Elem)
    assert isinstance(other, Elem)
    left, name = out.local("left"), out.local("picked")
    kind = f"{out.kernel.dtype}_{out.kernel.vector_bytes}"
    with out.block(f"if ({p} < {end})"):
        out.line(f"const int64_t {left} = {end} - {p};")
        pick = f"zs_picked_first_{kind}_{out.values.dtypes[crd]}"
        out.line(f"const zs_vec {name} = {pick}({other.array}, {crd} + {p}, {left});")
        out.line(f"{sums} += zs_first_{kind}({run.array} + {p}, {left}) * {name};")
        _count(node, left, out)


def _picked(factor: Factor, name: str, var: str, crd: str, p: str, out: CWriter) -> str:
    """A vector of what the coordinates of the next entries say."""
    text = value(factor.value, out.values)
    if _gathers(factor, text, var, crd, out):
        assert isinstance(factor.value, Elem)
        of = f"{out.kernel.dtype}_{out.kernel.vector_bytes}_{out.values.dtypes[crd]}"
        out.line(f"const zs_vec {name} = zs_picked_{of}({factor.value.array}, {crd} + {p});")
        return name
    lanes = out.kernel.vector_bytes // itemsize(out.kernel.dtype)
    at = [f"{crd}[{p}]", *(f"{crd}[{p} + {k}]" for k in range(1, lanes))]
    each = [re.sub(rf"\b{var}\b", one, text) for one in at]
    by_32_bits = _by_32_bits(factor, lanes, out)
    whole = out.local("whole") if by_32_bits else name
    if by_32_bits:
        each = [one.removeprefix(f"({C_TYPES[out.kernel.dtype]})") for one in each]
    out.line(f"const {by_32_bits or 'zs_vec'} {whole} = {{")
    for k in range(0, lanes, 2):
        out.line(f"    {', '.join(each[k : k + 2])},")
    out.line("};")
    if by_32_bits:
        kind = f"{out.kernel.dtype}_{out.kernel.vector_bytes}"
        out.line(f"const zs_vec {name} = zs_of_int32_{kind}({whole});")
    return name


def _by_32_bits(factor: Factor, lanes: int, out: CWriter) -> str:
    """The vector in which whole numbers are picked that become floats all at once: compilers put
    one together from such floats by way of memory.  Nothing where there is none."""
    assert isinstance(factor.value, Elem)
    stored = out.values.dtypes[factor.value.array]
    whole = stored in WIDENED_BY_INT32 and out.kernel.dtype.startswith("float")
    return f"zs_int32x{4 * lanes}" if whole and lanes >= 4 else ""


def _gathers(factor: Factor, text: str, var: str, crd: str, out: CWriter) -> bool:
    """Whether zs_dots.h has what picks the values of an array at the coordinates themselves."""
    if not isinstance(factor.value, Elem) or text != f"{factor.value.array}[{var}]":
        return False
    types = (out.kernel.dtype, out.values.dtypes[factor.value.array], out.values.dtypes[crd])
    return out.kernel.vector_bytes == 64 and types in GATHERED


def _bitmask(node: Loop, over: Stored, factors: tuple[Factor, ...], out: CWriter) -> None:
    words, rank = over.level.arrays
    assert over.stored is not None
    p, var = over.pos, node.var
    w, bits = out.local(f"w_{var}"), out.local(f"bits_{var}")
    sums, count, first = map(out.local, ("sums", "words", "first"))
    extent, base = integer(over.level.extent), integer(over.parent, 2)
    (line,) = (factor for factor in factors if factor.reached == "line")
    (run,) = (factor for factor in factors if factor.reached == "run")
    assert line.first is not None
    out.line(f"const int64_t {count} = zs_bit_words({extent});")
    out.line(f"const int64_t {first} = {f'{base} * {count}' if base != '0' else '0'};")
    out.line(f"int64_t {p} = {count} > 0 ? {rank}[{first}] : 0;")
    out.line(f"int64_t {w} = 0;")
    short = narrow(factors, out)
    vectors = SUMS if short is None else 2 * short[1]
    out.line(f"zs_vec {sums}[{vectors}] = {{}};")
    start, wide = integer(line.first, 1), None
    if short is not None:
        assert isinstance(line.value, Elem)
        there = line.value.array if start == "0" else f"{line.value.array} + {start}"
        if start == "0" and base != "0":
            wide = hold(short[0], there, extent, out)
    out.line("/* words of which every value that vectors read is there */")
    whole = f"{w} < {integer(over.level.extent, 2)} / 64 && {p} + 64 <= {integer(over.stored)}"
    with out.block(f"for (; {whole}; {w}++)"):
        out.line(f"const uint64_t {bits} = {words}[{first} + {w}];")
        _count(node, f"zs_popcount({bits})", out)
        assert isinstance(run.value, Elem)
        out.line(f"ZS_AHEAD({run.value.array} + {p});")
        column = f"{w} * 64" if start == "0" else f"{start} + {w} * 64"
        if short is None:
            _word(factors, sums, bits, p, column, out)
        else:
            word(*short, sums, bits, (run.value.array, p), (there, f"{w} * 64"), wide, out)
    _added(node, _lane_sum(sums, out) if short is None else total(*short, sums), out)
    with out.block(f"for (; {w} < {count}; {w}++)"):
        out.line(f"uint64_t {bits} = {words}[{first} + {w}];")
        with (
            out.block(f"for (; {bits} != 0; {bits} = zs_drop_lowest({bits}))"),
            out.constant(var, f"{w} * 64 + zs_ctz({bits})"),
        ):
            out.body(node.body)
            out.line(f"{p}++;")


def _word(
    factors: tuple[Factor, ...], sums: str, bits: str, p: str, column: str, out: CWriter
) -> None:
    """The products of a word whose values are as wide as their sums, or widened one by one."""
    names = ("mask", "part", "v", "at", "values", "there")
    mask, part, v, at, next_values, there = map(out.local, names)
    (line,) = (factor for factor in factors if factor.reached == "line")
    (run,) = (factor for factor in factors if factor.reached == "run")
    loop = out.block(f"for (int {part} = 0; {part} < 64; {part} += {SUMS} * LANES)")
    with loop, unrolled(v, SUMS, out):
        out.line(f"const int {at} = {part} + {v} * LANES;")
        out.line(f"const unsigned {mask} = {bits} >> {at} & ZS_LANE_BITS(LANES);")
        values = " * ".join([_along(run, p, out), *_same(factors, out)])
        spread = f"zs_add_spread_{out.kernel.dtype}_{out.kernel.vector_bytes}"
        out.line(f"const zs_vec {next_values} = {values};")
        out.line(f"const zs_vec {there} = {_along(line, f'{column} + {at}', out)};")
        out.line(f"{sums}[{v}] = {spread}({sums}[{v}], {next_values}, {there}, {mask});")
        out.line(f"{p} += zs_popcount({mask});")


@contextmanager
def unrolled(var: str, count: int, out: CWriter) -> Iterator[None]:
    """A loop whose variable is a constant in every round."""
    out.line(f"#pragma GCC unroll {count}")
    with out.block(f"for (int {var} = 0; {var} < {count}; {var}++)"):
        yield


def _along(factor: Factor, at: str, out: CWriter) -> str:
    """A vector of a factor that lies in a line, from an address on."""
    assert isinstance(factor.value, Elem)
    array, dtype = factor.value.array, out.kernel.dtype
    stored = out.values.dtypes[array]
    if stored == dtype:
        return f"*(const zs_vec *)({array} + {at})"
    return f"zs_widened_{stored}_{dtype}_{out.kernel.vector_bytes}({array} + {at})"


def _same(factors: tuple[Factor, ...], out: CWriter) -> list[str]:
    return [value(f.value, out.values, 2) for f in factors if f.reached == "same"]


def _lane_sum(sums: str, out: CWriter, vectors: int = SUMS) -> str:
    """All lanes of some vectors, of one that is no array, added up."""
    each = [sums] if vectors == 1 else [f"{sums}[{k}]" for k in range(vectors)]
    return f"zs_lane_sum_{out.kernel.dtype}_{out.kernel.vector_bytes}({' + '.join(each)})"


def _added(node: Loop, text: str, out: CWriter) -> None:
    """What vectors have summed onto the sum of the loop."""
    (work,) = node.body
    assert isinstance(work, Reduce)
    ctx = out.values
    target = value(work.place, ctx) if isinstance(work.place, Held) else place(work.place, ctx)
    if work.op in EXTREMES:
        out.line(f"{target} = zs_{work.op}_{ctx.dtype}({target}, {text});")
    else:
        out.line(f"{target} += {text};")


def _count(node: Loop, entries: str, out: CWriter) -> None:
    (work,) = node.body
    assert isinstance(work, Reduce)
    if out.count_work and work.work:
        out.line(f"work += {work.work} * {entries};" if work.work > 1 else f"work += {entries};")

"""C of short rows of a sparse result: their products listed, sorted by place, and added up.

    most = 0                        products of the row, at most: counted without making them
    for j, pA_j in A.j[i]:
      most += entries of B.k[j]
    if most is few:
      for j, pA_j in A.j[i]:
        for k, pB_k in B.k[j]:
          keys[n] = k << shift | n; listed[n] = A[pA_j] * B[pB_k]; n += 1
      sort keys; append the sum of each place

Nothing is looked up at a place: a row costs as much as it has products, however wide it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from zeroskip.native.cexpr import C_TYPES, integer, value
from zeroskip.native.cwriter import CWriter
from zeroskip.native.domains import Merge, Range, Stored
from zeroskip.native.integers import ONE, add
from zeroskip.native.nest import Acc, Bind, Gathered, Guard, Locate, Loop, Poll, Touch
from zeroskip.native.values import Held, Value
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Ways:
    """How a row is appended.

    start : what sums start from.  kept : name of how many entries there are so far.
    append : writes what becomes of a place (a name in C) and its sum.
    copied : the routine that copies places and values up to a place with several; None where these
        are not stored as they are.
    """

    start: str
    kept: str
    append: Callable[[str, Value], None]
    copied: str | None


@dataclass(frozen=True, slots=True)
class Tally:
    """``total += times`` for each turn of a loop over ``over``; once where that is None."""

    total: str
    times: int
    over: Range | Stored | Merge | None = None


def counting(node: Gathered, total: str) -> tuple[Any, ...] | None:
    """Statements that add to ``total`` how many products a row has, at most, in one loop less than
    make them; None where that is not known before they are made."""
    return _counting(node.body, total)


def _counting(body: Iterable[object], total: str) -> tuple[Any, ...] | None:
    found: list[Any] = []
    for stmt in body:
        if isinstance(stmt, Poll):
            continue
        if isinstance(stmt, Touch):
            found.append(Tally(total, 1))
            continue
        wraps = isinstance(stmt, Guard | Locate | Bind)
        if not (wraps or isinstance(stmt, Acc) or _is_counted(stmt)):
            return None
        inner = _counting(stmt.flush if isinstance(stmt, Acc) else stmt.body, total)  # type: ignore[attr-defined]
        if inner is None:
            return None
        flat = all(isinstance(one, Tally) and one.over is None for one in inner)
        if isinstance(stmt, Acc) or (wraps and flat):  # at most: whatever the guard says
            found += inner
        elif flat:
            assert isinstance(stmt, Loop)
            found.append(Tally(total, sum(one.times for one in inner), stmt.over))  # type: ignore[arg-type]
        elif isinstance(stmt, Loop) and isinstance(stmt.over, Stored):
            found.append(replace(stmt, body=inner, over=replace(stmt.over, ahead=())))
        else:
            found.append(replace(stmt, body=inner))  # type: ignore[type-var]
    return tuple(found)


def _is_counted(stmt: object) -> bool:
    """Whether it is a loop of which the turns can be told from its bounds."""
    if not isinstance(stmt, Loop) or stmt.kind != "seq":
        return False
    if isinstance(stmt.over, Stored):
        return stmt.over.level.letter == "C"
    return isinstance(stmt.over, Range | Merge)


def tally(node: Tally, out: CWriter) -> None:
    times = f"{node.times} * " if node.times > 1 else ""
    match node.over:
        case None:
            out.line(f"{node.total} += {node.times};")
        case Range(lo=lo, hi=hi):
            out.line(f"{node.total} += {times}zs_max({integer(hi)} - {integer(lo, 2)}, 0);")
        case Merge(left=over) | (Stored() as over):
            pos, _ = over.level.arrays
            begin, end = integer(over.parent), integer(add(over.parent, ONE))
            turns = f"{pos}[{end}] - {pos}[{begin}]"
            out.line(f"{node.total} += {times}{f'({turns})' if times else turns};")


@dataclass(frozen=True, slots=True)
class Listed:
    """Names in C of the list of a row's products: keys, values, how many, bits below a place.

    op, start : how they are added up, and from what; the value of each is taken into it first, as
        in a workspace.
    """

    keys: str
    values: str
    count: str
    shift: str
    op: str
    start: str

    def put(self, at: str, place: str, value: str, out: CWriter) -> None:
        """A product, as that of number ``at``."""
        value = _first(self.op, self.start, value, out)
        out.line(f"{self.keys}[{at}] = (uint32_t){place} << {self.shift} | (uint32_t){at};")
        out.line(f"{self.values}[{at}] = {value};")

    def add(self, place: str, value: str, out: CWriter) -> None:
        """One product more."""
        self.put(self.count, place, value, out)
        out.line(f"{self.count}++;")


def is_run(node: Loop) -> bool:
    """Whether all that a loop does is to list a product for each entry, and it may read on past
    the last of them."""
    over = node.over
    if not isinstance(over, Stored) or over.stored is None or over.ahead:
        return False
    return len(node.body) == 1 and isinstance(node.body[0], Touch)


def run(node: Loop, over: Stored, out: CWriter) -> None:
    """Entries by whole vectors: products past the end of the fiber are listed, and do not count."""
    (touch,) = node.body
    assert isinstance(touch, Touch)
    assert over.stored is not None
    assert out.listed is not None
    pos, crd = over.level.arrays
    first, end, e, found = map(out.local, (f"{over.pos}_first", f"{over.pos}_end", "e", "found"))
    listed = out.listed
    with out.scope():
        out.line(f"int64_t {first} = {pos}[{integer(over.parent)}];")
        out.line(f"const int64_t {end} = {pos}[{integer(add(over.parent, ONE))}];")
        there = f"{first} + ZS_LIST_PAST <= {integer(over.stored)}"
        with out.block(f"for (; {first} < {end} && {there}; {first} += ZS_LIST_PAST)"):
            with out.block(f"for (int {e} = 0; {e} < ZS_LIST_PAST; {e}++)"):
                out.line(f"const int64_t {over.pos} = {first} + {e};")
                with out.constant(node.var, f"{crd}[{over.pos}]"):
                    place, new = integer(touch.index, 3), value(touch.value, out.values)
                    listed.put(f"({listed.count} + {e})", place, new, out)
            out.line(f"const int64_t {found} = zs_min({end} - {first}, ZS_LIST_PAST);")
            out.line(f"{listed.count} += {found};")
            if out.count_work and touch.work:
                out.line(f"work += {touch.work} * {found};")
        rest = out.block(f"for (int64_t {over.pos} = {first}; {over.pos} < {end}; {over.pos}++)")
        with rest, out.constant(node.var, f"{crd}[{over.pos}]"):
            out.body(node.body)


def short(node: Gathered, ways: Ways, out: CWriter) -> None:
    """A row of few products: sorted, and copied up to a place that has several of them, which are
    added up; and on from there."""
    row, dtype = node.row, out.values.dtype
    keys, values, n, shift = map(out.local, ("keys", "listed", "n_list", "shift"))
    listed = Listed(keys, values, n, shift, row.op, ways.start)
    k, at, total = map(out.local, ("k", "at", "sum"))
    out.line(f"uint32_t {keys}[ZS_LIST + ZS_LIST_PAST];")
    out.line(f"{C_TYPES[dtype]} {values}[ZS_LIST + ZS_LIST_PAST];")
    out.line(f"const int {shift} = zs_list_shift({integer(row.extent)});")
    out.line(f"int64_t {n} = 0;")
    out.listed = listed
    out.body(node.body)
    out.listed = None
    out.line(f"zs_sort_keys({keys}, {n});")
    stored = f"{values}[{keys}[{k}] & (((uint32_t)1 << {shift}) - 1)]"
    if ways.copied is not None:
        own, pause, again_at = map(out.local, ("own", "pause", "next"))
        out.line(f"int64_t {pause} = 0, {again_at} = 0;")
    with out.block(f"for (int64_t {k} = 0; {k} < {n};)"):
        if ways.copied is not None:
            kept, left = ways.kept, f"{n} - {k}"
            enough = f"{kept} + {left} + ZS_LIST_PAST <= {integer(row.room)}"
            where = f"{row.inners} + {kept}, {row.out} + {kept}"
            with out.block(f"if ({k} >= {again_at} && {enough})"):
                out.line(f"const int64_t {own} = {ways.copied}(")
                out.line(f"    {keys} + {k}, {left}, {shift}, {values}, {where});")
                out.line(f"{kept} += {own};")
                out.line(f"{k} += {own};")
                with out.block(f"if ({k} == {n})"):
                    out.line("break;")
                out.line(f"{pause} = {own} < ZS_LIST_RUN ? 2 * {pause} + ZS_LIST_RUN : 0;")
                out.line(f"{again_at} = {k} + {pause};")
        out.line(f"const int64_t {at} = {keys}[{k}] >> {shift};")
        out.line(f"{C_TYPES[dtype]} {total} = {stored};")
        again = f"{k} < {n} && {keys}[{k}] >> {shift} == {at}"
        with out.block(f"for ({k}++; {again}; {k}++)"):
            out.line(combined(row.op, total, stored, out))
        ways.append(at, Held(total))


def combined(op: str, target: str, new: str, out: CWriter) -> str:
    """C that takes one more value into what a place holds."""
    if op in ("max", "min"):
        return f"{target} = {_first(op, target, new, out)};"
    return f"{target} {op}= {new};"


def _first(op: str, start: str, new: str, out: CWriter) -> str:
    """C for a value that has been taken into what sums start from."""
    if op in ("max", "min"):
        return f"zs_{op}_{out.values.dtype}({start}, {new})"
    return f"{start} {op} {new}"

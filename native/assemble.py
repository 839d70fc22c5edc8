"""Sparse results without a dense copy: rows gathered in a workspace, appended in order.

    for i in [0, I):                       outer ranks of the result, in its order
      with row[K], empty:                  the other ranks of the result, densely (Gustavson)
        for j, pA_j in A.j[i]:
          for k, pB_k in B.k[j]:
            row[k] += A[pA_j] * B[pB_k]
      append C[i; at] = row[at] for at touched, in order

What is stored is what stored products reach, also where they cancel; a relu drops zeros.  The
terms of a sum share the rows, so that a union is a row that several terms touch.  Operands that
are stored in another order than the loops' are rearranged first (`Assembly.reordered`).

The kernel counts what it appends and stops writing where there is no more room: a first run with
a guess, and a second one where the guess was too small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Call
from zeroskip.einsum_spec.walk import expressions
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import (
    LevelData,
    check_room,
    freeze,
    mask_words,
    storage_extents,
)
from zeroskip.formats.levels import Compressed, Uncompressed
from zeroskip.formats.tensor import Tensor
from zeroskip.native.ahead import fetched_ahead, read_past
from zeroskip.native.arguments import Array, Operand, signature
from zeroskip.native.cursor import State
from zeroskip.native.domains import Range
from zeroskip.native.dots import in_vectors
from zeroskip.native.forms import is_joint
from zeroskip.native.in_order import in_order
from zeroskip.native.integers import ONE, ZERO, mul
from zeroskip.native.joint import Joint
from zeroskip.native.kept import Kept
from zeroskip.native.lower import Lowered, finish
from zeroskip.native.nest import Acc, Gathered, Guard, Loop, Row, Stmt, Touch, has_loop
from zeroskip.native.operand import Signature
from zeroskip.native.result_fill import after
from zeroskip.native.reused import empty
from zeroskip.native.rows import Assembly
from zeroskip.native.scheme import Key, Scheme
from zeroskip.native.shape import Shape, stored_values
from zeroskip.native.sums import Sums
from zeroskip.native.values import Held, Number, Value
from zeroskip.native.vectors import vector_bytes

FIRST_ROOM = 1024

SWEPT = 64
"""Entries past the last that a sweep may write: ZS_SWEPT of zs_rows.h."""


def drops_zeros(form: Form) -> bool:
    """Whether values that come out as 0 are not stored: where a relu makes them, around the
    whole or inside.  What plain products reach is stored, also where it cancels."""
    if after(form.post, 0) != 0:
        return False
    inside = (node for t in form.terms for f in t.factors for node in expressions(f))
    return form.post == "relu" or any(isinstance(n, Call) and n.function == "relu" for n in inside)


class Summed(Sums):
    """Products whose places are reached one by one, each from loops over ``outer`` ranks."""

    def __init__(self, scheme: Scheme, chosen: Assembly) -> None:
        super().__init__(scheme)
        self.bound = chosen.outer
        self.inner = chosen.inner

    def summed(self, term: Term) -> tuple[Stmt, ...]:
        """The loops of a term; a sum over dense ranks alone is held in a register, and reaches
        its place once."""
        held = False
        before = self.scheme.snapshot()
        acc = Held(self.scheme.names.fresh("acc"))

        def hook(state: State) -> Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]] | None:
            nonlocal held
            left = [rank for rank in self.ranks(term) if rank not in state.bound]
            if held or not left or state.brackets or not state.bound >= set(self.target_ranks):
                return None
            if not all(c.done or _whole(c.signature) for c in state.cursors):
                return None
            held = True

            def wrap(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
                after = self.put(acc, 0, state)
                return (Acc(acc.name, self.scheme.dtype, Number(0), body, after),)

            return wrap

        stmts = () if len(self.visits(term).passes) > 1 else self._term(term, hook, acc)
        if held:
            return stmts
        self.scheme.restore(before)
        return self._term(term, None)


class _Rows(Summed):
    """Products that touch places of a row."""

    def __init__(self, scheme: Scheme, chosen: Assembly) -> None:
        super().__init__(scheme, chosen)
        self.row = replace(_row(self, chosen), post=self.form.post, drops=drops_zeros(self.form))

    def body(self) -> tuple[Stmt, ...]:
        terms = tuple(s for term in self.form.terms for s in self.summed(term))
        places = tuple(map(self.scheme.rank, self.inner))
        gathered = in_order(self.row, terms, places) or Gathered(self.row, terms)
        return over_rows(self, (gathered,), self.bound)

    def put(self, value: Value, work: int, state: State) -> tuple[Stmt, ...]:
        touch = Touch(self.row, self.scheme.point(self.inner), value, work)
        stored = stored_values(state, self.scheme)
        return (Guard((), (touch,), stored),) if stored else (touch,)


class _WholeRows(Joint):
    """Values of a maximum, a minimum or the like that touch places of a row."""

    def __init__(self, scheme: Scheme, chosen: Assembly) -> None:
        super().__init__(scheme)
        self.bound = chosen.outer
        self.inner = chosen.inner
        self.row = replace(_row(self, chosen), op=self.op, start=self.start)

    def body(self) -> tuple[Stmt, ...]:
        return over_rows(self, (Gathered(self.row, self.loops()),), self.bound)

    def put(self, value: Value, work: int, state: State) -> tuple[Stmt, ...]:
        touch = Touch(self.row, self.scheme.point(self.inner), value, work)
        stored = stored_values(state, self.scheme)
        return (Guard((), (touch,), stored),) if stored else (touch,)


def _row(shape: Shape, chosen: Assembly) -> Row:
    """The row of a result, of which the arrays are named here."""
    scheme = shape.scheme
    name, dtype = shape.form.target.tensor, scheme.dtype
    size = mul(ONE, *(scheme.extent(rank) for rank in chosen.inner))

    def buffer(key: str, wanted: str, kind: str) -> str:
        return scheme.buffer((key,), wanted, kind, written=True)

    return Row(
        buffer("row", f"{name}_row", dtype),
        buffer("seen", f"{name}_seen", "uint8"),
        buffer("touched", f"{name}_touched", "int64"),
        buffer("bits", f"{name}_bits", "uint64"),
        size,
        scheme.point(chosen.outer),
        buffer("ends", f"{name}_ends", "int64"),
        buffer("inners", f"{name}_places", chosen.index),
        shape.result,
        scheme.number("room"),
        None,
        False,
    )


def over_rows(shape: Shape, made: tuple[Stmt, ...], outer: tuple[str, ...]) -> tuple[Stmt, ...]:
    """One row after the other."""
    for rank in reversed(outer):
        made = (Loop(shape.scheme.rank(rank), Range(ZERO, shape.scheme.extent(rank)), made),)
    return made


def _whole(of: Signature) -> bool:
    """Whether an operand has a value wherever it is read."""
    return not of.skips and not any(of.padded)


def lower_rows(
    form: Form, signatures: Mapping[str, Signature], dtype: str, chosen: Assembly
) -> Lowered:
    """Loop nest that appends the rows of a sparse result; its buffers are `arrays`."""
    scheme = Scheme(form, signatures, dtype, order=chosen.order)
    rows = _WholeRows(scheme, chosen) if is_joint(form) else _Rows(scheme, chosen)
    body, _ = in_vectors(read_past(fetched_ahead(rows.body(), scheme), scheme), scheme)
    width = vector_bytes() if has_loop(body, lambda loop: loop.kind == "dot") else 0
    title = (*rows.title(), f"rows: {','.join(chosen.outer) or 'one'}")
    return finish(scheme, title, body, width)


def reordered(
    chosen: Assembly,
    used: Mapping[str, Operand],
    signatures: Mapping[str, Signature],
    kept: Kept | None = None,
) -> tuple[dict[str, Operand], dict[str, Signature]]:
    """The operands as the loops follow them, and what the compiler knows of them.

    kept : those that stay over many calls, which are stored anew once.
    """
    operands, known = dict(used), dict(signatures)
    for name, format in chosen.turned.items():
        dense = operands[name]
        assert isinstance(dense, np.ndarray)
        if kept is not None and kept.has(name, dense):
            operands[name] = kept.layout(name, format, partial(Tensor.from_dense, dense, format))
        else:
            operands[name] = Tensor.from_dense(dense, format)
        known[name] = signature(operands[name], known[name].padded)
    for name, format in chosen.reordered.items():
        held = operands[name]
        assert isinstance(held, Tensor)
        operands[name] = held.asformat(format)
        known[name] = replace(
            signature(operands[name], known[name].padded),
            skips_padding=known[name].skips_padding,
        )
    return operands, known


def first_room(used: Mapping[str, Operand]) -> int:
    """A guess at the entries of a result."""
    return max(FIRST_ROOM, 2 * sum(x.stored for x in used.values() if isinstance(x, Tensor)))


def scratch(
    name: str,
    chosen: Assembly,
    extents: Mapping[str, int],
    dtype: np.dtype[np.generic],
    start: int | float = 0,
) -> dict[Key, Array]:
    """The workspace of one row, in which sums start from ``start``, and where rows end."""
    size, rows = (prod(extents[rank] for rank in of) for of in (chosen.inner, chosen.outer))
    words = mask_words(size)
    hint = "Store it in an order in which fewer ranks of the result stand behind a summed one."
    check_room(size, dtype.itemsize + 10, f"the workspace for a row of {name}", hint)
    check_room(rows + 1, 8, f"the ends of the rows of {name}", hint)
    return {
        ("row",): np.full(size, start, dtype) if start else np.zeros(size, dtype),
        ("seen",): np.zeros(size, np.uint8),
        ("touched",): empty(size + 1, np.dtype(np.int64)),
        ("bits",): np.zeros(words + mask_words(words), np.uint64),
        ("ends",): row_ends(chosen, extents),
    }


def row_ends(chosen: Assembly, extents: Mapping[str, int]) -> Array:
    """Where rows end, of which the first one starts at 0."""
    ends = empty(prod(extents[rank] for rank in chosen.outer) + 1, np.dtype(np.int64))
    ends[:1] = 0
    return ends


def appended(
    name: str, chosen: Assembly, room: int, dtype: np.dtype[np.generic]
) -> dict[Key, Array]:
    """Where entries of a result go."""
    index = np.dtype(chosen.index)
    size = dtype.itemsize + index.itemsize
    check_room(room, size, f"the entries of {name}", "Compute it in parts.")
    return {("inners",): empty(room, index), ("vals", name): empty(room, dtype)}


def trimmed(array: Array, count: int) -> Array:
    """The first ``count`` items; a copy where most of the array would be kept for nothing."""
    return array[:count] if 2 * count >= len(array) else array[:count].copy()


def in_rows(format: Format, chosen: Assembly) -> bool:
    """Whether a format stores a result as it is assembled: the places of each row, compressed."""
    if not format.ranks or format.split:
        return False
    *rows, places = zip(format.levels, format.order, strict=True)
    outer = [axis for level, axes in rows for axis in axes if isinstance(level, Uncompressed)]
    axes = [[chosen.target.index(rank) for rank in of] for of in (chosen.outer, chosen.inner)]
    return (
        [outer, list(places[1])] == axes
        and all(isinstance(level, Uncompressed) for level, _ in rows)
        and isinstance(places[0], Compressed)
    )


def by_rows(
    shape: tuple[int, ...], format: Format, ends: Array, places: Array, values: Array, fill: Any
) -> Tensor:
    """A tensor `in_rows` of what the kernel has written, which is sorted and in range: nothing of
    it is looked at again."""
    extents = storage_extents(shape, format)
    levels: list[LevelData] = []
    fibers = 1
    for rank, axes, extent in zip(format.ranks[:-1], format.order, extents, strict=False):
        levels.append(LevelData(rank.level, extent, axes, fibers, fibers * extent, {}))
        fibers *= extent
    arrays = {"pos": freeze(ends), "crd": freeze(places)}
    level, axes = format.ranks[-1].level, format.order[-1]
    levels.append(LevelData(level, extents[-1], axes, fibers, len(places), arrays))
    return Tensor(shape, format, tuple(levels), freeze(values), fill)


def coordinates(
    chosen: Assembly, ends: Array, places: Array, extents: Mapping[str, int]
) -> tuple[Array, ...]:
    """Coordinates of every entry, one array an axis of the result.

    ends : entries before each row, and of all; places : of every entry, in its row.
    """
    found: dict[str, Array] = {}
    rows = np.repeat(np.arange(len(ends) - 1), np.diff(ends))
    for at, ranks in ((rows, chosen.outer), (places.astype(np.int64), chosen.inner)):
        for rank in reversed(ranks[1:]):
            at, found[rank] = np.divmod(at, max(extents[rank], 1))
        if ranks:
            found[ranks[0]] = at
    return tuple(found[rank] for rank in chosen.target)

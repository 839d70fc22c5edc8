"""Sparse results without a dense copy: rows gathered in a workspace, appended in order.

    for i in [0, I):                       outer ranks of the result, in its order
      with row[K], empty:                  the other ranks of the result, densely (Gustavson)
        for j, pA_j in A.j[i]:
          for k, pB_k in B.k[j]:
            row[k] += A[pA_j] * B[pB_k]
      append C[i; at] = row[at] for at touched, in order

What is stored is what stored products reach, also where they cancel; a relu drops zeros.  The
terms of a sum share the rows, so that a union is a row that several terms touch.  Operands that
are stored in another order than the loops' are rearranged first (`Line.converted`).

The kernel counts what it appends and stops writing where there is no more room: a first run with
a guess, and a second one where the guess was too small.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import by_data, free, single
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import check_room
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Array, Operand, signature
from zeroskip.native.lower import Lowered, finish
from zeroskip.native.nest import (
    ONE,
    ZERO,
    Gathered,
    Guard,
    Loop,
    Range,
    Row,
    Stmt,
    Touch,
    Value,
    mul,
)
from zeroskip.native.operand import Signature
from zeroskip.native.passes import every_pass
from zeroskip.native.scheme import Key, Scheme
from zeroskip.native.sums import Sums

SMALL_RESULT = 2**16
"""Places of a result that are one row, whatever the order of the operands."""

FIRST_ROOM = 1024
MANY_ROWS = 2**24
"""Rows that are always worth a visit; more only where entries are not much fewer."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """outer : ranks of the result that number the rows; inner : those of a row's places.
    reordered : operand -> the format in which the loops can follow it."""

    outer: tuple[str, ...]
    inner: tuple[str, ...]
    reordered: Mapping[str, str]


def plan(
    form: Form, signatures: Mapping[str, Signature], shape: tuple[int, ...], dtype: str
) -> Assembly | None:
    """How to assemble a result, or None where its ranks are not plain, no order fits, or
    a term without a sparse operand to follow would fill it."""
    ranks = [single(part) for part in form.target.subscripts]
    target = tuple(rank for rank in ranks if rank is not None)
    if form.reduction is not None or len(set(target)) < len(ranks) or by_data(form.target):
        return None
    fills = {name: of.fill for name, of in signatures.items()}
    followed = [
        [a for a in one.follow if signatures[a.tensor].skips]
        for one in every_pass(form, lambda name: signatures[name].skips, fills, dtype)
    ]
    if not all(followed):
        return None
    outer = 0
    while outer < len(target) and all(_leads(of, signatures, target[outer]) for of in followed):
        outer += 1
    if outer == 0 and prod(shape) > SMALL_RESULT:
        outer = 1
    chosen = Assembly(target[:outer], target[outer:], {})
    reordered: dict[str, str] = {}
    for together in followed:
        for access in together:
            order = _order(access, signatures[access.tensor], chosen)
            if order is None or (order and reordered.get(access.tensor, order) != order):
                return None
            if order:
                reordered[access.tensor] = order
    return replace(chosen, reordered=reordered)


def _leads(followed: Sequence[Access], signatures: Mapping[str, Signature], rank: str) -> bool:
    """Whether a pass has the rank outermost: at full levels of every operand it follows that
    holds it, of which there is one."""
    holders = [a for a in followed if rank in free(a)]
    for access in holders:
        for level in signatures[access.tensor].levels:
            if not level.kind.full:
                return False
            if any(rank in free(Access("", (access.subscripts[axis],))) for axis in level.axes):
                break
    return bool(holders)


def _order(access: Access, of: Signature, chosen: Assembly) -> str | None:
    """The format in which loops in the chosen order follow an operand; "" where they do
    already; None where it cannot be."""
    if not chosen.outer:
        return ""
    names = [single(part) for part in access.subscripts]

    def turn(axis: int) -> int:
        name = names[axis]
        if name in chosen.outer:
            return 0
        return 2 if name in chosen.inner else 1

    stored = [axis for level in of.levels for axis in level.axes]
    ranks = [turn(axis) for axis in stored]
    apart = all(len({turn(a) for a in level.axes}) == 1 for level in of.levels)
    held = set(free(access)) & set(chosen.outer)
    if ranks == sorted(ranks) and apart and (not held or of.locatable or ranks[0] != 0):
        return ""
    if None in names or len(set(names)) < len(names) or any(of.padded):
        leading = [level for level in of.levels if level.kind.full]
        axes = {axis for level in leading for axis in level.axes}
        follows = all(
            axis in axes
            for axis, part in enumerate(access.subscripts)
            if held & set(free(Access("", (part,))))
        )
        return "" if follows else None
    order = sorted(stored, key=lambda axis: (turn(axis), stored.index(axis)))
    return f"[{','.join(f'a{k}' for k in range(len(order)))}] " + " ".join(f"a{k}:C" for k in order)


class _Rows(Sums):
    """Products that touch places of a row."""

    def __init__(self, scheme: Scheme, chosen: Assembly) -> None:
        super().__init__(scheme)
        self.bound = chosen.outer
        name, dtype = self.form.target.tensor, scheme.dtype
        size = mul(ONE, *(scheme.extent(rank) for rank in chosen.inner))

        def buffer(key: str, wanted: str, kind: str) -> str:
            return scheme.buffer((key,), wanted, kind, written=True)

        self.inner = chosen.inner
        self.row = Row(
            buffer("row", f"{name}_row", dtype),
            buffer("seen", f"{name}_seen", "uint8"),
            buffer("touched", f"{name}_touched", "int64"),
            size,
            scheme.point(chosen.outer),
            buffer("outers", f"{name}_rows", "int64"),
            buffer("inners", f"{name}_places", "int64"),
            self.result,
            buffer("count", f"{name}_count", "int64"),
            scheme.number("room"),
            self.form.post,
            self.form.post == "relu",
        )

    def body(self) -> tuple[Stmt, ...]:
        terms = tuple(s for term in self.form.terms for s in self._term(term, None))
        made: tuple[Stmt, ...] = (Gathered(self.row, terms),)
        for rank in reversed(self.bound):
            made = (Loop(self.scheme.rank(rank), Range(ZERO, self.scheme.extent(rank)), made),)
        return made

    def put(self, value: Value, work: int, stored: tuple[Value, ...]) -> tuple[Stmt, ...]:
        touch = Touch(self.row, self.scheme.point(self.inner), value, work)
        return (Guard((), (touch,), stored),) if stored else (touch,)


def lower_rows(
    form: Form, signatures: Mapping[str, Signature], dtype: str, chosen: Assembly
) -> Lowered:
    """Loop nest that appends the rows of a sparse result; its buffers are `arrays`."""
    scheme = Scheme(form, signatures, dtype)
    rows = _Rows(scheme, chosen)
    body = rows.body()
    return finish(scheme, (*rows.title(), f"rows: {','.join(chosen.outer) or 'one'}"), body)


def reordered(
    chosen: Assembly, used: Mapping[str, Operand], signatures: Mapping[str, Signature]
) -> tuple[dict[str, Operand], dict[str, Signature]]:
    """The operands as the loops follow them, and what the compiler knows of them."""
    operands, known = dict(used), dict(signatures)
    for name, format in chosen.reordered.items():
        held = operands[name]
        assert isinstance(held, Tensor)
        operands[name] = held.asformat(Format(format))
        known[name] = replace(
            signature(operands[name], known[name].padded),
            skips_padding=known[name].skips_padding,
        )
    return operands, known


def mostly_empty(chosen: Assembly, used: Mapping[str, Operand], extents: Mapping[str, int]) -> bool:
    """Whether there are so many more rows than entries that to visit each would take too long."""
    rows = prod(extents[rank] for rank in chosen.outer)
    stored = sum(x.stored for x in used.values() if isinstance(x, Tensor))
    return rows > max(MANY_ROWS, 64 * stored)


def first_room(used: Mapping[str, Operand]) -> int:
    """A guess at the entries of a result."""
    return max(FIRST_ROOM, 2 * sum(x.stored for x in used.values() if isinstance(x, Tensor)))


def scratch(
    name: str, chosen: Assembly, extents: Mapping[str, int], dtype: np.dtype[np.generic]
) -> dict[Key, Array]:
    """The workspace of one row."""
    size = prod(extents[rank] for rank in chosen.inner)
    hint = "Store it in an order in which fewer ranks of the result stand behind a summed one."
    check_room(size, dtype.itemsize + 9, f"the workspace for a row of {name}", hint)
    return {
        ("row",): np.empty(size, dtype),
        ("seen",): np.zeros(size, np.uint8),
        ("touched",): np.empty(size, np.int64),
        ("count",): np.zeros(1, np.int64),
    }


def appended(name: str, room: int, dtype: np.dtype[np.generic]) -> dict[Key, Array]:
    """Where entries of a result go."""
    check_room(room, dtype.itemsize + 16, f"the entries of {name}", "Compute it in parts.")
    return {
        ("outers",): np.empty(room, np.int64),
        ("inners",): np.empty(room, np.int64),
        ("vals", name): np.empty(room, dtype),
    }


def coordinates(
    chosen: Assembly, arrays: Mapping[Key, Array], count: int, extents: Mapping[str, int]
) -> tuple[Array, ...]:
    """Coordinates of every entry, one array an axis of the result."""
    found: list[Array] = []
    for key, ranks in (("outers", chosen.outer), ("inners", chosen.inner)):
        at = arrays[(key,)][:count]
        parts: list[Array] = []
        for rank in reversed(ranks[1:]):
            at, crd = np.divmod(at, max(extents[rank], 1))
            parts.append(crd)
        if ranks:
            parts.append(at)
        found += parts[::-1]
    return tuple(found)

"""Sets of places and iterations as rows, and how they are put together.

    entries of I[c,h]         axis 0, axis 1
    subscript p+r             axis 1, rank p, loop r1       each place, with what touches it
    joined                    axis 0, axis 1, rank p, loop r1

Which accesses to memory an iteration makes is not counted by lines of accounting but listed: the
entries of an operand, put together with the iterations that touch each of its axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.tree import Affine
from zeroskip.einsum_spec.walk import variables
from zeroskip.formats.level_data import check_room
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.subscript_values import points_of, values_of

Whole = NDArray[np.int64]
MOST_CODES = 2**62


@dataclass(frozen=True, slots=True)
class Column:
    """What a row says: the place of a rank, the iteration of one loop of it, or, of an operand, the
    place along an axis (``rank`` is then a number) or which entry it is (``entry``)."""

    rank: str
    loop: Loop | None = None

    def of(self, places: Whole) -> Whole:
        """For places of the rank."""
        return places if self.loop is None else self.loop.at({self.rank: places})


def axis(number: int) -> Column:
    """The column of the places along an axis of an operand."""
    return Column(str(number))


ENTRY = Column("entry")
START = Column("")
"""The column of a row that says nothing: 0."""

Rows = dict[Column, Whole]
"""Columns of one length."""


def columns_of(loops: Sequence[Loop], every: Sequence[Loop]) -> tuple[Column, ...]:
    """What tells the iteration of some loops: places of ranks of which ``every`` loop is one of
    them, the iterations of other loops."""
    left = {loop.rank for loop in every if loop not in loops}
    found: dict[Column, None] = {}
    for loop in loops:
        found[Column(loop.rank, loop if loop.rank in left else None)] = None
    return tuple(found)


def length(rows: Rows) -> int:
    return len(next(iter(rows.values())))


def chosen(rows: Rows, which: NDArray[np.generic]) -> Rows:
    """Some rows, by a mask or by their numbers."""
    return {column: values[which] for column, values in rows.items()}


def codes(columns: Sequence[Whole]) -> Whole:
    """A number for each row, in the order of the rows; equal rows have the same."""
    found, most = np.zeros(len(columns[0]), np.int64), 1
    for values in columns:
        low = int(values.min(initial=0))
        span = int(values.max(initial=0)) - low + 1
        if most * span > MOST_CODES:
            found = np.unique(found, return_inverse=True)[1].astype(np.int64)
            most = len(found) + 1
        found, most = found * span + (values - low), most * span
    return found


def distinct(rows: Rows) -> Rows:
    """Each row once."""
    code = codes(list(rows.values()))
    return chosen(rows, np.unique(code, return_index=True)[1])


def joined(one: Rows, other: Rows) -> Rows:
    """Pairs of rows that agree in the columns that both have, in the order of the first.

    Raises RoomError where there are more than memory has room for.
    """
    shared = [column for column in one if column in other]
    n, m = length(one), length(other)
    if not shared:
        _check_room(n * m, len(one) + len(other))
        every = {column: np.repeat(values, m) for column, values in one.items()}
        return every | {column: np.tile(values, n) for column, values in other.items()}
    code = codes([np.concatenate([one[c], other[c]]) for c in shared])
    left, right = code[:n], code[n:]
    order = np.argsort(right, kind="stable")
    right = right[order]
    first = np.searchsorted(right, left, "left")
    number = np.searchsorted(right, left, "right") - first
    total = int(number.sum())
    _check_room(total, len(one) + len(other))
    again = np.repeat(np.arange(n), number)
    inside = np.arange(total) - np.repeat(np.cumsum(number) - number, number)
    found = chosen(one, again)
    match = order[np.repeat(first, number) + inside]
    return found | {c: values[match] for c, values in other.items() if c not in shared}


def grid(columns: Sequence[Column], extents: Mapping[str, int]) -> Rows:
    """Every combination of iterations of one rank that occurs."""
    places = np.arange(extents[columns[0].rank])
    return distinct({column: column.of(places) for column in columns})


def touches(
    subscript: Affine,
    number: int,
    size: int,
    low: int,
    columns: Iterable[Column],
    extents: Mapping[str, int],
    tables: Mapping[str, Whole],
) -> Rows:
    """Places of an axis that are in the tensor, with the iterations that touch each.

    size, low : places of the axis, and of the padding before it; tables : what index tensors hold.
    """
    at = points_of(variables(subscript), extents)
    place = values_of(subscript, at, {}, tables) - low
    rows = {axis(number): place} | {c: c.of(at[c.rank]) for c in columns if c.rank in at}
    return distinct(chosen(rows, (place >= 0) & (place < size)))


def _check_room(rows: int, columns: int) -> None:
    hint = "Charge a part of the layer, or a mapping whose innermost loops go along fibers."
    check_room(rows, 24 * columns, "the list of accesses to memory", hint)

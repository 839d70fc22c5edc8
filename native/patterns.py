"""Entries of rows that go together, by which of the rows store their column (c/zs_order.c).

What this computes in C has a twin here, for where there is no compiler, and for few entries.
"""

from __future__ import annotations

import numpy as np

from zeroskip.errors import CacheError, CompilerError
from zeroskip.formats.level_data import check_room
from zeroskip.native.arguments import Array
from zeroskip.native.load import KernelFailure, load
from zeroskip.native.texts import header
from zeroskip.records import dataclass

FEW = 2**14
"""Entries up to which sorting them, once, takes less than to compile the routine, once."""

LONG = 2**24
"""Entries from which Ctrl-C is looked for meanwhile."""

MOST_TOGETHER = 8
"""Rows of a group, for which a byte says which store a column."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """Entries by group, pattern, column and row.

    columns : where the columns of each pattern of each group start, and the end.  offset : of each
        column.  first : the first entry of each group.  entry : which comes at each place.
    """

    columns: Array
    offset: Array
    first: Array
    entry: Array


def by_patterns(rows: Array, offset: Array, groups: int, together: int, span: int) -> Ordered:
    """Order entries of ascending rows; of a row two that share an offset have columns of their own.

    span : what offsets are below.
    """
    small = span <= 2**31 and len(rows) < 2**31 and together <= MOST_TOGETHER
    if len(rows) > FEW and small and rows.dtype == np.int32:
        made = _in_c(rows, offset, groups, together, span)
        if made is not None:
            return made
    return _sorted(rows, offset, groups, together)


def _in_c(rows: Array, offset: Array, groups: int, together: int, span: int) -> Ordered | None:
    """None where there is no compiler, or two entries of a row share an offset."""
    starts = groups * (2**together - 1) + 1
    check_room(starts + groups + len(rows) + span, 8, "the order of packed entries")
    columns, first = np.empty(starts, np.int64), np.empty(groups, np.int64)
    column, entry = np.empty(len(rows), np.int32), np.empty(len(rows), np.int32)
    pattern, met = np.zeros(span, np.uint8), np.empty(span + 1, np.int32)
    place = np.empty(span, np.int32)
    given = np.ascontiguousarray(rows), np.ascontiguousarray(offset, np.int32)
    held = [*given, columns, column, first, entry, pattern, met, place]
    try:
        routine = load(header("zs_order.c"), "zs_order")
        routine.once(held, [len(rows), groups, together, span], long=len(rows) >= LONG)
    except (CompilerError, CacheError, KernelFailure):
        return None
    return None if columns[-1] < 0 else Ordered(columns, column[: columns[-1]], first, entry)


def _sorted(rows: Array, offset: Array, groups: int, together: int) -> Ordered:
    group, member = np.divmod(rows, together)
    order = np.lexsort((member, offset, group))
    group, member, offset = (x[order] for x in (group, member, offset))
    fresh = np.ones(len(group), bool)
    fresh[1:] = (group[1:] != group[:-1]) | (offset[1:] != offset[:-1])
    fresh[1:] |= member[1:] == member[:-1]  # two entries of a row that meet in one subscript
    column = np.cumsum(fresh) - 1
    pattern = np.zeros(int(fresh.sum()), np.int64)
    np.bitwise_or.at(pattern, column, 1 << member)
    patterns = 2**together - 1
    rank = group[fresh] * patterns + pattern - 1
    turned = np.argsort(rank, kind="stable")
    place = np.empty_like(turned)
    place[turned] = np.arange(len(turned))
    entry = order[np.argsort(place[column], kind="stable")]
    columns = starts(rank, groups * patterns)
    return Ordered(columns, offset[fresh][turned], starts(group, groups)[:-1], entry)


def order_of(numbers: Array) -> Array:
    """The order of numbers from 0 on, equal ones as they lie: by 16 bits at a time, which are
    sorted without comparing."""
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    most, bits = int(numbers.max(initial=0)), 16
    while most >> bits:
        some = (numbers[order] >> bits).astype(np.uint16)
        order = order[np.argsort(some, kind="stable")]
        bits += 16
    return order


def starts(numbers: Array, count: int) -> Array:
    """Where each number starts among sorted ones, and the end."""
    found = np.zeros(count + 1, np.int64)
    np.cumsum(np.bincount(numbers, minlength=count), out=found[1:])
    return found

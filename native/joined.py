"""Integers of 8 and 16 bits in machine code, of which a lane of 32 bits joins several.

A processor with AVX512_VNNI multiplies two pairs of 16 bits, or four of 8 bits, and adds the
products to a lane, all in one instruction and modulo 2^32.  So the values of neighbouring summed
places lie side by side, one lane behind the other, and the entries of a row that meet them are one
word.  Of 8 bits what is loaded has no sign: values that have one are kept 128 larger, and what that
adds to a row is taken off by an entry of its own, which meets no place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from zeroskip.native.arguments import Array
from zeroskip.native.integers import ONE, ZERO, Const, mul
from zeroskip.native.nest_tiles import StageAxis
from zeroskip.native.scheme import Scheme
from zeroskip.records import dataclass

if TYPE_CHECKING:
    from zeroskip.native.tile import LaneAxis, TilePlan

PAIRS, QUADS = 2, 4
"""Places of a lane: of 16 bits, and of 8."""

SIGNED = {PAIRS: ("int8", "int16", "uint8", "bool"), QUADS: ("int8", "bool")}
"""Types of entries that are taken with their sign, by the places of a lane."""

LOADED = {PAIRS: ("int8", "int16", "uint8", "bool"), QUADS: ("int8", "uint8", "bool")}
"""Types of what they meet."""

BIAS = 128
"""What signed values of 8 bits are kept larger by."""

NOWHERE = -1
"""The offset of an entry that meets no place, and is added as it is."""


def places_of_lane(entries: str, lanes: str, computed: str) -> int:
    """How many summed places a lane joins, of operands of these dtypes; 1 where it joins none."""
    if computed != "int32":
        return 1
    fits = (n for n in (QUADS, PAIRS) if entries in SIGNED[n] and lanes in LOADED[n])
    return next(fits, 1)


def held_as(joined: int, lanes: str) -> tuple[str, int]:
    """The dtype that joined values of a dtype are kept in, and what they are kept larger by."""
    if joined == QUADS:
        return "uint8", BIAS if lanes == "int8" else 0
    return "int16", 0


def density_of_words(density: float, joined: int) -> float:
    """Which share of words holds an entry, where so many of the places are stored."""
    return float(1 - (1 - min(density, 1.0)) ** joined)


@dataclass(frozen=True, slots=True)
class Words:
    """What the rows of a group multiply joined values by.

    group, member : of each word its row.  at : the first lane that it meets, `NOWHERE` for one that
        is added as it is.  word : its values, that of the first place in the lowest bits.
    """

    group: Array
    member: Array
    at: Array
    word: Array


def words_of(
    group: Array, member: Array, at: Array, values: Array, joined: int, plane: int, bias: int
) -> Words:
    """Join the entries of a row that meet neighbouring places; zeros are left out.

    at : the first lane that each meets, before joining; plane : how many lanes places lie apart.
    Entries that meet one place of one lane, as windows of two ranks have them, are words apart.
    """
    kept = np.flatnonzero(values)
    if len(kept) < len(values):
        group, member, at, values = group[kept], member[kept], at[kept], values[kept]
    members, lanes = int(member.max(initial=0)) + 1, int(at.max(initial=0)) + 1
    row = group * members + member
    place, shift = (at, 0) if plane == 1 else np.divmod(at, plane)
    of_part = joined.bit_length() - 1  # bits; division takes many times as long
    key = (group * lanes + (place >> of_part) * plane + shift) * members + member
    key = key << of_part | place & (joined - 1)
    order = np.argsort(key)
    key, values, total = key[order], values[order].astype(np.int64), values
    word, same = key >> of_part, np.zeros(len(key), bool)
    same[1:] = key[1:] == key[:-1]
    again = same
    if same.any():  # the how manieth each is of those of one place
        number = np.arange(len(key))
        again = number - np.maximum.accumulate(np.where(same, 0, number))
        order = np.lexsort((key & (joined - 1), again, word))
        key, word, values, again = key[order], word[order], values[order], again[order]
    fresh = np.ones(len(key), bool)
    fresh[1:] = (word[1:] != word[:-1]) | (again[1:] != again[:-1])
    first, bits = np.flatnonzero(fresh), 32 // joined
    shifted = (values & (1 << bits) - 1) << bits * (key & (joined - 1))
    made = np.bitwise_or.reduceat(shifted, first) if len(first) else shifted
    where, member = np.divmod(word[first], members)
    group, at = np.divmod(where, lanes)
    if not bias:
        return Words(group, member, at, made)
    added = np.bincount(row, total).astype(np.int64) * bias
    rows = np.flatnonzero(added)
    return Words(
        np.concatenate([rows // members, group]),
        np.concatenate([rows % members, member]),
        np.concatenate([np.full(len(rows), NOWHERE), at]),
        np.concatenate([-added[rows], made]),
    )


# ---- where joined values lie -------------------------------------------------------------


def staged_as(plan: TilePlan, dtype: str, computed: str, joined: int) -> tuple[str, int]:
    """The dtype of the staged copy, and what its values are kept larger by."""
    if joined == 1:
        return computed, 0
    return (dtype, 0) if plan.panels else held_as(joined, dtype)


def joined_axis(plan: TilePlan) -> int | None:
    """The axis of the lanes' operand along which lanes join places: the last that holds no rank of
    the result; None where each of them does."""
    return max((a.axis for a in plan.axes if a.rank is None), default=None)


def staged_axis(plan: TilePlan, scheme: Scheme, at: LaneAxis, joined: int) -> StageAxis:
    """An axis of the copy to one line, where neighbouring places of one lie side by side."""
    number, each = scheme.number, Const(joined)
    row, phase = number(f"row_stride{at.axis}"), mul(number(f"phase_stride{at.axis}"), each)
    stride = at.stride
    if at.rank is not None:
        row = each if at.rank == plan.lanes[-1] else mul(row, each)
    elif at.axis == joined_axis(plan):
        row, stride, phase = mul(row, each), joined, ONE
    return StageAxis(
        number(f"source_extent{at.axis}"),
        scheme.pad(plan.lane_access, at.axis),
        stride,
        ONE if at.axis == len(plan.axes) - 1 else number(f"source_stride{at.axis}"),
        phase if stride > 1 else ZERO,
        row,
    )

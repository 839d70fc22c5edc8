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
    group, member, at, values = group[kept], member[kept], at[kept], values[kept].astype(np.int64)
    place, shift = np.divmod(at, plane)
    at, part = place // joined * plane + shift, place % joined
    again = np.zeros(len(at), np.int64)
    order = np.lexsort((part, at, member, group))
    group, member, at, part, values = (x[order] for x in (group, member, at, part, values))
    same = _same(group, member, at, part)
    if same.any():  # the how manieth of those that meet one place
        number = np.arange(len(at))
        again = number - np.maximum.accumulate(np.where(same, 0, number))
        order = np.lexsort((part, again, at, member, group))
        group, member, at, part, values, again = (
            x[order] for x in (group, member, at, part, values, again)
        )
    first = np.flatnonzero(~_same(group, member, at, again))
    bits = 32 // joined
    shifted = (values & (1 << bits) - 1) << bits * part
    word = np.bitwise_or.reduceat(shifted, first) if len(first) else shifted
    found = Words(group[first], member[first], at[first], word)
    return _without_bias(found, group, member, values * bias) if bias else found


def _same(*keys: Array) -> Array:
    """Whether each has the keys of the one before."""
    found = np.zeros(len(keys[0]), bool)
    found[1:] = np.logical_and.reduce([key[1:] == key[:-1] for key in keys])
    return found


def _without_bias(words: Words, group: Array, member: Array, added: Array) -> Words:
    """The words, and for each row one that takes off what the bias adds to it."""
    first = np.flatnonzero(~_same(group, member))
    total = np.add.reduceat(added, first) if len(first) else added
    back = Words(group[first], member[first], np.full(len(first), NOWHERE), -total)
    return Words(
        *(
            np.concatenate([getattr(back, name), getattr(words, name)])
            for name in ("group", "member", "at", "word")
        )
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

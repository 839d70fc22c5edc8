"""Kernels that append the rows of a sparse result: their room, and what calls that follow bring.

A call is handed where rows end, and room for places and values of as many entries as there may be.
All else that it needs is there from an earlier one (`Appending`): the kernel, the workspace of a
row, which a kernel leaves as it has found it, and the operands that are bound.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from zeroskip.formats.format import Format
from zeroskip.formats.level_data import SMALL_BYTES
from zeroskip.formats.memory import lately_available
from zeroskip.formats.tensor import Tensor
from zeroskip.native import assemble, rows
from zeroskip.native.arguments import Operand
from zeroskip.native.dtypes import LOGICAL, identity
from zeroskip.native.effort import LONG, VECTORS, stored_points
from zeroskip.native.estimate import factors_of, most_products, products_of
from zeroskip.native.forms import is_joint
from zeroskip.native.lines import Line
from zeroskip.native.prepared import Prepared, Slots, remember
from zeroskip.native.ready import Ready, ready_of
from zeroskip.native.recent import Recent
from zeroskip.native.schedules import filled, only_plain
from zeroskip.native.scheme import Key
from zeroskip.native.vectors import vector_bytes
from zeroskip.records import dataclass

MEMORY_SHARE = 4
"""A first run takes one part in so many of the memory that is available, at most."""

LANE_SUM = "zs_lane_sum_"
"""What kernels call in which the lanes of vectors share a sum."""

PLACES: Key = ("inners",)
ENDS: Key = ("ends",)
ROOM: Key = ("tile", "room")


def rows_kernel(line: Line, chosen: rows.Assembly, room: int = 0) -> tuple[Prepared, Slots]:
    """The kernel that assembles the result of a `rearranged` line, its slots filled.

    room : entries that there is room for; 0 for a guess.
    """
    only_plain(line, f"the entries of {line.name} are gathered row by row, by a plain walk.")
    key = ("rows", chosen.outer, chosen.index, vector_bytes(), *line.key)

    what = line.form, line.signatures, line.dtype.name
    build = partial(assemble.lower_rows, *what, chosen)
    products = most_products(line)
    room = room or _first_room(line, chosen, line.used, products)
    start = identity(line.form.reduction or "+", line.dtype) if is_joint(line.form) else 0
    arrays = assemble.scratch(line.name, chosen, line.extents.ranks, line.dtype, start)
    arrays |= assemble.appended(line.name, chosen, room, line.stored)
    prepared = remember(key, line.dtype, build)
    given = filled(line, prepared, arrays, {"room": room})
    if given.long:
        given = replace(given, long=_is_long(line, chosen, prepared, products))
    return prepared, given


def _is_long(line: Line, chosen: rows.Assembly, prepared: Prepared, products: int | None) -> bool:
    """Whether a kernel has so much to do that it may be interrupted, of those that had it if every
    place of the result were visited."""
    points: float | None = products
    if points is None:
        points = stored_points(line.form, line.used, line.extents)
    ends = prod(line.extents.ranks[rank] for rank in chosen.outer) + 1
    if points + ends < LONG:
        return False
    pace = VECTORS if LANE_SUM in prepared.c_text else 1
    return points / pace + ends >= LONG


def _first_room(
    line: Line, chosen: rows.Assembly, used: Mapping[str, Operand], most: int | None
) -> int:
    """Entries that there is room for at first: as many as there may be where that is known and
    memory has plenty of room, so that the kernel runs once; else a guess.

    used : the operands.  most : entries that there are no more of, where it is known.
    """
    guess = assemble.first_room(used)
    if most is None:
        return guess
    width = prod(line.extents.ranks[rank] for rank in chosen.inner)  # room for a last row to sweep
    most = max(assemble.FIRST_ROOM, min(most, prod(line.shape)) + width + assemble.SWEPT)
    needed = most * (line.stored.itemsize + np.dtype(chosen.index).itemsize)
    if most <= guess or needed < SMALL_BYTES:
        return most
    return most if MEMORY_SHARE * needed <= lately_available() else guess


@dataclass(frozen=True, slots=True)
class Appending:
    """A kernel that appends rows, with everything filled in but what a call brings; for one call at
    a time.

    line : a call like those that it is for, with the operands that are bound, as kernels read them.
    format, fill : of results.
    factors : as `factors_of`.
    ends, places, room : slots of where rows end, of places, and of how many there is room for.
    """

    ready: Ready
    line: Line
    chosen: rows.Assembly
    format: Format
    fill: Any
    factors: tuple[str, str] | None
    ends: int
    places: int
    room: int

    def tensor(self, fresh: Mapping[str, Operand]) -> Tensor:
        """The result for these operands; after an exception the kernel serves no other call, for
        the workspace of a row may not be empty."""
        line, chosen, call = self.line, self.chosen, self.ready.call
        used = {**line.used, **fresh}
        products = None
        if self.factors is not None:
            products = products_of(*(used[name] for name in self.factors))
        long = self.ready.slots.long
        if products is not None:  # of the same entries, others may have met
            long = _is_long(line, chosen, self.ready.prepared, products)
        ends = assemble.row_ends(chosen, line.extents.ranks)
        room = _first_room(line, chosen, used, products)
        while True:
            made = assemble.appended(line.name, chosen, room, line.stored)
            places, values = made[PLACES], made["vals", line.name]
            self.ready.point(fresh, values)
            call.set_buffers((ends,), self.ends)
            call.set_buffers((places,), self.places)
            call.set_dims((room,), self.room)
            self.ready.run(long=long)
            entries = int(ends[-1])
            if entries <= room:
                break
            room = entries
        call.forget((self.ends, self.places, self.ready.result))  # they are the result's
        places, values = (assemble.trimmed(array, entries) for array in (places, values))
        return assemble.by_rows(line.shape, self.format, ends, places, values, self.fill)


def appending(
    line: Line, chosen: rows.Assembly, format: Format, fill: Any, held: Mapping[str, Operand]
) -> Appending | None:
    """The kernel that assembles the result of a `rearranged` line, kept filled for calls like it;
    None where the format has to be made of rows, or an operand be stored anew at each call.

    held : operands of all these calls.
    """
    if line.form.reduction in LOGICAL or not held.keys() >= set(line.converted):
        return None
    places = prod(line.extents.ranks[rank] for rank in chosen.inner)
    stored = sum(x.stored for x in line.used.values() if isinstance(x, Tensor))
    if not assemble.in_rows(format, chosen) or places > max(rows.SMALL_RESULT, stored):
        return None  # the workspace of so wide a row is more than it is worth to keep
    prepared, given = rows_kernel(line, chosen)
    rest = tuple(name for name in line.used if name not in held)
    ready = ready_of(line, prepared, given, line.used, rest, line.shape)
    if ready is None:
        return None
    at = {key: slot for slot, key in enumerate(prepared.layout.buffers)}
    room = prepared.layout.dims.index(ROOM)
    stays = replace(line, used={name: x for name, x in line.used.items() if name in held})
    factors = factors_of(line)
    ready.call.forget((at[ENDS], at[PLACES], ready.result))
    ready = replace(ready, slots=replace(ready.slots, buffers=[]), kept=None)  # the call has them
    return Appending(ready, stays, chosen, format, fill, factors, at[ENDS], at[PLACES], room)


class Appendings:
    """Kernels that append rows, by what calls have in common, of which ``most`` are kept: as many
    of one as calls have been under way at once.

    held : operands of all calls.
    """

    def __init__(self, held: Mapping[str, Operand], most: int) -> None:
        self.held = held
        self._idle: Recent[Hashable, list[Appending] | None] = Recent(most)

    def tensor(
        self,
        key: Hashable,
        fresh: Mapping[str, Operand],
        fill: Callable[[], Appending | None],
    ) -> Tensor | None:
        """The result for these operands; None where a call must go the long way.

        key : calls of equal keys are served by the same kernel.
        fill : makes one.
        """
        idle = self._idle.get(key)
        if idle is None and key in self._idle:
            return None
        one = None
        with suppress(IndexError):  # there is none, or all are taken
            one = idle.pop() if idle else None
        one = fill() if one is None else one
        idle = self._idle.keep(key, None if one is None else [])
        if one is None:
            return None
        made = one.tensor(fresh)
        if not self.held:
            one.ready.release()
        if idle is not None:
            idle.append(one)
        return made

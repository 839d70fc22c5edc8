"""Which ranks of a sparse result number the rows that it is assembled from.

Those that every operand has outermost, as it lies; else the first, for which operands in another
order are rearranged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import free, single
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import index_dtype
from zeroskip.formats.levels import Compressed
from zeroskip.formats.tensor import Tensor
from zeroskip.native import sampled
from zeroskip.native.arguments import Operand
from zeroskip.native.conversions import compressed
from zeroskip.native.forms import plain_target
from zeroskip.native.operand import Signature
from zeroskip.native.passes import every_visit, seen
from zeroskip.records import dataclass

SMALL_RESULT = 2**16
"""Places of a result that are one row, whatever the order of the operands."""

SMALL_ROW = 2**12
"""Places of a row that are few enough: more ranks outside, if they must be looked up, cost more."""

MANY_ROWS = 2**24
"""Rows that are always worth a visit; more only where entries are not much fewer."""


@dataclass(frozen=True, slots=True)
class Assembly:
    """target : ranks of the result, by axis.
    outer : those that number the rows; inner : those of a row's places.
    reordered : operand -> the format in which the loops can follow it.
    turned : dense operand -> the order of axes in which its sums are dot products.
    index : type of the places of a row.
    order : of all loops, where it is given; it begins with ``outer``."""

    target: tuple[str, ...]
    outer: tuple[str, ...]
    reordered: Mapping[str, Format]
    turned: Mapping[str, Format]
    index: str
    order: tuple[str, ...] = ()

    @property
    def inner(self) -> tuple[str, ...]:
        return tuple(rank for rank in self.target if rank not in self.outer)


def plan(
    form: Form,
    signatures: Mapping[str, Signature],
    shape: tuple[int, ...],
    dtype: str,
    stored: int = 0,
    order: tuple[str, ...] = (),
) -> Assembly | None:
    """How to assemble a result, or None where its ranks are not plain, no order fits, or
    a term without a sparse operand to follow would fill it.

    stored : entries of the sparse operands: rows of which each costs a look-up are no more.
    order : of all loops; empty where operands lead the way.
    """
    if not plain_target(form):
        return None
    target = tuple(free(form.target))
    visits = list(every_visit(form, seen(signatures), dtype))
    followed = [
        [a for a in one.follow if signatures[a.tensor].skips] for v in visits for one in v.passes
    ]
    if not all(followed) or any(v.rest is not None for v in visits):
        return None
    extents = dict(zip(target, shape, strict=True))
    outer = _outer(followed, signatures, extents, stored, order)
    if not outer and prod(shape) > SMALL_RESULT:
        outer = (order or target)[:1]
        if outer[0] not in target:
            return None
    places = prod(extents[rank] for rank in target if rank not in outer)
    index = index_dtype(Compressed(), "crd", places).name
    turned = {} if order else sampled.turned(form, signatures, dtype, extents, stored)
    chosen = Assembly(target, outer, {}, turned, index, order)
    if order:
        return chosen
    reordered: dict[str, Format] = {}
    for together in followed:
        for access in together:
            axes = _order(access, signatures[access.tensor], chosen)
            if axes is None:
                return None
            if axes and reordered.setdefault(access.tensor, compressed(axes)) != compressed(axes):
                return None
    return replace(chosen, reordered=reordered)


def _outer(
    followed: Sequence[Sequence[Access]],
    signatures: Mapping[str, Signature],
    extents: Mapping[str, int],
    stored: int,
    order: tuple[str, ...],
) -> tuple[str, ...]:
    """The ranks that every pass has outermost."""
    outer: list[str] = []
    rows, looked_up = 1, False
    while len(outer) < len(extents):
        for rank in order[len(outer) :][:1] or extents:
            if rank in outer or rank not in extents:
                continue
            ways = {_leads(of, signatures, rank, outer) for of in followed}
            cheap = ways == {"full"} and not looked_up
            wide = prod(extents.values()) > SMALL_ROW * rows and rows * extents[rank] <= stored
            if cheap or (None not in ways and wide):
                break
        else:
            break
        outer.append(rank)
        rows *= extents[rank]
        looked_up = looked_up or not cheap
    return tuple(outer)


def _leads(
    followed: Sequence[Access],
    signatures: Mapping[str, Signature],
    rank: str,
    outer: Sequence[str],
) -> str | None:
    """Whether a pass can have the rank next, inside the outer ones: ``"full"`` where every
    operand that it follows along the rank stores every coordinate of it, ``"stored"`` where one
    is looked up, None where one comes to it later, or none does."""
    ways = [
        _comes(access, signatures[access.tensor], rank, outer)
        for access in followed
        if any(single(part) == rank for part in access.subscripts)
    ]
    if not ways or "" in ways:
        return None
    return "stored" if "stored" in ways else "full"


def _comes(access: Access, of: Signature, rank: str, outer: Sequence[str]) -> str:
    """How an operand stores a rank inside the outer ones; "" where others come first."""
    names = [single(part) for part in access.subscripts]
    for level in of.levels:
        held = [names[axis] for axis in level.axes]
        if rank in held:
            there = len(held) == 1 and names.count(rank) == 1 and of.locatable
            return ("full" if level.kind.full else "stored") if there else ""
        if not all(name in outer or level.kind.full for name in held):
            return ""
    return ""


def _order(access: Access, of: Signature, chosen: Assembly) -> tuple[int, ...] | None:
    """The order of axes in which loops in the chosen order follow an operand; none where they do
    already; None where it cannot be."""
    if not chosen.outer:
        return ()
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
        return ()
    if None in names or len(set(names)) < len(names) or any(of.padded):
        leading = [level for level in of.levels if level.kind.full]
        axes = {axis for level in leading for axis in level.axes}
        follows = all(
            axis in axes
            for axis, part in enumerate(access.subscripts)
            if held & set(free(Access("", (part,))))
        )
        return () if follows else None
    return tuple(sorted(stored, key=lambda axis: (turn(axis), stored.index(axis))))


def mostly_empty(chosen: Assembly, used: Mapping[str, Operand], extents: Mapping[str, int]) -> bool:
    """Whether there are so many more rows than entries that to visit each would take too long."""
    rows = prod(extents[rank] for rank in chosen.outer)
    stored = sum(x.stored for x in used.values() if isinstance(x, Tensor))
    return rows > max(MANY_ROWS, 64 * stored)

"""The order of loops that costs least, where several operands leave coordinates out.

Without an order the first sparse operand leads (`descend`), which is right where it is alone.
Where there are two or more, that rule may visit far more than is stored: a product of rows by
columns looks every entry of the one up in every column of the other.  So each order is estimated
(`cost`), with what it takes to store operands anew that it cannot follow.  The cheapest is taken,
unless it is within `TIE` of the rule.

The estimate knows extents and entries by their powers of 2 alone, so that equal classes of operands
have one order, and one kernel, and a call has to look nothing up but its class.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import InitVar, dataclass, field
from itertools import permutations
from math import prod

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import by_data, free, single
from zeroskip.formats.ranks import axis_of
from zeroskip.formats.tensor import Tensor
from zeroskip.native import load, rows
from zeroskip.native.arguments import Operand
from zeroskip.native.cost import EACH, ONCE, Depth, Walk, depth, stored_in
from zeroskip.native.operand import Signature
from zeroskip.native.order import Order, in_turn, passed, plain_ranks
from zeroskip.native.passes import Pass, every_visit, seen
from zeroskip.native.recent import Recent

TIE = 2
"""Costs of which none is this many times another are equal: they are estimates."""

WORTH = 2**14
"""Visits below which any order will do."""

MOST_RANKS = 5
"""Ranks of a line up to which every order is estimated."""

WIDEST = 2**20
"""Places of a row of a sparse result that another order than the rule's may ask for."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """cost : in visits, those of storing operands anew included.
    walked : the order of the loops; order : the same, or empty where the rule has it.
    converted : operands that are stored anew."""

    cost: float
    walked: Order
    order: Order
    converted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sizes:
    """extents : of each rank; entries : of each level of each sparse operand.  Powers of 2."""

    extents: Mapping[str, int]
    entries: Mapping[str, tuple[int, ...]]


def candidates(used: Mapping[str, Operand]) -> bool:
    """Whether there may be more than one order worth a thought."""
    sparse = 0
    for x in used.values():
        if isinstance(x, Tensor) and not all(level.spec.full for level in x.levels):
            sparse += 1
        elif x.ndim:
            return False  # dense operands have schedules of their own
    return sparse > 1


def class_of(used: Mapping[str, Operand], extents: Mapping[str, int]) -> Hashable:
    """Operands and extents that have one order."""
    found = [*map(int.bit_length, extents.values())]
    for x in used.values():
        if isinstance(x, Tensor):
            found += [level.entries.bit_length() for level in x.levels]
    return tuple(found)


def sizes_of(used: Mapping[str, Operand], extents: Mapping[str, int]) -> Sizes:
    """What `class_of` tells apart."""
    return Sizes(
        {rank: _power(extent) for rank, extent in extents.items()},
        {
            name: tuple(_power(level.entries) for level in x.levels)
            for name, x in used.items()
            if isinstance(x, Tensor)
        },
    )


def _power(n: int) -> int:
    return 1 << (n.bit_length() - 1) if n else 0


def cheapest(
    form: Form,
    signatures: Mapping[str, Signature],
    dtype: str,
    sizes: Sizes,
    *,
    in_rows: bool,
    convert: bool = True,
    order: Order | None = None,
) -> tuple[Estimate, Estimate | None] | None:
    """The order to take, and the best of the others; None where nothing can be said.

    in_rows : whether the result is sparse, and gathered row by row.
    convert : whether operands may be stored anew.
    order : the one to take; empty for the rule, None for the cheapest.
    """
    passes = _passes(form, signatures, dtype)
    if passes is None or len(form.ranks) > MOST_RANKS:
        return None
    made = _Estimates(form, signatures, dtype, sizes, passes, in_rows)
    rule = made.rule()
    found = [e for p in permutations(form.ranks) if (e := made.given(p)) is not None]
    found = [e for e in found if convert or not e.converted]
    found = sorted([rule, *found], key=lambda e: e.cost)  # stable: the first of equals
    taken: Estimate | None = found[0]
    if order:
        taken = made.given(order)
    elif order is not None or rule.cost <= max(TIE * found[0].cost, WORTH):
        taken = rule
    if taken is None:
        return None
    return taken, next((e for e in found if e.walked != taken.walked), None)


def _passes(form: Form, signatures: Mapping[str, Signature], dtype: str) -> list[Pass] | None:
    """Every pass; None where one follows what is no plain read of ranks."""
    if by_data(form.target) or any(map(by_data, form.reads)):
        return None
    found: list[Pass] = []
    for visits in every_visit(form, seen(signatures), dtype):
        if visits.rest is not None:
            return None
        found += visits.passes
    for one in found:
        for access in one.follow:
            of = signatures[access.tensor]
            if plain_ranks(access, of) is None or any(level.part for level in of.levels):
                return None
    return found


@dataclass(slots=True)
class _Estimates:
    """by_rule : how the rule assembles a sparse result; None where it computes it densely."""

    form: Form
    signatures: Mapping[str, Signature]
    dtype: str
    sizes: Sizes
    passes: list[Pass]
    in_rows: InitVar[bool]
    by_rule: rows.Assembly | None = field(init=False)

    def __post_init__(self, in_rows: bool) -> None:
        self.by_rule = self._rows(()) if in_rows else None

    def rule(self) -> Estimate:
        """Operands lead the way."""
        anew: dict[str, tuple[int, ...]] = {}
        outer: Order = ()
        if self.by_rule is not None:
            outer = self.by_rule.outer
            for name, format in self.by_rule.reordered.items():
                axes = [axis_of(axis) for rank in format.ranks for axis in rank.axes]
                anew[name] = tuple(map(int, axes))
        return self._estimate((), outer, anew)

    def given(self, order: Order) -> Estimate | None:
        """Loops in an order; None where it cannot be followed."""
        place = {rank: k for k, rank in enumerate(order)}
        turned: dict[str, set[tuple[int, ...]]] = {}
        late: set[str] = set()
        for access in self._followed():
            of = self.signatures[access.tensor]
            ranks = plain_ranks(access, of)
            assert ranks is not None
            turned.setdefault(access.tensor, set()).add(in_turn(ranks, place))
            if passed(ranks, of, place):
                late.add(access.tensor)
        if any(len(turned[name]) > 1 for name in late):
            return None  # one tensor cannot be stored in two orders
        outer: Order = ()
        if self.by_rule is not None:
            chosen = self._rows(order)
            if chosen is None or self._row(chosen) > max(WIDEST, self._row(self.by_rule)):
                return None
            outer = chosen.outer
        return self._estimate(order, outer, {name: turned[name].pop() for name in sorted(late)})

    def _followed(self) -> Iterator[Access]:
        """Every sparse access that some pass follows."""
        for one in self.passes:
            for access in one.follow:
                if self.signatures[access.tensor].skips:
                    yield access

    def _rows(self, order: Order) -> rows.Assembly | None:
        shape = tuple(self.sizes.extents[rank] for rank in free(self.form.target))
        stored = sum(levels[-1] for levels in self.sizes.entries.values() if levels)
        chosen = rows.plan(self.form, self.signatures, shape, self.dtype, stored, order)
        if chosen is None:
            return None
        many = prod(self.sizes.extents[rank] for rank in chosen.outer)
        return None if many > max(rows.MANY_ROWS, 64 * stored) else chosen

    def _row(self, chosen: rows.Assembly) -> int:
        """Places of a row."""
        return prod(self.sizes.extents[rank] for rank in chosen.inner)

    def _estimate(self, order: Order, outer: Order, anew: dict[str, tuple[int, ...]]) -> Estimate:
        cost, walked = 0.0, order
        for name in anew:
            cost += ONCE + EACH * self.sizes.entries[name][-1]
        for turn, one in enumerate(self.passes):
            operands = [self._levels(access, anew, bool(order)) for access in one.follow]
            done = Walk(operands, self.sizes.extents, self.form.ranks, order, outer).run()
            cost += done.visits
            walked = walked if turn or order else tuple(done.walked)
        return Estimate(cost, walked, order, tuple(anew))

    def _levels(
        self, access: Access, anew: Mapping[str, tuple[int, ...]], address: bool
    ) -> tuple[Depth, ...]:
        name, extents = access.tensor, self.sizes.extents
        of, ranks = self.signatures[name], [single(part) or "" for part in access.subscripts]
        if not of.skips:
            return tuple(depth([rank], "U", True, extents[rank]) for rank in ranks)
        entries = self.sizes.entries[name]
        if name in anew:
            return stored_in([ranks[axis] for axis in anew[name]], entries[-1], extents, address)
        found, above = [], 1
        for level, here in zip(of.levels, entries, strict=True):
            held = [ranks[axis] for axis in level.axes]
            found.append(depth(held, level.letter, level.unique, here / above if above else 0.0))
            above = here
        return tuple(found)


_chosen: Recent[Hashable, tuple[Form, Order]] = Recent(4 * load.MOST_KERNELS)
"""Of what `line_of` knows of a line, and its class: the order.  The form is kept, for it goes by
its identity."""


def remembered(key: Hashable) -> Order | None:
    found = _chosen.get(key)
    return None if found is None else found[1]


def remember(key: Hashable, form: Form, order: Order) -> Order:
    """Keep an order for a class."""
    return _chosen.keep(key, (form, order))[1]

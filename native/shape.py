"""What the shapes of kernel share: places, values, cursors of a form under a scheme."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Term
from zeroskip.einsum_spec.tree import Access, Expr
from zeroskip.einsum_spec.walk import free, gathers, subscripts, variables
from zeroskip.formats.values import HALVES
from zeroskip.native.absence import needed
from zeroskip.native.cursor import Cursor, Leaf, Place, State
from zeroskip.native.descend import value_at
from zeroskip.native.domains import Range
from zeroskip.native.gathering import fetch, wanted_places
from zeroskip.native.integers import ZERO, Cond, Name, mul, sub
from zeroskip.native.nest import Fetch, Fill, Guard, Loop, Reduce, Stmt
from zeroskip.native.passes import Pass, is_plain, seen
from zeroskip.native.pointwise import value_of
from zeroskip.native.scheme import Scheme
from zeroskip.native.values import Elem, Func, Number, Prod, Select, Sum, Test, Value, Whole


class Shape:
    """What every kernel of a form needs: its title, its place, its values.

    known : what its signatures tell of the operands.
    """

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.form = scheme.form
        self.known = seen(scheme.signatures)
        target = self.form.target
        self.target_ranks = tuple(free(target))
        name, stored = target.tensor, scheme.stored
        self.result = scheme.buffer(("vals", name), f"{name}_vals", stored, written=True)
        self.narrow = stored != scheme.dtype

    def title(self) -> tuple[str, ...]:
        """The line, and how each operand is stored."""
        notes = []
        for name, signature in self.scheme.signatures.items():
            levels = " ".join(map(str, signature.levels))
            fill = f", fill {signature.fill}" if signature.fill else ""
            notes.append(f"{name}: {levels or 'scalar'}, {signature.dtype}{fill}")
        return (form_text(self.form), *notes)

    def sums(self) -> str:
        """Where sums grow: the result, or beside it in the type of the arithmetic."""
        name = self.form.target.tensor
        if not self.narrow:
            return self.result
        return self.scheme.buffer(("sums", name), f"{name}_sums", self.scheme.dtype, written=True)

    def place(self) -> Elem:
        return Elem(self.sums(), self.scheme.row_major(self.form.target))

    def narrowed(self) -> tuple[Stmt, ...]:
        """Every sum into the result; nothing where the two are one."""
        return self._copied(self.sums(), self.result, "each sum is rounded once")

    def widened(self) -> tuple[Stmt, ...]:
        return self._copied(self.result, self.sums(), "sums start from what is there")

    def _copied(self, source: str, target: str, note: str) -> tuple[Stmt, ...]:
        if not self.narrow:
            return ()
        at = self.scheme.names.fresh("at")
        move = Reduce(Elem(target, Name(at)), "=", Elem(source, Name(at)))
        count = Range(ZERO, self.scheme.size(self.form.target))
        return (Loop(at, count, (move,), note=note),)

    def scale(self, term: Term) -> list[Value]:
        """The factors of a term that are not accesses."""
        values: list[Value] = []
        if term.number != 1 or not (term.accesses or term.scalars or term.factors):
            values.append(Number(term.number))
        for name in term.scalars:
            values.append(self.scheme.scalar(name))
        return values

    def ranks(self, term: Term) -> tuple[str, ...]:
        names = dict.fromkeys(self.target_ranks)
        names.update(term.held)
        names.update(dict.fromkeys(term.ranks))
        names.update(dict.fromkeys(self.form.reduced))
        return tuple(names)

    def cursors(self, one: Pass) -> tuple[Cursor, ...]:
        """One for each access; the sparse ones whose subscripts are all plain ranks lead."""
        made = []
        count: dict[str, int] = {}
        for access in (*one.follow, *one.optional):
            count[access.tensor] = count.get(access.tensor, 0) + 1
            n = count[access.tensor]
            tag = access.tensor if n == 1 else f"{access.tensor}{n}"
            signature = self.scheme.signatures[access.tensor]
            optional = access not in one.follow
            cursor = Cursor(access, signature, tag, optional=optional)
            made.append(replace(cursor, missing=access in one.missing))
        return tuple(sorted(made, key=lambda c: not is_plain(c.access)))

    def absent_skipped(self, value: Value, whole: Expr, start: int | float, state: State) -> Value:
        """``value``, but ``start`` where an operand holds no more than a fill without which there
        is nothing to do: what loops leave out in one format adds nothing in another."""
        if np.dtype(self.scheme.dtype).kind != "f":
            return value
        inner, known = value, set()
        while isinstance(inner, Select):
            known.add(inner.test)
            inner = inner.value
        for cursor in state.cursors:
            stored, fill = value_at(cursor, self.scheme), cursor.signature.fill
            if stored in known or not cursor.signature.fills or (fill and math.isfinite(fill)):
                continue
            if needed(whole, cursor.access, self.known.fills, start):
                value = Select(stored, value, fill, start)
        return value

    def factor(self, node: Expr, found: Mapping[Access, Value]) -> Value:
        return value_of(node, self.scheme, found.__getitem__, self.scheme.dtype)

    def fetched(self, state: State, factors: Iterable[Expr], make: Leaf) -> tuple[Stmt, ...]:
        """What ``make`` gives once the places that values and the target name are read."""
        target = self.form.target
        wanted: list[Place] = [
            gather.access
            for factor in factors
            for part in subscripts(factor)
            for gather in gathers(part)
            if gather.access not in state.fetched
        ]
        wanted += wanted_places(state, target, range(len(target.subscripts)))
        return fetch(self.scheme, state, list(dict.fromkeys(wanted)), make)

    def over_result(
        self, body: tuple[Stmt, ...], order: tuple[str, ...] | None = None
    ) -> tuple[Stmt, ...]:
        """Visit every point of the result's ranks, in their own order or another."""
        for rank in reversed(self.target_ranks if order is None else order):
            body = (Loop(self.scheme.rank(rank), Range(ZERO, self.scheme.extent(rank)), body),)
        return body

    def visit(self) -> Elem:
        """How many points a place of the result was given so far."""
        tensor = self.form.target.tensor
        array = self.scheme.buffer(("visits", tensor), f"{tensor}_visits", "int64", written=True)
        return Elem(array, self.scheme.row_major(self.form.target))

    def unvisited(self, ranks: Iterable[str], fold: Callable[[Value], Stmt]) -> tuple[Stmt, ...]:
        """What ``fold`` does at every place that was given fewer points than the ranks have; it
        is handed how many are missing."""
        points = mul(*(self.scheme.extent(r) for r in ranks if r not in self.target_ranks))
        given, visit = self.scheme.names.fresh("given"), self.visit()
        missing = Whole(sub(points, Name(given)))
        guarded = Guard((Cond("<", Name(given), points),), (fold(missing),))
        return self.over_result((Fetch(given, visit.array, visit.index, (guarded,)),))

    def post(self, value: Value) -> Value:
        return value if self.form.post is None else Func(self.form.post, (value,))

    def fill(self, value: int | float) -> Stmt:
        return Fill(self.sums(), self.scheme.size(self.form.target), Number(value))


def follows(accesses: Iterable[Access], rank: str) -> bool:
    """Whether operands have a rank along their last axes or not at all."""
    held = [[rank in variables(s) for s in access.subscripts] for access in accesses]
    return all(not any(of[:-1]) for of in held)


def unless_one(factor: int | float) -> list[Value]:
    """A factor of a product, left out where it changes nothing."""
    return [] if factor == 1 else [Number(factor)]


def product(values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else Prod(tuple(values))


def total(values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else Sum(tuple(values))


def stored_values(state: State, scheme: Scheme) -> tuple[Value, ...]:
    """Values that are 0 where what is there only bridges a run, or fills a group."""
    return tuple(_stored(c, scheme) for c in state.cursors if c.signature.bridged)


def _stored(cursor: Cursor, scheme: Scheme) -> Value:
    value, fill = value_at(cursor, scheme), cursor.signature.fill
    if not fill:
        return value
    dtype = "float32" if cursor.signature.dtype in HALVES else cursor.signature.dtype
    if math.isnan(fill):
        return Test("==", value, value, dtype)
    return Test("!=", value, Number(fill), dtype)

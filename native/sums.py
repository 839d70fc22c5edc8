"""Kernels of sums: ``=`` and ``+=`` over sums of products, each term on its own.

direct   every point of the result is visited once: sums are held in an accumulator and
         stored together with the bias and the pointwise function
scatter  the result starts at the identity; each term adds into it; a last pass adds the
         bias and applies the function
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from zeroskip.einsum_spec.form import Term
from zeroskip.einsum_spec.tree import Compare
from zeroskip.einsum_spec.walk import by_data, free
from zeroskip.native.cursor import State
from zeroskip.native.descend import Descent
from zeroskip.native.forms import form_scatters, is_bracket, plain_target, product_of
from zeroskip.native.nest import Acc, Fill, Guard, Once, Reduce, Stmt
from zeroskip.native.passes import Visits, term_visits
from zeroskip.native.pointwise import times
from zeroskip.native.scheme import Scheme
from zeroskip.native.shape import Shape, follows, product, stored_values, total
from zeroskip.native.values import Elem, Held, Number, Value


class Sums(Shape):
    """``=`` and ``+=`` over sums of products.

    bound : ranks of the result that loops around have bound already.
    counting : whether the points that a place is given are counted.
    """

    bound: tuple[str, ...] = ()
    counting: bool = False

    def __init__(self, scheme: Scheme, hits: bool = False, accumulate: bool = False) -> None:
        super().__init__(scheme)
        self.accumulate = accumulate
        self.hit = ""
        if hits:
            tensor = self.form.target.tensor
            self.hit = scheme.buffer(("hit", tensor), f"{tensor}_hit", "uint8", written=True)

    def body(self) -> tuple[Stmt, ...]:
        main, late = self.parts()
        if self.hit or not plain_target(self.form):
            main, late = self.form.terms, ()
        if self.accumulate:
            added = tuple(s for t in self.form.terms for s in self._term(t, None))
            return (*self.widened(), *added, *self.narrowed())
        if not main:
            main, late = late[:1], late[1:]
        if len(main) == 1 and not self.hit and plain_target(self.form):
            direct = self._direct(main[0], late)
            if direct is not None:
                return direct
        stmts: list[Stmt] = [self.fill(0)]
        if self.hit:
            count = self.scheme.size(self.form.target)
            stmts.append(Fill(self.hit, count, Number(0)))
        if form_scatters(self.form):
            stmts.append(Fill(self.mark(), self.scheme.size(self.form.target), Number(0)))
        for term in main:
            stmts += self._term(term, None)
        if late or self.form.post is not None:
            stmts += self._last_pass(late)
        return (*stmts, *self.narrowed())

    def parts(self) -> tuple[tuple[Term, ...], tuple[Term, ...]]:
        """The terms to sum up, and those to add when a sum is stored."""
        late = tuple(t for t in self.form.terms if self.late(t))
        return tuple(t for t in self.form.terms if t not in late), late

    def late(self, term: Term) -> bool:
        """A bias: dense, over ranks of the result alone, so that it can be added at the end."""
        names = {v for a in term.accesses for v in free(a)}
        return (
            not term.ranks
            and not term.factors
            and not self.form.reduced
            and names <= set(self.target_ranks)
            and len(term.accesses) <= 1
            and all(
                self.scheme.signatures[a.tensor].dense
                and not any(self.scheme.signatures[a.tensor].padded)
                and not by_data(a)
                for a in term.accesses
            )
        )

    def late_value(self, term: Term) -> Value:
        values = self.scale(term)
        for access in term.accesses:
            values.append(Elem(self.scheme.values(access.tensor), self.scheme.row_major(access)))
        return product(values)

    def store(self, held: Value, late: Iterable[Value], into: str | None = None) -> Reduce:
        """Into one place of the result: its sum, with the bias and the function."""
        value = self.post(total([held, *late]))
        at = self.scheme.row_major(self.form.target)
        return Reduce(Elem(self.result if into is None else into, at), "=", value)

    def _direct(self, term: Term, late: tuple[Term, ...]) -> tuple[Stmt, ...] | None:
        """Accumulate in a register and store once; None where a point is not visited once."""
        visits = self.visits(term)
        if len(visits.passes) > 1 or visits.rest is not None:
            return None
        targets = set(self.target_ranks)
        held = False
        late_values = [self.late_value(t) for t in late]
        before = self.scheme.snapshot()
        acc = self.scheme.names.fresh("acc")

        def hook(state: State) -> Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]] | None:
            nonlocal held
            if held or targets != state.bound or not state.whole:  # no sum was opened yet
                return None
            held = True

            def wrap(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
                store = self.store(Held(acc), late_values)
                return (Acc(acc, self.scheme.dtype, Number(0), body, (store,)),)

            return wrap

        stmts = self._term(term, hook, Held(acc))
        if not held:
            self.scheme.restore(before)
            return None
        return stmts

    def _term(
        self,
        term: Term,
        hook: Callable[[State], Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]] | None] | None,
        into: Held | None = None,
    ) -> tuple[Stmt, ...]:
        brackets = tuple(f for f in term.factors if isinstance(f, Compare) and is_bracket(f))
        factors = tuple(f for f in term.factors if not is_bracket(f))

        def reduce(state: State) -> tuple[Stmt, ...]:
            found = {c.access: descent.read(c) for c in state.cursors}
            values = self.scale(term)
            values += [found[access] for access in term.accesses]
            values += [self.factor(node, found) for node in factors]
            values = values or [Number(1)]
            work = max(len(term.accesses) + len(factors) - 1, 0)
            value = times(values, self.scheme, self.scheme.dtype)
            value = self.absent_skipped(value, product_of(term), 0, state)
            if into is not None:
                return (Reduce(into, "+", value, work),)
            return self.put(value, work, state)

        def leaf(state: State) -> tuple[Stmt, ...]:
            return self.fetched(state, factors, reduce)

        hook = hook or (lambda state: None)
        descent = Descent(self.scheme, self.ranks(term), leaf, hook, self.innermost(term))
        visits = self.visits(term)
        self.counting = visits.rest is not None
        loops = tuple(
            stmt
            for one in visits.passes
            for stmt in descent.go(State(frozenset(self.bound), self.cursors(one), brackets))
        )
        return loops if visits.rest is None else self._with_rest(term, loops, visits.rest)

    def innermost(self, term: Term) -> str | None:
        """The result's last rank, where dense operands have it along their last axes or not at all,
        which is not so of the last summed one: a sum of its own for each place would take each
        element from a line of memory of its own."""
        signatures = [self.scheme.signatures[access.tensor] for access in term.accesses]
        if not all(of.dense and not any(of.padded) for of in signatures) or term.factors:
            return None
        if self.hit or not plain_target(self.form) or not term.ranks or not self.target_ranks:
            return None

        last, summed = self.target_ranks[-1], self.ranks(term)[-1]
        return last if follows(term.accesses, last) and not follows(term.accesses, summed) else None

    def _with_rest(
        self, term: Term, loops: tuple[Stmt, ...], rest: int | float
    ) -> tuple[Stmt, ...]:
        """The loops, and what the points add that these do not visit."""
        start = Fill(self.visit().array, self.scheme.size(self.form.target), Number(0))

        def fold(missing: Value) -> Stmt:
            times_each = [Number(rest)] if rest != 1 else []
            value = product([*self.scale(term), *times_each, missing])
            return Reduce(self.place(), "+", value)

        return (start, *loops, *self.unvisited(self.ranks(term), fold))

    def visits(self, term: Term) -> Visits:
        return term_visits(self.form, term, self.known, self.scheme.dtype)

    def put(self, value: Value, work: int, state: State) -> tuple[Stmt, ...]:
        """Add a product to its place, with what is noted of the place."""
        place = self.place()
        stmts: tuple[Stmt, ...] = (Reduce(place, "+", value, work),)
        if self.counting:
            stmts += (Reduce(self.visit(), "+", Number(1)),)
        if form_scatters(self.form):
            stmts = (Once(Elem(self.mark(), place.index)), *stmts)
        if self.hit:
            mark = Reduce(Elem(self.hit, self.scheme.row_major(self.form.target)), "=", Number(1))
            stored = stored_values(state, self.scheme)  # not 0, where it does not bridge a run
            stmts += (Guard((), (mark,), stored),) if stored else (mark,)
        return stmts

    def mark(self) -> str:
        tensor = self.form.target.tensor
        return self.scheme.buffer(("mark", tensor), f"{tensor}_mark", "uint8", written=True)

    def _last_pass(self, late: tuple[Term, ...]) -> tuple[Stmt, ...]:
        """Bias and function at every place that the target writes; the others stay 0."""
        place = self.place()
        return self.over_result((self.store(place, map(self.late_value, late), place.array),))

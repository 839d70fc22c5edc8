"""Kernels that evaluate the right side whole, at every point: max, min and the other reductions,
and a function under a sum."""

from __future__ import annotations

from zeroskip.einsum_spec.tree import Access, Compare
from zeroskip.einsum_spec.walk import accesses, expressions
from zeroskip.errors import KernelError
from zeroskip.native.absence import needed
from zeroskip.native.cursor import State
from zeroskip.native.descend import Descent
from zeroskip.native.dtypes import LOGICAL, identity
from zeroskip.native.forms import is_bracket, right_side
from zeroskip.native.nest import (
    ZERO,
    Cond,
    Elem,
    Fetch,
    Fill,
    Func,
    Guard,
    Loop,
    Name,
    Number,
    Range,
    Reduce,
    Stmt,
    Value,
    mul,
)
from zeroskip.native.passes import left_over, whole_passes
from zeroskip.native.pointwise import plus, times
from zeroskip.native.scheme import Scheme
from zeroskip.native.shape import Shape

_OPERATOR = {"+": "+", "*": "*", "max": "max", "min": "min", "|": "max", "&": "min"}
"""``|`` and ``&`` are the maximum and the minimum of truth values."""


class Joint(Shape):
    """The right side whole, at every point: reductions that are no sum, and sums of functions."""

    def __init__(self, scheme: Scheme, accumulate: bool = False) -> None:
        super().__init__(scheme)
        self.accumulate = accumulate

    def body(self) -> tuple[Stmt, ...]:
        form, dtype = self.form, self.scheme.dtype
        reduction = form.reduction or "+"
        start = identity(reduction, dtype)
        whole = right_side(form)
        for access in accesses(whole):
            self.check_padding(access)
        ranks = tuple(dict.fromkeys(r for t in form.terms for r in self.ranks(t)))
        ranks = ranks or self.target_ranks
        cut = any(s.skips_padding for s in self.scheme.signatures.values())
        rest = left_over(form, self.sparse, self.fills(), dtype, cut=cut)
        begin = start if rest is None else rest
        brackets = []
        for node in dict.fromkeys(n for n in expressions(whole) if is_bracket(n)):
            assert isinstance(node, Compare)
            if needed(whole, node, self.fills(), begin):
                brackets.append(node)
        factors = [f for t in form.terms for f in t.factors]

        def leaf(state: State) -> tuple[Stmt, ...]:
            return self.fetched(descent, state, factors, reduce)

        def reduce(state: State) -> tuple[Stmt, ...]:
            found = {c.access: descent.read(c) for c in state.cursors}
            sums: list[Value] = []
            for term in form.terms:
                values = self.scale(term) + [found[a] for a in term.accesses]
                values += [self.factor(f, found) for f in term.factors if f not in brackets]
                sums.append(times(values or [Number(1)], self.scheme, dtype))
            work = sum(max(len(t.accesses) + len(t.factors) - 1, 0) for t in form.terms)
            value = self.post(plus(sums, self.scheme, dtype))
            if reduction in LOGICAL:
                value = Func("truth", (value,))
            value = self.absent_skipped(value, whole, begin, state)
            stmts: tuple[Stmt, ...] = (Reduce(self.place(), _OPERATOR[reduction], value, work),)
            if rest is not None:
                stmts = (*stmts, Reduce(self.visited(), "+", Number(1)))
            return stmts

        descent = Descent(self.scheme, ranks, leaf, lambda state: None, None)
        loops = tuple(
            stmt
            for one in whole_passes(form, self.sparse, self.fills(), dtype, cut=cut)
            for stmt in descent.go(State(frozenset(), self.cursors(one), tuple(brackets)))
        )
        begun = self.widened() if self.accumulate else (self.fill(start),)
        if rest is None:
            return (*begun, *loops, *self.narrowed())
        clear = Fill(self.visited().array, self.scheme.size(form.target), Number(0))
        return (*begun, clear, *loops, *self.fold_in(rest, ranks), *self.narrowed())

    def visited(self) -> Elem:
        """How many points of a place of the result have been visited."""
        name = self.form.target.tensor
        array = self.scheme.buffer(("visited", name), f"{name}_visited", "int64", written=True)
        return Elem(array, self.scheme.row_major(self.form.target))

    def fold_in(self, rest: int | float, ranks: tuple[str, ...]) -> tuple[Stmt, ...]:
        """The value of what was left out, once, where anything was."""
        scheme, op = self.scheme, _OPERATOR[self.form.reduction or "+"]
        seen, place = scheme.names.fresh("seen"), self.visited()
        every = mul(*(scheme.extent(rank) for rank in ranks if rank not in self.target_ranks))
        once = Guard((Cond("<", Name(seen), every),), (Reduce(self.place(), op, Number(rest)),))
        body: tuple[Stmt, ...] = (Fetch(seen, place.array, place.index, (once,)),)
        for rank in reversed(self.target_ranks):
            body = (Loop(scheme.rank(rank), Range(ZERO, scheme.extent(rank)), body),)
        return body

    def check_padding(self, access: Access) -> None:
        signature = self.scheme.signatures[access.tensor]
        open_to_doubt = any(signature.padded) and not signature.skips_padding
        if open_to_doubt and self.form.reduction not in ("+", "|"):
            raise KernelError(
                f"padding of {access.tensor} under {self.form.reduction}= has no value "
                "that is right for every layer\n"
                f'Leave it out: pad={{"{access.tensor}": {{..., "value": "skip"}}}}, or pad '
                f"{access.tensor} yourself with the value that you mean."
            )

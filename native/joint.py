"""Kernels that evaluate the right side whole, at every point: max, min and the other reductions,
and a function under a sum."""

from __future__ import annotations

from zeroskip.einsum_spec.explicit import pointed_out
from zeroskip.einsum_spec.tree import Access, Compare
from zeroskip.einsum_spec.walk import accesses, by_data, expressions, variables
from zeroskip.errors import KernelError
from zeroskip.native.absence import needed
from zeroskip.native.cursor import State
from zeroskip.native.descend import Descent
from zeroskip.native.dtypes import LOGICAL, identity
from zeroskip.native.forms import is_bracket, plain_target, right_side
from zeroskip.native.nest import Fill, Reduce, Stmt
from zeroskip.native.passes import whole_visits
from zeroskip.native.pointwise import plus, times
from zeroskip.native.scheme import Scheme
from zeroskip.native.shape import Shape, follows, product, unless_one
from zeroskip.native.values import Func, Number, Value

_OPERATOR = {"+": "+", "*": "*", "max": "max", "min": "min", "|": "max", "&": "min"}
"""``|`` and ``&`` are the maximum and the minimum of truth values."""


class Joint(Shape):
    """The right side whole, at every point: reductions that are no sum, and sums of functions."""

    bound: tuple[str, ...] = ()
    """Ranks of the result that loops around have bound already."""

    def __init__(self, scheme: Scheme, accumulate: bool = False) -> None:
        super().__init__(scheme)
        self.accumulate = accumulate
        self.op = _OPERATOR[self.form.reduction or "+"]
        self.start = identity(self.form.reduction or "+", scheme.dtype)
        self.visits = whole_visits(self.form, self.known, scheme.dtype)
        self.rest = self.visits.rest

    def body(self) -> tuple[Stmt, ...]:
        loops = self.loops()
        begun = self.widened() if self.accumulate else (self.fill(self.start),)
        if self.rest is None:
            return (*begun, *loops, *self.narrowed())
        clear = Fill(self.visit().array, self.scheme.size(self.form.target), Number(0))
        return (*begun, clear, *loops, *self.fold_in(self.rest), *self.narrowed())

    def loops(self) -> tuple[Stmt, ...]:
        """Every pass over the right side."""
        form, dtype = self.form, self.scheme.dtype
        whole = right_side(form)
        for access in accesses(whole):
            self.check_padding(access)
        begin = self.start if self.rest is None else self.rest
        brackets = []
        for node in dict.fromkeys(n for n in expressions(whole) if is_bracket(n)):
            assert isinstance(node, Compare)
            if needed(whole, node, self.known.fills, begin):
                brackets.append(node)
        factors = [f for t in form.terms for f in t.factors]

        def leaf(state: State) -> tuple[Stmt, ...]:
            return self.fetched(state, factors, reduce)

        def reduce(state: State) -> tuple[Stmt, ...]:
            found = {c.access: descent.read(c) for c in state.cursors}
            sums: list[Value] = []
            for term in form.terms:
                values = self.scale(term) + [found[a] for a in term.accesses]
                values += [self.factor(f, found) for f in term.factors if f not in brackets]
                sums.append(times(values or [Number(1)], self.scheme, dtype))
            work = sum(max(len(t.accesses) + len(t.factors) - 1, 0) for t in form.terms)
            value = self.post(plus(sums, self.scheme, dtype))
            if form.reduction in LOGICAL:
                value = Func("truth", (value,))
            value = self.absent_skipped(value, whole, begin, state)
            return self.put(value, work, state)

        descent = Descent(
            self.scheme, self.every_rank(), leaf, lambda state: None, self.innermost()
        )
        bound = frozenset(self.bound)
        return tuple(
            stmt
            for one in self.visits.passes
            for stmt in descent.go(State(bound, self.cursors(one), tuple(brackets)))
        )

    def innermost(self) -> str | None:
        """The result's last rank, as in `Sums.innermost`; also where the last reduced one is the
        place in a window along the same axis, which few points have."""
        reads = tuple(accesses(right_side(self.form)))
        reduced = [rank for rank in self.every_rank() if rank not in self.target_ranks]
        if not reduced or not self.target_ranks or not plain_target(self.form):
            return None
        if self.bound or any(map(by_data, reads)):
            return None
        if not all(self.scheme.signatures[access.tensor].dense for access in reads):
            return None
        last, inner = self.target_ranks[-1], reduced[-1]
        window = any({last, inner} <= {*variables(s)} for a in reads for s in a.subscripts)
        return last if follows(reads, last) and (window or not follows(reads, inner)) else None

    def put(self, value: Value, work: int, state: State) -> tuple[Stmt, ...]:
        """Reduce a value into its place."""
        stmts: tuple[Stmt, ...] = (Reduce(self.place(), self.op, value, work),)
        if self.rest is not None:
            stmts = (*stmts, Reduce(self.visit(), "+", Number(1)))
        return stmts

    def every_rank(self) -> tuple[str, ...]:
        ranks = dict.fromkeys(rank for term in self.form.terms for rank in self.ranks(term))
        return tuple(ranks) or self.target_ranks

    def fold_in(self, rest: int | float) -> tuple[Stmt, ...]:
        """The value of what was left out, where anything was: once, or in a sum so many times."""

        def fold(missing: Value) -> Stmt:
            value = Number(rest) if self.op != "+" else product([*unless_one(rest), missing])
            return Reduce(self.place(), self.op, value)

        return self.unvisited(self.every_rank(), fold)

    def check_padding(self, access: Access) -> None:
        signature = self.scheme.signatures[access.tensor]
        open_to_doubt = any(signature.padded) and not signature.skips_padding
        if open_to_doubt and self.form.reduction not in ("+", "|"):
            line = "\n".join(pointed_out(self.form, access))
            raise KernelError(
                f"padding of {access.tensor} under {self.form.reduction}= has no value "
                f"that is right for every layer\n{line}\n"
                f'Leave it out: pad={{"{access.tensor}": {{..., "value": "skip"}}}}, or pad '
                f"{access.tensor} yourself with the value that you mean."
            )

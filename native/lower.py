"""A form and its operands' levels → the loop nest of a kernel.

Three shapes of kernel, all from `descend`:

    direct   every point of the result is visited once: sums are held in an accumulator and
             stored together with the bias and the pointwise function
    scatter  the result starts at the identity; each term adds into it; a last pass adds the
             bias and applies the function
    joint    the right side is evaluated whole at every point of the iteration space (max, min
             and the other reductions, and a function under a reduction)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term, summed
from zeroskip.einsum_spec.tree import Access, Add, Affine, Call, Compare, Expr, Literal, Mul
from zeroskip.einsum_spec.walk import (
    accesses,
    by_data,
    expressions,
    free,
    gathers,
    single,
    subscripts,
)
from zeroskip.errors import KernelError
from zeroskip.native.absence import needed
from zeroskip.native.descend import Cursor, Descent, Leaf, State, sides_of
from zeroskip.native.dtypes import LOGICAL, identity
from zeroskip.native.functions import FUNCTIONS
from zeroskip.native.nest import (
    ZERO,
    Acc,
    Elem,
    Fill,
    Func,
    Guard,
    Held,
    Kernel,
    Loop,
    Number,
    Once,
    Prod,
    Range,
    Reduce,
    Stmt,
    Sum,
    Value,
)
from zeroskip.native.operand import Signature
from zeroskip.native.pointwise import times, value_of
from zeroskip.native.scheme import Key, Scheme

_OPERATOR = {"+": "+", "*": "*", "max": "max", "min": "min", "|": "max", "&": "min"}
"""``|`` and ``&`` are the maximum and the minimum of truth values."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel and what its slots stand for.

    buffers, dims : what each slot of ``zs_args`` holds, as in `Scheme`.
    scalars : the operand of each parameter.
    checks : tensor, axis and subscript of each check of a place that data names.
    """

    kernel: Kernel
    buffers: tuple[Key, ...]
    dims: tuple[Key, ...]
    scalars: tuple[str, ...]
    checks: tuple[tuple[str, int, str], ...] = ()


def lower(
    form: Form,
    signatures: Mapping[str, Signature],
    dtype: str,
    *,
    hits: bool = False,
    accumulate: bool = False,
) -> Lowered:
    """Loop nest for ``form``.

    Parameters
    ----------
    signatures : of every operand, by name.
    dtype : of the result and of all arithmetic.
    hits : also mark, in a buffer ``("hit", result)`` of uint8, each place that a stored
        product reaches; for sparse results.
    accumulate : start from what the result holds already (a reduction with ``out=``).

    Raises
    ------
    KernelError
        Where the form cannot be lowered; names the term.
    """
    scheme = Scheme(form, signatures, dtype)
    work = _Joint(scheme, accumulate) if is_joint(form) else Sums(scheme, hits, accumulate)
    body = work.body()
    return finish(scheme, work.title(), body)


def is_joint(form: Form) -> bool:
    """Whether the right side must be evaluated whole at every point, densely."""
    return form.reduction not in (None, "+") or (form.reduction == "+" and form.post is not None)


def one_product(
    form: Form, signatures: Mapping[str, Signature], dtype: str
) -> tuple[Term, tuple[Term, ...], tuple[str, ...]] | None:
    """The one product of a form, the terms to add to its sums, and the ranks of the result;
    None where there are more, or the result is not stored point by point."""
    if form.reduction is not None or any(term.factors for term in form.terms):
        return None
    if any(map(by_data, (form.target, *form.reads))):
        return None
    sums = Sums(Scheme(form, signatures, dtype))
    main, late = sums.parts()
    if len(main) != 1 or not sums.plain_target():
        return None
    return main[0], late, sums.target_ranks


def finish(scheme: Scheme, title: tuple[str, ...], body: tuple[Stmt, ...]) -> Lowered:
    """A kernel of the statements and of everything that the scheme has named."""
    kernel = Kernel(
        title,
        tuple(scheme.buffers.values()),
        tuple(scheme.dims.values()),
        tuple(scheme.parameters.items()),
        scheme.dtype,
        body,
    )
    scalars = tuple(scheme.scalars[name] for name in scheme.parameters)
    checks = tuple(scheme.checks)
    return Lowered(kernel, tuple(scheme.buffers), tuple(scheme.dims), scalars, checks)


class _Shape:
    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self.form = scheme.form
        target = self.form.target
        self.target_ranks = tuple(free(target))
        self.result = scheme.buffer(
            ("vals", target.tensor), f"{target.tensor}_vals", scheme.dtype, written=True
        )

    def title(self) -> tuple[str, ...]:
        """The line, and how each operand is stored."""
        notes = []
        for name, signature in self.scheme.signatures.items():
            levels = " ".join(
                "*".join(map(str, level.axes)) + ":" + level.letter for level in signature.levels
            )
            notes.append(f"{name}: {levels or 'scalar'}, {signature.dtype}")
        return (form_text(self.form), *notes)

    def place(self) -> Elem:
        return Elem(self.result, self.scheme.row_major(self.form.target))

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

    def cursors(
        self, accesses: tuple[Access, ...], optional: Sequence[Access] = ()
    ) -> tuple[Cursor, ...]:
        """One for each access; the sparse ones whose subscripts are all plain ranks lead."""
        made = []
        count: dict[str, int] = {}
        for k, access in enumerate((*accesses, *optional)):
            count[access.tensor] = count.get(access.tensor, 0) + 1
            n = count[access.tensor]
            tag = access.tensor if n == 1 else f"{access.tensor}{n}"
            signature = self.scheme.signatures[access.tensor]
            made.append(Cursor(access, signature, tag, optional=k >= len(accesses)))
        plain = {c.tag: all(single(s) is not None for s in c.access.subscripts) for c in made}
        return tuple(sorted(made, key=lambda c: not plain[c.tag]))

    def fills(self) -> dict[str, int | float]:
        """What stands for nothing, by operand."""
        return dict.fromkeys(self.scheme.signatures, 0)

    def factor(self, node: Expr, found: Mapping[Access, Value]) -> Value:
        return value_of(node, self.scheme, found.__getitem__, self.scheme.dtype)

    def fetched(
        self, descent: Descent, state: State, factors: Iterable[Expr], make: Leaf
    ) -> tuple[Stmt, ...]:
        """What ``make`` gives once the places that values and the target name are read."""
        wanted: list[Access | tuple[Access, int]] = [
            gather.access
            for factor in factors
            for part in subscripts(factor)
            for gather in gathers(part)
            if gather.access not in state.fetched
        ]
        wanted += descent.places_of(state, self.form.target)
        return descent.fetch(state, list(dict.fromkeys(wanted)), make)

    def post(self, value: Value) -> Value:
        return value if self.form.post is None else Func(self.form.post, (value,))

    def fill(self, value: int | float) -> Stmt:
        return Fill(self.result, self.scheme.size(self.form.target), Number(value))


def product(values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else Prod(tuple(values))


def total(values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else Sum(tuple(values))


def stored_values(state: State, descent: Descent) -> tuple[Value, ...]:
    """Values of which a 0 only bridges a run, or fills a group."""
    return tuple(descent.value(c) for c in state.cursors if c.signature.bridged)


class Sums(_Shape):
    """``=`` and ``+=`` over sums of products.

    bound : ranks of the result that loops around have bound already.
    """

    bound: tuple[str, ...] = ()

    def __init__(self, scheme: Scheme, hits: bool = False, accumulate: bool = False) -> None:
        super().__init__(scheme)
        self.accumulate = accumulate
        self.hit = ""
        if hits:
            tensor = self.form.target.tensor
            self.hit = scheme.buffer(("hit", tensor), f"{tensor}_hit", "uint8", written=True)

    def body(self) -> tuple[Stmt, ...]:
        main, late = self.parts()
        if self.hit or not self.plain_target():
            main, late = self.form.terms, ()
        if self.accumulate:
            return tuple(s for t in self.form.terms for s in self._term(t, None))
        if not main:
            main, late = late[:1], late[1:]
        if len(main) == 1 and not self.hit and self.plain_target():
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
        return tuple(stmts)

    def plain_target(self) -> bool:
        plain = [single(s) for s in self.form.target.subscripts]
        return all(plain) and len(set(plain)) == len(plain)

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

    def store(self, held: Value, late: Iterable[Value]) -> Reduce:
        """Into one place of the result: its sum, with the bias and the function."""
        value = total([held, *late])
        return Reduce(self.place(), "=", self.post(value))

    def over_result(self, body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
        """Visit every point of the result's ranks."""
        for rank in reversed(self.target_ranks):
            body = (Loop(self.scheme.rank(rank), Range(ZERO, self.scheme.extent(rank)), body),)
        return body

    def _direct(self, term: Term, late: tuple[Term, ...]) -> tuple[Stmt, ...] | None:
        """Accumulate in a register and store once; None where a point is not visited once."""
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
        ranks = self.ranks(term)
        brackets = tuple(f for f in term.factors if isinstance(f, Compare) and is_bracket(f))
        factors = tuple(f for f in term.factors if not is_bracket(f))
        whole = product_of(term)
        reads = dict.fromkeys(a for factor in factors for a in accesses(factor))
        inner = [a for a in reads if a not in term.accesses]
        follow = [a for a in inner if needed(whole, a, self.fills(), 0)]
        optional = [a for a in inner if a not in follow]

        def leaf(state: State) -> tuple[Stmt, ...]:
            return self.fetched(descent, state, factors, reduce)

        def reduce(state: State) -> tuple[Stmt, ...]:
            found = {c.access: descent.read(c) for c in state.cursors}
            values = self.scale(term)
            values += [descent.read(c) for c in state.cursors if c.access in term.accesses]
            values += [self.factor(node, found) for node in factors]
            values = values or [Number(1)]
            work = max(len(term.accesses) + len(factors) - 1, 0)
            value = times(values, self.scheme, self.scheme.dtype)
            if into is not None:
                return (Reduce(into, "+", value, work),)
            return self.put(value, work, stored_values(state, descent))

        descent = Descent(self.scheme, ranks, leaf, hook or (lambda state: None), None)
        cursors = self.cursors((*term.accesses, *follow), optional)
        return descent.go(State(frozenset(self.bound), cursors, brackets=brackets))

    def put(self, value: Value, work: int, stored: tuple[Value, ...]) -> tuple[Stmt, ...]:
        """Add a product to its place, with what is noted of the place.

        stored : values that must not be 0 for an entry to be more than a bridge of a run.
        """
        place = self.place()
        stmts: tuple[Stmt, ...] = (Reduce(place, "+", value, work),)
        if form_scatters(self.form):
            stmts = (Once(Elem(self.mark(), place.index)), *stmts)
        if self.hit:
            mark = Reduce(Elem(self.hit, self.scheme.row_major(self.form.target)), "=", Number(1))
            stmts += (Guard((), (mark,), stored),) if stored else (mark,)
        return stmts

    def mark(self) -> str:
        tensor = self.form.target.tensor
        return self.scheme.buffer(("mark", tensor), f"{tensor}_mark", "uint8", written=True)

    def _last_pass(self, late: tuple[Term, ...]) -> tuple[Stmt, ...]:
        """Bias and function at every place that the target writes; the others stay 0."""
        return self.over_result((self.store(self.place(), map(self.late_value, late)),))


class _Joint(_Shape):
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
        brackets = []
        for node in dict.fromkeys(n for n in expressions(whole) if is_bracket(n)):
            assert isinstance(node, Compare)
            if needed(whole, node, self.fills(), start):
                brackets.append(node)
        reads = dict.fromkeys(accesses(whole))
        follow = tuple(a for a in reads if needed(whole, a, self.fills(), start))
        optional = [a for a in reads if a not in follow]
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
            value = self.post(total(sums))
            if reduction in LOGICAL:
                value = Func("truth", (value,))
            return (Reduce(self.place(), _OPERATOR[reduction], value, work),)

        descent = Descent(self.scheme, ranks, leaf, lambda state: None, None)
        cursors = self.cursors(follow, optional)
        loops = descent.go(State(frozenset(), cursors, brackets=tuple(brackets)))
        return loops if self.accumulate else (self.fill(start), *loops)

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


def product_of(term: Term) -> Expr:
    """The product of a term as one expression, its scalars and its sum left out."""
    parts: tuple[Expr, ...] = (*term.accesses, *term.factors)
    return parts[0] if len(parts) == 1 else Mul(parts or (Literal(1),))


def right_side(form: Form) -> Expr:
    """The whole right side as one expression to be evaluated at a point."""
    terms = tuple(summed(term) for term in form.terms)
    whole: Expr = terms[0] if len(terms) == 1 else Add(terms)
    if form.post is not None:
        whole = Call(form.post, (whole,))
    return Call("truth", (whole,)) if form.reduction in LOGICAL else whole


def optional_operands(form: Form, dtype: str) -> set[str]:
    """Operands that are looked up, because loops may not follow what they store."""
    found: set[str] = set()
    if is_joint(form):
        whole, start = right_side(form), identity(form.reduction or "+", dtype)
        reads = dict.fromkeys(accesses(whole))
        return {a.tensor for a in reads if not needed(whole, a, {}, start)}
    for term in form.terms:
        whole = product_of(term)
        reads = dict.fromkeys(a for f in term.factors for a in accesses(f))
        found |= {a.tensor for a in reads if a not in term.accesses and not needed(whole, a, {}, 0)}
    return found


def is_bracket(node: Expr) -> bool:
    """A comparison of places that loops can follow; one of data is a value."""
    return (
        isinstance(node, Compare)
        and isinstance(node.left, Affine)
        and isinstance(node.right, Affine)
        and not any(True for side in sides_of(node) for _ in gathers(side))
    )


def form_scatters(form: Form) -> bool:
    """Whether ``=`` writes where data says, so that each place must be seen to be hit once."""
    return form.reduction is None and by_data(form.target)


def fill_of(form: Form) -> float:
    """Value of a result where nothing is stored: the function at 0."""
    return 0.0 if form.post is None else FUNCTIONS[form.post].at_zero

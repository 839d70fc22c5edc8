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

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import free, single
from zeroskip.errors import KernelError
from zeroskip.native.descend import Cursor, Descent, State
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
    Prod,
    Range,
    Reduce,
    Select,
    Stmt,
    Sum,
    Value,
)
from zeroskip.native.operand import Signature
from zeroskip.native.scheme import Key, Scheme

_OPERATOR = {"+": "+", "*": "*", "max": "max", "min": "min", "|": "max", "&": "min"}
"""``|`` and ``&`` are the maximum and the minimum of truth values."""


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel and what its slots stand for.

    buffers, dims : what each slot of ``zs_args`` holds, as in `Scheme`.
    scalars : the operand of each parameter.
    """

    kernel: Kernel
    buffers: tuple[Key, ...]
    dims: tuple[Key, ...]
    scalars: tuple[str, ...]


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
    if form.reduction is not None:
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
    return Lowered(kernel, tuple(scheme.buffers), tuple(scheme.dims), scalars)


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
        if term.number != 1 or not (term.accesses or term.scalars):
            values.append(Number(term.number))
        for name in term.scalars:
            values.append(self.scheme.scalar(name))
        return values

    def ranks(self, term: Term) -> tuple[str, ...]:
        names = dict.fromkeys(self.target_ranks)
        for access in term.accesses:
            names.update(free(access))
        names.update(dict.fromkeys(term.ranks))
        names.update(dict.fromkeys(self.form.reduced))
        return tuple(names)

    def cursors(self, accesses: tuple[Access, ...]) -> tuple[Cursor, ...]:
        """One for each access; the sparse ones whose subscripts are all plain ranks lead."""
        made = []
        count: dict[str, int] = {}
        for access in accesses:
            count[access.tensor] = count.get(access.tensor, 0) + 1
            n = count[access.tensor]
            tag = access.tensor if n == 1 else f"{access.tensor}{n}"
            made.append(Cursor(access, self.scheme.signatures[access.tensor], tag))
        plain = {c.tag: all(single(s) is not None for s in c.access.subscripts) for c in made}
        return tuple(sorted(made, key=lambda c: not plain[c.tag]))

    def post(self, value: Value) -> Value:
        return value if self.form.post is None else Func(self.form.post, value)

    def fill(self, value: int | float) -> Stmt:
        return Fill(self.result, self.scheme.size(self.form.target), Number(value))


def product(values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else Prod(tuple(values))


def total(values: list[Value]) -> Value:
    return values[0] if len(values) == 1 else Sum(tuple(values))


def present(value: Value, cursors: tuple[Cursor, ...], descent: Descent) -> Value:
    """A product in which zeros that stand for absent values stay absent, whatever they meet.

    Integers need no care: 0 times anything is 0.
    """
    if not descent.scheme.dtype.startswith("float") or not isinstance(value, Prod):
        return value
    for cursor in cursors:
        if cursor.signature.fills:
            value = Select(descent.value(cursor), value)
    return value


class Sums(_Shape):
    """``=`` and ``+=`` over sums of products."""

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
            and not self.form.reduced
            and names <= set(self.target_ranks)
            and len(term.accesses) <= 1
            and all(
                self.scheme.signatures[a.tensor].dense
                and not any(self.scheme.signatures[a.tensor].padded)
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
            if held or not targets <= state.bound or not state.whole:
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

        def leaf(state: State) -> tuple[Stmt, ...]:
            values = self.scale(term) + [descent.value(c) for c in state.cursors]
            place = into if into is not None else self.place()
            work = max(len(state.cursors) - 1, 0)
            value = present(product(values), state.cursors, descent)
            stmts: tuple[Stmt, ...] = (Reduce(place, "+", value, work),)
            if self.hit:
                mark = Reduce(
                    Elem(self.hit, self.scheme.row_major(self.form.target)), "=", Number(1)
                )
                stored = tuple(descent.value(c) for c in state.cursors if c.signature.bridged)
                stmts += (Guard((), (mark,), stored),) if stored else (mark,)
            return stmts

        descent = Descent(self.scheme, ranks, leaf, hook or (lambda state: None), None)
        return descent.go(State(frozenset(), self.cursors(term.accesses)))

    def _last_pass(self, late: tuple[Term, ...]) -> tuple[Stmt, ...]:
        """Bias and function at every place that the target writes; the others stay 0."""
        return self.over_result((self.store(self.place(), map(self.late_value, late)),))


class _Joint(_Shape):
    """Reductions that are no sum: the right side whole, at every point."""

    def __init__(self, scheme: Scheme, accumulate: bool = False) -> None:
        super().__init__(scheme)
        self.accumulate = accumulate

    def body(self) -> tuple[Stmt, ...]:
        for term in self.form.terms:
            if term.ranks:
                raise KernelError(
                    f"a sum over {', '.join(term.ranks)} stands inside "
                    f"{self.form.reduction}= of {self.form.target.tensor}\n"
                    "Write the sum as a line of its own, and reduce its result."
                )
            for access in term.accesses:
                signature = self.scheme.signatures[access.tensor]
                if any(signature.padded):
                    raise KernelError(
                        f"padding of {access.tensor} under {self.form.reduction}= has no value "
                        "that is right for every layer\n"
                        f"Pad {access.tensor} yourself with the value that you mean."
                    )
                if signature.skips:
                    raise KernelError(f"{access.tensor} must be dense under {self.form.reduction}=")
        ranks = tuple(dict.fromkeys(r for t in self.form.terms for r in self.ranks(t)))
        ranks = ranks or self.target_ranks
        accesses = tuple(a for t in self.form.terms for a in t.accesses)
        cursors = self.cursors(accesses)
        reduction = self.form.reduction or "+"
        operator = _OPERATOR[reduction]
        dtype = self.scheme.dtype

        def leaf(state: State) -> tuple[Stmt, ...]:
            found = {id(c.access): descent.value(c) for c in state.cursors}
            sums: list[Value] = []
            for term in self.form.terms:
                used = tuple(c for c in state.cursors if c.access in term.accesses)
                values = self.scale(term) + [found[id(a)] for a in term.accesses]
                sums.append(present(product(values), used, descent))
            work = sum(max(len(t.accesses) - 1, 0) for t in self.form.terms)
            value = self.post(total(sums))
            if reduction in LOGICAL:
                value = Func("truth", value)
            return (Reduce(self.place(), operator, value, work),)

        descent = Descent(self.scheme, ranks, leaf, lambda state: None, None)
        loops = descent.go(State(frozenset(), cursors))
        return loops if self.accumulate else (self.fill(identity(reduction, dtype)), *loops)


def fill_of(form: Form) -> float:
    """Value of a result where nothing is stored: the function at 0."""
    return 0.0 if form.post is None else FUNCTIONS[form.post].at_zero

"""`Statement` into `Form`: implicit sums placed, products distributed over sums.

An implicit sum covers, for each additive term, the ranks that the term holds and the target
lacks.  One pointwise function around the whole is applied after the sums.  A reduction at the
assignment covers every rank of the right side that the target lacks; a reduction around the
whole right side, `O[m] = max[k](A[m,k])`, is the same thing.

What the tree can say and `Form` cannot is refused, with what to write instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.functions import POINTWISE, REDUCTIONS
from zeroskip.einsum_spec.subscripts import fold
from zeroskip.einsum_spec.targets import check_target
from zeroskip.einsum_spec.tokens import MAX_FACTORS, MAX_INTEGER, MAX_TERMS
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Call,
    Compare,
    Div,
    Expr,
    Literal,
    Mul,
    Neg,
    Reduce,
    Scalar,
    Statement,
)
from zeroskip.einsum_spec.walk import accesses, children, free, map_subscripts
from zeroskip.errors import EinsumError

Consts = Mapping[str, int | float]


def elaborate(
    statement: Statement,
    consts: Consts | None = None,
    *,
    text: str | None = None,
    written: bool = False,
) -> Form:
    """What a statement means.

    Parameters
    ----------
    statement : Statement
    consts : mapping of str to number, optional
        Values of named constants, folded in; others stay by name.
    text : str, optional
        The text that the spans of ``statement`` point into, for errors.
    written : bool
        Keep terms and factors in the order in which they were written.  Without it
        they are sorted, so that two ways to write one line give equal forms.

    Raises
    ------
    EinsumError
        For an ambiguous sum, a target that is hit twice by ``=``, and for what a
        `Form` cannot hold.
    """
    work = _Elaboration(statement, consts or {}, text)
    form = work.form()
    check_target(form, statement, text)
    return form if written else canonical_order(form)


def canonical_order(form: Form) -> Form:
    """The form with factors and terms sorted by what they are, not by where they stood."""
    terms = []
    for term in form.terms:
        accesses = tuple(sorted(term.accesses, key=deparse))
        ranks = _ranks_in_order(term.ranks, accesses)
        scalars = tuple(sorted(term.scalars))
        terms.append(replace(term, scalars=scalars, accesses=accesses, ranks=ranks))
    terms.sort(key=lambda t: ([deparse(a) for a in t.accesses], t.scalars, t.ranks, t.number))
    held = [access for term in terms for access in term.accesses]
    return replace(form, terms=tuple(terms), reduced=_ranks_in_order(form.reduced, held))


def _ranks_in_order(ranks: Iterable[str], accesses: Iterable[Access]) -> tuple[str, ...]:
    wanted = set(ranks)
    seen = dict.fromkeys(v for a in accesses for v in free(a) if v in wanted)
    return (*seen, *sorted(wanted - set(seen)))


def _accesses(node: Expr) -> bool:
    return next(accesses(node), None) is not None


class _Elaboration:
    """One statement on its way to a form."""

    def __init__(self, statement: Statement, consts: Consts, text: str | None) -> None:
        self.consts, self.text = consts, text
        self.target = self.folded(statement.target)
        self.reduction = statement.reduction
        value = map_subscripts(statement.value, lambda part: fold(part, consts, text))
        self.value: Expr = value
        self.outer = free(self.target)
        self.covered: frozenset[str] | set[str] = frozenset()  # by explicit sums around
        self.everything = self.reduction is not None  # op= covers every rank of the right side

    def folded(self, access: Access) -> Access:
        parts = tuple(fold(part, self.consts, self.text) for part in access.subscripts)
        return Access(access.tensor, parts, access.span)

    def error(self, message: str, at: Expr | Access, hint: str | None = None) -> EinsumError:
        return EinsumError(message, text=self.text, spans=[at.span] if at.span else [], hint=hint)

    # ---- the whole right side -----------------------------------------------------------

    def form(self) -> Form:
        body, reduction = self.value, self.reduction
        explicit: tuple[str, ...] | None = None
        if reduction is None and isinstance(body, Reduce) and self.whole_reduction(body):
            reduction, explicit, body = REDUCTIONS[body.op], body.ranks, body.body
            self.check_explicit(explicit, self.value)
        body, post = self.outermost_function(body)
        if explicit is not None:
            self.refuse_implicit(body, explicit)
            self.everything = True
        terms = self.expand(body)
        if reduction is None:
            terms = [self.with_implicit_sums(term) for term in terms]
            return Form(self.target, None, post, tuple(terms), ())
        reduced = dict.fromkeys(explicit or ())
        for term in terms:
            for access in term.accesses:
                reduced.update(free(access))
        bound = {name for term in terms for name in term.ranks}
        for name in self.outer:
            reduced.pop(name, None)
        free_again = bound & set(free(body)) if explicit is None else bound & set(explicit)
        if free_again:
            name = sorted(free_again)[0]
            raise self.error(
                f"rank {name} is summed inside and reduced outside",
                self.value,
                f"Give the inner one a name of its own: sum[{name}1](...).",
            )
        for name in bound:
            reduced.pop(name, None)
        return Form(self.target, reduction, post, tuple(terms), tuple(reduced))

    def whole_reduction(self, node: Reduce) -> bool:
        """Whether a reduction around the right side is more than a sum of products."""
        return node.op != "sum" or self.outermost_function(node.body)[1] is not None

    def outermost_function(self, body: Expr) -> tuple[Expr, str | None]:
        match body:
            case Call(function=name, args=(arg,)) if name in POINTWISE:
                return arg, name
            case Call(function="max", args=(Literal(value=0), arg) | (arg, Literal(value=0))):
                return arg, "relu"
            case _:
                return body, None

    def refuse_implicit(self, body: Expr, explicit: tuple[str, ...]) -> None:
        left = [n for n in free(body) if n not in self.outer and n not in explicit]
        if left and isinstance(self.value, Reduce):
            op, ranks, k = self.value.op, ",".join(explicit), ",".join(left)
            inner = deparse(self.value.body)
            raise self.error(
                f"ambiguous sum: {', '.join(left)} under {op}[{ranks}] is not on the left",
                self.value,
                f"Write {op}[{ranks}](sum[{k}]({inner})) or sum[{k}]({op}[{ranks}]({inner})).",
            )

    def check_explicit(self, ranks: tuple[str, ...], at: Expr) -> None:
        for name in ranks:
            if name in self.outer:
                raise self.error(
                    f"rank {name} is reduced, and the result has it too",
                    at,
                    f"Take {name} from the left side, or give the reduced rank another name.",
                )

    def with_implicit_sums(self, term: Term) -> Term:
        held = dict.fromkeys(n for access in term.accesses for n in free(access))
        ranks = [n for n in held if n not in self.outer and n not in term.ranks]
        return replace(term, ranks=(*term.ranks, *ranks))

    # ---- sums of products ---------------------------------------------------------------

    def expand(self, node: Expr) -> list[Term]:
        """The additive terms of an expression; ``ranks`` holds explicit sums only."""
        match node:
            case Literal(value=value):
                return [Term(value, (), (), ())]
            case Scalar(name=name):
                if name in self.consts:
                    return [Term(self.consts[name], (), (), ())]
                return [Term(1, (name,), (), ())]
            case Access():
                return [Term(1, (), (node,), ())]
            case Neg(arg=arg):
                return [replace(term, number=-term.number) for term in self.expand(arg)]
            case Add(terms=parts):
                return self.capped([term for part in parts for term in self.expand(part)], node)
            case Mul(factors=factors):
                product = self.expand(factors[0])
                for factor in factors[1:]:
                    others = self.expand(factor)
                    if len(product) * len(others) > MAX_TERMS:
                        self.capped(product * len(others), node)
                    product = [self.times(a, b, node) for a in product for b in others]
                self.check_product(product, node)
                return product
            case Div(numerator=top, denominator=bottom):
                divisor = self.number(bottom)
                return [
                    replace(term, number=self.quotient(term.number, divisor, node))
                    for term in self.expand(top)
                ]
            case Reduce(op="sum", ranks=ranks, body=body):
                self.check_explicit(ranks, node)
                before, self.covered = self.covered, self.covered | set(ranks)
                terms = self.expand(body)
                self.covered = before
                return [self.summed(term, ranks, node) for term in terms]
            case Reduce():
                raise self.refuse_inside(node, node.op, deparse(node))
            case Call(function=name):
                raise self.refuse_function(node, name)
            case Compare():
                raise self.error(
                    "an Iverson bracket cannot be computed yet",
                    node,
                    "Pass its values as an operand: a mask of zeros and ones.",
                )

    def check_product(self, terms: list[Term], node: Mul) -> None:
        """Refuse a product of sums whose parts would be summed over different ranks.

        Multiplying out is only right where every part is summed alike, or where nothing but
        numbers and scalars stand outside the brackets.
        """
        if self.everything or sum(1 for f in node.factors if _accesses(f)) < 2:
            return
        implicit = []
        for term in terms:
            held = dict.fromkeys(n for access in term.accesses for n in free(access))
            inner = {*self.outer, *self.covered, *term.ranks}
            implicit.append({n for n in held if n not in inner})
        every = set().union(*implicit)
        if any(ranks != every for ranks in implicit):
            k = ",".join(sorted(every))
            raise self.error(
                f"ambiguous sum: multiplied out, parts of {deparse(node)} do not hold {k}",
                node,
                f"Write sum[{k}]({deparse(node)}) to sum the whole product, or the parts with sums"
                " of their own.",
            )

    def capped(self, terms: list[Term], at: Expr) -> list[Term]:
        if len(terms) > MAX_TERMS:
            raise self.error(
                f"more than {MAX_TERMS} additive terms once products are multiplied out",
                at,
                "Compute the sums in lines of their own.",
            )
        return terms

    def times(self, a: Term, b: Term, at: Expr) -> Term:
        for one, other in ((a, b), (b, a)):
            held = {n for access in other.accesses for n in free(access)} | set(other.ranks)
            clash = [name for name in one.ranks if name in held]
            if clash:
                raise self.error(
                    f"rank {clash[0]} of a sum stands in the other factor as well",
                    at,
                    f"Give the summed rank a name of its own: sum[{clash[0]}1](...).",
                )
        if sum(len(t.accesses) + len(t.scalars) for t in (a, b)) > MAX_FACTORS:
            raise self.error(
                f"a product of more than {MAX_FACTORS} factors",
                at,
                "Compute part of it in a line of its own.",
            )
        number = self.checked(a.number * b.number, at)
        return Term(number, a.scalars + b.scalars, a.accesses + b.accesses, a.ranks + b.ranks)

    def summed(self, term: Term, ranks: tuple[str, ...], at: Expr) -> Term:
        twice = [name for name in ranks if name in term.ranks]
        if twice:
            raise self.error(
                f"rank {twice[0]} is summed by two sums, one inside the other",
                at,
                f"Give the inner rank a name of its own: sum[{twice[0]}1](...).",
            )
        return replace(term, ranks=(*term.ranks, *ranks))

    # ---- numbers ------------------------------------------------------------------------

    def number(self, node: Expr) -> int | float:
        """The value of a divisor, which must be a number once constants are known."""
        terms = self.expand(node)
        total: int | float = 0
        for term in terms:
            if term.accesses:
                raise self.error(
                    f"division by a tensor, {deparse(node)}, cannot be computed yet",
                    node,
                    "Multiply by an operand that holds the reciprocals.",
                )
            if term.scalars or term.ranks:
                name = term.scalars[0] if term.scalars else term.ranks[0].upper()
                raise self.error(
                    f"the divisor {deparse(node)} has no value yet",
                    node,
                    f'Give it: consts={{"{name}": 9}}, or multiply by an operand of no axes'
                    " that holds the reciprocal.",
                )
            total += term.number
        return total

    def quotient(self, top: int | float, bottom: int | float, at: Expr) -> int | float:
        if bottom == 0:
            raise self.error("division by zero", at)
        if isinstance(top, int) and isinstance(bottom, int) and top % bottom == 0:
            return top // bottom
        return self.checked(top / bottom, at)

    def checked(self, value: int | float, at: Expr) -> int | float:
        if (isinstance(value, int) and abs(value) > MAX_INTEGER) or abs(value) == float("inf"):
            raise self.error(
                "a number out of range",
                at,
                "Whole numbers reach to 2**62, others to the largest float64.",
            )
        return value

    # ---- what a form cannot hold --------------------------------------------------------

    def refuse_function(self, node: Call, name: str) -> EinsumError:
        left = [n for n in free(node) if n not in self.outer]
        if left and self.reduction is None and not self.is_bound(node, left):
            k, inner = ",".join(left), ", ".join(map(deparse, node.args))
            return self.error(
                f"ambiguous sum: {', '.join(left)} under {name} is not on the left",
                node,
                f"Write {name}(sum[{k}]({inner})) or sum[{k}]({name}({inner})),"
                " in a line of its own.",
            )
        if len(node.args) > 1:
            return self.error(
                f"{name} of several arguments cannot be computed yet",
                node,
                "Write max(0, x) as relu(x); compute others outside and pass the result.",
            )
        return self.refuse_inside(node, name, deparse(node))

    def is_bound(self, node: Call, names: list[str]) -> bool:
        """Whether explicit reductions around ``node`` bind all of ``names``."""

        def search(at: Expr, bound: frozenset[str]) -> bool:
            if at is node:
                return bound.issuperset(names)
            inner = bound | set(at.ranks) if isinstance(at, Reduce) else bound
            return any(search(child, inner) for child in children(at))

        return search(self.value, frozenset())

    def refuse_inside(self, node: Expr, name: str, shown: str) -> EinsumError:
        axes = ",".join(free(node))
        line = f"T[{axes}] = {shown}" if axes else f"T = {shown}"
        return self.error(
            f"{name} inside a sum or product is a step of its own",
            node,
            f"Write it as a line before this one, and use T here:  {line}",
        )

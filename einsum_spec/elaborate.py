"""`Statement` into `Form`: implicit sums placed, products distributed over sums.

An implicit sum covers, for each additive term, the ranks that the term holds and the target
lacks.  One pointwise function around the whole is applied after the sums.  A reduction at the
assignment covers every rank of the right side that the target lacks; a reduction around the
whole right side, `O[m] = max[k](A[m,k])`, is the same thing.

What the tree can say and `Form` cannot is refused, with what to write instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.form import Form, Term, summed
from zeroskip.einsum_spec.functions import POINTWISE, REDUCTIONS
from zeroskip.einsum_spec.names import cancelled
from zeroskip.einsum_spec.ordering import canonical_order
from zeroskip.einsum_spec.subscripts import fold
from zeroskip.einsum_spec.targets import check_target
from zeroskip.einsum_spec.term_algebra import TermAlgebra
from zeroskip.einsum_spec.tokens import MAX_TERMS
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Call,
    Compare,
    Div,
    Expr,
    Literal,
    Mul,
    Neg,
    Place,
    Reduce,
    Scalar,
    Statement,
)
from zeroskip.einsum_spec.walk import accesses, free, map_subscripts, variables

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


def _accesses(node: Expr) -> bool:
    return next(accesses(node), None) is not None


class _Elaboration(TermAlgebra):
    """One statement on its way to a form."""

    def __init__(self, statement: Statement, consts: Consts, text: str | None) -> None:
        super().__init__(text)
        self.consts = consts
        self.target = self.folded(statement.target)
        self.reduction = statement.reduction
        self.value: Expr = map_subscripts(statement.value, self.part)
        self.outer = free(self.target)
        self.covered: frozenset[str] | set[str] = frozenset()  # by explicit sums around
        self.everything = self.reduction is not None  # op= covers every rank of the right side

    def folded(self, access: Access) -> Access:
        parts = tuple(map(self.part, access.subscripts))
        return Access(access.tensor, parts, access.span)

    def part(self, written: Affine) -> Affine:
        """A subscript in its normal form; refuses one that an index variable drops out of."""
        made = fold(written, self.consts, self.text)
        left = set(variables(made))
        for name in variables(written):
            if name not in left:
                raise cancelled(name, made, self.text)
        return made

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
        if reduction != "+" or post is not None:
            terms = [self.unsummed(term) for term in terms]
        reduced = dict.fromkeys(explicit or ())
        for term in terms:
            reduced.update(term.held)
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
        return node.op in REDUCTIONS and (
            node.op != "sum" or self.outermost_function(node.body)[1] is not None
        )

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
        ranks = [n for n in term.held if n not in self.outer and n not in term.ranks]
        return replace(term, ranks=(*term.ranks, *ranks))

    # ---- sums of products ---------------------------------------------------------------

    def expand(self, node: Expr, *, whole: bool = True) -> list[Term]:
        """The additive terms of an expression; ``ranks`` holds explicit sums only.

        whole : whether ``node`` is an additive term by itself, and no factor of a product.
        """
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
                return [replace(t, number=-t.number) for t in self.expand(arg, whole=whole)]
            case Add(terms=parts):
                expanded = [t for part in parts for t in self.expand(part, whole=whole)]
                return self.capped(expanded, node)
            case Mul(factors=factors):
                product = self.expand(factors[0], whole=whole and len(factors) == 1)
                for factor in factors[1:]:
                    others = self.expand(factor, whole=False)
                    if len(product) * len(others) > MAX_TERMS:
                        self.capped(product * len(others), node)
                    product = [self.times(a, b, node) for a in product for b in others]
                self.check_product(product, node)
                return product
            case Div(numerator=top, denominator=bottom):
                divisor = self.number(bottom)
                if divisor is None:
                    return [self.quotient_of(node, whole)]
                return [
                    replace(term, number=self.quotient(term.number, divisor, node))
                    for term in self.expand(top, whole=whole)
                ]
            case Reduce(op="sum", ranks=ranks, body=body):
                self.check_explicit(ranks, node)
                before, self.covered = self.covered, self.covered | set(ranks)
                terms = self.expand(body, whole=whole)
                self.covered = before
                return [self.summed(term, ranks, node) for term in terms]
            case Reduce() | Call() | Compare() | Place():
                return [_factor(self.pointwise(node))]

    def check_product(self, terms: list[Term], node: Mul) -> None:
        """Refuse a product of sums whose parts would be summed over different ranks.

        Multiplying out is only right where every part is summed alike, or where nothing but
        numbers and scalars stand outside the brackets.
        """
        if self.everything or sum(1 for f in node.factors if _accesses(f)) < 2:
            return
        implicit = []
        for term in terms:
            inner = {*self.outer, *self.covered, *term.ranks}
            implicit.append({n for n in term.held if n not in inner})
        every = set().union(*implicit)
        if any(ranks != every for ranks in implicit):
            k = ",".join(sorted(every))
            raise self.error(
                f"ambiguous sum: multiplied out, parts of {deparse(node)} do not hold {k}",
                node,
                f"Write sum[{k}]({deparse(node)}) to sum the whole product, or the parts with sums"
                " of their own.",
            )

    # ---- pointwise expressions ----------------------------------------------------------

    def pointwise(self, node: Expr) -> Expr:
        """An expression to be evaluated at every point, its constants folded in.

        Sums inside are explicit; an implicit one under a function or in a divisor is refused.
        """
        match node:
            case Scalar(name=name) if name in self.consts:
                return Literal(self.consts[name], node.span)
            case Literal() | Scalar() | Access() | Place():
                return node
            case Neg(arg=arg):
                return Neg(self.pointwise(arg), node.span)
            case Add(terms=terms):
                return Add(tuple(map(self.pointwise, terms)), node.span)
            case Mul(factors=factors):
                return Mul(tuple(map(self.pointwise, factors)), node.span)
            case Div(numerator=top, denominator=bottom):
                self.refuse_under("/", node, bottom)
                return Div(self.pointwise(top), self.pointwise(bottom), node.span)
            case Call(function=name, args=args):
                self.refuse_under(name, node, *args)
                return Call(name, tuple(map(self.pointwise, args)), node.span)
            case Compare(op=op, left=left, right=right):
                values = [s for s in (left, right) if not isinstance(s, Affine)]
                self.refuse_under("a comparison", node, *values)
                sides = [s if isinstance(s, Affine) else self.pointwise(s) for s in (left, right)]
                return Compare(op, sides[0], sides[1], node.span)
            case Reduce(op=op, ranks=ranks, body=body):
                self.check_explicit(ranks, node)
                before, self.covered = self.covered, self.covered | set(ranks)
                self.refuse_under(f"{op}[{','.join(ranks)}]", node, body)
                inner = self.pointwise(body)
                self.covered = before
                return Reduce(op, ranks, inner, node.span)

    def quotient_of(self, node: Div, whole: bool) -> Term:
        """A quotient by what is no number; an implicit sum of a whole term is its numerator's."""
        self.refuse_under("/", node, node.denominator)
        top = node.numerator
        if whole and self.implicit(top):
            parts = tuple(summed(self.with_implicit_sums(t)) for t in self.expand(top))
            top = parts[0] if len(parts) == 1 else Add(parts)
        return _factor(Div(self.pointwise(top), self.pointwise(node.denominator), node.span))

    def implicit(self, node: Expr) -> list[str]:
        """Ranks of an expression that an implicit sum would have to cover."""
        if self.everything:
            return []
        return [n for n in free(node) if n not in self.outer and n not in self.covered]

    def refuse_under(self, name: str, around: Expr, *inside: Expr) -> None:
        """Refuse an implicit sum of what stands under a function, with both readings."""
        left = dict.fromkeys(n for node in inside for n in self.implicit(node))
        if not left:
            return
        k, shown = ",".join(left), deparse(around)
        hint = f"Write sum[{k}]({shown}), or place the sum inside it."
        if isinstance(around, Call):
            inner = ", ".join(map(deparse, inside))
            hint = f"Write {name}(sum[{k}]({inner})) or sum[{k}]({name}({inner}))."
        raise self.error(
            f"ambiguous sum: {', '.join(left)} under {name} is not on the left", around, hint
        )

    # ---- numbers ------------------------------------------------------------------------

    def number(self, node: Expr) -> int | float | None:
        """The value of a divisor, or None where it is known at run time only."""
        total: int | float = 0
        for term in self.expand(node, whole=False):
            if any((term.accesses, term.scalars, term.ranks, term.factors)):
                return None
            total += term.number
        return total


def _factor(node: Expr) -> Term:
    return Term(1, (), (), (), (node,))

"""A statement in the form that the compiler and the accounting read.

    target  reduction=  post( sum[t.ranks](t.number * t.accesses[0] * t.factors[0] * ...) + ... )

`tree` is what the user wrote; `Form` is what it means, once implicit sums are placed
(each additive term over the ranks that it holds and the target lacks) and products are
distributed over sums.  Constants of known value are folded in; terms, factors and the atoms of
subscripts are sorted, so that two spellings of one line have equal forms.

What is no plain read stands among a term's ``factors``: functions, quotients, comparisons,
places, differences under a function.  `zeroskip.einsum_spec.hoist` takes the reductions out of
them, as lines of their own; the compiler sees forms without any.
"""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.einsum_spec.tree import Access, Expr, Literal, Mul, Neg, Reduce, Scalar
from zeroskip.einsum_spec.walk import accesses, free, reads_of, scalars
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Term:
    """One additive term: ``number * product(scalars) * product(accesses) * product(factors)``,
    summed over ``ranks``.

    ranks : index variables summed here, in order of first appearance; empty under a
        reduction at the assignment, which covers the whole right side.
    scalars : names of extents, constants without a value yet, or operands of no axes.
    factors : pointwise expressions that are multiplied in.
    """

    number: int | float
    scalars: tuple[str, ...]
    accesses: tuple[Access, ...]
    ranks: tuple[str, ...]
    factors: tuple[Expr, ...] = ()

    @property
    def reads(self) -> Iterator[Access]:
        """Every access: those multiplied, those in factors, and those of index tensors."""
        for access in self.accesses:
            yield from reads_of(access)
        for factor in self.factors:
            for access in accesses(factor):
                yield from reads_of(access)

    @property
    def bare(self) -> Iterator[str]:
        """Every bare name, those in factors included."""
        yield from self.scalars
        for factor in self.factors:
            for scalar in scalars(factor):
                yield scalar.name

    @property
    def held(self) -> dict[str, None]:
        """Index variables of the product that nothing inside it binds, in order."""
        found: dict[str, None] = {}
        for part in (*self.accesses, *self.factors):
            found.update(free(part))
        return found


@dataclass(frozen=True, slots=True)
class Form:
    """``target reduction= post(sum of terms)``.

    reduction : None for ``=``; else one of ``+ * max min | &``, over ``reduced``.
    reduced : index variables of the right side that the target lacks, where ``reduction``
        is not None; else empty.
    post : name of the pointwise function around the whole, or None.
    """

    target: Access
    reduction: str | None
    post: str | None
    terms: tuple[Term, ...]
    reduced: tuple[str, ...]

    @property
    def ranks(self) -> tuple[str, ...]:
        """Every index variable: those of the target first, then by first appearance."""
        seen: dict[str, None] = dict(free(self.target))
        for term in self.terms:
            for access in term.accesses:
                seen.update(free(access))
        for term in self.terms:
            seen.update(term.held)
            seen.update(dict.fromkeys(term.ranks))
        seen.update(dict.fromkeys(self.reduced))
        return tuple(seen)

    @property
    def reads(self) -> Iterator[Access]:
        """Every access of the right side, and those of index tensors in the target."""
        for access in reads_of(self.target):
            if access is not self.target:
                yield access
        for term in self.terms:
            yield from term.reads


def summed(term: Term) -> Expr:
    """A term as an expression, its sum written out."""
    factors: list[Expr] = [Scalar(name) for name in term.scalars]
    inside: list[Expr] = [*term.accesses, *term.factors]
    if term.ranks:
        body = Mul(tuple(inside)) if len(inside) > 1 else inside[0] if inside else Literal(1)
        factors.append(Reduce("sum", term.ranks, body))
    else:
        factors += inside
    if abs(term.number) != 1 or not factors:
        factors.insert(0, Literal(abs(term.number)))
    product = factors[0] if len(factors) == 1 else Mul(tuple(factors))
    return Neg(product) if term.number < 0 else product

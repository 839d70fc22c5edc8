"""A statement in the form that the compiler and the accounting read.

    target  reduction=  post( sum[t.ranks](t.coefficient * t.accesses[0] * ...)  +  ... )

`tree` is what the user wrote; `Form` is what it means, once implicit sums are placed
(each additive term over the ranks that it holds and the target lacks) and products are
distributed over sums.  Constants of known value are folded in; terms, factors and the atoms of
subscripts are sorted, so that two spellings of one line have equal forms.
"""

from __future__ import annotations

from dataclasses import dataclass

from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import free


@dataclass(frozen=True, slots=True)
class Term:
    """One additive term: ``number * product(scalars) * product(accesses)``, summed over ``ranks``.

    ranks : index variables summed here, in order of first appearance; empty under a
        reduction at the assignment, which covers the whole right side.
    scalars : names of extents, constants without a value yet, or operands of no axes.
    """

    number: int | float
    scalars: tuple[str, ...]
    accesses: tuple[Access, ...]
    ranks: tuple[str, ...]


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
        seen: dict[str, None] = {}
        for access in (self.target, *(a for t in self.terms for a in t.accesses)):
            seen.update(free(access))
        for term in self.terms:
            seen.update(dict.fromkeys(term.ranks))
        seen.update(dict.fromkeys(self.reduced))
        return tuple(seen)

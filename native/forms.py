"""What a form asks of its kernel, before any operand is looked at."""

from __future__ import annotations

from collections.abc import Collection

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.form import Form, Term, summed
from zeroskip.einsum_spec.tree import Add, Affine, Call, Compare, Expr, Literal, Mul
from zeroskip.einsum_spec.walk import by_data, free, gathers, single
from zeroskip.errors import KernelError
from zeroskip.native.dtypes import LOGICAL


def is_joint(form: Form) -> bool:
    """Whether the right side must be evaluated whole at every point, densely."""
    return form.reduction not in (None, "+") or (form.reduction == "+" and form.post is not None)


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


def is_bracket(node: Expr) -> bool:
    """A comparison of places that loops can follow; one of data is a value."""
    return (
        isinstance(node, Compare)
        and isinstance(node.left, Affine)
        and isinstance(node.right, Affine)
        and not any(True for side in sides_of(node) for _ in gathers(side))
    )


def check_left_out(form: Form, skipped: Collection[str]) -> None:
    """Raise KernelError where padding that is left out of a sum would be left out of some of its
    terms alone.

    skipped : operands whose padding is left out.
    """
    if is_joint(form):
        return
    for access in (a for a in form.reads if a.tensor in skipped):
        for term in form.terms:
            window = free(access).keys() & {*term.ranks, *form.reduced}
            if window and all(a.tensor != access.tensor for a in term.reads):
                raise KernelError(
                    f"padding of {access.tensor} is left out of a sum over "
                    f"{', '.join(sorted(window))} of which a term does not read {access.tensor}: "
                    f"{deparse(summed(term))}\n"
                    f"  {form_text(form)}\n"
                    f"Multiply that term by pow({deparse(access)}, 0), or sum it on its own."
                )


def plain_target(form: Form) -> bool:
    """Whether each axis of the result is a rank of its own, with no arithmetic."""
    ranks = [single(part) for part in form.target.subscripts]
    return None not in ranks and len(set(ranks)) == len(ranks)


def form_scatters(form: Form) -> bool:
    """Whether ``=`` writes where data says, so that each place must be seen to be hit once."""
    return form.reduction is None and by_data(form.target)


def sides_of(bracket: Compare) -> tuple[Affine, Affine]:
    """The two sides of a comparison of places."""
    left, right = bracket.left, bracket.right
    assert isinstance(left, Affine)
    assert isinstance(right, Affine)
    return left, right

"""`Form` back into a statement, with every sum written out."""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.form import Form, summed
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Call,
    Expr,
    Program,
    Statement,
)
from zeroskip.errors import underline


def make_explicit(program: Program, consts: Mapping[str, int | float] | None = None) -> Program:
    """The program with implicit sums written as ``sum[k](...)``, in the order of the text.

    Raises
    ------
    EinsumError
        Where a statement cannot be elaborated.
    """
    return Program(
        tuple(
            statement_of(elaborate(statement, consts, text=program.text, written=True))
            for statement in program.statements
        )
    )


def statement_of(form: Form) -> Statement:
    """A statement that elaborates to ``form``."""
    terms = [summed(term) for term in form.terms]
    value: Expr = terms[0] if len(terms) == 1 else Add(tuple(terms))
    if form.post is not None:
        value = Call(form.post, (value,))
    return Statement(form.target, form.reduction, value)


def form_text(form: Form) -> str:
    """One line of Einsum that means ``form``."""
    return deparse(statement_of(form))


def pointed_out(form: Form, access: Access) -> list[str]:
    """The line of a form, and carets under one access of its right side."""
    text, part = form_text(form), deparse(access)
    at = text.find(part, text.find("=") + 1)
    return underline(text, [] if at < 0 else [(at, at + len(part))])

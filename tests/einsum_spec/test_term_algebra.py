"""Products, sums and quotients of terms, and what is refused with its place in the text."""

from __future__ import annotations

import pytest

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.form import Term
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.term_algebra import TermAlgebra
from zeroskip.einsum_spec.tokens import MAX_FACTORS, MAX_INTEGER, MAX_TERMS
from zeroskip.einsum_spec.tree import Literal
from zeroskip.errors import EinsumError

TEXT = "O[i] = A[i]"
ALGEBRA = TermAlgebra(TEXT)
HERE = Literal(1, (7, 11))


def term(text: str) -> Term:
    """The one term of a right side."""
    (statement,) = parse(f"O[i] = {text}").statements
    (found,) = elaborate(statement).terms
    return found


def test_a_product_has_the_factors_and_sums_of_both() -> None:
    made = ALGEBRA.times(term("3*A[i]"), term("2*sum[k](B[k]*K)"), HERE)
    assert (made.number, made.scalars, made.ranks) == (6, ("K",), ("k",))
    assert [deparse(access) for access in made.accesses] == ["A[i]", "B[k]"]


def test_a_sum_over_a_rank_that_the_other_factor_has_stays_a_factor() -> None:
    made = ALGEBRA.times(term("2*sum[k](A[k])"), Term(5, (), term("C[k]").accesses, ()), HERE)
    assert (made.number, made.ranks) == (10, ())
    assert [deparse(access) for access in made.accesses] == ["C[k]"]
    assert [deparse(factor) for factor in made.factors] == ["sum[k](A[k])"]


def test_what_does_not_hold_the_summed_rank_stays_outside() -> None:
    made = ALGEBRA.unsummed(term("2*sum[k](A[i]*B[k])"))
    assert [deparse(access) for access in made.accesses] == ["A[i]"]
    assert [deparse(factor) for factor in made.factors] == ["sum[k](B[k])"]
    assert ALGEBRA.unsummed(made) is made


def test_whole_quotients_stay_whole() -> None:
    found = [ALGEBRA.quotient(top, 4, HERE) for top in (12, 13, 12.0)]
    assert found == [3, 3.25, 3.0]
    assert [type(value) for value in found] == [int, float, float]


def test_what_is_refused_names_its_place() -> None:
    many = Term(1, ("a",) * MAX_FACTORS, (), ())
    cases = {
        "division by zero": lambda: ALGEBRA.quotient(1, 0, HERE),
        "a number out of range": lambda: ALGEBRA.checked(MAX_INTEGER + 1, HERE),
        "rank k is summed by two sums": lambda: ALGEBRA.summed(
            term("sum[k](A[k])"), ("j", "k"), HERE
        ),
        f"a product of more than {MAX_FACTORS} factors": lambda: ALGEBRA.times(
            many, term("A[i]"), HERE
        ),
        f"more than {MAX_TERMS} additive terms": lambda: ALGEBRA.capped(
            [many] * (MAX_TERMS + 1), HERE
        ),
    }
    for message, call in cases.items():
        with pytest.raises(EinsumError) as raised:
            call()
        assert str(raised.value).startswith(message)
        assert f"{TEXT}\n         ^^^^" in str(raised.value)
    assert ALGEBRA.checked(MAX_INTEGER, HERE) == MAX_INTEGER
    assert len(ALGEBRA.capped([many] * MAX_TERMS, HERE)) == MAX_TERMS

"""Statement → Form: sums placed, products distributed, and what is refused."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.explicit import form_text, make_explicit, statement_of
from zeroskip.einsum_spec.form import Form, Term
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Expr,
    Literal,
    Mul,
    Neg,
    Reduce,
    Scalar,
    Statement,
)
from zeroskip.einsum_spec.walk import variables
from zeroskip.errors import EinsumError


def form(text: str, **consts: float) -> Form:
    (statement,) = parse(text, consts).statements
    return elaborate(statement, consts, text=text)


def shown(text: str, **consts: float) -> str:
    return form_text(form(text, **consts))


# ---- sums -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "explicit"),
    [
        ("y[i] = A[i,j]*x[j]", "y[i] = sum[j](A[i,j]*x[j])"),
        ("O[m,p] = B[m] + W[m,c]*I[c,p]", "O[m,p] = B[m] + sum[c](I[c,p]*W[m,c])"),
        (
            "O[n,m,p] = I[n,c,U*p+r]*F[m,c,r] + B[m]",
            "O[n,m,p] = B[m] + sum[c,r](F[m,c,r]*I[n,c,U*p+r])",
        ),
        ("O[b,o] = relu(B[o] + W[o,i]*X[b,i])", "O[b,o] = relu(B[o] + sum[i](W[o,i]*X[b,i]))"),
        ("E = W[c,i]", "E = sum[c,i](W[c,i])"),
        ("E += W[c,i]", "E += W[c,i]"),
        ("O[m] += B[m] + W[m,c]*I[c]", "O[m] += B[m] + I[c]*W[m,c]"),
        ("C[t] max= sum[e](W[t,e,k])", "C[t] max= sum[e](W[t,e,k])"),
        ("O[m] = max[k](A[m,k])", "O[m] max= A[m,k]"),
        ("O[m] = sum[k](exp(A[m,k]))", "O[m] += exp(A[m,k])"),
        ("O[m] = any[k](A[m,k])", "O[m] |= A[m,k]"),
        ("O[m] = max(0, A[m])", "O[m] = relu(A[m])"),
        ("O[m] = sum[k](A[m])", "O[m] = sum[k](A[m])"),
        ("O[m] = sum[k](A[m,k]*B[k,j])", "O[m] = sum[k,j](A[m,k]*B[k,j])"),
        ("D[c,4*p//P] += N*M", "D[c,4*p//P] += M*N"),
        ("O = sum[c](A[c])*sum[d](B[d])", "O = sum[c,d](A[c]*B[d])"),
        ("O = sum[c](A[c]) + sum[c](B[c])", "O = sum[c](A[c]) + sum[c](B[c])"),
        ("O[i] = A[i] - A[i]", "O[i] = -A[i] + A[i]"),
        ("O[i] = 2*(a+B[i])*(C[i]-3)", "O[i] = -6*a - 6*B[i] + 2*B[i]*C[i] + 2*a*C[i]"),
        ("O[i] = A[i]*6/3/4", "O[i] = 0.5*A[i]"),
        ("O[i] = A[i]*6/3", "O[i] = 2*A[i]"),
        ("O[i] = -(-A[i])", "O[i] = A[i]"),
        ("O[i] = I[r+2*p]*x[i]", "O[i] = sum[p,r](I[2*p+r]*x[i])"),
    ],
)
def test_every_sum_is_placed(text, explicit):
    assert shown(text) == explicit
    assert form(explicit) == form(text)


def test_fields_of_a_form():
    found = form("O[n,m,p] = relu(B[m] - 2*beta*I[n,c,U*p+r]*F[m,c,r])", U=2)
    assert found.ranks == ("n", "m", "p", "c", "r")
    assert (found.reduction, found.post, found.reduced) == (None, "relu", ())
    bias, conv = found.terms
    assert (bias.number, bias.scalars, bias.ranks) == (1, (), ())
    assert (conv.number, conv.scalars, conv.ranks) == (-2, ("beta",), ("c", "r"))
    assert [a.tensor for a in conv.accesses] == ["F", "I"]


def test_constants_of_known_value_are_folded():
    assert shown("O[p] = alpha*I[U*p]/beta", alpha=3, U=2, beta=1.5) == "O[p] = 2.0*I[2*p]"
    assert shown("O[p] = I[4*p//P]", P=8) == "O[p] = I[p//2]"
    assert form("O[p] = I[p]/(R*S)", R=2, S=4) == form("O[p] = I[p]/8")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("O[m] = A[m,k]*x[k] + B[m]", "O[m] = B[m] + sum[k](x[k]*A[m,k])"),
        ("O[p] = I[r+U*p]*F[r]", "O[p] = F[r]*I[p*U+r]"),
        ("O[i] = A[i]/2", "O[i] = 0.5*A[i]"),
        ("O[i] = (A[i]+B[i])*C[i]", "O[i] = C[i]*B[i] + A[i]*C[i]"),
        ("O[m] max= A[m,k]", "O[m] = max[k](A[m,k])"),
    ],
)
def test_two_spellings_have_equal_forms(one, other):
    assert form(one) == form(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("O[m] = A[m,k] + B[m]", "O[m] += A[m,k] + B[m]"),
        ("O[m] = A[m,k]", "O[m] = A[k,m]"),
        ("O[i] = A[i] - A[i]", "O[i] = 0*A[i]"),
        ("O[m] = relu(A[m,k])", "O[m] = sum[k](relu(A[m,k]))"),
    ],
)
def test_two_meanings_have_different_forms(one, other):
    assert form(one) != form(other)


def test_make_explicit_keeps_the_order_of_the_text():
    program = parse("O[m] = W[m,c]*I[c] + B[m]\nE += O[m]")
    text = "\n".join(form_text(elaborate(s, written=True)) for s in program.statements)
    assert text == "O[m] = sum[c](W[m,c]*I[c]) + B[m]\nE += O[m]"
    assert make_explicit(program) == parse(text)


# ---- values, against plain loops over the tree ------------------------------------------

EXTENTS = {"i": 2, "j": 3, "k": 2}


@st.composite
def sums(draw: st.DrawFn, free: tuple[str, ...], depth: int = 3) -> Expr:
    """An expression over ranks ``free`` whose every sum is explicit."""
    inner = sums(free, depth - 1)
    match draw(st.integers(0, 6 if depth else 2)):
        case 0:
            return Literal(draw(st.integers(0, 3)))
        case 1:
            return Scalar(draw(st.sampled_from(["a", "b"])))
        case 2:
            held = draw(st.sampled_from(free)) if free else None
            name = {"i": "X", "j": "Y", "k": "Z", None: "a"}[held]
            (statement,) = parse(f"O = {name}[{held}]" if held else "O = a").statements
            return statement.value
        case 3:
            return Neg(draw(inner))
        case 4:
            return Add(tuple(draw(st.lists(inner, min_size=2, max_size=3))))
        case 5:
            return Mul(tuple(draw(st.lists(inner, min_size=2, max_size=3))))
        case _:
            left = [name for name in EXTENTS if name not in free]
            if not left:
                return Literal(1)
            rank = draw(st.sampled_from(left))
            return Reduce("sum", (rank,), draw(sums((*free, rank), depth - 1)))


def number(tensor: str, place: tuple[int, ...]) -> int:
    return {"X": 2, "Y": 3, "Z": 5, "a": 7, "b": -11}[tensor] + sum(place) ** 2


def tree_value(node: Expr, at: dict[str, int]) -> int:
    match node:
        case Literal(value=value):
            return int(value)
        case Scalar(name=name):
            return number(name, ())
        case Access(tensor=tensor, subscripts=parts):
            return number(tensor, tuple(at[name] for part in parts for name in variables(part)))
        case Neg(arg=arg):
            return -tree_value(arg, at)
        case Add(terms=terms):
            return sum(tree_value(term, at) for term in terms)
        case Mul(factors=factors):
            return prod(tree_value(factor, at) for factor in factors)
        case Reduce(ranks=ranks, body=body):
            places = product(*(range(EXTENTS[rank]) for rank in ranks))
            return sum(tree_value(body, at | dict(zip(ranks, p, strict=True))) for p in places)
    raise AssertionError(node)


def term_value(term: Term, at: dict[str, int]) -> int:
    total = 0
    for place in product(*(range(EXTENTS[rank]) for rank in term.ranks)):
        point = at | dict(zip(term.ranks, place, strict=True))
        reads = [tree_value(part, point) for part in (*term.accesses, *term.factors)]
        total += prod(reads) * prod(number(name, ()) for name in term.scalars)
    return int(term.number) * total


@given(sums(("i",)))
def test_a_form_has_the_value_of_its_tree(value):
    target = parse("O[i] = 1").statements[0].target
    try:
        found = elaborate(Statement(target, None, value))
    except EinsumError as error:
        if "by two sums" in str(error):
            return
        raise
    for i in range(EXTENTS["i"]):
        expected = tree_value(value, {"i": i})
        assert sum(term_value(term, {"i": i}) for term in found.terms) == expected
    assert elaborate(statement_of(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "y = sum[i]((x[i] + 1) * (x[i] - 1))",
        "y += (x[i] + 1) * (x[i] - 1)",
        "z[i] = (x[i] + 1) * (x[i] - 1)",
        "y = (x[i] + 1) * x[i]",
        "y = 2 * (x[i] + 1)",
    ],
)
def test_a_product_of_sums_is_taken_where_every_part_is_summed_alike(text):
    (statement,) = parse(text).statements
    found = elaborate(statement)
    assert len(found.terms) >= 2
    assert elaborate(statement_of(found)) == found


# ---- what is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "O[i] = relu(A[i,k]) * B[i]",
            "ambiguous sum: k under relu is not on the left\n"
            "  O[i] = relu(A[i,k]) * B[i]\n"
            "         ^^^^^^^^^^^^\n"
            "Write relu(sum[k](A[i,k])) or sum[k](relu(A[i,k])).",
        ),
        (
            "O[m] = max[k](A[m,k] * B[k,j])",
            "ambiguous sum: j under max[k] is not on the left\n"
            "  O[m] = max[k](A[m,k] * B[k,j])\n"
            "         ^^^^^^^^^^^^^^^^^^^^^^^\n"
            "Write max[k](sum[j](A[m,k]*B[k,j])) or sum[j](max[k](A[m,k]*B[k,j])).",
        ),
        (
            "y = (x[i] + 1) * (x[i] - 1)",
            "ambiguous sum: multiplied out, parts of (x[i] + 1)*(x[i] - 1) do not hold i\n"
            "  y = (x[i] + 1) * (x[i] - 1)\n"
            "      ^^^^^^^^^^^^^^^^^^^^^^^\n"
            "Write sum[i]((x[i] + 1)*(x[i] - 1)) to sum the whole product, or the parts with sums"
            " of their own.",
        ),
        (
            "O[i] = A[i] / B[i,k]",
            "ambiguous sum: k under / is not on the left\n"
            "  O[i] = A[i] / B[i,k]\n"
            "         ^^^^^^^^^^^^^\n"
            "Write sum[k](A[i]/B[i,k]), or place the sum inside it.",
        ),
        (
            "O[i] = (A[i] > B[k]) * C[i]",
            "ambiguous sum: k under a comparison is not on the left",
        ),
        ("O[i] = A[i] / (2 - 2)", "division by zero"),
        (
            "O[c] = sum[c](A[c])",
            "rank c is reduced, and the result has it too\n"
            "  O[c] = sum[c](A[c])\n"
            "         ^^^^^^^^^^^^\n"
            "Take c from the left side, or give the reduced rank another name.",
        ),
        ("O = sum[c](sum[c](B[c]))", "rank c is summed by two sums, one inside the other"),
        ("O[i] = A[i]*4000000000*4000000000", "a number out of range"),
        ("O[i] = A[i]*1e200*1e200", "a number out of range"),
        (
            "O[i] = " + "*".join(["(A[i]+B[i])"] * 60),
            "more than 1024 additive terms once products are multiplied out",
        ),
        ("O = " + "a*(" * 60 + "*".join(["a"] * 200) + ")" * 60, "a product of more than"),
    ],
)
def test_refused(text, expected):
    with pytest.raises(EinsumError) as caught:
        form(text)
    assert str(caught.value).startswith(expected)

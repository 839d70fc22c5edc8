"""Tree → text → tree, over generated trees."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.functions import FUNCTIONS, REDUCTIONS
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Call,
    Compare,
    Div,
    Expr,
    Floor,
    Literal,
    Monomial,
    Mul,
    Neg,
    Program,
    Reduce,
    Scalar,
    Statement,
    Var,
)
from zeroskip.einsum_spec.walk import variables

CONSTS = ("D", "P", "U")
RANKS = ("c", "m", "p", "q", "r")

COMPARISONS = ("<", "<=", "==", "!=", ">=", ">")
ASSIGNMENTS = (None, "+", "*", "max", "min", "|", "&")


@st.composite
def monomials(draw: st.DrawFn, low: int, high: int) -> Monomial:
    names = draw(st.lists(st.sampled_from(CONSTS), max_size=2))
    return Monomial(draw(st.integers(low, high)) or 1, tuple(sorted(names)))


@st.composite
def affines(draw: st.DrawFn, depth: int = 2, least: int = 0) -> Affine:
    terms: dict[Var | Floor, Monomial] = {}
    for _ in range(draw(st.integers(least, 3))):
        atom: Var | Floor = Var(draw(st.sampled_from(RANKS)))
        if depth and draw(st.integers(0, 3)) == 0:
            floor = Floor(draw(affines(depth - 1)), draw(monomials(2, 5)))
            known = not floor.inner.terms and all(not m.names for m in floor.inner.offset)
            atom = atom if known and not floor.divisor.names else floor  # 7//2 is read as 3
        terms[atom] = draw(monomials(-4, 4))
    offset = {m.names: m for m in draw(st.lists(monomials(-9, 9), max_size=2))}
    return Affine(
        tuple((m, atom) for atom, m in terms.items()),
        tuple(sorted(offset.values(), key=lambda m: (not m.names, m.names))),
    )


@st.composite
def places(draw: st.DrawFn) -> Affine:
    """A subscript that holds an index variable."""
    part = draw(affines(1, 1))
    return part if any(variables(part)) else Affine(((Monomial(1), Var("p")),))


@st.composite
def accesses(draw: st.DrawFn) -> Access:
    parts = draw(st.lists(affines(1), min_size=1, max_size=3))
    return Access(draw(st.sampled_from("ABFIx")), tuple(parts))


numbers = st.integers(0, 2**62) | st.floats(0, 1e300, allow_nan=False)


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> Expr:
    inner = expressions(depth - 1)
    several = st.lists(inner, min_size=2, max_size=3).map(tuple)
    match draw(st.integers(0, 9 if depth else 2)):
        case 0:
            return Literal(draw(numbers))
        case 1:
            return Scalar(draw(st.sampled_from(["a", "beta", "N"])))
        case 2:
            return draw(accesses())
        case 3:
            return Neg(draw(inner))
        case 4:
            return Add(draw(several))
        case 5:
            return Mul(draw(several))
        case 6:
            return Div(draw(inner), draw(inner))
        case 7:
            ranks = draw(st.lists(st.sampled_from(RANKS), min_size=1, max_size=2, unique=True))
            return Reduce(draw(st.sampled_from(sorted(REDUCTIONS))), tuple(ranks), draw(inner))
        case 8:
            function = draw(st.sampled_from(sorted(FUNCTIONS)))
            fewest, most = FUNCTIONS[function]
            args = draw(st.lists(inner, min_size=fewest, max_size=most or 3))
            return Call(function, tuple(args))
        case _:
            op = draw(st.sampled_from(COMPARISONS))
            if draw(st.booleans()):
                return Compare(op, draw(places()), draw(affines(1)))
            value = Mul((draw(accesses()), draw(inner)))
            return Compare(op, value, draw(st.one_of(places(), accesses())))


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    target = Access(draw(st.sampled_from("CO")), tuple(draw(st.lists(affines(1), max_size=3))))
    return Statement(target, draw(st.sampled_from(ASSIGNMENTS)), draw(expressions()))


@given(affines())
def test_a_subscript_prints_and_parses_back(part):
    # A plain use of every rank settles what is an index variable, as in a real layer.
    text = f"O[{deparse(part)}] = A[{','.join(RANKS)}]"
    assert parse(text, CONSTS).statements[0].target.subscripts == (part,)


@given(st.lists(statements(), min_size=1, max_size=3))
def test_a_program_prints_and_parses_back(lines):
    settle = Statement(
        Access("Z", ()), None, Access("A", tuple(Affine(((Monomial(1), Var(n)),)) for n in RANKS))
    )
    program = Program((*lines, settle))
    text = deparse(program)
    assert parse(text, CONSTS) == program
    assert deparse(parse(text, CONSTS)) == text


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (
            "O[n,m,p,q]=I[n,c,p*U+r,q*U+s]*F[m,c,r,s]",
            "O[n,m,p,q] = I[n,c,U*p+r,U*q+s]*F[m,c,r,s]",
        ),
        ("W[c,4*p//P]+=A[c,p]", "W[c,4*p//P] += A[c,p]"),
        ("O[p] = I[2*(p//2)-(p//3)+(p+1)//2]", "O[p] = I[2*(p//2)-(p//3)+(p+1)//2]"),
        ("O[p] = I[p//(2*U)]", "O[p] = I[p//(2*U)]"),
        ("O[P-1-p] = I[p+0]", "O[-p+P-1] = I[p]"),
        ("O = a-(b-c)*-d/(e*f)", "O = a - (b - c)*(-d)/(e*f)"),
        ("O = -(a*b) - -a", "O = -a*b - -a"),
        ("O[i] = max[k](A[i,k] )", "O[i] = max[k](A[i,k])"),
        ("O[m,p] = m<=p", "O[m,p] = (m <= p)"),
        ("O[0] = 1e-7 + 2.50", "O[0] = 1e-07 + 2.5"),
    ],
)
def test_printed(text, printed):
    assert deparse(parse(text)) == printed
    assert deparse(parse(printed)) == printed


def test_every_float_survives():
    for value in (0.1, 1e22, 5e-324, 1.7976931348623157e308, math.pi, 123456789.125):
        (statement,) = parse(deparse(Statement(Access("O", ()), None, Literal(value)))).statements
        assert statement.value == Literal(value)

"""Text → tree: what is read, and what is refused with a caret under it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.tree import (
    Access,
    Add,
    Affine,
    Call,
    Compare,
    Div,
    Floor,
    Literal,
    Monomial,
    Mul,
    Neg,
    Reduce,
    Scalar,
    Statement,
    Var,
)
from zeroskip.errors import EinsumError


def var(name: str) -> Affine:
    return Affine(((Monomial(1), Var(name)),))


def only(text: str, **options: object) -> Statement:
    (statement,) = parse(text, **options).statements
    return statement


def target(text: str, **options: object) -> tuple[Affine, ...]:
    return only(f"{text} = 1", **options).target.subscripts


def message(text: str, **options: object) -> str:
    with pytest.raises(EinsumError) as caught:
        parse(text, **options)
    return str(caught.value)


# ---- what is read -----------------------------------------------------------------------


def test_matrix_vector():
    assert only("y[i] = A[i,j] * x[j]") == Statement(
        Access("y", (var("i"),)),
        None,
        Mul((Access("A", (var("i"), var("j"))), Access("x", (var("j"),)))),
    )


@pytest.mark.parametrize(
    ("sign", "reduction"),
    [
        ("=", None),
        ("+=", "+"),
        ("*=", "*"),
        ("max=", "max"),
        ("min=", "min"),
        ("|=", "|"),
        ("&=", "&"),
    ],
)
def test_assignments(sign, reduction):
    assert only(f"C[t] {sign} W[t,e]").reduction == reduction


def test_a_bare_name_on_the_left_is_a_result_of_no_axes():
    assert only("E += W[c,i]").target == Access("E", ()) == only("E[] += W[c,i]").target


def test_stride_in_either_order_is_one_tree():
    assert target("O[U*p+r, s, r, p]") == target("O[p*U+r, s, r, p]")
    assert target("O[U*p+r, r, p]")[0] == Affine(
        ((Monomial(1, ("U",)), Var("p")), (Monomial(1), Var("r")))
    )


def test_a_product_over_a_sum_is_distributed():
    assert target("O[U*(2*p+r)-3]") == target("O[2*U*p+U*r-3]")


def test_floor_binds_to_the_left_like_times():
    (part,) = target("O[4*p//P]")
    assert part == Affine(
        ((Monomial(1), Floor(Affine(((Monomial(4), Var("p")),)), Monomial(1, ("P",)))),)
    )
    assert target("O[4*(p//2)]")[0].terms[0][0] == Monomial(4)


def test_unary_minus_binds_tighter_than_floor():
    (part,) = target("O[-p//2]")
    assert part.terms[0][1] == Floor(Affine(((Monomial(-1), Var("p")),)), Monomial(2))


def test_constants_of_a_subscript_are_folded():
    assert target("O[2*p+1+3]") == (Affine(((Monomial(2), Var("p")),), (Monomial(4),)),)
    assert target("O[7//2]") == (Affine((), (Monomial(3),)),)


def test_the_upper_case_name_of_an_index_variable_is_its_extent():
    (part,) = target("O[P-1-p]")
    assert part == Affine(((Monomial(-1), Var("p")),), (Monomial(1, ("P",)), Monomial(-1)))


def test_upper_case_names_can_be_index_variables():
    assert target("O[N,M]") == (var("N"), var("M"))
    assert only("O[N,P] = I[N,u*P]").value == Access(
        "I", (var("N"), Affine(((Monomial(1, ("u",)), Var("P")),)))
    )


def test_consts_makes_a_name_constant():
    assert target("O[p+d]", consts={"d"}) == (
        Affine(((Monomial(1), Var("p")),), (Monomial(1, ("d",)),)),
    )
    assert len(target("O[p+d]")[0].terms) == 2


def test_statements_comments_and_line_ends():
    program = parse(
        "# accounting\nW[c,i] += A[c,i]  # per PE\n\n;C[c] max= W[c,\n   i]; E += C[c]\r\n"
    )
    assert [s.target.tensor for s in program.statements] == ["W", "C", "E"]


def test_expressions():
    a, b = Scalar("a"), Scalar("b")
    assert only("O = -a*b + a/b*2 - (a - b)").value == Add(
        (
            Neg(Mul((a, b))),
            Mul((Div(a, b), Literal(2))),
            Neg(Add((a, Neg(b)))),
        )
    )
    assert only("O = 1.5e3 + .5 + 2").value == Add((Literal(1500.0), Literal(0.5), Literal(2)))


def test_calls_and_reductions():
    assert only("O[m] = relu(sum[k,j](A[m,k,j]))").value == Call(
        "relu", (Reduce("sum", ("k", "j"), Access("A", (var("m"), var("k"), var("j")))),)
    )
    assert only("O[m] = max(0, A[m])").value == Call("max", (Literal(0), Access("A", (var("m"),))))


def test_brackets_compare_places_or_values():
    assert only("O[m,p] = (m <= p)").value == Compare("<=", var("m"), var("p"))
    assert only("O[m] = (A[m] > 0)").value == Compare(">", Access("A", (var("m"),)), Literal(0))
    tile = only("O[p,t] = (4*p//P == t)").value
    assert tile == Compare("==", *target("O[4*p//P, t]"))
    assert only("O[p] = (p < 3)").value == Compare("<", var("p"), Affine((), (Monomial(3),)))


def test_tensors_may_be_called_as_the_book_calls_them():
    names = ["I", "O", "N", "E", "S", "Q", "beta", "re", "im", "sin", "int", "exp"]
    for name in names:
        assert only(f"Z[i] = {name}[i]").value == Access(name, (var("i"),))


def test_spans_are_places_in_the_text():
    text = "y[i] = A[i,j] * x[j]"
    value = only(text).value
    assert isinstance(value, Mul)
    shown = [text[slice(*factor.span)] for factor in value.factors if factor.span]
    assert shown == ["A[i,j]", "x[j]"]
    first = value.factors[0]
    assert isinstance(first, Access)
    assert [text[slice(*part.span)] for part in first.subscripts if part.span] == ["i", "j"]


# ---- what is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "y[i] = rleu(A[i])",
            "rleu is no function of an Einsum\n"
            "  y[i] = rleu(A[i])\n"
            "         ^^^^\n"
            "Did you mean relu?",
        ),
        (
            "y[i] = A[i,j x[j]",
            "expected ] to close this [, found x\n"
            "  y[i] = A[i,j x[j]\n"
            "          ^    ^\n"
            "A product is written with a star: A[i,j] * x[j].",
        ),
        (
            "y[i] = A[i,j] x[j]",
            "expected + - * / ( ) or the end of the line, found x\n"
            "  y[i] = A[i,j] x[j]\n"
            "                ^\n"
            "A product is written with a star: A[i,j] * x[j].",
        ),
        (
            "y[i] = A[i,j] *",
            "expected a tensor, a number or (, found the end of the text\n"
            "  y[i] = A[i,j] *\n"
            "                 ^",
        ),
        (
            "y[i] = 2x[i]",
            "a number runs into a name: 2x\n"
            "  y[i] = 2x[i]\n"
            "         ^^\n"
            "Write a product with a star: 2*x.",
        ),
        (
            "y[i] = x[i]**2",
            "expected + - * / ( ) or the end of the line, found **\n"
            "  y[i] = x[i]**2\n"
            "             ^^\n"
            "Write a power out: x*x.",
        ),
        (
            "ij,jk->ik",
            "expected = or += *= max= min= |= &=, found ,\n"
            "  ij,jk->ik\n"
            "    ^\n"
            'Name the operands: "O[i,k] = A[i,j] * B[j,k]".',
        ),
        (
            "y[i] = sum(A[i])",
            "sum needs the ranks that it goes over\n"
            "  y[i] = sum(A[i])\n"
            "         ^^^\n"
            "Write sum[k](...).",
        ),
        (
            "y[i] = sum[k,k](A[i,k])",
            "rank k is reduced twice\n  y[i] = sum[k,k](A[i,k])\n               ^",
        ),
        (
            "y[i] = relu(A[i], 2)",
            "relu takes 1 argument, found 2\n"
            "  y[i] = relu(A[i], 2)\n"
            "         ^^^^^^^^^^^^^\n"
            "Separate arguments by commas.",
        ),
        (
            "y[i] = max(A[i])",
            "max takes at least 2 arguments, found 1\n"
            "  y[i] = max(A[i])\n"
            "         ^^^^^^^^^\n"
            "Separate arguments by commas. A reduction names its ranks: max[k](...).",
        ),
        (
            "max[i] = A[i]",
            "max is a reduction and cannot name a result\n  max[i] = A[i]\n  ^^^",
        ),
        (
            "y[p] = A[p*r] * B[r]",
            "a subscript multiplies two index variables, p and r",
        ),
        (
            "y[a*b] = A[c]",
            "a*b: which of a and b is the index variable?\n"
            "  y[a*b] = A[c]\n"
            "    ^ ^\n"
            'Name the constants: consts={"a": 2}, or write them in capitals.',
        ),
        (
            "y[p] = A[4//p]",
            "p is an index variable and also divides or multiplies one",
        ),
        ("y[p] = A[p/2]", "a subscript is a whole number: / is no part of it"),
        ("y[p] = A[p//0]", "a subscript is divided by zero"),
        ("y[p] = A[p//(0-2)]", "a subscript is divided by a negative number"),
        ("y[p] = A[p//(1+U)]", "a subscript is divided by a sum"),
        ("y[p] = A[1.5*p]", "a subscript is a whole number, found 1.5"),
        ("y[p] = A[B(p)]", "a subscript holds index variables and integers, found B(..."),
        ("y[p] = A[B[]]", "B[] reads no place"),
        ("y[p] = A[U*p+2*p]", "p has two coefficients in one subscript"),
        ("y[p] = (p <= 2 < 3)", "a comparison has two sides"),
        ("y[p] = (p*q <= 2) * A[p,q]", "a comparison of places multiplies two index variables"),
        ("", "an Einsum without a statement"),
        ("# nothing", "an Einsum without a statement"),
        ("= A[i]", "expected the name of a result, found ="),
        ("y[i] = A[i];= 2", "expected the name of a result, found ="),
        ("y[i] == A[i]", "expected = or += *= max= min= |= &=, found =="),
        ("y[i] = A[i] = B[i]", "One assignment a line; equality is ==."),
        ("y[i] = A[i", "expected ] to close this [, found the end of the text"),
        ("y[i] = A[i]]", "expected + - * / ( ) or the end of the line, found ]"),
        ("y[i] = A[,]", "expected a subscript, found ,"),
        ("y[i] = sum[2](A[i])", "expected the name of a rank to reduce, found 2"),
        ("y[i] = {A[i]}", "'{' means nothing in an Einsum"),
        ("y[i] = Ä[i]", "'Ä' means nothing in an Einsum"),
        ("y[i] = A[i].real", "An Einsum has no attributes"),
    ],
)
def test_refused(text, expected):
    assert message(text).startswith(expected) or expected in message(text).split("\n")[-1]


def test_what_is_no_text_is_refused():
    assert message(3).startswith("expected the text of an Einsum, found int")


# ---- hostile text -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("O[i] = " + "(" * 100_000, "an Einsum of 100,007 characters; at most 100,000 are read"),
        ("O[i] = " + "(" * 90_000, "brackets nested deeper than 64"),
        ("O" + "[" * 99_999, "brackets nested deeper than 64"),
        ("O[i] = " + "-" * 90_000 + "A[i]", "signs, quotients and brackets nested deeper than 64"),
        ("O[" + "-" * 90_000 + "i] = 1", "signs, quotients and brackets nested deeper than 64"),
        ("O[i] = A[i]" + "/2" * 40_000, "signs, quotients and brackets nested deeper than 64"),
        ("O[i" + "//2" * 30_000 + "] = 1", "signs, quotients and brackets nested deeper than 64"),
        ("O[i] = __import__('os').system('true')", '"\'" means nothing in an Einsum'),
        ("O[i] = __import__(os)", "__import__ is no function of an Einsum"),
        ("O[i] = exec(A[i])", "exec is no function of an Einsum"),
        ("O[i] = A.__class__", "'.' means nothing in an Einsum"),
        ("O[1" + "0" * 30 + "*i] = A[i]", "the number 10000000000000000000... is too large"),
        ("O[10**30] = A[i]", "expected ] to close this [, found **"),
        ("O[i] = " + "9" * 90_000, "the number 99999999999999999999... is too large"),
        ("O[i] = 1e999", "the number 1e999 is too large"),
        ("O[i] = " + "a" * 90_000, "a name of 90000 characters; at most 64 are read"),
        ("O[" + "+".join(f"v{i}" for i in range(9_000)) + "] = 1", "more than 64 terms"),
        ("O[" + "*".join(["(A+B)"] * 9_000) + "*i] = 1", "factor above 2**62"),
        ("O[" + "*".join(["4611686018427387904"] * 4_000) + "*i] = 1", "factor above 2**62"),
        ("O[" + "(" * 40 + "i//3" + ")*(U+V)//2" * 40 + "] = 1", "more than 64 terms"),
        ("O[i] = " + "A[i]+" * 15_000 + "A[i]", "a sum of more than 1024 terms"),
        ("O[i] = " + "A[i]*" * 15_000 + "A[i]", "a product of more than 256 factors"),
        ("A=1;" * 20_000, "more than 1024 statements"),
        ("O[" + "i," * 40_000 + "i] = 1", "a tensor of more than 64 axes"),
        ("O[i] = \x00", "'\\x00' means nothing in an Einsum"),
        ("O[i] = A[i] \u202e B[i]", "'\\u202e' means nothing in an Einsum"),
    ],
    ids=range(26),
)
def test_hostile_text_is_refused(text, expected):
    found = message(text)
    assert expected in found.split("\n")[0]
    assert len(found) < 500


def test_a_long_sum_is_read():
    statement = only("O[i] = " + " + ".join(["A[i]"] * 1_000))
    assert isinstance(statement.value, Add)
    assert len(statement.value.terms) == 1_000


@given(st.text(alphabet="OAi[](),;=+-*/ max<1.#\n", max_size=40))
def test_text_is_read_or_refused_and_never_anything_else(text):
    try:
        program = parse(text)
    except EinsumError:
        return
    assert parse(deparse(program)) == program

"""Tree ↔ SymPy: text and a hand-built `Eq` are one layer, and `doit()` computes it."""

from __future__ import annotations

import numpy as np
import pytest
import sympy as sp
from doit import computed
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroskip.einsum_spec import make_spec
from zeroskip.einsum_spec.nodes import Iverson, Minus, Pointwise, Reduction
from zeroskip.errors import EinsumError

n, m, c, p, q, r, s, i, k = sp.symbols("n m c p q r s i k", integer=True)
N, C, R, S, U, K, P = sp.symbols("N C R S U K P", integer=True)
O, I, F, B, A, W, X = map(sp.IndexedBase, "OIFBAWX")  # noqa: E741

TEXTS = [
    ("y[i] = A[i,j]*x[j]", {}),
    ("O[n,m,p,q] = relu(B[m] + I[n,c,U*p+r,U*q+s] * F[m,c,r,s])", {"U": 2}),
    ("O[p] = I[U*p+D*r-1]*F[r]", {"U": 2, "D": 3}),
    ("W[c,4*p//P,4*q//Q] += nz[m,c,r,s]*st[c,p+r,q]\nC[c] max= W[c,i,j]\nE += C[c]", {}),
    ("D[c,4*p//P] += N*M*X[c,p]", {}),
    ("O[m] = max[k](relu(A[m,k]))", {}),
    ("O[m] |= A[m,k]", {}),
    ("O[m] &= A[m,k]*B[k]", {}),
    ("O[m] *= A[m,k]", {}),
    ("O[i] = A[i] - A[i]", {}),
    ("O[i] = -A[i]*2/3 - -B[i] + 7", {}),
    ("O[i] = a*B[i]*0.1 - 1e-30", {}),
    ("O[i] = 2*(a+B[i])*(C[i]-3)", {}),
    ("O[i] = I[(p+4)//4, 2*p//4, (p+q)//3, i]", {}),
    ("O[P-1-p] = I[p]", {}),
    ("O[i] = exp(A[i])", {}),
    ("O = sum[c](A[c])*sum[d](B[d])", {}),
    ("O[m] = sum[k](A[m])", {}),
    ("O[i] = A[i]*A[i]*A[i]", {}),
    ("S[N] = I[N,E]*E[E]*beta", {}),
]


@pytest.mark.parametrize(("text", "consts"), TEXTS)
def test_text_to_eq_and_back_is_the_same_layer(text, consts):
    spec = make_spec(text, consts)
    back = make_spec(spec.expr, consts)
    assert back.forms == spec.forms
    assert back == spec
    assert make_spec(back.text, consts).forms == spec.forms


factors = st.sampled_from(
    ["A[i,k]", "A[k,i]", "B[2*k+i]", "x[k]", "x[i]", "a", "3", "K", "b[k//2]"]
)
terms = st.lists(factors, min_size=1, max_size=3).map("*".join)


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("+-"), terms), min_size=1, max_size=3), st.booleans())
def test_generated_lines_survive(signed, relu):
    value = "0*x[i]" + "".join(f" {sign} {term}" for sign, term in signed)
    spec = make_spec(f"y[i] = relu({value})" if relu else f"y[i] = {value}")
    try:
        back = make_spec(spec.expr)
    except EinsumError as error:
        pytest.fail(f"{spec.text}: {error}")
    assert _merged(back) == _merged(spec)


def _merged(spec):
    """Terms with like terms added up, which SymPy may do: 2*x for x + x."""
    (form,) = spec.forms
    total: dict[object, float] = {}
    for term in form.terms:
        key = (term.scalars, term.accesses, frozenset(term.ranks))
        total[key] = total.get(key, 0) + term.number
    return form.target, form.post, {key: value for key, value in total.items() if value}


# ---- what the Eq looks like -------------------------------------------------------------


def test_the_eq_of_a_layer():
    spec = make_spec("O[n,m,p] = I[n,c,U*p+r]*F[m,c,r] + B[m]", {"U": 2})
    body = sp.Mul(I[n, c, U * p + r], F[m, c, r], evaluate=False)
    expected = sp.Sum(body, (c, 0, C - 1), (r, 0, R - 1)) + B[m]
    assert spec.expr.lhs == O[n, m, p]
    assert sp.simplify(spec.expr.rhs - expected) == 0
    assert {str(symbol) for symbol in spec.expr.free_symbols} >= {"C", "R", "U", "I", "F"}


def test_a_difference_that_would_cancel_survives_a_rebuild():
    right = make_spec("O[i] = A[i] - A[i]").expr.rhs
    assert right.has(Minus)
    rebuilt = right.func(*right.args)
    assert rebuilt == right != 0
    assert right.subs(i, 3) != 0
    assert right.doit() == 0


def test_functions_are_not_simplified_before_doit():
    right = make_spec("O[i] = exp(A[i])").expr.rhs
    assert right == Pointwise("exp", A[i])
    assert right.doit() == sp.exp(A[i])
    assert sp.log(right) != A[i]


def test_nodes_print_themselves():
    assert str(Pointwise("relu", A[i])) == "relu(A[i])"
    assert str(Minus(A[i])) == "Minus(A[i])"
    assert str(Iverson("<=", m, p)) == "[m <= p]"
    assert str(Reduction("max", A[k], (k, 0, K - 1))) == "max[(k, 0, K - 1)](A[k])"
    assert Reduction("max", A[k], (k, 0, K - 1)).free_symbols >= {K}
    assert k not in Reduction("max", A[k], (k, 0, K - 1)).free_symbols


# ---- doit() as a judge ------------------------------------------------------------------


def small(shapes):
    rng = np.random.default_rng(0)
    return {name: rng.integers(-3, 4, shape) for name, shape in shapes.items()}


def test_doit_of_a_convolution():
    expr = make_spec("O[m,p] = relu(B[m] - I[c,2*p+r]*F[m,c,r])").expr
    shapes = {"B": (2,), "I": (2, 5), "F": (2, 2, 3)}
    arrays = small(shapes)
    found = computed(expr, arrays, {"C": 2, "R": 3}, (2, 2))
    windows = np.lib.stride_tricks.sliding_window_view(arrays["I"], 3, axis=1)[:, ::2]
    full = arrays["B"][:, None] - np.einsum("cpr,mcr->mp", windows, arrays["F"])
    assert np.array_equal(found, np.maximum(full, 0))


@pytest.mark.parametrize(
    ("text", "judge"),
    [
        ("y[i] = A[i,k]*x[k] - A[i,k]*x[k]", lambda A, x: 0 * A[:, 0]),
        ("y[i] = max[k](A[i,k])", lambda A, x: A.max(1)),
        ("y[i] min= A[i,k]*x[k]", lambda A, x: (A * x).min(1)),
        ("y[i] += A[i,k]", lambda A, x: A.sum(1)),
        ("y[i] *= A[i,k]", lambda A, x: A.prod(1)),
        ("y[i] |= A[i,k]*x[k]", lambda A, x: ((A * x) != 0).any(1)),
        ("y[i] &= A[i,k]", lambda A, x: (A != 0).all(1)),
        ("y[i] = A[i,k//2]*x[k]*K", lambda A, x: 3 * (A[:, [0, 0, 1]] * x).sum(1)),
        ("y[i] = abs(A[i,k])", lambda A, x: abs(A.sum(1))),
    ],
)
def test_doit(text, judge):
    expr = make_spec(text).expr
    arrays = small({"A": (2, 3), "x": (3,)})
    found = computed(expr, arrays, {"K": 3, "I": 2}, (2,))
    assert np.array_equal(found, judge(**arrays))


# ---- hand-built -------------------------------------------------------------------------


def test_a_hand_built_convolution():
    body = I[n, c, U * p + r, U * q + s] * F[m, c, r, s]
    total = sp.Sum(body, (c, 0, C - 1), (r, 0, R - 1), (s, 0, S - 1))
    equation = sp.Eq(O[n, m, p, q], sp.Max(0, total + B[m]))
    text = "O[n,m,p,q] = relu(B[m] + I[n,c,U*p+r,U*q+s] * F[m,c,r,s])"
    assert make_spec(equation, {"U": 2}).forms == make_spec(text, {"U": 2}).forms
    shapes = {"I": (1, 2, 9, 9), "F": (3, 2, 3, 3), "B": (3,)}
    both = (make_spec(equation, {"U": 2}, pad=1), make_spec(text, {"U": 2}, pad=1))
    assert (
        both[0].extents(shapes).shapes["O"] == both[1].extents(shapes).shapes["O"] == (1, 3, 5, 5)
    )


@pytest.mark.parametrize(
    ("right", "text"),
    [
        (W[m, k] * X[k], "O[m] = W[m,k]*X[k]"),
        (A[m] ** 2 / 3 - 1, "O[m] = A[m]*A[m]*(1/3) - 1"),
        (A[m] - B[m], "O[m] = A[m] - B[m]"),
        (-2 * A[m] * sp.Symbol("a"), "O[m] = -2*a*A[m]"),
        (sp.exp(A[m]), "O[m] = exp(A[m])"),
        (sp.sqrt(A[m]), "O[m] = sqrt(A[m])"),
        (sp.tanh(A[m] + B[m]), "O[m] = tanh(A[m] + B[m])"),
        (sp.Abs(A[m]), "O[m] = abs(A[m])"),
        (sp.Function("relu")(A[m]), "O[m] = relu(A[m])"),
        (sp.Function("sigmoid")(A[m]), "O[m] = sigmoid(A[m])"),
        (sp.Max(A[m], 0), "O[m] = relu(A[m])"),
        (A[m] * 2.5, "O[m] = 2.5*A[m]"),
        (A[m] * sp.Rational(3, 8), "O[m] = 0.375*A[m]"),
        (A[m, sp.floor(p / 2)] * X[p], "O[m] = A[m,p//2]*X[p]"),
        (A[m, sp.Mod(p, 4)] * X[p], "O[m] = A[m,p-4*(p//4)]*X[p]"),
        (A[2 * (m + 1), 3], "O[m] = A[2*m+2,3]"),
        (sp.Integer(0) + N * A[m, n], "O[m] = N*A[m,n]"),
    ],
)
def test_hand_built(right, text):
    assert make_spec(sp.Eq(O[m], right)).forms == make_spec(text).forms


def test_plain_symbols_and_idx_are_index_variables():
    x, y = sp.symbols("x y")
    assert make_spec(sp.Eq(O[x], A[x, y] * B[y])) == make_spec("O[i] = A[i,j]*B[j]")
    j = sp.Idx("j", 4)
    spec = make_spec(sp.Eq(O[i], A[i, j] * B[j]))
    assert spec.sizes == {"j": 4}
    assert make_spec(sp.Eq(O[i], sp.Sum(A[i, k], (k, 0, 6)))).sizes == {"k": 7}


def test_a_scalar_result_and_a_cascade():
    E = sp.Symbol("E")
    lines = [sp.Eq(O[m], W[m, k] * X[k]), sp.Eq(E, sp.Sum(O[m], (m, 0, sp.Symbol("M") - 1)))]
    text = "O[m] = W[m,k]*X[k]\nE = sum[m](O[m])"
    assert make_spec(lines).forms == make_spec(text).forms
    assert make_spec(tuple(lines)) == make_spec(sp.Tuple(*lines)) == make_spec(text)


def test_names_that_sympy_reads_otherwise():
    names = ["I", "O", "N", "E", "S", "Q", "beta", "gamma", "pi", "zeta"]
    for name in names:
        spec = make_spec(f"Z[i] = {name}[i]")
        assert make_spec(spec.expr) == spec
        assert make_spec(sp.Eq(sp.IndexedBase("Z")[i], sp.IndexedBase(name)[i])) == spec


@pytest.mark.parametrize(
    ("equation", "expected"),
    [
        (O[n], "expected the text of an Einsum or a SymPy Eq, found Indexed"),
        ([], "expected a SymPy Eq, found an empty sequence"),
        ([sp.Eq(O[n], A[n]), 3], "expected the text of an Einsum or a SymPy Eq, found int"),
        (
            sp.Eq(A[n] + B[n], O[n]),
            "the left side of an Eq is the result, such as O[i]; found A[n] + B[n]",
        ),
        (sp.Eq(O[n], sp.sin(A[n])), "sin is no part of an Einsum: sin(A[n])"),
        (sp.Eq(O[n], sp.I * A[n]), "ImaginaryUnit is no part of an Einsum: I"),
        (sp.Eq(O[n], sp.oo), "oo is no number of an Einsum"),
        (sp.Eq(O[n], A[n] ** C), "a power is no part of an Einsum: A[n]**C"),
        (sp.Eq(O[n], A[n] ** 99), "a power is no part of an Einsum: A[n]**99"),
        (
            sp.Eq(O[m], sp.Sum(A[m, c], (c, 1, C))),
            "a sum over c starts at 1; ranks start at 0\nWrite the sum over (c, 0, C - 1).",
        ),
        (
            sp.Eq(O[m], sp.Sum(A[m, c], (c, 0, K))),
            "a sum over c ends at K\nWrite (c, 0, C - 1), or a number for its end.",
        ),
        (
            sp.Eq(O[m], sp.Sum(A[m, c], (c, 0, 3)) + sp.Sum(B[c], (c, 0, 4))),
            "rank c has two sizes: ",
        ),
        (sp.Eq(O[sp.sqrt(m)], A[m]), "a subscript is a sum of indices times integers"),
        (sp.Eq(O[m, n], A[m * n]), "a subscript multiplies two index variables"),
        (sp.Eq(O[m], sp.Symbol("x y") * A[m]), "'x y' cannot be a name in an Einsum"),
        (sp.Eq(O[m], sp.Symbol("__import__('os')")), "\"__import__('os')\" cannot be a name"),
        (sp.Eq(O[m], sp.Integer(10) ** 30 * A[m]), "the number 10000000000000000000... is too"),
    ],
)
def test_refused(equation, expected):
    with pytest.raises(EinsumError) as caught:
        make_spec(equation)
    assert str(caught.value).startswith(expected)

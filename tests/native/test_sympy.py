"""One layer from text and from a SymPy `Eq` built by hand is one kernel, letter by letter."""

import numpy as np
import pytest
import sympy as sp
from generator import random_array
from judges import line_of

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, settling

A, B, F, IN, OUT, W, X, x, y = map(sp.IndexedBase, ["A", "B", "F", "I", "O", "W", "X", "x", "y"])
b, c, i, j, k, m, n, o, p, q, r, s = sp.symbols("b c i j k m n o p q r s", integer=True)
J, K, C, R, S, U, N_I = sp.symbols("J K C R S U I", integer=True)

BY_HAND = {
    "y[i] = A[i,j]*x[j]": sp.Eq(y[i], sp.Sum(A[i, j] * x[j], (j, 0, J - 1))),
    "O[i,j] = A[i,k]*B[k,j]": sp.Eq(OUT[i, j], sp.Sum(B[k, j] * A[i, k], (k, 0, K - 1))),
    "O[b,o] = relu(B[o] + sum[i](W[o,i]*X[b,i]))": sp.Eq(
        OUT[b, o], sp.Max(0, B[o] + sp.Sum(W[o, i] * X[b, i], (i, 0, N_I - 1)))
    ),
    "O[n,m,p,q] = I[n,c,U*p+r,U*q+s]*F[m,c,r,s]": sp.Eq(
        OUT[n, m, p, q],
        sp.Sum(
            IN[n, c, U * p + r, s + q * U] * F[m, c, r, s],
            (c, 0, C - 1),
            (r, 0, R - 1),
            (s, 0, S - 1),
        ),
    ),
    "y[i] = 2*x[i] - A[i,j]": sp.Eq(y[i], 2 * x[i] - sp.Sum(A[i, j], (j, 0, J - 1))),
    "y[i] = exp(x[i])": sp.Eq(y[i], sp.exp(x[i])),
    "y[p] = x[p//2]": sp.Eq(y[p], x[sp.floor(p / 2)]),
    "y[i] = A[i,i]": sp.Eq(y[i], A[i, i]),
}

GIVEN = {
    "O[n,m,p,q] = I[n,c,U*p+r,U*q+s]*F[m,c,r,s]": {"consts": {"U": 2}, "pad": 1},
    "y[p] = x[p//2]": {"sizes": {"p": 5}},
}

SHAPES = {
    "A": (4, 4),
    "B": (4,),
    "F": (3, 2, 3, 3),
    "I": (1, 2, 5, 5),
    "W": (4, 4),
    "X": (3, 4),
    "x": (4,),
}


def operands(spec, format):
    rng = np.random.default_rng(1)
    shapes = {**SHAPES, "B": (4, 4)} if "B[k" in spec.text else SHAPES
    found = {}
    for name in spec.operands:
        array = random_array(rng, shapes[name], "float64", 0.5)
        stored = array.ndim > 1 and format is not None
        found[name] = Tensor.from_dense(array, format) if stored else array
    return found


def c_text(spec, given):
    line = line_of(spec, given)
    return settling.scheduled(line, np.empty(line.shape, line.stored))[0].c_text


@pytest.mark.parametrize("format", [None, "CSR", "COO"])
@pytest.mark.parametrize("text", BY_HAND)
def test_text_and_a_hand_built_eq_give_the_same_c(text, format):
    from_text = make_spec(text, **GIVEN.get(text, {}))
    from_eq = make_spec(BY_HAND[text], **GIVEN.get(text, {}))
    assert from_eq == from_text
    assert set(from_eq.operands) == set(from_text.operands)
    given = operands(from_text, format)
    assert c_text(from_eq, given) == c_text(from_text, given)
    result = from_text.results[-1]
    want = engine.evaluate(from_text, given)[result]
    assert np.array_equal(engine.evaluate(from_eq, given)[result], want)


@pytest.mark.parametrize(
    "text",
    [
        *BY_HAND,
        "y[m] max= A[m,k]",
        "y[i] += A[i,j]*x[j]",
        "O[p+r] += x[p]*y[r]",
        "W[4*p//P] += x[p]",
        "y[i] = A[i,j]/4 - x[j] + 0.25",
        "S[i] = A[i,j]*x[j]\ny[i] = relu(S[i] - 1)",
    ],
)
def test_a_layer_made_of_its_own_expression_has_the_same_forms(text):
    """Forms, with the signatures of operands, are all that the compiler sees."""
    spec = make_spec(text, **GIVEN.get(text, {}))
    again = make_spec(spec.expr, **GIVEN.get(text, {}))
    assert again.forms == spec.forms


def test_sizes_stated_by_a_sum_are_taken():
    spec = make_spec(sp.Eq(y[p], sp.Sum(x[p + r], (r, 0, 2))))
    got = engine.evaluate(spec, {"x": np.arange(6.0)})["y"]
    assert got.tolist() == [3, 6, 9, 12]

"""Reductions of what is a constant where nothing is stored: the stored is visited, the rest folded
in once."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native.lines import line_of
from zeroskip.native.schedules import walk
from zeroskip.native.show import show

RNG = np.random.default_rng(5)
X = RNG.integers(-3, 4, (5, 9)) * (RNG.random((5, 9)) < 0.4) / 4
Y = RNG.integers(-3, 4, (5, 9)) * (RNG.random((5, 9)) < 0.4) / 4
X[2], Y[2] = 0, 0  # an empty fiber
X[3] = -0.5  # a full one, all below 0

WANT = {
    "m[i] max= A[i,k]": X.max(1),
    "m[k] min= A[i,k]": X.min(0),
    "s[i] = sum[k]((A[i,k] + 1)*(A[i,k] + 2))": ((X + 1) * (X + 2)).sum(1),
    "s[i] = 3*sum[k](A[i,k] == 0) - A[i,k]": 3 * (X == 0).sum(1) - X.sum(1),
    "s[i] += (A[i,k] - 1)/2": ((X - 1) / 2).sum(1),
    "m[i] max= A[i,k] - B[i,k] + 0.25": (X - Y + 0.25).max(1),
    "z[i] |= A[i,k] == 0": (X == 0).any(1),
    "z[k] &= A[i,k] < 1": (X < 1).all(0),
    "O[i,k] = abs(A[i,k] - 1)": abs(X - 1),
    "m max= A[i,k]": X.max(),
    "m[i] max= A[i,k]*(k <= i) - 1": (X * (np.arange(9) <= np.arange(5)[:, None]) - 1).max(1),
    "s[i] = sum[k](abs(A[i,k]*(k <= i) - 1))": abs(
        X * (np.arange(9) <= np.arange(5)[:, None]) - 1
    ).sum(1),
}


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
@pytest.mark.parametrize("format", ["CSR", "CSC", "COO", "bitmask", "RLE(2)", "i:U k:H(9:9)"])
@pytest.mark.parametrize("text", WANT)
def test_the_rest_is_folded_in(text, format, backend):
    layer = zs.layer(text)
    given = {n: zs.tensor(x, format) for n, x in (("A", X), ("B", Y)) if n in layer.operands}
    assert np.array_equal(layer(**given, backend=backend), WANT[text])


def nest(text, **operands):
    spec = make_spec(text)
    (form,) = spec.forms
    shapes = {name: x.shape for name, x in operands.items()}
    return show(walk(line_of(form, operands, spec.extents(shapes))).lowered.kernel)


def test_loops_visit_what_is_stored():
    a = Tensor.from_dense(X, "CSR")
    found = nest("m[i] max= A[i,k]", A=a)
    assert "for k, pA_k in A.k[i]:" in found
    assert "range" not in found
    assert "for k in [0, K)" not in found
    assert "if given < K:\n    m[i] max= 0" in found


@pytest.mark.parametrize(
    "text",
    [
        "m[k+i] max= A[i,k]",  # fewer points for some places than for others
        "m[i] max= A[i,k] + b[k]",  # no constant where nothing is stored
        "m[i] *= A[i,k] + 2",
    ],
)
def test_what_cannot_be_folded_visits_every_point(text):
    operands = {"A": Tensor.from_dense(X, "CSR")}
    if "b[" in text:
        operands["b"] = np.ones(9)
    found = nest(text, **operands)
    assert "find k in A.k[i]" in found
    assert "visits" not in found


def test_a_small_integer_type_wraps_around_at_every_point():
    a = np.array([[100, 0, 0]], np.int8)
    for format in ("CSR", "bitmask"):
        got = zs.einsum("m[i] max= A[i,k] + 100", A=zs.tensor(a, format))
        assert got.dtype == zs.einsum("m[i] max= A[i,k] + 100", A=a).dtype
        assert np.array_equal(got, zs.einsum("m[i] max= A[i,k] + 100", A=a))


def test_huge_ranks_cost_what_is_stored():
    n = 2**40
    a = Tensor.from_coords(
        [np.array([1, 1, 3]), np.array([5, n - 1, 7])],
        np.array([-2.0, 3.0, -1.0]),
        (4, n),
        "i:U k:C",
    )
    assert zs.einsum("m[i] min= A[i,k]", A=a).tolist() == [0, -2, 0, -1]
    assert zs.einsum("s[i] = sum[k](A[i,k] == 0)", A=a).tolist() == [n, n - 2, n, n - 1]

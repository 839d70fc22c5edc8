"""Pointwise expressions, brackets, places and reductions inside: three judges, every format."""

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import FormatError
from zeroskip.formats.convert import tensor
from zeroskip.native.arguments import resolve, shapes
from zeroskip.native.engine import evaluate
from zeroskip.native.lines import line_of
from zeroskip.native.lower import lower
from zeroskip.native.reference import evaluate as reference
from zeroskip.native.show import show

FORMATS = ("CSR", "CSC", "COO", "bitmask", "RLE(2)", "C")

LINES = [
    ("A[m,p] = exp(S[m,p])/sum[k](exp(S[k,p]))", {"S": (4, 5)}),
    ("y[i] = A[i,k]*B[k]/D[i]", {"A": (4, 5), "B": (5,), "D": (4,)}),
    ("O[i] = argmax[k](A[i,k])", {"A": (4, 5)}),
    ("O[i] = argmin[k](abs(A[i,k])) + B[i]", {"A": (4, 5), "B": (4,)}),
    ("O = argmin[k,i](A[i,k]*B[k])", {"A": (4, 5), "B": (5,)}),
    ("O[m,n] = (m <= n)*A[m,n]", {"A": (4, 5)}),
    ("O[m] = (2*m <= n)*A[m,n]*x[n]", {"A": (4, 5), "x": (5,)}),
    ("O[m] = (n - m == 1)*A[m,n]", {"A": (4, 5)}),
    ("O[m] = (n != 2)*(m < 3)*A[m,n]", {"A": (4, 5)}),
    ("O[m] = (m//2 >= n)*A[m,n]", {"A": (4, 5)}),
    ("O[i] = 2*sum[k](relu(A[i,k] - B[k]))", {"A": (4, 5), "B": (5,)}),
    ("O[i] = abs(A[i])*B[i]", {"A": (6,), "B": (6,)}),
    ("O[i] += where(A[i,k] > 0, k, K)", {"A": (4, 5)}),
    ("y[i] = min(32, relu(T[i] + b*(T[i] != 0)))", {"T": (6,), "b": ()}),
    ("O[i] max= sum[k](A[i,k]*B[k,j])", {"A": (4, 5), "B": (5, 3)}),
    ("O[i] = sum[k](A[i,k])*sum[k](B[i,k])", {"A": (4, 5), "B": (4, 5)}),
    ("O[i] max= A[i,k]", {"A": (4, 5)}),
    ("O[i] min= A[i,k] + B[k,i]", {"A": (4, 5), "B": (5, 4)}),
    ("O[i] *= A[i,k]", {"A": (4, 3)}),
    ("O[i] |= A[i,k]*(k < i)", {"A": (4, 5)}),
    ("O[i] = sum[k](abs(A[i,k] - B[i,k]))", {"A": (4, 5), "B": (4, 5)}),
    ("O[i] = max(A[i], B[i], -1) + pow(2.0, A[i])", {"A": (8,), "B": (8,)}),
    ("O[i] += i*A[i,k]", {"A": (4, 5)}),
    ("O[i] = A[i]/K + sum[k](B[k]/(k + 1))", {"A": (4,), "B": (5,)}),
    ("O[i,j] = sum[k](sqrt(abs(A[i,k]))*(B[k,j] > 0)*C[i])", {"A": (3, 4), "B": (4, 3), "C": (3,)}),
]


def drawn(rng, shape, dtype):
    array = rng.integers(-4, 5, shape).astype(dtype)
    return np.where(rng.random(shape) < 0.5, array, np.zeros((), dtype)).astype(dtype)


def stored(x, format):
    if not x.ndim:
        return x
    return tensor(x, " ".join(f"{a}:C" for a in "abc"[: x.ndim]) if format == "C" else format)


@pytest.mark.parametrize("dtype", ["float64", "int32"])
@pytest.mark.parametrize(("text", "operands"), LINES)
def test_c_and_interpreter_say_what_numpy_says(text, operands, dtype):
    rng = np.random.default_rng(len(text))
    spec = make_spec(text)
    dense = {name: drawn(rng, shape, dtype) for name, shape in operands.items()}
    with np.errstate(all="ignore"):
        want = reference(spec, dense)[spec.results[-1]]
    for format in (None, *FORMATS):
        try:
            given = {n: stored(x, format) if format else x for n, x in dense.items()}
        except FormatError:
            continue
        for backend in ("c", "interpreter"):
            got = evaluate(spec, given, backend=backend)[spec.results[-1]]
            assert got.dtype == want.dtype, (format, backend)
            np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=f"{format} {backend}")


def nest(text, **operands):
    spec = make_spec(text)
    known = {name: resolve(name, x) for name, x in operands.items()}
    line = line_of(spec.forms[-1], known, spec.extents(shapes(known)))
    return show(lower(line.form, line.signatures, line.dtype.name).kernel)


def test_a_comparison_of_places_bounds_the_loop():
    text = nest("O[m] = (n <= m)*A[m,n]", A=np.ones((4, 5)))
    assert "for n in [0, min(N, m + 1)):" in text
    assert " if " not in text


def test_what_is_zero_with_an_operand_is_walked_by_it():
    T = tensor(np.eye(4)[0], "a:C")
    text = nest("y[i] = min(32, relu(T[i] + b*(T[i] != 0)))", T=T, b=np.float64(-1))
    assert "for i, pT_i in T.i:  # compressed" in text
    # and what is not is looked up
    text = nest("y[i] = exp(T[i])*x[i]", T=T, x=np.ones(4))
    assert "pT_i = find i in T.i else -1" in text


def test_absent_times_infinity_stays_absent_under_a_function():
    A = tensor(np.array([0.0, 2.0]), "a:C")
    spec = make_spec("y[i] = abs(A[i]*x[i] - 1)")
    for backend in ("c", "interpreter"):
        got = evaluate(spec, {"A": A, "x": np.array([np.inf, 3.0])}, backend=backend)["y"]
        assert got.tolist() == [1.0, 5.0]


def test_argmax_of_nan_is_its_place_as_in_numpy():
    x = np.array([[1.0, np.nan, 3.0], [2.0, 5.0, 5.0]])
    spec = make_spec("O[i] = argmax[k](A[i,k])")
    for backend in ("c", "interpreter", "numpy"):
        got = evaluate(spec, {"A": x}, backend=backend)["O"]
        assert got.tolist() == np.argmax(x, axis=1).tolist()


@pytest.mark.parametrize("format", [None, "COO", "CSF", "RLE(2)"])
@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_argmax_over_several_ranks_is_the_place_in_the_order_written(name, format):
    rng = np.random.default_rng(12)
    x = rng.integers(-2, 3, (3, 4, 5)) * (rng.random((3, 4, 5)) < 0.6) * 1.0  # ties, and zeros
    x[1, 2, 3] = x[1, 3, 0] = np.nan
    held = x if format is None else tensor(x, format)
    find = getattr(np, name)
    for ranks, target, want in (
        ("j,k", "O[i]", find(x.reshape(3, -1), axis=1)),
        ("k,j", "O[i]", find(x.transpose(0, 2, 1).reshape(3, -1), axis=1)),
        ("k,i,j", "O", find(x.transpose(2, 0, 1))),
    ):
        spec = make_spec(f"{target} = {name}[{ranks}](A[i,j,k])")
        assert make_spec(spec.expr) == spec
        for backend in ("c", "interpreter", "numpy"):
            got = evaluate(spec, {"A": held}, backend=backend)["O"]
            assert got.dtype == np.int64
            assert np.array_equal(got, want), (ranks, backend)


def test_max_pooling_leaves_its_padding_out():
    x = -np.arange(1.0, 8.0)
    spec = make_spec("O[p] max= I[2*p+r]", sizes={"r": 3}, pad={"I": {0: (1, 1), "value": "skip"}})
    for given in (x, tensor(x, "a:C"), tensor(x, "bitmask")):
        for backend in ("c", "interpreter", "numpy"):
            assert evaluate(spec, {"I": given}, backend=backend)["O"].tolist() == [-1, -2, -4, -6]

"""Answers without a compiler: NumPy on dense copies, where it gives what the loop nest gives."""

import numpy as np
import pytest
from generator import random_array
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import CompilerError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import dtype_of
from zeroskip.native import compilerless, engine, prepared

SHAPES = {"A": (5, 6), "B": (6, 7), "b": (5,), "x": (6,), "I": (2, 3, 6, 5), "F": (4, 3, 3, 3)}
SHAPES |= {"S": (5, 7), "D": (5, 5), "s": ()}

LINES = {
    "O[m,n] = A[m,k]*B[k,n]": True,
    "O[n,m] = relu(b[m] + 2*A[m,k]*B[k,n])": True,
    "O[m,n] = S[m,n]*A[m,k]*B[k,n] - S[m,n]": True,
    "O[m] = 3*A[m,k]*x[k] + b[m]": True,
    "O[m] = s*A[m,k]*x[k]": True,
    "O[m,k] = A[m,k] + x[k]": True,
    "O = A[m,k]": True,
    "O[m] = D[m,m]": True,
    "O[m] = sum[k](b[m])": True,
    "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]": True,
    "O[m] max= A[m,k]": True,
    "O[m] *= A[m,k]": True,
    "O[m] += A[m,k]*x[k]": True,
    "O[m] = sum[k](A[m,k]*exp(x[k]))": False,
    "O[m,k] = A[m,k]/x[k]": False,
    "O[m] |= A[m,k]": False,
    "O[m,k] = (k <= m)*A[m,k]": False,
}


@pytest.fixture
def no_compiler(monkeypatch):
    def none_there(*_):
        raise CompilerError("no C compiler found\nRun pip install zeroskip[cc] for one.")

    monkeypatch.setattr(prepared.load, "load", none_there)
    monkeypatch.setattr(prepared, "_warned", True)


def given_for(text, dtype, seed=0, format="CSR"):
    """Operands of a line, those of two axes and filters sparse: in whole numbers."""
    spec, rng, operands = _spec(text), np.random.default_rng(seed), {}
    for name in spec.operands:
        shape = SHAPES[name]
        array = rng.integers(0, 4, shape) * (rng.random(shape) < 0.6)
        array = np.asarray(array).astype(dtype_of(dtype))
        operands[name] = Tensor.from_dense(array, format) if name in "AFD" else array
    return spec, operands


def _spec(text):
    windows = {"pad": {"I": {2: (1, 1)}}} if "I[" in text else {}
    sizes = {"sizes": {"k": 6}} if text == "O[m] = sum[k](b[m])" else {}
    return make_spec(text, **windows, **sizes)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16", "int8", "int64", "bool"])
@pytest.mark.parametrize("text", LINES)
def test_answers_are_the_interpreters(no_compiler, text, dtype):
    for seed, format in enumerate(("CSR", "COO")):
        spec, operands = given_for(text, dtype, seed, format)
        want = engine.evaluate(spec, operands, backend="interpreter")["O"]
        got = engine.evaluate(spec, operands)["O"]
        assert got.dtype == want.dtype
        assert got.shape == want.shape
        wide = "f8" if dtype == "bfloat16" else got.dtype
        np.testing.assert_allclose(got.astype(wide), want.astype(wide), rtol=1e-6)


@pytest.mark.parametrize("text", LINES)
def test_which_lines_are_numpys(text):
    spec, operands = given_for(text, "float32")
    found = compilerless.in_numpy(line_of(spec, operands), None)
    assert (found is not None) == LINES[text]


@pytest.mark.parametrize("backend", ["numpy", "interpreter"])
def test_the_interpreter_is_asked_for_the_rest_alone(no_compiler, monkeypatch, backend):
    asked = []
    monkeypatch.setattr("zeroskip.native.interpret.interpret", lambda *_: asked.append(True))
    for text, numpys in LINES.items():
        spec, operands = given_for(text, "float64")
        asked.clear()
        engine.evaluate(spec, operands, backend="c" if backend == "numpy" else backend)
        assert bool(asked) == (backend == "interpreter" or not numpys), text


def test_what_is_absent_meets_no_infinity(no_compiler):
    w, x = np.diag([1.0, 2.0, 3.0]), np.array([1.0, np.inf, 2.0])
    for text in ("y[m] = W[m,k]*x[k]", "y[m] max= W[m,k]*x[k]", "y[m] += W[m,k]*x[k]"):
        got = zs.einsum(text, W=zs.tensor(w, "CSR"), x=x)
        np.testing.assert_array_equal(got, [1.0, np.inf, 6.0])
    large = np.array([1e300, 1e300, 1e300])
    product = zs.einsum("y[m] = W[m,k]*x[k]*z[k]", W=zs.tensor(w, "CSR"), x=large, z=large)
    np.testing.assert_array_equal(product, [np.inf] * 3)


def test_a_reduction_goes_on_from_out(no_compiler):
    a = random_array(np.random.default_rng(1), (4, 5), "float64", 0.5)
    for op, want in (("+", a.sum(1) + 7), ("max", np.maximum(a.max(1), 7))):
        out = np.full(4, 7.0)
        layer = zs.layer(f"R[i] {op}= A[i,j]")
        assert layer(A=zs.tensor(a, "CSR"), out=out) is out
        np.testing.assert_allclose(out, want)


def test_few_entries_of_a_wide_space_are_not_spread_out():
    wide = Tensor.from_coords([np.arange(9), np.arange(9) * 10**6], np.ones(9), (9, 10**7), "CSR")
    x = np.broadcast_to(np.ones(()), (10**7,))
    assert (
        compilerless.in_numpy(line_of(make_spec("y[m] = W[m,k]*x[k]"), {"W": wide, "x": x}), None)
        is None
    )
    huge = Tensor.from_coords([np.arange(9)] * 2, np.ones(9), (10**7, 10**7), "DCSR")
    spec = make_spec("s = W[m,k]")
    assert compilerless.in_numpy(line_of(spec, {"W": huge}), None) is None

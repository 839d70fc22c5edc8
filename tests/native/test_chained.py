"""Cascades whose lines keep kernels filled: the same results, call after call."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import bound as binding
from zeroskip.native import engine
from zeroskip.native.bound import Bound

TEXTS = [
    ("S[m,n] = A[m,k]*B[k,n]\nZ[m,p] = relu(S[m,n]*D[n,p])", {"A": "mk", "B": "kn", "D": "np"}),
    ("S[m] = A[m,k]*x[k]\nT[m] = S[m] + c\ny[m] = T[m]*S[m]", {"A": "mk", "x": "k", "c": ""}),
    ("P[m,n] = exp(A[m,n])/sum[j](exp(A[m,j]))\nZ[m,k] = P[m,n]*B[n,k]", {"A": "mn", "B": "nk"}),
    ("unused[m] = A[m,k]\nT[m] = max[k](A[m,k])\ny[m] = T[m]*T[m]", {"A": "mk"}),
    ("M[m] |= A[m,k]*x[k]\ny[m] = M[m]*z[m]", {"A": "mk", "x": "k", "z": "m"}),
]
FORMATS = {2: ["CSR", "bitmask", None], 1: [None], 0: [None]}


def operands(seed, axes, sizes, kinds=0):
    """Whole numbers, so that every order of the sums gives the same."""
    rng, found = np.random.default_rng(seed), {}
    for name, ranks in axes.items():
        shape = [sizes[rank] for rank in ranks]
        array = (rng.integers(-3, 4, shape) * (rng.random(shape) < 0.6)).astype(np.float64)
        layout = FORMATS[len(ranks)][kinds % len(FORMATS[len(ranks)])]
        found[name] = array if layout is None else Tensor.from_dense(array, layout)
    return found


@pytest.mark.parametrize(("text", "axes"), TEXTS)
@pytest.mark.parametrize("kinds", [0, 1, 2])
def test_a_chain_gives_what_the_engine_gives(text, axes, kinds, monkeypatch):
    """To the last bit, with nothing held, at two sets of shapes, whatever was computed before."""
    spec = make_spec(text)
    bound, last = Bound(spec, {}), spec.results[-1]
    monkeypatch.setattr(binding, "evaluate", one_line_of(binding.evaluate))
    for seed in range(6):
        sizes = {rank: 4 + seed % 2 * (1 + k) for k, rank in enumerate("mknp")}
        given = operands(seed, axes, sizes, kinds)
        want = engine.evaluate(spec, given)[last]
        made = bound.run(given)
        assert np.array_equal(made, want)
        assert made.dtype == want.dtype
    assert len(bound._chains._found) == 2
    assert None not in bound._chains._found.values()


def one_line_of(evaluate):
    """What refuses to compute a cascade by the long way."""

    def only(spec, *given, **named):
        assert len(spec.forms) == 1
        return evaluate(spec, *given, **named)

    return only


@pytest.mark.parametrize(("text", "axes"), TEXTS)
def test_some_operands_are_held(text, axes):
    spec = make_spec(text)
    sizes = {"m": 5, "k": 4, "n": 3, "p": 6}
    given = operands(1, axes, sizes)
    for name in axes:
        bound = Bound(spec, {name: given[name]})
        for seed in range(3):
            fresh = {n: x for n, x in operands(seed, axes, sizes).items() if n != name}
            want = engine.evaluate(spec, {**fresh, name: given[name]})[spec.results[-1]]
            assert np.allclose(bound.run(fresh), want)


def test_what_is_held_is_the_binding_s_own():
    spec = make_spec("S[m] = A[m,k]*x[k]\ny[m] = relu(S[m])")
    a, x = np.ones((3, 4)), np.ones(4)
    bound = Bound(spec, {"A": a})
    assert bound.run({"x": x}).tolist() == [4, 4, 4]
    a[:] = 9
    assert bound.run({"x": x}).tolist() == [4, 4, 4]
    x[:] = 2
    assert bound.run({"x": x}).tolist() == [8, 8, 8]


def test_extents_that_another_line_fixes():
    """T has as many columns as D, which its own line does not read."""
    layer = zs.layer("T[m,n] = A[m]\nZ[m] = T[m,n]*D[n]")
    for columns in (3, 5, 3, 5):
        made = layer(A=np.arange(2.0), D=np.ones(columns))
        assert made.tolist() == [0, columns]


def test_halves_go_the_long_way():
    """A sum inside an expression is kept in float32 from line to line."""
    layer = zs.layer("Z[m,n] = A[m,n]/sum[j](A[m,j]); y[m] = sum[n](Z[m,n])")
    for _ in range(3):
        made = layer(A=np.full((2, 70), 1000, np.float16))
        assert np.allclose(made, 1, atol=1e-2)


def test_an_error_of_a_line_names_it():
    layer = zs.layer("T[m] = A[m,k]*x[k]\ny[m] = T[X[m]]")
    good = {"A": np.ones((3, 2)), "x": np.ones(2), "X": np.array([0, 1, 2])}
    for _ in range(3):
        assert layer(**good).tolist() == [2, 2, 2]
    with pytest.raises(zs.ZeroskipError, match=r"T.*extent 3"):
        layer(**{**good, "X": np.array([0, 1, 7])})
    assert layer(**good).tolist() == [2, 2, 2]

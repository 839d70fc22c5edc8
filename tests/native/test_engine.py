"""Which way a call takes, where its result goes, and what it refuses."""

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine

BACKENDS = ("c", "interpreter", "numpy")

A = np.array([[1.0, -2, 0], [0, 0, 0]])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("op", "start", "want"),
    [
        ("+=", [9.0, 1], [8.0, 1]),
        ("*=", [9.0, 1], [0.0, 0]),
        ("max=", [0.5, 9], [1.0, 9]),
        ("min=", [0.5, -9], [-2.0, -9]),
        ("|=", [False, True], [True, True]),
        ("&=", [True, False], [False, False]),
    ],
)
@pytest.mark.parametrize("sparse", [False, True])
def test_a_reduction_starts_from_what_out_holds(backend, op, start, want, sparse):
    out = np.array(start)
    operand = Tensor.from_dense(A, "CSR") if sparse else A
    spec = make_spec(f"y[m] {op} A[m,k]")
    got = engine.evaluate(spec, {"A": operand}, backend=backend, out=out)["y"]
    assert got is out
    assert out.tolist() == want


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_function_under_a_sum_is_added_to_out(backend):
    out = np.array([10.0, 20])
    engine.evaluate(make_spec("y[m] += relu(A[m,k])"), {"A": A}, backend=backend, out=out)
    assert out.tolist() == [11.0, 20]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_plain_assignment_overwrites_out(backend):
    out = np.array([9.0, 9])
    engine.evaluate(make_spec("y[m] = A[m,k]"), {"A": A}, backend=backend, out=out)
    assert out.tolist() == [-1.0, 0]


def test_out_of_a_cascade_is_the_last_result():
    out = np.zeros(2)
    got = engine.evaluate(make_spec("S[m] = A[m,k]\ny[m] = 2*S[m]"), {"A": A}, out=out)
    assert got["S"].tolist() == [-1, 0]
    assert got["y"] is out
    assert out.tolist() == [-2, 0]


def test_an_unknown_backend_is_named():
    with pytest.raises(
        KernelError, match="expected a backend of c, interpreter, numpy, found 'gpu'"
    ):
        engine.evaluate(make_spec("y[m] = A[m,k]"), {"A": A}, backend="gpu")


@pytest.mark.parametrize(
    ("text", "operands", "message"),
    [
        (
            "y[i] = " + " + ".join(f"a{k}[i]" for k in range(100)),
            {f"a{k}": np.ones(2) for k in range(100)},
            r"at most 96 arrays, and this line has 101\n  y\[i\] = a0\[i\] .*\.\.\.\nCompute part",
        ),
        (
            "y[i] = x[i]*" + "*".join(f"a{k}" for k in range(17)),
            {"x": np.ones(2), **{f"a{k}": 1.0 for k in range(17)}},
            "at most 16 operands of no axes, and this line has 17",
        ),
        (
            "y[i] = x[i]*" + "*".join(f"a{k}" for k in range(17)),
            {"x": np.ones(2), **{f"a{k}": 1 for k in range(17)}},
            "at most 16 whole operands of no axes, and this line has 17",
        ),
        (
            "y = x[{}]".format(",".join(f"i{k}" for k in range(40))),
            {"x": np.ones((1,) * 40)},
            "at most 32 ranks, and this line has 40",
        ),
    ],
)
def test_a_line_too_large_for_a_kernel_is_refused(text, operands, message):
    for _ in range(2):
        with pytest.raises(KernelError, match=message):
            engine.evaluate(make_spec(text), operands)


def test_a_line_as_large_as_a_kernel_may_be():
    names = [f"a{k}" for k in range(15)]
    spec = make_spec(
        "y[i] = x[i]*" + "*".join(names) + " + " + "+".join(f"b{k}[i]" for k in range(15))
    )
    operands = {"x": np.ones(2), **dict.fromkeys(names, 2.0)}
    operands |= {f"b{k}": np.full(2, float(k)) for k in range(15)}
    for backend in ("c", "interpreter"):
        got = engine.evaluate(spec, operands, backend=backend)["y"]
        assert got.tolist() == [2.0**15 + 105] * 2

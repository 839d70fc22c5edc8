"""Rows whose places come in order: which lines have them, and that the judges agree."""

import numpy as np
import pytest
from generator import random_array
from judges import line_of

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, results
from zeroskip.native.reference import evaluate
from zeroskip.native.show import show

SHAPES = {"A": (6, 7), "B": (6, 7), "D": (7, 5), "x": (7,), "T": (4, 3, 5)}
ORDERED = [
    ("C[i,j] = A[i,j]*x[j]", "CSR"),
    ("C[i,j] = relu(A[i,j]*x[j])", "CSR"),
    ("C[i,j] = A[i,j]*B[i,j]", "CSR"),
    ("C[i,j] = A[i,j]*B[i,j]", "bitmask"),
    ("C[i,j] = -A[i,j]*x[j]", "bitmask"),
    ("C[i,j,k] = 2*T[i,j,k]", "0:U 1:C 2:C"),
]
GATHERED = [
    ("C[i,k] = A[i,j]*D[j,k]", "CSR"),
    ("C[i,j] = A[i,j] + B[i,j]", "CSR"),
    ("C[i,k] = T[i,j,k]", "0:U 1:C 2:C"),
    ("C[i,k,j] = T[i,j,k]", "0:U 1:C 2:C"),
    ("C[j] = A[i,j]", "CSR"),
    ("C[i] = A[i,j]", "COO"),
    ("C[i,j] = A[i,j]*x[j]", "COO"),
    ("C[i,j] = A[i,j]*x[j]", "RLE(3)"),
    ("C[i,j] = A[i,6-j]*x[j]", "CSR"),
]


@pytest.mark.parametrize(
    ("text", "format", "ordered"),
    [(*line, True) for line in ORDERED] + [(*line, False) for line in GATHERED],
)
@pytest.mark.parametrize("wanted", ["CSR", "COO"])
def test_lines(text, format, ordered, wanted):
    rng = np.random.default_rng(len(text))
    spec = make_spec(text)
    dense = {name: random_array(rng, SHAPES[name], "float64", 0.5) for name in spec.operands}
    given = {n: x if n == "x" else Tensor.from_dense(x, format) for n, x in dense.items()}
    line = line_of(spec, given)
    chosen = results.assembly_of(line)
    line = results.rearranged(line, chosen)
    shown = show(results.rows_kernel(line, chosen)[0].lowered.kernel)
    assert ("empty:" not in shown) == ordered, shown
    assert shown.count("append C[") == 1
    want = evaluate(spec, dense)["C"]
    for backend in ("c", "interpreter"):
        made = engine.evaluate(spec, given, format=wanted, backend=backend)["C"]
        assert np.allclose(made.validate().toarray(), want), backend


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_zeros_stay_stored_but_those_of_a_relu(backend):
    A = Tensor.from_dense(np.array([[1.0, -2, 0], [3, 0, 4]]), "CSR")
    x = np.array([0.0, 1, 1])
    for text, stored in (
        ("C[i,j] = A[i,j]*x[j]", [0, -2, 0, 4]),
        ("C[i,j] = relu(A[i,j]*x[j])", [4]),
    ):
        (made,) = engine.evaluate(
            make_spec(text), {"A": A, "x": x}, format="CSR", backend=backend
        ).values()
        assert made.coords()[1].tolist() == stored

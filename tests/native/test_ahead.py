"""Fibers fetched ahead: where loops say so, and that results are as they were."""

import numpy as np
import pytest
from generator import random_array
from judges import line_of

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, results
from zeroskip.native.reference import evaluate


def c_text(text, formats, shapes):
    rng = np.random.default_rng(0)
    operands = {
        name: Tensor.from_dense(random_array(rng, shapes[name], "float64", 0.3), format)
        for name, format in formats.items()
    }
    line = line_of(make_spec(text), operands)
    chosen = results.assembly_of(line)
    line = results.rearranged(line, chosen)
    return results.rows_kernel(line, chosen)[0].c_text.rpartition("zs_kernel(zs_args *args)")[2]


SHAPES = {"A": (5, 6), "B": (6, 7), "D": (5, 6)}


def test_fibers_at_coordinates_are_fetched_ahead():
    text = c_text("C[i,k] = A[i,j]*B[j,k]", {"A": "CSR", "B": "CSR"}, SHAPES)
    assert "__builtin_prefetch(B_k_pos + A_j_crd[pA_j + 16]);" in text
    assert "const int64_t coming = B_k_pos[A_j_crd[pA_j + 8]];" in text
    assert "if (pA_j + 16 < A_stored)" in text
    for array in ("B_k_crd", "B_vals"):
        assert f"__builtin_prefetch({array} + coming);" in text


@pytest.mark.parametrize(
    ("text", "formats"),
    [
        ("C[i,k] = A[i,j]*B[j,k]", {"A": "CSR", "B": "bitmask"}),
        ("C[i,k] = A[i,j]*B[j,k]", {"A": "bitmask", "B": "CSR"}),
        ("C[i,j] = A[i,j] + D[i,j]", {"A": "CSR", "D": "CSR"}),
    ],
)
def test_others_are_not(text, formats):
    assert "__builtin_prefetch" not in c_text(text, formats, SHAPES)


@pytest.mark.parametrize("rows", [0, 1, 4, 40])
@pytest.mark.parametrize("inner", [1, 9, 60])
def test_results_are_as_they_were(rows, inner):
    """Fewer entries than are looked ahead, and more; fibers that are empty at the end."""
    rng = np.random.default_rng(rows)
    A = (rng.random((rows, inner)) < 0.4) * rng.integers(1, 9, (rows, inner))
    B = (rng.random((inner, 11)) < 0.4) * rng.integers(1, 9, (inner, 11))
    B[inner // 2 :] = 0
    spec = make_spec("C[i,k] = A[i,j]*B[j,k]")
    stored = {name: Tensor.from_dense(x, "CSR") for name, x in {"A": A, "B": B}.items()}
    want = evaluate(spec, {"A": A, "B": B})["C"]
    for backend in ("c", "interpreter"):
        made = engine.evaluate(spec, stored, format="CSR", backend=backend)["C"]
        assert np.array_equal(made.validate().toarray(), want), backend

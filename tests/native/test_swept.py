"""Rows that follow full ones: marked and swept, some entries of a fiber at once."""

import numpy as np
import pytest
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.native import results

PRODUCT = "C[i,j] = A[i,k]*B[k,j]"


def with_counts(counts, columns, rng, dtype):
    """Rows of so many entries."""
    found = np.zeros((len(counts), columns), dtype)
    for row, count in zip(found, counts, strict=True):
        row[rng.permutation(columns)[:count]] = rng.integers(1, 5, count)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("columns", [64, 97, 700])
@pytest.mark.parametrize("share", [0.004, 0.1, 0.2, 0.6, 1.0])
def test_fibers_of_every_length_and_rows_of_every_fill(dtype, columns, share):
    """Around a share of 1/8, and of 1/128, rows are swept in another way; the last one is empty."""
    rng = np.random.default_rng(columns)
    counts = rng.integers(0, 2 * share * columns + 1, 40).clip(0, columns)
    B = with_counts([*range(10), *counts], columns, rng, dtype)
    A = with_counts([50, 1, 40, 2, 50, 30, 0, 50, 50, 0], 50, rng, dtype)
    stored = {"A": zs.tensor(A, "CSR"), "B": zs.tensor(B, "CSR")}
    made = zs.einsum(PRODUCT, **stored, format="CSR").validate()
    assert np.array_equal(made.toarray(), A @ B)
    assert made.stored == np.count_nonzero((A != 0).astype(int) @ (B != 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_places_of_32_bits(dtype):
    rng = np.random.default_rng(1)
    B = with_counts([30000, 20000, 65000, 3, 9000], 70001, rng, dtype)
    A = np.array([[1, 0, 2, 0, 0], [0, 1, 1, 1, 3], [0, 0, 0, 0, 1], [0, 0, 0, 1, 0]], dtype)
    stored = {"A": zs.tensor(A, "CSR"), "B": zs.tensor(B, "CSR")}
    assert stored["B"].levels[1].arrays["crd"].dtype == np.int32
    made = zs.einsum(PRODUCT, **stored, format="CSR").validate()
    assert np.array_equal(made.toarray(), A @ B)


def test_what_cancels_stays():
    B = np.tile(np.arange(1.0, 201), (2, 1))
    A = np.array([[1.0, 1], [1, -1], [2, -2]])
    made = zs.einsum(PRODUCT, A=zs.tensor(A, "CSR"), B=zs.tensor(B, "CSR"), format="CSR")
    assert made.stored == 600
    assert np.array_equal(made.toarray(), A @ B)


def test_sums_are_read_before_the_first_is_written():
    ones = zs.tensor(np.ones((3, 3), "float32"), "CSR")
    line = line_of(make_spec(PRODUCT), {"A": ones, "B": ones})
    text = results.rows_kernel(line, results.assembly_of(line))[0].c_text
    assert "sums[e] = C_row[j] + A_vals[pA_k] * B_vals[pB_j];" in text
    assert "C_row[places[e]] = sums[e];" in text

"""Sums of several entries at once: sampled products of every depth and number of entries."""

import numpy as np
import pytest
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.native import results

TEXT = "S[i,j] = A[i,k]*B[j,k]*M[i,j]"


def mask_of(counts, columns, rng):
    """A mask with so many ones in each row."""
    mask = np.zeros((len(counts), columns))
    for row, n in zip(mask, counts, strict=True):
        row[rng.permutation(columns)[:n]] = 1
    return mask


@pytest.mark.parametrize("depth", [0, 1, 3, 8, 15, 16, 17, 31, 64, 67, 130])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_every_depth_and_number_of_entries(dtype, depth):
    rng = np.random.default_rng(depth)
    mask = mask_of(range(11), 13, rng).astype(dtype)
    mask *= rng.integers(1, 4, mask.shape).astype(dtype)
    a, b = (rng.integers(-4, 5, (n, depth)).astype(dtype) for n in mask.shape)
    made = zs.einsum(TEXT, A=a, B=b, M=zs.tensor(mask, "CSR"), format="CSR").validate()
    assert np.array_equal(made.toarray(), mask * (a @ b.T))
    assert made.stored == np.count_nonzero(mask)
    dense = zs.einsum(TEXT, A=a, B=b, M=zs.tensor(mask, "CSR"))
    assert np.array_equal(dense, mask * (a @ b.T))


@pytest.mark.parametrize("depth", [5, 48, 64, 77])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_sum_does_not_depend_on_which_come_with_it(dtype, depth):
    """All rows of A and of B are the same, so that all sums are, to the last bit."""
    rng = np.random.default_rng(depth)
    mask = mask_of(range(14), 14, rng).astype(dtype)
    a, b = (np.tile(rng.standard_normal(depth), (n, 1)).astype(dtype) for n in mask.shape)
    made = zs.einsum(TEXT, A=a, B=b, M=zs.tensor(mask, "CSR"), format="CSR")
    assert len(set(made.values.tolist())) == 1
    assert np.allclose(made.values, a[0].astype(float) @ b[0].astype(float), rtol=1e-5)


def test_what_is_not_finite_stays_where_it_is():
    rng = np.random.default_rng(3)
    mask = mask_of([9, 3, 4, 5], 9, rng).astype("float32")
    a, b = (rng.integers(1, 5, (n, 20)).astype("float32") for n in mask.shape)
    b[2, 3], b[5, 17], a[1, 19] = np.inf, np.nan, -np.inf
    made = zs.einsum(TEXT, A=a, B=b, M=zs.tensor(mask, "CSR"), format="CSR")
    (rows, columns), values = made.coords()
    with np.errstate(invalid="ignore"):
        want = np.array([a[i].astype(float) @ b[j] for i, j in zip(rows, columns, strict=True)])
    assert np.array_equal(values, want, equal_nan=True)


def test_a_function_of_the_sum_is_taken_of_each():
    rng = np.random.default_rng(4)
    mask = mask_of(range(8), 8, rng)
    a, b = (rng.integers(-4, 5, (n, 19)).astype(float) for n in mask.shape)
    text = "S[i,j] = relu(A[i,k]*B[j,k]*M[i,j])"
    made = zs.einsum(text, A=a, B=b, M=zs.tensor(mask, "CSR"), format="CSR").validate()
    want = np.maximum(mask * (a @ b.T), 0)
    assert np.array_equal(made.toarray(), want)
    assert made.stored == np.count_nonzero(want)


def test_it_is_what_a_sampled_product_runs():
    mask = zs.tensor(np.eye(5), "CSR")
    operands = {"A": np.ones((5, 40)), "B": np.ones((5, 40)), "M": mask}
    line = line_of(make_spec(TEXT), operands)
    chosen = results.assembly_of(line)
    text = results.rows_kernel(results.rearranged(line, chosen), chosen)[0].c_text
    assert "zs_lane_sums4_float64_" in text


@pytest.mark.parametrize("dtype", ["float32", "int8"])
@pytest.mark.parametrize("format", ["C", "R(2)"])
def test_entries_that_are_told_apart_by_their_sums_alone(format, dtype):
    """What the sums go to has no place of their own: all of B is added to one of the result."""
    rng = np.random.default_rng(5)
    a, c = (rng.integers(-3, 4, 64).astype(dtype) for _ in range(2))
    b = np.array([0, 2, 0, 3, 1, 2, 0, 1, 1], dtype)
    operands = {"A": zs.tensor(a, "C"), "B": zs.tensor(b, "C"), "C": c}
    made = zs.einsum("O[j] = A[j]*B[i]*C[k]", **operands, format=format).validate()
    assert np.array_equal(made.toarray(), a * (b.sum(dtype=int) * c.sum(dtype=int)))

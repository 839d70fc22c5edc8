"""What is not stored is absent: times infinity or NaN it gives nothing, in every format."""

import numpy as np
import pytest

import zeroskip as zs

FORMATS = ["CSR", "COO", "bitmask", "RLE(2)", "0:U 1:R(1)", "R(1) R(1)", "C U", "B U", "0*1:R(2)"]


def matrix():
    a = np.zeros((3, 40))
    a[0, 35], a[1, 2], a[2, 39] = 1, 2, 5
    return a


def poisoned(shape):
    x = np.ones(shape)
    x[10], x[3] = np.inf, np.nan
    return x


@pytest.mark.parametrize("spec", FORMATS)
@pytest.mark.parametrize("columns", [1, 8, 1000])
def test_absent_times_infinity_is_absent_in_every_schedule(spec, columns):
    a, x = zs.tensor(matrix(), spec), poisoned((40, columns))
    wanted = np.array([1.0, 2.0, 5.0])[:, None] * np.ones(columns)
    line = zs.layer("C[i,k] = A[i,j]*X[j,k]")
    assert np.array_equal(line(A=a, X=x), wanted)
    assert np.array_equal(line.bind(A=a)(X=x), wanted)
    if columns == 1:
        assert np.array_equal(line(A=a, X=x, backend="interpreter"), wanted)


def test_a_function_under_a_sum_keeps_absent_values_absent():
    a = zs.tensor(matrix(), "CSR")
    line = zs.layer("y[i] += relu(A[i,j]*x[j])")
    assert np.array_equal(line(A=a, x=poisoned(40)), [1, 2, 5])


@pytest.mark.parametrize("spec", [None, "dense", "U U", "1:U 0:U"])
def test_a_dense_operand_has_zeros_as_numpy_has_them(spec):
    a = matrix() if spec is None else zs.tensor(matrix(), spec)
    for columns in (1, 1000):
        got = zs.einsum("C[i,k] = A[i,j]*X[j,k]", A=a, X=poisoned((40, columns)))
        assert np.isnan(got).all()


def test_a_stored_value_meets_infinity():
    a = matrix()
    a[0, 10] = 3
    got = zs.einsum("y[i] = A[i,j]*x[j]", A=zs.tensor(a, "RLE(2)"), x=poisoned(40))
    assert got.tolist() == [np.inf, 2, 5]

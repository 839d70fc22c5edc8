"""Extremes over dense operands, by vectors: NaN, infinities and both zeros among them."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.native import settings

WIDTHS = (16, 32, 64)
DTYPES = ("float32", "float64", "float16", "int8", "int32", "int64")
LENGTHS = (1, 7, 15, 16, 17, 64, 65, 131, 300)

LINES = {
    "R[i] max= A[i,j]": {},
    "R[i] min= A[i,j]": {},
    "R[j] max= A[i,j]": {},
    "s min= A[i,j]": {},
    "R[i] max= A[i,j] * B[i,j]": {},
    "R[i] min= A[i,j] + B[i,j]": {},
    "R[h,i] max= A[i,j] - B[h,j]": {},
    "R[j] min= abs(A[i,j])": {},
    "R[i] max= 2*A[i,j]": {},
    "R[i,q] max= A[i,2*q+s]": {"sizes": {"s": 3}},
    "R[i,q] max= A[i,q+s]": {"sizes": {"s": 3}, "pad": {"A": {1: (1, 1), "value": "skip"}}},
    "R[i,q] min= A[i,q+s]": {"sizes": {"s": 3}, "pad": {"A": {1: (1, 1), "value": "skip"}}},
}


def drawn(rng, shape, dtype):
    """Few values that differ, so that equal ones meet; of floats some that are no numbers."""
    x = rng.integers(-9, 10, shape).astype(dtype)
    if np.dtype(dtype).kind == "f":
        for value, chance in ((np.nan, 0.01), (np.inf, 0.01), (-np.inf, 0.01), (-0.0, 0.1)):
            x[rng.random(shape) < chance] = value
    return x


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", LINES)
def test_extremes_by_vectors(text, dtype, width):
    rng = np.random.default_rng(11)
    layer = zs.layer(text, **LINES[text])
    for length in LENGTHS:
        if "s" in LINES[text].get("sizes", {}) and length < 3:
            continue
        given = {"A": drawn(rng, (5, length), dtype)}
        if "B[" in text:
            given["B"] = drawn(rng, (3 if "h" in text else 5, length), dtype)
        with settings.using(vector_bytes=width):
            got = layer(**given)
        np.testing.assert_array_equal(got, layer(**given, backend="numpy"), err_msg=str(length))


@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("at", [0, 5, 40, 67, 70])
def test_one_nan_is_found_wherever_it_is(op, at):
    x = np.arange(2 * 71, dtype="f4").reshape(2, 71)
    x[1, at] = np.nan
    rows = zs.einsum(f"R[i] {op}= A[i,j]", A=x)
    columns = zs.einsum(f"R[j] {op}= A[i,j]", A=x)
    assert np.isnan(rows).tolist() == [False, True]
    assert np.flatnonzero(np.isnan(columns)).tolist() == [at]


def test_what_is_there_already_takes_part():
    x = np.ones((3, 90), "f4")
    for start in (7.0, np.nan, -np.inf):
        out = np.full(3, start, "f4")
        zs.einsum("R[i] max= A[i,j]", A=x, out=out)
        np.testing.assert_array_equal(out, np.maximum(np.full(3, start, "f4"), 1))
    out = np.full(90, 7, "f4")
    zs.einsum("R[j] min= A[i,j]", A=x, out=out)
    np.testing.assert_array_equal(out, np.ones(90, "f4"))


@pytest.mark.parametrize("text", ["R[i] max= A[i,j]", "R[j] min= A[i,j]"])
def test_nothing_to_reduce_is_the_identity(text):
    for shape in ((0, 40), (40, 0)):
        x = np.zeros(shape, "f4")
        np.testing.assert_array_equal(zs.einsum(text, A=x), zs.einsum(text, A=x, backend="numpy"))


def test_they_are_vectors():
    """Lanes share the extreme of a row, and those of columns are as many at once."""
    x = np.ones((40, 400), "f4")
    with settings.using(vector_bytes=64):
        for text in ("R[i] max= A[i,j]", "R[j] max= A[i,j]"):
            assert "zs_max_lanes(" in zs.explain(zs.layer(text), A=x).c

"""Functions of dense operands under a reduction, by vectors."""

import numpy as np
import pytest
from test_dots import INSTRUCTIONS, skip_elsewhere
from test_extremes import drawn

import zeroskip as zs
from zeroskip.native import dots, settings
from zeroskip.native.load import load

WIDTHS = (16, 32, 64)
DTYPES = ("float32", "float64", "float16", "int8", "uint8", "int32", "int64", "uint64", "bool")
LENGTHS = (1, 15, 16, 17, 64, 131, 300)

LINES = (
    "R[i] = sum[j](relu(A[i,j]))",
    "R[i] = sum[j](abs(A[i,j]))",
    "R[i] = sum[j](relu(2*A[i,j]*B[i,j]))",
    "R[i] = b[i] + sum[j](abs(A[i,j]*B[i,j]))",
    "R[i] max= relu(A[i,j])",
    "R[i] min= abs(A[i,j]*B[i,j])",
    "s = sum[i,j](relu(A[i,j]))",
    "R[i] |= A[i,j]",
    "R[i] &= A[i,j]",
    "R[i] |= A[i,j]*B[i,j]",
    "s &= A[i,j]",
)


def given_for(text, rng, dtype, length):
    low = drawn(rng, (5, length), dtype) if dtype != "bool" else rng.random((5, length)) < 0.7
    if "&" in text:
        low[1:3] = 1
    given = {"A": low}
    if "B[" in text:
        given["B"] = drawn(rng, (5, length), dtype)
    if "b[" in text:
        given["b"] = np.arange(5).astype(dtype)
    return given


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", LINES)
def test_functions_by_vectors(text, dtype, width):
    rng, layer = np.random.default_rng(17), zs.layer(text)
    for length in LENGTHS:
        given = given_for(text, rng, dtype, length)
        with settings.using(vector_bytes=width):
            got = layer(**given)
        want = layer(**given, backend="numpy")
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want, rtol=2e-3 if dtype == "float16" else 1e-5)


@pytest.mark.parametrize("text", LINES)
def test_lanes_share_them(text):
    given = given_for(text, np.random.default_rng(1), "float32", 300)
    with settings.using(vector_bytes=64):
        found = str(zs.explain(zs.layer(text), **given))
    (name,) = {name for name in ("relu", "abs") if name in text} or {"truth"}
    assert f"zs_{name}_lanes(" in found
    assert "dots" in found


@pytest.mark.parametrize("flags", INSTRUCTIONS)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", dots.COMPUTED)
def test_each_lane_is_that_of_one_value(dtype, width, flags):
    skip_elsewhere(flags)
    kind = "float" if dtype == "float32" else "double" if dtype == "float64" else f"{dtype}_t"
    cases = [
        f"case {k}: *(zs_vec *)args->buf[1] = zs_{name}_lanes(*(zs_vec *)args->buf[0]); break;"
        for k, name in enumerate(("relu", "abs", "truth"))
    ]
    text = [
        '#include "zs_kernel.h"',
        '#include "zs_lanewise.h"',
        f"typedef {kind} zs_vec"
        f" __attribute__((vector_size({width}), aligned(sizeof({kind})), may_alias));",
        f"ZS_DEFINE_LANEWISE({kind})",
        "int32_t zs_kernel(zs_args *args)",
        *("{", "switch (args->dim[0]) {", *cases, "}", "return ZS_OK;", "}", ""),
    ]
    kernel = load("\n".join(text), "zs_kernel", flags)
    if dtype.startswith("float"):
        some = [-0.0, 0.0, -1.5, 2.5, np.inf, -np.inf, np.nan, 1e-40]
    else:
        ends = np.iinfo(dtype)
        some = [0, 1, ends.min, ends.max, ends.max // 2, 5, ends.min // 2, 7]
    lanes = width // np.dtype(dtype).itemsize
    for start in range(0, 8, lanes):
        x = np.resize(np.roll(np.array(some, dtype), -start), lanes)
        with np.errstate(all="ignore"):
            below = x < 0
            wants = (np.where(below, 0, x), np.where(below, -x, x), (x != 0))
        for k, want in enumerate(wants):
            made = np.zeros(lanes, dtype)
            kernel.prepare([x, made], (k,)).call()
            assert made.tobytes() == want.astype(dtype).tobytes(), (k, x, made)

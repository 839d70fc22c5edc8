"""Sampled products before the three judges: sums over a dense rank in the lanes of vectors."""

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import BFLOAT16, FLOAT32, FLOAT64, count, line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import dtype_of
from zeroskip.native import engine, results, sampled
from zeroskip.native import settings as native_settings
from zeroskip.native.reference import evaluate
from zeroskip.native.show import show

WIDTHS = [16, 32, 64]
TYPES = ["float32", "float64", "float16", "bfloat16", "int8", "uint8", "int32", "int64", "uint64"]
LINES = {
    "S[i,j] = M[i,j]*A[i,k]*B[k,j]": ("ik", "kj"),
    "S[i,j] = M[i,j]*A[i,k]*B[j,k]": ("ik", "jk"),
    "S[i,j] = 3*M[i,j]*A[k,i]*B[k,j]": ("ki", "kj"),
    "S[i,j] = relu(M[i,j]*A[i,k]*B[k,j])": ("ik", "kj"),
    "S[j,i] = M[i,j]*A[i,k]*B[k,j]": ("ik", "kj"),
    "S[i,j] = M[i,j]*A[i,k]*B[k]": ("ik", "k"),
    "S[i,j] = M[i,j]*A[i,2*k]*B[k,j]": ("i2", "kj"),
    "S[i,j] = M[i,j]*A[i,k]*B[k,j] + M[i,j]": ("ik", "kj"),
}


def operands_of(rng, text, rows, columns, inner, dtype="float64", format="CSR"):
    extents = {"i": rows, "j": columns, "k": inner, "2": 2 * inner}
    a, b = (tuple(extents[rank] for rank in ranks) for ranks in LINES[text])
    drawn = {
        name: random_array(rng, shape, "float64", density)
        for name, shape, density in (("M", (rows, columns), 0.3), ("A", a, 0.9), ("B", b, 0.9))
    }
    drawn = {name: (x * 9).round().clip(-9, 9) for name, x in drawn.items()}
    if dtype.startswith("u"):
        drawn = {name: abs(x) for name, x in drawn.items()}
    drawn = {name: x.astype(dtype_of(dtype)) for name, x in drawn.items()}
    return {**drawn, "M": Tensor.from_dense(drawn["M"], format)}


def check(spec, operands, format):
    """C, the interpreter and NumPy agree, on values and on places."""
    dense = {n: x.toarray() if isinstance(x, Tensor) else x for n, x in operands.items()}
    whole = dense["A"].dtype.kind in "iu"
    wide = dense if whole else {n: x.astype("float64") for n, x in dense.items()}
    (want,) = evaluate(spec, wide).values()
    for backend in ("c", "interpreter"):
        (made,) = engine.evaluate(spec, operands, format=format, backend=backend).values()
        got = made.validate().toarray()
        if whole:
            assert np.array_equal(got, want), backend
        else:
            relative = {2: BFLOAT16, 4: FLOAT32, 8: FLOAT64}[got.dtype.itemsize]
            assert np.all(abs(got.astype("float64") - want) <= relative * 9**4 * 150), backend
        if spec.forms[0].post is None:
            assert made.stored == operands["M"].stored


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", TYPES)
def test_every_type_and_length(dtype, width):
    rng = np.random.default_rng([ord(c) for c in dtype])
    text = "S[i,j] = M[i,j]*A[i,k]*B[k,j]"
    spec = make_spec(text)
    with native_settings.using(vector_bytes=width):
        for inner in (0, 1, 7, 8, 16, 33, 64, 150):
            check(spec, operands_of(rng, text, 5, 9, inner, dtype), "CSR")


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(sorted(LINES)),
    st.sampled_from(["CSR", "CSC", "COO", "bitmask", "DCSR", "RLE(2)", "0*1:C"]),
    st.sampled_from(["CSR", "COO", "bitmask", "a:C b:C"]),
    st.sampled_from(WIDTHS),
    st.integers(0, 6),
    st.integers(0, 80),
    st.integers(0, 2**32 - 1),
)
def test_forms_and_formats(text, format, wanted, width, rows, inner, seed):
    rng = np.random.default_rng(seed)
    operands = operands_of(rng, text, rows, 7, inner, format=format)
    bridged = format.startswith("RLE")
    if bridged:  # a bridge is no entry
        operands["M"] = Tensor.from_dense(operands["M"].toarray(), "CSR").asformat(format)
    spec = make_spec(text)
    with native_settings.using(vector_bytes=width):
        if bridged:
            (want,) = evaluate(spec, {**operands, "M": operands["M"].toarray()}).values()
            (made,) = engine.evaluate(spec, operands, format=wanted).values()
            assert np.allclose(made.validate().toarray(), want)
        else:
            check(spec, operands, wanted)


def test_lanes_share_the_sum_and_multiplications_are_counted():
    rng = np.random.default_rng(0)
    text = "S[i,j] = M[i,j]*A[i,k]*B[k,j]"
    operands = operands_of(rng, text, 6, 30, 75)
    line = line_of(make_spec(text), operands)
    chosen = results.assembly_of(line)
    assert list(chosen.turned) == ["B"]
    line = results.rearranged(line, chosen)
    assert line.converted == ("B",)
    prepared, _ = results.rows_kernel(line, chosen)
    assert "lanes share the reduction" in show(prepared.lowered.kernel)
    work = [count(prepared, results.rows_kernel(line, chosen)[1], b) for b in ("c", "interpreter")]
    assert work == [2 * 75 * operands["M"].stored] * 2


def test_an_operand_is_stored_anew_only_where_it_is_read_often_enough():
    text = "S[i,j] = M[i,j]*A[i,k]*B[k,j]"
    line = line_of(make_spec(text), operands_of(np.random.default_rng(0), text, 4, 9, 5))
    what = line.form, line.signatures, "float64", {"i": 4, "j": 9}
    assert sampled.turned(*what, stored=9) == {"B": Format("1:U 0:U")}
    assert sampled.turned(*what, stored=8) == {}
    assert sampled.turned(*what[:2], "float16", what[3], stored=9) == {}


def test_nothing_is_stored_anew_where_that_is_refused():
    rng = np.random.default_rng(1)
    text = "S[i,j] = M[i,j]*A[i,k]*B[k,j]"
    operands = operands_of(rng, text, 4, 9, 40)
    made = zs.einsum(text, format="CSR", **operands)
    same = zs.layer(text)(format="CSR", convert=False, **operands)
    assert np.array_equal(made.toarray(), same.toarray())


@pytest.mark.parametrize("width", WIDTHS)
def test_what_cancels_stays_stored_and_what_is_absent_stays_absent(width):
    M = zs.tensor(np.array([[2.0, 0, 0], [0, 1, 0]], np.float32), "CSR")
    A, B = np.ones((2, 48), np.float32), np.ones((48, 3), np.float32)
    B[::2, 0], B[:, 2] = -1, np.inf
    with native_settings.using(vector_bytes=width):
        made = zs.einsum("S[i,j] = M[i,j]*A[i,k]*B[k,j]", M=M, A=A, B=B, format="CSR")
    assert made.coords()[1].tolist() == [0, 48]
    assert made.toarray()[:, 2].tolist() == [0, 0]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("inner", [0, 1, 3, 16, 40, 64, 150])
def test_an_infinite_sample_is_multiplied_with_each_product(inner, width):
    """Of no products the sum is 0, infinities of both signs and 0 * inf make NaN."""
    M = np.array([[np.inf, 2, np.nan], [0, np.inf, -np.inf]])
    A, B = np.ones((2, inner)), np.ones((3, inner))
    A[0, 1::2], B[1, :1], B[2, 2::5] = -1, 0, 3
    stored = {"M": Tensor.from_dense(M, "CSR"), "A": A, "B": B}
    spec = make_spec("S[i,j] = M[i,j]*A[i,k]*B[j,k]")
    with np.errstate(invalid="ignore"):
        products = M[:, :, None] * A[:, None] * B
        want = products.sum(axis=-1)
    want[1, 0] = 0  # absent
    with native_settings.using(vector_bytes=width):
        for backend in ("c", "interpreter"):
            (made,) = engine.evaluate(spec, stored, format="CSR", backend=backend).values()
            assert np.array_equal(made.toarray(), want, equal_nan=True), backend

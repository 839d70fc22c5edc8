"""float16 and bfloat16: stored, computed with in float32, rounded once."""

import numpy as np
import pytest
from generator import every_format, random_array, store
from judges import Call, check, count, prepare

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import HALVES, dtype_of
from zeroskip.native import engine, lanes, load, schedules
from zeroskip.native.reference import evaluate

BACKENDS = ["c", "interpreter", "numpy"]
COPIES = """#include "zs_half.h"
int32_t zs_copies(zs_args *args)
{
    const int64_t n = args->dim[0];
    for (int64_t i = 0; i < n; i++) {
        ((float *)args->buf[1])[i] = zs_wide_HALF(((zs_HALF *)args->buf[0])[i]);
        ((zs_HALF *)args->buf[3])[i] = zs_narrow_HALF(((float *)args->buf[2])[i]);
    }
    return ZS_OK;
}
"""


def copies(half, narrow, wide):
    """The floats of ``narrow`` and the halves of ``wide``, in C."""
    to_wide, to_narrow = np.empty(len(narrow), np.float32), np.empty(len(wide), dtype_of(half))
    call = load.load(COPIES.replace("HALF", half), "zs_copies").prepare(
        [narrow, to_wide, wide, to_narrow], [len(narrow)]
    )
    call.call()
    return to_wide, to_narrow


def edges(half):
    """Floats at, beside and between all halves, and at the ends of float32."""
    every = np.arange(2**16, dtype=np.uint16).view(dtype_of(half)).astype(np.float32)
    with np.errstate(all="ignore"):
        between = (every[:-1] + every[1:]) / 2
        beside = np.nextafter(between, np.float32(np.inf)), np.nextafter(between, -every[0])
    ends = np.array([np.inf, -np.inf, np.nan, 0, -0.0, 3e38, 1e-45, 65519.996, 65520], np.float32)
    nans = np.array([0x7F800001, 0xFFC00000, 0x7FFFFFFF, 0x7F802000], np.uint32).view(np.float32)
    return np.concatenate([every, between, *beside, ends, nans])


@pytest.mark.parametrize("half", HALVES)
def test_conversions_are_those_of_ieee_754_to_the_bit(half):
    wide = edges(half)
    narrow = np.resize(np.arange(2**16, dtype=np.uint16), len(wide)).view(dtype_of(half))
    to_wide, to_narrow = copies(half, narrow, wide)
    with np.errstate(all="ignore"):
        alike(to_wide, narrow.astype(np.float32))
        alike(to_narrow, wide.astype(dtype_of(half)))


def alike(got, want):
    """The same bits; of a NaN, which processors may or may not make quiet, the sign."""
    nan = np.isnan(want.astype(np.float64))
    kind = f"u{got.dtype.itemsize}"
    assert np.array_equal(got.view(kind)[~nan], want.view(kind)[~nan])
    assert np.isnan(got[nan].astype(np.float64)).all()
    assert np.array_equal(np.signbit(got[nan]), np.signbit(want[nan]))


TEXTS = [
    "O[i,k] = A[i,j]*B[j,k]",
    "O[i] = A[i,j]*x[j] + b[i]",
    "O[k,i] = relu(A[i,j]*B[j,k] + b[i])",
    "O[i+j] += A[i,j]*x[j]",
    "O[i] max= A[i,j]*x[j]",
    "O[i] = sum[j](exp(A[i,j]))",
    "O = A[i,j]*A[i,j]",
    "O[i,j] = max(A[i,j], x[j])",
    "O[2*j] += A[i,j]",
]


def operands(rng, half, i=7, j=9, k=12):
    shapes = {"A": (i, j), "B": (j, k), "x": (j,), "b": (i,)}
    return {name: random_array(rng, shape, half, 0.6) for name, shape in shapes.items()}


def call_of(text, dense, stored=None):
    spec = make_spec(text)
    dense = {name: dense[name] for name in spec.operands}
    with np.errstate(all="ignore"):
        wide = {name: x.astype(np.float64) for name, x in dense.items()}
        want = evaluate(spec, wide)["O"].astype(dense["A"].dtype)
    return Call(spec, dense if stored is None else {**dense, "A": stored}, want, abs(want) + 1)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("text", TEXTS)
def test_every_way_of_storing_a_sum(half, text):
    rng = np.random.default_rng(3)
    dense = operands(rng, half)
    formats = every_format(2)[::5]
    calls = [call_of(text, dense)]
    calls += [call_of(text, dense, store(rng, dense["A"], fmt)) for fmt in formats]
    check(calls)
    for call in calls[:2]:
        for backend in BACKENDS:
            assert engine.evaluate(call.spec, call.operands, backend=backend)["O"].dtype == half


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("kind", ["tiled", "lanes"])
def test_schedules_read_halves_into_vectors(half, kind, monkeypatch):
    monkeypatch.setattr(schedules, "WORTH_TILING", 0 if kind == "tiled" else 2**62)
    if kind == "lanes":
        monkeypatch.setattr(lanes, "FEWEST_LANES", 1)
    rng = np.random.default_rng(5)
    dense = operands(rng, half, 12, 20, 40)
    stored = Tensor.from_dense(dense["A"], "CSR" if kind == "tiled" else "1:U 0:C")
    text = "O[i,k] = A[i,j]*B[j,k] + b[i]" if kind == "tiled" else "O[k,i] = A[i,j]*B[j,k]"
    monkeypatch.setattr(schedules, "REUSE", 0)
    call = call_of(text, dense, stored)
    prepared, filled = prepare(call)
    marks = {"tiled": "tile_x", "lanes": "* lanes: "}
    assert marks[kind] in prepared.c_text or kind == "lanes"
    assert f"zs_narrow_{half}(" in prepared.c_text
    check([call])
    assert count(prepared, filled, "c") == count(prepared, filled, "interpreter")


@pytest.mark.parametrize("half", HALVES)
def test_sums_are_not_rounded_on_the_way(half):
    """4001 ones: a float16 that grows by one stops at 2048, a bfloat16 at 256."""
    A = np.ones((1, 4001)).astype(dtype_of(half))
    want = np.float64(4001).astype(A.dtype)
    for text in ("O[i] = A[i,j]", "O[i] += A[i,j]", "O[i+j//4001] += A[i,j]"):
        spec = make_spec(text)
        for stored in (A, Tensor.from_dense(A, "CSR")):
            for backend in ("c", "numpy"):
                got = engine.evaluate(spec, {"A": stored}, backend=backend)["O"]
                assert got.dtype == half
                assert got.tolist() == [want]
    sparse = engine.evaluate(
        make_spec("O[i,k] = A[i,j]*B[j,k]"),
        {"A": Tensor.from_dense(A, "CSR"), "B": Tensor.from_dense(A.T, "CSR")},
        format="CSR",
    )["O"]
    assert sparse.dtype == half
    assert sparse.values.tolist() == [want]


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("text", ["O[i] += A[i,j]", "O[i] max= A[i,j]"])
def test_out_is_of_the_half_type_and_sums_start_from_it(half, backend, text):
    rng = np.random.default_rng(8)
    A = random_array(rng, (4, 5), half, 0.7)
    out = np.array([1, -1, 0.5, 100]).astype(A.dtype)
    both = np.concatenate([out[:, None], A], axis=1).astype(np.float64)
    want = both.sum(1) if "+=" in text else both.max(1)
    engine.evaluate(make_spec(text), {"A": A}, backend=backend, out=out)
    assert out.astype(float).tolist() == want.astype(out.dtype).astype(float).tolist()


def test_halves_beside_other_types():
    rng = np.random.default_rng(2)
    spec = make_spec("O[i] = A[i,j]*x[j]")
    for left, right, result in (
        ("float16", "float16", "float16"),
        ("float16", "bfloat16", "float32"),
        ("float16", "float32", "float32"),
        ("bfloat16", "int8", "bfloat16"),
        ("bfloat16", "int16", "float32"),
        ("bfloat16", "int32", "float64"),
        ("float16", "int32", "float64"),
        ("bfloat16", "float64", "float64"),
        ("bfloat16", "bool", "bfloat16"),
    ):
        A, x = random_array(rng, (4, 6), left, 0.7), random_array(rng, (6,), right, 0.7)
        want = A.astype(np.float64) @ x.astype(np.float64)
        for backend in BACKENDS:
            got = engine.evaluate(spec, {"A": A, "x": x}, backend=backend)["O"]
            assert got.dtype == result
            assert got.astype(float).tolist() == want.astype(got.dtype).astype(float).tolist()


@pytest.mark.parametrize("half", HALVES)
def test_a_scalar_and_a_number_do_not_widen(half):
    A = np.array([1.5, -2]).astype(dtype_of(half))
    a = np.asarray(0.5).astype(A.dtype)
    for backend in BACKENDS:
        got = engine.evaluate(make_spec("O[i] = 2.5*a*A[i]"), {"A": A, "a": a}, backend=backend)
        assert got["O"].dtype == half
        assert got["O"].astype(float).tolist() == [1.875, -2.5]


@pytest.mark.parametrize("half", HALVES)
def test_too_large_a_result_is_infinite_and_nan_stays(half):
    A = np.array([3e4, np.nan, -3e4, np.inf]).astype(dtype_of(half))
    for backend in BACKENDS:
        got = engine.evaluate(make_spec("O[i] = A[i]*A[i]*A[i]"), {"A": A}, backend=backend)["O"]
        far = np.inf if half == "float16" else 2.7e13
        got = got.astype(np.float64)
        assert np.isnan(got[1])
        assert np.allclose(got[[0, 2, 3]], [far, -far, np.inf], rtol=2**-6)


@pytest.mark.parametrize("half", HALVES)
@pytest.mark.parametrize("format", [None, "CSR"])
def test_a_sum_inside_an_expression_is_rounded_with_it_alone(half, format):
    """float16 ends at 65,504, and bfloat16 has 8 bits: neither holds the sum of 70,000 ones."""
    S = np.zeros((1, 70_001)).astype(dtype_of(half))
    S[0, 7] = 2
    spec = make_spec("P[m,k] = exp(S[m,k])/sum[j](exp(S[m,j]))")
    exact = np.exp(S.astype(np.float64))
    want = (exact / exact.sum()).astype(np.float32).astype(S.dtype).astype(np.float64)
    given = {"S": S if format is None else Tensor.from_dense(S, format)}
    for backend in ("c", "numpy"):
        out = np.ones(S.shape, S.dtype)
        for got in (
            engine.evaluate(spec, given, backend=backend)["P"],
            engine.evaluate(spec, given, backend=backend, out=out)["P"],
        ):
            assert got.dtype == half
            assert np.allclose(got.astype(np.float64), want, rtol=2.0**-7, atol=0)
        assert got is out
    with pytest.raises(KernelError, match=f"out= for P: expected a {half} array, found float32"):
        engine.evaluate(spec, given, out=np.ones(S.shape, np.float32))

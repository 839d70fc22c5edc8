"""The dots schedule before the three judges: lanes of a vector share the entries of a fiber."""

import ctypes
import mmap
import platform
import sys

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import BFLOAT16, Call, agree, count, line_of

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import dtype_of
from zeroskip.native import dots, engine, schedules
from zeroskip.native import settings as native_settings
from zeroskip.native.fixed import Schedule
from zeroskip.native.interpret import interpret
from zeroskip.native.load import load
from zeroskip.native.prepared import run
from zeroskip.native.reference import evaluate
from zeroskip.native.show import show

TYPES = ["float32", "float64", "bfloat16", "float16", "int8", "uint8", "int16", "int64", "uint64"]
WIDTHS = [16, 32, 64]
seeds = st.integers(0, 2**32 - 1)


def dotted(spec, operands, width, target=None):
    """The kernel in dots of a width, its slots filled; and the result that it writes."""
    line = line_of(spec, operands)
    plan = dots.plan(line.form, line.signatures, line.dtype.name)
    assert plan is not None
    target = np.full(line.shape, 99).astype(line.stored) if target is None else target
    return (*schedules.plain(line, target, width=width), target)


def check(spec, operands, width):
    """C, interpreter and NumPy agree, and so do the multiplications that the two count."""
    dense = {n: x.toarray() if isinstance(x, Tensor) else x for n, x in operands.items()}
    wide = {n: x.astype("float64") if x.dtype.kind not in "iub" else x for n, x in dense.items()}
    want = evaluate(spec, wide)[spec.results[-1]]
    scale = evaluate(spec, {n: abs(x) for n, x in wide.items()})[spec.results[-1]]
    for backend in ("c", "interpreter"):
        prepared, filled, target = dotted(spec, operands, width)
        run(prepared, filled, backend)
        if target.dtype.kind in "iu":
            assert np.array_equal(target, want.astype(target.dtype)), backend
        else:
            relative = max(1e-5 if target.dtype == np.float32 else 0, 1e-12)
            relative = BFLOAT16 if target.dtype.itemsize == 2 else relative
            assert np.all(abs(target.astype("float64") - want) <= relative * scale), backend
    kernels = [dotted(spec, operands, width)[:2] for _ in range(2)]
    counts = [count(*kernel, b) for kernel, b in zip(kernels, ("c", "interpreter"), strict=True)]
    assert counts[0] == counts[1]
    return counts[0]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("format", ["CSR", "bitmask"])
def test_a_sparse_matrix_times_a_vector_in_every_type(format, dtype, width):
    rng = np.random.default_rng([ord(c) for c in format + dtype])
    spec = make_spec("y[m] = W[m,k]*x[k]")
    for rows, columns, density in ((5, 333, 0.4), (3, 64, 1.0), (4, 1, 0.5), (0, 70, 1), (3, 0, 1)):
        kind = dtype_of(dtype)
        weights = random_array(rng, (rows, columns), "float64", density)
        values = np.abs(weights) if dtype.startswith("u") else weights
        values = (values * 9).astype(kind)
        x = (random_array(rng, (columns,), "float64", 0.9) * 9).astype("int8").astype(kind)
        work = check(spec, {"W": Tensor.from_dense(values, format), "x": x}, width)
        assert work == np.count_nonzero(values)


@settings(max_examples=25)
@given(
    st.sampled_from(
        [
            "y[b,m] = relu(B[m] + sum[k](W[m,k]*x[b,k]))",
            "y[m] += W[m,k]*x[k]",
            "y[m] = 3*W[m,k]*x[k]*z[m]",
            "y[m] = W[m,k]*x[k]*v[k]",
            "y[m] = W[m,k]*X[k,m]",
            "y[m] = W[m,k]*x[2*k]",
            "y[m] = W[m,k]*x[k+1]",
            "y[m] = W[m,k]*x[k] + U[m,j]*h[j]",
            "s[] = W[m,k]*X[m,k]",
        ]
    ),
    st.sampled_from(["CSR", "bitmask", "DCSR", "0:C 1:B", "0:B 1:C", "0*1:C", "0*1:B"]),
    st.sampled_from(WIDTHS),
    st.integers(1, 4),
    st.integers(1, 150),
    seeds,
)
def test_forms_around_the_sum(text, format, width, rows, columns, seed):
    rng = np.random.default_rng(seed)
    shapes = {
        "W": (rows, columns), "U": (rows, 70), "h": (70,), "v": (columns,), "z": (rows,),
        "B": (rows,), "X": (columns, rows) if "X[k,m]" in text else (rows, columns),
        "x": (2, columns) if "[b,k]" in text else (2 * columns + 1,) if "[2*k]" in text
        else (columns + 1,) if "[k+1]" in text else (columns,),
    }  # fmt: skip
    spec = make_spec(text)
    operands = {}
    for name in spec.operands:
        array = random_array(rng, shapes[name], "float64", 0.5 if name in "WU" else 1)
        operands[name] = Tensor.from_dense(array, format) if name in "WU" else array
    line = line_of(spec, operands)
    if dots.plan(line.form, line.signatures, line.dtype.name) is None:
        with pytest.raises(KernelError, match="kind='dots': expected one that the line can take"):
            engine.evaluate(spec, operands, schedule=Schedule(kind="dots"))
        return
    check(spec, operands, width)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("format", ["CSR", "bitmask"])
def test_what_is_absent_stays_absent_beside_infinities(format, width):
    weights = np.zeros((3, 200), np.float32)
    weights[0, ::3], weights[1, 7], weights[2, 199] = 2, np.nan, 1
    x = np.full(200, np.inf, np.float32)
    x[::3], x[7], x[199] = 1, 4, -np.inf
    spec = make_spec("y[m] = W[m,k]*x[k]")
    stored = Tensor.from_dense(weights, format)
    prepared, filled, target = dotted(spec, {"W": stored, "x": x}, width)
    run(prepared, filled, "c")
    assert target[0] == 2 * 67
    assert np.isnan(target[1])
    assert target[2] == -np.inf


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("columns", [37, 48, 50])
def test_an_infinite_factor_of_all_entries_meets_no_lane_that_is_empty(columns, width):
    weights = np.arange(1, 3 * columns + 1, dtype=np.float32).reshape(3, columns)
    operands = {
        "W": Tensor.from_dense(weights, "CSR"),
        "x": np.ones(columns, np.float32),
        "z": np.array([np.inf, 2, -np.inf], np.float32),
    }
    prepared, filled, target = dotted(make_spec("y[m] = W[m,k]*x[k]*z[m]"), operands, width)
    run(prepared, filled, "c")
    assert np.array_equal(target, [np.inf, 2 * weights[1].sum(), -np.inf])


def test_every_mask_of_a_word_takes_its_own_values():
    """All 256 patterns of eight lanes, as vectors take them, and where few values are left."""
    bits = np.arange(256)[:, None] >> np.arange(8) & 1
    weights = np.tile(bits, (1, 16)) * np.arange(1, 129)
    x = np.arange(128) % 7 - 3
    for dtype in ("float32", "float64", "int32", "int64"):
        for width in WIDTHS:
            stored = Tensor.from_dense(weights.astype(dtype), "bitmask")
            spec = make_spec("y[m] = W[m,k]*x[k]")
            prepared, filled, target = dotted(spec, {"W": stored, "x": x.astype(dtype)}, width)
            run(prepared, filled, "c")
            assert np.array_equal(target, weights @ x)


@pytest.mark.parametrize("format", ["CSR", "bitmask"])
def test_results_are_equal_to_the_bit_for_any_number_of_parts(format):
    rng = np.random.default_rng(3)
    array = random_array(rng, (37, 300), "float32", 0.3)
    operands = {"W": Tensor.from_dense(array, format), "x": random_array(rng, (300,), "float32", 1)}
    spec = make_spec("y[m] = W[m,k]*x[k]")
    found = []
    for parts in (1, 2, 5, 64):
        prepared, filled, target = dotted(spec, operands, 32)
        orders = iter([list(rng.permutation(parts)) for _ in range(9)])
        kernel = prepared.lowered.kernel
        interpret(kernel, filled.buffers, filled.dims, filled.parameters, orders)
        found.append(target.copy())
    assert all(np.array_equal(found[0], one) for one in found)


def test_the_default_takes_dots_where_fibers_are_long():
    def kind(rows, columns, density, format, width):
        array = random_array(np.random.default_rng(1), (rows, columns), "float32", density)
        operands = {"W": Tensor.from_dense(array, format), "x": np.ones(columns, np.float32)}
        with native_settings.using(vector_bytes=width):
            found = schedules.schedule_of(line_of(make_spec("y[m] = W[m,k]*x[k]"), operands))
        return type(found).__name__

    assert kind(8, 400, 0.3, "CSR", 32) == "DotPlan"
    assert kind(8, 400, 0.01, "CSR", 32) == "NoneType"
    assert kind(8, 400, 0.3, "bitmask", 32) == "DotPlan"
    assert kind(8, 400, 0.3, "bitmask", 16) == "NoneType"
    assert kind(8, 400, 0.02, "bitmask", 32) == "NoneType"
    assert kind(8, 100, 0.3, "bitmask", 32) == "NoneType"
    assert kind(8, 400, 0.3, "RLE(4)", 32) == "NoneType"


@pytest.mark.parametrize(
    "text",
    [
        "y[m] max= W[m,k]*x[k]",
        "y[m] = sum[k](W[m,k]*exp(x[k]))",
        "y[k] = W[m,k]*x[m]",
        "y[m] = W[m,k]*W[m,k]",
        "y[m] = W[m,k]",
        "y[m] = (k <= m)*W[m,k]*x[k]",
    ],
)
def test_what_does_not_fit_goes_another_way(text):
    spec, rng = make_spec(text), np.random.default_rng(4)
    array = random_array(rng, (30, 30), "float64", 0.5)
    x = random_array(rng, (30,), "float64", 1)
    operands = {"W": Tensor.from_dense(array, "CSR"), "x": x}
    used = {name: operands[name] for name in spec.operands}
    line = line_of(spec, used)
    assert dots.plan(line.form, line.signatures, line.dtype.name) is None
    want = engine.evaluate(spec, {n: {"W": array, "x": x}[n] for n in used}, backend="numpy")
    got = engine.evaluate(spec, used)
    agree(Call(spec, used, want[spec.results[-1]], 100.0), got[spec.results[-1]], "c")


def test_the_nest_says_who_shares_what():
    operands = {"W": Tensor.from_dense(np.ones((2, 9)), "bitmask"), "x": np.ones(9)}
    prepared, *_ = dotted(make_spec("y[m] = W[m,k]*x[k]"), operands, 32)
    text = show(prepared.lowered.kernel)
    assert "for k, pW_k in W.k[m]:  # bitmask, lanes share the entries" in text
    assert "# dots: W" in text


INSTRUCTIONS = [(), ("-mno-avx512fp16",), ("-mno-avx512f",), ("-mno-avx512f", "-mno-avx2")]


def places(place, lanes):
    """Values to pick from, and as many places as a vector has lanes, the first and last of them."""
    rng = np.random.default_rng(13)
    most = 2**16 if place == "uint16" else 2**17
    at = rng.integers(0, most, lanes).astype(place)
    at[:2] = most - 1, 0
    return rng.standard_normal(most), at


@pytest.mark.parametrize("flags", INSTRUCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", ["uint16", "int32"])
def test_values_are_picked_as_numpy_takes_them(flags, dtype, place):
    skip_elsewhere(flags)
    pick = f"zs_picked_{dtype}_64_{place}(args->buf[0], args->buf[1])"
    values, at = places(place, 64 // np.dtype(dtype).itemsize)
    values = values.astype(dtype)
    assert np.array_equal(vector(flags, pick, [values, at], dtype), values[at])


@pytest.mark.parametrize("flags", INSTRUCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("place", ["uint16", "int32"])
def test_of_the_first_lanes_alone_something_is_read(flags, dtype, place):
    """Values, and what places pick, of so many lanes; behind them places that are nowhere, and the
    page of the last value is followed by none."""
    skip_elsewhere(flags)
    if sys.platform != "linux":
        pytest.skip("pages are closed by the name that Linux has for it")
    lanes = 64 // np.dtype(dtype).itemsize
    values, at = places(place, lanes)
    values = values.astype(dtype)
    for there in range(1, lanes):
        line, picks = before_nothing(values[:there]), before_nothing(at[:there])
        want = np.zeros(lanes, dtype)
        want[:there] = values[:there]
        first = f"zs_first_{dtype}_64(args->buf[0], args->dim[0])"
        assert np.array_equal(vector(flags, first, [line], dtype, there), want)
        want[:there] = values[at[:there]]
        pick = f"zs_picked_first_{dtype}_64_{place}(args->buf[0], args->buf[1], args->dim[0])"
        assert np.array_equal(vector(flags, pick, [values, picks], dtype, there), want)


def before_nothing(values):
    """A copy that ends where pages that may be read do."""
    room = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    libc = ctypes.CDLL(None, use_errno=True)
    base = ctypes.addressof(ctypes.c_char.from_buffer(room))
    assert libc.mprotect(ctypes.c_void_p(base + mmap.PAGESIZE), mmap.PAGESIZE, 0) == 0
    found = np.frombuffer(room, values.dtype, len(values), mmap.PAGESIZE - values.nbytes)
    found[:] = values
    return found


@pytest.mark.parametrize("flags", [(), ("-mno-avx512f",), ("-mno-avx512f", "-mno-avx2")])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint64"])
@pytest.mark.parametrize("bytes_", WIDTHS)
def test_values_are_spread_to_the_lanes_of_a_mask(flags, dtype, bytes_):
    """Lanes without a bit stay as they are, whatever stands there."""
    skip_elsewhere(flags)
    lanes = bytes_ // np.dtype(dtype).itemsize
    kind, rng = f"zs_{dtype}x{bytes_}", np.random.default_rng(14)
    sum_, values, x = (rng.integers(0, 99, lanes).astype(dtype) for _ in range(3))
    for mask in [0, 1, 2**lanes - 1, *map(int, rng.integers(0, 2**lanes, 9))]:
        bits = (mask >> np.arange(lanes) & 1).astype(bool)
        given = [sum_, values, x.copy()]
        if dtype.startswith("float"):
            given[2][~bits] = np.inf
            given[0][0] = -0.0
        loaded = ", ".join(f"*(const {kind} *)args->buf[{i}]" for i in range(3))
        spread = f"zs_add_spread_{dtype}_{bytes_}({loaded}, (unsigned)args->dim[0])"
        want = given[0].copy()
        want[bits] += values[: bits.sum()] * x[bits]
        made = vector(flags, spread, given, dtype, mask)
        assert np.array_equal(made, want)


def skip_elsewhere(flags):
    if flags and platform.machine() not in ("x86_64", "AMD64"):
        pytest.skip("these are flags of x86 compilers")


def vector(flags, expression, buffers, dtype, *dims):
    """What an expression of zs_dots.h gives, by the instructions that the flags leave."""
    text = f"""#include "zs_dots.h"
int32_t zs_kernel(zs_args *args)
{{
    const __typeof__({expression}) made = {expression};
    __builtin_memcpy(args->buf[{len(buffers)}], &made, sizeof made);
    return ZS_OK;
}}
"""
    size = 64 if "picked" in expression or "first" in expression else buffers[0].nbytes
    made = np.zeros(size // np.dtype(dtype).itemsize, dtype)
    load(text, "zs_kernel", flags).prepare([*buffers, made], dims).call()
    return made


DENSE = {
    "S[h,m,n] = Q[h,m,e]*K[h,n,e]": ((2, 3, 70), (2, 5, 70)),
    "O[h,m,e] = Q[h,m,n]*K[h,n,e]": ((2, 3, 5), (2, 5, 70)),
    "y[i] = Q[i,k]*K[k]": ((4, 70), (70,)),
    "y[k] = Q[i,k]": ((4, 70),),
    "y[i] = Q[i,k]": ((4, 70),),
    "y[k] = relu(sum[i](2*Q[i,k]) + K[k])": ((4, 70), (70,)),
    "y = Q[k]*K[k]": ((70,), (70,)),
}


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64"])
@pytest.mark.parametrize("text", DENSE)
def test_dense_operands_are_followed_along_their_last_axes(text, dtype, width):
    rng = np.random.default_rng(width)
    spec = make_spec(text)
    operands = {n: random_array(rng, s, dtype, 1) for n, s in zip("QK", DENSE[text], strict=False)}
    if dtype == "int64" and dots.plan(*_what(spec, operands)) is None:
        pytest.skip("lines of sums are vectors of floats")
    check(spec, operands, width)


def _what(spec, operands):
    line = line_of(spec, operands)
    return line.form, line.signatures, line.dtype.name


def test_short_sums_of_dense_operands_are_walked():
    spec = make_spec("S[h,m,n] = Q[h,m,e]*K[h,n,e]")
    kinds = []
    with native_settings.using(vector_bytes=64):
        for extent in (31, 32):
            operands = {n: np.ones((2, 9, extent), "f4") for n in "QK"}
            kinds.append(type(schedules.schedule_of(line_of(spec, operands))))
    assert kinds == [type(None), dots.DotPlan]

"""Products of values of 8 and 16 bits under a bitmask, 64 bytes of them at once."""

import numpy as np
import pytest
from generator import random_array
from judges import line_of
from test_dots import dotted, skip_elsewhere

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import dtype_of
from zeroskip.native.dotted import NARROW
from zeroskip.native.emit import emit
from zeroskip.native.load import load
from zeroskip.native.prepared import run
from zeroskip.native.relaid import relaid

KINDS = sorted(NARROW)
FLAGS = [(), ("-mno-avx512vnni",), ("-mno-avx512vbmi2",), ("-mno-avx512f",), ("-mno-avx2",)]
VECTOR = make_spec("y[m] = W[m,k]*x[k]")


def values(rng, dtype, count):
    """Any of an integer type, its ends among them; finite ones of floats."""
    if dtype == "bfloat16":
        return rng.standard_normal(count).astype(dtype_of(dtype))
    ends = np.iinfo(dtype)
    found = rng.integers(ends.min, ends.max, count, dtype=dtype, endpoint=True)
    found[:: count // 3] = ends.min
    found[1 :: count // 3] = ends.max
    return found


def summed(flags, kind, weights, x, mask):
    """What the functions of zs_narrow.h add up under one mask."""
    stored, other, dtype = kind
    vector = {"float32": "zs_float32x64", "int32": "zs_int32x64"}[dtype]
    text = f"""#include "zs_narrow.h"
int32_t zs_kernel(zs_args *args)
{{
    {vector} sums[2] = {{}};
    zs_add_narrow_{stored}_{other}(sums, args->buf[0], args->buf[1], (uint64_t)args->dim[0]);
    const __typeof__(sums[0][0]) made = zs_narrow_sum_{stored}_{other}(sums);
    __builtin_memcpy(args->buf[2], &made, sizeof made);
    return ZS_OK;
}}
"""
    made = np.zeros(1, dtype)
    signed = mask - 2**64 if mask >= 2**63 else mask
    bits = [a.view(np.uint16) if a.dtype.kind not in "iu" else a for a in (weights, x)]
    load(text, "zs_kernel", flags).prepare([*bits, made], [signed]).call()
    return made[0]


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_takes_its_own_value(kind, flags):
    """Each bit alone, all, none, and masks at random, against the sum of what is set."""
    skip_elsewhere(flags)
    rng, columns = np.random.default_rng(21), 64 // NARROW[kind]
    drawn = [int(m) & 2**columns - 1 for m in rng.integers(0, 2**63, 12) * 2]
    for mask in [0, 2**columns - 1, *(1 << bit for bit in range(columns)), *drawn]:
        weights, x = (values(rng, dtype, columns) for dtype in kind[:2])
        bits = np.array([mask >> bit & 1 for bit in range(columns)], bool)
        held = weights[: bits.sum()].astype(kind[2]), x[bits].astype(kind[2])
        if kind[2] == "float32":
            x[~bits] = np.inf
            products = held[0].astype(np.float64) * held[1]
            want, most = products.sum(), 1e-6 * abs(products).sum()
            assert abs(summed(flags, kind, weights, x, mask) - want) <= most
        else:
            want = (held[0] * held[1]).sum(dtype=np.int32)
            assert summed(flags, kind, weights, x, mask) == want


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("columns", [1, 63, 64, 65, 128, 1000])
def test_a_matrix_times_a_vector(kind, columns):
    """Tails of columns, rows that are empty, full and between, sums that wrap around."""
    rng = np.random.default_rng(columns)
    rows = np.array([0, 1, 0.02, 0.3, 0.5, 0.9, 0, 1])[:, None]
    there = rng.random((8, columns)) < rows
    weights = np.where(there, values(rng, kind[0], 9 * columns)[: 8 * columns].reshape(8, -1), 0)
    weights = weights.astype(dtype_of(kind[0]))
    x = values(rng, kind[1], 9 * columns)[:columns]
    operands = {"W": Tensor.from_dense(weights, "bitmask"), "x": x}
    for backend in ("c", "interpreter"):
        prepared, filled, target = dotted(VECTOR, operands, 64)
        assert f"zs_add_narrow_{kind[0]}_{kind[1]}(" in emit(prepared.lowered.kernel)
        run(prepared, filled, backend)
        if kind[2] == "int32":
            want = weights.astype(np.int32) @ x.astype(np.int32)
            assert np.array_equal(target, want), backend
        else:
            wide, right = weights.astype(np.float64), x.astype(np.float64)
            most = 2**-8 * (abs(wide) @ abs(right))
            assert np.all(abs(target.astype(np.float64) - wide @ right) <= most), backend


def test_what_is_absent_stays_absent_and_what_is_tiny_stays():
    """Infinities beside absent values add nothing; subnormal products and factors are kept."""
    bfloat16 = dtype_of("bfloat16")
    weights, x = np.zeros((4, 256), np.float32), np.full(256, np.inf, np.float32)
    x[::3] = 1
    weights[0, ::3], weights[1, 0], weights[2, 1] = 2, np.nan, -1
    weights[3, 0] = 2.0**-130
    operands = {
        "W": Tensor.from_dense(weights.astype(bfloat16), "bitmask"),
        "x": x.astype(bfloat16),
    }
    prepared, filled, target = dotted(VECTOR, operands, 64)
    run(prepared, filled, "c")
    found = target.astype(np.float64)
    assert found[0] == 2 * len(x[::3])
    assert np.isnan(found[1])
    assert found[2] == -np.inf
    assert found[3] == 2.0**-130


@pytest.mark.parametrize("columns", [200, 8192, 8256])
@pytest.mark.parametrize("odd", [0, np.inf, np.nan])
def test_what_many_fibers_meet_is_held_where_it_is_short_and_finite(columns, odd):
    """At the limit and beyond it; a value that is not finite reaches those that store its place."""
    rng, bfloat16 = np.random.default_rng(columns), dtype_of("bfloat16")
    weights = random_array(rng, (6, columns), "float64", 0.3)
    weights[:, 5] = 0, 2, 0, 2, 0, 2
    weights = weights.astype(bfloat16)
    x = random_array(rng, (columns,), "float64", 1).astype(bfloat16)
    x[5] = odd
    prepared, filled, target = dotted(
        VECTOR, {"W": Tensor.from_dense(weights, "bitmask"), "x": x}, 64
    )
    assert "zs_hold(" in emit(prepared.lowered.kernel)
    run(prepared, filled, "c")
    for m, row in enumerate(weights):
        there = row != 0
        products = row[there].astype(np.float64) * x[there].astype(np.float64)
        want, most, got = products.sum(), 2**-8 * abs(products).sum(), float(target[m])
        assert np.isfinite(want) == (odd == 0 or m % 2 == 0)
        assert abs(got - want) <= most if np.isfinite(want) else str(got) == str(want)


@pytest.mark.parametrize("text", ["y[m] = W[m,k]*X[m,k]", "s[] = W[m,k]*X[m,k]", "s[] = V[k]*x[k]"])
def test_what_one_fiber_meets_is_not_held(text):
    rng, spec = np.random.default_rng(1), make_spec(text)
    shapes = {"W": (3, 200), "X": (3, 200), "V": (200,), "x": (200,)}
    drawn = {n: (rng.random(shapes[n]) < 0.4) * 3.0 for n in spec.operands}
    arrays = {n: a.astype(dtype_of("bfloat16")) for n, a in drawn.items()}
    operands = {n: Tensor.from_dense(a, "bitmask") if n in "WV" else a for n, a in arrays.items()}
    prepared, filled, target = dotted(spec, operands, 64)
    written = emit(prepared.lowered.kernel)
    assert "zs_add_narrow_bfloat16" in written
    assert "zs_hold(" not in written
    run(prepared, filled, "c")
    want = np.einsum(
        text.split(" = ")[1]
        .replace("W[m,k]*X[m,k]", "mk,mk->" + "m" * ("y" in text))
        .replace("V[k]*x[k]", "k,k->"),
        *drawn.values(),
    )
    assert np.allclose(target.astype(np.float64), want, rtol=2**-8, atol=0)


@pytest.mark.parametrize("flags", FLAGS)
def test_what_is_held_is_what_it_was_made_of(flags):
    """By bytes: the same sums from what is held, wherever there is anything."""
    skip_elsewhere(flags)
    rng = np.random.default_rng(7)
    text = """#include "zs_narrow.h"
int32_t zs_kernel(zs_args *args)
{
    const zs_bfloat16 *const x = args->buf[1];
    zs_held held;
    zs_hold_nothing(&held);
    const float *const wide = zs_hold(&held, x, 96);
    zs_float32x64 sums[2] = {};
    if (wide != 0)
        zs_add_held_bfloat16(sums, args->buf[0], wide + 64, (uint64_t)args->dim[0]);
    else
        zs_add_narrow_bfloat16_bfloat16(sums, args->buf[0], x + 64, (uint64_t)args->dim[0]);
    const float made = zs_narrow_sum_bfloat16_bfloat16(sums);
    __builtin_memcpy(args->buf[2], &made, sizeof made);
    return zs_hold(&held, x, 96) == wide ? ZS_OK : 1;
}
"""
    kernel, made = load(text, "zs_kernel", flags), np.zeros(1, np.float32)
    weights, x = (values(rng, "bfloat16", n) for n in (32, 96))
    for mask in [0, 2**32 - 1, *(1 << bit for bit in range(32)), *rng.integers(0, 2**32, 9)]:
        bits = np.array([int(mask) >> bit & 1 for bit in range(32)], bool)
        kernel.prepare([weights.view(np.uint16), x.view(np.uint16), made], [int(mask)]).call()
        held = weights[: bits.sum()].astype(np.float64)
        products = held * x[64:][bits].astype(np.float64)
        assert abs(made[0] - products.sum()) <= 1e-6 * abs(products).sum()


@pytest.mark.parametrize(
    ("text", "dtype", "other"),
    [
        ("y[m] = 3*W[m,k]*x[k]", "int8", "int8"),
        ("y[m] = W[m,k]*x[k]", "bfloat16", "float32"),
        ("y[m] = W[m,k]*x[k]", "uint16", "uint16"),
    ],
)
def test_other_products_are_widened_first(text, dtype, other):
    rng, spec = np.random.default_rng(5), make_spec(text)
    weights = np.where(rng.random((5, 200)) < 0.4, 3, 0).astype(dtype_of(dtype))
    x = rng.integers(0, 5, 200).astype(other)
    operands = {"W": Tensor.from_dense(weights, "bitmask"), "x": x}
    prepared, filled, target = dotted(spec, operands, 64)
    assert "zs_add_narrow" not in emit(prepared.lowered.kernel)
    run(prepared, filled, "c")
    want = weights.astype(np.int64) @ x.astype(np.int64)
    assert np.array_equal(target, want * (3 if "3*" in text else 1))


@pytest.mark.parametrize("kind", KINDS)
def test_bound_weights_stay_a_bitmask_where_64_bytes_go_at_once(kind):
    array = random_array(np.random.default_rng(1), (20, 500), "float64", 0.1) != 0
    operands = {
        "W": Tensor.from_dense(array.astype(dtype_of(kind[0])), "CSR"),
        "x": np.ones(500, dtype_of(kind[1])),
    }
    for width, letter in ((32, "C"), (64, "B")):
        made = relaid(line_of(VECTOR, operands), ("W",), width)
        assert [level.spec.letter for level in made.used["W"].levels] == ["U", letter]

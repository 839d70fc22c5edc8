"""The tiled schedule against NumPy on any shape, and when the engine takes it."""

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import Call, agree, line_of, prepare, prime
from numpy.lib.stride_tricks import sliding_window_view
from tiling import DTYPES, SHAPES, check, entries, seeds, shapes, sizes

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, packing, schedules, tile
from zeroskip.native.domains import LANES_AHEAD
from zeroskip.native.geometry import geometry
from zeroskip.native.prepared import run
from zeroskip.native.tile_shape import TileShape


@settings(max_examples=40)
@given(sizes, sizes, st.integers(1, 40), st.sampled_from(DTYPES), shapes, seeds)
def test_matrix_products(rows, inner, columns, dtype, shape, seed):
    rng = np.random.default_rng(seed)
    a = random_array(rng, (rows, inner), dtype, float(rng.choice([0, 0.4, 1])))
    b = random_array(rng, (inner, columns), dtype, 0.8)
    spec = make_spec("C[i,j] = A[i,k] * B[k,j]")
    check(spec, {"A": entries(rng, a), "B": b}, a @ b, shape, columns < 20)


@settings(max_examples=40)
@given(sizes, sizes, sizes, shapes, seeds)
def test_a_fully_connected_layer(batch, inputs, outputs, shape, seed):
    rng = np.random.default_rng(seed)
    w, x, b = (
        random_array(rng, s, "float32", 0.6)
        for s in [(outputs, inputs), (batch, inputs), (outputs,)]
    )
    spec = make_spec("O[b,o] = relu(B[o] + sum[i](W[o,i]*X[b,i]))")
    want = np.maximum(x @ w.T + b, 0).astype(np.float64)
    check(spec, {"W": entries(rng, w), "X": x, "B": b}, want, shape)


def convolved(image, filters, stride, dilation, pad):
    (u, v), (d, e) = stride, dilation
    padded = np.pad(image, [(0, 0), (0, 0), *pad])
    reach = (d * (filters.shape[2] - 1) + 1, e * (filters.shape[3] - 1) + 1)
    view = sliding_window_view(padded, reach, axis=(2, 3))[:, :, ::u, ::v, ::d, ::e]
    return np.einsum("ncpqrs,mcrs->nmpq", view, filters)


@pytest.mark.parametrize(
    ("stride", "dilation"), [((1, 1), (1, 1)), ((2, 2), (1, 1)), ((1, 3), (2, 3)), ((2, 1), (2, 1))]
)
@settings(max_examples=40)
@given(st.data())
def test_convolutions(stride, dilation, data):
    """Sizes of windows and images, padding of each side, unread tails: one kernel for each type."""
    dtype = data.draw(st.sampled_from(["float32", "int64"]))
    rng = np.random.default_rng(data.draw(seeds))
    n, c, m = (
        data.draw(st.integers(1, 3)),
        data.draw(st.integers(1, 3)),
        data.draw(st.integers(1, 4)),
    )
    taps = [data.draw(st.integers(1, 3)) for _ in range(2)]
    pad = [(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))) for _ in range(2)]
    shape = [
        max(d * (t - 1) + 1 - lo - hi, 0) + data.draw(st.integers(1, 12))
        for d, t, (lo, hi) in zip(dilation, taps, pad, strict=True)
    ]
    image = random_array(rng, (n, c, *shape), dtype, 0.7)
    filters = random_array(rng, (m, c, *taps), dtype, 0.5)
    (u, v), (d, e) = stride, dilation
    spec = make_spec(
        f"O[n,m,p,q] = I[n,c,{u}*p+{d}*r,{v}*q+{e}*s] * F[m,c,r,s]",
        pad={"I": dict(enumerate(pad, 2))},
    )
    want = convolved(image, filters, stride, dilation, pad)
    small = want.size * filters[0].size < 150
    check(spec, {"I": image, "F": entries(rng, filters)}, want, data.draw(shapes), small)


@settings(max_examples=40)
@given(shapes, seeds)
def test_bias_function_order_and_offsets(shape, seed):
    """A result in another order of ranks, a shifted window, a bias of several ranks."""
    rng = np.random.default_rng(seed)
    image, filters = (
        random_array(rng, (2, 9), "float64", 0.7),
        random_array(rng, (3, 2, 2), "float64", 0.6),
    )
    bias = random_array(rng, (3, 5), "float64", 0.7)
    spec = make_spec("O[p,m] = relu(I[c,p+2*r+1]*F[m,c,r] - B[m,p] + 1)", sizes={"p": 5})
    view = np.stack([image[:, 1 + 2 * r : 6 + 2 * r] for r in range(2)], -1)
    want = np.maximum(np.einsum("cpr,mcr->pm", view, filters) - bias.T + 1, 0)
    check(spec, {"I": image, "F": entries(rng, filters), "B": bias}, want, shape)


@settings(max_examples=40)
@given(shapes, st.sampled_from(["float32", "int32"]), st.integers(1, 2), seeds)
def test_two_summed_ranks_in_one_subscript(shape, dtype, step, seed):
    """Entries of one row that meet the same lanes."""
    rng = np.random.default_rng(seed)
    image, filters = (
        random_array(rng, (20,), dtype, 0.8),
        random_array(rng, (6, 3, 4), dtype, float(rng.choice([0.4, 1]))),
    )
    spec = make_spec(f"O[m,p] = I[c+r+{step}*p]*F[m,c,r]", sizes={"p": 7})
    view = sliding_window_view(image, 6)[: 7 * step : step]
    at = np.add.outer(np.arange(3), np.arange(4))
    want = np.einsum("pcr,mcr->mp", view[:, at], filters)
    check(spec, {"I": image, "F": entries(rng, filters)}, want, shape)


@pytest.mark.parametrize("shape", [(0, 3, 4), (3, 0, 4), (3, 4, 0), (1, 1, 1)])
@pytest.mark.parametrize("sparse", [False, True])
def test_extents_of_0_and_1(shape, sparse):
    rows, inner, columns = shape
    a, b = np.ones((rows, inner)), np.ones((inner, columns))
    operand = Tensor.from_dense(a, "CSR") if sparse else a
    for cut in SHAPES:
        check(make_spec("C[i,j] = A[i,k] * B[k,j]"), {"A": operand, "B": b}, a @ b, cut)


@pytest.mark.parametrize("format", ["CSR", "COO", "CSF", "bitmask", "RLE(2)", "1:R(1) 2:B 0:C"])
def test_entries_are_packed_out_of_any_format(format):
    rng = np.random.default_rng(7)
    weights = random_array(rng, (4, 3, 2), "float64", 0.5)
    spec = make_spec("O[m,p] = I[c,2*p+r] * F[m,c,r]")
    line = line_of(spec, {"I": np.ones((3, 9)), "F": weights})
    plan = tile.plan(line.form, line.signatures, "float64")
    for shape in (SHAPES[0], SHAPES[3], SHAPES[2]):
        sizes = geometry(plan, line.extents, shape, 8)
        made, want = (
            packing.Packer(plan, line.extents, sizes, shape)(Tensor.from_dense(weights, text))
            for text in (format, "CSF")
        )
        assert made.columns.tolist() == want.columns.tolist()
        assert made.first.tolist() == want.first.tolist()
        assert len(made.values) == np.count_nonzero(weights)
        for group in zip(made.columns[:-1], made.columns[1:], strict=True):
            both = [sorted(p.offset[slice(*group)].tolist()) for p in (made, want)]
            assert both[0] == both[1]
        assert sorted(made.values.tolist()) == sorted(want.values.tolist())


@pytest.mark.parametrize("format", ["CSR", "COO", "CSC", "bitmask", "array"])
@pytest.mark.parametrize("block", [0, 3])
def test_offsets_of_single_rows_may_be_read_some_entries_ahead(format, block):
    a = random_array(np.random.default_rng(3), (5, 7), "float32", 0.5)
    operand = a if format == "array" else Tensor.from_dense(a, format)
    spec = make_spec("C[i,j] = A[i,k] * B[k,j]")
    line = line_of(spec, {"A": operand, "B": np.ones((7, 33), "float32")})
    plan = tile.plan(line.form, line.signatures, "float32")
    shape = TileShape(64, 1, (3,), block, panel=False)
    sizes = geometry(plan, line.extents, shape, 4)
    made = packing.Packer(plan, line.extents, sizes, shape)(operand)
    assert made.columns[-1] == len(made.values)
    assert made.offset.dtype == sizes.offset_dtype
    assert len(made.offset) == len(made.values) + LANES_AHEAD
    assert (made.offset < 7).all()  # each a place of B


def test_wide_offsets():
    """Past 65,536 staged elements the offsets take 32 bits."""
    rng = np.random.default_rng(1)
    a, b = (
        random_array(rng, (3, 700), "float64", 0.1),
        random_array(rng, (700, 100), "float64", 0.5),
    )
    spec = make_spec("C[i,j] = A[i,k] * B[k,j]")
    for shape in SHAPES:
        check(spec, {"A": Tensor.from_dense(a, "CSR"), "B": b}, a @ b, shape, interpret=False)


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("C[i,j] += A[i,k] * B[k,j]", {}),
        ("C[i,j] = 2*A[i,k] * B[k,j]", {}),
        ("C[i,j] = A[i,k] * B[k,j] * A[i,j]", {}),
        ("C[i,j] = A[i,k] * A[k,j]", {}),
        ("C[i,k] = A[i,k] * B[k,i]", {}),
        ("y[i] = A[i,k] * B[i,k]", {}),
        ("C[i] = A[i,k] * B[k,j]", {}),
        ("C[2*i,j] = A[i,k] * B[k,j]", {}),
        ("C[i,j] = A[i,k] * B[k//2,j]", {"sizes": {"k": 4}}),
        ("C[i,j] = A[i,k] * B[3-k,j]", {}),
        ("C[i,j] = A[i,k] * B[k,j]", {"pad": {"A": {1: (1, 1)}, "B": {0: (1, 1)}}}),
        ("C[i,j] = A[i,k] * B[k,j]", {"pad": {"A": {0: (2, 1)}}}),
    ],
)
def test_what_does_not_fit_the_schedule_goes_another_way(text, given):
    rng = np.random.default_rng(4)
    spec = make_spec(text, **given)
    operands = {n: random_array(rng, (4, 4), "float64", 0.5) for n in spec.operands}
    stored = {**operands, "A": Tensor.from_dense(operands["A"], "CSR")}
    line = line_of(spec, stored)
    assert tile.plan(line.form, line.signatures, "float64") is None
    want = engine.evaluate(spec, operands, backend="numpy")["C" if "C" in text else "y"]
    got = engine.evaluate(spec, stored)
    assert np.array_equal(next(iter(got.values())), want)


def test_the_engine_tiles_what_is_large_enough():
    spec = make_spec("C[i,j] = A[i,k] * B[k,j]")
    rng = np.random.default_rng(5)
    texts = {}
    for size in (20, 40):
        a, b = (random_array(rng, (size, size), "float32", 1.0) for _ in range(2))
        assert (a.size * size >= schedules.WORTH_TILING) == (size == 40)
        call = Call(spec, {"A": Tensor.from_dense(a, "CSR"), "B": b}, a.astype(float) @ b, 0.0)
        texts[size] = prepare(call)[0].c_text
        agree(call, engine.evaluate(spec, call.operands)["C"], "c")
    assert "register tiles" in texts[40]
    assert "register tiles" not in texts[20]
    prime(texts.values())


def test_the_staged_copy_keeps_its_padding_from_call_to_call():
    """The halo is never written, so a second image finds it still 0."""
    spec = make_spec("O[m,p] = I[c,p+r] * F[m,c,r]", pad={"I": {1: (2, 2)}})
    rng = np.random.default_rng(6)
    filters = random_array(rng, (2, 2, 3), "float64", 1.0)
    line = line_of(spec, {"I": np.zeros((2, 5)), "F": filters})
    plan = tile.plan(line.form, line.signatures, "float64")
    target = np.empty(line.shape)
    prepared, filled = schedules.tiled(line, plan, target, SHAPES[0])
    at = prepared.lowered.buffers.index(("vals", "I"))
    for seed in range(3):
        image = random_array(np.random.default_rng(seed), (2, 5), "float64", 1.0)
        filled.buffers[at] = image.reshape(-1)
        run(prepared, filled, "c")
        view = sliding_window_view(np.pad(image, [(0, 0), (2, 2)]), 3, axis=1)
        assert np.array_equal(target, np.einsum("cpr,mcr->mp", view, filters))

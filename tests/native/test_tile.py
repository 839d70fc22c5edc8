"""The tiled schedule against NumPy on any shape, and when the engine takes it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import Call, agree, line_of, prepare, prime
from numpy.lib.stride_tricks import sliding_window_view

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, packing, patterns, schedules, tile
from zeroskip.native.domains import LANES_AHEAD
from zeroskip.native.fixed import Schedule
from zeroskip.native.geometry import geometry, line_of_lanes, reach_of, shifts_of
from zeroskip.native.prepared import run
from zeroskip.native.tile_shape import TileShape, shape_of, tiles_of

FEW, EACH = (1, 2, 3), tuple(range(1, 9))
SHAPES = [
    TileShape(64, 1, EACH, 0),
    TileShape(32, 1, EACH, 3),
    TileShape(16, 1, EACH, 1),
    TileShape(64, 4, FEW, 5),
    TileShape(32, 2, FEW, 0),
    TileShape(16, 3, FEW, 2),
    TileShape(64, 4, (1, 2), 5),
    TileShape(32, 4, (1,), 0, panel=False),
    TileShape(64, 1, EACH, 0, panel=False),
    TileShape(32, 4, FEW, 5, panel=False),
    TileShape(64, 2, (1,), 5, unrolled=True, members=2),
    TileShape(64, 28, (1,), 0, unrolled=True, members=14),
    TileShape(64, 9, (1,), 2, unrolled=True, members=3),
    TileShape(64, 9, (1,), 2, unrolled=True, members=3, masked=True),
]

DTYPES = ["float32", "float64", "int32", "int64"]
sizes = st.integers(1, 9)
shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 2**32 - 1)


def tiled(spec, operands, shape, backend="c"):
    """The result by the tiled schedule, whatever the engine would take."""
    line = line_of(spec, operands)
    plan = tile.plan(line.form, line.signatures, line.dtype.name)
    assert plan is not None, spec.text
    if shape.masked and shifts_of(plan, line.extents) is None:
        shape = replace(shape, masked=False)
    target = np.full(line.shape, 99, line.stored)
    run(*schedules.tiled(line, plan, target, shape), backend)
    return target


def check(spec, operands, want, shape, interpret=True):
    """Exact numbers, so that every order of the sums gives the same."""
    call = Call(spec, operands, want, 0.0)
    for backend in ("c", "interpreter") if interpret else ("c",):
        agree(call, tiled(spec, operands, shape, backend), backend)


def entries(rng, array):
    """The operand as an array, or in a format whose rows come out of order."""
    return Tensor.from_dense(array, "CSC") if rng.random() < 0.7 else array


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


@pytest.mark.parametrize(
    ("text", "shapes_of", "want"),
    [
        (
            "Q[b,t,h,e] = W[h,e,d]*X[b,t,d]",
            lambda b, t, h, e, d: {"W": (h, e, d), "X": (b, t, d)},
            "hed,btd->bthe",
        ),
        (
            "Q[b,h,t,e] = W[h,e,d]*X[b,t,d]",  # rows are not innermost alone
            lambda b, t, h, e, d: {"W": (h, e, d), "X": (b, t, d)},
            "hed,btd->bhte",
        ),
        (
            "Q[t,h,e] = W[h,e,b,d]*X[t,b,d]",
            lambda b, t, h, e, d: {"W": (h, e, b, d), "X": (t, b, d)},
            "hebd,tbd->the",
        ),
        (
            "Q[h,t,e] = W[h,e,b,d]*X[b,d,t]",
            lambda b, t, h, e, d: {"W": (h, e, b, d), "X": (b, d, t)},
            "hebd,bdt->hte",
        ),
        (
            "Q[b,t,h,e] = W[h,e,d]*X[t,d,b]",  # lanes on either side of what is summed
            lambda b, t, h, e, d: {"W": (h, e, d), "X": (t, d, b)},
            "hed,tdb->bthe",
        ),
    ],
)
@settings(max_examples=20)
@given(st.data())
def test_rows_innermost_and_lanes_a_row_apart(text, shapes_of, want, data):
    """What lies the other way round is turned, some squares of it whole and others not."""
    dtype, shape = data.draw(st.sampled_from(DTYPES)), data.draw(shapes)
    rng = np.random.default_rng(data.draw(seeds))
    most = (3, 25, 3, 40, 20)
    extents = shapes_of(*(data.draw(st.integers(1, n)) for n in most))
    given_ = {name: random_array(rng, s, dtype, 0.6) for name, s in extents.items()}
    result = np.einsum(want, given_["W"], given_["X"])
    check(make_spec(text), {**given_, "W": entries(rng, given_["W"])}, result, shape, False)


@settings(max_examples=20)
@given(sizes, sizes, st.integers(1, 20), st.integers(1, 70), shapes, seeds)
def test_channels_last(height, width, channels, filters, shape, seed):
    rng = np.random.default_rng(seed)
    image = random_array(rng, (2, height, width, channels), "float32", 0.6)
    weights, bias = (random_array(rng, s, "float32", 0.6) for s in [(filters, channels), filters])
    spec = make_spec("O[n,p,q,m] = relu(B[m] + sum[c](I[n,p,q,c]*F[m,c]))")
    want = np.maximum(image @ weights.T + bias, 0).astype(np.float64)
    check(spec, {"I": image, "F": entries(rng, weights), "B": bias}, want, shape, False)
    windows = make_spec("O[n,p,q,m] = I[n,p+r,q,c]*F[m,c,r]", pad={"I": {1: (1, 1)}})
    taps = random_array(rng, (filters, channels, 3), "float32", 0.4)
    padded = np.pad(image, ((0, 0), (1, 1), (0, 0), (0, 0)))
    want = np.einsum("npqcr,mcr->npqm", sliding_window_view(padded, 3, axis=1), taps)
    check(windows, {"I": image, "F": entries(rng, taps)}, want, shape, False)


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


@pytest.mark.parametrize(("vectors", "most"), [(1, 6), (5, 6), (6, 6), (7, 6), (13, 6), (25, 3)])
def test_tiles_are_as_even_as_they_come(vectors, most):
    tiles, found = tiles_of(vectors, most)
    assert tiles == -(-vectors // most)
    assert max(found) <= most
    assert max(found) - min(found) <= 1
    assert min(found) * tiles <= vectors <= max(found) * tiles


def test_rows_go_together_where_their_columns_are_often_shared():
    shapes = [shape_of(64, 13, 512, d, bound=True) for d in (0.5, 0.1, 0.01)]
    assert [s.rows for s in shapes] == [4, 1, 1]
    assert [s.block for s in shapes] == [256, 256, 0]
    assert shapes[0].vectors == (4, 5)
    unbound = shape_of(64, 13, 512, 0.5, bound=False)
    assert unbound == TileShape(64, 1, (6, 7), 0)
    assert shape_of(32, 13, 3, 0.5, bound=True).rows == 1  # there are no four


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("density", [0.01, 0.5])
def test_a_kernel_has_the_tiles_of_its_line_and_no_others(bound, density):
    for line_vectors in range(1, 100):
        shape = shape_of(64, line_vectors, 512, density, bound=bound)
        tiles = -(-line_vectors // shape.most)
        ends = [line_vectors * t // tiles for t in range(tiles + 1)]
        assert set(shape.vectors) == {b - a for a, b in pairwise(ends)}
    assert shape_of(64, 0, 512, density, bound=bound).vectors == (1,)


def test_lanes_stay_where_they_lie_where_they_are_seldom_met():
    def panel(density, *, width=64, in_place=True):
        return shape_of(width, 13, 512, density, bound=True, in_place=in_place).panel

    assert [panel(d) for d in (0.001, 0.01, 0.1, 0.8)] == [False, False, True, True]
    assert panel(0.01, in_place=False)  # it is to be staged anyhow
    assert panel(0.01, width=32)  # no masks for the last vector


def test_a_short_line_that_is_read_where_it_lies_is_one_tile():
    def vectors(line_vectors, density, in_place=True, **sizes):
        return shape_of(64, line_vectors, 100, density, in_place=in_place, **sizes).vectors

    for bound in (True, False):
        assert vectors(13, 0.01, bound=bound) == (13,)
        assert vectors(16, 0.01, bound=bound) == (16,)
        assert vectors(17, 0.01, bound=bound) == (5, 6)
        assert vectors(13, 0.01, bound=bound, in_place=False) == (6, 7)  # copied
        assert vectors(13, 0.2, bound=bound) == ((4, 5) if bound else (6, 7))  # met too often
    assert vectors(13, 0.1, bound=True) == (6, 7)  # in blocks


@pytest.mark.parametrize("columns", [129, 196, 255, 256, 257])
@pytest.mark.parametrize("density", [0.005, 0.05])
def test_lines_of_one_tile_and_of_more(columns, density):
    rng, product = np.random.default_rng(columns), zs.layer("C[i,j] = A[i,k]*B[k,j]")
    a = random_array(rng, (60, 300), "float32", density)
    b = random_array(rng, (300, columns), "float32", 1.0)
    for one in (zs.tensor(a, "CSR"), zs.tensor(a, "CSC")):
        for schedule in (None, Schedule(vectors=16, rows=1), Schedule(vectors=9, rows=4)):
            bound = product.bind(A=one, schedule=schedule)
            for threads in (1, 2):
                with zs.config.using(threads=threads):
                    assert np.array_equal(bound(B=b), a @ b)
        assert np.array_equal(product(A=one, B=b), a @ b)


def test_lanes_that_crowd_into_a_part_of_a_cache_are_copied_earlier():
    def panel(pitch, summed, density=0.01):
        sizes = {"reach": 512, "summed": summed, "pitch": pitch}
        return shape_of(64, 64, 512, density, bound=True, in_place=True, **sizes).panel

    assert [panel(p, 1024) for p in (2048, 4096, 16384)] == [True, True, True]
    assert [panel(p, 1024) for p in (4000, 4160, 1024)] == [False, False, False]  # spread
    assert [panel(4096, n) for n in (256, 511, 512)] == [False, False, True]  # as many as there fit
    assert not panel(4096, 1024, 0.005)  # too seldom for a copy all the same
    assert not panel(4160, 2**16)  # more than the cache, of which they take all


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("n", [1, 16, 21])
def test_what_is_read_in_place_is_of_the_type_of_the_sums(dtype, n):
    rng = np.random.default_rng(n)
    weights = np.where(rng.random((5, 60)) < 0.1, 2.0, 0).astype("float32")
    x = rng.integers(-4, 5, (60, n)).astype(dtype)
    bound = zs.layer("O[m,n] = W[m,k] * X[k,n]").bind(W=zs.tensor(weights, "CSR"))
    np.testing.assert_array_equal(bound(X=x), weights @ x.astype("float64"))


def test_rows_go_together_earlier_where_sums_are_few():
    def rows(line_vectors, density):
        return shape_of(32, line_vectors, 512, density, bound=True).rows

    assert rows(25, 0.5) == rows(2, 0.3) == 1
    assert rows(25, 0.8) == rows(2, 0.5) == 4


def test_blocks_grow_where_their_entries_are_fewer_and_tiles_narrower():
    def block(line_vectors, density):
        return shape_of(32, line_vectors, 512, density, bound=True).block

    assert block(8, 0.01) > block(8, 0.1) > block(8, 0.5) > 16
    assert block(2, 0.1) == 2 * block(8, 0.1)
    assert block(8, 0.0) > 2**14  # nothing stored: one block


def test_what_a_block_reads_of_windows_stays_near_where_its_rows_have_entries_enough():
    def block(density, reach, vectors=4, summed=0):
        shape = shape_of(64, vectors, 512, density, bound=True, reach=reach, summed=summed)
        return shape.block

    assert block(0.02, 32) == 1024
    assert block(0.03, 64) == 512
    assert block(0.02, 512) == block(0.02, 0) == 0  # 64 places would hold one entry
    assert block(0.05, 512) == block(0.05, 0) == 256
    assert block(0.05, 512, summed=1024) == 256  # more than stays in the second-level cache
    assert block(0.05, 512, summed=512) == 0
    assert block(0.05, 64, 1, 4096) == 0  # a row loads 26 vectors of 512 places
    assert block(0.12, 64, 1, 4096) == 512


def test_tiles_of_fewer_vectors_take_rows_up_less_often():
    def shared(vectors):
        shape = shape_of(64, vectors, 512, 0.5, bound=True, reach=64 * vectors, summed=4096)
        return shape.rows, shape.block, shape.chains

    assert shared(1) == (4, 1536, 2)
    assert shared(2) == (4, 768, 2)
    assert shared(3) == (4, 512, 1)
    assert shared(6) == (4, 256, 1)
    assert [shape_of(32, n, 512, 0.9, bound=True).chains for n in (1, 2, 3)] == [2, 1, 1]


@pytest.mark.parametrize(("stride", "pad"), [(1, 0), (1, 2), (2, 1), (3, 0)])
def test_reach_is_what_all_lanes_of_a_line_read(stride, pad):
    """Elements of the padded image that windows meet, over the places of the sum."""
    text = "O[n,m,p,q] = I[n,c,U*p+r,U*q+s] * F[m,c,r,s]"
    spec = make_spec(text, consts={"U": stride}, pad=pad)
    image, filters = np.zeros((1, 5, 30, 30), "f4"), np.ones((45, 5, 3, 3), "f4")
    line = line_of(spec, {"I": image, "F": zs.tensor(filters, "m:U c*r*s:C")})
    plan = schedules.schedule_of(line, {"F"})
    assert isinstance(plan, tile.TilePlan)
    lanes = line_of_lanes(plan, line.extents)
    reach = reach_of(plan, line.extents, lanes)
    met = np.zeros((30 + 2 * pad,) * 2, bool)
    most = range(0, met.shape[0] - 2, stride)
    for p, r, q, s in np.ndindex(len(most), 3, len(most), 3):
        met[stride * p + r, stride * q + s] = True
    assert met.sum() <= 9 * reach <= 1.6 * met.size
    assert reach_of(plan, line.extents, 16) < reach


def test_few_entries_meet_channels_that_are_innermost_in_squares():
    """Lanes a row apart are turned, however seldom each is met; where they lie one behind the
    other, a walk over few entries copies nothing."""
    kinds = []
    for text in ("O[p,m] = I[p,c]*F[m,c]", "O[m,p] = I[c,p]*F[m,c]"):
        image = np.ones((500, 64) if "I[p" in text else (64, 500), "f4")
        weights = np.zeros((64, 64), "f4")
        weights[3, 5] = 2
        operands = {"I": image, "F": Tensor.from_dense(weights, "CSR")}
        kinds.append(type(schedules.schedule_of(line_of(make_spec(text), operands), {"F"})))
    assert kinds == [tile.TilePlan, type(None)]


def test_entries_in_another_order_than_rows_are_ordered_for_many_lanes_alone():
    """Ordering takes longer than walking, unless the walk goes on for many vectors."""
    kinds = {}
    for format, columns in (("CSR", 64), ("CSC", 64), ("CSR", 2000)):
        array = np.tri(300, dtype="f4")
        weights = Tensor.from_dense(array, format)
        operands = {"W": weights, "X": np.ones((300, columns), "f4")}
        spec = make_spec("y[k,n] = W[i,k]*X[i,n]")
        line = line_of(spec, operands)
        kinds[format, columns] = type(schedules.schedule_of(line)).__name__
        assert isinstance(schedules.schedule_of(line, {"W"}), tile.TilePlan)
        assert np.array_equal(engine.evaluate(spec, operands)["y"], array.T @ operands["X"])
    assert kinds == {
        ("CSR", 64): "LanePlan",
        ("CSC", 64): "TilePlan",
        ("CSR", 2000): "TilePlan",
    }


def test_columns_of_a_dense_matrix_meet_a_vector_as_they_lie():
    operands = {"W": np.arange(60.0).reshape(5, 12), "x": np.arange(5.0)}
    spec = make_spec("y[k] = W[i,k]*x[i]")
    found = schedules.schedule_of(line_of(spec, operands))
    assert isinstance(found, tile.TilePlan)
    assert found.in_place
    assert np.array_equal(engine.evaluate(spec, operands)["y"], operands["x"] @ operands["W"])


@given(st.lists(st.integers(0, 2**40), max_size=300))
def test_the_order_of_numbers_keeps_equal_ones_as_they_lie(numbers):
    found = np.array(numbers, np.int64)
    assert np.array_equal(patterns.order_of(found), np.argsort(found, kind="stable"))

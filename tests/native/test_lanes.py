"""The lane schedule against NumPy: sparse activations against dense weights, in vectors."""

import numpy as np
import pytest
from generator import random_array, random_format
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import Call, agree, line_of
from numpy.lib.stride_tricks import sliding_window_view

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, lanes, schedules, settling
from zeroskip.native.bound import Bound
from zeroskip.native.fixed import Schedule
from zeroskip.native.prepared import run

DTYPES = ["float32", "float64", "int32", "int64"]
seeds = st.integers(0, 2**32 - 1)


def plan_of(spec, operands):
    line = line_of(spec, operands)
    plans = lanes.plans(line.form, line.signatures, line.dtype.name)
    return line, lanes.longest(plans, line.extents)


def check(spec, operands, want, rank, interpret=True):
    line, plan = plan_of(spec, operands)
    assert plan is not None
    assert plan.rank == rank
    for backend in ("c", "interpreter") if interpret else ("c",):
        target = np.full(line.shape, 99, line.stored)
        run(*schedules.in_lanes(line, plan, target), backend)
        agree(Call(spec, operands, want, 0.0), target, backend)


@pytest.mark.parametrize("format", ["CSR", "CSC", "COO", "bitmask", "RLE(1)", "1:B 0:R(2)"])
@settings(max_examples=20)
@given(
    st.integers(0, 5), st.integers(0, 6), st.integers(8, 40), st.sampled_from(DTYPES[::2]), seeds
)
def test_sparse_rows_by_dense_columns(format, rows, inner, columns, dtype, seed):
    rng = np.random.default_rng(seed)
    a = random_array(rng, (rows, inner), dtype, float(rng.choice([0, 0.4, 1])))
    b = random_array(rng, (inner, columns), dtype, 0.8)
    spec = make_spec("C[i,j] = A[i,k] * B[k,j]")
    check(spec, {"A": Tensor.from_dense(a, format), "B": b}, a @ b, "j", columns < 20)


@pytest.mark.parametrize("stride", [1, 2])
@settings(max_examples=20)
@given(
    st.integers(8, 20),
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from(["float32", "int32"]),
    seeds,
)
def test_sparse_activations_against_dense_weights(stride, m, lo, hi, dtype, seed):
    rng = np.random.default_rng(seed)
    image = random_array(rng, (2, 3, 6, 5), dtype, 0.5)
    filters, bias = random_array(rng, (m, 3, 3, 2), dtype, 0.8), random_array(rng, (m,), dtype, 0.8)
    spec = make_spec(
        f"O[n,m,p,q] = relu(B[m] + sum[c,r,s](I[n,c,{stride}*p+r,q+s] * F[m,c,r,s]))",
        pad={"I": {2: (lo, hi)}},
    )
    padded = np.pad(image, [(0, 0), (0, 0), (lo, hi), (0, 0)])
    view = sliding_window_view(padded, (3, 2), axis=(2, 3))[:, :, ::stride]
    want = np.maximum(np.einsum("ncpqrs,mcrs->nmpq", view, filters) + bias[:, None, None], 0)
    format = str(rng.choice(["CSR", "0*1:U 2*3:B", "CSF"]))
    check(spec, {"I": Tensor.from_dense(image, format), "F": filters, "B": bias}, want, "m", m < 10)


def test_the_longest_rank_is_taken_and_both_staged_operands_hold_it():
    rng = np.random.default_rng(2)
    a = random_array(rng, (3, 4), "float64", 0.5)
    b, c = random_array(rng, (4, 9), "float64", 0.8), random_array(rng, (3, 9), "float64", 0.8)
    spec = make_spec("O[j,i] = A[i,k] * B[k,j] * C[i,j]")
    operands = {"A": Tensor.from_dense(a, "CSR"), "B": b, "C": c}
    check(spec, operands, ((a @ b) * c).T, "j")
    spec = make_spec("O[i,j,l] = x[i] * B[j,l]")
    operands = {
        "x": Tensor.from_dense(np.array([0, 2.0]), "C"),
        "B": random_array(rng, (11, 8), "float64", 1),
    }
    check(spec, operands, np.einsum("i,jl->ijl", [0, 2.0], operands["B"]), "j")


@pytest.mark.parametrize(
    ("text", "given"),
    [
        ("C[i,j] += A[i,k] * B[k,j]", {}),
        ("C[i,2*j] = A[i,k] * B[k,j]", {}),
        ("C[i] = A[i,k] * B[k,i]", {}),
        ("C[i,j] = A[i,k] * B[k,j] * B[k,j]", {}),
        ("C[i,j] = A[i,k] * B[k,j] + A[i,j]", {}),
        ("C[i,j] = A[i,k] * B[k,j+1]", {"sizes": {"j": 8}}),
        ("C[i,j] = A[i,k] * B[k,j]", {"pad": {"B": {1: (1, 1)}}}),
    ],
)
def test_what_does_not_fit_goes_another_way(text, given):
    rng = np.random.default_rng(3)
    spec = make_spec(text, **given)
    a, b = random_array(rng, (9, 9), "float64", 0.5), random_array(rng, (9, 9), "float64", 0.5)
    operands = {"A": Tensor.from_dense(a, "CSR"), "B": b}
    assert plan_of(spec, operands)[1] is None
    want = engine.evaluate(spec, {"A": a, "B": b}, backend="numpy")["C"]
    assert np.array_equal(engine.evaluate(spec, operands)["C"], want)


def test_lanes_take_a_sparse_operand_and_room():
    spec = make_spec("O[n,m,p] = I[n,c,p+r] * F[m,c,r]")

    def plan(image, filters):
        return plan_of(spec, {"I": image, "F": filters})[1]

    image, wide = np.ones((1, 2, 5)), np.ones((8, 2, 3))
    sparse = Tensor.from_dense(image, "CSR")
    assert plan(sparse, wide).rank == "m"
    assert plan(image, wide) is None
    assert plan(sparse, wide[:7]) is None
    assert plan(sparse, wide.astype("float32")).rank == "m"
    assert plan(sparse, Tensor.from_dense(wide, "CSR")) is None


@settings(max_examples=10)
@given(seeds)
def test_the_engine_takes_lanes_for_a_convolution_of_sparse_activations(seed):
    rng = np.random.default_rng(seed)
    image = random_array(rng, (1, 2, 6), "float32", 0.4)
    filters = random_array(rng, (9, 2, 3), "float32", 0.9)
    operands = {"I": Tensor.from_dense(image, random_format(rng, 3)), "F": filters}
    spec = make_spec("O[n,m,p] = I[n,c,p+r] * F[m,c,r]")
    line = line_of(spec, operands)
    prepared, _ = settling.scheduled(line, np.empty(line.shape, line.stored))
    skips = line.signatures["I"].skips
    assert ("lanes: m" in prepared.c_text) == skips
    want = np.einsum("ncpr,mcr->nmp", sliding_window_view(image, 3, axis=2), filters)
    assert np.array_equal(engine.evaluate(spec, operands)["O"], want)


@settings(max_examples=30)
@given(st.integers(8, 150), st.sampled_from(["float32", "float64", "int32", "float16"]), seeds)
def test_weights_that_stay_are_laid_out_once_for_each_order_of_loops(m, dtype, seed):
    rng = np.random.default_rng(seed)
    filters = random_array(rng, (m, 3, 2, 3), dtype, 0.9)
    spec = make_spec("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad={"I": {3: (1, 0)}})
    bound = Bound(spec, {"F": filters})
    for format in ("0:U 2:U 3:U 1:C", "0:U 2:U 3:U 1:B", "bitmask", "0:U 2:U 3:U 1:C"):
        image = random_array(rng, (2, 3, 5, 4), dtype, 0.4)
        padded = np.pad(image, [(0, 0), (0, 0), (0, 0), (1, 0)]).astype(np.float64)
        want = np.einsum("ncpqrs,mcrs->nmpq", sliding_window_view(padded, (2, 3), (2, 3)), filters)
        found = bound.run({"I": Tensor.from_dense(image, format)})
        assert np.allclose(found, want, rtol=1e-2 if dtype == "float16" else 1e-4, atol=1e-2)
        assert np.array_equal(
            found, engine.evaluate(spec, {"I": Tensor.from_dense(image, format), "F": filters})["O"]
        )
    layouts = bound._kept._layouts
    assert [name for name, _ in layouts] == ["F", "F"]  # by windows, and as a bitmask has it
    kept = next(iter(layouts.values()))
    assert kept.size >= filters.size
    other = Bound(spec, {"F": filters + 1})
    assert other._kept.has("F", other.held["F"])
    assert not other._kept.has("F", filters)


@pytest.mark.parametrize(("m", "c"), [(0, 3), (9, 0), (0, 0)])
def test_weights_that_stay_may_have_no_lanes_or_none_to_sum(m, c):
    spec = make_spec("O[p,m] = I[p+r,c] * F[m,c,r]", sizes={"p": 5})
    bound = Bound(spec, {"F": np.ones((m, c, 2))}, schedule=Schedule(kind="lanes"))
    image = Tensor.from_dense(np.ones((6, c)), "0:U 1:C")
    assert np.array_equal(bound.run({"I": image}), np.zeros((5, m)))


def test_the_places_of_a_window_go_outermost_where_fibers_are_found_by_them():
    rng = np.random.default_rng(4)
    spec = make_spec("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]")
    image, filters = (
        random_array(rng, (1, 3, 5, 5), "float32", 0.5),
        np.ones((8, 3, 2, 2), np.float32),
    )
    texts = {}
    for format in ("0:U 2:U 3:U 1:C", "CSF"):
        line, plan = plan_of(spec, {"I": Tensor.from_dense(image, format), "F": filters})
        prepared, _ = schedules.in_lanes(line, plan, np.empty(line.shape, line.stored))
        texts[format] = prepared.c_text
    first = [text.index(" s = 0") < text.index(" p = ") for text in texts.values()]
    assert first == [True, False]


@pytest.mark.parametrize("bind", [True, False])
def test_a_sparse_vector_meets_columns_of_weights_that_are_laid_out_once(bind):
    """What uses each weight at most once pays for no copy, unless it is there for many calls."""
    rng = np.random.default_rng(6)
    layer = zs.layer("y[o] = W[o,i] * x[i]")
    weights, vector = random_array(rng, (70, 90), "int64", 1), random_array(rng, 90, "int64", 0.2)
    given_ = {"x": zs.tensor(vector, "0:C")}
    if bind:
        bound = layer.bind(W=weights)
        assert np.array_equal(bound(**given_), weights @ vector)
        (name,) = {name for name, _ in bound._bound._kept._layouts}
        assert name == "W"
    else:
        line = line_of(layer.spec, {"W": weights, **given_})
        assert not isinstance(schedules.schedule_of(line), lanes.LanePlan)
        assert np.array_equal(layer(W=weights, **given_), weights @ vector)

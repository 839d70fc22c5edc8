"""What lies the other way round: lanes a row apart, results with rows innermost, entries that come
by columns; and which schedule takes them."""

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import line_of
from numpy.lib.stride_tricks import sliding_window_view
from tiling import DTYPES, check, entries, seeds, shapes, sizes

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, schedules, tile


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

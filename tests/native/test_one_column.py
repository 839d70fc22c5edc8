"""Ranks of one place are left out where that makes dots of a bound operand."""

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.einsum_spec.walk import single
from zeroskip.explanation.inspecting import choose
from zeroskip.formats.tensor import Tensor
from zeroskip.native.fixed import Schedule
from zeroskip.native.squeezing import squeeze

PRODUCT = "O[m,n] = W[m,k]*X[k,n]"
LAYERS = (
    PRODUCT,
    "O[n,m] = relu(D[m] + sum[k](X[n,k]*W[m,k]))",
    "O[b,m,n] = W[m,k]*X[b,k,n]",
    "O[n,m] = E[n,m] + W[k,m]*X[n,k]",
)


def operands(text, rng, rows, inner, columns, density, dtype):
    sizes = {"m": rows, "k": inner, "n": columns, "b": 1}
    spec = make_spec(text)
    reads = {access.tensor: access for access in spec.forms[0].reads}
    ranks = {name: [single(s) for s in access.subscripts] for name, access in reads.items()}
    arrays = {
        name: random_array(rng, tuple(sizes[r] for r in of), dtype, density if name == "W" else 1)
        for name, of in ranks.items()
    }
    return spec, arrays


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(LAYERS),
    st.integers(1, 40),
    st.integers(1, 200),
    st.sampled_from([1, 1, 1, 2]),
    st.sampled_from([0, 0.1, 0.4, 1]),
    st.sampled_from(["float32", "float64", "int32", "int8"]),
    st.sampled_from(["CSR", "CSC", "bitmask", "COO", "RLE(3)"]),
    st.sampled_from([1, 2]),
    st.integers(0, 2**32 - 1),
)
def test_results_are_those_of_numpy_in_the_shape_of_the_line(
    text, rows, inner, columns, density, dtype, format, threads, seed
):
    rng = np.random.default_rng(seed)
    _, arrays = operands(text, rng, rows, inner, columns, density, dtype)
    want = zs.layer(text)(**arrays, backend="numpy")
    bound = zs.layer(text).bind(W=Tensor.from_dense(arrays.pop("W"), format))
    with zs.config.using(threads=threads):
        for _ in range(2):
            got = bound(**arrays)
            assert got.shape == want.shape
            assert got.dtype == want.dtype
            assert np.array_equal(got, want)
        out = np.full(want.shape, 7, want.dtype)
        assert bound(**arrays, out=out) is out
        assert np.array_equal(out, want)
        apart = {name: np.repeat(x, 2, axis=0)[::2] for name, x in arrays.items()}
        assert np.array_equal(bound(**apart), want)


@pytest.mark.parametrize("text", LAYERS)
def test_one_column_is_taken_as_dots_and_two_are_not(text):
    rng = np.random.default_rng(3)
    for columns, found in ((1, "dots"), (2, "tiled")):
        spec, arrays = operands(text, rng, 40, 400, columns, 0.2, "float32")
        arrays["W"] = Tensor.from_dense(arrays["W"], "CSR")
        (chosen,) = choose(spec, arrays, ("W",))
        assert chosen.taken.kind == found
        assert ("left out." in chosen.why) == (found == "dots")
        (alone,) = choose(spec, arrays)
        assert alone.taken.kind == ("dots" if columns == 1 and "W[k,m]" not in text else "plain")


def test_the_schedule_that_is_printed_may_be_given_back():
    rng = np.random.default_rng(3)
    spec, arrays = operands(PRODUCT, rng, 40, 400, 1, 0.2, "float32")
    arrays["W"] = Tensor.from_dense(arrays["W"], "CSR")
    (chosen,) = choose(spec, arrays, ("W",))
    (given_back,) = choose(spec, arrays, ("W",), schedule=chosen.taken)
    assert given_back.prepared.c_text == chosen.prepared.c_text
    tiles = zs.layer(PRODUCT).bind(W=arrays["W"], schedule=Schedule(kind="tiled"))
    assert np.array_equal(tiles(X=arrays["X"]), zs.layer(PRODUCT).bind(W=arrays["W"])(arrays["X"]))


def test_arrays_lie_as_they_did_without_the_axis_that_is_left_out():
    given_ = {
        "W": Tensor.from_dense(np.ones((4, 5), np.float32), "CSR"),
        "X": np.ones((5, 1), np.float32),
    }
    line = line_of(make_spec(PRODUCT), given_)
    less = squeeze(line, ("W",))
    assert less.form == make_spec("O[m] = W[m,k]*X[k]").forms[0]
    assert less.shape == (4,)
    assert less.used["X"].shape == (5,)
    assert np.shares_memory(less.used["X"], given_["X"])

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
from zeroskip.native.squeezed import squeezed

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
        assert ("n has one place, and is left out." in chosen.why) == (found == "dots")
        (alone,) = choose(spec, arrays)
        assert alone.taken.kind != "dots"


def test_the_schedule_that_is_printed_may_be_given_back():
    rng = np.random.default_rng(3)
    spec, arrays = operands(PRODUCT, rng, 40, 400, 1, 0.2, "float32")
    arrays["W"] = Tensor.from_dense(arrays["W"], "CSR")
    (chosen,) = choose(spec, arrays, ("W",))
    (given_back,) = choose(spec, arrays, ("W",), schedule=chosen.taken)
    assert given_back.prepared.c_text == chosen.prepared.c_text
    tiles = zs.layer(PRODUCT).bind(W=arrays["W"], schedule=Schedule(kind="tiled"))
    assert np.array_equal(tiles(X=arrays["X"]), zs.layer(PRODUCT).bind(W=arrays["W"])(arrays["X"]))


@pytest.mark.parametrize(
    ("text", "shapes", "pad"),
    [
        (PRODUCT, {"W": (4, 5), "X": (5, 2)}, None),  # of two places
        (PRODUCT, {"W": (1, 5), "X": (5, 2)}, None),  # that the bound operand has
        ("O[m,p] = W[m,r]*X[p+r]", {"W": (4, 5), "X": (5,)}, None),  # of a window
        ("O[n,m,p] = W[m,c,r]*X[n,c,p+r]", {"W": (4, 2, 3), "X": (1, 2, 9)}, 1),  # lanes are left
        ("O[n] = W[k]*X[k,n]", {"W": (5,), "X": (5, 1)}, None),  # a number
        ("O[m,n] max= W[m,k]*X[k,n]", {"W": (4, 5), "X": (5, 1)}, None),  # no sum
        ("O[m,n] = sum[k](W[m,k]*exp(X[k,n]))", {"W": (4, 5), "X": (5, 1)}, None),  # no product
    ],
)
def test_lines_that_stay_as_they_are(text, shapes, pad):
    given_ = {name: np.ones(shape, np.float32) for name, shape in shapes.items()}
    given_["W"] = Tensor.from_dense(given_["W"], "CSR" if given_["W"].ndim > 1 else "0:C")
    line = line_of(make_spec(text, pad=pad and {"X": {2: (1, 1)}}), given_)
    assert squeezed(line, ("W",)) is None


def test_what_is_left_out_is_no_axis_of_any_operand():
    given_ = {
        "W": Tensor.from_dense(np.ones((4, 5), np.float32), "CSR"),
        "X": np.ones((5, 1), np.float32),
    }
    line = line_of(make_spec(PRODUCT), given_)
    less = squeezed(line, ("W",))
    assert less is not None
    assert less.form == make_spec("O[m] = W[m,k]*X[k]").forms[0]
    assert less.shape == (4,)
    assert less.used["X"].shape == (5,)
    assert np.shares_memory(less.used["X"], given_["X"])
    assert squeezed(line, ("W", "X")) is None

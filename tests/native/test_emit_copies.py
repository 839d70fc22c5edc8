"""Copies into layouts and out of sums go by vectors, the last one in part, to the element."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.native import settings

CONV = "I[n,c,U*p+r,U*q+s] * F[m,c,r,s]"
DTYPES = ("float32", "float64", "int32")


def convolved(image, filters, stride):
    rows = np.lib.stride_tricks.sliding_window_view(image, filters.shape[2:], axis=(2, 3))
    return np.einsum("ncpqrs,mcrs->nmpq", rows[:, :, ::stride, ::stride], filters)


def drawn(rng, shape, dtype):
    return rng.integers(-4, 5, shape).astype(dtype)


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("stride", "pad"), [(1, 1), (2, 1), (3, 2)])
@pytest.mark.parametrize("unrolled", [False, True])
def test_rows_of_every_length(dtype, width, stride, pad, unrolled):
    """Nothing beside the result is written, and a second image finds the padding as it was."""
    if unrolled and (width < 64 or dtype == "int32"):
        pytest.skip("machine code is of vectors of 64 bytes of floats")
    rng = np.random.default_rng(width + stride)
    layer = zs.layer(f"O[n,m,p,q] = {CONV}", consts={"U": stride}, pad=pad)
    for extent in (5, 16, 33):
        filters = drawn(rng, (9, 3, 3, 2), dtype) * (rng.random((9, 3, 3, 2)) < 0.6).astype(dtype)
        with settings.using(vector_bytes=width):
            schedule = zs.Schedule(kind="tiled", unrolled=unrolled)
            bound = layer.bind(F=zs.tensor(filters, "m:U c*r*s:C"), schedule=schedule)
            for _ in range(2):
                image = drawn(rng, (2, 3, 5, extent), dtype)
                around = np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
                want = convolved(around, filters, stride)
                room = np.full(want.size + 40, 99, dtype)
                bound(I=image, out=room[20:-20].reshape(want.shape))
                np.testing.assert_array_equal(room[20:-20].reshape(want.shape), want)
                assert (room[:20] == 99).all()
                assert (room[-20:] == 99).all()


@pytest.mark.parametrize("width", [32, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "text",
    [
        "O[n,m,p,q] = relu(sum[c,r,s](I[n,c,p+r,q+s] * F[m,c,r,s]) + B[m])",
        "O[n,m,p,q] = relu(I[n,c,p+r,q+s] * F[m,c,r,s])",
        "O[n,m,p,q] = B[m] + sum[c,r,s](I[n,c,p+r,q+s] * F[m,c,r,s])",
        "O[n,m,p,q] = abs(sum[c,r,s](I[n,c,p+r,q+s] * F[m,c,r,s]) + B[m])",
    ],
)
def test_what_follows_the_sums_is_that_of_each_element(text, dtype, width):
    rng = np.random.default_rng(width)
    layer = zs.layer(text, pad=1)
    filters = drawn(rng, (8, 3, 3, 3), dtype) * (rng.random((8, 3, 3, 3)) < 0.5).astype(dtype)
    image = drawn(rng, (1, 3, 6, 11), dtype)
    bias = drawn(rng, 8, dtype)
    bias[1], bias[3] = np.nan, np.inf
    given = {"I": image, **({"B": bias} if "B[" in text else {})}
    stored = zs.tensor(filters, "m:U c*r*s:C")
    want = layer(F=stored, **given, backend="numpy")
    with settings.using(vector_bytes=width):
        bound = layer.bind(F=stored, schedule=zs.Schedule(kind="tiled"))
        np.testing.assert_array_equal(bound(**given), want)


def test_a_negative_zero_stays_one_behind_relu():
    layer = zs.layer("O[m,n] = relu(sum[k](W[m,k] * X[k,n]) + B[m])")
    weights = np.diag(np.ones(8, "f4"))
    ones = np.full((8, 19), -0.0, "f4")
    with settings.using(vector_bytes=64):
        schedule = zs.Schedule(kind="tiled")
        bound = layer.bind(W=zs.tensor(weights, "CSR"), schedule=schedule)
        found = bound(X=ones, B=np.full(8, -0.0, "f4"))
    plain = layer(W=weights, X=ones, B=np.full(8, -0.0, "f4"))
    np.testing.assert_array_equal(np.signbit(found), np.signbit(plain))

"""Sums that lie by rows of lanes are stored by lines of the result in squares, to the element."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.native import settings

CONV = "sum[c,r,s](I[n,c,U*p+r,U*q+s] * F[m,c,r,s])"
TEXTS = {
    f"O[n,m,p,q] = {CONV}": lambda sums, bias: sums,
    f"O[n,m,p,q] = relu({CONV} + B[m])": lambda sums, bias: np.maximum(sums + bias, 0),
}


def convolved(image, filters, stride, pad):
    around = np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    rows = np.lib.stride_tricks.sliding_window_view(around, filters.shape[2:], axis=(2, 3))
    return np.einsum("ncpqrs,mcrs->nmpq", rows[:, :, ::stride, ::stride], filters)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("width", [32, 64])
def test_lines_of_every_length_and_lanes_of_every_number(text, dtype, width):
    """Whole squares, parts of one in either direction; nothing beside the result is written."""
    rng = np.random.default_rng(width)
    layer = zs.layer(text, consts={"U": 1}, pad=1)
    for wide, lanes in ((5, 9), (16, 16), (33, 40)):
        filters = rng.integers(-4, 5, (lanes, 3, 3, 3)).astype(dtype)
        image = rng.integers(-4, 5, (2, 3, 4, wide)) * (rng.random((2, 3, 4, wide)) < 0.5)
        image = image.astype(dtype)
        bias = rng.integers(-9, 9, lanes).astype(dtype)
        want = TEXTS[text](convolved(image, filters, 1, 1), bias[:, None, None])
        operands = {"F": filters} | ({"B": bias} if "B[" in text else {})
        with settings.using(vector_bytes=width):
            bound = layer.bind(**operands, schedule=zs.Schedule(kind="lanes"))
            room = np.full(want.size + 40, 99, dtype)
            image = zs.tensor(image, "0:U 2:U 3:U 1:C")
            bound(I=image, out=room[20:-20].reshape(want.shape))
        np.testing.assert_array_equal(room[20:-20].reshape(want.shape), want)
        assert (room[:20] == 99).all()
        assert (room[-20:] == 99).all()


def test_what_is_no_part_of_a_square_goes_element_by_element():
    """A bias that lies across the lines of the result is read by its own places."""
    rng = np.random.default_rng(3)
    text = "O[n,m,p,q] = sum[c](I[n,c,p,q] * F[m,c]) + B[q,m]"
    image, filters = (
        rng.random((1, 5, 4, 18)) * (rng.random((1, 5, 4, 18)) < 0.4),
        rng.random((20, 5)),
    )
    bias = rng.random((18, 20))
    want = np.einsum("ncpq,mc->nmpq", image, filters) + bias.T[None, :, None, :]
    bound = zs.layer(text).bind(F=filters, B=bias, schedule=zs.Schedule(kind="lanes"))
    np.testing.assert_allclose(bound(I=zs.tensor(image, "0:U 2:U 3:U 1:C")), want, rtol=1e-12)

"""Reductions of tensors, against NumPy's on dense copies."""

import numpy as np
import pytest

import zeroskip as zs

RNG = np.random.default_rng(22)
NAMES = ["sum", "prod", "max", "min", "mean", "any", "all"]
DTYPES = ["f8", "f4", "i1", "?"]


def draw(shape, dtype="f8", format="CSR"):
    x = (RNG.integers(-3, 4, shape) * (RNG.random(shape) < 0.6)).astype(dtype)
    return x, zs.tensor(x, format)


def agree(result, expected):
    assert type(result) is type(expected)
    assert (result.dtype, result.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(result, expected, rtol=1e-6)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", NAMES)
def test_reductions(name, dtype):
    x, t = draw((3, 2, 4), dtype)
    for axis in (None, 1, -1, (0, 2)):
        for keepdims in (False, True):
            expected = getattr(x, name)(axis=axis, keepdims=keepdims)
            agree(getattr(t, name)(axis=axis, keepdims=keepdims), expected)
    agree(getattr(np, name)(t, axis=0), getattr(np, name)(x, axis=0))


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_the_mean_of_halves_is_one_where_their_sum_is_not(axis):
    x = np.full((3, 40_000), 3, np.float16)
    agree(zs.tensor(x, "CSR").mean(axis=axis), x.mean(axis=axis))
    assert zs.tensor(x, "CSR").mean(dtype="float16") == 3


@pytest.mark.parametrize("name", ["argmax", "argmin"])
def test_places(name):
    x, t = draw((4, 5), "f8", "COO")
    for axis in (None, 0, -1):
        for keepdims in (False, True):
            expected = getattr(x, name)(axis=axis, keepdims=keepdims)
            agree(getattr(t, name)(axis=axis, keepdims=keepdims), expected)


def test_nan_is_the_extreme_and_its_place():
    x = np.array([[0.0, 1.0], [np.nan, 2.0], [0.0, 0.0]])
    t = zs.tensor(x, "CSR")
    agree(t.max(axis=1), x.max(axis=1))
    agree(t.min(axis=0), x.min(axis=0))
    agree(t.argmax(axis=0), x.argmax(axis=0))


def test_what_is_not_stored_takes_part():
    x = np.array([[0.0, -1.0], [-2.0, -3.0]])
    for shift in (0.0, 1.0):
        t = zs.tensor(x, "CSR") + shift
        for name in NAMES:
            agree(getattr(t, name)(axis=1), getattr(x + shift, name)(axis=1))


def test_a_format_keeps_the_result_sparse():
    x, t = draw((4, 5))
    result = t.sum(axis=0, format="C")
    assert isinstance(result, zs.Tensor)
    np.testing.assert_array_equal(result.toarray(), x.sum(axis=0))
    assert t.max(axis=0, keepdims=True, format="C").shape == (1, 5)


def test_ufunc_reduce_and_out():
    x, t = draw((4, 5))
    agree(np.add.reduce(t), np.add.reduce(x))
    agree(np.maximum.reduce(t, axis=1), np.maximum.reduce(x, axis=1))
    out = np.empty(5)
    assert t.sum(axis=0, out=out) is out
    np.testing.assert_array_equal(out, x.sum(axis=0))
    agree(t.sum(dtype="f4"), x.sum(dtype="f4"))
    with pytest.raises(zs.TensorError, match=r"expected a float64 array of shape \(4,\), found"):
        t.sum(axis=1, out=np.empty(5))


def test_refusals():
    _, t = draw((3, 4))
    with pytest.raises(IndexError, match="axis 2 of a tensor of 2 axes"):
        t.sum(axis=2)
    with pytest.raises(zs.TensorError, match=r"axis \(0, 0\) names an axis twice"):
        t.sum(axis=(0, 0))
    with pytest.raises(zs.TensorError, match="an axis is an integer, found 'x'"):
        t.sum(axis="x")
    with pytest.raises(zs.TensorError, match=r"an axis is an integer, found array\(\[0, 1\]\)"):
        t.sum(axis=np.array([0, 1]))
    with pytest.raises(zs.TensorError, match=r"argmax runs along one axis, found \(0, 1\)"):
        t.argmax(axis=(0, 1))
    empty = zs.tensor(np.zeros((0, 3)), "CSR")
    assert empty.sum(axis=0).tolist() == [0, 0, 0]
    with pytest.raises(zs.TensorError, match=r"max over axes \(0,\) of shape \(0, 3\) is of no"):
        empty.max(axis=0)

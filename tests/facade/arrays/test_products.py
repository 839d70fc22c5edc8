"""``@``, against NumPy's."""

import numpy as np
import pytest

import zeroskip as zs

RNG = np.random.default_rng(21)


def draw(shape, dtype="f8", format="CSR"):
    x = (RNG.integers(-3, 4, shape) * (RNG.random(shape) < 0.5)).astype(dtype)
    return x, zs.tensor(x, format)


def agree(result, expected):
    found = result.toarray() if isinstance(result, zs.Tensor) else result
    assert found.dtype == expected.dtype
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_array_equal(found, expected)


SHAPES = [
    ((3, 4), (4, 5)),
    ((4,), (4,)),
    ((4,), (4, 5)),
    ((3, 4), (4,)),
    ((2, 1, 3, 4), (5, 4, 2)),
    ((0, 4), (4, 2)),
    ((2, 0), (0, 3)),
]


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_products(shapes):
    x, t = draw(shapes[0])
    y, u = draw(shapes[1], format="bitmask")
    agree(t @ u, x @ y)
    agree(t @ y, x @ y)
    agree(x @ u, x @ y)


def test_of_two_tensors_is_a_tensor_and_of_one_an_array():
    x, t = draw((3, 4))
    assert (t @ t.T).format.label == "CSR"
    assert type(t @ x.T) is np.ndarray


@pytest.mark.parametrize("dtypes", [("i1", "i1"), ("?", "?"), ("f4", "i4")], ids=str)
def test_types(dtypes):
    x, t = draw((3, 40), dtypes[0])
    y, u = draw((40, 3), dtypes[1])
    agree(t @ u, x @ y)


def test_refusals():
    _, t = draw((3, 4))
    with pytest.raises(zs.TensorError, match="4 columns on the left, 3 rows on the right"):
        t @ t
    with pytest.raises(zs.TensorError, match="operand on the right of @ has no axes"):
        t @ 2

"""NumPy's functions that are no ufuncs, on tensors."""

import numpy as np
import pytest

import zeroskip as zs

RNG = np.random.default_rng(23)


def draw(shape, format="CSR"):
    x = RNG.integers(-3, 4, shape) * (RNG.random(shape) < 0.5)
    return x.astype("f8"), zs.tensor(x.astype("f8"), format)


@pytest.mark.parametrize("axis", [0, 1, -1, None])
@pytest.mark.parametrize("format", ["CSR", "COO", "bitmask", "2:2", "BSR(2,2)"])
def test_concatenate(format, axis):
    x, t = draw((3, 4), format)
    for y, u in (draw((3, 4), "COO"), (x, x)):
        made = np.concatenate([t, u, t], axis=axis)
        assert isinstance(made, zs.Tensor)
        assert np.array_equal(made.validate().toarray(), np.concatenate([x, y, x], axis=axis))


def test_stack_types_and_fills():
    x, t = draw((3, 4))
    y, u = draw((3, 4))
    for axis in (0, 1, -1):
        assert np.array_equal(np.stack([t, u], axis=axis).toarray(), np.stack([x, y], axis=axis))
    assert np.concatenate([t.astype("f4"), t.astype("i4")]).dtype == np.float64
    assert np.concatenate([t + 1, x + 1]).fill == 1
    with pytest.raises(zs.TensorError, match=r"fills 1\.0 and 0\.0 have no fill together"):
        np.concatenate([t + 1, t])
    with pytest.raises(zs.TensorError, match=r"shapes \(3, 4\), \(4, 3\) differ in more than axis"):
        np.concatenate([t, t.T])
    with pytest.raises(IndexError, match="axis 2 of tensors of 2 axes"):
        np.concatenate([t, t], axis=2)


def test_dot_and_einsum():
    x, t = draw((3, 4))
    assert np.array_equal(np.dot(t, t.T).toarray(), x @ x.T)
    assert np.array_equal(np.dot(t, 2.0).toarray(), x * 2)
    assert np.array_equal(np.einsum("ij,kj->ik", t, x), x @ x.T)
    with pytest.raises(zs.TensorError, match=r"np\.dot with a tensor of 3 axes"):
        np.dot(t, np.ones((2, 4, 3)))


def test_shapes_and_equality():
    x, t = draw((3, 1, 4))
    assert (np.ndim(t), np.shape(t), np.size(t)) == (3, (3, 1, 4), 12)
    assert np.squeeze(t).shape == t.squeeze(1).shape == (3, 4)
    assert np.array_equal(t, x)
    assert np.allclose(t, x)
    with pytest.raises(zs.TensorError, match="axis 0 has extent 3; only one of 1 can go"):
        t.squeeze(0)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (np.sort, "np.sort"),
        (np.cumsum, "np.cumsum"),
        (np.linalg.inv, "np.linalg.inv"),
        (lambda t: np.where(t, 1, 0), "np.where"),
    ],
)
def test_what_would_be_densified_is_refused_by_name(call, name):
    with pytest.raises(zs.TensorError, match=f"{name} of a tensor would have to be computed"):
        call(draw((3, 3))[1])


def test_numpy_would_save_the_zeros(tmp_path):
    with pytest.raises(zs.TensorError, match=r"use zeroskip\.save"):
        np.save(tmp_path / "x.npy", draw((3, 3))[1])

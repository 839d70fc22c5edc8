"""Axes in another order, other extents, against NumPy's."""

import numpy as np
import pytest

from zeroskip.errors import IndexingError, TensorError
from zeroskip.formats.convert import from_coords, tensor

BLOCKS = "m/2:U k/2:C m%2:U n:U k%2:U"
FORMATS = ["CSR", "COO", "CSC", "bitmask", "RLE(2)", "dense", "2:2"]


def draw(shape, format):
    x = np.random.default_rng(31).integers(0, 2, shape) * np.arange(np.prod(shape)).reshape(shape)
    return x, tensor(x, format)


@pytest.mark.parametrize("format", [*FORMATS, BLOCKS])
def test_transposes_move_nothing(format):
    x, t = draw((2, 3, 4), format)
    for order in ((0, 2, 1), (2, 0, 1), (1, 2, 0), (-1, 1, 0)):
        moved = t.transpose(order).validate()
        assert np.array_equal(moved.toarray(), x.transpose(order))
        assert moved.values is t.values
        assert np.array_equal(t.transpose(*order).toarray(), moved.toarray())
    assert np.array_equal(np.transpose(t).toarray(), x.T)
    assert np.array_equal(t.T.T.toarray(), x)


def test_the_transpose_of_csr_is_csc():
    assert tensor(np.eye(3, 4), "CSR").T.format.label == "CSC"


@pytest.mark.parametrize("format", [*FORMATS, "BSR(2,3)"])
def test_reshapes(format):
    x, t = draw((4, 6), format)
    for shape in ((24,), (-1,), (2, 2, 6), (6, -1), (1, 24, 1)):
        assert np.array_equal(t.reshape(shape).validate().toarray(), x.reshape(shape))
    assert np.array_equal(t.ravel().toarray(), x.ravel())
    assert np.array_equal(np.reshape(t, (3, 8)).toarray(), x.reshape(3, 8))
    assert t.reshape(4, 6) is t


def test_formats_by_name_stay():
    t = tensor(np.eye(4), "CSR")
    assert t.reshape(2, 2, 4).format.label == "CSR"
    assert t.reshape(2, 8).format.label == "CSR"


def test_a_fill_stays():
    t = tensor([[np.inf, 1.0]], "CSR", fill=np.inf)
    assert t.T.fill == t.reshape(-1).fill == np.inf


def test_refusals():
    t = tensor(np.eye(3), "CSR")
    with pytest.raises(TensorError, match=r"shape \(3, 3\) has no shape \(2, 4\)"):
        t.reshape(2, 4)
    with pytest.raises(TensorError, match=r"has no shape \(-1, 4\)"):
        t.reshape(-1, 4)
    for shape in (9.0, "ab", None, [[3, 3]]):
        with pytest.raises(TensorError, match="expected a shape such as"):
            t.reshape(shape)
    with pytest.raises(TensorError, match=r"axes \(0, 0\) are no order of 2 axes"):
        t.transpose(0, 0)
    with pytest.raises(IndexingError, match="2 is no axis of a tensor of 2 axes"):
        t.transpose(0, 2)
    with pytest.raises(TensorError, match="in order 'C' alone"):
        np.reshape(t, -1, order="F")
    far = from_coords([[0]] * 3, [1.0], (2**30,) * 3, "COO")
    with pytest.raises(TensorError, match="elements are more than"):
        far.reshape(2**60, -1)

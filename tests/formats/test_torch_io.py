"""PyTorch's layouts, in and out.  Skipped where PyTorch is not installed."""

import sys
import warnings

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import TensorError
from zeroskip.formats import torch_io
from zeroskip.formats.convert import tensor

RNG = np.random.default_rng(50)
X = (RNG.integers(-3, 4, (4, 6)) * (RNG.random((4, 6)) < 0.5)).astype("f4")


@pytest.fixture
def torch():
    found = pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its layouts are in beta state
        yield found


def test_without_torch_there_is_a_way_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(TensorError, match=r"not installed; take .to_scipy\(\) or .toarray\(\)"):
        tensor(X, "CSR").to_torch()


def test_dense_values_at_coordinates_are_spread():
    coords, values = torch_io._spread([np.array([1, 0])], np.arange(6.0).reshape(2, 3), None)
    assert [crd.tolist() for crd in coords] == [[1, 1, 1, 0, 0, 0], [0, 1, 2, 0, 1, 2]]
    blocks = np.arange(8.0).reshape(2, 2, 2)
    coords, values = torch_io._spread([np.array([0, 1]), np.array([1, 0])], blocks, 0)
    dense = np.zeros((4, 4))
    dense[tuple(coords)] = values
    assert dense.tolist() == [[0, 0, 0, 1], [0, 0, 2, 3], [4, 5, 0, 0], [6, 7, 0, 0]]


def test_layouts_in(torch):
    t = torch.from_numpy(X)
    batch = torch.from_numpy(np.stack([X, X, X]))
    for given in (
        t.to_sparse(),
        t.to_sparse(1),
        t.to_sparse_csr(),
        t.to_sparse_csc(),
        t.to_sparse_bsr((2, 3)),
        t.to_sparse_bsc((2, 3)),
        batch.to_sparse_csr(),
        batch.to_sparse_bsr((2, 2)),
        torch.from_numpy(RNG.random((4, 6, 2))).to_sparse_csr(dense_dim=1),
    ):
        assert np.array_equal(tensor(given).toarray(), given.to_dense().numpy())


def test_dense_ones_in(torch):
    t = torch.from_numpy(X)
    for given in (t.T, t[::2, 1:], t.half(), t.bfloat16(), t.to(torch.int16), torch.tensor(3.5)):
        assert np.array_equal(tensor(given).toarray().astype("f8"), given.double().numpy())


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16", "int8", "bool"])
@pytest.mark.parametrize(
    ("format", "layout"),
    [
        ("CSR", "sparse_csr"),
        ("CSC", "sparse_csc"),
        ("BSR(2,3)", "sparse_bsr"),
        ("BSR(3,4)", "sparse_coo"),
        ("COO", "sparse_coo"),
        ("bitmask", "sparse_coo"),
        ("1:C 0:C", "sparse_coo"),
        ("dense", "strided"),
    ],
)
def test_layouts_out(torch, format, layout, dtype):
    held = tensor(X, format).astype(dtype)
    made = held.to_torch()
    assert made.layout == getattr(torch, layout)
    assert made.dtype == getattr(torch, dtype)
    assert np.array_equal(made.to_dense().float().numpy(), held.toarray().astype("f4"))


def test_arithmetic_with_torch(torch):
    t, held = torch.from_numpy(X), tensor(X, "CSR")
    for made, expected in (
        (held + t, X + X),
        (t - held, X - X),
        (held @ t.T, X @ X.T),
        (t.T @ held, X.T @ X),
    ):
        assert isinstance(made, torch.Tensor)
        np.testing.assert_allclose(made.numpy(), expected)
    for made in (held * t, t * held, held + t.to_sparse()):
        assert isinstance(made, zs.Tensor)


def test_what_is_refused(torch):
    held = tensor(X, "CSR")
    weight = torch.nn.Parameter(torch.from_numpy(X))
    for call in (lambda: held * weight, lambda: weight * held, lambda: held @ weight.T):
        with pytest.raises(TensorError, match="requires a gradient, which would be lost"):
            call()
    with torch.no_grad():
        assert isinstance(held * weight, zs.Tensor)
    with pytest.raises(TensorError, match="found complex64"):
        tensor(torch.zeros(2, dtype=torch.complex64))
    with pytest.raises(TensorError, match="a nested torch tensor is no array"):
        tensor(torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]))
    with pytest.raises(TensorError, match=r"the tensor's fill is 1\.0, and what torch does not"):
        (held + 1).to_torch()

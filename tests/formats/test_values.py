import builtins
import pickle

import numpy as np
import pytest

from zeroskip.errors import TensorError
from zeroskip.formats.convert import from_coords, tensor
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.torch_io import to_torch
from zeroskip.formats.values import HALVES, cast, dtype_of, is_float

NARROW = [*HALVES, "uint8", "uint16", "uint32"]


@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("fmt", ["CSR", "bitmask", "RLE(2)", "COO", "dense", "0:C 1:H(3:3)"])
def test_bits_and_pickles_keep_every_value(dtype, fmt):
    array = np.array([[0, 1, 0, 250], [0, 0, 3, 0]]).astype(dtype_of(dtype))
    held = tensor(array, fmt)
    packed = held.pack()
    assert packed.n_bits == held.storage().total_bits
    for made in (packed.unpack(), pickle.loads(pickle.dumps(held))):
        assert made.dtype == array.dtype
        assert np.array_equal(made.toarray(), array)


@pytest.mark.parametrize("dtype", HALVES)
def test_halves_at_the_ends_of_the_line_survive_every_width(dtype):
    values = np.array([np.inf, -np.inf, np.nan, 2.0**-24, -1.5]).astype(dtype_of(dtype))
    held = tensor(values, "C")
    for width in (16, 32, 64):
        made = held.pack(width).unpack().values
        assert np.array_equal(made.astype(np.float64), values.astype(np.float64), equal_nan=True)


def test_an_unsigned_value_that_does_not_fit_is_refused():
    held = tensor(np.array([0, 200], np.uint8), "C")
    with pytest.raises(TensorError, match=r"value 200 .* does not fit value_bits=7 \(0 \.\. 127\)"):
        held.pack(7)
    assert held.pack(9).unpack().toarray().tolist() == [0, 200]
    with pytest.raises(TensorError, match=r"-1 at position 1 has no value in uint8 \(0 \.\. 255\)"):
        cast(np.array([3, -1]), np.dtype(np.uint8))


@pytest.mark.parametrize("dtype", HALVES)
def test_integers_too_large_for_a_half_are_refused_the_way_back(dtype):
    held = tensor(np.array([300.0, 0]), "C", dtype=dtype)
    assert held.dtype.name == dtype
    assert held.astype("int16").values.tolist() == [300]
    with pytest.raises(TensorError, match=r"300.* at position 0 has no value in int8"):
        held.astype("int8")


@pytest.mark.parametrize("dtype", HALVES)
def test_values_at_one_coordinate_are_added_in_float32(dtype):
    """2048 ones: a float16 that grows by one stops at 2048, a bfloat16 at 256."""
    ones = np.ones(4001).astype(dtype_of(dtype))
    made = from_coords([np.zeros(4001, int)], ones, (3,), "C")
    assert made.values.tolist() == [np.float64(4001).astype(made.dtype)]
    assert Tensor.from_coords([], ones, (), "dense").values == np.float64(4001).astype(made.dtype)


@pytest.mark.parametrize("dtype", HALVES)
def test_scipy_lacks_halves_and_is_given_float32(dtype):
    array = np.array([[0, 1.5], [2, 0]]).astype(dtype_of(dtype))
    for fmt in ("CSR", "CSC", "COO"):
        made = tensor(array, fmt).to_scipy()
        assert made.dtype == np.float32
        assert made.toarray().tolist() == [[0, 1.5], [2, 0]]


def test_bfloat16_is_a_float_of_16_bits():
    assert is_float(dtype_of("bfloat16"))
    assert not is_float(np.dtype("V2"))
    assert tensor([0, 1.5], "C", dtype="bfloat16").storage().value_bits == 16
    assert tensor([0, 1.5], "C", dtype="bfloat16", fill=1.5).values.tolist() == [0]


def test_without_ml_dtypes_bfloat16_says_how_to_get_it(monkeypatch):
    given = builtins.__import__

    def missing(name, *args, **named):
        if name == "ml_dtypes":
            raise ImportError(name)
        return given(name, *args, **named)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(TensorError) as caught:
        tensor([1.0], "C", dtype="bfloat16")
    assert str(caught.value) == (
        "bfloat16 values need the package ml_dtypes, which is not installed\n"
        "pip install zeroskip[bfloat16], or convert to float32 first."
    )


def test_torch_and_back():
    torch = pytest.importorskip("torch")
    values = torch.tensor([[0, 1.5], [-2, float("inf")]], dtype=torch.bfloat16)
    held = tensor(values, "CSR")
    assert held.dtype.name == "bfloat16"
    assert tensor(values.to_sparse(), "CSR").toarray().tolist() == held.toarray().tolist()
    assert tensor(values.to_sparse_csr(), "CSR").toarray().tolist() == held.toarray().tolist()
    assert torch.equal(to_torch(held.toarray()), values)

"""Tensors whose fill is not 0: what is stored, and what all else is worth."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zeroskip import einsum
from zeroskip.errors import TensorError
from zeroskip.formats.convert import from_coords, tensor
from zeroskip.formats.tensor import Tensor

INF = np.inf
WEIGHTS = np.array([[0, INF, 6, INF], [INF] * 4, [INF, 7, INF, 8]], np.float32)
FORMATS = ["dense", "CSR", "CSC", "bitmask", "RLE(1)", "COO", "CSF", "C U", "1:R(1) 0:U", "0*1:B"]


def refusal(make):
    with pytest.raises(TensorError) as caught:
        make()
    return str(caught.value)


def same(a, b):
    return np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


@pytest.mark.parametrize("fmt", FORMATS)
def test_what_differs_from_the_fill_is_stored_and_the_zero_too(fmt):
    made = tensor(WEIGHTS, fmt, fill=INF).validate()
    assert made.fill == INF
    assert made.fill.dtype == np.float32
    assert made.nnz == 4
    assert same(made.toarray(), WEIGHTS)
    coords, values = made.coords()
    if fmt != "dense":
        assert len(values) == 4
        assert same(WEIGHTS[coords], values)


@given(
    array=hnp.arrays(
        np.float64,
        hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
        elements=st.sampled_from([0.0, -0.0, 1.0, -2.5, INF, np.nan]),
    ),
    fill=st.sampled_from([0.0, -0.0, 1.0, INF, -INF, np.nan]),
    data=st.data(),
)
def test_any_format_to_any_format_keeps_the_array_and_the_fill(array, fill, data):
    names = ["dense", "CSR", "CSC", "bitmask", "RLE(1)", "COO", "CSF", "auto"]
    one, other = (data.draw(st.sampled_from(names)) for _ in "ab")
    made = tensor(array, one, fill=fill).validate()
    moved = tensor(made, other).validate()
    assert same(made.toarray(), array)
    assert same(moved.toarray(), array)
    assert same(moved.fill, np.float64(fill))
    expected = ~np.isnan(array) if np.isnan(fill) else array != fill
    assert made.nnz == moved.nnz == np.count_nonzero(expected)
    packed = made.pack()
    assert packed.n_bits == made.storage().total_bits
    assert same(packed.unpack().toarray(), array)
    assert same(pickle.loads(pickle.dumps(made)).toarray(), array)
    assert same(tensor(made, fill=7).toarray(), array)


def test_levels_that_hold_every_place_hold_the_fill():
    made = tensor(np.array([[INF] * 3, [INF, 2, INF]]), "C U", fill=INF)
    assert made.values.tolist() == [INF, 2, INF]
    runs = tensor(np.array([INF] * 4 + [3]), "R(1)", fill=INF)
    assert runs.values.tolist() == [INF, INF, 3]


def test_the_fill_is_zero_unless_said_and_has_the_type_of_the_values():
    assert tensor(WEIGHTS, "CSR").fill == 0
    assert tensor(np.eye(2, dtype=np.int8)).fill.dtype == np.int8
    made = tensor([True, False], "C", fill=True)
    assert made.fill.dtype == np.bool_
    assert made.nnz == 1
    assert tensor(np.float32(2), fill=1).toarray() == 2
    assert from_coords([], [], (), "dense", fill=5).toarray() == 5
    assert not np.signbit(tensor(WEIGHTS, "CSR", fill=-0.0).fill)


def test_a_fill_that_the_type_cannot_hold_is_refused():
    assert refusal(lambda: tensor([1, 2], fill=INF)) == (
        "the fill inf has no value in int64\nGive the tensor a type that holds it: dtype='float32'."
    )
    assert "the fill 300 has no value in int8" in refusal(
        lambda: tensor(np.zeros(2, np.int8), "C", fill=300)
    )
    assert "the fill 0.5 has no value in bool" in refusal(lambda: tensor([True], fill=0.5))
    assert "the fill 1e+300 has no value in float32" in refusal(
        lambda: tensor(np.zeros(2, np.float32), fill=1e300)
    )
    assert "a fill is one number, such as 0 or inf; found [1, 2]" in refusal(
        lambda: tensor([1, 2], fill=[1, 2])
    )
    assert "a fill is one number" in refusal(lambda: tensor([1, 2], fill="inf"))
    assert tensor(np.zeros(1, np.float32), fill=0.1).fill == np.float32(0.1)


def test_coordinates_with_a_fill_are_given_once():
    made = from_coords([[0, 2], [1, 1]], [1.5, 0.0], (3, 2), "CSR", fill=INF)
    assert made.toarray().tolist() == [[INF, 1.5], [INF, INF], [INF, 0]]
    assert refusal(
        lambda: from_coords([[2, 0, 2], [1, 1, 1]], [1, 2, 3], (3, 2), "COO", fill=9)
    ) == (
        "coordinate (2, 1) is given twice, "
        "and with fill 9 values of equal coordinates have no sum\n"
        "Give each coordinate once."
    )
    assert "coordinate () is given twice" in refusal(
        lambda: from_coords([], [1, 2], (), "dense", fill=9)
    )


def test_what_scipy_leaves_out_takes_the_fill_and_no_fill_goes_back():
    graph = sp.csr_array(np.array([[0, 2.0], [0, 0]]))
    made = tensor(graph, "COO", fill=INF)
    assert made.toarray().tolist() == [[INF, 2], [INF, INF]]
    assert refusal(made.to_scipy) == (
        "the tensor's fill is inf, and what SciPy does not store is 0\n"
        "Take .coords(), or .toarray()."
    )


def test_another_fill_of_a_tensor_keeps_its_values():
    made = tensor(WEIGHTS, "CSR", fill=INF)
    assert tensor(made, fill=INF) is made
    zero = tensor(made, fill=0)
    assert zero.fill == 0
    assert zero.format.label == "CSR"
    assert zero.nnz == 11
    assert same(zero.toarray(), WEIGHTS)
    assert copy.deepcopy(made) is made


def test_another_type_takes_the_fill_along():
    made = tensor(WEIGHTS, "CSR", fill=INF)
    assert made.astype(np.float64).fill.dtype == np.float64
    assert same(made.astype(bool).toarray(), WEIGHTS.astype(bool))
    assert "the fill of the tensor: inf at position 0 has no value in int8" in refusal(
        lambda: made.astype(np.int8)
    )


def test_parts_and_the_text_of_a_tensor():
    made = Tensor.from_parts((3,), "C", [{"pos": [0, 1], "crd": [1]}], [4.0], fill=np.nan)
    assert (
        repr(made) == "<Tensor 3 float64, format 'C', 1 other (density 0.333), 1 stored, fill nan>"
    )
    assert "fill" not in repr(tensor(WEIGHTS, "CSR"))


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
def test_a_kernel_reads_the_fill_and_not_a_zero(backend):
    made = tensor(WEIGHTS, "CSR", fill=INF)
    total = einsum("y[i] = min[j](A[i,j] + x[j])", A=made, x=np.ones(4, np.float32))
    assert same(total, (WEIGHTS + 1).min(axis=1))
    ones = tensor(np.where(WEIGHTS == 6, 6, 1).astype(np.float32), "CSR", fill=1)
    assert same(einsum("y[i] = A[i,j]", A=ones), ones.toarray().sum(axis=1))

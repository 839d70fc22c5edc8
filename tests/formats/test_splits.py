"""Split axes: blocks and places in blocks, with tails; spellings of BSR and its relatives."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from generator import random_array, random_format
from hypothesis import given
from hypothesis import strategies as st

from zeroskip import einsum
from zeroskip.errors import FormatError, TensorError
from zeroskip.formats.convert import tensor
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor

SPELLINGS = [
    "m/2:U k/3:C m%2:U k%3:U",  # BSR
    "m:U k/4:U k%4:B",  # blocked bitmask
    "k/3:U m:U k%3:C",  # blocks of columns
    "m/2*k/2:C m%2*k%2:U",  # flattened parts
    "k%2:C m:R(1) k/2:C",
    "m:C k/5*k%5:C",
    "k/4:U k%4:H(4:4) m:C",
    "m/2:C k/2:S m%2:C k%2:S",
]


@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 6), max_size=4),
    st.sampled_from([0, 0, 1.5]),
)
def test_any_format_to_any_format_and_its_price(seed, shape, fill):
    rng = np.random.default_rng(seed)
    array = random_array(rng, tuple(shape), "float32", 0.4)
    one, other = (random_format(rng, len(shape), splits=True) for _ in "ab")
    made = tensor(array, one, fill=fill).validate()
    moved = made.asformat(other).validate()
    for held in (made, moved):
        assert np.array_equal(held.toarray(), array)
        assert held.nnz == np.count_nonzero(array != fill)
        packed = held.pack()
        assert packed.n_bits == held.storage().total_bits
        assert np.array_equal(packed.unpack().validate().toarray(), array)
        assert np.array_equal(pickle.loads(pickle.dumps(held)).toarray(), array)
        assert Format(str(held.format)).bind(len(shape)) == held.format
    coords, values = moved.coords()
    assert np.array_equal(np.atleast_1d(array[coords]), values)
    assert all(((crd >= 0) & (crd < n)).all() for crd, n in zip(coords, shape, strict=True))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_blocks_are_those_of_the_padded_array(spelling):
    array = random_array(np.random.default_rng(5), (5, 7), "int32", 0.3)
    made = tensor(array, spelling).validate()
    assert np.array_equal(made.toarray(), array)
    assert made.pack().n_bits == made.storage().total_bits


def test_bsr_is_that_of_scipy():
    array = random_array(np.random.default_rng(3), (6, 8), "float64", 0.2)
    made = tensor(array, "BSR(2,4)")
    peer = sp.bsr_array(array, blocksize=(2, 4))
    assert made.format.label == "BSR(2,4)"
    assert made.levels[1].arrays["pos"].tolist() == peer.indptr.tolist()
    assert made.levels[1].arrays["crd"].tolist() == peer.indices.tolist()
    assert np.array_equal(made.values.reshape(-1, 2, 4), peer.data)
    back = made.to_scipy()
    assert back.format == "bsr"
    assert back.blocksize == (2, 4)
    assert np.array_equal(back.toarray(), array)
    again = tensor(peer, "BSR(2,4)")
    assert np.array_equal(again.values, made.values)
    assert np.array_equal(tensor(peer, "COO").toarray(), array)
    assert tensor(array, "BSR(4,4)").to_scipy().format == "coo"  # 4 does not divide 6
    assert tensor(np.zeros((0, 4)), "BSR(2,4)").to_scipy().shape == (0, 4)


def test_a_block_matrix_of_scipy_may_be_unsorted_and_repeat_blocks():
    data = np.arange(1, 13).reshape(3, 2, 2)
    peer = sp.bsr_matrix((data, [1, 0, 1], [0, 3, 3]), shape=(4, 4))
    assert np.array_equal(tensor(peer, "BSR(2,2)").toarray(), peer.toarray())
    peer.indptr[1] = 7
    with pytest.raises(TensorError, match="SciPy bsr: indptr"):
        tensor(peer)
    peer.indptr[1], peer.indices[0] = 3, 9
    with pytest.raises(TensorError, match="is 18; expected 0 "):
        tensor(peer)


def test_the_price_of_a_tail_is_its_whole_block():
    made = tensor(np.ones((3, 3), np.int8), "BSR(2,2)")
    assert made.stored == 16
    price = made.storage()
    assert price.data_bits == 16 * 8
    assert price.dense_bits == 9 * 8
    # 3 pointers of 3 bits (0 .. 4), 4 coordinates of 1 bit
    assert price.metadata_bits == 3 * 3 + 4
    assert made.nnz == 9
    assert made.density == 1


def test_the_notation():
    text = "m/2:U k/2:C m%2:U k%2:U"
    assert str(Format(text)) == text
    assert Format(text).bind(2) == Format("BSR(2,2)").bind(2) == Format("bsr(2,2)").bind(2)
    assert str(Format("[m,k] k/4:U m:C k%4:U")) == "[m,k] k/4:U m:C k%4:U"
    assert str(Format("[m,k] k/4:U m:C k%4:U").bind(2)) == "1/4:U 0:C 1%4:U"
    assert Format("m/2*k/2:C m%2*k%2:U").bind(2).label == "0/2*1/2:C 0%2*1%2:U"
    for spec, ndim, message in (
        ("BSR", 2, "expected '(' in BSR(rows,columns), found the end"),
        ("BSR(2)", 2, "expected ',' in BSR(rows,columns), found ')'"),
        ("BSR(2,0)", 2, "expected the size of a block, found '0'"),
        ("BSR(2,2)", 3, "BSR(2,2) stores the blocks of a matrix; the tensor has 3 axes"),
        ("m/2:U m%2:U", 2, "stores 1 axis, the tensor has 2 axes"),
    ):
        with pytest.raises(FormatError) as caught:
            Format(spec).bind(ndim)
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("BSR(-1,2)", "'-' is no part of a format"),
        ("BSR(a,2)", "expected the size of a block, found 'a'"),
        ("m/2.5:U m%2.5:U k:C", "'.' is no part of a format"),
        ("m/9999999999:U m%9999999999:U k:C", "a number in a format has at most 9 digits"),
        ("m/2/2:U m%2:U k:C", "expected '*' or ':' after an axis, found '/'"),
        ("(m*k)/2:U", "Axes are split before they are flattened: m/2*k/2."),
        ("m*k/2:C m%2:U", "expected k/2 and k%2, once each, found k/2"),
        ("m/2:U m%2:U m:C k:C", "expected m/2 and m%2, once each, found m/2, m%2, m"),
        ("0/2:U 2:C 0%2:U", "expected each of the axes 0 .. 1 once, found 0, 2"),
        ("[m/2,k] m/2:U k:C m%2:U", "expected ']' after the names of the axes, found '/'"),
        ("m/2:C m%2:C(0) k:C", "rank 1 (0%2:C(0)) has extent 2, whose coordinates need 1 bits"),
        ("m/2:U k:C m%2:H(1:2)", "holds 2 entries in group 0 (coordinates 0 .. 1)"),
        ("BSR(999999999,999999999)", "the value array would hold 999999998000000001 items"),
        ("m/999999999:U m%999999999:U k:U", "more than the"),
    ],
)
def test_what_is_no_split_is_refused(spec, message):
    with pytest.raises((FormatError, TensorError)) as caught:
        tensor(np.ones((3, 400)), spec)
    assert message in str(caught.value)


def test_a_block_may_be_far_larger_than_the_axis():
    array = np.eye(3, 4)
    held = tensor(array, "m/999999999:C k/999999999:C m%999999999:C k%999999999:C")
    assert held.stored == 3
    assert np.array_equal(held.validate().toarray(), array)
    assert tensor(array, "BSR(64,64)").storage(8).data_bits == 64 * 64 * 8


def test_an_entry_past_the_extent_is_refused():
    parts = [{"pos": [0, 2], "crd": [0, 1]}, {}]
    made = Tensor.from_parts((3,), "k/2:C k%2:U", parts, [1, 2, 3, 0])
    assert made.toarray().tolist() == [1, 2, 3]
    with pytest.raises(TensorError) as caught:
        Tensor.from_parts((3,), "k/2:C k%2:U", parts, [1, 2, 3, 4])
    assert str(caught.value) == (
        "position 3 stands at coordinate 3 of axis 0, past its extent 3, and holds 4; "
        "expected nothing there, or the fill 0"
    )
    inner = {"pos": [0, 2, 4], "crd": [0, 1, 0, 1]}
    with pytest.raises(TensorError, match="past its extent 3"):
        Tensor.from_parts((3,), "k/2:U k%2:C", [{}, inner], [1, 2, 3, 0])


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
def test_kernels_take_blocks(spelling, backend):
    array = random_array(np.random.default_rng(7), (5, 7), "float32", 0.3)
    x = np.arange(1, 8, dtype=np.float32)
    y = einsum("y[m] = A[m,k] * x[k]", A=tensor(array, spelling), x=x, backend=backend)
    assert np.array_equal(y, array @ x)
    text = "Z[i,j] = A[i,j] * x[j]"  # ranks of other names than the format's, which label axes
    made = einsum(text, A=array, x=x, backend=backend, format=spelling)
    assert np.array_equal(made.validate().toarray(), array * x)

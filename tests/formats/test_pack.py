"""Hardware bits: the reference sizes, and streams that are as long as the price says."""

from __future__ import annotations

from dataclasses import replace
from math import ceil, log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zeroskip.errors import FormatError, TensorError
from zeroskip.formats.convert import from_coords, tensor
from zeroskip.formats.pack import Packed, pack, unpack
from zeroskip.formats.tensor import Tensor

SIX = np.array([0, 0, 3, 4, 0, 6], dtype=np.int8)


def sixteen(z):
    """A vector of 16 with z non-zeros whose gaps need no bridge."""
    array = np.zeros(16, dtype=np.int8)
    array[:z] = np.arange(1, z + 1)
    return array


# ---- sizes by value -----------------------------------------------------------------------


@pytest.mark.parametrize(("fmt", "bits"), [("U", 48), ("B", 30), ("C", 33), ("R(3)", 33)])
def test_the_vector_of_six(fmt, bits):
    made = tensor(SIX, fmt)
    assert made.storage(value_bits=8).total_bits == bits
    assert made.pack(8).n_bits == bits


@pytest.mark.parametrize(
    ("z", "sizes"), [(1, (128, 24, 12, 12)), (8, (128, 80, 96, 96)), (16, (128, 144, 192, 192))]
)
def test_the_vector_of_sixteen(z, sizes):
    array = sixteen(z)
    for fmt, bits in zip(("U", "B", "C", "R(4)"), sizes, strict=True):
        assert tensor(array, fmt).storage(value_bits=8).total_bits == bits
        assert tensor(array, fmt).pack(value_bits=8).n_bits == bits


def test_coordinates_lose_from_eleven_non_zeros_of_sixteen():
    for z in range(17):
        assert tensor(sixteen(z), "C").storage().worth_it == (z < 11)


def test_segments_and_coordinates_of_csr():
    made = tensor([[1, 0, 2], [0, 0, 0], [3, 4, 0]], "CSR")
    assert made.levels[1].arrays["pos"].tolist() == [0, 2, 2, 4]
    assert made.levels[1].arrays["crd"].tolist() == [0, 2, 0, 1]


def test_placeholders_of_a_long_run():
    made = tensor([0, 0, 1, 2, *[0] * 18, 3], "R(4)")
    assert made.values.tolist() == [1, 2, 0, 3]
    assert made.levels[0].arrays["run"].tolist() == [2, 0, 15, 2]
    assert made.storage(4).total_bits == 4 * (4 + 4)


@pytest.mark.parametrize(("columns", "words"), [(2, 25), (4, 41), (5, 49), (7, 65), (8, 73)])
def test_metadata_words_of_an_evenly_filled_csr(columns, words):
    """An 8 × 8 matrix with so many non-zeros in each row: 9 segments and the coordinates."""
    array = np.zeros((8, 8), np.int8)
    array[:, :columns] = 1
    (_, level) = tensor(array, "CSR").storage().levels
    assert level.pointers + level.fields == words


def formula_bits(array, name, v):
    """The table of docs/design.md for a matrix, in closed form."""
    rows, columns = array.shape
    z = np.count_nonzero(array)
    pointer = ceil(log2(z + 1))
    c_rows, c_columns = (ceil(log2(n)) if n else 0 for n in (rows, columns))
    match name:
        case "dense":
            return rows * columns * v
        case "CSR":
            return (rows + 1) * pointer + z * (c_columns + v)
        case "CSC":
            return (columns + 1) * pointer + z * (c_rows + v)
        case "COO":
            return z * (c_rows + c_columns + v)
        case "bitmask":
            return rows * columns + z * v
        case "RLE(2)":
            bridges = 0
            for row in array:
                ends = np.flatnonzero(row)
                bridges += int(((np.diff(np.concatenate([[-1], ends])) - 1) // 4).sum())
            return (rows + 1) * ceil(log2(z + bridges + 1)) + (z + bridges) * (2 + v)
    raise AssertionError(name)


@given(
    hnp.arrays(
        np.int8,
        st.tuples(st.integers(0, 20), st.integers(0, 20)),
        elements=st.sampled_from([0, 0, 0, 5]),
    ),
    st.sampled_from(["dense", "CSR", "CSC", "COO", "bitmask", "RLE(2)"]),
    st.integers(4, 16),
)
def test_bits_by_formula(array, name, v):
    price = tensor(array, name).storage(value_bits=v)
    assert price.total_bits == formula_bits(array, name, v)
    assert price.dense_bits == array.size * v
    assert price.data_bits + price.metadata_bits == price.total_bits


def test_widths_that_are_given():
    made = tensor([[0, 1, 0], [2, 0, 3]], "U C(16)", dtype=np.int8)
    price = made.storage(value_bits=4, pointer_bits=32)
    assert price.metadata_bits == 3 * 32 + 3 * 16
    assert price.data_bits == 12
    assert made.pack(4, pointer_bits=32).n_bits == price.total_bits
    assert str(price) == (
        "U C(16): 156 bits = 12 data (3 × 4) + 144 metadata; dense 24\n"
        "  0:U: 0 bits\n"
        "  1:C(16): 144 bits 3 pointers × 32 + 3 fields × 16"
    )
    with pytest.raises(FormatError, match=r"rank 1:C\(16\) has 3 entries, whose pointers need 2 "):
        made.storage(pointer_bits=1)
    with pytest.raises(FormatError, match=r"expected value_bits in 1 \.\. 64, found 0"):
        made.storage(0)
    with pytest.raises(FormatError, match=r"value_bits is an integer, found 8\.0"):
        made.storage(8.0)


def test_widths_of_types():
    for dtype, bits in (("float64", 64), ("float32", 32), ("int8", 8), ("bool", 1)):
        assert tensor(np.ones(3, dtype), "U").storage().total_bits == 3 * bits


def test_extents_of_one_take_no_coordinate():
    price = tensor([[5], [0]], "CSR").storage(8)
    assert price.metadata_bits == 3 * 1
    assert tensor(np.zeros((3, 0)), "CSR").storage().total_bits == 0


# ---- the stream ---------------------------------------------------------------------------

FORMATS = {
    1: ["U", "C", "B", "R(1)", "R(3)", "C(9)"],
    2: ["CSR", "CSC", "COO", "bitmask", "RLE(1)", "dense", "C U", "B B", "0*1:R(2)", "R(1) R(1)"],
    3: ["CSF", "COO", "2:U 0*1:R(1)", "1:B 0:U 2:C(7)", "C S U", "R(2) U C"],
}


def same(a: Tensor, b: Tensor):
    assert (a.shape, a.format, a.dtype) == (b.shape, b.format, b.dtype)
    for x, y in zip(a.levels, b.levels, strict=True):
        assert x.arrays.keys() == y.arrays.keys()
        for name in x.arrays:
            assert x.arrays[name].dtype == y.arrays[name].dtype
            assert x.arrays[name].tolist() == y.arrays[name].tolist()
    assert a.values.tobytes() == b.values.tobytes()


@given(st.data())
def test_streams_are_as_long_as_the_price_and_lose_nothing(data):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=9))
    dtype = data.draw(st.sampled_from(["int8", "int64", "float32", "float64", "bool"]))
    fmt = data.draw(st.sampled_from(FORMATS[len(shape)]))
    array = data.draw(hnp.arrays(np.int8, shape, elements=st.sampled_from([0, 0, 0, 1, -2, 3])))
    made = tensor(array.astype(dtype), fmt)
    choices = {"i": [3, 8, 13, 64, None], "f": [16, 32, 64, None], "b": [1, 5, None]}
    width = data.draw(st.sampled_from(choices[made.dtype.kind]))
    pointer = data.draw(st.sampled_from([None, 20, 64]))
    packed = made.pack(width, pointer_bits=pointer)
    price = made.storage(width, pointer_bits=pointer)
    assert packed.n_bits == price.total_bits
    assert len(packed.data) == ceil(price.total_bits / 8)
    assert packed.widths == price.levels
    same(packed.unpack(), made)


def test_the_order_of_fields_and_bits():
    """Pointers, coordinates, values; each field's least significant bit first."""
    packed = tensor(np.array([[0, 1, 0], [2, 0, 3]], np.int8), "CSR").pack(4)
    fields = [(0, 2), (1, 2), (3, 2), (1, 2), (0, 2), (2, 2), (1, 4), (2, 4), (3, 4)]
    number, at = 0, 0
    for value, width in fields:
        number |= value << at
        at += width
    assert packed.n_bits == at == 24
    assert packed.data == number.to_bytes(3, "little")


def test_explicit_zeros_and_special_floats_are_kept():
    made = from_coords([[0, 3, 4, 6]], np.array([0.0, np.nan, -0.0, np.inf], np.float32), (9,), "C")
    for width in (16, 32, 64):
        same(made.pack(width).unpack().astype("float64"), made.astype("float64"))
    same(made.pack().unpack(), made)


@pytest.mark.parametrize(
    ("values", "dtype", "width", "message"),
    [
        ([1, 8, 2], "int32", 4, "value 8 at position 1 does not fit value_bits=4 (-8 .. 7)\n"),
        ([1, -9, 2], "int64", 4, "value -9 at position 1 does not fit value_bits=4 (-8 .. 7)\n"),
        ([1, 0.1], "float32", 16, " does not fit value_bits=16 (no exact form)\n"),
        ([1, 1e300], "float64", 32, "value 1e+300 at position 1 does not fit value_bits=32"),
        ([1.0], "float32", 8, "float32 values pack in 16, 32 or 64 bits, found value_bits=8\n"),
    ],
)
def test_what_would_be_lost_is_refused(values, dtype, width, message):
    with pytest.raises(TensorError) as caught:
        tensor(np.array(values, dtype), "C").pack(width)
    assert message in str(caught.value)


# ---- damage -------------------------------------------------------------------------------


def damage(change) -> str:
    packed = pack(tensor(np.array([[0, 1, 0, 0, 0], [2, 0, 3, 0, 0]], np.int8), "CSR"), 4)
    with pytest.raises((TensorError, FormatError)) as caught:
        unpack(change(packed))
    return str(caught.value)


def bits_set(packed: Packed, *bits: int) -> Packed:
    number = int.from_bytes(packed.data, "little")
    for bit in bits:
        number |= 1 << bit
    return replace(packed, data=number.to_bytes(len(packed.data), "little"))


def test_damaged_streams():
    assert damage(lambda p: replace(p, data=p.data[:-1])) == (
        "packed CSR: 27 bits in 3 bytes; its fields take 27 bits in 4 bytes"
    )
    assert damage(lambda p: replace(p, n_bits=28)) == (
        "packed CSR: 28 bits in 4 bytes; its fields take 27 bits in 4 bytes"
    )
    assert damage(lambda p: replace(p, entries=(2, 4))).startswith("packed CSR: 27 bits in 4 ")
    assert damage(lambda p: replace(p, entries=(3,))).startswith("packed CSR: entries of 1 ranks")
    assert damage(lambda p: bits_set(p, 30)) == "packed CSR: bits are set after the last, 27"
    assert damage(lambda p: bits_set(p, 6, 7, 8)) == (
        "rank 1 (1:C, extent 5): crd[0] = 7; expected a coordinate in 0 .. 4"
    )
    assert damage(lambda p: bits_set(p, 0)) == "rank 1 (1:C, extent 5): pos[0] = 1; expected 0"


def test_a_mask_that_does_not_match_its_header():
    packed = tensor(np.array([[0, 1], [1, 0]], np.int8), "bitmask").pack()
    with pytest.raises(TensorError, match=r"value array has shape \(2,\); expected \(3,\)"):
        unpack(bits_set(packed, 0))


def test_a_bool_that_is_none():
    packed = tensor(np.array([True, False]), "U").pack(2)
    with pytest.raises(TensorError, match="packed bool at position 0 is 3; expected 0 or 1"):
        unpack(bits_set(packed, 1))

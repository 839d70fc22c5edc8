"""The level H(G:H): groups, pads, prices, and what does not fit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip import einsum
from zeroskip.errors import FormatError, TensorError
from zeroskip.formats.convert import tensor
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor


@st.composite
def grouped(draw):
    """A matrix with at most G of every H neighbours in a row not 0, G and H."""
    size = draw(st.integers(1, 5))
    most = draw(st.integers(1, size))
    rows, columns = draw(st.integers(0, 4)), draw(st.integers(0, 13))
    array = np.zeros((rows, columns), np.float32)
    for row in range(rows):
        for first in range(0, columns, size):
            wide = min(size, columns - first)
            held = draw(st.sets(st.integers(0, wide - 1), max_size=min(most, wide)))
            array[row, [first + c for c in held]] = draw(st.sampled_from([1.5, np.nan, -2.0]))
    return array, most, size


@given(grouped())
def test_the_round_trip_and_the_price(case):
    array, most, size = case
    made = tensor(array, f"U H({most}:{size})").validate()
    assert np.array_equal(made.toarray(), array, equal_nan=True)
    rows, columns = array.shape
    each = sum(min(most, columns - first, size) for first in range(0, columns, size))
    offset_bits = int(np.ceil(np.log2(size)))
    assert made.stored == rows * each
    assert made.storage(16).metadata_bits == rows * each * offset_bits
    packed = made.pack()
    assert packed.n_bits == made.storage().total_bits
    assert np.array_equal(packed.unpack().toarray(), array, equal_nan=True)
    back = made.asformat("CSR")
    assert back.stored == np.count_nonzero(array)
    assert np.array_equal(back.asformat(made.format).values, made.values, equal_nan=True)
    for fmt in (f"C H({most}:{size})", f"1:U 0:H({rows or 1}:{rows or 1})", f"U H({most}:{size})"):
        turned = back.asformat(fmt)
        assert np.array_equal(turned.validate().toarray(), array, equal_nan=True)


def test_pads_take_the_next_free_offsets_and_then_those_in_front():
    made = tensor([[0, 5, 0, 0, 0, 0, 0, 7, 0, 9]], "2:4")
    assert made.levels[1].arrays["offset"].tolist() == [1, 2, 0, 3, 0, 1]
    assert made.values.tolist() == [5, 0, 0, 7, 0, 9]
    filled = tensor([[np.inf, 2.0, np.inf]], "2:4", fill=np.inf)
    assert filled.values.tolist() == [2, np.inf]


def test_a_level_below_groups_has_empty_fibers_under_pads():
    array = np.zeros((8, 3))
    array[[1, 6, 7], [0, 2, 1]] = [1, 2, 3]
    for fmt in ("H(2:4) C", "H(2:4) B", "H(2:4) U", "H(2:4) R(1)", "1:C 0:H(2:4)"):
        made = tensor(array, fmt).validate()
        assert np.array_equal(made.toarray(), array)
        assert made.pack().n_bits == made.storage().total_bits


def test_too_full_a_group_is_refused_by_name():
    with pytest.raises(FormatError) as caught:
        tensor([[0, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 2, 3, 0]], "2:4")
    assert str(caught.value) == (
        "rank 1 (1:H(2:4)): fiber 2 holds 3 entries in group 0 (coordinates 0 .. 3); "
        "expected at most 2\n"
        "Prune the group, or store the rank as C or B."
    )
    with pytest.raises(FormatError, match=r"group 1 \(coordinates 4 .. 5\); expected at most 1"):
        tensor([0, 0, 0, 0, 1, 1], "H(1:4)")


def test_the_notation():
    assert str(Format("m:U k:H(2:4)").bind(2)) == "U H(2:4)"
    assert Format("2:4").bind(2) == Format("U H(2:4)")
    assert Format("U H(2:4)").label == "2:4"
    assert Format("m:U c*r:H(1:3)").bind(3).label == "1:3"
    assert Format(str(Format("1:U 0:H(2:4)"))) == Format("1:U 0:H(2:4)")
    for text, message in (
        ("m:U k:H", "H needs G and H"),
        ("m:U k:H(2)", "expected ':' between G and H, found ')'"),
        ("m:U k:H(2:)", "expected G:H such as 2:4 for H, found ')'"),
        ("m:U k:H(5:4)", "H(5:4): expected G of every H with 1 <= G <= H <= 65536\n  m:U k:H(5:4)"),
        ("0:4", "H(0:4): expected G of every H"),
    ):
        with pytest.raises(FormatError) as caught:
            Format(text)
        assert message in str(caught.value)


@pytest.mark.parametrize(
    ("offset", "message"),
    [
        ([0, 1, 0], "offset has 3 items; expected 4 (1 fibers of 4 entries)"),
        ([0, 4, 0, 1], "offset[1] = 4; expected an offset in 0 .. 3"),
        ([2, 1, 0, 1], "offset[1] = 1 follows 2 in group 0; expected increasing offsets"),
        ([0, 1, 0, 2], "offset[3] = 2 in group 1 is past the last coordinate; expected at most 1"),
    ],
)
def test_arrays_that_contradict_themselves(offset, message):
    with pytest.raises(TensorError) as caught:
        Tensor.from_parts((6,), "H(2:4)", [{"offset": offset}], [1.0, 2, 3, 4])
    assert message in str(caught.value)
    made = Tensor.from_parts((6,), "H(2:4)", [{"offset": [0, 3, 0, 1]}], [1.0, 2, 3, 4])
    assert made.toarray().tolist() == [1, 0, 0, 2, 3, 4]


@given(grouped(), st.sampled_from(["c", "interpreter"]))
def test_kernels_walk_groups_and_take_pads_for_absent(case, backend):
    array, most, size = case
    array = np.nan_to_num(array)
    made = tensor(array, f"U H({most}:{size})")
    x = np.arange(1, array.shape[1] + 1, dtype=np.float32)
    x[::3] = np.inf
    product = np.where(array != 0, array, 0) * np.where(np.isinf(x), 1, x)
    at_inf = (array != 0) & np.isinf(x)
    y = einsum("y[i] = A[i,j] * x[j]", A=made, x=x, backend=backend)
    clean = ~at_inf.any(axis=1)
    assert np.array_equal(y[clean], product.sum(axis=1)[clean])
    twice = einsum("y[i] = A[i,j] * B[i,j]", A=made, B=made.asformat("CSR"), backend=backend)
    assert np.array_equal(twice, (array**2).sum(axis=1))

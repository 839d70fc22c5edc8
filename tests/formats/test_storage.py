"""The table of formats side by side."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from zeroskip.errors import FormatError, TensorError
from zeroskip.formats.convert import tensor
from zeroskip.formats.density import Density
from zeroskip.formats.storage import LOSES, storage


def test_dense_first_and_a_mark_where_metadata_eats_the_gain():
    array = np.zeros((4, 16), np.int8)
    array[:, :12] = 1
    table = storage(array, ["CSR", "bitmask", "RLE(4)", "dense"], value_bits=8)
    assert list(table["format"]) == ["dense", "CSR", "bitmask", "RLE(4)"]
    assert list(table["total_bits"]) == [512, 5 * 6 + 48 * 12, 64 + 48 * 8, 5 * 6 + 48 * 12]
    assert list(table["mark"]) == ["", LOSES, "", LOSES]
    assert table["metadata_share"][2] == pytest.approx(64 / 448)
    assert table["over_dense"][0] == 1
    assert table.title == "4×16, density 0.75, 8-bit values"


def test_as_much_as_dense_is_no_gain():
    array = np.array([1, 1, 1, 1, 1, 1, 1, 0], np.int8)
    assert list(storage(array, "B")["mark"]) == ["", LOSES]
    assert list(storage(array, "B")["total_bits"]) == [64, 64]


def test_explicit_zeros_cost_and_density_does_not_count_them():
    matrix = sp.csr_array((np.array([1.0, 0.0]), ([0, 1], [0, 1])), shape=(2, 4))
    table = storage(matrix, ["COO"])
    assert table[1]["stored"] == 2
    assert table.title.startswith("2×4, density 0.125")


def test_a_tensor_is_taken_as_it_is():
    made = tensor([0, 0, 0, 5], "RLE(1)")
    assert storage(made, ["RLE(1)", "C"])[1]["total_bits"] == made.storage().total_bits


def test_nothing_at_all():
    table = storage(np.zeros((0, 3)), ["CSR"])
    assert list(table["total_bits"]) == [0, 0]
    assert table[1]["over_dense"] is None


def test_what_has_no_entries_to_count():
    with pytest.raises(TensorError, match="a Density stores nothing\nDraw an array from it"):
        storage(Density((3,), 0.5), ["C"])
    with pytest.raises(FormatError, match="'zip' is no level"):
        storage([1.0], ["zip"])


@pytest.mark.parametrize("formats", [None, 3, [None]])
def test_what_is_no_format(formats):
    with pytest.raises(FormatError) as caught:
        storage(np.eye(2), formats)
    assert "a format is text such as 'CSR' or 'm:U c:C', found" in str(caught.value)

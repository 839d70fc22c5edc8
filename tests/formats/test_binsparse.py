"""HDF5 files in the Binsparse layout: written, read, and refused."""

import json

import numpy as np
import pytest

from zeroskip.errors import TensorError
from zeroskip.formats.convert import tensor
from zeroskip.formats.files import load, save

h5py = pytest.importorskip("h5py")

X = np.array([[0, 0, 2.5], [1, 0, 0], [0, 0, 0], [0, 3, 0]])


def descriptor(path):
    with h5py.File(path) as held:
        return json.loads(held.attrs["binsparse"])["binsparse"], {k: v[()] for k, v in held.items()}


@pytest.mark.parametrize("name", ["CSR", "CSC", "DCSR", "DCSC", "COO"])
def test_matrices_by_name(tmp_path, name):
    save(tmp_path / "x.h5", tensor(X, name))
    found, arrays = descriptor(tmp_path / "x.h5")
    assert found["format"] == name
    assert found["shape"] == [4, 3]
    assert set(found["data_types"]) == set(arrays)
    again = load(tmp_path / "x.h5").validate()
    assert again.format.label == name
    assert np.array_equal(again.toarray(), X)


def test_the_arrays_of_csr(tmp_path):
    save(tmp_path / "x.hdf5", tensor(X, "CSR"))
    found, arrays = descriptor(tmp_path / "x.hdf5")
    assert found["number_of_stored_values"] == 3
    assert arrays["pointers_to_1"].tolist() == [0, 1, 2, 2, 3]
    assert arrays["indices_1"].tolist() == [2, 0, 1]
    assert arrays["values"].tolist() == [2.5, 1, 3]


@pytest.mark.parametrize(
    ("spec", "levels"),
    [
        ("0:U 1:C 2:C", ["dense", "sparse", "sparse"]),
        ("COO", ["sparse"]),
        ("2:U 0:C 1:S", ["dense", "sparse"]),
    ],
)
def test_other_formats_by_levels(tmp_path, spec, levels):
    x = np.arange(24.0).reshape(2, 3, 4) * (np.arange(24).reshape(2, 3, 4) % 3 == 0)
    t = tensor(x, spec)
    save(tmp_path / "x.h5", t)
    node, _ = descriptor(tmp_path / "x.h5")
    node = node["format"]
    assert node.get("swizzle") == ([2, 0, 1] if spec[0] == "2" else None)
    for level in levels:
        assert node["level"] == level
        node = node["subformat"]
    assert node == {"level": "element"}
    again = load(tmp_path / "x.h5").validate()
    assert again.format == t.format
    assert np.array_equal(again.toarray(), x)


@pytest.mark.parametrize("format", ["bitmask", "RLE(2)", "2:3", "BSR(2,2)"])
def test_formats_that_it_lacks_are_written_as_coo(tmp_path, format):
    save(tmp_path / "x.h5", tensor(X, format))
    assert load(tmp_path / "x.h5").format.label == "COO"
    assert np.array_equal(load(tmp_path / "x.h5").toarray(), X)


def test_a_fill_and_truths(tmp_path):
    save(tmp_path / "x.h5", tensor(X, "CSR") + np.inf)
    found = load(tmp_path / "x.h5")
    assert (found.fill, found.stored) == (np.inf, 3)
    save(tmp_path / "x.h5", tensor(X, "CSR") == 0)
    found = load(tmp_path / "x.h5")
    assert (found.fill, found.dtype) == (True, bool)
    assert np.array_equal(found.toarray(), X == 0)


def put(path, change, **arrays):
    made = {
        "version": "0.1",
        "format": "COOR",
        "shape": [2, 2],
        "data_types": {"values": "float64", "indices_0": "uint64", "indices_1": "uint64"},
    }
    held = {
        "indices_0": np.array([0, 1], "u8"),
        "indices_1": np.array([0, 0], "u8"),
        "values": np.array([1.0, 2.0]),
    }
    with h5py.File(path, "w") as file:
        for name, array in (held | arrays).items():
            if array is not None:
                file[name] = array
        file.attrs["binsparse"] = json.dumps({"binsparse": made | change})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, [[1, 0], [2, 0]]),
        ({"structure": "symmetric_lower"}, [[1, 2], [2, 0]]),
        ({"structure": "skew_symmetric_lower"}, [[1, -2], [2, 0]]),
        ({"format": "COOC"}, [[1, 2], [0, 0]]),
        ({"data_types": {"values": "iso[float64]"}}, [[1, 0], [1, 0]]),
        ({"data_types": {"values": "int64"}}, None),
    ],
    ids=str,
)
def test_what_others_write(tmp_path, change, expected):
    put(tmp_path / "x.h5", change)
    if expected is not None:
        assert load(tmp_path / "x.h5").toarray().tolist() == expected
        return
    with pytest.raises(TensorError, match="the values are float64; the descriptor says int64"):
        load(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("kind", "held", "dtype"),
    [("bint8", "uint8", bool), ("uint8", "uint8", "uint8"), ("int8", "int8", "int8")],
)
def test_a_symmetric_matrix_keeps_its_type(tmp_path, kind, held, dtype):
    change = {"data_types": {"values": kind}, "structure": "symmetric_lower"}
    put(tmp_path / "x.h5", change, values=np.array([1, 1], held))
    found = load(tmp_path / "x.h5")
    assert found.dtype == dtype
    assert found.toarray().tolist() == [[1, 1], [1, 0]]
    put(tmp_path / "x.h5", change | {"structure": "skew_symmetric_lower"},
        values=np.array([0, 1], held))  # fmt: skip
    if held == "int8":
        assert load(tmp_path / "x.h5").toarray().tolist() == [[0, -1], [1, 0]]
        return
    with pytest.raises(TensorError, match=f"has negative values, and {np.dtype(dtype)} none"):
        load(tmp_path / "x.h5")


def test_axes_in_another_order_may_be_many(tmp_path):
    n = 11
    x = np.zeros((2,) * n)
    x[(1, *[0] * (n - 1))] = 5
    levels = " ".join(f"{axis}:{'C' if axis == n - 1 else 'S'}" for axis in range(n)[::-1])
    save(tmp_path / "x.h5", tensor(x, levels))
    assert np.array_equal(load(tmp_path / "x.h5").toarray(), x)


@pytest.mark.parametrize(
    ("change", "arrays", "text"),
    [
        ({"version": "1.0"}, {}, "version 1.0 is not read; expected 0.1"),
        ({"shape": 3}, {}, "shape is no list"),
        ({"format": "XYZ"}, {}, "format 'XYZ' is unknown; expected CSR, CSC"),
        ({"format": {"level": "sparse", "rank": 9}}, {}, "a level has rank 9; expected 1 .. 2"),
        ({"format": {"level": "other"}}, {}, "expected 2 ranks in levels dense and sparse"),
        (
            {
                "format": {
                    "level": "sparse",
                    "rank": 2,
                    "swizzle": [0, 0],
                    "subformat": {"level": "element"},
                }
            },
            {},
            r"swizzle \[0, 0\] is no order of 2 axes",
        ),
        ({"structure": "hermitian_lower"}, {}, "structure 'hermitian_lower' of shape"),
        ({"data_types": {"values": "complex[float64]"}}, {}, "values of type 'complex"),
        ({}, {"values": None}, "the file lacks the array values"),
        ({}, {"values": np.ones((2, 1))}, r"values holds float64 of shape \(2, 1\)"),
        ({}, {"values": np.ones(3)}, r"value array has shape \(3,\); expected \(2,\)"),
        ({}, {"indices_0": np.array([0, 2])}, r"crd\[1\] = 2; expected a coordinate in 0 .. 1"),
        ({}, {"indices_0": np.array([1, 0])}, "expected increasing coordinates"),
    ],
    ids=str,
)
def test_descriptors_that_contradict_the_arrays(tmp_path, change, arrays, text):
    put(tmp_path / "x.h5", change, **arrays)
    with pytest.raises(TensorError, match=text):
        load(tmp_path / "x.h5")


def test_nothing_is_read_from_other_files(tmp_path):
    put(tmp_path / "other.h5", {})
    put(tmp_path / "x.h5", {}, values=None)
    with h5py.File(tmp_path / "x.h5", "a") as file:
        file["values"] = h5py.ExternalLink(str(tmp_path / "other.h5"), "values")
    with pytest.raises(TensorError, match="values is no data set of this file"):
        load(tmp_path / "x.h5")


def test_files_that_are_no_binsparse(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = np.ones(2)
    with pytest.raises(TensorError, match="has no Binsparse descriptor"):
        load(tmp_path / "x.h5")
    (tmp_path / "y.h5").write_bytes(b"nothing")
    with pytest.raises(TensorError, match="the file is broken, or no HDF5"):
        load(tmp_path / "y.h5")

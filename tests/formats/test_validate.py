"""Level arrays that contradict themselves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.errors import TensorError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import DTYPES

DENSE = np.array([[5, 0, 6, 0], [0, 0, 0, 0], [0, 7, 0, 8]], dtype=np.float32)
FORMATS = ["CSR", "COO", "bitmask", "RLE(1)", "B C", "R(1) U", "C B", "0*1:R(2)", "C U", "C C"]


def parts_of(tensor):
    return [{k: v.copy() for k, v in level.arrays.items()} for level in tensor.levels]


def refusal(fmt, change, shape=DENSE.shape, values=None):
    """The message after ``change`` has altered the level arrays of DENSE in ``fmt``."""
    tensor = Tensor.from_dense(DENSE, fmt)
    parts = parts_of(tensor)
    change(parts)
    with pytest.raises(TensorError) as caught:
        Tensor.from_parts(shape, fmt, parts, tensor.values if values is None else values)
    return str(caught.value)


def put(rank, name, where, what):
    def change(parts):
        parts[rank][name] = parts[rank][name].astype(type(what))
        parts[rank][name][where] = what

    return change


@pytest.mark.parametrize("fmt", FORMATS)
def test_parts_of_a_tensor_make_it_again(fmt):
    tensor = Tensor.from_dense(DENSE, fmt)
    wide = [
        {k: v.astype(np.int64) if k != "words" else v for k, v in part.items()}
        for part in parts_of(tensor)
    ]
    again = Tensor.from_parts(DENSE.shape, fmt, wide, tensor.values)
    assert np.array_equal(again.toarray(), DENSE)
    for a, b in zip(again.levels, tensor.levels, strict=True):
        assert {k: v.dtype for k, v in a.arrays.items()} == {
            k: v.dtype for k, v in b.arrays.items()
        }
        assert (a.fibers, a.entries, a.extent, a.axes) == (b.fibers, b.entries, b.extent, b.axes)
    again.validate()


def test_what_is_passed_in_is_copied():
    values, crd = np.array([1.0, 2.0]), np.array([0, 2])
    tensor = Tensor.from_parts((3,), "C", [{"pos": np.array([0, 2]), "crd": crd}], values)
    values[0], crd[0] = 9, 1
    assert tensor.toarray().tolist() == [1, 0, 2]
    with pytest.raises(ValueError, match="read-only"):
        tensor.values[0] = 3
    with pytest.raises(ValueError, match="read-only"):
        tensor.levels[0].arrays["crd"][0] = 3


@pytest.mark.parametrize(
    ("fmt", "change", "message"),
    [
        (
            "CSR",
            put(1, "crd", 3, 4),
            "rank 1 (1:C, extent 4): crd[3] = 4; expected a coordinate in 0 .. 3",
        ),
        (
            "CSR",
            put(1, "crd", 1, -1),
            "rank 1 (1:C, extent 4): crd[1] = -1; expected a coordinate in 0 .. 3",
        ),
        (
            "CSR",
            put(1, "crd", 1, 0),
            "rank 1 (U C): in fiber 0, coordinate 0 at position 0 repeats 0 at position 1; "
            "expected increasing coordinates",
        ),
        (
            "CSR",
            put(1, "crd", 2, 3),
            "rank 1 (U C): in fiber 2, coordinate 3 at position 2 repeats 3 at position 3; "
            "expected increasing coordinates",
        ),
        (
            "COO",
            put(1, "crd", 0, 3),
            "ranks 0 .. 1 (C S): in fiber 0, coordinate (0, 3) at position 0 is after (0, 2) "
            "at position 1; expected increasing coordinates",
        ),
        (
            "COO",
            lambda parts: parts[1].update(crd=parts[1]["crd"][:3]),
            "rank 1 (1:S, extent 4): crd has 3 items; expected 4 (one coordinate an entry above)",
        ),
        (
            "CSR",
            put(1, "pos", 1, 5),
            "rank 1 (1:C, extent 4): pos[2] = 2 is less than pos[1] = 5; fiber pointers never fall",
        ),
        ("CSR", put(1, "pos", 0, 1), "rank 1 (1:C, extent 4): pos[0] = 1; expected 0"),
        (
            "CSR",
            put(1, "pos", 3, 3),
            "rank 1 (1:C, extent 4): pos[3] = 3; expected 4, the length of crd",
        ),
        (
            "CSR",
            lambda parts: parts[1].update(pos=parts[1]["pos"][:3]),
            "rank 1 (1:C, extent 4): pos has 3 items; expected 4 (one more than fibers)",
        ),
        (
            "CSR",
            put(1, "crd", 2, np.nan),
            "rank 1 (1:C, extent 4): crd holds integers, found NaN at crd[2]",
        ),
        (
            "CSR",
            put(1, "crd", 2, 1.0),
            "rank 1 (1:C, extent 4): crd holds integers, found dtype float64",
        ),
        (
            "CSR",
            lambda parts: parts[1].update(crd=parts[1]["crd"][None]),
            "rank 1 (1:C, extent 4): crd has shape (1, 4); expected one axis",
        ),
        (
            "CSR",
            lambda parts: parts[1].pop("crd"),
            "rank 1 (1:C, extent 4): expected the arrays pos, crd, found pos",
        ),
        (
            "CSR",
            lambda parts: parts[0].update(pos=parts[1]["pos"]),
            "rank 0 (0:U, extent 3): expected the arrays none, found pos",
        ),
        (
            "CSR",
            lambda parts: parts.pop(),
            "format 'U C' has 2 ranks; found arrays for 1",
        ),
        (
            "bitmask",
            lambda parts: parts[1]["words"].__setitem__(1, 16),
            "rank 1 (1:B, extent 4): words[1], the last of fiber 1, has bits set at or past "
            "coordinate 4; expected zeros there",
        ),
        (
            "bitmask",
            put(1, "rank", 2, 3),
            "rank 1 (1:B, extent 4): rank[2] = 3; expected 2, the bits set before word 2",
        ),
        (
            "bitmask",
            lambda parts: parts[1].update(words=parts[1]["words"].astype(np.int64)),
            "rank 1 (1:B, extent 4): words are uint64, found int64",
        ),
        (
            "bitmask",
            lambda parts: parts[1].update(words=parts[1]["words"][:2]),
            "rank 1 (1:B, extent 4): words has 2 items; expected 3 (3 fibers of 1 words)",
        ),
        (
            "RLE(1)",
            put(1, "run", 1, 2),
            "rank 1 (1:R(1), extent 4): run[1] = 2; expected a run in 0 .. 1",
        ),
        (
            "RLE(2)",
            put(1, "run", 3, 3),
            "rank 1 (1:R(2), extent 4): run[3] = 3 in fiber 2 reaches coordinate 5; "
            "expected at most 3",
        ),
    ],
)
def test_contradictions_are_named(fmt, change, message):
    assert refusal(fmt, change) == message


def test_values_are_as_many_as_entries_and_of_a_known_type():
    assert refusal("CSR", lambda _: None, values=np.ones(3)) == (
        "the value array has shape (3,); expected (4,), one value for each entry of the last rank"
    )
    assert refusal("CSR", lambda _: None, values=np.ones(4, np.complex64)).startswith(
        f"expected values of type {', '.join(DTYPES)}; found complex64"
    )


def test_shapes_are_checked():
    assert refusal("CSR", lambda _: None, shape=(3, -1)) == (
        "axis 1 has extent -1; expected an integer >= 0"
    )
    assert refusal("CSR", lambda _: None, shape=(3, 4.0)) == (
        "axis 1 has extent 4.0; expected an integer >= 0"
    )
    assert "expected none, the rank has no coordinates" in refusal(
        "CSR", lambda _: None, shape=(3, 0)
    )


@pytest.mark.parametrize("fmt", FORMATS)
@given(data=st.data())
def test_damage_is_found_or_harmless(fmt, data):
    """Whatever one item becomes: either it is refused, or it is the data of another tensor."""
    tensor = Tensor.from_dense(DENSE, fmt)
    arrays = [(i, name) for i, level in enumerate(tensor.levels) for name in level.arrays]
    rank, name = data.draw(st.sampled_from(arrays))
    array = tensor.levels[rank].arrays[name]
    array.setflags(write=True)
    item = data.draw(st.integers(0, len(array) - 1))
    info = np.iinfo(array.dtype)
    array[item] = data.draw(st.integers(0, 12) | st.integers(int(info.min), int(info.max)))
    try:
        tensor.validate()
    except TensorError:
        return
    dense = tensor.toarray()
    assert sorted(dense[dense != 0]) == sorted(tensor.values[tensor.values != 0])
    assert np.array_equal(tensor.asformat("COO").toarray(), dense)


def test_an_altered_tensor_says_what_is_wrong():
    tensor = Tensor.from_dense(DENSE, "CSR")
    tensor.levels[1].arrays["crd"].setflags(write=True)
    tensor.levels[1].arrays["crd"][0] = 60000
    with pytest.raises(TensorError, match=r"crd\[0\] = 60000; expected a coordinate in 0 .. 3"):
        tensor.validate()
    tensor = Tensor.from_dense(DENSE, "CSR")
    tensor.levels[1].arrays["crd"] = tensor.levels[1].arrays["crd"].astype(np.int64)
    with pytest.raises(TensorError, match=r"crd is int64, strides .*; expected contiguous uint16"):
        tensor.validate()

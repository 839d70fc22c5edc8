"""Parts of tensors, against NumPy's on dense copies."""

import numpy as np
import pytest

from zeroskip.errors import IndexingError, TensorError
from zeroskip.formats.convert import from_coords, tensor
from zeroskip.formats.tensor import Tensor

FORMATS = ["CSR", "COO", "CSC", "bitmask", "RLE(2)", "dense", "CSF", "DCSR", "4:4", "BSR(2,2)"]
SHAPES = [(3, 4), (5,), (2, 3, 4), (4, 1, 2, 3), (0, 3), ()]
SEED = 30


def draw(rng, shape=None):
    shape = SHAPES[rng.integers(len(SHAPES))] if shape is None else shape
    x = rng.integers(-3, 4, shape) * (rng.random(shape) < 0.5)
    formats = FORMATS if len(shape) == 2 else FORMATS[:-1] if shape else FORMATS[1:4]
    t = tensor(x, formats[rng.integers(len(formats))])
    return (x + 1, t + 1) if shape and rng.random() < 0.2 else (x, t)


def draw_index(rng, extent, axes):
    def bound():
        return None if rng.random() < 0.3 else int(rng.integers(-extent - 1, extent + 2))

    kind = rng.integers(7)
    if kind == 0:
        return int(rng.integers(-extent - 1, extent + 1)) if extent else 0
    if kind <= 2:
        return slice(bound(), bound(), [None, 1, 2, -1, -2, 3][rng.integers(6)])
    if kind == 3 and extent:
        shape = [(2,), (1,), (3,), (2, 1), (0,)][rng.integers(5)]
        return rng.integers(-extent, extent, shape)
    if kind == 4 and axes > 1:
        return rng.random(axes) < 0.5
    return None if kind == 5 else slice(None)


def draw_key(rng, shape):
    key = [draw_index(rng, extent, extent) for extent in shape[: rng.integers(len(shape) + 1)]]
    if rng.random() < 0.3:
        key.insert(int(rng.integers(len(key) + 1)), Ellipsis)
    return key[0] if len(key) == 1 and rng.random() < 0.5 else tuple(key)


def test_random_keys():
    rng = np.random.default_rng(SEED)
    compared = 0
    for trial in range(1500):
        x, t = draw(rng)
        key = draw_key(rng, x.shape)
        where = f"seed {SEED}, trial {trial}: {t} [{key}]"
        try:
            expected = x[key]
        except IndexError:
            with pytest.raises(IndexingError):
                t[key]
            continue
        found = t[key]
        if isinstance(found, Tensor):
            found = found.validate().toarray()
        assert found.dtype == expected.dtype, where
        assert found.shape == expected.shape, where
        assert np.array_equal(found, expected), where
        compared += 1
    assert compared > 1000


def test_masks_pick_values_stored_or_not():
    rng = np.random.default_rng(SEED)
    x, t = draw(rng, (4, 5))
    for mask in (x >= 0, x > 5):
        assert np.array_equal(t[mask].toarray(), x[mask])
    assert np.array_equal(t[t >= 0].toarray(), x[x >= 0])


def test_the_format_loses_the_axes_that_go():
    t = tensor(np.eye(6).reshape(2, 3, 6), "m:U c:U k:C(16)")
    assert str(t[0].format) == "U C(16)"
    assert str(t[:, 1:, ::2].format) == "U U C(16)"
    assert t[0, 0].format.label == "C(16)"
    assert str(tensor(np.eye(4), "2:4")[::-1].format) == "U C"


def test_long_axes_take_the_room_of_their_entries():
    n = 2**40
    t = from_coords([[3, n - 1], [n - 1, 5]], [1.0, 2.0], (n, n), "COO")
    assert t[n - 1, 5] == 2.0
    assert t[-1, 6] == 0.0
    assert t[::-1][0].coords()[0][0].tolist() == [5]
    assert t[[3, n - 1], [n - 1, 5]].toarray().tolist() == [1.0, 2.0]


def test_rows():
    x = np.arange(6).reshape(2, 3) % 3
    for t in (tensor(x, "CSC"), tensor(x, "CSR")):
        assert [row.toarray().tolist() for row in t] == x.tolist()
    assert list(tensor([0, 2, 1], "C")) == [0, 2, 1]
    assert len(tensor(x, "CSR")) == 2
    with pytest.raises(TypeError, match="no axes has no len"):
        iter(tensor(1.0))


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (7, "index 7 is out of bounds for axis 0 with extent 3"),
        ((0, -5), "index -5 is out of bounds for axis 1 with extent 4"),
        ((0, 0, 0), "too many indices: the tensor has 2 axes, and 3 were indexed"),
        ((..., ...), "only have a single ellipsis"),
        (1.5, "only integers, slices"),
        ("a", "only integers, slices"),
        (np.array([0.5]), "an index of type float64; expected integers or bools"),
        ([0, 9], "index 9 is out of bounds for axis 0"),
        (np.ones((3, 3), bool), r"a mask of shape \(3, 3\) on axes of shape \(3, 4\), from axis 0"),
        (([0, 1], [0, 1, 2]), r"index arrays of shapes \(2,\) \(3,\) cannot be broadcast"),
        (slice(0, 2, 0), "slice step cannot be zero"),
        (True, "a single truth is no index"),
    ],
    ids=str,
)
def test_errors_are_index_errors(key, text):
    t = tensor(np.eye(3, 4), "CSR")
    with pytest.raises(IndexError, match=text):
        t[key]
    with pytest.raises(TensorError, match=text):
        t[key]


def test_a_ragged_list_is_no_index():
    with pytest.raises(IndexingError, match=r"\[\[1\], \[0, 1\]\] is no array of indices"):
        tensor(np.eye(3), "CSR")[[[1], [0, 1]]]


EVERY, BACK, LIST = slice(0, None, 2), slice(5, None, -2), np.array([4, 0, 4, -1])
RUNS = [
    "U C C",
    "U B B",
    "U C B",
    "U U C",
    "U C U",
    "U R(2) C",
    "U U U",
    "1:U 0:C 2:C",
    "2:U 0*1:B",
]


@pytest.mark.parametrize("format", RUNS)
def test_neighbouring_fibers_are_those_of_a_smaller_array(format):
    """A run of what lies outermost is stored as if it had been encoded by itself."""
    rng = np.random.default_rng(5)
    x = rng.integers(1, 9, (7, 70, 6)) * (rng.random((7, 70, 6)) < 0.3)
    x[2:4] = 0
    t = Tensor.from_dense(x, format)
    for part in (
        slice(1, 5),
        slice(2, 4),
        slice(3, 3),
        slice(6, 2),
        slice(-1, None),
        0,
        5,
        -2,
        EVERY,
        BACK,
        LIST,
        slice(1, 6, 4),
        slice(3, None, 999),
    ):
        for axis in range(3):
            key = (*[slice(None)] * axis, part)
            got, want = t[key], x[key]
            got.validate()
            np.testing.assert_array_equal(got.toarray(), want)
            alone = Tensor.from_dense(want, got.format)
            np.testing.assert_array_equal(got.values, alone.values)
            for ours, theirs in zip(got.levels, alone.levels, strict=True):
                assert (ours.extent, ours.fibers, ours.entries) == (
                    theirs.extent,
                    theirs.fibers,
                    theirs.entries,
                )
                for name, array in theirs.arrays.items():
                    np.testing.assert_array_equal(ours.arrays[name], array)


@pytest.mark.parametrize("extent", [2**16, 2**16 + 1, 2**20])
def test_columns_are_cut_at_the_ends_of_their_types(extent):
    at = np.array([0, 1, extent // 2, extent - 2, extent - 1])
    t = Tensor.from_coords([np.arange(5), at], np.arange(1.0, 6), (5, extent), "CSR")
    for part in (
        slice(extent, None),
        slice(extent - 1, extent),
        slice(0, None, extent),
        slice(1, None, extent - 2),
        slice(extent // 2, None),
        slice(1, extent, 2),
    ):
        places = range(*part.indices(extent))
        got = t[:, part].validate()
        assert got.shape == (5, len(places))
        (rows, columns), values = got.coords()
        assert [(r, places[c], v) for r, c, v in zip(rows, columns, values, strict=True)] == [
            (r, c, r + 1) for r, c in enumerate(at) if c in places
        ]
        assert got.levels[1].arrays["crd"].dtype == (
            np.uint16 if len(places) <= 2**16 else np.int32
        )


@pytest.mark.parametrize("format", [*RUNS, "U C U", "0*1:U 2:C", "C C C", "U R(2) R(2)", "COO"])
def test_parts_of_several_axes_at_once(format):
    rng = np.random.default_rng(6)
    x = rng.integers(1, 9, (7, 70, 6)) * (rng.random((7, 70, 6)) < 0.2)
    t = Tensor.from_dense(x, format)
    picks = [slice(None), slice(2, 5), slice(1, None, 2), slice(4, 1, -1), 3, None, LIST % 6]
    for _ in range(150):
        key = tuple(picks[i] for i in rng.integers(0, len(picks), 4))
        if sum(part is not None for part in key) > 3:
            key = key[:3]
        got, want = t[key], x[key]
        if isinstance(got, Tensor):
            got = got.validate().toarray()
        np.testing.assert_array_equal(got, want, err_msg=str(key))


def test_neighbouring_fibers_share_what_is_stored():
    t = Tensor.from_dense(np.eye(9), "CSR")
    rows = t[2:7]
    assert np.shares_memory(rows.values, t.values)
    assert np.shares_memory(rows.levels[1].arrays["crd"], t.levels[1].arrays["crd"])
    assert not rows.values.flags.writeable

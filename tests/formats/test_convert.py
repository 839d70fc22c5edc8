"""NumPy, lists, SciPy and torch in; arrays and SciPy out."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from zeroskip.errors import FormatError, TensorError
from zeroskip.formats.convert import from_coords, tensor
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import DTYPES, dtype_of

DENSE = np.array([[5, 0, 6, 0], [0, 0, 0, 0], [0, 7, 0, 8]], dtype=np.float32)


def refusal(*args, **named):
    with pytest.raises((TensorError, FormatError)) as caught:
        tensor(*args, **named)
    return str(caught.value)


# ---- arrays -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("fmt", ["CSR", "bitmask", "RLE(2)", "COO", "dense", "C U"])
def test_every_type_stays_what_it_is(dtype, fmt):
    array = abs(DENSE).astype(dtype_of(dtype))
    made = tensor(array, fmt)
    assert made.dtype.name == dtype
    assert made.toarray().dtype == array.dtype
    assert np.array_equal(made.toarray(), array)


def test_any_memory_layout_and_no_harm_to_it():
    big = np.zeros((6, 8), np.float32)
    big[::2, ::-2] = DENSE
    views = [DENSE, np.asfortranarray(DENSE), big[::2, ::-2], DENSE.astype(">f4")]
    for view in views:
        view = view[:]
        before = view.copy()
        view.setflags(write=False)
        for fmt in ("CSR", "CSC", "dense", "auto"):
            made = tensor(view, fmt)
            assert np.array_equal(made.toarray(), DENSE)
            assert made.dtype.isnative
            assert not np.shares_memory(made.values, view)
        assert np.array_equal(view, before)


def test_lists_scalars_and_types_asked_for():
    assert tensor([[0, 1], [2, 0]], "CSR").dtype == np.int64
    assert tensor([0.0, 1.5], "C", dtype="float32").dtype == np.float32
    assert tensor(4.0).shape == ()
    assert tensor(np.array([1, 300], np.uint16), "C", dtype=np.int16).values.tolist() == [1, 300]
    made = tensor(DENSE, "CSR")
    assert tensor(made) is made
    assert tensor(made, "COO").format.label == "COO"
    assert tensor(made, dtype="int8").dtype == np.int8


def test_arrays_out():
    made = tensor(DENSE, "CSC")
    assert np.array_equal(np.asarray(made), DENSE)
    assert np.asarray(made, dtype=np.float64).dtype == np.float64
    with pytest.raises(TensorError, match="cannot become an array without a copy"):
        np.array(made, copy=False)
    out = made.toarray()
    out[:] = 0
    assert np.array_equal(made.toarray(), DENSE)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ([[1], [1, 2]], "list is no array of numbers: setting an array element with a sequence"),
        (np.zeros(3, np.longdouble), "found float128\nConvert with .astype('float64')."),
        ([1j], "found complex128\nStore the real and the imaginary part as two tensors."),
        (None, "found object\nPass numbers of one type"),
        ("abc", "found <U3\nConvert it with .astype(...)."),
        (np.ma.masked_array([1, 2], [0, 1]), "a masked array has places without a value"),
    ],
)
def test_what_is_no_tensor(bad, message):
    assert message in refusal(bad)


def test_a_format_that_does_not_fit():
    assert refusal(DENSE, "U C C").startswith("format 'U C C' stores 3 axes, the tensor has 2 axes")
    assert refusal(DENSE, "U C(1)") == (
        "rank 1 (1:C(1)) has extent 4, whose coordinates need 2 bits; the field has 1\n"
        "Write C(2), or C for the narrowest field."
    )


def test_types_change_only_where_values_fit():
    made = tensor([[0.0, 300.5], [-1.0, 0.0]], "CSR")
    assert made.astype("int32").toarray().tolist() == [[0, 300], [-1, 0]]
    with pytest.raises(TensorError, match=r"300.5 at position 0 has no value in int8 \(-128"):
        made.astype("int8")
    with pytest.raises(TensorError, match="nan at position 0 has no value in int64"):
        tensor([np.nan], "C").astype("int64")
    with pytest.raises(TensorError, match="has no value in int64"):
        tensor([2.0**63], "C").astype("int64")
    assert tensor([-(2.0**63)], "C").astype("int64").values.tolist() == [-(2**63)]
    with pytest.raises(TensorError, match="128 at position 0 has no value in int8"):
        tensor([128], "C").astype("int8")


def test_one_line_says_what_it_is():
    made = tensor(DENSE, "RLE(1)")
    assert repr(made) == (
        "<Tensor 3×4 float32, format 'RLE(1)', 4 non-zeros (density 0.333), 4 stored>"
    )
    assert made.nbytes == 4 * 4 + 4 * 8 + 4 * 1
    assert repr(tensor(3.5)) == (
        "<Tensor scalar float64, format 'dense', 1 non-zeros (density 1), 1 stored>"
    )
    assert tensor(np.zeros((0, 3))).density == 0.0


def test_tensors_pickle():
    made = tensor(DENSE, "CSR")
    again = pickle.loads(pickle.dumps(made)).validate()
    assert np.array_equal(again.toarray(), DENSE)
    assert again.format == made.format


# ---- auto ---------------------------------------------------------------------------------


@given(hnp.arrays(np.int8, hnp.array_shapes(max_dims=3, max_side=9), elements=st.integers(0, 1)))
def test_auto_is_the_cheapest_of_four(array):
    totals = {
        name: tensor(array, name).storage().total_bits
        for name in ("dense", "bitmask", "CSR", "COO")
    }
    chosen = tensor(array)
    assert chosen.storage().total_bits == min(totals.values())
    first = next(name for name, bits in totals.items() if bits == min(totals.values()))
    assert chosen.format == tensor(array, first).format


def test_auto_for_extents_that_no_flat_rank_has():
    made = from_coords([[1], [2], [3]], [1.0], (2**30, 2**30, 2**30))
    assert made.format.label == "COO"


# ---- coordinates --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coords", "message"),
    [
        ([[0, 3], [0, 1]], "coordinate 1 of axis 0 is 3; expected 0 .. 2"),
        ([[0, 1], [-1, 1]], "coordinate 0 of axis 1 is -1; expected 0 .. 3"),
        ([[0, np.nan], [0, 1]], "coordinate 1 of axis 0 is NaN; expected an integer"),
        (
            [[0.0, 1.0], [0, 1]],
            "coordinates of axis 0 are float64; expected integers\n"
            "Convert with .astype('int64') if they are whole numbers.",
        ),
        ([[0, 1]], "1 arrays of coordinates for 2 axes (3, 4)"),
        ([[0, 1], [0]], "coordinates of axis 1 have shape (1,); expected (2,), one a value"),
    ],
)
@pytest.mark.parametrize("fmt", ["auto", "CSR"])
def test_coordinates_that_are_none(coords, message, fmt):
    with pytest.raises(TensorError) as caught:
        from_coords(coords, [1.0, 2.0], (3, 4), fmt)
    assert str(caught.value) == message


def test_coordinates_where_there_are_none():
    with pytest.raises(TensorError, match="axis 1 has extent 0 and no coordinates; found 0"):
        from_coords([[0], [0]], [1.0], (3, 0))
    with pytest.raises(TensorError, match=r"values have shape \(1, 1\); expected one axis"):
        from_coords([[0], [0]], [[1.0]], (3, 4), "COO")
    assert from_coords([[], []], np.zeros(0), (3, 4), "CSR").nnz == 0


# ---- SciPy --------------------------------------------------------------------------------

KINDS = ["csr", "csc", "coo", "lil", "dok", "bsr", "dia"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("make", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("fmt", ["auto", "CSR", "CSC", "COO", "bitmask", "RLE(1)", "dense"])
def test_scipy_in_every_kind(kind, make, fmt):
    given_matrix = make(DENSE).asformat(kind)
    assert np.array_equal(tensor(given_matrix, fmt).toarray(), DENSE)


def test_scipy_unsorted_repeated_and_explicit_zeros_without_harm():
    data = np.array([1.0, 2.0, 0.0, 4.0, 8.0])
    indices = np.array([3, 0, 2, 0, 1])
    indptr = np.array([0, 4, 4, 5])
    matrix = sp.csr_matrix((data, indices, indptr), shape=(3, 4))
    copies = data.copy(), indices.copy(), indptr.copy()
    made = tensor(matrix, "CSR")
    assert made.levels[1].arrays["pos"].tolist() == [0, 3, 3, 4]
    assert made.levels[1].arrays["crd"].tolist() == [0, 2, 3, 1]
    assert made.values.tolist() == [6, 0, 1, 8]
    assert (made.stored, made.nnz) == (4, 3)
    assert tensor(matrix, "COO").stored == 4
    assert tensor(matrix, "CSC").to_scipy().nnz == 4
    for now, before in zip((matrix.data, matrix.indices, matrix.indptr), copies, strict=True):
        assert np.array_equal(now, before)
    assert np.array_equal(made.toarray(), matrix.toarray())


@pytest.mark.parametrize("kind", ["csr", "csc"])
@pytest.mark.parametrize("fmt", ["auto", "CSR", "CSC", "COO", "1:U 0:C"])
def test_scipy_as_it_lies_and_by_coordinates(kind, fmt):
    """Rows in order are taken as they lie; any that are not, or come twice, are sorted."""
    rng = np.random.default_rng(5)
    for _ in range(40):
        shape = tuple(int(n) for n in rng.integers(0, 9, 2))
        fibers, extent = shape if kind == "csr" else shape[::-1]
        lengths = rng.integers(0, extent + 1, fibers)
        indices = [rng.permutation(extent)[:n] for n in lengths]
        if rng.random() < 0.7:
            indices = [np.sort(x) for x in indices]
        indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        flat = np.concatenate([*indices, np.zeros(0, np.int64)]).astype(np.int64)
        if len(flat) and rng.random() < 0.3:
            flat[-1] = flat[indptr[np.searchsorted(indptr, len(flat)) - 1]]
        values = rng.integers(-1, 2, len(flat)).astype(np.float32)
        matrix = getattr(sp, f"{kind}_array")((values, flat, indptr), shape=shape)
        outer = np.repeat(np.arange(fibers), lengths)
        coords = (outer, flat) if kind == "csr" else (flat, outer)
        made, want = tensor(matrix, fmt), from_coords(coords, values, shape, fmt)
        made.validate()
        assert made.format == want.format
        assert np.array_equal(made.values, want.values)
        for level, other in zip(made.levels, want.levels, strict=True):
            assert level.arrays.keys() == other.arrays.keys()
            for name, array in level.arrays.items():
                assert array.dtype == other.arrays[name].dtype
                assert np.array_equal(array, other.arrays[name])
        assert not any(np.shares_memory(made.values, x) for x in (matrix.data,))


def test_scipy_with_room_at_the_end():
    matrix = sp.csr_matrix((np.arange(1.0, 6), np.array([0, 1, 2, 3, 3]), np.array([0, 2, 2, 3])))
    assert np.array_equal(tensor(matrix, "CSR").toarray(), matrix.toarray())


def test_damaged_scipy():
    matrix = sp.csr_matrix(DENSE)
    matrix.indices[0] = 99
    assert refusal(matrix, "CSR") == "coordinate 0 of axis 1 is 99; expected 0 .. 3"
    matrix = sp.csr_matrix(DENSE)
    matrix.indices[-1] = 99
    last = len(matrix.indices) - 1
    assert refusal(matrix, "CSR") == f"coordinate {last} of axis 1 is 99; expected 0 .. 3"
    matrix = sp.csr_matrix(DENSE)
    matrix.indptr[1] = 4
    assert refusal(matrix, "CSR") == (
        "SciPy csr: indptr[2] = 2 is less than indptr[1] = 4; fiber pointers never fall"
    )
    matrix = sp.csc_matrix(DENSE)
    matrix.indptr[-1] = 40
    assert refusal(matrix).startswith("SciPy csc: indptr ends at 40; there are 4 indices")


@pytest.mark.parametrize(
    ("fmt", "kind", "held"),
    [
        ("CSR", "csr", 5),
        ("bitmask", "csr", 5),
        ("RLE(1)", "csr", 4),
        ("dense", "csr", 4),
        ("CSC", "csc", 5),
        ("COO", "coo", 5),
        ("C C", "coo", 5),
        ("0*1:C", "coo", 5),
    ],
)
def test_scipy_out(fmt, kind, held):
    stored = sp.coo_array(([5, 6, 7, 8, 0], ([0, 0, 2, 2, 1], [0, 2, 1, 3, 1])), shape=(3, 4))
    out = tensor(stored, fmt).to_scipy()
    assert out.format == kind
    assert out.nnz == held
    assert np.array_equal(out.toarray(), DENSE)
    if kind in ("csr", "csc"):
        assert out.has_canonical_format


def test_scipy_out_of_other_than_two_axes():
    vector = tensor([0.0, 2.0, 0.0], "C").to_scipy()
    assert vector.shape == (3,)
    assert vector.toarray().tolist() == [0, 2, 0]
    with pytest.raises(TensorError, match=r"makes no sparse array of shape \(\): "):
        tensor(2.0).to_scipy()


@given(st.data())
def test_scipy_there_and_back(data):
    shape = data.draw(st.tuples(st.integers(0, 7), st.integers(0, 7)))
    array = data.draw(hnp.arrays(np.int16, shape, elements=st.sampled_from([0, 0, 1, -3])))
    fmt = data.draw(st.sampled_from(["CSR", "CSC", "COO", "U R(1)", "1:B 0:B", "1*0:R(2)"]))
    out = tensor(array, fmt).to_scipy()
    assert out.dtype == array.dtype
    assert np.array_equal(tensor(out, "dense").toarray(), array)


# ---- torch --------------------------------------------------------------------------------


def test_torch_in():
    torch = pytest.importorskip("torch")
    t = torch.from_numpy(DENSE)
    assert np.array_equal(tensor(t, "CSR").toarray(), DENSE)
    assert np.array_equal(tensor(t.t(), "CSR").toarray(), DENSE.T)
    assert np.array_equal(tensor(t.to_sparse(), "CSR").toarray(), DENSE)
    assert tensor(t.to(torch.int8)).dtype == np.int8
    assert tensor(t > 0).dtype == np.bool_


def test_torch_that_needs_a_gradient():
    torch = pytest.importorskip("torch")
    weight = torch.nn.Parameter(torch.from_numpy(DENSE))
    assert refusal(weight) == (
        "the torch tensor requires a gradient, which would be lost\n"
        "Pass x.detach(), or call inside torch.no_grad()."
    )
    assert np.array_equal(tensor(weight.detach(), "CSR").toarray(), DENSE)
    with torch.no_grad():
        assert np.array_equal(tensor(weight, "CSR").toarray(), DENSE)


def test_torch_that_numpy_lacks():
    torch = pytest.importorskip("torch")
    assert refusal(torch.zeros(2, device="meta")) == (
        "the torch tensor is on device meta; pass x.cpu()"
    )
    assert "torch values of torch.float8_e4m3fn are not read; pass x.float()" in refusal(
        torch.zeros(2).to(torch.float8_e4m3fn)
    )


def test_coordinates_out_come_in_again():
    array = np.arange(24).reshape(2, 3, 4) % 5
    coords, values = tensor(array, "1:C 2:S 0:B").coords()
    assert np.array_equal(array[coords], values)
    assert np.array_equal(Tensor.from_coords(coords, values, array.shape, "CSF").toarray(), array)


def test_a_bool_is_a_byte_of_zero_or_one_whatever_it_was():
    mask = np.array([2, 0, 255, 1], np.uint8).view(bool)  # as read from a mask of 0 and 255
    for held in (tensor(mask, "C"), tensor(mask, "U"), tensor(sp.coo_array(mask[None]), "CSR")):
        assert set(held.values.view(np.uint8).tolist()) <= {0, 1}
        assert held.toarray().reshape(-1).tolist() == [True, False, True, True]


def test_copies_and_pickles_of_a_tensor_are_read_only():
    held = tensor(np.eye(3), "CSR")
    assert copy.copy(held) is held
    assert copy.deepcopy(held) is held
    made = pickle.loads(pickle.dumps(held)).validate()
    arrays = [made.values, *(a for level in made.levels for a in level.arrays.values())]
    assert len(arrays) == 3
    assert not any(array.flags.writeable for array in arrays)


def test_types_and_room_that_there_are_not():
    assert "dtype: expected one of float64" in refusal([1.0], dtype="zz")
    endless = np.broadcast_to(np.float32(1), (2**40, 2**20))
    assert "the dense array would hold" in refusal(endless, "CSR")


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: Tensor.from_dense([1, 2], "C"), "expected an ndarray, found list"),
        (lambda: Tensor.from_coords(3, [1.0], (2,), "C"), "for each axis, found 3"),
        (lambda: Tensor.from_parts((2,), "C", 3, [1.0]), "each rank in a list, found 3"),
        (
            lambda: Tensor.from_coords(([[0], [1, 2]],), [1.0], (2,), "C"),
            "coordinates of axis 0 are no array",
        ),
        (lambda: Tensor.from_coords(([0],), [1.0], 2, "C"), "such as (2, 3), found 2"),
    ],
)
def test_parts_of_the_wrong_kind(call, line):
    with pytest.raises(TensorError) as caught:
        call()
    assert line in str(caught.value)

"""What users hand in: SciPy's oddities, strides, orders, types.  Nothing handed in changes."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from judges import sparse

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine

MATVEC = make_spec("y[i] = A[i,j] * x[j]")
BACKENDS = ("c", "interpreter", "numpy")


def product(a, x, backend="c"):
    return engine.evaluate(MATVEC, {"A": a, "x": x}, backend=backend)["y"]


# ---- SciPy ------------------------------------------------------------------------------

ROWS, COLUMNS = [2, 0, 2, 2, 0], [3, 1, 0, 3, 1]
VALUES = [1.0, 2.0, 4.0, 0.5, -2.0]
"""Unsorted; (2, 3) twice, and (0, 1) twice with a sum of 0."""
DENSE = np.array([[0, 0, 0, 0], [0, 0, 0, 0], [4, 0, 0, 1.5]])


def unsorted_csr(kind=sp.csr_array):
    """Row 2 is stored as 3, 0, 3 and row 0 as 1, 1."""
    return kind((np.array([2.0, -2, 1, 4, 0.5]), [1, 1, 3, 0, 3], [0, 2, 2, 5]), shape=(3, 4))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    "matrix",
    [
        unsorted_csr(),
        unsorted_csr(sp.csr_matrix),
        sp.csc_array((np.array([4.0, 2, -2, 0.5, 1]), [2, 0, 0, 2, 2], [0, 1, 3, 3, 5]), (3, 4)),
        sp.coo_array((VALUES, (ROWS, COLUMNS)), shape=(3, 4)),
        sp.dok_array(DENSE),
        sp.lil_array(DENSE),
        sp.bsr_array((np.array([[[4.0, 0, 0, 1.5]]]), [0], [0, 0, 0, 1]), shape=(3, 4)),
        sp.dia_array((np.array([[4.0, 0, 0, 0], [0, 0, 0, 1.5]]), [-2, 1]), shape=(3, 4)),
    ],
    ids=lambda m: type(m).__name__,
)
def test_scipy_with_duplicates_out_of_order(matrix, backend):
    x = np.array([1.0, 10, 100, 1000])
    before = matrix.copy()
    assert product(matrix, x, backend).tolist() == [0, 0, 1504]
    assert (before != matrix).nnz == 0
    for name in ("indices", "indptr", "data", "offsets"):
        if hasattr(matrix, name):
            assert np.array_equal(getattr(matrix, name), getattr(before, name))


def test_what_scipy_stores_stays_stored():
    """Explicit zeros, and duplicates that cancel, reach the result's structure."""
    kept = engine.evaluate(MATVEC, {"A": unsorted_csr(), "x": np.ones(4)}, format="C")["y"]
    assert [c.tolist() for c in kept.coords()[0]] == [[0, 2]]
    assert kept.values.tolist() == [0.0, 5.5]


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0)])
def test_scipy_without_rows_or_columns(shape):
    assert product(sp.csr_array(shape), np.ones(shape[1])).tolist() == [0] * shape[0]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 5), st.integers(-3, 3)), max_size=30))
def test_coordinates_in_any_order_add_up(entries):
    rows, columns, values = (
        (np.array(part, np.int64) for part in (zip(*entries, strict=True)))
        if entries
        else (np.zeros(0, np.int64),) * 3
    )
    want = np.zeros((5, 6), np.int64)
    np.add.at(want, (rows, columns), values)
    x = np.arange(1, 7)
    matrix = sp.coo_array((values, (rows, columns)), shape=(5, 6))
    assert product(matrix, x).tolist() == (want @ x).tolist()
    for format in ("CSR", "COO", "bitmask", "RLE(1)"):
        stored = Tensor.from_coords([rows, columns], values, (5, 6), format)
        assert product(stored, x).tolist() == (want @ x).tolist()


# ---- memory -----------------------------------------------------------------------------

_BASE = sparse(np.random.default_rng(1), (6, 8))


def _read_only():
    array = _BASE[:3, :4].copy()
    array.setflags(write=False)
    return array


def _odd_address():
    raw = np.zeros(3 * 4 * 8 + 1, np.uint8)
    array = raw[1:].view(np.float64).reshape(3, 4)
    array[:] = _BASE[:3, :4]
    return array


LAYOUTS = {
    "sliced": lambda: _BASE[:3, 2:6],
    "strided": lambda: _BASE[::2, ::2],
    "reversed": lambda: _BASE[2::-1, 3::-1],
    "transposed": lambda: _BASE.T[:3, :4],
    "Fortran": lambda: np.asfortranarray(_BASE[:3, :4]),
    "broadcast": lambda: np.broadcast_to(_BASE[0, :4], (3, 4)),
    "read-only": _read_only,
    "big-endian": lambda: _BASE[:3, :4].astype(">f8"),
    "at an odd address": _odd_address,
    "matrix": lambda: _BASE[:3, :4].copy().view(np.matrix),
    "list": lambda: _BASE[:3, :4].tolist(),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_layout_in_memory(layout, backend):
    given_array = LAYOUTS[layout]()
    x = np.array([1.0, -2, 0.5, 3])[::-1]
    want = np.asarray(np.array(given_array, float)) @ x
    before = np.array(given_array, copy=True)
    got = product(given_array, x, backend)
    assert type(got) is np.ndarray
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(np.asarray(given_array), before)
    stored = Tensor.from_dense(np.asarray(given_array), "CSR")
    np.testing.assert_allclose(product(stored, x, backend), want, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("scalar", [3, 3.0, np.float32(3), np.array(3.0), np.array(3.0, ">f8")])
def test_a_scalar_may_come_as_any_number(scalar):
    got = engine.evaluate(make_spec("y[i] = a*x[i]"), {"a": scalar, "x": np.ones(2)})["y"]
    assert got.tolist() == [3, 3]


def test_a_masked_array_is_refused_as_its_mask_would_be_lost():
    masked = np.ma.masked_array(np.ones((2, 2)), mask=[[True, False], [False, False]])
    with pytest.raises(TensorError, match=r"a masked array has places without a value"):
        product(masked, np.ones(2))


def test_results_are_fresh_writable_and_contiguous():
    a, x = np.ones((2, 2)), np.ones(2)
    first, second = product(a, x), product(a, x)
    assert first.flags.writeable
    assert first.flags.c_contiguous
    assert not np.shares_memory(first, second)
    same = engine.evaluate(make_spec("y[i] = x[i]"), {"x": x})["y"]
    assert not np.shares_memory(same, x)


# ---- types ------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("left", "right", "result"),
    [
        ("float64", "float32", "float64"),
        ("float32", "float32", "float32"),
        ("float32", "int8", "float32"),
        ("float32", "int32", "float64"),
        ("float64", "bool", "float64"),
        ("int8", "int8", "int32"),
        ("int16", "int8", "int32"),
        ("int32", "int64", "int64"),
        ("bool", "int8", "int32"),
        ("bool", "bool", "int64"),
        ("bool", "float32", "float32"),
    ],
)
def test_types_are_promoted_as_numpy_does_and_widened(left, right, result, backend):
    a = np.array([[1, 0, 1], [0, 1, 1]]).astype(left)
    x = np.array([1, 1, 0]).astype(right)
    for given_a in (a, Tensor.from_dense(a, "CSR"), Tensor.from_dense(a, "bitmask")):
        got = product(given_a, x, backend)
        assert got.dtype == result
        assert got.tolist() == [1, 1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_integers_wrap_around_as_numpys_do(dtype, backend):
    top = np.iinfo(dtype).max
    a = np.array([[top, top], [top, 1]], dtype)
    x = np.array([2, 3], dtype)
    with np.errstate(over="ignore"):
        want = (a * x).sum(1, dtype=dtype)
    assert product(a, x, backend).tolist() == want.tolist()
    assert product(Tensor.from_dense(a, "CSR"), x, backend).tolist() == want.tolist()


def test_int8_sums_do_not_wrap():
    a, x = np.full((1, 1000), 127, np.int8), np.full(1000, 127, np.int8)
    assert product(a, x).tolist() == [1000 * 127 * 127]
    assert product(Tensor.from_dense(a, "CSR"), x).tolist() == [1000 * 127 * 127]


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_an_absent_value_times_anything_is_absent(backend):
    a = np.array([[0, 1.0], [2, 0]])
    x = np.array([np.inf, np.nan])
    got = product(Tensor.from_dense(a, "CSR"), x, backend)
    assert np.isnan(got[0])
    assert got[1] == np.inf
    assert np.isnan(product(a, x, backend)).all()


def test_a_stored_nan_is_seen():
    a = np.array([[0, np.nan], [2, 0]])
    got = product(Tensor.from_dense(a, "CSR"), np.array([1.0, 0]))
    assert np.isnan(got[0])
    assert got[1] == 2


@pytest.mark.parametrize(
    ("operand", "found"),
    [
        (np.ones((2, 2), complex), "complex128\nStore the real and the imaginary part"),
        (np.array([["a", "b"]]), "<U1"),
        (np.array([[1, None]], object), "object"),
        (np.ones((2, 2), np.longdouble), "float128\nConvert with .astype('float64')."),
        (np.zeros((2, 2), "M8[s]"), "datetime64"),
        (sp.csr_array(np.ones((2, 2), complex)), "complex128"),
        (None, "object"),
        ("text", "<U4"),
    ],
    ids=lambda x: str(getattr(x, "dtype", x))[:12],
)
def test_types_that_are_no_numbers_of_ours(operand, found):
    with pytest.raises(TensorError, match="A: expected values of type float64, float32") as error:
        product(operand, np.ones(2))
    assert f"; found {found}" in str(error.value)


def test_a_density_says_how_to_get_values():
    with pytest.raises(TensorError, match=r"A is a Density, which has no values.*\n.*\.sample\("):
        product(Density((3, 4), 0.5), np.ones(4))


def test_what_becomes_an_array_is_taken_as_one():
    class Held:
        def __array__(self, dtype=None, copy=None):
            return np.eye(2)

    assert product(Held(), np.array([3.0, 4])).tolist() == [3, 4]


def test_a_ragged_list_is_refused():
    with pytest.raises(TensorError, match=r"A: list is no array of numbers: .*inhomogeneous"):
        product([[1, 2], [3]], np.ones(2))

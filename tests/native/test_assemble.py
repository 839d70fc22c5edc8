"""Sparse results: sorted, structural, in every format, without a dense copy."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import FormatError, KernelError
from zeroskip.native import appending, assemble, results, rows
from zeroskip.native.engine import evaluate
from zeroskip.native.prepared import run
from zeroskip.native.recent import Recent

OPERANDS = ("CSR", "CSC", "COO", "bitmask", "RLE(1)", "a:C b:C", "2:4", None)
RESULTS = ("CSR", "CSC", "COO", "bitmask", "RLE(2)", "a:C b:C")

LINES = [
    ("C[i,k] = A[i,j]*B[j,k]", {"A": (7, 8), "B": (8, 5)}),
    ("C[k,i] = A[i,j]*B[j,k]", {"A": (7, 8), "B": (8, 5)}),
    ("C[i,j] = A[i,j] + B[i,j]", {"A": (7, 8), "B": (7, 8)}),
    ("C[i,j] = A[i,j] - 2*B[j,i]", {"A": (7, 8), "B": (8, 7)}),
    ("C[i,j] = A[i,j]*B[i,j]", {"A": (7, 8), "B": (7, 8)}),
    ("S[i,j] = M[i,j]*A[i,k]*B[k,j]", {"M": (7, 8), "A": (7, 3), "B": (3, 8)}),
    ("C[i,j] = relu(A[i,j]*x[j])", {"A": (7, 8), "x": (8,)}),
    ("C[i,j] = (i <= j)*A[i,j]", {"A": (7, 8)}),
    ("C[i,j] = A[i,k]*A[j,k]", {"A": (6, 5)}),
    ("C[i,j] = relu(min(2, A[i,j] + b*(A[i,j] != 0)))", {"A": (6, 5), "b": ()}),
    ("C[p,q] = I[p+r,q+s]*W[r,s]", {"I": (8, 9), "W": (3, 3)}),
    ("C[i,k] = A[i,j]*B[j,k]", {"A": (0, 8), "B": (8, 1)}),
]


def drawn(rng, shape):
    x = rng.integers(-3, 4, shape).astype(float)
    x = np.where(rng.random(shape) < 0.3, x, 0.0)
    if x.ndim == 2 and x.shape[0] > 2:
        x[1] = 0
    return x


@pytest.mark.parametrize("name", ["sum", "k", "at", "n_row", "place"])
def test_a_rank_may_be_called_as_the_kernel_s_own_names(name):
    rng = np.random.default_rng(3)
    A, B = drawn(rng, (7, 8)), drawn(rng, (8, 5))
    line = f"C[{name},j] = A[{name},l]*B[l,j]"
    made = zs.einsum(line, A=zs.tensor(A, "CSR"), B=B, format="CSR")
    assert np.array_equal(made.toarray(), A @ B)


@pytest.mark.parametrize("one_row", [True, False])
@pytest.mark.parametrize(("text", "shapes"), LINES)
def test_every_format_of_operands_and_result(monkeypatch, text, shapes, one_row):
    monkeypatch.setattr(rows, "SMALL_RESULT", rows.SMALL_RESULT if one_row else 0)
    monkeypatch.setattr(results, "_planned", Recent(100))
    rng = np.random.default_rng(len(text))
    dense = {name: drawn(rng, shape) for name, shape in shapes.items()}
    layer = zs.layer(text)
    want = layer(backend="numpy", **dense)
    turn = itertools.count()
    for formats in itertools.product(OPERANDS, repeat=min(len(dense), 2)):
        given = dict(dense)
        try:
            for (name, x), format in zip(dense.items(), formats, strict=False):
                if format is not None and x.ndim == 2:
                    given[name] = zs.tensor(x, format)
        except (FormatError, zs.TensorError):
            continue
        n = next(turn)
        for backend in ("c", "interpreter") if n % 8 == 0 else ("c",):
            made = layer(format=RESULTS[n % len(RESULTS)], backend=backend, **given)
            assert np.array_equal(made.validate().toarray(), want), (formats, backend)


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_what_cancels_stays_stored_and_relu_drops_zeros(backend):
    A = zs.tensor([[1.0, 0.0], [2.0, 0.0]], "CSR")
    B = zs.tensor([[-1.0, 0.0], [0.0, 3.0]], "CSR")
    made = zs.einsum("C[i,j] = A[i,j] + B[i,j]", A=A, B=B, format="CSR", backend=backend)
    assert made.coords()[1].tolist() == [0.0, 2.0, 3.0]
    made = zs.einsum("C[i,j] = relu(A[i,j] + B[i,j])", A=A, B=B, format="CSR", backend=backend)
    assert made.coords()[1].tolist() == [2.0, 3.0]


@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_bridges_reach_nothing(backend):
    A = zs.tensor([1.0, *[0] * 6, 2.0], "RLE(1)")
    assert A.stored > 2
    x = np.ones(8)
    made = zs.einsum("C[i] = A[i]*x[i]", A=A, x=x, format="COO", backend=backend)
    assert made.stored == 2


def test_a_product_whose_dense_result_has_no_room():
    n = 100_000
    A = sp.random_array((n, n), density=2 / n, format="csr", rng=1)
    made = zs.einsum("C[i,k] = A[i,j]*B[j,k]", A=A, B=A, format="CSR")
    want = A @ A
    assert made.stored == want.nnz
    assert abs(made.to_scipy() - want).max() < 1e-12


@pytest.mark.parametrize("format", ["CSR", "bitmask"])  # of which no row is listed
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
@pytest.mark.parametrize("backend", ["c", "interpreter"])
def test_rows_that_are_swept_keep_what_cancels_and_what_is_not_finite(dtype, backend, format):
    """Rows of every fill from one place in 128 on, and emptier ones between them."""
    rng = np.random.default_rng(7)
    n, extent = 24, 64 * 9 + 5
    share = np.array([0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 0] * 3)[:, None]
    stored = rng.random((n, extent)) < share
    b = np.where(stored, rng.integers(1, 9, (n, extent)), 0).astype(dtype)
    if np.dtype(dtype).kind == "f":
        b[5, np.flatnonzero(b[5])[::7]] = np.inf
        b[6, np.flatnonzero(b[6])[::5]] = np.nan
    turns = np.concatenate([np.arange(n), rng.integers(0, n, 40)])
    a = np.zeros((len(turns), 2 * n), dtype)
    a[np.arange(len(turns)), turns] = 3
    a[np.arange(len(turns)), n + turns] = -3  # whatever the row holds cancels: 0, or NaN
    a[::3, n:] = 0
    A, B = zs.tensor(a, "CSR"), zs.tensor(np.concatenate([b, b]), format)
    made = zs.einsum("C[i,k] = A[i,j]*B[j,k]", A=A, B=B, format="CSR", backend=backend).validate()
    rows_of, places = np.nonzero(b[turns])
    cancels = np.arange(len(turns))[:, None] % 3 != 0
    want = 3 * b[turns]
    with np.errstate(invalid="ignore"):
        want = np.where(cancels, want - want, want)
    coords, values = made.coords()
    assert np.array_equal(coords[0], rows_of)
    assert np.array_equal(coords[1], places)
    assert np.array_equal(values, want[rows_of, places], equal_nan=np.dtype(dtype).kind == "f")


@pytest.mark.parametrize("extent", [1, 63, 64, 65, 4095, 4097, 300_000, 20_000_000])
@pytest.mark.parametrize("op", ["+", "max"])
@pytest.mark.parametrize("format", ["CSR", "bitmask"])  # under which no row is listed
def test_rows_of_any_fill_come_in_order(extent, op, format):
    """Full rows, short lists, bitmaps of two levels, and lists too long for the one, too short
    for the other; each row finds the workspace as the one before left it."""
    rng = np.random.default_rng(extent)
    lengths = [n for n in (0, 1, 2, 12, 13, 60, 700, extent // 7, extent) if n <= min(extent, 5000)]
    crd = [np.sort(rng.choice(extent, n, replace=False, shuffle=False)) for n in lengths]
    pos = np.concatenate([[0], np.cumsum(lengths)])
    rows, places = len(lengths), np.concatenate(crd).astype(np.int64)
    values = rng.integers(-9, -1, len(places)).astype(float)
    B = zs.tensor(sp.csr_array((values, places, pos), shape=(rows, extent)), "CSR")
    order = np.arange(rows)[::-1]
    A = sp.csr_array((np.ones(2 * rows), (np.tile(np.arange(rows), 2), np.tile(order, 2))))
    line = {"+": "C[i,k] = A[i,j]*B[j,k]", "max": "C[i,k] max= A[i,j] + B[j,k]"}[op]
    A = zs.tensor(A, format)
    if op == "max":  # what is absent is the least of all
        A, B = (
            zs.Tensor.from_coords(x.coords()[0], x.coords()[1], x.shape, x.format, fill=-np.inf)
            for x in (A, B)
        )
    made = zs.einsum(line, A=A, B=B, format="CSR").validate()
    assert made.levels[1].arrays["crd"].tolist() == np.concatenate(crd[::-1]).tolist()
    at = np.split(values, pos[1:-1])[::-1]
    want = np.concatenate(at) * 2 if op == "+" else np.concatenate(at) + 2
    assert made.values.tolist() == want.tolist()


@pytest.mark.parametrize("backend", ["c", "interpreter"])
@pytest.mark.parametrize("kept", [0, 1, 3, 40])
@pytest.mark.parametrize("dtype", ["float32", "float64", "int8", "int64", "bool"])
def test_rows_between_empty_and_full_keep_what_cancels(dtype, kept, backend):
    """Column 0 of every row of the result that has one is a sum that cancels, in types that can."""
    rng = np.random.default_rng(kept)
    A = np.zeros((6, 4), dtype)
    A[1, :2] = A[4, :2] = 1  # all other rows are empty
    B = np.zeros((4, 41), dtype)
    B[:2, 1 + rng.permutation(40)[:kept]] = 1
    B[0, 0], B[1, 0] = 1, (1 if dtype == "bool" else -1)
    given = {"A": zs.tensor(A, "CSR"), "B": zs.tensor(B, "CSR")}
    made = zs.einsum("C[i,k] = A[i,j]*B[j,k]", format="CSR", backend=backend, **given).validate()
    want = zs.einsum("C[i,k] = A[i,j]*B[j,k]", backend="numpy", A=A, B=B)
    assert np.array_equal(made.toarray(), want)
    assert made.dtype == want.dtype
    assert (
        made.levels[1].arrays["pos"].tolist()
        == np.cumsum([0, 0, kept + 1, 0, 0, kept + 1, 0]).tolist()
    )
    assert made.coords()[0][1].tolist() == 2 * [0, *np.flatnonzero(B[0, 1:]) + 1]


@pytest.mark.parametrize("extent", [2, 7, 8, 9, 67, 1001, 2**16 + 11])
@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "uint16", "int32", "int64", "uint64", "bool"]
)
def test_rows_after_a_full_one(dtype, extent):
    """They are swept without a list: full again, empty, with one place, or with a few, also where
    sums cancel, and where the room ends with the last of them."""
    rng = np.random.default_rng(extent)
    B = np.zeros((6, extent), dtype)
    B[0] = rng.integers(1, 4, extent) if dtype != "bool" else True
    B[1] = 1
    B[2, extent // 2] = 1
    B[3, rng.random(extent) < 0.3] = 1
    B[4] = 0 - B[3] if dtype != "bool" else B[3]
    turns = [0, 1, 5, 0, 2, 2, 1, 3, 3, 0, 5, 5, 0, 1]
    A = np.zeros((len(turns), 6), dtype)
    A[np.arange(len(turns)), turns] = 1
    A[7:9, 4] = 1  # cancels
    # of a bitmask it is not known how many products there will be: no row is listed
    given = {"A": zs.tensor(A, "CSR"), "B": zs.tensor(B, "bitmask")}
    places = [np.flatnonzero(B[turn]) for turn in turns]
    wide = np.result_type(dtype, np.float32) if dtype == "float16" else np.dtype(dtype)
    for backend in ("c", "interpreter") if extent < 100 else ("c",):
        made = zs.einsum("C[i,k] = A[i,j]*B[j,k]", format="CSR", backend=backend, **given)
        want = zs.einsum("C[i,k] = A[i,j]*B[j,k]", backend="numpy", A=A, B=B)
        assert np.array_equal(made.validate().toarray().astype(wide), want.astype(wide)), backend
        assert made.levels[1].arrays["crd"].tolist() == np.concatenate(places).tolist()


@pytest.mark.parametrize(
    ("shape", "format", "wide"),
    [
        ((3, 2**16), "CSR", "uint16"),
        ((3, 2**16 + 1), "CSR", "int32"),
        ((2, 3, 2**8), "a:U b*c:C", "uint16"),
        ((2, 3, 2**16), "a:U b*c:C", "int32"),
        ((2, 3, 2**8), "a:U b:U c:C(24)", "uint16"),
        ((2, 3, 2**8), "a*b:U c:C", "uint16"),
        ((2, 3, 2**8), "a:C b*c:C", "uint16"),
        ((2, 3, 2**8), "[a,b,c] a*c:C b:C", "uint16"),
    ],
)
def test_places_are_as_wide_as_their_rank_in_any_format(shape, format, wide):
    """Whether a format stores rows as they are assembled or not, it is the one asked for."""
    rng = np.random.default_rng(2)
    x = np.where(rng.random(shape) < 0.01, 1.0, 0.0)
    x[..., -1] = 2.0
    names = ",".join("abc"[: len(shape)])
    A = zs.tensor(x, "CSR")
    for backend in ("c", "interpreter") if x.size < 2**12 else ("c",):
        made = zs.einsum(f"C[{names}] = 2*A[{names}]", A=A, format=format, backend=backend)
        want = zs.tensor(2 * x, format)
        assert made.validate().format == want.format
        for level, other in zip(made.levels, want.levels, strict=True):
            assert level.arrays.keys() == other.arrays.keys()
            for name, array in level.arrays.items():
                assert array.tolist() == other.arrays[name].tolist()
                assert array.dtype == other.arrays[name].dtype
                assert not array.flags.writeable
        assert made.levels[-1].arrays["crd"].dtype == wide
        assert made.values.tolist() == want.values.tolist()


def test_a_result_does_not_keep_the_room_that_it_did_not_need():
    A, B = (zs.tensor(np.ones(shape), "CSR") for shape in ((50, 50), (50, 2)))
    made = zs.einsum("C[i,k] = A[i,j]*B[j,k]", A=A, B=B, format="CSR")
    assert made.stored == 100 < assemble.FIRST_ROOM // 2
    for array in (made.values, made.levels[1].arrays["crd"]):
        held = array if array.base is None else array.base
        assert held.nbytes <= 2 * array.nbytes


def test_a_product_by_rows_runs_once(monkeypatch):
    A = zs.tensor(sp.random_array((200, 200), density=0.1, format="csr", rng=1), "CSR")
    ran = []
    monkeypatch.setattr(results, "run", lambda *given: ran.append(run(*given)))
    spec = make_spec("C[i,k] = A[i,j]*A[j,k]")
    made = evaluate(spec, {"A": A}, format="CSR")["C"]
    assert made.stored > assemble.first_room({"A": A})
    assert len(ran) == 1
    monkeypatch.setattr(appending, "lately_available", lambda: 0)  # then a guess, and a second run
    monkeypatch.setattr(appending, "SMALL_BYTES", 0)
    again = evaluate(spec, {"A": A}, format="CSR")["C"]
    assert np.array_equal(again.toarray(), made.toarray())
    assert len(ran) == 3


def test_the_first_guess_may_be_too_small(monkeypatch):
    monkeypatch.setattr(assemble, "FIRST_ROOM", 1)
    monkeypatch.setattr(appending, "most_products", lambda line: None)
    A = zs.tensor(np.eye(1, 5) + 1.0 * (np.arange(5) == 0)[:, None], "CSR")
    B = zs.tensor(np.ones((5, 40)), "CSR")
    made = zs.einsum("C[i,k] = A[i,j]*B[j,k]", A=A, B=B, format="CSR")
    assert np.array_equal(made.toarray(), A.toarray() @ B.toarray())


def test_lines_of_a_cascade_keep_their_format_and_dead_ones_are_left_out():
    layer = zs.layer("T[i,k] = A[i,j]*B[j,k]\nX[i] += W[V[i],k]\nY[i] = T[i,k]*x[k]")
    A, B, x = np.eye(4), np.tri(4), np.ones(4)
    dead = {"W": np.ones((2, 4)), "V": np.full(4, 9)}  # would be refused, were it read
    given = {"A": zs.tensor(A, "CSR"), "B": zs.tensor(B, "CSR"), "x": x, **dead}
    got = layer(format={"T": "CSR"}, **given)
    assert np.array_equal(got, A @ B @ x)
    with pytest.raises(KernelError) as caught:
        layer(format={"Q": "CSR"}, **given)
    assert str(caught.value) == "format names 'Q', which no line computes\nResults: T, X, Y."


def test_graphchallenge_gives_the_true_categories(shared_data: Path):
    """30 layers of 1024 neurons, every result sparse: exactly the categories of the file."""
    held = np.load(shared_data / "nets" / "sdnn1024.npz")

    def matrix(name, value, rows):
        indices, pointers = held[f"{name}_indices"], held[f"{name}_indptr"]
        values = np.full(len(indices), value, np.float32)
        return zs.tensor(sp.csr_array((values, indices, pointers), shape=(rows, 1024)), "CSR")

    layer = zs.layer("T[i,k] = Y[i,j]*W[j,k]\nZ[i,k] = min(32, relu(T[i,k] + b*(T[i,k] != 0)))")
    y = matrix("x", 1, len(held["x_indptr"]) - 1)
    bias = np.float32(held["bias"])
    assert held["ymax"] == 32
    for n in range(1, 31):
        weights = matrix(f"l{n}", float(held["value"]), 1024)
        y = layer(Y=y, W=weights, b=bias, format={"T": "CSR", "Z": "CSR"})
        assert y.format.label == "CSR"
    rows = zs.einsum("C[i] |= Y[i,k] != 0", Y=y)
    assert np.array_equal(np.flatnonzero(rows), np.sort(held["categories"].ravel()))

"""Rows of few products: listed, sorted and added up, whatever their places and their repeats."""

import numpy as np
import pytest
import scipy.sparse as sp
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.native import appending, assemble, results, settings, texts

RNG = np.random.default_rng(34)
FEW = 512  # ZS_LIST
PRODUCT = "C[i,k] = A[i,j]*B[j,k]"


def test_the_limit_is_that_of_the_header():
    assert f"#define ZS_LIST {FEW}\n" in texts.header("zs_lists.h")


def rows(lengths, extent, rng=RNG):
    """A matrix with so many entries in each row, at places of its own; small whole values."""
    crd = [np.sort(rng.choice(extent, n, replace=False, shuffle=False)) for n in lengths]
    pos = np.concatenate([[0], np.cumsum(lengths)])
    values = rng.integers(-3, 4, pos[-1]).astype(float)
    places = np.concatenate(crd) if crd else np.empty(0, np.int64)
    return sp.csr_array((values, places, pos), shape=(len(lengths), extent))


def judged(a, b, text=PRODUCT, **more):
    """The product, against SciPy's, in places (by a product of ones) and values."""
    made = zs.einsum(text, A=zs.tensor(a, "CSR"), B=zs.tensor(b, "CSR"), format="CSR", **more)
    made = made.validate()
    ones = [sp.csr_array((np.ones(m.nnz), m.indices, m.indptr), m.shape) for m in (a, b)]
    reached = (ones[0] @ ones[1]).tocsr()
    reached.sort_indices()
    assert np.array_equal(made.levels[1].arrays["pos"], reached.indptr)
    assert np.array_equal(made.levels[1].arrays["crd"], reached.indices)
    assert np.array_equal(made.toarray(), (a @ b).toarray())
    return made


@pytest.mark.parametrize("extent", [1, 2, 15, 17, 300, 2**16 - 1, 2**16, 2**16 + 1])
def test_rows_of_every_count_of_products(extent):
    """Of none, of one, of as many as a vector, of one more, of as many as are listed, of more."""
    lengths = [0, 1, 2, 3, 15, 16, 17, 31, 33, 64, 100, 255, 257, FEW - 1, FEW, FEW + 1, 900]
    b = rows([n for n in lengths if n <= extent], extent)
    turns = np.concatenate([np.arange(b.shape[0]), RNG.integers(0, b.shape[0], 40)])
    a = np.zeros((len(turns), b.shape[0]))
    a[np.arange(len(turns)), turns] = RNG.integers(1, 4, len(turns))
    a[::3, RNG.integers(0, b.shape[0])] -= 1  # some rows are sums of two
    judged(sp.csr_array(a), b)


@pytest.mark.parametrize("backend", ["c", "interpreter"])
@pytest.mark.parametrize("seed", range(6))
def test_drawn_products(seed, backend):
    """Few places, so that many products meet at one."""
    rng = np.random.default_rng(seed)
    n, m, extent = rng.integers(1, 40, 3)
    a = rows(rng.integers(0, m + 1, n), m, rng)
    b = rows(rng.integers(0, extent + 1, m), extent, rng)
    judged(a, b, backend=backend)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int8", "int32", "int64", "bool"]
)
def test_what_cancels_is_stored_and_whole_numbers_wrap(dtype):
    most = 1 if dtype == "bool" else np.finfo(dtype).max if dtype[0] == "f" else np.iinfo(dtype).max
    a = np.array([[1, 1, 0], [0, 0, 1], [1, 0, 1], [0, 0, 0]], dtype)
    b = np.zeros((3, 70_000), dtype)
    b[0, [0, 9, 69_999]] = 1
    b[1, [0, 9]] = 1 if dtype == "bool" else np.array(-1).astype(dtype)
    b[2, [9, 10]] = most
    made = zs.einsum(PRODUCT, A=zs.tensor(a, "CSR"), B=zs.tensor(b, "CSR"), format="CSR")
    assert made.validate().levels[1].arrays["pos"].tolist() == [0, 3, 5, 9, 9]
    assert made.coords()[0][1].tolist() == [0, 9, 69_999, 9, 10, 0, 9, 10, 69_999]
    with np.errstate(over="ignore"):
        want = zs.einsum(PRODUCT, A=a, B=b, backend="numpy")
    assert np.array_equal(made.toarray(), want)
    assert made.dtype == want.dtype


def test_a_negative_zero_is_as_in_any_other_row():
    a = sp.csr_array(np.array([[-1.0], [1.0]]))
    few, many = np.zeros((1, 3)), np.zeros((1, 5000))
    few[0], many[0] = 1.0, 1.0
    for b in (few, many):
        stored = zs.tensor(b, "CSR")
        zero = zs.Tensor.from_coords(stored.coords()[0], 0 * stored.values, b.shape, "CSR")
        made = zs.einsum(PRODUCT, A=zs.tensor(a, "CSR"), B=zero, format="CSR")
        assert made.stored == 2 * b.size
        assert not np.signbit(made.values).any()


@pytest.mark.parametrize(
    "text", ["C[i,k] = relu(sum[j](A[i,j]*B[j,k]))", "C[i,k] = sum[j](A[i,j]*relu(B[j,k]))"]
)
def test_a_relu_drops_zeros(text):
    a, b = rows([0, 1, 5, 9, 30], 40), rows(RNG.integers(0, 30, 40), 300)
    made = zs.einsum(text, A=zs.tensor(a, "CSR"), B=zs.tensor(b, "CSR"), format="CSR").validate()
    want = zs.einsum(text, A=a.toarray(), B=b.toarray(), backend="numpy")
    assert np.array_equal(made.toarray(), want)
    assert made.stored == np.count_nonzero(want)


@pytest.mark.parametrize("op", ["max", "min"])
def test_other_reductions(op):
    fill = {"max": -np.inf, "min": np.inf}[op]
    a, b = rows([0, 1, 5, 9, 30], 40), rows(RNG.integers(0, 30, 40), 300)
    given = {}
    for name, x in (("A", a), ("B", b)):
        stored = zs.tensor(x, "CSR")
        given[name] = zs.Tensor.from_coords(
            stored.coords()[0], stored.values, x.shape, "CSR", fill=fill
        )
    made = zs.einsum(f"C[i,k] {op}= A[i,j] + B[j,k]", format="CSR", **given).validate()
    dense = {name: x.toarray() for name, x in given.items()}
    sums = dense["A"][:, :, None] + dense["B"][None]
    want = getattr(sums, op)(axis=1)
    assert np.array_equal(made.toarray(), want)


def test_unions_and_masks():
    a, b, mask = (rows(RNG.integers(0, 50, 50), 50 + 20 * k) for k in range(3))
    b, mask = b[:, :50].tocsr(), mask[:, :50].tocsr()
    given = {"A": zs.tensor(a, "CSR"), "B": zs.tensor(b, "CSR"), "M": zs.tensor(mask, "CSR")}
    dense = {"A": a.toarray(), "B": b.toarray(), "M": mask.toarray()}
    for text in ("C[i,k] = A[i,k] + B[i,k] + M[i,k]", "C[i,k] = A[i,j]*B[j,k]*M[i,k]"):
        made = zs.einsum(text, format="CSR", **given).validate()
        assert np.array_equal(made.toarray(), zs.einsum(text, backend="numpy", **dense))


def test_places_that_leave_no_room_for_numbers():
    """From 2**23 places on fewer products are listed, and from 2**28 on none."""
    for extent in (2**23, 2**26 + 3, 2**28):
        b = rows([0, 3, 40, 70, 600], 5000)
        b.indices = b.indices * ((extent - 1) // 4999)
        b = sp.csr_array((b.data, b.indices, b.indptr), shape=(5, extent))
        a = sp.csr_array(
            np.array([[1, 0, 0, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 2, 0], [1, 1, 1, 1, 1.0]])
        )
        made = zs.einsum(PRODUCT, A=zs.tensor(a, "CSR"), B=zs.tensor(b, "CSR"), format="CSR")
        assert abs(made.validate().to_scipy() - a @ b).max() == 0
        assert made.stored >= (a @ b).nnz


def test_the_guess_of_room_may_be_too_small(monkeypatch):
    monkeypatch.setattr(assemble, "FIRST_ROOM", 1)
    monkeypatch.setattr(appending, "most_products", lambda line: None)
    judged(rows([5, 0, 30, 40, 2], 60), rows(RNG.integers(0, 50, 60), 90))


@pytest.mark.parametrize("threads", [1, 2])
def test_results_are_equal_to_the_bit_for_any_number_of_threads(threads):
    a, b = rows([5, 0, 30, 40, 2], 60), rows(RNG.integers(0, 50, 60), 90)
    with settings.using(threads=threads):
        judged(a, b)


def test_a_long_product_is_one_of_many_products(monkeypatch):
    """Not one of many places: those that nothing reaches are not visited."""
    a, b = rows([1] * 50, 10**6), rows([1] * 10**4, 10**6)
    b = sp.csr_array((b.data, b.indices, np.pad(b.indptr, (0, 10**6 - 10**4), "edge")))
    b.resize(10**6, 10**6)
    line = line_of(make_spec(PRODUCT), {"A": zs.tensor(a, "CSR"), "B": zs.tensor(b, "CSR")})
    chosen = results.assembly_of(line)
    assert not results.rows_kernel(line, chosen)[1].long
    monkeypatch.setattr(appending, "LONG", 51)
    assert results.rows_kernel(line, chosen)[1].long


@pytest.mark.parametrize("extent", [200, 2**16 + 3])
def test_fibers_one_after_the_other_of_every_count_of_keys(extent):
    """As many as are sorted one vector at a time, as a block has, and as several blocks have."""
    b = rows(RNG.integers(0, 24, 90), extent)
    turns = [RNG.permutation(90)[: 1 + n // 2] for n in range(150)]
    a = np.zeros((len(turns), 90))
    for row, met in zip(a, turns, strict=True):
        row[met] = RNG.choice([-1, 1, 2], len(met))
    counts = (a != 0) @ np.diff(b.indptr)
    assert counts.min() < 80
    assert counts.max() > FEW
    assert len(set(counts // 16)) > 30
    judged(sp.csr_array(a), b)

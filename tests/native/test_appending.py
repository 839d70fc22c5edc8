"""Kernels that append the rows of sparse results, kept filled from one call to the next."""

import weakref

import numpy as np
import pytest
import scipy.sparse as sp

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import appending, assemble, estimate
from zeroskip.native.bound import Bound
from zeroskip.native.reference import evaluate

PRODUCT = "C[i,k] = A[i,j]*B[j,k]"
LINES = [
    PRODUCT,
    "C[i,k] = relu(A[i,j]*B[j,k])",
    "C[i,j] = A[i,j] + B[i,j]",
    "C[i,j] = 2*A[i,j]*B[i,j]",
    "C[i,k] = A[i,j]*B[j,k]*D[j]",
]
HELD = [(), ("A",), ("B",), ("A", "B")]


def drawn(rng, shape, stored, dtype="float64"):
    """So many entries at places of their own; small whole values."""
    x = np.zeros(shape, dtype)
    x.flat[rng.permutation(x.size)[:stored]] = rng.choice([-3, -2, -1, 1, 2, 3], stored)
    return x


def calls(spec, held, count=5, dtype="float64"):
    """So many results, each with what NumPy says."""
    rng = np.random.default_rng(len(spec.text))
    first = {name: drawn(rng, (18, 18), 90, dtype) for name in spec.operands if name != "D"}
    bound = Bound(spec, {name: Tensor.from_dense(first[name], "CSR") for name in held})
    for _ in range(count):
        stored = rng.integers(64, 128) if held else 90  # which are alike where something is held
        fresh = {n: drawn(rng, (18, 18), stored, dtype) for n in first}
        fresh |= {name: first[name] for name in held}
        if "D" in spec.operands:
            fresh["D"] = rng.integers(1, 4, 18).astype(dtype)
        given = {n: x if n == "D" else Tensor.from_dense(x, "CSR") for n, x in fresh.items()}
        (want,) = evaluate(spec, fresh).values()
        given = {n: x for n, x in given.items() if n not in held}
        yield bound, bound.run(given, format="CSR"), want


@pytest.fixture
def fills(monkeypatch):
    """What was filled, or not."""
    found, real = [], Bound._filled_rows
    monkeypatch.setattr(
        Bound, "_filled_rows", lambda *given: found.append(real(*given)) or found[-1]
    )
    return found


@pytest.mark.parametrize("text", LINES)
@pytest.mark.parametrize("held", HELD)
def test_calls_one_after_the_other(text, held, fills):
    """Each its own entries; no result is changed by what follows."""
    spec = make_spec(text)
    made = list(calls(spec, held))
    for _, got, want in made:
        assert np.array_equal(got.validate().toarray(), want)
    assert len(fills) == 1
    assert fills[0] is not None


@pytest.mark.parametrize("dtype", ["float32", "int64", "int8", "float16"])
def test_types(dtype, fills):
    for _, got, want in calls(make_spec(PRODUCT), ("B",), dtype=dtype):
        assert got.dtype == want.dtype
        assert np.array_equal(got.validate().toarray(), want)
    assert len(fills) == 1


@pytest.mark.parametrize("text", LINES)
def test_a_second_run_finds_the_workspace_empty(text, monkeypatch):
    """Where there was too little room in the first."""
    monkeypatch.setattr(assemble, "FIRST_ROOM", 1)
    monkeypatch.setattr(assemble, "first_room", lambda used: 7)
    monkeypatch.setattr(appending, "factors_of", lambda line: None)
    monkeypatch.setattr(appending, "most_products", lambda line: None)
    for _, got, want in calls(make_spec(text), ("B",)):
        assert got.stored > 7
        assert np.array_equal(got.validate().toarray(), want)


def test_shortest_paths(fills):
    """Sums start from the infinity that is not stored, also in a workspace of an earlier call."""
    rng = np.random.default_rng(7)

    def paths():
        x = drawn(rng, (9, 9), 24)
        return np.where(x == 0, np.inf, x)

    b = paths()
    bound = zs.layer("C[i,k] min= A[i,j]+B[j,k]").bind(B=Tensor.from_dense(b, "CSR", fill=np.inf))
    for _ in range(4):
        a = paths()
        made = bound(A=Tensor.from_dense(a, "CSR", fill=np.inf), format="CSR")
        assert np.array_equal(made.toarray(), (a[:, :, None] + b[None]).min(axis=1))
    assert len(fills) == 1
    assert fills[0] is not None


def test_stored_cancellations_are_kept():
    A = Tensor.from_dense(np.array([[1.0, -1.0], [0, 2.0]]), "CSR")
    B = Tensor.from_dense(np.ones((2, 3)), "CSR")
    bound = zs.layer(PRODUCT).bind(B=B)
    assert [bound(A=A, format="CSR").stored for _ in range(3)] == [6, 6, 6]


@pytest.mark.parametrize("held", [(), ("B",)])
def test_no_result_is_kept(held, fills):
    for bound, got, _ in calls(make_spec(PRODUCT), held):
        left = [weakref.ref(got.values), *map(weakref.ref, got.levels[1].arrays.values())]
        del got
        assert [one() for one in left] == [None, None, None]
        assert bound._appendings._idle
    (one,) = fills
    assert one.line.used.keys() == {*held}
    assert one.ready.kept is None


def test_an_interrupted_kernel_shares_nothing_with_the_next_call(monkeypatch):
    def interrupted(self, long=None):
        raise KeyboardInterrupt

    a, b = (drawn(np.random.default_rng(n), (6, 6), 12) for n in (1, 2))
    bound = Bound(make_spec(PRODUCT), {"B": Tensor.from_dense(b, "CSR")})
    given = {"A": Tensor.from_dense(a, "CSR")}
    bound.run(given, format="CSR")
    ((one,),) = bound._appendings._idle.values()
    monkeypatch.setattr(type(one.ready), "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bound.run(given, format="CSR")
    monkeypatch.undo()
    assert np.array_equal(bound.run(given, format="CSR").toarray(), a @ b)
    ((other,),) = bound._appendings._idle.values()
    assert other is not one


@pytest.mark.parametrize("held", [(), ("B",)])
def test_calls_can_be_interrupted_by_their_own_products(monkeypatch, held):
    """Of as many entries, one call may have few products and the next one many."""
    asked, size = [], 20
    few, many = np.zeros((size, size)), np.zeros((size, size))
    few[:, 1], many[:, 0] = 1, 1  # columns that name an empty row of B, and its full one
    full = np.zeros((size, size))
    full[0] = 1
    bound = Bound(make_spec(PRODUCT), {n: Tensor.from_dense(full, "CSR") for n in held})
    rest = {} if held else {"B": Tensor.from_dense(full, "CSR")}
    real = appending.Ready.run
    monkeypatch.setattr(appending, "LONG", 200)
    monkeypatch.setattr(
        appending.Ready, "run", lambda self, long=None: asked.append(long) or real(self, long)
    )
    for a in (few, many, few):
        made = bound.run({"A": Tensor.from_dense(a, "CSR"), **rest}, format="CSR")
        assert np.array_equal(made.toarray(), a @ full)
    assert asked == [False, True, False]


def test_a_place_that_is_not_there_is_refused_and_the_next_call_right():
    spec = make_spec("C[i,k] = A[i,j]*W[X[j],k]")
    a, w = (drawn(np.random.default_rng(n), (5, 5), 12) for n in (1, 2))
    bound = Bound(spec, {"W": w})
    given = {"A": Tensor.from_dense(a, "CSR")}
    for places in ([0, 1, 2, 3, 4], [4, 4, 0, 1, 2], [0, 1, 2, 3, 9], [3, 0, 0, 1, 2]):
        x = np.array(places)
        if max(places) > 4:
            with pytest.raises(KernelError, match="names a place that axis 0 of W"):
                bound.run({**given, "X": x}, format="CSR")
        else:
            made = bound.run({**given, "X": x}, format="CSR")
            assert np.array_equal(made.toarray(), a @ w[x])


def test_what_goes_the_long_way(fills):
    """Another format, truths, and an operand that is stored anew at each call."""
    a, b = (drawn(np.random.default_rng(n), (6, 6), 12) for n in (1, 2))
    bound = zs.layer(PRODUCT).bind(B=Tensor.from_dense(b, "CSR"))
    for format in ("COO", "CSC", "auto", "bitmask"):
        for _ in range(3):
            made = bound(A=Tensor.from_dense(a, "CSR"), format=format)
            assert np.array_equal(made.toarray(), a @ b)
    truths = zs.layer("C[i,k] |= A[i,j]*B[j,k]").bind(B=Tensor.from_dense(b != 0, "CSR"))
    for _ in range(3):
        made = truths(A=Tensor.from_dense(a != 0, "CSR"), format="CSR")
        assert np.array_equal(made.toarray(), (abs(a) @ abs(b)) != 0)
    for _ in range(3):
        made = bound(A=Tensor.from_dense(a, "CSC"), format="CSR")
        assert np.array_equal(made.toarray(), a @ b)
    assert set(fills) == {None}


def test_what_is_bound_is_stored_anew_once(fills):
    """Where a tensor comes in an order in which no loop leads along the rows."""
    a, b = (drawn(np.random.default_rng(n), (90, 90), 300) for n in (1, 2))
    bound = zs.layer("C[i,k] = A[j,i]*B[j,k]").bind(A=Tensor.from_dense(a, "CSR"))
    for turn in range(3):
        made = bound(B=Tensor.from_dense(b * turn + b, "CSR"), format="CSR")
        assert np.array_equal(made.toarray(), (turn + 1) * a.T @ b)
    (one,) = fills
    assert one.line.converted == ("A",)
    assert one.line.used["A"].format != Tensor.from_dense(a, "CSR").format


def test_a_row_that_is_wider_than_all_that_is_stored_is_not_kept(fills):
    a = sp.random_array((4, 5), density=0.4, format="csr", rng=1)
    b = sp.random_array((5, 2**16 + 1), density=1e-4, format="csr", rng=2)
    bound = zs.layer(PRODUCT).bind(B=zs.tensor(b, "CSR"))
    for _ in range(3):
        made = bound(A=zs.tensor(a, "CSR"), format="CSR")
        assert abs(made.to_scipy() - a @ b).max() < 1e-12
    assert fills == [None]


@pytest.mark.parametrize("extent", [300, 2**16 + 9])
def test_products_counted_in_c_and_by_numpy(extent, monkeypatch):
    a = sp.random_array((200, extent), density=2000 / extent / 200, format="csr", rng=3)
    b = sp.random_array((extent, 50), density=0.02, format="csr", rng=4)
    given = zs.tensor(a, "CSR"), zs.tensor(b, "CSR")
    want = int(np.diff(b.indptr)[a.indices].sum())
    loaded, real = [], estimate.load
    monkeypatch.setattr(estimate, "load", lambda *given: loaded.append(given) or real(*given))
    assert estimate.products_of(*given) == want
    assert not loaded
    monkeypatch.setattr(estimate, "WORTH_COMPILING", 0)
    assert estimate.products_of(*given) == want
    assert len(loaded) == 1

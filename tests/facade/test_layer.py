"""`layer`, `einsum`, calls and bindings as a user sees them."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import scipy.sparse as sp

import zeroskip as zs
from zeroskip.native import prepared, settings

TEXT = "O[b,o] = relu(B[o] + W[o,i]*X[b,i])"
W = np.array([[1.0, 0, -2], [0, 0, 3]])
X = np.array([[1.0, 2, 3], [0, 1, 0]])
B = np.array([0.5, -4])
WANT = [[0, 5], [0.5, 0]]


@pytest.fixture
def fc():
    return zs.layer(TEXT)


def test_operands_go_by_place_by_name_or_both(fc):
    assert fc.operands == ("B", "W", "X")
    assert fc(B, W, X).tolist() == WANT
    assert fc(X=X, W=W, B=B).tolist() == WANT
    assert fc(B, X=X, W=W).tolist() == WANT
    assert zs.einsum(TEXT, B, W, X).tolist() == WANT
    assert zs.einsum(TEXT, B=B, W=W, X=X).tolist() == WANT


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
def test_backends_agree(fc, backend):
    sparse = zs.tensor(W, "bitmask")
    assert fc(B, sparse, X, backend=backend).tolist() == WANT
    bound = fc.bind(W=sparse)
    assert bound(B, X, backend=backend).tolist() == WANT


@pytest.mark.parametrize("format", ["CSR", "COO", "bitmask", "RLE(2)", "dense", "o:C i:B", "auto"])
def test_an_operand_in_any_format(fc, format):
    assert fc(B, zs.tensor(W, format), X).tolist() == WANT


def test_scipy_and_lists(fc):
    assert fc(B, sp.csr_array(W), sp.coo_array(X)).tolist() == WANT
    assert fc(B.tolist(), W.tolist(), X.tolist()).tolist() == WANT


def test_a_result_in_a_format(fc):
    made = fc(B, W, X, format="CSR")
    assert isinstance(made, zs.Tensor)
    assert (made.nnz, made.stored) == (2, 2)
    assert made.toarray().tolist() == WANT
    assert fc.bind(W=W)(B, X, format="COO").toarray().tolist() == WANT


def test_out_is_returned(fc):
    out = np.empty((2, 2))
    assert fc(B, W, X, out=out) is out
    assert out.tolist() == WANT
    assert zs.einsum("O[b,o] += X[b,i]*W[o,i]", X, W, out=out) is out
    assert out.tolist() == [[-5, 14], [0.5, 0]]


def test_several_lines_give_the_last_result():
    cascade = zs.layer("S[b,o] = W[o,i]*X[b,i]\nM[b] max= S[b,o]\nD[b,o] = S[b,o] - M[b]")
    assert cascade.operands == ("W", "X")
    scores = X @ W.T
    assert cascade(W=W, X=X).tolist() == (scores - scores.max(1, keepdims=True)).tolist()


def test_binding_leaves_the_rest_and_binds_again(fc):
    bound = fc.bind(W=zs.tensor(W, "CSR"), B=B)
    assert bound.operands == ("X",)
    assert bound.layer is fc
    assert repr(bound) == f"<{TEXT!r} with W, B bound>"
    assert bound(X).tolist() == bound(X=X).tolist() == WANT
    assert repr(fc.bind()) == f"<{TEXT!r} with nothing bound>"
    assert fc.bind()(B, W, X).tolist() == WANT


def test_nothing_handed_in_changes(fc):
    w, x, b = W.copy(), X.copy(), B.copy()
    kept = zs.tensor(w, "CSR")
    before = [level.arrays for level in kept.levels], kept.values.copy()
    fc(b, kept, x)
    fc.bind(W=w, B=b)(x)
    assert (w == W).all()
    assert (x == X).all()
    assert (b == B).all()
    assert before[0] == [level.arrays for level in kept.levels]
    assert np.array_equal(before[1], kept.values)


def test_layers_print_compare_and_travel(fc):
    assert str(fc) == fc.text == TEXT
    assert repr(fc) == f"layer({TEXT!r})"
    assert fc == zs.layer("O[n,k] = relu(B[k] + sum[j](X[n,j]*W[k,j]))")
    assert hash(fc) == hash(zs.layer("O[n,k] = relu(B[k] + sum[j](X[n,j]*W[k,j]))"))
    assert fc != zs.layer("O[b,o] = B[o] + W[o,i]*X[b,i]")
    assert fc != TEXT
    assert zs.layer(fc.expr) == fc
    again = pickle.loads(pickle.dumps(fc))
    assert again == fc
    assert again(B, W, X).tolist() == WANT


def test_extents_operations_padding_constants_and_sizes():
    conv = zs.layer("O[m,p] = I[c,U*p+r]*F[m,c,r]", consts={"U": 2}, pad={"I": {1: (1, 0)}})
    assert conv.extents(I=(3, 8), F=(4, 3, 3)) == {"m": 4, "p": 4, "c": 3, "r": 3}
    assert conv.ops(I=(3, 8), F=(4, 3, 3)).multiplications == 4 * 4 * 3 * 3
    pool = zs.layer("O[p] max= I[2*p+r]", sizes={"r": 2})
    assert pool([1.0, 5, 2, 3]).tolist() == [5, 3]
    assert repr(pool) == "layer('O[p] max= I[2*p+r]', sizes={'r': 2})"


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_torch_comes_in_and_goes_out(fc, kind):
    torch = pytest.importorskip("torch")
    w = torch.tensor(W)
    given = w if kind == "dense" else w.to_sparse()
    got = fc(W=given, X=X, B=B)
    assert isinstance(got, torch.Tensor)
    assert got.tolist() == WANT
    assert fc.bind(W=given)(torch.tensor(B), torch.tensor(X)).tolist() == WANT
    assert isinstance(fc(W=given, X=X, B=B, format="CSR"), zs.Tensor)


@pytest.mark.parametrize("dtype", ["float64", "bfloat16"])
def test_results_go_into_a_tensor_of_torch(fc, dtype):
    torch = pytest.importorskip("torch")
    kind = getattr(torch, dtype)
    w, x, b = (torch.tensor(a, dtype=kind) for a in (W, X, B))
    for call in (fc.bind(W=w, B=b), lambda X, out: fc(W=w, X=X, B=b, out=out)):
        for _ in range(3):  # the shortest way, too
            out = torch.full((len(X), len(W)), 7, dtype=kind)
            assert call(X=x, out=out) is out
            assert out.tolist() == WANT
    wide = torch.zeros(len(X), 2 * len(W), dtype=kind)
    for wrong, why in (
        (wide[:, ::2], "expected a writable C-contiguous array"),
        (wide.to_sparse(), "array of shape .*, found Tensor"),
        (wide, f"array of shape .*, found {dtype} of shape"),
    ):
        with pytest.raises(zs.KernelError, match=why):
            fc(W=w, X=x, B=b, out=wrong)
    square = torch.eye(3, dtype=kind)
    with pytest.raises(zs.KernelError, match="shares memory with an operand"):
        zs.layer("O[i,j] = A[i,k]*B[k,j]")(square, square.clone(), out=square)


@pytest.mark.parametrize("of", ["bound", "unbound"])
def test_torch_comes_in_again(of):
    torch = pytest.importorskip("torch")
    double = zs.layer("O[i,j] = 2*A[i,k]*B[k,j]")
    b = torch.from_numpy(X.T.copy())
    call = double.bind(A=W) if of == "bound" else lambda B, out=None: double(A=W, B=B, out=out)
    want = 2 * W @ X.T
    for _ in range(4):
        got = call(B=b)
        assert isinstance(got, torch.Tensor)
        assert np.array_equal(got, want)
        assert isinstance(call(B=X.T), np.ndarray)  # by turns
        b += 1  # what is read is the memory as it is now
        assert np.array_equal(call(B=b), 2 * W @ b.numpy())
        b -= 1
        assert np.array_equal(call(B=b.neg().resolve_neg()), -want)
        assert np.array_equal(call(B=torch._neg_view(b)), -want)
        assert np.array_equal(call(B=np.asfortranarray(X.T)), want)
        assert np.array_equal(call(B=b.to_sparse()), want)
        with pytest.raises(zs.TensorError, match="B: the torch tensor requires a gradient"):
            call(B=b.clone().requires_grad_())
        with torch.no_grad():
            assert np.array_equal(call(B=torch.nn.Parameter(b.clone())), want)
    square = torch.eye(2, dtype=torch.float64)
    again = double.bind(A=np.eye(2))
    assert torch.equal(again(B=square), again(B=square))
    with pytest.raises(zs.KernelError, match="shares memory with an operand"):
        again(B=square, out=square)


def test_an_operand_may_be_called_self():
    made = zs.layer("y[i] = self[i]*x[i]")
    assert made(self=[2.0, 3.0], x=[1.0, 2.0]).tolist() == [2, 6]
    assert made.bind(self=[2.0, 3.0])(x=[1.0, 2.0]).tolist() == [2, 6]
    assert made.extents(self=(2,), x=(2,)) == {"i": 2}
    assert made.ops(self=(2,), x=(2,)).multiplications == 2


def test_a_bound_layer_goes_to_other_processes(fc):
    bound = fc.bind(W=zs.tensor(W, "CSR"), B=B)
    assert bound(X).tolist() == WANT
    for made in (pickle.loads(pickle.dumps(bound)), copy.deepcopy(bound)):
        assert made.operands == ("X",)
        assert made(X).tolist() == WANT


def test_a_remembered_text_is_not_taken_for_another():
    x = np.array([1, 2, 3])
    line = "y[i] = a*x[i]"
    assert zs.einsum(line, x=x, consts={"a": 2}).dtype == np.int64
    assert zs.einsum(line, x=x, consts={"a": 2.0}).dtype == np.float64
    assert zs.einsum(line, x=x, consts={"a": 3}).tolist() == [3, 6, 9]
    assert zs.einsum(line, x=x, a=2).tolist() == [2, 4, 6]
    window = "y[p] = x[p+r]*f[r]"
    for pad, places in ((None, 2), (1, 4), ((0, 1), 3), ([0, 1], 3), ({"x": {0: (0, 2)}}, 4)):
        for _ in range(2):
            assert zs.einsum(window, x, np.ones(2), pad=pad).shape == (places,)
    with pytest.raises(zs.EinsumError, match="expected a whole number"):
        zs.einsum(window, x, np.ones(2), pad=np.array([[1]]))


PRODUCT, FLOATS = "O[m,n] = W[m,k]*X[k,n]", ("float32", "float64")


def drawn_call(rng, formats):
    """Operands of a matrix product, whole numbers so that every order of sums is the same."""
    m, k, n = (int(extent) for extent in rng.integers(0, 6, 3))
    weights = rng.integers(-3, 4, (m, k)) * (rng.random((m, k)) < rng.random())
    image = rng.integers(-3, 4, (k, n))
    dtype = rng.choice(FLOATS)
    weights, image = weights.astype(dtype), image.astype(rng.choice(FLOATS))
    image = np.asfortranarray(image) if rng.random() < 0.2 else image
    layout = rng.choice(formats)
    stored = weights if layout == "dense" else zs.tensor(weights, layout)
    return stored, image, weights @ image


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("formats", [["dense"], ["dense", "CSR", "bitmask", "COO", "CSC"]])
def test_calls_of_one_layer_do_not_see_those_before_them(seed, formats):
    rng, layer = np.random.default_rng(seed), zs.layer(PRODUCT)
    calls = [drawn_call(rng, formats) for _ in range(12)]
    results = []
    for number in rng.integers(0, len(calls), 80):
        stored, image, want = calls[number]
        found = layer(stored, X=image) if rng.random() < 0.5 else layer(W=stored, X=image)
        assert found.dtype == want.dtype
        results.append((found, want))
    for found, want in results:  # and none was written over later
        np.testing.assert_array_equal(found, want)


@pytest.mark.parametrize("layout", ["dense", "CSR"])
def test_nothing_of_a_call_is_kept_alive_after_it(layout):
    layer, held = zs.layer("y[m] = W[m,k]*x[k]"), []
    for _ in range(4):
        weights, x = np.eye(3), np.arange(3.0)
        stored = weights if layout == "dense" else zs.tensor(weights, layout)
        y = layer(stored, x)
        np.testing.assert_array_equal(y, x)
        held += map(weakref.ref, (weights, x, y))
        del weights, x, y, stored
    gc.collect()
    assert [one for one in held if one() is not None] == []


def test_a_call_goes_by_the_settings_of_its_time(monkeypatch):
    layer, x = zs.layer("y[m] = W[m,k]*x[k]"), np.arange(4.0)
    for _ in range(3):
        layer(np.eye(4), x)
    entered, real = [], prepared.compiled
    monkeypatch.setattr(prepared, "compiled", lambda one: entered.append(one) or real(one))
    layer(np.eye(4), x)
    assert not entered  # its kernel was filled before
    with settings.using(vector_bytes=16):
        np.testing.assert_array_equal(layer(np.eye(4), x), x)
    assert entered


def test_a_layer_that_was_called_refuses_what_it_refused_before():
    layer, x = zs.layer("y[m] = W[m,k]*x[k]"), np.arange(3.0)
    for _ in range(3):
        layer(np.eye(3), x)
    for wrong in ((np.eye(3),), (np.eye(3), x, x), (np.eye(3), np.arange(4.0)), (np.eye(3), None)):
        fresh = zs.layer("y[m] = W[m,k]*x[k]")
        with pytest.raises(zs.ZeroskipError) as found:
            layer(*wrong)
        with pytest.raises(zs.ZeroskipError) as want:
            fresh(*wrong)
        assert str(found.value) == str(want.value)
    with pytest.raises(zs.ZeroskipError, match="twice"):
        layer(np.eye(3), x, W=np.eye(3))
    with pytest.raises(zs.ZeroskipError, match="no operand"):
        layer(np.eye(3), z=x)
    copied = pickle.loads(pickle.dumps(layer))
    np.testing.assert_array_equal(copied(np.eye(3), x), x)

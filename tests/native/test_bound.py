"""Specs with operands fixed: the same results, and nothing shared that must not be."""

import threading

import numpy as np
import pytest
import scipy.sparse as sp
from generator import random_array

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError, KernelError, TensorError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import bound as binding
from zeroskip.native import engine
from zeroskip.native.bound import Bound

RNG = np.random.default_rng(1)
CONV = make_spec("O[n,m,p,q] = relu(B[m] + sum[c,r,s](I[n,c,p+r,q+s] * F[m,c,r,s]))", pad=1)
WEIGHTS = random_array(RNG, (4, 3, 3, 3), "float32", 0.4)
BIAS = random_array(RNG, (4,), "float32", 1.0)


def image(seed, n=1, size=6):
    return random_array(np.random.default_rng(seed), (n, 3, size, size), "float32", 0.8)


def reference(spec, **operands):
    dense = {n: x.toarray() if hasattr(x, "toarray") else x for n, x in operands.items()}
    return engine.evaluate(spec, dense, backend="numpy")[spec.results[-1]]


@pytest.mark.parametrize(
    ("text", "held", "fresh"),
    [
        ("y[i] = A[i,j]*x[j]", {"A": (4, 5)}, {"x": (5,)}),
        ("y[i] = A[i,j]*x[j]", {"x": (5,)}, {"A": (4, 5)}),
        ("C[i,j] = A[i,k]*B[k,j]", {"A": (4, 5)}, {"B": (5, 6)}),
        ("O[b,o] = relu(B[o] + W[o,i]*X[b,i])", {"W": (4, 5), "B": (4,)}, {"X": (3, 5)}),
        ("O[b,o] = relu(B[o] + W[o,i]*X[b,i])", {"W": (4, 5)}, {"X": (3, 5), "B": (4,)}),
        ("O[m,p] = I[c,2*p+r]*F[m,c,r]", {"F": (2, 3, 3)}, {"I": (3, 9)}),
        ("O[p+r] += I[p]*F[r]", {"F": (3,)}, {"I": (5,)}),
        ("y[i] max= A[i,j] + x[j]", {"x": (5,)}, {"A": (4, 5)}),
        ("y[i] |= A[i,j]*x[j]", {"A": (4, 5)}, {"x": (5,)}),
        ("S[i] = A[i,j]*x[j]\ny[i] = relu(S[i]*a)", {"A": (4, 5), "a": ()}, {"x": (5,)}),
        ("y[i] = a*x[i]", {"a": ()}, {"x": (5,)}),
        ("y[i] = a*x[i]", {"x": (5,)}, {"a": ()}),
        ("y[i] = x[i] + z[i]", {}, {"x": (5,), "z": (5,)}),
        ("y[i] = x[i] + z[i]", {"x": (5,), "z": (5,)}, {}),
    ],
)
@pytest.mark.parametrize("kind", ["ndarray", "Tensor", "scipy", "blocks"])
def test_a_bound_call_gives_what_an_unbound_one_gives(text, held, fresh, kind):
    spec = make_spec(text)
    arrays = {n: random_array(RNG, s, "float64", 0.6) for n, s in {**held, **fresh}.items()}

    def stored(x):
        if kind == "ndarray" or x.ndim == 0 or (kind in ("scipy", "blocks") and x.ndim != 2):
            return x
        if kind == "blocks":
            return Tensor.from_dense(x, "BSR(2,3)")
        return Tensor.from_dense(x, "CSR") if kind == "Tensor" else sp.csr_array(x)

    bound = Bound(spec, {n: stored(arrays[n]) for n in held})
    assert bound.rest == tuple(n for n in spec.operands if n in fresh)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        now = {n: random_array(rng, s, "float64", 0.6) for n, s in fresh.items()}
        want = reference(spec, **{n: arrays[n] for n in held}, **now)
        for given in (now, {n: stored(x) for n, x in now.items()}):
            got = bound.run(given)
            assert got.dtype == want.dtype
            assert np.array_equal(got, want)
        assert np.array_equal(bound.run(now, backend="interpreter"), want)
        assert np.array_equal(bound.run(now, format="COO").toarray(), want)


def test_shapes_and_types_may_change_from_call_to_call():
    bound = Bound(CONV, {"F": Tensor.from_dense(WEIGHTS, "CSR"), "B": BIAS})
    for n, size, dtype in [
        (1, 6, "float32"),
        (2, 6, "float32"),
        (1, 9, "float32"),
        (1, 6, "float64"),
        (1, 6, "float32"),
    ]:
        x = image(n + size, n, size).astype(dtype)
        got = bound.run({"I": x})
        assert got.dtype == dtype
        assert np.array_equal(got, reference(CONV, I=x, F=WEIGHTS, B=BIAS))


def test_many_shapes_do_not_pile_up(monkeypatch):
    monkeypatch.setattr(binding, "MOST_SHAPES", 2)
    bound = Bound(make_spec("C[i,j] = A[i,k]*B[k,j]"), {"A": np.eye(3)})
    for columns in (1, 2, 3, 1, 2):
        b = random_array(RNG, (3, columns), "float64", 1.0)
        assert np.array_equal(bound.run({"B": b}), b)
    assert len(bound._idle) == 2


def test_results_of_two_calls_are_two_arrays():
    bound = Bound(CONV, {"F": WEIGHTS, "B": BIAS})
    first = bound.run({"I": image(1)})
    kept = first.copy()
    second = bound.run({"I": image(2)})
    assert not np.shares_memory(first, second)
    assert np.array_equal(first, kept)


def test_weights_changed_behind_a_binding_are_not_seen():
    weights, bias = WEIGHTS.copy(), BIAS.copy()
    bound = Bound(CONV, {"F": weights, "B": bias})
    want = reference(CONV, I=image(1), F=WEIGHTS, B=BIAS)
    weights[:], bias[:] = 7, 7
    assert np.array_equal(bound.run({"I": image(1)}), want)
    weights[:] = 9
    assert np.array_equal(bound.run({"I": image(1)}), want)


def test_images_changed_in_place_are_seen():
    bound = Bound(CONV, {"F": WEIGHTS, "B": BIAS})
    x = image(1)
    bound.run({"I": x})
    x[:] = image(2)
    assert np.array_equal(bound.run({"I": x}), reference(CONV, I=image(2), F=WEIGHTS, B=BIAS))


@pytest.mark.parametrize("layout", ["Fortran", "sliced", "big-endian", "read-only"])
def test_fresh_operands_of_any_layout(layout):
    bound = Bound(CONV, {"F": WEIGHTS, "B": BIAS})
    x = image(3)
    want = reference(CONV, I=x, F=WEIGHTS, B=BIAS)
    given = {
        "Fortran": np.asfortranarray(x),
        "sliced": np.repeat(x, 2, axis=3)[..., ::2],
        "big-endian": x.astype(">f4"),
        "read-only": x.copy(),
    }[layout]
    given.setflags(write=False)
    for _ in range(2):
        assert np.array_equal(bound.run({"I": given}), want)


def test_threads_may_call_one_binding_at_once():
    bound = Bound(CONV, {"F": Tensor.from_dense(WEIGHTS, "CSR"), "B": BIAS})
    images = [image(seed) for seed in range(4)]
    wants = [reference(CONV, I=x, F=WEIGHTS, B=BIAS) for x in images]
    start, wrong, at_once = threading.Barrier(4), [], []

    def work(k):
        start.wait()
        for turn in range(200):
            i = (k + turn) % 4
            found = bound.at_once((images[i],)) if turn % 2 else None
            if found is None:
                found = bound.run({"I": images[i]})
            else:
                at_once.append(i)
            if not np.array_equal(found, wants[i]):
                wrong.append((k, turn))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert set(at_once) == {0, 1, 2, 3}


def test_out_is_filled_and_returned():
    bound = Bound(CONV, {"F": WEIGHTS, "B": BIAS})
    want = reference(CONV, I=image(1), F=WEIGHTS, B=BIAS)
    out = np.full(want.shape, 9, np.float32)
    assert bound.run({"I": image(1)}, out=out) is out
    assert np.array_equal(out, want)


@pytest.mark.parametrize("text", ["y[i] += A[i,j]*x[j]", "y[i] max= A[i,j]*x[j]"])
def test_a_reduction_starts_from_out_as_it_does_unbound(text):
    spec, a, x = make_spec(text), random_array(RNG, (3, 4), "float64", 0.8), np.ones(4)
    bound = Bound(spec, {"A": a})
    bound.run({"x": x})
    out, same = np.full(3, 0.5), np.full(3, 0.5)
    engine.evaluate(spec, {"A": a, "x": x}, out=same)
    assert bound.run({"x": x}, out=out) is out
    assert np.array_equal(out, same)
    assert np.array_equal(bound.run({"x": x}), reference(spec, A=a, x=x))


def wrong_outs(shape):
    read_only = np.zeros(shape, np.float32)
    read_only.setflags(write=False)
    return [
        (np.zeros(shape, np.float64), "expected a float32 array of shape .*, found float64"),
        (np.zeros((1, *shape), np.float32), r"expected a float32 array .*, found float32 of shape"),
        ([0.0], "expected a float32 array of shape .*, found list"),
        (np.zeros(shape[::-1], np.float32).T, "expected a writable C-contiguous array"),
        (read_only, "expected a writable C-contiguous array, found one .*writable: False"),
    ]


def test_a_wrong_out_is_refused_and_nothing_is_written():
    bound = Bound(CONV, {"F": WEIGHTS, "B": BIAS})
    shape = bound.run({"I": image(1)}).shape
    for out, message in wrong_outs(shape):
        before = np.array(out)
        with pytest.raises(KernelError, match=message):
            bound.run({"I": image(1)}, out=out)
        assert np.array_equal(before, out)


def test_out_may_not_be_an_operand():
    spec = make_spec("y[i] = A[i,j]*x[j]")
    bound = Bound(spec, {"A": np.eye(3)})
    x = np.arange(3.0)
    bound.run({"x": x})
    with pytest.raises(KernelError, match="out= for y shares memory with an operand"):
        bound.run({"x": x}, out=x)
    with pytest.raises(KernelError, match="out= for y shares memory with an operand"):
        bound.run({"x": x[::-1][::-1]}, out=x)
    assert x.tolist() == [0, 1, 2]


def test_fresh_operands_that_do_not_fit_are_refused():
    bound = Bound(CONV, {"F": WEIGHTS, "B": BIAS})
    bound.run({"I": image(1)})
    for given, error, message in [
        (
            {"I": image(1)[0]},
            EinsumError,
            r"I has 4 axes in the Einsum, but its shape is \(3, 6, 6\)",
        ),
        (
            {"I": image(1)[:, :2]},
            EinsumError,
            "rank c has two sizes: 3 in F .*, 2 in I|rank c has two sizes: 2 in I .*, 3 in F",
        ),
        ({"I": image(1) + 0j}, TensorError, "I: expected values of type float64.*found complex64"),
        ({}, EinsumError, "operand I is missing"),
        ({"I": image(1), "Z": image(1)}, EinsumError, "Z is no operand"),
    ]:
        with pytest.raises(error, match=message):
            bound.run(given)
    assert np.array_equal(
        bound.run({"I": image(2)}), reference(CONV, I=image(2), F=WEIGHTS, B=BIAS)
    )


def test_binding_what_is_no_operand_is_refused():
    with pytest.raises(EinsumError, match=r"Z is no operand of 'O.*bind any of B, I, F"):
        Bound(CONV, {"Z": WEIGHTS})
    with pytest.raises(TensorError, match=r"F: expected values of type .* found complex128"):
        Bound(CONV, {"F": WEIGHTS.astype(complex)})


def test_a_size_that_is_0():
    bound = Bound(make_spec("C[i,j] = A[i,k]*B[k,j]"), {"A": Tensor.from_dense(np.eye(3), "CSR")})
    assert bound.run({"B": np.zeros((3, 0))}).shape == (3, 0)
    assert np.array_equal(bound.run({"B": np.ones((3, 2))}), np.ones((3, 2)))


def test_a_bool_counts_once_whatever_its_byte():
    odd = np.array([2, 255, 0, 1], np.uint8).view(bool)
    spec = make_spec("y = a[i]*b[i]")
    held = Bound(spec, {"a": odd})
    for _ in range(2):
        assert held.run({"b": np.ones(4, bool)}) == 3
        assert held.run({"b": odd}) == 3
    for backend in ("c", "interpreter", "numpy"):
        assert engine.evaluate(spec, {"a": odd, "b": odd}, backend=backend)["y"] == 3


def test_what_is_bound_is_stored_anew_only_with_permission():
    a, x = random_array(np.random.default_rng(4), (5, 6), "float32", 0.4), np.ones((5, 6), "f4")
    bound = Bound(make_spec("y[i,j] = max(A[i,j], x[i,j] - 1)"), {"A": Tensor.from_dense(a, "COO")})
    for _ in range(2):
        assert np.array_equal(bound.run({"x": x}), np.maximum(a, 0))
        with pytest.raises(KernelError, match="has to be looked up at single places"):
            bound.run({"x": x}, convert=False)


def test_an_interrupted_kernel_shares_nothing_with_the_next_call(monkeypatch):
    """It may go on for a while, and writes to its scratch and packed copies as it does."""

    def interrupted(self):
        raise KeyboardInterrupt

    a, x = random_array(np.random.default_rng(4), (5, 6), "float32", 0.4), np.ones((6, 9), "f4")
    bound = Bound(make_spec("C[i,j] = A[i,k]*x[k,j]"), {"A": Tensor.from_dense(a, "CSR")})
    want = bound.run({"x": x})
    ((ready,),) = bound._idle.values()
    monkeypatch.setattr(type(ready), "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        bound.run({"x": x})
    monkeypatch.undo()
    assert np.array_equal(bound.run({"x": x}), want)
    ((other,),) = bound._idle.values()
    assert other is not ready


@pytest.mark.parametrize("layout", ["CSR", "COO", "bitmask", "k:C i:U", "RLE(2)"])
def test_fresh_tensors_of_a_kind_share_a_filled_kernel(layout, monkeypatch):
    """Their arrays differ in length from call to call."""
    spec = make_spec("C[i,j] = A[i,k]*B[k,j]")
    a = random_array(RNG, (6, 5), "float32", 0.7)
    bound = Bound(spec, {"A": a})
    fills, real = [], Bound._fill
    monkeypatch.setattr(Bound, "_fill", lambda *given: fills.append(1) or real(*given))
    form = layout if ":" not in layout else "[i,k] k:C i:U"
    for stored in (9, 12, 15, 11, 8, 0, 1, 13):
        b = np.zeros(20, np.float32)
        b[RNG.permutation(20)[:stored]] = RNG.integers(1, 9, stored)
        b = b.reshape(5, 4)
        got = bound.run({"B": Tensor.from_dense(b, form)})
        assert np.allclose(got, reference(spec, A=a, B=b))
    assert len(fills) < 8  # entries 8 to 15 count as alike


def test_fresh_tensors_of_another_fill_have_another_kernel():
    spec = make_spec("y[i] = A[i,k]*x[k]")
    a = random_array(RNG, (4, 5), "float32", 0.6)
    bound = Bound(spec, {"A": Tensor.from_dense(a, "CSR")})
    for fill in (0, 1, 0, 2):
        x = np.full(5, fill, np.float32)
        x[1:3] = 7
        got = bound.run({"x": Tensor.from_dense(x, "k:C", fill=fill)})
        assert np.allclose(got, reference(spec, A=a, x=x))


@pytest.mark.parametrize("held", [(), ("I",)])
@pytest.mark.parametrize("layout", [None, "CSR", "bitmask", "RLE(2)", "COO"])
def test_entries_that_are_packed_at_every_call(layout, held, monkeypatch):
    """Kernel and sizes are found once; what is packed is of the call's own operand."""
    spec = make_spec("O[m,p,q] = I[c,p+r,2*q+s]*F[m,c,r,s]")
    rng = np.random.default_rng(2)
    image = random_array(rng, (6, 12, 23), "float32", 0.8)
    bound = Bound(spec, dict.fromkeys(held, image))
    fills, real = [], Bound._fill
    monkeypatch.setattr(Bound, "_fill", lambda *given: fills.append(1) or real(*given))
    places = rng.permuted(np.tile(np.arange(9 * 6 * 9), (5, 1)), axis=1)[:, :300]
    for chosen in places:
        filters = np.zeros(9 * 6 * 9, np.float32)
        filters[chosen] = rng.integers(1, 5, len(chosen))
        filters = filters.reshape(9, 6, 3, 3)
        given = filters if layout is None else Tensor.from_dense(filters, layout)
        fresh = {"F": given} if held else {"F": given, "I": image}
        got = bound.run(fresh)
        assert np.array_equal(got, reference(spec, I=image, F=filters))
        assert np.array_equal(got, engine.evaluate(spec, {"F": given, "I": image})["O"])
    if layout != "RLE(2)":  # which holds as many bridges as its gaps are long
        assert len(fills) == 1
    (idle,) = list(bound._idle.values())[:1]
    assert idle[0].anew is not None
    if not held:
        for slot, _ in idle[0].anew.slots:
            assert idle[0].call._kept[slot] == idle[0].call._null


def test_out_by_the_shortest_way(monkeypatch):
    """It is filled where it can be, and else refused as on the first call."""
    spec, a = make_spec("y[i] = A[i,k]*x[k]"), random_array(RNG, (4, 5), "float32", 0.6)
    bound, x = Bound(spec, {"A": a}), np.arange(5, dtype=np.float32)
    want = bound.run({"x": x})
    assert np.array_equal(bound.at_once((x,)), want)
    monkeypatch.setattr(bound, "_fill", lambda *_: pytest.fail("filled anew"))
    out = np.full(4, 99, np.float32)
    assert bound.at_once((x,), out) is out
    assert np.array_equal(out, want)
    shared, frozen = np.zeros(9, np.float32), np.zeros(4, np.float32)
    frozen.flags.writeable = False
    for wrong in (np.zeros(4), np.zeros(5, np.float32), np.zeros(8, np.float32)[::2], frozen, [0]):
        assert bound.at_once((x,), wrong) is None
        with pytest.raises(KernelError, match="out= for y"):
            bound.run({"x": x}, out=wrong)
    assert bound.at_once((shared[:5],), shared[4:8]) is None
    assert np.array_equal(bound.at_once((x,)), want)


def test_a_reduction_starts_from_out_and_goes_the_long_way():
    spec, a = make_spec("y[i] += A[i,k]*x[k]"), np.ones((2, 3), np.float32)
    bound, x = Bound(spec, {"A": a}), np.ones(3, np.float32)
    for _ in range(3):
        assert bound.run({"x": x}).tolist() == [3, 3]
    out = np.full(2, 10, np.float32)
    assert bound.at_once((x,), out) is None
    assert bound.run({"x": x}, out=out).tolist() == [13, 13]

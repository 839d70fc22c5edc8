"""Short calls of bound specs: the last kind is known by its arrays, others are looked up."""

import weakref

import numpy as np
import pytest
from generator import random_array

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import effort, engine, settings
from zeroskip.native import load as loading
from zeroskip.native.bound import Bound

RNG = np.random.default_rng(2)


def reference(spec, **operands):
    return engine.evaluate(spec, operands, backend="numpy")[spec.results[-1]]


def test_calls_under_way_at_once_share_nothing(monkeypatch):
    """As a signal's handler that calls the same binding does."""
    a = random_array(RNG, (5, 6), "float32", 0.5)
    bound = Bound(make_spec("y[i] = A[i,k]*x[k]"), {"A": Tensor.from_dense(a, "CSR")})
    outer, inner = (np.arange(6, dtype=np.float32) + k for k in (1, 20))
    entered, real = [], loading.Invocation.again

    def again(self, slots, through=None):
        run = real(self, slots, through)

        def handled(*arrays):
            if not entered:
                entered.append(True)
                entered.append(bound.at_once((inner,)))  # another is not ready: by the long way
                entered.append(bound.run({"x": inner}))
            return run(*arrays)

        return handled

    monkeypatch.setattr(loading.Invocation, "again", again)
    bound.run({"x": outer})
    assert np.array_equal(bound.at_once((outer,)), reference(bound.spec, A=a, x=outer))
    assert entered[1] is None
    assert np.array_equal(entered[2], reference(bound.spec, A=a, x=inner))
    ((one, other),) = bound._idle.values()
    assert one is not other


def test_the_shortest_way_takes_only_what_needs_no_look():
    a = random_array(RNG, (5, 6), "float32", 0.5)
    bound = Bound(make_spec("y[i] = A[i,k]*x[k]"), {"A": Tensor.from_dense(a, "CSR")})
    x = np.arange(6, dtype=np.float32)
    assert bound.at_once((x,)) is None  # nothing is ready
    want = bound.run({"x": x})
    assert np.array_equal(bound.at_once((x,)), want)
    strided = np.repeat(x, 2)[::2]
    swapped = x.astype(">f4")
    for other in (strided, swapped, x.astype("f8"), x[:5], list(x), x.astype(bool)):
        assert bound.at_once((other,)) is None
    for same in (strided, swapped, list(x)):
        assert np.allclose(bound.run({"x": same}), want)
    flags = x > 2
    want = reference(bound.spec, A=a, x=flags)
    for given in (flags, (flags * np.uint8(255)).view(bool), (flags * np.uint8(2)).view(bool)):
        assert np.allclose(bound.run({"x": given}), want)
        assert bound.at_once((given,)) is None
    assert np.array_equal(bound.at_once((x,)), bound.run({"x": x}))


def test_columns_are_not_taken_for_rows():
    """An array of the right shape in the other order."""
    a = random_array(RNG, (4, 4), "float32", 0.5)
    bound = Bound(make_spec("C[i,j] = A[i,k]*x[k,j]"), {"A": Tensor.from_dense(a, "CSR")})
    x = np.arange(16, dtype=np.float32).reshape(4, 4)
    bound.run({"x": x})
    assert bound.at_once((x,)) is not None
    assert bound.at_once((x.T,)) is None
    assert bound.at_once((np.asfortranarray(x),)) is None
    assert np.allclose(bound.run({"x": x.T}), a @ x.T)


def test_short_calls_in_any_order_of_shapes_types_layouts_and_settings():
    """What the last call was served by is never taken for a call of another kind."""
    rng = np.random.default_rng(11)
    w = np.where(rng.random((6, 5)) < 0.5, rng.integers(1, 5, (6, 5)), 0).astype(np.float32)
    call = zs.layer("O[n,m] = W[m,k]*X[n,k]*s[n]").bind(W=zs.tensor(w, "CSR"))
    for turn in range(300):
        n = int(rng.integers(0, 3))
        x = rng.integers(-4, 5, (n, 10)).astype(rng.choice(["f4", "f8", "i4", ">f4", "?"]))
        s = rng.integers(1, 4, 2 * n).astype(rng.choice(["f4", "f8"]))
        x, s = (x[:, :5], s[:n]) if turn % 3 else (x[:, :5].copy(), s[::2])
        with settings.using(threads=1 + turn % 2):
            got = call(x, s) if turn % 5 else call(s=s, X=x)
        want = x.astype(np.float64) @ w.T * s[:, None]
        assert got.shape == want.shape
        assert np.array_equal(got, want), (turn, x.dtype, s.dtype, n)


def test_several_threads_are_reached_by_the_shortest_way(monkeypatch):
    """With the same sums, whatever the number of fresh operands; and no array outlives its call."""
    monkeypatch.setattr(effort, "PART", 1)
    rng = np.random.default_rng(4)
    a = random_array(rng, (40, 30), "float32", 0.5)
    for text, fresh in (("y[i] = A[i,k]*x[k]", "x"), ("y[i] = A[i,k]*x[k]*s[i]", "xs")):
        bound = Bound(make_spec(text), {"A": Tensor.from_dense(a, "CSR")})
        sizes = {"x": 30, "s": 40}
        found = []
        for threads in (1, 2, 3):
            with settings.using(threads=threads):
                arrays = [np.arange(sizes[n], dtype=np.float32) for n in fresh]
                bound.run(dict(zip(fresh, arrays, strict=True)))
                (ready,) = bound._idle.get(next(reversed(bound._idle)))
                assert (ready.through is not None) == (threads > 1)
                arrays = [x[::-1].copy() for x in arrays]
                left = [weakref.ref(x) for x in arrays]
                found.append(bound.at_once(tuple(arrays)).tobytes())
                del arrays
                assert [ref() for ref in left] == [None] * len(left)
        assert found[0] == found[1] == found[2]


CONV = make_spec("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]", {}, {}, 1)
IMAGE = "0:U 2:U 3:U 1:C"


def test_tensors_take_the_shortest_way_too():
    rng = np.random.default_rng(3)
    held = rng.random((16, 20, 3, 3)).astype("f4")
    bound = Bound(CONV, {"F": held})

    def image(density, dtype="float32", shape=(1, 20, 6, 5)):
        return random_array(rng, shape, dtype, density)

    first = Tensor.from_dense(image(0.4), IMAGE)
    assert bound.at_once((first,)) is None  # nothing is ready
    bound.run({"I": first})
    for density in (0.4, 0.35, 0.45):  # of numbers of entries of as many bits
        array = image(density)
        given = Tensor.from_dense(array, IMAGE)
        found = bound.at_once((given,))
        assert found is not None
        assert np.allclose(found, reference(CONV, I=array, F=held), rtol=1e-4)
        out = np.empty_like(found)
        assert bound.at_once((given,), out) is out
        assert np.array_equal(out, found)
    array = image(0.4)
    others = (
        Tensor.from_dense(image(0.05), IMAGE),  # fewer entries
        Tensor.from_dense(array, "0:U 2:U 3:U 1:B"),
        Tensor.from_dense(array.astype("f8"), IMAGE),
        Tensor.from_dense(image(0.4, shape=(1, 20, 5, 6)), IMAGE),
        Tensor.from_dense(array, IMAGE, fill=1),
        array,
    )
    for other in others:
        assert bound.at_once((other,)) is None
        dense = other if isinstance(other, np.ndarray) else other.toarray()
        want = reference(CONV, I=dense, F=held)
        for _ in range(3):
            assert np.allclose(bound.run({"I": other}), want, rtol=1e-4)
            again = bound.at_once((other,))
            assert again is None or np.allclose(again, want, rtol=1e-4)


def test_tensors_and_arrays_in_one_call():
    rng = np.random.default_rng(4)
    a, x, z = (random_array(rng, shape, "float32", 0.5) for shape in ((9, 8), (8, 16), (9, 16)))
    spec = make_spec("y[i,n] = A[i,k]*x[k,n] + z[i,n]")
    bound = Bound(spec, {"z": z})
    stored = Tensor.from_dense(a, "CSR")
    bound.run({"A": stored, "x": x})
    want = reference(spec, A=a, x=x, z=z)
    found = bound.at_once((stored, x))
    assert found is None or np.allclose(found, want, rtol=1e-4)
    for wrong in ((x, stored), (stored, stored), (x, x), (stored, None)):
        assert bound.at_once(wrong) is None


@pytest.mark.parametrize("format", ["CSR", "bitmask", "0:C 1:C"])
@pytest.mark.parametrize("columns", [6, 600])
def test_what_nothing_is_bound_of_goes_by_its_own_entries(columns, format):
    """Of each level as many as before, or the kernel was filled for others."""
    spec, rng = make_spec("y[i] = A[i,k]*x[k]"), np.random.default_rng(5)
    bound, x = Bound(spec, {}), rng.integers(-9, 9, columns).astype(np.float32)

    def drawn(entries):
        array = np.zeros(5 * columns, np.float32)
        array[rng.choice(5 * columns, entries, replace=False)] = rng.integers(1, 9, entries)
        return Tensor.from_dense(array.reshape(5, columns), format)

    first = drawn(17)
    bound.run({"A": first, "x": x})
    assert bound.at_once((first, x)) is not None
    for entries in (17, 17, 18, 29, 17):
        given = drawn(entries)
        found, want = bound.at_once((given, x)), given.toarray() @ x
        same = [of.entries for of in given.levels] == [of.entries for of in first.levels]
        assert (found is not None) == same
        assert found is None or np.array_equal(found, want)
        assert np.array_equal(bound.run({"A": given, "x": x}), want)


def test_nothing_of_a_call_is_kept_where_nothing_is_bound():
    layer = zs.layer("y[i] = A[i,k]*x[k]")
    for _ in range(3):
        x = np.arange(40, dtype=np.float32)
        given = Tensor.from_dense(np.eye(5, 40, dtype=np.float32), "CSR")
        assert np.array_equal(layer(A=given, x=x), x[:5])
        left = weakref.ref(given.values), weakref.ref(x)
        del given, x
        assert [ref() for ref in left] == [None, None]


@pytest.mark.parametrize("op", ["max", "min", "*", "+", "|", "&"])
def test_a_reduction_begins_anew_at_each_call(op):
    """Whatever the array before held; ``out=`` is where it goes on from."""
    rng = np.random.default_rng(8)
    layer = zs.layer(f"R[i] {op}= A[i,j]")
    want = {"max": np.max, "min": np.min, "*": np.prod, "+": np.sum, "|": np.any, "&": np.all}[op]
    for _ in range(3):
        x = rng.integers(0, 3, (5, 40)).astype("f4")
        np.testing.assert_array_equal(layer(A=x), want(x, axis=1))
    if op in ("max", "+"):
        start = np.full(5, 7, "f4")
        layer(A=x, out=start)
        np.testing.assert_array_equal(start, 7 if op == "max" else 7 + x.sum(1))
    np.testing.assert_array_equal(layer(A=x), want(x, axis=1))

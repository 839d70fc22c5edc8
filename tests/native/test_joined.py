"""Lanes that join narrow integers, as machine code and as it is walked: equal to NumPy."""

import itertools
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integers import NARROW, drawn, product
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.explanation.inspecting import choose
from zeroskip.formats.tensor import Tensor
from zeroskip.native import (
    cutting,
    effort,
    engine,
    geometry,
    joined,
    programs,
    schedules,
    tile,
    unrolled,
)
from zeroskip.native.fixed import Schedule
from zeroskip.native.interpret import interpret
from zeroskip.native.prepared import run

PRODUCT = zs.layer("C[i,j] = A[i,k]*B[k,j]")
UNROLLED = Schedule(unrolled=True)
TYPES = [t for t in NARROW if t not in ("uint16", "uint32")]
PAIRS = [p for p in itertools.product(TYPES, TYPES) if p != ("bool", "bool")]

codes = pytest.mark.skipif(
    not unrolled.available(joined.QUADS), reason="no machine code that joins integers is run"
)
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(params=["code", "walk"])
def way(request, monkeypatch):
    """Machine code, where there is any; and its entries walked, on whatever processor."""
    if request.param == "code" and not unrolled.available(joined.QUADS):
        pytest.skip("no machine code that joins integers is run")
    if request.param == "walk":
        none = np.zeros(0, np.uint8)

        def absent(first, *_, groups, **__):
            return none, np.zeros((len(first) - 1) // groups + 1, np.int64)

        monkeypatch.setattr(unrolled, "machine_code", absent)
        monkeypatch.setattr(unrolled, "available", lambda joined=1: True)
    return request.param


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(PAIRS),
    st.tuples(st.integers(1, 70), st.integers(1, 70), st.integers(1, 70)),
    st.sampled_from([0, 0.03, 0.2, 1]),
    st.sampled_from([None, 0, 1, 13, 400]),
    st.sampled_from([1, 2, 5]),
    st.sampled_from(["plain", "turned", "batch", "two"]),
    seeds,
)
def check_products(types, shape, density, block, threads, kind, seed):
    rng = np.random.default_rng(seed)
    rows, inner, columns = shape
    a, b = drawn(rng, (rows, inner), types[0], density), drawn(rng, (inner, columns), types[1])
    layer, given_, want = PRODUCT, b, product(a, b, "int32")
    fixed = Schedule(unrolled=True, block=block, vector_bytes=64)
    if kind == "turned":
        layer, given_ = zs.layer("C[i,j] = A[i,k]*B[j,k]"), np.ascontiguousarray(b.T)
    if kind == "batch":
        layer = zs.layer("C[n,i,j] = A[i,k]*B[n,k,j]")
        given_ = np.stack([b, b[::-1]])
        want = np.stack([product(a, one, "int32") for one in given_])
    if kind == "two":
        layer = zs.layer("C[i,j] = A[i,k,l]*B[k,l,j]")
        wide = drawn(rng, (rows, inner, 3), types[0], density)
        a, given_ = wide, np.stack([b, b[::-1], b], axis=1)
        want = product(wide.reshape(rows, -1), given_.reshape(-1, columns), "int32")
    bound = layer.bind(A=Tensor.from_dense(a, "CSR"), schedule=fixed)
    with zs.config.using(threads=threads):
        for _ in range(2):
            got = bound(B=given_)
            assert got.dtype == np.int32
            assert np.array_equal(got, want)


def test_products(way):
    check_products()


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(PAIRS),
    st.integers(1, 40),
    st.integers(1, 9),
    st.tuples(st.integers(1, 8), st.integers(1, 40)),
    st.sampled_from(["same", "strided", "last", "none", "padded", "met"]),
    st.sampled_from([None, 0, 9]),
    seeds,
)
def check_convolutions(types, filters, channels, size, kind, block, seed):
    """Windows that leave rows as long as they are (masked), strides, channels that come last, no
    channels, padded channels, and two ranks that meet in one place."""
    rng = np.random.default_rng(seed)
    height, width = size
    image = drawn(rng, (2, channels, height, width), types[1])
    weights = drawn(rng, (filters, channels, 3, 3), types[0], 0.4)
    text, pad = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]", {"I": {2: (1, 1), 3: (1, 1)}}
    if kind == "strided":
        text = text.replace("p+r,q+s", "2*p+r,2*q+s")
    if kind == "last":
        image = np.ascontiguousarray(image.transpose(0, 2, 3, 1))
        text = "O[n,m,p,q] = I[n,p+r,q+s,c]*F[m,c,r,s]"
        pad = {"I": {1: (1, 1), 2: (1, 1)}}
    if kind == "none":
        image, weights = image[:, 0], weights[:, 0]
        text, pad = "O[n,m,p,q] = I[n,p+r,q+s]*F[m,r,s]", {"I": {1: (1, 1), 2: (1, 1)}}
    if kind == "padded":
        text, pad = (
            text.replace("n,c,p", "n,c+d,p").replace("m,c,", "m,c,d,"),
            {"I": {1: (1, 2), 2: (1, 1), 3: (1, 1)}},
        )
        weights = drawn(rng, (filters, channels + 1, 3, 3, 3), types[0], 0.4)
    if kind == "met":
        text = "O[n,m,p,q] = I[n,c,p+r+t,q+s]*F[m,c,r,s,t]"
        weights = drawn(rng, (filters, channels, 2, 3, 2), types[0], 0.6)
    layer = zs.layer(text, pad=pad)
    want = layer(I=image, F=weights, backend="numpy")
    fixed = Schedule(unrolled=True, block=block, vector_bytes=64)
    bound = layer.bind(F=Tensor.from_dense(weights, "CSF"), schedule=fixed)
    for threads in (1, 2):
        with zs.config.using(threads=threads):
            for _ in range(2):
                assert np.array_equal(bound(I=image), want), (kind, types)


def test_convolutions(way):
    check_convolutions()


@codes
@pytest.mark.parametrize("kind", ["product", "turned", "same", "strided"])
@pytest.mark.parametrize("types", [("int8", "int8"), ("int8", "uint8"), ("int16", "int16")])
def test_parts_and_the_interpreter(monkeypatch, kind, types):
    """Any number of threads, in any order, in C and in the interpreter."""
    monkeypatch.setattr(effort, "PART", 1)
    monkeypatch.setattr(geometry, "OWN_BYTES", 0)
    rng = np.random.default_rng(3)
    text, shapes, pad = {
        "product": ("C[i,j] = A[i,k]*B[k,j]", ((31, 18), (18, 37)), None),
        "turned": ("C[i,j] = A[i,k]*B[j,k]", ((31, 18), (37, 18)), None),
        "same": ("C[m,p,q] = B[c,p+r,q+s]*A[m,c,r,s]", ((9, 5, 3, 3), (5, 4, 9)), 1),
        "strided": ("C[m,p,q] = B[c,2*p+r,2*q+s]*A[m,c,r,s]", ((9, 5, 3, 3), (5, 6, 9)), 1),
    }[kind]
    a, b = drawn(rng, shapes[0], types[0], 0.5), drawn(rng, shapes[1], types[1])
    spec = make_spec(text, pad=pad and {"B": {1: (1, 1), 2: (1, 1)}})
    operands = {"A": Tensor.from_dense(a, "CSR"), "B": b}
    want = engine.evaluate(spec, operands, backend="numpy")["C"]
    for threads in (1, 3):
        with zs.config.using(threads=threads):
            line = replace(line_of(spec, operands), fixed=replace(UNROLLED, block=5))
            plan = tile.plan(line.form, line.signatures, line.dtype.name)
            assert plan is not None
            shape = cutting.shape_in(line, plan, ("A",))
            assert shape.joined == (4 if types[0] == "int8" else 2)
            targets = [np.full(line.shape, 7, np.int32) for _ in range(2)]
            prepared, filled = schedules.tiled(line, plan, targets[0], shape)
            run(prepared, filled, "c")
            _, apart = schedules.tiled(line, plan, targets[1], shape)
        rng_of = random.Random(threads)
        orders = (rng_of.sample(range(threads), threads) for _ in itertools.count())
        interpret(prepared.lowered.kernel, apart.buffers, apart.dims, apart.parameters, orders)
        assert np.array_equal(targets[0], want)
        assert np.array_equal(targets[1], want)


@codes
def test_the_default_joins_where_it_pays_and_nowhere_else(monkeypatch):
    rng = np.random.default_rng(4)
    held = drawn(rng, (64, 64), "int8", 0.5)
    a, b = Tensor.from_dense(held, "CSR"), np.ones((64, 256), np.int8)
    (found,) = choose(PRODUCT.spec, {"A": a, "B": b}, ("A",))
    assert found.taken.unrolled
    assert "integers" in str(zs.explain(PRODUCT.bind(A=a), B=b))
    for wider in (np.uint16, np.int32):
        (found,) = choose(PRODUCT.spec, {"A": a, "B": b.astype(wider)}, ("A",))
        assert found.taken.unrolled is None
        with pytest.raises(KernelError, match="values of 8 or 16 bits, uint16 left out"):
            PRODUCT.bind(A=a, schedule=UNROLLED)(B=b.astype(wider))
    monkeypatch.setattr(programs.unrolled, "available", lambda joined=1: joined == 1)
    (found,) = choose(PRODUCT.spec, {"A": a, "B": b}, ("A",))
    assert found.taken.unrolled is None  # a processor without the instruction has tiles
    assert np.array_equal(PRODUCT.bind(A=a)(B=b), product(held, b, "int32"))


@pytest.mark.parametrize(
    ("entries", "lanes", "places"),
    [
        ("int8", "int8", 4),
        ("int8", "uint8", 4),
        ("bool", "int8", 4),
        ("uint8", "int8", 2),
        ("uint8", "uint8", 2),
        ("int8", "int16", 2),
        ("int16", "uint8", 2),
        ("uint16", "int8", 1),
        ("int8", "int32", 1),
    ],
)
def test_how_many_places_a_lane_joins(entries, lanes, places):
    """Of 8 bits the entries have a sign; of 16 all do, for which uint16 is too wide."""
    assert joined.places_of_lane(entries, lanes, "int32") == places
    assert joined.places_of_lane(entries, lanes, "int64") == 1
    if places > 1:
        held, bias = joined.held_as(places, lanes)
        ends, given_ = np.iinfo(held), np.iinfo(lanes if lanes != "bool" else "uint8")
        assert ends.min <= given_.min + bias
        assert given_.max + bias <= ends.max


def test_words_of_neighbouring_places():
    """Places 0 to 3 are one word; a second entry of a place is a word of its own; what the bias
    adds is taken off once a row."""
    group = np.zeros(6, np.int64)
    member = np.array([0, 0, 0, 0, 1, 0])
    at = np.array([0, 2, 5, 2, 3, 1])  # places one apart
    values = np.array([1, -2, 3, 4, 5, 0], np.int8)
    words = joined.words_of(group, member, at, values, 4, 1, 128)
    own = words.at == joined.NOWHERE
    assert words.word[own].tolist() == [-128 * (1 - 2 + 3 + 4), -128 * 5]
    found = [
        (m, x, np.array([w], np.uint32).view(np.int8).tolist())
        for m, x, w in zip(words.member[~own], words.at[~own], words.word[~own], strict=True)
    ]
    assert sorted(found) == [
        (0, 0, [0, 0, 4, 0]),
        (0, 0, [1, 0, -2, 0]),
        (0, 1, [0, 3, 0, 0]),
        (1, 0, [0, 0, 0, 5]),
    ]

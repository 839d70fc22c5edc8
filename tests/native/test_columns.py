"""Entries by columns of rows: right on every shape and width, taken where that pays, or refused."""

from dataclasses import replace

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st
from judges import count, line_of

import zeroskip as zs
from zeroskip.errors import KernelError
from zeroskip.explanation.inspecting import choose
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import HALVES, dtype_of
from zeroskip.native import column_shape, settling
from zeroskip.native import settings as kernel_settings
from zeroskip.native.fixed import Schedule
from zeroskip.native.prepared import run
from zeroskip.native.texts import header

PRODUCT = zs.layer("C[i,j] = A[i,k]*B[k,j]")
COLUMNS = Schedule(bitmask=True)
RNG = np.random.default_rng(9)

seeds = st.integers(0, 2**32 - 1)
widths = st.sampled_from([16, 32, 64])


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 50),
    st.integers(0, 40),
    st.integers(0, 70),
    st.sampled_from([0, 0.03, 0.5, 1]),
    st.sampled_from(["float32", "float64"]),
    widths,
    st.sampled_from([None, 0, 1, 7]),
    st.sampled_from(["CSR", "CSC", "COO", "bitmask", "RLE(4)", None]),
    seeds,
)
def test_products(rows, inner, columns, density, dtype, width, block, format, seed):
    rng = np.random.default_rng(seed)
    a = random_array(rng, (rows, inner), dtype, density)
    b = random_array(rng, (inner, columns), dtype, 1.0)
    held = a if format is None else Tensor.from_dense(a, format)
    fixed = Schedule(bitmask=True, vector_bytes=width, block=block)
    bound = PRODUCT.bind(A=held, schedule=fixed)
    for threads in (1, 2):
        with zs.config.using(threads=threads):
            assert np.array_equal(bound(b), a @ b)
    line = replace(line_of(PRODUCT.spec, {"A": held, "B": b}), fixed=fixed)
    target = np.full(line.shape, 99, dtype)
    prepared, filled = settling.scheduled(line, target, ("A",))
    run(prepared, filled, "interpreter")
    assert np.array_equal(target, a @ b)
    stored = a.size if isinstance(held, np.ndarray) else int(np.count_nonzero(a))
    for backend in ("c", "interpreter"):
        assert count(prepared, filled, backend) == stored * columns


LAYERS = (
    # text, shape of the bound operand and of the other: bias and function; a result whose rows are
    # innermost, lanes a row apart; two summed axes in another order; several ranks of rows or lanes
    ("O[m,p] = relu(D[m] + W[m,c]*X[c,p])", (20, 11), (11, 17)),
    ("O[p,m] = D[m] + W[m,c]*X[p,c]", (20, 11), (17, 11)),
    ("O[m,p] = W[m,b,a]*X[a,b,p]", (9, 4, 3), (3, 4, 5)),
    ("O[n,m,p,q] = relu(X[n,c,p,q]*W[m,c])", (33, 6), (2, 6, 3, 5)),
    ("O[a,m,p] = W[a,m,c]*X[c,p]", (3, 7, 6), (6, 30)),
)


@pytest.mark.parametrize(("text", "held", "fresh"), LAYERS, ids=[text for text, *_ in LAYERS])
@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("block", [None, 2])
def test_layers(text, held, fresh, width, block):
    layer = zs.layer(text)
    w, x = random_array(RNG, held, "float32", 0.5), random_array(RNG, fresh, "float32", 1.0)
    given_ = {"W": w, "X": x} | ({"D": np.arange(20, dtype="float32") - 9} if "D[" in text else {})
    want = layer(**given_, backend="numpy")
    rest = {name: array for name, array in given_.items() if name != "W"}
    bound = layer.bind(
        W=Tensor.from_dense(w, "COO"),
        schedule=Schedule(bitmask=True, vector_bytes=width, block=block),
    )
    for _ in range(2):
        assert np.array_equal(bound(**rest), want)


@pytest.mark.parametrize("half", HALVES)
def test_halves(half):
    a = random_array(RNG, (37, 20), "float32", 0.5).astype(dtype_of(half))
    b = random_array(RNG, (20, 6), "float32", 1.0).astype(dtype_of(half))
    want = PRODUCT(a, b, backend="numpy")
    got = PRODUCT.bind(A=Tensor.from_dense(a, "CSR"), schedule=COLUMNS)(b)
    assert got.dtype == want.dtype
    assert np.array_equal(got.astype("float32"), want.astype("float32"))


@pytest.mark.parametrize("width", [16, 32, 64])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_absent_meets_nothing(width, dtype):
    """An infinity beside an absent value adds nothing; beside a stored 0 it does."""
    a = random_array(RNG, (19, 30), dtype, 0.3)
    a[2, 3] = 0
    b = random_array(RNG, (30, 9), dtype, 1.0)
    b[3:5] = np.inf
    b[1] = np.nan
    places = [*np.nonzero(a)]
    places = [np.append(at, k) for at, k in zip(places, (2, 3), strict=True)]
    stored = Tensor.from_coords(places, a[tuple(places)], a.shape, "CSR")
    with np.errstate(invalid="ignore"):
        want = PRODUCT(stored, b, schedule=Schedule(kind="plain"))
    assert np.isnan(want).any()
    assert np.isfinite(want).any()
    assert np.isinf(want).any()
    bound = PRODUCT.bind(A=stored, schedule=Schedule(bitmask=True, vector_bytes=width))
    assert np.array_equal(bound(b), want, equal_nan=True)


def test_any_strides_and_a_given_result():
    a = random_array(RNG, (40, 30), "float32", 0.5)
    b = random_array(RNG, (60, 36), "float32", 1.0)[::2, 1::2]
    bound = PRODUCT.bind(A=a, schedule=COLUMNS)
    out = np.empty((40, 18), np.float32)
    assert bound(b, out=out) is out
    assert np.array_equal(out, a @ b)
    odd = np.zeros(30 * 18 * 4 + 2, np.uint8)[2:].view(np.float32).reshape(30, 18)
    odd[...] = b
    assert np.array_equal(bound(odd), out)


def taken(dtype, density, columns):
    a = Tensor.from_dense(random_array(RNG, (64, 200), dtype, density), "CSR")
    given = {"A": a, "B": np.ones((200, columns), dtype)}
    with kernel_settings.using(vector_bytes=64):
        (found,) = choose(PRODUCT.spec, given, ("A",))
    return found.taken.bitmask


def test_the_default_goes_by_columns_where_that_pays():
    """Few lanes, well filled places, and vectors just begun."""
    for density, columns, yes in (
        (0.9, 16, True),
        (0.2, 16, None),
        (0.4, 8, True),
        (0.4, 17, True),
        (0.4, 28, None),
        (0.1, 28, None),
    ):
        assert taken("float32", density, columns) == yes, (density, columns)
    assert taken("float64", 0.9, 8) is True
    assert taken("float64", 0.2, 8) is None


def test_what_pays_goes_by_lanes_and_density():
    of = [[column_shape.pays(16, 64, line, d / 100) for d in range(101)] for line in range(2, 17)]
    least = [densities.index(True) for densities in of]
    assert least == sorted(least)
    assert least[0] < 10 < 40 < least[-1] < 60
    assert not column_shape.pays(16, 64, 256, 1.0)
    assert column_shape.pays(16, 16, 16, 0.9)
    assert not column_shape.pays(16, 8, 16, 0.9)


def test_explain_shows_the_columns():
    a = Tensor.from_dense(random_array(RNG, (30, 20), "float32", 0.5), "CSR")
    text = str(zs.explain(PRODUCT.bind(A=a, schedule=COLUMNS), B=np.ones((20, 5), np.float32)))
    assert "bitmask=True" in text
    assert "a bit for each of the rows, which share a vector" in text
    assert "zs_add_columns(5, " in text


def test_what_cannot_lie_by_columns_is_refused():
    a, b = np.ones((4, 5), np.float32), np.ones((5, 6), np.float32)
    with pytest.raises(KernelError, match=r"bitmask=True: .*A is not bound"):
        PRODUCT(a, b, schedule=COLUMNS)
    with pytest.raises(KernelError, match=r"bitmask=True: .*int32 is multiplied in all lanes"):
        PRODUCT.bind(A=a.astype(np.int32), schedule=COLUMNS)(b.astype(np.int32))
    conv = zs.layer("O[m,p] = I[c,p+r]*F[m,c,r]")
    with pytest.raises(KernelError, match="the places of I that are summed over do not lie one"):
        conv.bind(F=np.ones((4, 2, 3), np.float32), schedule=COLUMNS)(np.ones((2, 9), np.float32))
    for field in ({"rows": 2}, {"vectors": 2}, {"unrolled": True}):
        with pytest.raises(KernelError, match="is of tiles that are no bitmask"):
            Schedule(bitmask=True, **field)
    with pytest.raises(KernelError, match="bitmask=1: expected True or False"):
        Schedule(bitmask=1)


def test_a_tile_has_as_many_lanes_as_the_header_has_registers_for():
    text = header("zs_columns.h")
    assert f"#define ZS_MOST_LANES {column_shape.MOST_LANES}\n" in text

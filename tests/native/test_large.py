"""Coordinates, positions and ranks beyond 2**31: long ranks that hold a few entries."""

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError, KernelError, TensorError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine

N = 2**33
ENTRIES = {5: 1.0, 2**31 + 7: 2.0, N - 1: 3.0}


def vector(entries, extent, fmt="C"):
    crd, values = np.array([*entries], np.int64), np.array([*entries.values()])
    return Tensor.from_coords([crd], values, (extent,), fmt)


def run(text, backend="c", sizes=None, **operands):
    return engine.evaluate(make_spec(text, sizes=sizes), operands, backend=backend)["O"]


@pytest.mark.parametrize("backend", ["c", "interpreter"])
@pytest.mark.parametrize("fmt", ["C", "R(32)", "COO"])
def test_a_long_rank_is_walked_located_and_counted(fmt, backend):
    x = vector(ENTRIES, N, fmt)
    other = {2**31 + 7: 10.0, N - 1: 20.0, 9: 40.0}
    y = vector(other, N)
    both = {i: ENTRIES[i] * other[i] for i in ENTRIES if i in other}
    for text, want in (
        ("O = x[i]*y[i]", sum(both.values())),
        ("O max= x[i]*y[i]", max(both.values())),
        ("O = x[i]*(i > 2147483650)", sum(v for i, v in ENTRIES.items() if i > 2147483650)),
        ("O = sum[i](x[i]*i)", float(sum(v * i for i, v in ENTRIES.items()))),
        ("O = x[i]*y[9]", sum(ENTRIES.values()) * other[9]),
    ):
        given = {"x": x, "y": y} if "y" in text else {"x": x}
        assert run(text, backend, **given) == want


@pytest.mark.parametrize("backend", ["c", "interpreter"])
@pytest.mark.parametrize("fmt", ["C", "R(32)"])
def test_subscripts_and_gathers_reach_far(fmt, backend):
    x = vector(ENTRIES, N, fmt)
    held = {2**31 - 1: 7.0, 0: 9.0, 2**29 + 1: 5.0}
    y = vector(held, 2**31)
    strided = sum(ENTRIES.get(4 * i + 3, 0) * v for i, v in held.items())
    assert run("O = x[4*i+3]*y[i]", backend, x=x, y=y) == strided
    halved = sum(v * held.get(i // 4, 0) for i, v in ENTRIES.items())
    assert run("O = x[i]*y[i//4]", backend, x=x, y=y) == halved
    shifted = vector({8: 7.0, 2: 9.0}, N - 2**31 + 1)
    assert run("O = x[i+2147483647]*y[i]", backend, x=x, y=shifted) == 2 * 7
    places = np.array([5, 0, N - 1, 2**31 + 7])
    assert run("O[n] = x[X[n]]", backend, x=x, X=places).tolist() == [1, 0, 3, 2]
    with pytest.raises(KernelError, match="axis 0 of x, of extent 8589934592, does not have"):
        run("O[n] = x[X[n]]", backend, x=x, X=places + 1)


SHAPE = 2**31, 2**30 + 9


@pytest.mark.parametrize("backend", ["c", "interpreter"])
@pytest.mark.parametrize("fmt", ["0*1:C", "1*0:C", "0:C 1:C", "COO", "0:C 1:R(32)"])
def test_flattened_ranks_beyond_2_to_the_31(fmt, backend):
    rows, columns = np.array([2, 2**30 + 1, 2**31 - 1]), np.array([3, 2**29, 2**30 + 8])
    A = Tensor.from_coords([rows, columns], np.array([1.0, 2, 3]), SHAPE, fmt)
    x = vector({3: 10.0, 2**29: 100.0, 77: 5.0}, SHAPE[1])
    assert run("O = A[i,j]*x[j]", backend, A=A, x=x) == 210
    assert run("O max= A[i,j]*x[j]", backend, A=A, x=x) == 200
    assert run("O = A[i,j]*(i+j > 3221225470)", backend, A=A) == 3
    there = A.asformat("1:C 0:C").asformat(fmt)
    assert [crd.tolist() for crd in there.coords()[0]] == [rows.tolist(), columns.tolist()]
    assert there.pack().unpack().coords()[1].tolist() == [1, 2, 3]


def test_more_entries_than_2_to_the_31():
    """Pages of zeros that nobody wrote to take no memory."""
    w = np.zeros(2**31 + 10, np.int8)
    w[-1], w[7] = 5, 2
    y = vector({2**31 + 9: 10, 3: 1}, len(w))
    assert run("O = w[i]*y[i]", w=w, y=y) == 50
    assert run("O = w[i]", w=w) == 7


@pytest.mark.parametrize("extent", [2**31, 2**31 + 1])
def test_coordinates_are_as_wide_as_the_extent(extent):
    held = vector({extent - 1: 1.0}, extent)
    wide = np.int64 if extent > 2**31 else np.int32
    assert held.levels[0].arrays["crd"].dtype == wide
    assert held.coords()[0][0].tolist() == [extent - 1]


def test_what_overflows_64_bits_is_refused():
    one = [np.array([1]), np.array([1])]
    with pytest.raises(TensorError) as caught:
        Tensor.from_coords(one, np.ones(1), (2**32, 2**32), "0*1:C")
    assert str(caught.value) == (
        f"rank 0 (0*1:C) has extent {2**64}, more than {2**62}\n"
        "Store its axes as ranks of their own instead of flattening them."
    )
    with pytest.raises(TensorError) as caught:
        Tensor.from_coords(one, np.ones(1), (2**32, 2**32), "0:U 1:U")
    assert str(caught.value) == (
        f"rank 1 (1:U) would have {2**64} positions, more than {2**62}\n"
        "Store the long ranks as C, so that only their entries take room."
    )
    square = Tensor.from_coords(one, np.ones(1), (2**32, 2**32), "COO")
    with pytest.raises(EinsumError, match=r"an iteration space of more than 2\*\*62 points: i"):
        run("O = A[i,j]", A=square)
    with pytest.raises(EinsumError, match=r"shape of x: extent 2199023255552; at most 2\*\*40 are"):
        run("O = x[i]", x=vector({1: 1.0}, 2**41))

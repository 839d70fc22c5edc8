"""How a line is cut into tiles and rows go together, and which lines are read where they lie."""

from itertools import pairwise

import numpy as np
import pytest
from generator import random_array
from judges import line_of

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.native import schedules, tile
from zeroskip.native.fixed import Schedule
from zeroskip.native.geometry import line_of_lanes, reach_of
from zeroskip.native.tile_shape import TileShape, shape_of, tiles_of


@pytest.mark.parametrize(("vectors", "most"), [(1, 6), (5, 6), (6, 6), (7, 6), (13, 6), (25, 3)])
def test_tiles_are_as_even_as_they_come(vectors, most):
    tiles, found = tiles_of(vectors, most)
    assert tiles == -(-vectors // most)
    assert max(found) <= most
    assert max(found) - min(found) <= 1
    assert min(found) * tiles <= vectors <= max(found) * tiles


def test_rows_go_together_where_their_columns_are_often_shared():
    shapes = [shape_of(64, 13, 512, d, bound=True) for d in (0.5, 0.1, 0.01)]
    assert [s.rows for s in shapes] == [4, 1, 1]
    assert [s.block for s in shapes] == [256, 256, 0]
    assert shapes[0].vectors == (4, 5)
    unbound = shape_of(64, 13, 512, 0.5, bound=False)
    assert unbound == TileShape(64, 1, (6, 7), 0)
    assert shape_of(32, 13, 3, 0.5, bound=True).rows == 1  # there are no four


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("density", [0.01, 0.5])
def test_a_kernel_has_the_tiles_of_its_line_and_no_others(bound, density):
    for line_vectors in range(1, 100):
        shape = shape_of(64, line_vectors, 512, density, bound=bound)
        tiles = -(-line_vectors // shape.most)
        ends = [line_vectors * t // tiles for t in range(tiles + 1)]
        assert set(shape.vectors) == {b - a for a, b in pairwise(ends)}
    assert shape_of(64, 0, 512, density, bound=bound).vectors == (1,)


def test_lanes_stay_where_they_lie_where_they_are_seldom_met():
    def panel(density, *, width=64, in_place=True):
        return shape_of(width, 13, 512, density, bound=True, in_place=in_place).panel

    assert [panel(d) for d in (0.001, 0.01, 0.1, 0.8)] == [False, False, True, True]
    assert panel(0.01, in_place=False)  # it is to be staged anyhow
    assert panel(0.01, width=32)  # no masks for the last vector


def test_a_short_line_that_is_read_where_it_lies_is_one_tile():
    def vectors(line_vectors, density, in_place=True, **sizes):
        return shape_of(64, line_vectors, 100, density, in_place=in_place, **sizes).vectors

    for bound in (True, False):
        assert vectors(13, 0.01, bound=bound) == (13,)
        assert vectors(16, 0.01, bound=bound) == (16,)
        assert vectors(17, 0.01, bound=bound) == (5, 6)
        assert vectors(13, 0.01, bound=bound, in_place=False) == (6, 7)  # copied
        assert vectors(13, 0.4, bound=bound) == ((4, 5) if bound else (6, 7))  # met too often
    assert vectors(13, 0.1, bound=True) == (6, 7)  # in blocks


@pytest.mark.parametrize("columns", [129, 196, 255, 256, 257])
@pytest.mark.parametrize("density", [0.005, 0.05])
def test_lines_of_one_tile_and_of_more(columns, density):
    rng, product = np.random.default_rng(columns), zs.layer("C[i,j] = A[i,k]*B[k,j]")
    a = random_array(rng, (60, 300), "float32", density)
    b = random_array(rng, (300, columns), "float32", 1.0)
    for one in (zs.tensor(a, "CSR"), zs.tensor(a, "CSC")):
        for schedule in (None, Schedule(vectors=16, rows=1), Schedule(vectors=9, rows=4)):
            bound = product.bind(A=one, schedule=schedule)
            for threads in (1, 2):
                with zs.config.using(threads=threads):
                    assert np.array_equal(bound(B=b), a @ b)
        assert np.array_equal(product(A=one, B=b), a @ b)


def test_lanes_that_crowd_into_a_part_of_a_cache_are_copied_earlier():
    def panel(pitch, summed, density=0.01):
        sizes = {"reach": 512, "summed": summed, "pitch": pitch}
        return shape_of(64, 64, 512, density, bound=True, in_place=True, **sizes).panel

    assert [panel(p, 1024) for p in (2048, 4096, 16384)] == [True, True, True]
    assert [panel(p, 1024) for p in (4000, 4160, 1024)] == [False, False, False]  # spread
    assert [panel(4096, n) for n in (256, 511, 512)] == [False, False, True]  # as many as there fit
    assert not panel(4096, 1024, 0.005)  # too seldom for a copy all the same
    assert not panel(4160, 2**16)  # more than the cache, of which they take all


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("n", [1, 16, 21])
def test_what_is_read_in_place_is_of_the_type_of_the_sums(dtype, n):
    rng = np.random.default_rng(n)
    weights = np.where(rng.random((5, 60)) < 0.1, 2.0, 0).astype("float32")
    x = rng.integers(-4, 5, (60, n)).astype(dtype)
    bound = zs.layer("O[m,n] = W[m,k] * X[k,n]").bind(W=zs.tensor(weights, "CSR"))
    np.testing.assert_array_equal(bound(X=x), weights @ x.astype("float64"))


def test_rows_go_together_earlier_where_sums_are_few():
    def rows(line_vectors, density):
        return shape_of(32, line_vectors, 512, density, bound=True).rows

    assert rows(25, 0.5) == rows(2, 0.3) == 1
    assert rows(25, 0.8) == rows(2, 0.5) == 4


def test_blocks_grow_where_their_entries_are_fewer_and_tiles_narrower():
    def block(line_vectors, density):
        return shape_of(32, line_vectors, 512, density, bound=True).block

    assert block(8, 0.01) > block(8, 0.1) > block(8, 0.5) > 16
    assert block(2, 0.1) == 2 * block(8, 0.1)
    assert block(8, 0.0) > 2**14  # nothing stored: one block


def test_what_a_block_reads_of_windows_stays_near_where_its_rows_have_entries_enough():
    def block(density, reach, vectors=4, summed=0):
        shape = shape_of(64, vectors, 512, density, bound=True, reach=reach, summed=summed)
        return shape.block

    assert block(0.02, 32) == 1024
    assert block(0.03, 64) == 512
    assert block(0.02, 512) == block(0.02, 0) == 0  # 64 places would hold one entry
    assert block(0.05, 512) == block(0.05, 0) == 256
    assert block(0.05, 512, summed=1024) == 256  # more than stays in the second-level cache
    assert block(0.05, 512, summed=512) == 0
    assert block(0.05, 64, 1, 4096) == 0  # a row loads 26 vectors of 512 places
    assert block(0.12, 64, 1, 4096) == 512


def test_tiles_of_fewer_vectors_take_rows_up_less_often():
    def shared(vectors):
        shape = shape_of(64, vectors, 512, 0.5, bound=True, reach=64 * vectors, summed=4096)
        return shape.rows, shape.block, shape.chains

    assert shared(1) == (4, 1536, 2)
    assert shared(2) == (4, 768, 2)
    assert shared(3) == (4, 512, 1)
    assert shared(6) == (4, 256, 1)
    assert [shape_of(32, n, 512, 0.9, bound=True).chains for n in (1, 2, 3)] == [2, 1, 1]


@pytest.mark.parametrize(("stride", "pad"), [(1, 0), (1, 2), (2, 1), (3, 0)])
def test_reach_is_what_all_lanes_of_a_line_read(stride, pad):
    """Elements of the padded image that windows meet, over the places of the sum."""
    text = "O[n,m,p,q] = I[n,c,U*p+r,U*q+s] * F[m,c,r,s]"
    spec = make_spec(text, consts={"U": stride}, pad=pad)
    image, filters = np.zeros((1, 5, 30, 30), "f4"), np.ones((45, 5, 3, 3), "f4")
    line = line_of(spec, {"I": image, "F": zs.tensor(filters, "m:U c*r*s:C")})
    plan = schedules.schedule_of(line, {"F"})
    assert isinstance(plan, tile.TilePlan)
    lanes = line_of_lanes(plan, line.extents)
    reach = reach_of(plan, line.extents, lanes)
    met = np.zeros((30 + 2 * pad,) * 2, bool)
    most = range(0, met.shape[0] - 2, stride)
    for p, r, q, s in np.ndindex(len(most), 3, len(most), 3):
        met[stride * p + r, stride * q + s] = True
    assert met.sum() <= 9 * reach <= 1.6 * met.size
    assert reach_of(plan, line.extents, 16) < reach

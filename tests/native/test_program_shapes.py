"""How entries in machine code are cut into programs and blocks."""

import numpy as np
import pytest
from generator import random_array
from judges import line_of

import zeroskip as zs
from zeroskip.explanation.inspecting import choose
from zeroskip.native import tile
from zeroskip.native.geometry import geometry
from zeroskip.native.tile_shape import INSTRUCTIONS, MEMBERS, tiles_pay, unrolled_shape


@pytest.mark.parametrize("rows", [1, 8, 28, 29, 100, 512])
@pytest.mark.parametrize("density", [0.01, 0.2, 1.0])
def test_programs_are_cut_as_even_as_they_come(rows, density):
    shape = unrolled_shape(rows, 1000, density)
    assert shape.rows % shape.members == 0
    assert 1 <= shape.members <= MEMBERS
    assert (-(-rows // shape.members) - 1) * shape.members < rows
    groups = shape.rows // shape.members
    if groups > 1:
        assert groups * (shape.members * density + 1) * shape.block <= INSTRUCTIONS


@pytest.mark.parametrize("density", [0.01, 0.05])
def test_blocks_are_what_a_vector_reads_of_the_nearest_cache(density):
    """And no more of it than instructions of a program allow."""
    for reach in (64, 32, 16, 0):
        block = unrolled_shape(28, 5000, density, reach=reach).block
        assert block * (reach or 64) <= 2**15
        assert block * (28 * density + 1) <= INSTRUCTIONS
    blocks = [unrolled_shape(28, 5000, 0.01, reach=reach).block for reach in (64, 32, 16)]
    assert blocks == sorted(blocks)
    assert blocks[0] < blocks[1]


def test_few_loads_that_come_from_farther_off_are_less_than_rows_taken_up_again():
    """Of 576 places a vector reads a little more than stays near: two blocks, or one."""
    assert unrolled_shape(64, 576, 0.01).block == 576
    assert unrolled_shape(64, 576, 0.2).block == 288
    assert unrolled_shape(1, 576, 0.01).block == 576
    assert unrolled_shape(64, 4 * 576, 0.01).block < 576  # most loads would come from far


def test_strips_are_narrower_where_code_stays_near():
    """But not where rows are far."""
    product, strips = zs.layer("C[i,j] = A[i,k]*B[k,j]"), []
    for rows, inner, columns in (
        (120, 1000, 784),
        (240, 1000, 784),
        (120, 40, 784),
        (90, 999, 3000),
    ):
        a = random_array(np.random.default_rng(rows), (rows, inner), "float32", 0.1)
        operands = {"A": zs.tensor(a, "CSR"), "B": np.ones((inner, columns), "float32")}
        shape = unrolled_shape(rows, inner, 0.1)
        assert shape.near == (rows * inner * 0.1 <= 2**14)
        line = line_of(product.spec, operands)
        plan = tile.plan(line.form, line.signatures, "float32")
        strips.append(geometry(plan, line.extents, shape, 4).numbers["strip_tiles"])
        if shape.near:
            bound = product.bind(A=operands["A"], schedule=zs.Schedule(unrolled=True))
            assert np.array_equal(bound(B=operands["B"]), a @ operands["B"])
    assert strips[0] < strips[1] < strips[2]
    assert strips[3] >= strips[1]  # as the rows of the result are far


def test_windows_whose_places_share_lines_come_in_longer_blocks():
    filters = zs.tensor(
        random_array(np.random.default_rng(5), (128, 128, 3, 3), "float32", 0.01), "CSR"
    )
    same = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
    blocks = []
    for side in (56, 14):
        operands = {"I": np.ones((1, 128, side, side), "float32"), "F": filters}
        (bound,) = choose(same.spec, operands, ("F",))
        assert bound.taken.unrolled in (True, None)
        blocks.append(bound.taken.block)
    if bound.taken.unrolled:
        assert blocks[0] < blocks[1]


def test_code_of_a_copy_is_left_where_tiles_load_a_place_seldom():
    """Entries of single rows are a load each, those of four that share places fewer; vectors that
    lie in two lines of the cache are two."""

    def left(rows, density, pitch=64):
        return tiles_pay(rows, density, 512, 256, pitch)

    assert [left(rows, 0.1) for rows in (32, 64, 96)] == [True, True, False]
    assert [left(20, d) for d in (0.3, 0.5)] == [True, True]
    assert [left(28, d) for d in (0.3, 0.4)] == [False, True]
    assert [left(64, 0.1, pitch) for pitch in (3136, 784)] == [True, False]
    assert not left(20, 0.8)  # of which a copy is worth it to tiles, too
    assert [tiles_pay(64, d, 512, 1024, 4096) for d in (0.06, 0.07)] == [True, False]  # crowded


def test_code_is_left_where_rows_are_stored_for_few_entries():
    """A few more where they are far, and never of four rows that share places."""

    def left(summed, density, pitch):
        return tiles_pay(256, density, 512, summed, pitch)

    assert [left(n, 0.1, 832) for n in (64, 100, 250)] == [True, False, False]
    assert [left(n, 0.1, 2**13) for n in (64, 100, 250)] == [True, True, False]
    assert [left(n, 0.4, 2**13) for n in (16, 30)] == [False, False]


def test_products_with_few_entries_of_a_place_are_read_in_place():
    product, taken = zs.layer("C[i,j] = A[i,k]*B[k,j]"), []
    for rows in (60, 200):
        a = random_array(np.random.default_rng(rows), (rows, 100), "float32", 0.1)
        b = np.ones((100, 640), "float32")
        (bound,) = choose(product.spec, {"A": zs.tensor(a, "CSR"), "B": b}, ("A",))
        taken.append(bound.taken.unrolled)
        assert np.array_equal(product.bind(A=zs.tensor(a, "CSR"))(B=b), a @ b)
    assert taken[0] in (False, None)
    (bound,) = choose(product.spec, {"A": zs.tensor(a[:, :0], "CSR"), "B": b[:0]}, ("A",))
    assert bound.taken.unrolled in (False, None)  # of no place

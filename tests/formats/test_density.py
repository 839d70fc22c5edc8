"""Shapes with a density in place of an operand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.errors import TensorError
from zeroskip.formats.density import Density


@given(
    st.lists(st.integers(0, 7), max_size=3),
    st.floats(0, 1),
    st.sampled_from(["float32", "float64", "int8", "int64", "bool"]),
    st.integers(0, 5),
)
def test_samples_hold_exactly_as_many_as_said(shape, density, dtype, seed):
    made = Density(shape, density)
    array = made.sample(seed, dtype)
    assert array.shape == tuple(shape)
    assert array.dtype == dtype
    assert np.count_nonzero(array) == made.nnz == round(density * array.size)
    assert np.array_equal(array, made.sample(np.random.default_rng(seed), dtype))


def test_every_place_is_as_likely():
    made = Density((10,), 0.3)
    rng = np.random.default_rng(0)
    hits = sum((made.sample(rng) != 0).astype(int) for _ in range(2000))
    assert hits.sum() == 2000 * 3
    assert abs(hits / 2000 - 0.3).max() < 0.05


def test_structure_holds_in_every_group():
    made = Density((6, 16), 0.5, structure="2:4")
    assert made.nnz == 48
    groups = made.sample(1).reshape(-1, 4)
    assert np.count_nonzero(groups, axis=1).tolist() == [2] * 24
    assert len({tuple(row) for row in (groups != 0).tolist()}) > 1
    assert Density((4,), structure="1:4").density == 0.25


def test_sweeps():
    sweep = Density((4, 4), np.linspace(0, 1, 3))
    assert sweep.swept
    assert len(sweep) == 3
    assert [point.nnz for point in sweep] == [0, 8, 16]
    assert repr(sweep) == "Density((4, 4), [0.0, 0.5, 1.0])"
    assert [point.density for point in Density((2,), 0.5)] == [0.5]
    with pytest.raises(TensorError, match="this Density is a sweep over 3 values\nTake one point"):
        sweep.sample(0)


@pytest.mark.parametrize(
    ("arguments", "named", "message"),
    [
        (((3,), 1.5), {}, "the density is 1.5; expected a share of the elements, 0 .. 1"),
        (((3,), float("nan")), {}, "the density is nan; expected a share of the elements, 0 .. 1"),
        (((3,), [0.5, -1]), {}, "density 1 of the sweep is -1.0; expected a share"),
        (((3,), "half"), {}, "a density is a number, or a row of numbers to sweep over"),
        (((3,), []), {}, "a density is a number, or a row of numbers to sweep over"),
        (((3,), None), {}, "a Density without a structure needs its density, 0 .. 1"),
        (((-3,), 0.5), {}, "axis 0 has extent -3; expected an integer >= 0"),
        (((8,), 0.4), {"structure": "2:4"}, "structure '2:4' has exactly 0.5\nLeave out"),
        (((6,), 0.5), {"structure": "2:4"}, "needs an axis of a multiple of 4; found shape (6,)"),
        (((), 0.5), {"structure": "2:4"}, "needs an axis of a multiple of 4; found no axis"),
        (((8,), 0.5), {"structure": "4:2"}, "structure '4:2': expected 0 < G <= H"),
        (((8,), 0.5), {"structure": "half"}, "a structure is written 'G:H', such as '2:4'"),
    ],
)
def test_what_is_no_density(arguments, named, message):
    with pytest.raises(TensorError) as caught:
        Density(*arguments, **named)
    assert message in str(caught.value)


@pytest.mark.parametrize("seed", [-1, "a"])
def test_a_seed_that_is_none(seed):
    with pytest.raises(TensorError) as caught:
        Density((3,), 0.5).sample(seed)
    assert f"expected a generator or a seed of 0 or more, found {seed!r}" in str(caught.value)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (lambda: Density(3, 0.5), "expected a shape such as (2, 3), found 3"),
        (lambda: Density((4,), structure=3), "written 'G:H', such as '2:4'; found 3"),
        (lambda: Density((4,), 0.5).sample(0, "zz"), "dtype: expected one of float64"),
    ],
)
def test_arguments_of_the_wrong_kind(call, line):
    with pytest.raises(TensorError) as caught:
        call()
    assert line in str(caught.value)

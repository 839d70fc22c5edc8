"""Variances of counts: squares over blocks, against a count over every placement, and drawn."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

from zeroskip.formats.density import Density
from zeroskip.hwmodel.spread import PlacesOfCells, Spread

UNEVEN = np.array([[1, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
MODELS = {
    "uniform": Density((4, 4), 5 / 16),
    "groups": Density((4, 4), structure="2:4"),
    "groups down": Density((4, 4), structure="1:2", axis=0),
    "hierarchy": Density((2, 8), structure="1:2 2:4"),
    "band": Density((4, 4), 4 / 16, structure="banded", width=1),
    "rows": Density.profile(UNEVEN, axes=0),
    "tiles": Density.empirical(UNEVEN, tile=(2, 2)),
}


def variance_by_parts(density: Density, points: np.ndarray) -> np.ndarray:
    """Of the sums of ``points[cell]`` over what is drawn, by the parts of the model; the points are
    those of places that may hold something."""
    if density.width is not None:
        rows, columns = np.indices(density.shape)
        points = points * (abs(rows - columns) <= density.width)
    cells = PlacesOfCells(
        points.astype(float), ["t"], ["i", "j"], density.shape, (0,) * density.ndim
    )
    model: Any = density.model
    squares = cells.squares(model.parts)
    assert squares is not None
    full = points.sum(axis=(1, 2)).astype(float)
    held = Spread(("A",), {"A": model}, {"A": squares}, full, full, frozenset())
    return held.variance({"A": model.share})


@pytest.mark.parametrize("name", MODELS)
def test_the_variance_of_drawn_sums(name: str) -> None:
    density = MODELS[name]
    rng = np.random.default_rng(0)
    points = rng.integers(0, 4, (5, *density.shape))
    points[4] = 1  # all of it: what the model fixes does not vary
    draws = np.array([density.model.draw(rng) for _ in range(6000)])
    sums = np.einsum("tij,dij->dt", points, draws)
    found = variance_by_parts(density, points)
    assert found == pytest.approx(sums.var(axis=0), rel=0.12, abs=1e-9)
    if name != "tiles":
        assert found[4] == pytest.approx(0, abs=1e-9)


def test_every_placement_of_a_uniform_one() -> None:
    density = Density((2, 3), 2 / 6)
    points = np.array([[[1, 0, 2], [0, 1, 0]], [[3, 1, 1], [1, 1, 3]]])
    masks = [np.isin(np.arange(6), c).reshape(2, 3) for c in combinations(range(6), 2)]
    sums = np.einsum("tij,dij->dt", points, np.array(masks))
    assert variance_by_parts(density, points) == pytest.approx(sums.var(axis=0))


def test_axes_that_are_cells_of_their_own() -> None:
    """A cell for each row: of each, so many places of the columns."""
    density = Density((3, 4), 6 / 12)
    points = np.array([[1.0, 1, 1, 1], [1, 0, 0, 2], [0, 0, 0, 0]])
    cells = PlacesOfCells(points, ["i"], ["i", "j"], (3, 4), (0, 0))
    model: Any = density.model
    squares = cells.squares(model.parts)
    assert squares is not None
    held = Spread(("A",), {"A": model}, {"A": squares}, points.sum(1), points.sum(1), frozenset())
    masks = [np.isin(np.arange(12), c).reshape(3, 4) for c in combinations(range(12), 6)]
    sums = np.einsum("ij,dij->di", points, np.array(masks))
    assert held.variance({"A": 0.5}) == pytest.approx(sums.var(axis=0))


def test_padding_and_an_unread_tail_are_no_places() -> None:
    """Five places are read of seven, the first of them padding."""
    density = Density((6,), 3 / 6)
    points = np.array([[9.0, 1, 2, 3, 4]])
    model: Any = density.model
    squares = PlacesOfCells(points, ["t"], ["j"], (6,), (1,)).squares(model.parts)
    assert squares is not None
    held = Spread(("A",), {"A": model}, {"A": squares}, np.ones(1), np.ones(1), frozenset())
    masks = [np.isin(np.arange(6), c) for c in combinations(range(6), 3)]
    sums = np.array(masks) @ np.array([1.0, 2, 3, 4, 0, 0])
    assert held.variance({"A": 0.5})[0] == pytest.approx(sums.var())


def test_two_tensors_vary_each_with_the_other_at_its_mean_and_together() -> None:
    """Sums of a[i]*A[i]*B[i]: exact where places of both are independent."""
    p, q, weights = 0.3, 0.6, np.array([1.0, 2, 3])
    a, b = Density((1000,), p), Density((1000,), q)
    models: Any = {"A": a.model, "B": b.model}
    points = np.zeros((1, 1000))
    points[0, :3] = weights
    cells = PlacesOfCells(points, ["t"], ["j"], (1000,), (0,))
    parts = {name: cells.squares(model.parts) for name, model in models.items()}
    squares = np.array([(weights**2).sum()])
    held = Spread(("A", "B"), models, parts, np.array([6.0]), squares, frozenset())  # type: ignore[arg-type]
    rng = np.random.default_rng(1)
    drawn = (rng.random((200_000, 3)) < p) & (rng.random((200_000, 3)) < q)
    assert held.variance({"A": p, "B": q})[0] == pytest.approx((drawn @ weights).var(), rel=0.02)


def test_what_all_counts_have_in_common_is_left_out() -> None:
    density = Density((4, 4), 0.5)
    model: Any = density.model
    ones = np.ones((2, 4, 4))
    squares = PlacesOfCells(ones, ["t"], ["i", "j"], (4, 4), (0, 0)).squares(model.parts)
    assert squares is not None
    full = np.full(2, 16.0)
    common = Spread(("A",), {"A": model}, {"A": squares}, full, full, frozenset({"A"}))
    assert common.variance({"A": 0.5}).tolist() == [0, 0]


def test_one_place_by_two_subscripts_has_no_squares() -> None:
    cells = PlacesOfCells(np.ones((2, 4)), ["t"], ["i", "i"], (4, 4), (0, 0))
    assert cells.squares(MODELS["uniform"].model.parts) is None

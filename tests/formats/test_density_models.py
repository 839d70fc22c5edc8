"""Models of where non-zeros lie: what they say of places, pairs and fibers, against draws."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest

from zeroskip.errors import TensorError
from zeroskip.formats.density import Density

CLUSTERED = np.kron(np.array([[1, 0, 1], [0, 1, 0]]), np.ones((2, 2))) * [[1, 0, 1, 1, 1, 0]]
MODELS = {
    "uniform": Density((4, 6), 0.4),
    "2:3": Density((4, 6), structure="2:3"),
    "2:3 1:2": Density((4, 6), structure="2:3 1:2"),
    "1:2 2:3": Density((2, 2, 6), structure="1:2 2:3"),
    "2:3 down": Density((6, 4), structure="2:3", axis=0),
    "1:2 2:3 amid": Density((2, 6, 2), structure="1:2 2:3", axis=1),
    "band": Density((4, 6), 0.25, structure="banded", width=1),
    "bands": Density((2, 5, 3), 0.2, structure="banded", width=1),
    "rows": Density.profile(CLUSTERED, axes=0),
    "columns": Density.profile(CLUSTERED, axes=1),
    "slices": Density.profile(np.stack([CLUSTERED, CLUSTERED[::-1] * [[0, 1] * 3]]), axes=(0, 2)),
    "tiles": Density.empirical(CLUSTERED, tile=(2, 2)),
    "long tiles": Density.empirical(CLUSTERED, tile=(1, 3)),
}
DRAWS = 6000


@pytest.fixture(scope="module")
def draws() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(11)
    return {n: np.array([d.model.draw(rng) for _ in range(DRAWS)]) for n, d in MODELS.items()}


def covariance(density: Density) -> np.ndarray:
    """Of each two places, from the parts of a model."""
    model, size = density.model, density.size
    found = np.zeros((size, size))
    places = np.indices(density.shape).reshape(density.ndim, -1)
    live = np.ones(size) if model.uneven is None else (model.uneven != 0)
    live = np.broadcast_to(np.reshape(live, np.shape(model.uneven) or density.shape), density.shape)
    for factor, part in zip(model.coefficients(model.share), model.parts, strict=True):
        at = places // np.array(part.block)[:, None]
        same = (at[:, :, None] == at[:, None, :]).all(axis=0)
        weights = np.ones(size)
        if part.weights is not None:
            grid = [n // b for n, b in zip(density.shape, part.block, strict=True)]
            weights = np.broadcast_to(part.weights, grid)[tuple(at)]
        found += factor * same * weights
    return found * np.outer(live, live)


@pytest.mark.parametrize("name", MODELS)
def test_chances_and_pairs_are_those_of_what_is_drawn(name, draws):
    density = MODELS[name]
    masks = draws[name].reshape(DRAWS, -1).astype(float)
    weights = density.model.weights
    chances = density.model.share * np.broadcast_to(
        1 if weights is None else weights, density.shape
    )
    assert abs(masks.mean(axis=0) - chances.reshape(-1)).max() < 5 * 0.5 / np.sqrt(DRAWS)
    assert abs(np.cov(masks.T, bias=True) - covariance(density)).max() < 5 * 0.25 / np.sqrt(DRAWS)
    spread = density.model.variance(density.model.share)
    uneven = 1 if density.model.uneven is None else density.model.uneven
    each = np.broadcast_to(spread * uneven, density.shape).reshape(-1)
    assert each == pytest.approx(chances.reshape(-1) * (1 - chances.reshape(-1)))


@pytest.mark.parametrize("name", MODELS)
def test_fibers_that_hold_something(name, draws):
    density, masks = MODELS[name], draws[name]
    axes = range(density.ndim)
    for taken in chain(*(combinations(axes, k) for k in range(density.ndim + 1))):
        behind = tuple(1 + a for a in axes if a not in taken)
        held = masks.any(axis=behind).reshape(DRAWS, -1).sum(axis=1)
        error = 5 * held.std() / np.sqrt(DRAWS) + 1e-9
        assert abs(density.model.occupied(taken) - held.mean()) <= error, taken


def test_what_a_sample_holds_of_each_slice_group_and_band():
    rng = np.random.default_rng(2)
    for density in MODELS.values():
        if density.structure != "empirical":
            assert np.count_nonzero(density.sample(rng)) == density.nnz
    rows = MODELS["rows"].sample(rng)
    assert np.array_equal((rows != 0).sum(axis=1), (CLUSTERED != 0).sum(axis=1))
    nested = MODELS["2:3 1:2"].sample(rng).reshape(-1, 3, 2) != 0
    assert set(nested.sum(axis=2).reshape(-1).tolist()) == {0, 1}
    assert set(nested.any(axis=2).sum(axis=1).tolist()) == {2}
    i, j = np.nonzero(MODELS["band"].sample(rng))
    assert abs(i - j).max() <= 1
    tiles = (MODELS["tiles"].sample(rng) != 0).reshape(2, 2, 3, 2).sum(axis=(1, 3))
    assert set(tiles.reshape(-1).tolist()) <= {0, 1, 2, 3, 4}


def test_densities_of_hierarchies():
    """3:4 of 2:4 is 37.5 %; {4:4, 4:5, 4:6, 4:7} of {4:4, 2:4, 1:4} are twelve densities."""
    assert Density((1, 16), structure="3:4 2:4").density == 0.375
    found = {
        Density((1, 4 * h), structure=f"4:{h} {g}:4").density
        for h in (4, 5, 6, 7)
        for g in (4, 2, 1)
    }
    assert len(found) == 12


def test_empty_shapes_hold_nothing():
    for density in (
        Density((0, 4), 0.5),
        Density((0, 4), structure="2:4"),
        Density((0, 4), structure="banded", width=1),
        Density.profile(np.zeros((3, 0)), axes=0),
        Density.empirical(np.zeros((0, 4)), tile=(1, 2)),
    ):
        assert density.sample(0).shape == density.shape
        assert density.model.occupied((0,)) == 0


def test_sweeps_and_reprs_of_structures():
    sweep = Density((6, 6), [0.1, 0.3], structure="banded", width=1)
    assert [point.nnz for point in sweep] == [4, 11]
    assert repr(next(iter(sweep))) == "Density((6, 6), 0.1, structure='banded', width=1)"
    assert repr(MODELS["tiles"]) == "Density.empirical(<4×6>, tile=(2, 2))"
    down = Density((6, 4), [2 / 3], structure="2:3", axis=0)
    assert list(down) == [MODELS["2:3 down"]] != [Density((4, 6), structure="2:3")]
    assert repr(down) == "Density((6, 4), [0.6666666666666666], structure='2:3', axis=0)"
    assert Density((4, 6), structure="2:3", axis=1) == MODELS["2:3"]
    assert list(MODELS["rows"]) == [MODELS["rows"]]
    assert Density.profile(CLUSTERED, 0) == MODELS["rows"] != MODELS["columns"]


def test_each_density_has_a_fingerprint_of_its_own():
    other = Density.profile(CLUSTERED * [[0], [1], [1], [1]], axes=0)
    assert repr(other) == repr(MODELS["rows"])
    every = [*MODELS.values(), other, Density((4, 6), [0.4]), Density((4, 6), [0.4, 0.5])]
    assert len({density.fingerprint for density in every}) == len(every)
    assert Density.profile(CLUSTERED, 0).fingerprint == MODELS["rows"].fingerprint


def test_groups_lie_along_the_axis_that_is_named():
    drawn = Density((8, 4, 3, 3), structure="2:4", axis=1).sample(3) != 0
    assert set(drawn.sum(axis=1).reshape(-1).tolist()) == {2}
    assert set(drawn.reshape(2, 4, 4, 9).sum(axis=1).reshape(-1).tolist()) > {2}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Density((6, 6), structure="banded"), "needs its width, the diagonals on either"),
        (lambda: Density((6, 6), structure="banded", width=-1), "width=2; found -1"),
        (
            lambda: Density((6, 4), structure="banded", width=6),
            "a band of width 6 is wider than the last two axes of shape (6, 4)\nLeave the",
        ),
        (lambda: Density((6,), structure="banded", width=1), "needs two axes or more; found shape"),
        (
            lambda: Density((6, 6), 0.5, structure="banded", width=1),
            "the density is 0.5, a share of all elements; a band of width 1 has room for 0.444444\n"
            "Take a wider band",
        ),
        (lambda: Density((6, 6), 0.5, width=1), "width 1 is that of a band, and structure is None"),
        (
            lambda: Density((6, 6), float("nan"), structure="banded", width=1),
            "the density is nan; expected a share of the elements",
        ),
        (lambda: Density((6, 6), -0.1), "the density is -0.1; expected a share of the elements"),
        (
            lambda: Density((4, 12), structure="1:2 2:4"),
            "structure '1:2 2:4' needs an axis of a multiple of 8; found shape (4, 12)",
        ),
        (
            lambda: Density((4, 8), structure="1:2, 2:4"),
            "are hierarchical, '4:8 2:4'; 'banded' has",
        ),
        (
            lambda: Density((4, 8), structure="profile"),
            "written 'G:H', such as '2:4'; found 'profile'",
        ),
        (
            lambda: Density((64, 64, 3, 3), structure="2:4", axis=3),
            "multiple of 4; found extent 3 of axis 3\nGroups fit axis 1: axis=1.",
        ),
        (
            lambda: Density((4, 6), structure="2:4", axis=1),
            "needs an axis of a multiple of 4; found extent 6 of axis 1\nGroups fit axis 0",
        ),
        (
            lambda: Density((6, 3, 5), structure="2:4", axis=1),
            "needs an axis of a multiple of 4; found extent 3 of axis 1\nNo axis is of such.",
        ),
        (
            lambda: Density((4, 4), structure="2:4", axis=2),
            "axis: expected one of 0 .. 1 of shape (4, 4), found 2",
        ),
        (lambda: Density((4, 4), structure="2:4", axis=-1), "axis: expected one of 0 .. 1 of"),
        (lambda: Density((4, 4), structure="2:4", axis=True), "axis: expected one of 0 .. 1 of"),
        (
            lambda: Density((4, 4), 0.5, axis=1),
            "axis 1 is that of groups G:H, and structure is None\nWrite structure",
        ),
        (
            lambda: Density((4, 4), structure=["2:4"]),
            "a structure is written 'G:H', such as '2:4'; found ['2:4']",
        ),
        (lambda: Density.profile(CLUSTERED, axes=1.5), "axes: expected axes 0 .. 1 of shape"),
        (lambda: Density.profile(CLUSTERED, axes=None), "axes: expected axes 0 .. 1 of shape"),
        (lambda: Density.profile(CLUSTERED, axes=2), "axes: expected axes 0 .. 1 of shape (4, 6)"),
        (
            lambda: Density.profile(Density((4,), 0.5), axes=0),
            "expected a tensor to measure, found",
        ),
        (
            lambda: Density.empirical(CLUSTERED, tile=(3, 2)),
            "tile (3, 2) does not divide shape (4, 6): expected one extent for each axis",
        ),
        (lambda: Density.empirical(CLUSTERED, tile=(2,)), "tile (2,) does not divide shape (4, 6)"),
    ],
)
def test_what_is_no_structure(call, message):
    with pytest.raises(TensorError) as caught:
        call()
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "structure", "axis"),
    [
        ((64, 64, 3, 3), "2:4", 1),
        ((8, 16), "2:4", 1),
        ((8, 6), "2:4", 0),
        ((4, 8, 4), "1:2 2:4", 1),
        ((16, 3, 4, 4), "2:4", 3),
    ],
)
def test_groups_lie_along_the_last_axis_that_they_fill(shape, structure, axis):
    found = Density(shape, structure=structure)
    assert found == Density(shape, structure=structure, axis=axis)
    assert found.axis == axis
    assert eval(repr(found)) == found
    groups = np.moveaxis(found.sample(0).astype(bool), axis, -1).reshape(-1, 4)
    assert set(groups.sum(1)) <= {0, 2}

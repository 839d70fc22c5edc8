"""How many of the places of a region hold something, against every placement of small tensors and
against drawn ones."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.hwmodel.regions import Regions, counts_of, grouped, log_missed_of

UNEVEN = np.random.default_rng(2).random((12, 8)) < np.linspace(0.1, 0.9, 12)[:, None]
DENSITIES = [
    zs.Density((12, 8), 0.3),
    zs.Density((12, 8), structure="2:4"),
    zs.Density((12, 8), structure="3:4", axis=0),
    zs.Density((12, 8), structure="1:2 1:2 1:2"),
    zs.Density((12, 16), structure="2:4 3:4"),
    zs.Density.profile(UNEVEN, axes=0),
    zs.Density.profile(UNEVEN, axes=(0, 1)),
    zs.Density.empirical(UNEVEN, tile=(3, 4)),
    zs.Density((12, 8), 0.1, structure="banded", width=2),
    zs.Density((12, 8), 0.0),
    zs.Density((12, 8), 1.0),
]
DRAWS = 600


def regions(size: int, seed: int) -> tuple[Regions, np.ndarray]:
    """Three regions of half the places, six of three, one of none; and the same as a mask."""
    rng = np.random.default_rng(seed)
    held = np.zeros((10, size), np.bool_)
    held[:3] = rng.random((3, size)) < 0.5
    for row in held[3:9]:
        row[rng.choice(size, 3, replace=False)] = True
    cell, place = np.nonzero(held)
    return Regions((2, 5), cell, place), held


@pytest.mark.parametrize("density", DENSITIES, ids=repr)
def test_drawn_tensors_have_these_counts(density: zs.Density) -> None:
    rng = np.random.default_rng(7)
    cells, held = regions(density.size, 1)
    kinds = grouped(density.pattern, cells)
    chances, which = counts_of(density, kinds), kinds.which
    missed = np.exp(log_missed_of(density, cells))
    assert which.shape == missed.shape == (2, 5)
    whole = held.astype(np.int64)
    draws = np.array([whole @ (density.sample(rng).reshape(-1) != 0) for _ in range(DRAWS)])
    for number, (kind, empty) in enumerate(zip(which.flat, missed.flat, strict=True)):
        found = chances[kind]
        assert found.sum() == pytest.approx(1)
        assert found[0] == pytest.approx(empty, abs=1e-9)
        seen = np.bincount(draws[:, number], minlength=len(found)) / DRAWS
        assert len(seen) == len(found) or not seen[len(found) :].any()
        error = np.sqrt(found * (1 - found) / DRAWS)
        assert np.all(np.abs(seen - found) <= 5 * error + 2 / DRAWS)


def test_every_placement_of_groups_of_groups() -> None:
    """One of two pairs in each half of a row of 8, one place of it: 16 ways."""
    density = zs.Density((8,), structure="1:2 1:2")
    halves = [(pair, one) for pair in (0, 1) for one in (0, 1)]
    for places in combinations(range(8), 3):
        counts = [
            sum(4 * half + 2 * pair + one in places for half, (pair, one) in enumerate(way))
            for way in product(halves, repeat=2)
        ]
        cells = Regions((), np.zeros(3, np.int64), np.array(places))
        kinds = grouped(density, cells)
        found = counts_of(density, kinds)[int(kinds.which)]
        assert np.allclose(found, np.bincount(counts, minlength=len(found)) / 16)


def test_regions_that_lie_apart_are_joined() -> None:
    density = zs.Density((4, 4), structure="1:4")
    cell = np.array([[4 * m + k // 2 for k in range(4)] for m in range(4)]).reshape(-1)
    halves = Regions((4, 4), cell, np.arange(16))
    whole = np.exp(log_missed_of(density, halves.joined((0,))))
    assert np.allclose(np.exp(log_missed_of(density, halves))[:, :2], 0.5)
    assert np.allclose(whole, 0)
    assert halves.joined(()).shape == ()

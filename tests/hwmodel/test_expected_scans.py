"""Mean steps of scans, against fingers that walk drawn fibers, and small ones in every way."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest
from fiber_judges import intersected
from hypothesis import given, settings
from hypothesis import strategies as st

import zeroskip as zs
from zeroskip.errors import TensorError
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_scans import chances_of, skip_ahead, two_finger

UNEVEN = np.random.default_rng(2).random((6, 8)) < np.linspace(0.1, 0.9, 6)[:, None]
MEANS = {"two-finger": two_finger, "skip-ahead": skip_ahead}


def walked(how: str, a: np.ndarray, b: np.ndarray) -> list[int]:
    """Steps of each row of a with all columns of b."""
    columns = [np.flatnonzero(b[:, n]).tolist() for n in range(b.shape[1])]
    rows = [np.flatnonzero(row).tolist() for row in a]
    return [sum(intersected(how, row, c, len(b)) for c in columns) for row in rows]


def of(x: Any) -> Operand:
    return Expected(x) if isinstance(x, zs.Density) else Operand(x.shape, x)


def placements(places: int, held: int, shape: tuple[int, ...]) -> list[np.ndarray]:
    every = combinations(range(places), held)
    return [np.isin(np.arange(places), some).reshape(shape) for some in every]


@settings(max_examples=25)
@given(
    how=st.sampled_from(sorted(MEANS)),
    places=st.integers(1, 6),
    held=st.tuples(st.integers(0, 6), st.integers(0, 6)),
    real=st.sampled_from(["none", "one", "other"]),
    seed=st.integers(0, 2**16),
)
def test_the_mean_over_every_placement(
    how: str, places: int, held: tuple[int, int], real: str, seed: int
) -> None:
    """A fiber of so many places with another; one of them may be a real one."""
    rng, shapes = np.random.default_rng(seed), ((1, places), (places, 1))
    counts = [min(n, places) for n in held]
    ways = [placements(places, n, s) for n, s in zip(counts, shapes, strict=True)]
    operands: list[Any] = [zs.Density(s, n / places) for n, s in zip(counts, shapes, strict=True)]
    if real != "none":
        at = ["one", "other"].index(real)
        operands[at] = ways[at][rng.integers(len(ways[at]))]
        ways[at] = [operands[at]]
    steps = [walked(how, a, b)[0] for a, b in product(*ways)]
    assert MEANS[how](*map(of, operands)) == pytest.approx([np.mean(steps)])


@pytest.mark.parametrize("how", sorted(MEANS))
@pytest.mark.parametrize(
    ("a", "b"),
    [
        (zs.Density((6, 8), 0.3), zs.Density((8, 5), 0.2)),
        (UNEVEN, zs.Density((8, 5), 0.4)),
        (zs.Density((6, 8), 0.4), UNEVEN.T),
    ],
    ids=["drawn", "a real", "b real"],
)
def test_fibers_of_one_tensor(how: str, a: Any, b: Any) -> None:
    check(how, a, b)


@pytest.mark.parametrize(
    "a",
    [
        zs.Density((6, 8), structure="1:4"),
        zs.Density((6, 8), structure="1:3", axis=0),
        zs.Density((6, 8), structure="1:2 2:4"),
        zs.Density.profile(UNEVEN, axes=0),
        zs.Density.profile(UNEVEN, axes=1),
        zs.Density.profile(UNEVEN, axes=(0, 1)),
        zs.Density.empirical(UNEVEN, tile=(3, 4)),
        zs.Density((6, 8), 0.2, structure="banded", width=2),
    ],
    ids=repr,
)
def test_fibers_of_every_structure(a: zs.Density) -> None:
    check("two-finger", a, zs.Density((8, 5), 0.3))
    with pytest.raises(
        TensorError, match=r"skip-ahead: .*: of a density, its steps are known of a"
    ):
        skip_ahead(of(a), of(UNEVEN.T))


def check(how: str, a: Any, b: Any) -> None:
    rng = np.random.default_rng(3)
    steps = []
    for _ in range(300):
        drawn = [x.sample(rng) if isinstance(x, zs.Density) else x for x in (a, b)]
        steps.append(walked(how, *drawn))
    mean, error = np.mean(steps, 0), np.std(steps, 0) / np.sqrt(len(steps))
    assert np.all(np.abs(MEANS[how](of(a), of(b)) - mean) <= 5 * error + 1e-9)


def test_too_many_pairs_of_places_are_refused() -> None:
    band = of(zs.Density((600, 600), structure="banded", width=3))
    with pytest.raises(TensorError, match="pairs of places in fibers that are not alike"):
        chances_of(band, 1)
    assert two_finger(of(zs.Density((3, 9000), 0.1)), of(zs.Density((9000, 2), 0.1))).shape == (3,)
    assert two_finger(of(zs.Density((0, 3), 0.1)), of(zs.Density((3, 2), 0.5))).shape == (0,)

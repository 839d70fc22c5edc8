"""Expected bridges, against the mean over every placement, and over draws."""

from __future__ import annotations

from itertools import combinations, product
from math import comb, prod

import numpy as np
import pytest
from test_expectation import mean_entries

import zeroskip as zs
from zeroskip.errors import TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.expectation import expected_entries

UNEVEN = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]])
FORMATS = ("U R(1)", "a*b:R(1)", "[a,b] b*a:R(1)", "[a,b] b:U a:R(1)", "a*b:R(2)", "[a,b] b*a:R(2)")


@pytest.mark.parametrize("text", FORMATS)
@pytest.mark.parametrize(
    "density",
    [
        Density((4, 4), 4 / 16, structure="banded", width=1),
        Density((3, 5), 3 / 15, structure="banded", width=2),
        Density((3, 4), None, structure="banded", width=0),
        Density((3, 4), 0.0, structure="banded", width=1),
        Density((2, 8), structure="1:4"),
        Density((8, 2), structure="1:4", axis=0),
        Density((2, 8), structure="1:8"),
        Density((4, 4), structure="2:4"),
        Density.profile(UNEVEN, axes=0),
        Density((3, 4), 3 / 12),
    ],
    ids=str,
)
def test_bridges_are_the_mean_over_all_placements(density: Density, text: str) -> None:
    bound = Format(text).bind(2)
    assert expected_entries(density, bound) == pytest.approx(mean_entries(density, bound))


@pytest.mark.parametrize("text", ["U R(1)", "a*b:R(1)", "a*b:R(2)"])
@pytest.mark.parametrize("structure", ["1:2 1:2", "1:2 1:4", "2:2 1:4"])
def test_groups_of_groups_by_every_placement(structure: str, text: str) -> None:
    """Two rows of one outermost group each."""
    (g, h), (_, inner) = (map(int, pair.split(":")) for pair in structure.split())
    ways = []
    for groups in combinations(range(h), g):
        for at in product(range(inner), repeat=g):
            held = [inner * group + one for group, one in zip(groups, at, strict=True)]
            ways.append(np.isin(np.arange(h * inner), held))
    bound = Format(text).bind(2)
    entries = [
        Tensor.from_dense(np.array(rows, np.float32), bound).levels[-1].entries
        for rows in product(ways, repeat=2)
    ]
    density = Density((2, h * inner), structure=structure)
    assert expected_entries(density, bound)[-1] == pytest.approx(np.mean(entries))


@pytest.mark.parametrize("text", FORMATS)
def test_slices_along_the_fiber(text: str) -> None:
    """A profile by columns: each is drawn by itself."""
    density, bound = Density.profile(UNEVEN, axes=1), Format(text).bind(2)
    each = [list(combinations(range(3), int(z))) for z in UNEVEN.sum(axis=0)]
    entries = []
    for chosen in product(*each):
        mask = np.zeros((3, 4), np.float32)
        for column, rows in enumerate(chosen):
            mask[list(rows), column] = 1
        entries.append([level.entries for level in Tensor.from_dense(mask, bound).levels])
    assert expected_entries(density, bound) == pytest.approx(np.mean(entries, axis=0))


@pytest.mark.parametrize("text", FORMATS)
def test_tiles_as_measured(text: str) -> None:
    """Each tile has the entries of one of three that were measured, at any of its places."""
    measured = np.array([[1, 1, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0]])
    density = Density.empirical(measured, (2, 2))
    counts = [3, 0, 1]
    masks = [
        (np.isin(np.arange(4), c).reshape(2, 2), 1 / 3 / comb(4, z))
        for z in counts
        for c in combinations(range(4), z)
    ]
    bound, mean = Format(text).bind(2), 0.0
    for three in product(masks, repeat=3):
        mask = np.hstack([mask for mask, _ in three]).astype(np.float32)
        entries = Tensor.from_dense(mask, bound).levels[-1].entries
        mean += prod(weight for _, weight in three) * entries
    assert expected_entries(density, bound)[-1] == pytest.approx(mean)


@pytest.mark.parametrize(
    "density",
    [
        Density((8, 600), 0.01, structure="banded", width=40),
        Density((6, 512), structure="1:64"),
        Density((6, 512), structure="1:8 2:16"),
        Density((6, 512), structure="1:4 1:2 1:8"),
        Density.empirical(np.kron(np.eye(4), np.ones((2, 64))), (2, 64)),
        Density.profile(np.random.default_rng(0).random((6, 512)) < 0.02, axes=1),
        Density((4, 5000), 0.004),
    ],
    ids=str,
)
def test_long_fibers_by_draws(density: Density) -> None:
    bound, rng = Format("U R(4)").bind(2), np.random.default_rng(0)
    drawn = [Tensor.from_dense(density.sample(rng), bound).levels[-1].entries for _ in range(400)]
    error = 5 * np.std(drawn) / 20
    assert abs(expected_entries(density, bound)[-1] - np.mean(drawn)) <= error + 1e-9


def test_charges_have_them_too() -> None:
    """Eyeriss codes its activations by runs: means of drawn images, in clusters of channels."""
    rng = np.random.default_rng(1)
    image = np.kron(rng.random((1, 4, 3, 2)) < 0.1, np.ones((1, 1, 2, 40)))
    density, weights = Density.empirical(image, (1, 1, 2, 40)), np.ones((2, 4, 3, 3))
    layer = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]")
    ones = np.ones((1, 2, 4, 78))
    expected = zs.charge(layer, "eyeriss", I=density, F=weights, O=ones)
    reads = [
        zs.charge(layer, "eyeriss", I=density.sample(rng), F=weights, O=ones).at("DRAM", "I").reads
        for _ in range(100)
    ]
    error = 5 * np.std(reads) / 10
    assert abs(expected.at("DRAM", "I").reads - np.mean(reads)) <= error
    found = expected.function("energy_pj")(d_I=density.model.share)
    assert found == pytest.approx(expected.energy_pj)


def test_a_band_has_bridges_but_no_formula_of_them() -> None:
    band = Density((40, 40), 0.02, structure="banded", width=19)
    charge = zs.charge("y[m] = I[m,k]*F[k]", "eyeriss", I=band, F=np.ones(40), y=np.ones(40))
    said = "has no closed formula in the density of a band"
    with pytest.raises(TensorError, match=said):
        charge.formula("energy_pj")

"""Expected entries of a density, against the mean over every placement there is."""

from __future__ import annotations

from itertools import chain, combinations, product

import numpy as np
import pytest

from zeroskip.errors import TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.expectation import expected_entries, expected_storage


def placements(density: Density) -> list[np.ndarray]:
    """Every mask that a density can be."""
    if density.structure in ("banded", "profile"):
        return drawn_in_blocks(density)
    if density.structure is None:
        choices = combinations(range(density.size), density.nnz)
        filled = [list(places) for places in choices]
    else:
        group, of = map(int, density.structure.split(":"))
        blocks = range(0, density.size, of)
        each = [
            [[first + i for i in c] for c in combinations(range(of), group)] for first in blocks
        ]
        filled = [list(chain(*chosen)) for chosen in product(*each)]
    masks = np.zeros((len(filled), density.size), np.float32)
    for mask, places in zip(masks, filled, strict=True):
        mask[places] = 1
    if density.axis is not None:  # groups were laid out along the last axis
        rows = [n for k, n in enumerate(density.shape) if k != density.axis]
        turned = masks.reshape(-1, *rows, density.shape[density.axis])
        return list(np.moveaxis(turned, -1, 1 + density.axis))
    return list(masks.reshape(-1, *density.shape))


def drawn_in_blocks(density: Density) -> list[np.ndarray]:
    """Every mask of a band, or of a profile by rows."""
    if density.width is not None:
        rows, columns = np.indices(density.shape)
        live = np.flatnonzero(abs(rows - columns) <= density.width)
        filled = [list(places) for places in combinations(live.tolist(), density.nnz)]
    else:
        assert density.measured is not None
        counts = np.frombuffer(density.measured.counts, np.int64).tolist()
        wide = density.shape[1]
        each = [
            combinations(range(row * wide, (row + 1) * wide), k) for row, k in enumerate(counts)
        ]
        filled = [list(chain(*chosen)) for chosen in product(*each)]
    masks = np.zeros((len(filled), density.size), np.float32)
    for mask, places in zip(masks, filled, strict=True):
        mask[places] = 1
    return list(masks.reshape(-1, *density.shape))


def mean_entries(density: Density, bound: Format) -> list[float]:
    drawn = [
        [level.entries for level in Tensor.from_dense(mask, bound).levels]
        for mask in placements(density)
    ]
    return list(np.mean(drawn, axis=0))


DENSITIES = [
    Density((2, 4), 3 / 8),
    Density((3, 4), 2 / 12),
    Density((2, 5), 0.0),
    Density((2, 3), 1.0),
    Density((2, 4), structure="2:4"),
    Density((3, 4), structure="1:4"),
    Density((4, 3), structure="1:4", axis=0),
    Density((4, 2), structure="2:4", axis=0),
    Density((3, 4), 4 / 12, structure="banded", width=1),
    Density((4, 3), None, structure="banded", width=0),
    Density.profile([[1, 0, 1], [0, 0, 0], [1, 0, 0]], axes=0),
]


@pytest.mark.parametrize("density", DENSITIES, ids=str)
@pytest.mark.parametrize(
    "text",
    ["dense", "CSR", "CSC", "COO", "C C", "[a,b] b:C a:C", "bitmask", "B B", "a:C b:U", "B C"],
)
def test_expected_entries_are_the_mean_over_all_placements(density: Density, text: str) -> None:
    bound = Format(text).bind(2)
    assert expected_entries(density, bound) == pytest.approx(mean_entries(density, bound))


@pytest.mark.parametrize("density", DENSITIES[:4], ids=str)
@pytest.mark.parametrize("text", ["U R(1)", "a*b:R(1)", "[a,b] b*a:R(2)", "a:U b:R(2)"])
def test_expected_bridges_are_the_mean_over_all_placements(density: Density, text: str) -> None:
    bound = Format(text).bind(2)
    assert expected_entries(density, bound) == pytest.approx(mean_entries(density, bound))


@pytest.mark.parametrize(
    ("shape", "structure", "axis", "text"),
    [
        ((2, 4), "3:4", 1, "U R(2)"),  # gaps of at most 2: no bridge
        ((2, 4), "3:4", 1, "a*b:R(2)"),
        ((4, 4), "1:4", 1, "[a,b] b:U a:R(1)"),  # a fiber has one place of each group
        ((5, 2), "1:2", 1, "[a,b] b:U a:R(1)"),
        ((4, 2), "3:4", 0, "[a,b] b:U a:R(2)"),
        ((4, 2), "3:4", 0, "[a,b] b*a:R(2)"),
        ((2, 5), "1:2", 0, "U R(1)"),
    ],
)
def test_bridges_of_groups(shape: tuple[int, int], structure: str, axis: int, text: str) -> None:
    density, bound = Density(shape, structure=structure, axis=axis), Format(text).bind(2)
    assert expected_entries(density, bound) == pytest.approx(mean_entries(density, bound))


def test_bridges_of_a_profile_by_rows() -> None:
    density = Density.profile([[1, 0, 1, 0, 0, 0], [0] * 6, [1, 0, 0, 0, 0, 0]], axes=0)
    for text in ("U R(1)", "a:U b:R(2)"):
        bound = Format(text).bind(2)
        assert expected_entries(density, bound) == pytest.approx(mean_entries(density, bound))


def test_three_axes_and_flattened_ranks() -> None:
    density = Density((2, 2, 3), 3 / 12)
    for text in ("a:C b*c:C", "[a,b,c] c:C a:C b:C", "COO", "a*b:B c:C", "[a,b,c] b:U c*a:R(1)"):
        bound = Format(text).bind(3)
        assert expected_entries(density, bound) == pytest.approx(mean_entries(density, bound))


def test_large_densities_are_as_exact_as_small_ones() -> None:
    """Rows of 1,000 places at one non-zero a row on average: empty with about 1/e."""
    density = Density((100_000, 1000), 0.001)
    rows, entries = expected_entries(density, Format("C C").bind(2))
    assert rows == pytest.approx(100_000 * (1 - 0.999**1000), rel=1e-5)
    assert entries == pytest.approx(density.nnz)
    huge = Density((2**30, 2**12), 2**-12)  # 2**30 non-zeros in 2**42 places: one a row
    rows, entries = expected_entries(huge, Format("C C").bind(2))
    assert rows == pytest.approx(2**30 * (1 - np.exp(-1)), rel=1e-3)
    assert entries == pytest.approx(huge.nnz)
    (columns, _) = expected_entries(Density((2**11, 2**11), 0.75), Format("C C").bind(2))
    assert columns == 2**11


def test_storage_is_that_of_the_mean() -> None:
    density = Density((8, 6), 0.25)
    price = Tensor.from_dense(density.sample(0), "CSC").storage(16)
    assert expected_storage(density, Format("CSC").bind(2), 16) == price


@pytest.mark.parametrize(
    ("density", "text", "said"),
    [
        (Density((4, 4), 0.5), "BSR(2,2)", "split axes and groups G:H have no closed expectation"),
        (Density((4, 4), 0.5), "U H(2:4)", "split axes and groups G:H have no closed expectation"),
        (Density((4, 4), 0.5), "C R(1)", "run lengths there have no closed expectation"),
        (Density((4, 4), 0.5), "R(1) U", "run lengths there have no closed expectation"),
        (Density.profile(np.ones((3, 4, 4)), axes=(0, 2)), "a:U b:U c:R(1)", "run lengths there"),
        (Density((8, 4), structure="1:2 3:4", axis=0), "a*b:R(1)", "run lengths there have no"),
    ],
)
def test_formats_without_a_closed_expectation_are_refused(
    density: Density, text: str, said: str
) -> None:
    with pytest.raises(TensorError) as caught:
        expected_entries(density, Format(text).bind(density.ndim))
    assert said in str(caught.value)
    assert str(caught.value).endswith("Draw an array from it: density.sample(rng).")

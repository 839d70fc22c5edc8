"""Chances that a tile holds something, against every placement and drawn ones."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from zeroskip.formats.density_models import log_missed
from zeroskip.hwmodel.events import Event


@pytest.mark.parametrize("places", [1, 2, 5, 7])
@pytest.mark.parametrize("nonzeros", [0, 1, 3, 7])
def test_every_placement_of_non_zeros(places: int, nonzeros: int) -> None:
    masks = [set(chosen) for chosen in combinations(range(7), nonzeros)]
    there = np.mean([bool(chosen & set(range(places))) for chosen in masks])
    assert Event("A", 7, 7, places).chance(nonzeros / 7) == pytest.approx(there)


def test_a_tile_of_a_tensor_that_is_empty_in_parts() -> None:
    """Three non-zeros among the six live of ten places: a tile has four of the live ones."""
    there = np.mean([bool({*c} & {0, 1, 2, 3}) for c in combinations(range(6), 3)])
    assert Event("A", 10, 6, 4).chance(0.3) == pytest.approx(there)


@pytest.mark.parametrize(("size", "places"), [(2**20, 2**17), (10**6, 1000), (4096, 64)])
def test_large_tiles(size: int, places: int) -> None:
    for share in (1e-5, 1e-3, 0.02):
        nonzeros = round(share * size)
        found = Event("A", size, size, places).chance(nonzeros / size)
        assert found == pytest.approx(-np.expm1(log_missed(size, nonzeros, places)), rel=1e-4)


def test_many_densities_at_once_and_symbols() -> None:
    import sympy

    shares = np.array([0.0, 0.1, 0.35, 1.0])
    d = sympy.Symbol("d")
    for places in (3, 16, 60):
        event = Event("A", 60, 60, places)
        found = event.chance(shares)
        assert found.tolist() == pytest.approx([event.chance(float(s)) for s in shares])
        formula = event.chance(d)
        assert [float(formula.subs(d, s)) for s in shares] == pytest.approx(
            found.tolist(), rel=1e-9
        )


@pytest.mark.parametrize("places", [65, 300, 5000])
def test_formulas_of_large_tiles(places: int) -> None:
    """Stirling's factorials: the chance that all are empty within two thousandths."""
    import sympy

    d, event = sympy.Symbol("d"), Event("A", 6000, 6000, places)
    for nonzeros in (0, 1, 30, 200, 700):
        share = nonzeros / 6000
        missed = 1 - float(event.chance(d).subs(d, share))
        assert missed == pytest.approx(1 - event.chance(share), rel=2e-3, abs=1e-12)
    assert float(event.chance(d).subs(d, 1)) == pytest.approx(1)

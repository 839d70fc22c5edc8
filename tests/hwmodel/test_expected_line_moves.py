"""Mean lines of drawn tensors that come whole, against every placement and against draws."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
WHOLE = zs.Mapping("n m k", {}, {}, sync="none")


def design(**changes: Any) -> dict[str, Any]:
    lines = {"read_bits": 48, "write_bits": 16, "pointer_bits": 10}
    formats = {"DRAM": "a:U b:C(7)", "GLB": "a:U b:C"}
    return {
        "name": "lined",
        "array": {"pe": 1},
        "value_bits": 16,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines, "read_bits_per_cycle": 4}, "GLB": {}, "PE": {}},
        "sparse": ["skip A,B"],
        "formats": {"A": formats, "B": formats},
        **changes,
    }


def moved(charge: Any) -> list[float]:
    found = [charge.at("DRAM", tensor) for tensor in "AB"]
    return [n for x in found for n in (x.reads, x.read_data_bits, x.read_metadata_bits)]


def charged(a: Any, b: Any, design: Any, text: str = PRODUCT, mapping: Any = WHOLE) -> Any:
    return zs.charge(text, design, A=a, B=b, mapping=mapping)


def test_the_mean_over_every_placement() -> None:
    masks = [np.isin(np.arange(6), some) * 1.0 for some in combinations(range(6), 3)]
    shapes = (2, 3), (3, 2)
    every = [
        moved(charged(a.reshape(shapes[0]), b.reshape(shapes[1]), design()))
        for a, b in product(masks, masks[::4])
    ]
    found = charged(zs.Density(shapes[0], 0.5), zs.Density(shapes[1], 0.5), design())
    assert moved(found)[:3] == pytest.approx(np.mean(every, axis=0)[:3], rel=1e-12)
    assert found.tags["traffic"] == found.tags["energy_pj"] == "exact in expectation"
    assert found.estimate.sampled is None
    assert not any("draws" in text for text in found.assumptions)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (zs.Density((6, 8), structure="2:4"), zs.Density((8, 5), 0.2)),
        (zs.Density((6, 6), 0.3, structure="banded", width=2), zs.Density((6, 5), 0.9)),
        (zs.Density.profile(np.tri(6, 8), axes=0), np.eye(8, 5)),
    ],
    ids=["groups", "band", "profile"],
)
def test_the_mean_of_draws(a: Any, b: Any) -> None:
    rng = np.random.default_rng(3)
    given = [[x.sample(rng) if isinstance(x, zs.Density) else x for x in (a, b)] for _ in range(80)]
    drawn = np.array([moved(charged(*one, design())) for one in given])
    error = 5 * drawn.std(axis=0, ddof=1) / np.sqrt(len(drawn)) + 1e-9
    found = charged(a, b, design())
    assert np.all(np.abs(np.array(moved(found)) - drawn.mean(axis=0)) <= error)
    assert found.tags["traffic"] == "exact in expectation"


def test_formulas_are_the_figures_at_any_density() -> None:
    rng, shapes = np.random.default_rng(7), ((5, 9), (9, 4))
    many = [[zs.Density(shape, rng.uniform()) for shape in shapes] for _ in range(4)]
    many += [[zs.Density(shape, full) for shape in shapes] for full in (0.0, 1.0)]
    charges = [charged(*given, design()) for given in many]
    cycles = charges[0].formula("cycles")
    for (a, b), charge in zip(many, charges, strict=True):
        at = {"d_A": a.nnz / a.size, "d_B": b.nnz / b.size}
        assert float(cycles.subs(at)) == pytest.approx(charge.cycles, rel=1e-9)
        energy = charge.formula("energy_pj")  # on chip pointers are as wide as those of the charge
        assert float(energy.subs(at)) == pytest.approx(charge.energy_pj, rel=1e-9)
    assert charges[0].bound_by == "DRAM"


def test_what_is_not_closed_is_drawn_or_refused_by_name() -> None:
    a, b = zs.Density((6, 8), 0.3), zs.Density((8, 80), 0.3)
    long = charged(a, b, design())
    with pytest.raises(
        ArchError, match="the lines of B in the densities: its fibers have 80 places"
    ):
        long.formula("cycles")
    group = charged(zs.Density((6, 8), structure="2:4"), b, design())
    with pytest.raises(
        ArchError, match="the lines of A in the densities: some of its places are m"
    ):
        group.formula("cycles")
    tiles = zs.Mapping("m1 @GLB(A) n m0 k", {"m": 2}, {}, sync="none")
    listed = {"A": {"DRAM": "a:C(7) b:C(7)", "GLB": "a:U b:C"}}
    for drawn in (
        charged(a, b, design(), mapping=tiles),
        charged(a, b, design(formats={**design()["formats"], **listed})),
        charged(
            a, b, design(formats={**design()["formats"], "Z": {"DRAM": "a:U b:C(7)", "GLB": "U"}})
        ),
    ):
        assert drawn.tags["traffic"] == "approximate"
        with pytest.raises(ArchError, match="in the densities: it is the mean of draws"):
            drawn.formula("cycles")

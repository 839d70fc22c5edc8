"""Tiles that come where a drawn leader holds something: means over every placement, and drawn."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

import zeroskip as zs

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
CONV = "O[m,p,q] = I[c,p+r,q+s]*F[m,c,r,s]"


def design(*sparse: str) -> Any:
    return zs.arch(
        {
            "name": "led",
            "array": {"pe": 2},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "sparse": list(sparse),
            "formats": {role: {"DRAM": "C", "GLB": "C", "PE": "C"} for role in "IF"},
        }
    )


def mapped(order: str, space: dict[str, str] | None = None, **split: list[int]) -> zs.Mapping:
    return zs.Mapping(split=split, order=order, **({"space": space} if space else {}))


FEATURES = [
    ("skip F on I @GLB",),
    ("skip I on F @GLB",),
    ("skip I,F @GLB",),
    ("gate F on I @GLB", "skip I on F @MAC"),
    ("skip F on I @GLB", "skip F on I @PE"),
    ("skip I,F @GLB", "skip I,F @MAC"),
]
MAPPINGS = [
    mapped("m1 k1 @GLB n k0 m0", m=[2], k=[2]),
    mapped("k1 @GLB m1 n k0 m0", m=[2], k=[2]),
    mapped("k1 @GLB m1 n k0 m0", {"m1": "pe"}, m=[2], k=[2]),
]


def figures(charge: Any) -> dict[str, float]:
    found = {f"ops {name}": value for name, value in charge.ops.items()}
    for (level, tensor), moves in charge.traffic.items():
        found[f"{level} {tensor}"] = moves.bits
    return {**found, "energy": charge.energy_pj, "busy": charge.busy}


@pytest.mark.parametrize("sparse", FEATURES, ids="; ".join)
@pytest.mark.parametrize("mapping", MAPPINGS, ids=str)
def test_the_mean_over_every_placement(sparse: tuple[str, ...], mapping: zs.Mapping) -> None:
    """Two of nine places, tiles of 4, 2, 2 and 1 of them; one of six places of the other."""
    given = {"A": zs.Density((3, 3), 2 / 9), "B": zs.Density((3, 2), 1 / 6)}
    arch = design(*sparse)
    ones = np.ones((3, 2))
    expected = zs.charge(PRODUCT, arch, **given, Z=ones, mapping=mapping)
    masks = []
    for density in given.values():
        places = combinations(range(density.size), density.nnz)
        masks.append([np.isin(np.arange(density.size), c).reshape(density.shape) for c in places])
    layer = zs.layer(PRODUCT)
    every = [zs.charge(layer, arch, A=a, B=b, Z=ones, mapping=mapping) for a, b in product(*masks)]
    found = [figures(charge) for charge in every]
    assert len(found) == 36 * 6
    for name, value in figures(expected).items():
        mean = np.mean([one[name] for one in found])
        slack = 1e-3 if name.startswith(("DRAM", "energy", "GLB")) else 1e-9  # widths of pointers
        assert value == pytest.approx(mean, rel=slack), name
    cycles = np.mean([charge.compute_cycles for charge in every])
    assert expected.tags["ops"] == expected.tags["traffic"] == "exact in expectation"
    if expected.tags["cycles"] == "exact in expectation":
        assert expected.compute_cycles == pytest.approx(cycles)
    else:
        assert expected.tags["cycles"] == "approximate"
        assert expected.compute_cycles == pytest.approx(cycles, rel=0.1)


@pytest.mark.parametrize(
    ("sparse", "order"),
    [
        (("skip F on I @GLB",), "m p1 c1 @GLB c0 p0 q r s"),
        (("skip F on I @GLB",), "c1 @GLB p1 m c0 p0 q r s"),
        (("skip I,F @GLB", "skip I,F @MAC"), "m p1 c1 @GLB c0 p0 q r s"),
    ],
)
def test_windows_that_share_places_are_one_tile(sparse: tuple[str, ...], order: str) -> None:
    given = {"I": zs.Density((4, 8, 5), 0.02), "F": zs.Density((6, 4, 3, 3), 0.03)}
    arch, mapping, rng = design(*sparse), mapped(order, p=[3], c=[2]), np.random.default_rng(3)
    ones = np.ones((6, 6, 3))
    expected = figures(zs.charge(CONV, arch, **given, O=ones, mapping=mapping))
    layer = zs.layer(CONV)
    found = []
    for _ in range(60):
        drawn = {n: d.sample(rng) for n, d in given.items()}
        found.append(figures(zs.charge(layer, arch, **drawn, O=ones, mapping=mapping)))
    for name, value in expected.items():
        values = np.array([one[name] for one in found], float)
        error = 5 * values.std(ddof=1) / np.sqrt(len(values)) + 2e-3 * values.mean()
        assert abs(value - values.mean()) <= error + 1e-9, name


def test_chances_stay_factors_in_formulas() -> None:
    given = {"A": zs.Density((16, 16), 0.1), "B": zs.Density((16, 8), 0.3)}
    mapping = mapped("m1 k1 @GLB n k0 m0", m=[8], k=[8])
    charge = zs.charge(PRODUCT, design("skip F on I @GLB"), **given, mapping=mapping)
    assert len(str(charge.formula("never_fetched"))) < 10_000
    at = {f"d_{n}": d.model.share for n, d in given.items()}
    for figure in ("never_fetched", "energy_pj"):
        number = charge.energy_pj if figure == "energy_pj" else charge.ops[figure]
        assert float(charge.function(figure)(**at)) == pytest.approx(number, rel=1e-6)


@pytest.mark.parametrize(
    "leader", [zs.Density((24, 32), 0.02), zs.Density((24, 32), structure="1:8 1:4")], ids=repr
)
@pytest.mark.parametrize("space", [{}, {"n": "pe"}, {"m1": "pe"}], ids=str)
def test_gated_tiles_take_all_their_cycles(leader: zs.Density, space: dict[str, str]) -> None:
    """A tile that is not called for takes a cycle for each point; of others, the slowest PE."""
    given = {"A": leader, "B": zs.Density((32, 8), 0.3)}
    m = 12 if "m1" in space else 4
    mapping = mapped("k1 @GLB m1 n k0 m0" if m == 12 else "m1 k1 @GLB n k0 m0", space, m=[m], k=[4])
    arch, rng, layer = design(*FEATURES[3]), np.random.default_rng(8), zs.layer(PRODUCT)
    expected = zs.charge(PRODUCT, arch, **given, mapping=mapping)
    assert expected.tags["cycles"] == "approximate"
    cycles = []
    for _ in range(60):
        drawn = {name: density.sample(rng) for name, density in given.items()}
        cycles.append(zs.charge(layer, arch, **drawn, mapping=mapping).compute_cycles)
    error = 5 * np.std(cycles, ddof=1) / np.sqrt(len(cycles))
    assert abs(expected.compute_cycles - np.mean(cycles)) <= error + 0.05 * np.mean(cycles)


UNEVEN = np.random.default_rng(4).random((6, 8)) < np.linspace(0.02, 0.3, 6)[:, None]
LEADERS = {
    "groups": zs.Density((6, 8), structure="1:4"),
    "groups of rows": zs.Density((6, 8), structure="1:3", axis=0),
    "groups of groups": zs.Density((6, 8), structure="1:2 1:4"),
    "profile": zs.Density.profile(UNEVEN, axes=0),
    "profile of columns": zs.Density.profile(UNEVEN, axes=1),
    "tiles": zs.Density.empirical(UNEVEN, tile=(2, 4)),
    "band": zs.Density((6, 8), 0.1, structure="banded", width=2),
}


@pytest.mark.parametrize("leader", LEADERS)
@pytest.mark.parametrize(
    ("sparse", "mapping"),
    [
        (FEATURES[2], mapped("m1 k1 @GLB n k0 m0", m=[3], k=[2])),
        (FEATURES[3], mapped("k1 @GLB m1 n k0 m0", {"m1": "pe"}, m=[3], k=[2])),
    ],
    ids=str,
)
def test_leaders_whose_non_zeros_lie_in_groups(
    sparse: tuple[str, ...], mapping: zs.Mapping, leader: str
) -> None:
    """Tiles of 3 by 2 places cut groups, rows and tiles in parts."""
    given = {"A": LEADERS[leader], "B": zs.Density((8, 2), 1 / 8)}
    arch, rng, ones = design(*sparse), np.random.default_rng(9), np.ones((6, 2))
    layer = zs.layer(PRODUCT)
    expected = zs.charge(PRODUCT, arch, **given, Z=ones, mapping=mapping)
    assert expected.tags["ops"] == expected.tags["traffic"] == "exact in expectation"
    found = []
    for _ in range(80):
        drawn = {name: d.sample(rng) for name, d in given.items()}
        found.append(figures(zs.charge(layer, arch, **drawn, Z=ones, mapping=mapping)))
    for name, value in figures(expected).items():
        values = np.array([one[name] for one in found], float)
        error = 5 * values.std(ddof=1) / np.sqrt(len(values))
        slack = 5e-3 if name.startswith(("DRAM", "energy", "GLB")) else 0  # pointers
        assert abs(value - values.mean()) <= error + slack * values.mean() + 1e-9, name


def test_windows_of_a_leader_in_groups() -> None:
    given = {
        "I": zs.Density((4, 8, 5), structure="1:4", axis=1),
        "F": zs.Density((6, 4, 3, 3), 0.03),
    }
    arch, mapping = design("skip F on I @GLB"), mapped("m p1 c1 @GLB c0 p0 q r s", p=[3], c=[2])
    charge = zs.charge(CONV, arch, **given, mapping=mapping)
    rng, layer, found = np.random.default_rng(3), zs.layer(CONV), []
    for _ in range(60):
        drawn = {n: d.sample(rng) for n, d in given.items()}
        found.append(zs.charge(layer, arch, **drawn, mapping=mapping).ops["never_fetched"])
    error = 5 * np.std(found, ddof=1) / np.sqrt(len(found))
    assert abs(charge.ops["never_fetched"] - np.mean(found)) <= error + 1e-9
    formula = charge.formula("never_fetched")
    at = {f"d_{n}": d.model.share for n, d in given.items()}
    assert float(formula.subs(at)) == pytest.approx(charge.ops["never_fetched"])

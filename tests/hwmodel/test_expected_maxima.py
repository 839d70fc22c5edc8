"""Expected maxima over PEs, and cycles on several multipliers: every placement, and draws."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

import zeroskip as zs

PRODUCT = "Z[m,n] = I[m,k]*F[k,n]"
CONV = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"
THREE = "Z[m,n] = I[m,k]*F[k,n]*G[k]"
STORED = {name: {"DRAM": "C", "GLB": "C"} for name in "IF"}


def design(multipliers: int, pes: int, **changes: Any) -> Any:
    return zs.arch(
        {
            "name": "several",
            "array": {"pe": pes},
            "multipliers": multipliers,
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "sparse": ["skip I,F"],
            "formats": STORED,
            **changes,
        }
    )


def every(shape: tuple[int, ...], held: int) -> list[np.ndarray]:
    size = int(np.prod(shape))
    return [
        np.isin(np.arange(size), some).reshape(shape) * 1.0
        for some in combinations(range(size), held)
    ]


@pytest.mark.parametrize("mapping", [None, zs.Mapping("k m n", space={}, sync="k")], ids=str)
@pytest.mark.parametrize(("multipliers", "pes"), [(1, 4), (2, 1), (2, 4), (3, 4)])
@pytest.mark.parametrize(("first", "second"), [(1, 4), (2, 2), (3, 1)])
def test_the_mean_over_every_placement(
    mapping: Any, multipliers: int, pes: int, first: int, second: int
) -> None:
    arch = design(multipliers, pes)
    found = [
        zs.charge(PRODUCT, arch, I=a, F=b, mapping=mapping).compute_cycles
        for a, b in product(every((2, 2), first), every((2, 3), second))
    ]
    given = {"I": zs.Density((2, 2), first / 4), "F": zs.Density((2, 3), second / 6)}
    expected = zs.charge(PRODUCT, arch, **given, mapping=mapping)
    assert expected.compute_cycles == pytest.approx(np.mean(found))
    assert expected.tags["cycles"] in ("exact in expectation", "bound")


def test_one_row_on_two_multipliers_of_a_preset() -> None:
    """One of two rows holds something, and two of four columns: always one product a PE at most."""
    given = {"A": zs.Density((2, 1), 0.5), "B": zs.Density((1, 4), 0.5)}
    expected = zs.charge("Z[m,n] = A[m,k]*B[k,n]", "eyeriss-v2", **given)
    assert expected.compute_cycles == pytest.approx(1)


@pytest.mark.parametrize("multipliers", [2, 5])
@pytest.mark.parametrize("pes", [1, 4])
@pytest.mark.parametrize(("first", "second"), [(0.1, 0.3), (0.5, 0.5), (0.9, 0.2)])
@pytest.mark.parametrize(
    ("text", "shapes", "mapping"),
    [
        (PRODUCT, {"I": (20, 9), "F": (9, 16)}, None),
        (
            PRODUCT,
            {"I": (20, 9), "F": (9, 16)},
            zs.Mapping("m1 k m0 n", {"m": 5}, {"n": "pe"}, sync="m1"),
        ),
        (CONV, {"I": (1, 4, 7, 7), "F": (6, 4, 3, 3)}, None),
        (THREE, {"I": (6, 5), "F": (5, 8), "G": (5,)}, None),
    ],
    ids=str,
)
def test_drawn_operands(
    text: str, shapes: Any, mapping: Any, multipliers: int, pes: int, first: float, second: float
) -> None:
    """Within 10 % where a step is not exact, and no further off than draws say where it is."""
    layer, arch, rng = zs.layer(text), design(multipliers, pes), np.random.default_rng(3)
    shares = {"I": first, "F": second, "G": 0.6}
    given = {name: zs.Density(shape, shares[name]) for name, shape in shapes.items()}
    expected = zs.charge(layer, arch, **given, mapping=mapping)
    drawn = np.array(
        [
            zs.charge(
                layer, arch, **{n: x.sample(rng) for n, x in given.items()}, mapping=mapping
            ).compute_cycles
            for _ in range(40)
        ]
    )
    error = 5 * drawn.std(ddof=1) / np.sqrt(len(drawn))
    exact = expected.tags["cycles"] != "approximate"
    slack = 0.0 if exact else 0.1 * drawn.mean()
    assert abs(expected.compute_cycles - drawn.mean()) <= error + slack + 1e-9


def test_real_operands_beside_a_drawn_one_round_up_as_they_are() -> None:
    arch, rng = design(2, 2), np.random.default_rng(5)
    real = np.array([[1.0, 0, 1], [1, 1, 1]])
    density = zs.Density((3, 4), 0.5)
    expected = zs.charge(PRODUCT, arch, I=real, F=density)
    drawn = [
        zs.charge(PRODUCT, arch, I=real, F=density.sample(rng)).compute_cycles for _ in range(200)
    ]
    assert expected.compute_cycles == pytest.approx(np.mean(drawn), rel=0.1)
    full = zs.charge(PRODUCT, arch, I=real, F=zs.Density((3, 4), 1.0))
    assert full.compute_cycles == zs.charge(PRODUCT, arch, I=real, F=np.ones((3, 4))).compute_cycles


def test_epochs_have_the_rounded_cycles() -> None:
    arch = design(3, 2, overlap="double")
    given = {"I": zs.Density((6, 4), 0.5), "F": zs.Density((4, 6), 0.5)}
    found = zs.charge(PRODUCT, arch, **given)
    assert found.epochs.total == pytest.approx(found.compute_cycles)


def test_tiles_of_equally_many_entries_have_as_many() -> None:
    """Tiles of 4 entries of a drawn leader: places of each are no cells that entries fall into."""
    mapping = zs.Mapping("mk1 mk0 n", {"m*k": "occupancy(I, 4)"}, {"n": "pe"}, sync="mk1")
    formats = {name: {"DRAM": "CSR", "GLB": "CSR"} for name in "IF"}
    given = {"I": zs.Density((6, 6), 1 / 3), "F": zs.Density((6, 4), 0.5)}
    found = zs.charge(PRODUCT, design(2, 2, formats=formats), **given, mapping=mapping)
    counts = found.estimate.geometry.counts({"I": 1 / 3, "F": 0.5})
    assert float(counts["mostI"]) == pytest.approx(4, rel=0.05)
    assert found.tags["capacity"] == found.tags["cycles"] == "approximate"

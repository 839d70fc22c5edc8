"""Vectors of drawn operands, against drawn ones charged exactly, and against every placement."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError

CONV = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"
UNEVEN = np.random.default_rng(4).random((1, 6, 9, 8)) < np.linspace(0.1, 0.8, 6)[:, None, None]


def design(**changes: Any) -> Any:
    return zs.arch(
        {
            "name": "vectors",
            "array": {"rows": 2, "cols": 3},
            "multipliers": 6,
            "lanes": {"I": 2, "F": 3},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "sparse": ["skip I,F"],
            "formats": {"I": {"DRAM": "C"}, "F": {"DRAM": "C"}},
            **changes,
        }
    )


def figures(charge: Any) -> dict[str, float]:
    vectors = charge.cartesian
    return {
        "products": vectors.products,
        "off": vectors.off_output,
        "slots": vectors.slots,
        "idle": vectors.idle_lanes,
        "multiply": charge.energy["multiply"],
    }


@pytest.mark.parametrize(
    "given",
    [
        {"I": zs.Density((1, 6, 9, 8), 0.3), "F": zs.Density((5, 6, 3, 3), 0.4)},
        {
            "I": zs.Density((1, 6, 9, 8), 0.6),
            "F": zs.Density((5, 6, 3, 3), structure="1:3", axis=1),
        },
        {"I": zs.Density.profile(UNEVEN, axes=1), "F": zs.Density((5, 6, 3, 3), 0.05)},
        {"I": zs.Density.empirical(UNEVEN, tile=(1, 2, 3, 4)), "F": np.ones((5, 6, 3, 3))},
        {"I": UNEVEN.astype(float), "F": zs.Density((5, 6, 3, 3), 0.2)},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("mapping", "slack"),
    [
        ({"order": "c n m r s p q", "sync": "c"}, 0.01),
        ({"order": "m1 c n m0 r s p q", "sync": "m1", "split": {"m": 3}}, 0.05),
        ({"order": "n m c r s p q", "sync": "none", "space": {"c": "rows", "m": "cols"}}, 0.1),
    ],
    ids=str,
)
def test_means_of_drawn_operands(given: Any, mapping: Any, slack: float) -> None:
    layer, rng, arch = zs.layer(CONV, pad=1), np.random.default_rng(5), design()
    chosen = zs.Mapping(**mapping)
    expected = zs.charge(layer, arch, **given, mapping=chosen)
    found = []
    for _ in range(60):
        drawn = {n: x.sample(rng) if isinstance(x, zs.Density) else x for n, x in given.items()}
        found.append(zs.charge(layer, arch, **drawn, mapping=chosen))
    for name, value in figures(expected).items():
        values = np.array([figures(charge)[name] for charge in found])
        error = 5 * values.std(ddof=1) / np.sqrt(len(values))
        assert abs(value - values.mean()) <= error + 1e-9 * values.mean(), name
    turns = np.array([charge.cartesian.turns for charge in found])
    error = 5 * turns.std(axis=0, ddof=1) / np.sqrt(len(turns))
    assert np.all(np.abs(expected.cartesian.turns - turns.mean(axis=0)) <= error + 2 / len(turns))
    cycles = np.array([charge.compute_cycles for charge in found])
    error = 5 * cycles.std(ddof=1) / np.sqrt(len(cycles))
    assert abs(expected.compute_cycles - cycles.mean()) <= error + slack * cycles.mean()
    assert expected.tags["cycles"] == "approximate"
    assert any(
        text.startswith("lanes: vectors of a cell round up") for text in expected.assumptions
    )


def test_the_mean_over_every_placement() -> None:
    """Two of six places of each operand, in vectors of two and of three, on one PE."""
    text, arch = "Z[m,n] = I[m,k]*F[k,n]", design(array={"pe": 1})
    mapping = zs.Mapping("k m n", sync="k", space={})
    masks = [np.isin(np.arange(6), some) * 1.0 for some in combinations(range(6), 2)]
    every = [
        zs.charge(text, arch, I=a.reshape(3, 2), F=b.reshape(2, 3), mapping=mapping)
        for a, b in product(masks, masks)
    ]
    given = {"I": zs.Density((3, 2), 1 / 3), "F": zs.Density((2, 3), 1 / 3)}
    found = zs.charge(text, arch, **given, mapping=mapping)
    for name, value in figures(found).items():
        assert value == pytest.approx(np.mean([figures(charge)[name] for charge in every])), name
    assert found.compute_cycles == pytest.approx(np.mean([c.compute_cycles for c in every]))
    assert found.tags["cycles"] == "exact in expectation"
    assert not any(text.startswith("lanes: vectors of a cell") for text in found.assumptions)


def test_products_off_the_output_are_in_the_formula() -> None:
    given = {"I": zs.Density((1, 6, 9, 8), 0.3), "F": zs.Density((5, 6, 3, 3), 0.4)}
    charge = zs.charge(zs.layer(CONV, pad=1), design(), **given)
    at = {f"d_{n}": d.model.share for n, d in given.items()}
    assert float(charge.formula("energy_pj").subs(at)) == pytest.approx(charge.energy_pj, rel=1e-6)
    with pytest.raises(
        ArchError, match=r"function\('cycles'\): vectors has lanes on PEs that wait for each other"
    ):
        charge.function("cycles")
    with pytest.raises(ArchError, match="its lanes of this charge hold for these extents"):
        charge.formula("energy_pj", extents=True)


ONE_PE = [
    ("Z[m,n] = I[m,k]*F[k,n]", {"I": (5, 3), "F": (3, 7)}, zs.Mapping("k m n", {}, {}, sync="k")),
    (CONV, {"I": (1, 2, 5, 4), "F": (3, 2, 3, 3)}, zs.Mapping(space={}, sync="none")),
    (
        CONV,
        {"I": (1, 2, 5, 4), "F": (5, 2, 3, 3)},
        zs.Mapping("m1 c n m0 r s p q", {"m": 2}, {}, sync="m1"),
    ),
]


@pytest.mark.parametrize(("text", "shapes", "mapping"), ONE_PE, ids=["product", "CONV", "blocks"])
def test_cycles_of_one_pe_have_a_formula_with_their_round_ups(
    text: str, shapes: dict[str, Any], mapping: zs.Mapping
) -> None:
    rng, arch = np.random.default_rng(len(text)), design(array={"pe": 1})
    many = [{n: zs.Density(s, rng.uniform()) for n, s in shapes.items()} for _ in range(3)]
    many += [{n: zs.Density(s, d) for n, s in shapes.items()} for d in (0.0, 1.0)]
    charges = [zs.charge(text, arch, **given, mapping=mapping) for given in many]
    formula, function = charges[0].formula("cycles"), charges[0].function("cycles")
    for given, charge in zip(many, charges, strict=True):
        at = {f"d_{n}": d.nnz / d.size for n, d in given.items()}
        wanted = pytest.approx(charge.cycles, rel=1e-9, abs=1e-9)
        assert float(formula.subs(at)) == wanted
        assert function(**at) == wanted
    given = {**many[0], "F": (rng.random(shapes["F"]) < 0.4) * 1.0}
    half = zs.charge(text, arch, **given, mapping=mapping)
    at = {"d_I": given["I"].nnz / given["I"].size}
    assert float(half.formula("cycles").subs(at)) == pytest.approx(half.cycles, rel=1e-9)


def test_lanes_without_a_formula_say_why() -> None:
    text, given = "Z[m,n] = I[m,k]*F[k,n]", {"I": zs.Density((8, 4), 0.3)}
    given["F"] = zs.Density((4, 80), 0.3)
    mapping = zs.Mapping("k m n", {}, {}, sync="k")
    charge = zs.charge(text, design(array={"pe": 1}), **given, mapping=mapping)
    with pytest.raises(ArchError, match="vectors of F in the densities: its cells have up to 80 p"):
        charge.formula("cycles")
    given = {"I": zs.Density((4, 8), structure="2:4"), "F": zs.Density((8, 4), 0.3)}
    charge = zs.charge(text, design(array={"pe": 1}), **given, mapping=mapping)
    with pytest.raises(ArchError, match="some of its places are more likely than others"):
        charge.formula("cycles")
    banked = design(array={"pe": 1}, lanes={"I": 2, "F": 3, "banks": 4})
    charge = zs.charge(text, banked, **given, mapping=mapping)
    with pytest.raises(ArchError, match="vectors has banks that products wait for, and their"):
        charge.formula("cycles")


@pytest.mark.parametrize("overlap", ["none", "double"])
def test_epochs_of_full_densities_are_those_of_full_operands(overlap: str) -> None:
    """Epoch by epoch, with bandwidth; of drawn ones their steps are the means of the slowest."""
    levels = {"DRAM": {"read_bits_per_cycle": 1, "write_bits_per_cycle": 1}, "GLB": {}, "PE": {}}
    arch, layer = design(overlap=overlap, levels=levels), zs.layer(CONV, pad=1)
    shapes = {"I": (1, 6, 9, 8), "F": (5, 6, 3, 3)}
    expected = zs.charge(layer, arch, **{n: zs.Density(s, 1.0) for n, s in shapes.items()})
    real = zs.charge(layer, arch, **{n: np.ones(s) for n, s in shapes.items()})
    shared = 2  # bits: a tensor that comes whole is shared among epochs in whole bits
    assert expected.epochs.cycles.tolist() == pytest.approx(real.epochs.cycles.tolist(), abs=shared)
    assert real.epochs.cycles.sum() >= real.compute_cycles == real.cartesian.slowest.sum()
    drawn = zs.charge(layer, arch, **{n: zs.Density(s, 0.4) for n, s in shapes.items()})
    assert drawn.epochs.total >= drawn.compute_cycles
    assert drawn.tags["cycles"] == "approximate"

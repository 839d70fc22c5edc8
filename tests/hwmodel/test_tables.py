"""Cycles at many densities at once, against single charges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError

CONV = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]", pad=1)
PRODUCT = zs.layer("Z[m,n] = A[m,k]*B[k,n]")
BAND = zs.Density((24, 24), 0.05, structure="banded", width=3)
CASES: dict[str, tuple[Any, dict[str, tuple[int, ...]]]] = {
    "conv": (CONV, {"I": (1, 16, 12, 12), "F": (24, 16, 3, 3)}),
    "product": (PRODUCT, {"A": (48, 24), "B": (24, 40)}),
    "three": (
        zs.layer("Z[m,n] = A[m,k]*B[k,n]*C[m,n]"),
        {"A": (24, 12), "B": (12, 16), "C": (24, 16)},
    ),
}


@pytest.mark.parametrize("name", ["dense", "eyeriss", "scnn", "eyeriss-v2"])
@pytest.mark.parametrize("case", CASES)
def test_values_are_those_of_single_charges(case: str, name: str) -> None:
    """At whole numbers of non-zeros, to four times the error that the table states."""
    layer, shapes = CASES[case]
    made = zs.charge(layer, name, **{n: zs.Density(s, 0.5) for n, s in shapes.items()})
    rng = np.random.default_rng(0)
    shares = {n: rng.uniform(0.03, 1, 12) for n in shapes}
    exact = [
        {n: np.round(x[k] * np.prod(shapes[n])) / np.prod(shapes[n]) for n, x in shares.items()}
        for k in range(12)
    ]
    charges = [
        zs.charge(layer, name, **{n: zs.Density(shapes[n], x) for n, x in one.items()})
        for one in exact
    ]
    at = {f"d_{n}": np.array([one[n] for one in exact]) for n in shapes}
    compute = made.function("compute_cycles")
    rounded = name == "eyeriss-v2"  # two multipliers: steps of few products have kinks
    assert 0 <= compute.error < (0.06 if case == "three" else 0.04 if rounded else 0.03)
    slack = 4 * compute.error + 1e-9
    assert compute(**at) == pytest.approx([c.compute_cycles for c in charges], rel=slack)
    whole = made.function("cycles")
    assert whole.error == compute.error
    assert whole(**at) == pytest.approx([c.cycles for c in charges], rel=slack + 0.01)
    assert compute(**{n: x[0] for n, x in at.items()}) == pytest.approx(compute(**at)[0])


def test_full_and_empty_operands_are_points_of_the_table() -> None:
    layer, shapes = CASES["conv"]
    made = zs.charge(layer, "scnn", **{n: zs.Density(s, 0.5) for n, s in shapes.items()})
    compute = made.function("compute_cycles")
    real = zs.charge(layer, "scnn", **{n: np.ones(s) for n, s in shapes.items()})
    assert compute(d_I=1.0, d_F=1.0) == pytest.approx(real.compute_cycles)
    assert compute(d_I=np.zeros(2), d_F=0.5).tolist() == pytest.approx([0, 0], abs=1e-9)


def test_only_densities_that_scale_are_asked_for() -> None:
    given = {"A": zs.Density((24, 24), structure="2:4"), "B": BAND}
    made = zs.charge(PRODUCT, "scnn", **given)
    compute = made.function("compute_cycles")
    assert set(compute.most) == {"d_B"}
    assert compute(d_B=BAND.model.share) == pytest.approx(made.compute_cycles, rel=0.02)
    full = zs.Density((24, 24), structure="banded", width=3)
    most = zs.charge(PRODUCT, "scnn", A=given["A"], B=full).compute_cycles
    assert compute(d_B=full.density) == pytest.approx(most)
    with pytest.raises(ArchError, match=r"compute_cycles: expected d_B of 0 \.\. 0\.27"):
        compute(d_B=0.5)
    with pytest.raises(ArchError, match="compute_cycles: expected the densities d_B too"):
        compute()


def test_units_bound_cycles_and_overlap_is_refused() -> None:
    shapes = {"A": (24, 24), "B": (24, 24)}
    given = {n: zs.Density(s, 0.5) for n, s in shapes.items()}
    scnn = zs.arch("scnn")
    formats = {role: {"DRAM": "CSR", "GLB": "C"} for role in "IF"}
    text = {**{"name": "slow", "array": {"pe": 4}, "energy": "eyeriss-relative"}}
    text |= {"levels": {"DRAM": {}, "GLB": {}, "PE": {}}, "sparse": ["skip I,F"]}
    text |= {"formats": formats, "units": {"intersect": {"how": "leader-follower", "rate": 0.01}}}
    found = zs.charge(PRODUCT, zs.arch(text), **given).function("cycles")
    assert found(d_A=0.25, d_B=0.5) == pytest.approx(0.25 * 24 * 24 / 0.01)
    timed = zs.charge(PRODUCT, replace(scnn, overlap="double"), **given)
    with pytest.raises(ArchError, match="this design overlaps epochs, and their time at many"):
        timed.function("cycles")
    real = zs.charge(PRODUCT, "scnn", **{n: np.ones(s) for n, s in shapes.items()})
    with pytest.raises(ArchError, match="counts real operands and has numbers only"):
        real.function("cycles")

"""Steps of units where operands are drawn, against steps that are walked one by one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fiber_judges import intersected, merged_in_passes

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Arch

LINE = "Z[m,n] = A[m,k]*B[k,n]"
UNEVEN = np.random.default_rng(2).random((12, 10)) < np.linspace(0.1, 0.9, 12)[:, None]
TABLE = {
    "name": "round numbers",
    "actions": {
        name: {"cost": cost, "source": "chosen"}
        for name, cost in {"multiply": 4, "add": 1, "intersect": 2}.items()
    },
    "components": {name: name for name in ("multiply", "add", "intersect")},
}


def design(pes: int = 2, **unit: Any) -> Arch:
    return zs.arch(
        {
            "name": "small",
            "array": {"pe": pes},
            "energy": TABLE,
            "levels": {"DRAM": {"energy": 20}, "GLB": {"energy": 2}, "PE": {"energy": 1}},
            "sparse": ["skip I,F"],
            "formats": {role: {"DRAM": "CSR", "GLB": "CSR"} for role in "IF"},
            "units": unit,
        }
    )


def walked(how: str, a: np.ndarray, b: np.ndarray) -> list[int]:
    """Steps of each row; of a leader-follower unit the leader is gone through once a row."""
    columns = range(1) if how == "leader-follower" else range(b.shape[1])
    return [
        sum(
            intersected(how, np.flatnonzero(row).tolist(), np.flatnonzero(b[:, n]).tolist(), len(b))
            for n in columns
        )
        for row in a
    ]


@pytest.mark.parametrize("how", ["leader-follower", "bitmask(4)"])
@pytest.mark.parametrize(
    "a",
    [
        zs.Density((12, 10), 0.3),
        zs.Density((12, 10), structure="1:2"),
        zs.Density.profile(UNEVEN, axes=0),
        zs.Density((12, 10), 0.1, structure="banded", width=2),
        UNEVEN.astype(float),
    ],
    ids=str,
)
def test_mean_steps_are_those_of_drawn_operands(how: str, a: Any) -> None:
    rng, b = np.random.default_rng(0), zs.Density((10, 8), 0.4)
    arch = design(intersect={"how": how, "rate": 2.5})
    unit = zs.charge(LINE, arch, A=a, B=b).units["intersect"]
    steps = []
    for _ in range(200):
        drawn = a.sample(rng) if isinstance(a, zs.Density) else a
        steps.append(walked(how, drawn, b.sample(rng)))
    mean, error = np.mean(steps, 0), np.std(steps, 0) / np.sqrt(len(steps))
    assert np.all(np.abs(unit.by_place - mean) <= 5 * error + 1e-9 * mean)
    assert unit.steps == pytest.approx(unit.by_place.sum())
    assert unit.cycles == pytest.approx(unit.steps / 2.5)


def test_steps_cost_energy_in_the_formula_too() -> None:
    given = {"A": zs.Density((12, 10), 0.3), "B": zs.Density((10, 8), 0.4)}
    charge = zs.charge(LINE, design(intersect={"how": "leader-follower"}), **given)
    assert charge.energy["intersect"] == pytest.approx(2 * 36)
    at = {"d_A": 0.3, "d_B": 0.4}
    assert float(charge.formula("energy_pj").subs(at)) == pytest.approx(charge.energy_pj)
    assert charge.tags["cycles"] == "bound"  # the larger of two that are exact in expectation
    one = zs.charge(LINE, design(1, intersect={"how": "leader-follower"}), **given)
    assert one.tags["cycles"] == "bound"
    long = {"A": given["A"], "B": zs.Density((10, 300), 0.4)}
    wide = zs.charge(LINE, design(intersect={"how": "leader-follower"}), **long)
    assert wide.tags["cycles"] == "approximate"  # the larger of two, one of which is
    assert charge.cycles == max(charge.compute_cycles, charge.units["intersect"].cycles)


def test_steps_of_skip_ahead_have_no_formula() -> None:
    given = {"A": zs.Density((12, 10), 0.3), "B": zs.Density((10, 8), 0.4)}
    charge = zs.charge(LINE, design(intersect={"how": "skip-ahead", "rate": 2}), **given)
    unit = charge.units["intersect"]
    assert charge.energy["intersect"] == pytest.approx(2 * unit.steps)
    assert unit.cycles == unit.steps / 2
    assert unit.accounting.startswith("stepsLivestL[m,k] |= ")
    with pytest.raises(ArchError, match="no closed formula of the steps of intersect, skip-ahead"):
        charge.formula("energy_pj")
    assert str(charge.formula("effectual")) == "960*d_A*d_B"


@pytest.mark.parametrize("overlap", ["none", "double"])
@pytest.mark.parametrize("within", ["", "*(k <= m)"])
@pytest.mark.parametrize("how", ["leader-follower", "two-finger", "skip-ahead"])
def test_rows_of_a_product_by_epochs(how: str, within: str, overlap: str) -> None:
    """Four rows and then two: their steps, and those of merging what they make, beside the work."""
    rng = np.random.default_rng(5)
    a, b = (rng.random(shape) < 0.5 for shape in ((6, 8), (8, 5)))
    units = {"intersect": {"how": how, "rate": 0.5}, "merge": {"how": "tree", "radix": 2}}
    units["merge"]["rate"] = 0.25
    arch = replace(design(1, **units), overlap=overlap)
    mapping = zs.Mapping("m1 m0 k n", {"m": 4}, {}, sync="m1")
    text = f"Z[m,n] = A[m,k]*B[k,n]{within}"
    found = zs.charge(text, arch, A=a * 1, B=b * 1, mapping=mapping)
    rows = [np.arange(8) <= (m if within else 8) for m in range(6)]
    steps = [walked(how, a[[m]] & row, b & row[:, None])[0] for m, row in enumerate(rows)]
    fibers = [
        [np.flatnonzero(b[k]).tolist() for k in np.flatnonzero(a[m] & rows[m])] for m in range(6)
    ]
    merged = [merged_in_passes(row, 2) for row in fibers]
    wanted = [max(sum(steps[part]) * 2, sum(merged[part]) * 4) for part in (slice(4), slice(4, 6))]
    assert found.epochs is not None
    assert found.epochs.cycles.tolist() == ([0, *wanted, 0] if overlap == "double" else wanted)
    assert any(text.endswith("the rest of the epoch of their fibers") for text in found.assumptions)
    with pytest.raises(ArchError, match="k, which is outside the sync, cuts what it goes through "):
        zs.charge(text, arch, A=a * 1, B=b * 1, mapping=zs.Mapping("m k n", space={}, sync="k"))


def test_means_of_each_epoch() -> None:
    """Of rows alone they are known, of mergers those of draws: either in the epoch of its rows."""
    units = {"intersect": {"how": "leader-follower", "rate": 0.5}}
    arch = replace(design(1, **units), overlap="none")
    mapping = zs.Mapping("m1 m0 k n", {"m": 8}, {}, sync="m1")
    given = {"A": zs.Density((12, 10), 0.3), "B": zs.Density((10, 1), 0.1)}
    found = zs.charge(LINE, arch, **given, mapping=mapping)
    assert found.epochs is not None
    assert found.epochs.cycles.tolist() == pytest.approx([2 * 24, 2 * 12])
    units = {"merge": {"how": "list", "rate": 0.01}}
    arch, given["B"] = replace(arch, units=design(1, **units).units), zs.Density((10, 8), 0.4)
    found = zs.charge(LINE, arch, **given, mapping=mapping)
    unit = found.units["merge"]
    assert unit.drawn_by is not None
    assert found.epochs is not None
    draws = [charge.units["merge"].by_place for charge in unit.drawn_by.charges]
    rows = np.mean(draws, axis=0)
    assert found.epochs.cycles.tolist() == pytest.approx(
        [100 * rows[:8].sum(), 100 * rows[8:].sum()]
    )


def test_epochs_by_numbers_of_places_are_refused() -> None:
    units = {"intersect": {"how": "two-finger"}}
    arch = replace(design(1, **units), overlap="none")
    mapping = zs.Mapping("m1 m0 n k", {"m": "occupancy(A, 4)"}, {}, sync="m1")
    with pytest.raises(ArchError, match="m1, which is outside the sync, goes by numbers of places"):
        zs.charge(LINE, arch, A=np.ones((3, 3)), B=np.ones((3, 2)), mapping=mapping)


def test_no_points_have_one_epoch() -> None:
    """Nothing of B is there, and rows of A are gone through all the same."""
    units = {"intersect": {"how": "leader-follower", "rate": 0.5}}
    arch = replace(design(1, **units), overlap="none")
    mapping = zs.Mapping("m k n", space={}, sync="m")
    found = zs.charge(LINE, arch, A=np.ones((2, 3)), B=np.ones((3, 0)), mapping=mapping)
    assert found.epochs is not None
    assert found.epochs.cycles.tolist() == [found.units["intersect"].cycles]

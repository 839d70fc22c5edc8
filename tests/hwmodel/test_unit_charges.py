"""Steps of units where operands are drawn, against steps that are walked one by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fiber_judges import intersected

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
    assert np.all(np.abs(unit.by_row - mean) <= 5 * error + 1e-9 * mean)
    assert unit.steps == pytest.approx(unit.by_row.sum())
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

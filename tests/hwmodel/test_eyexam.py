"""Eyexam: seven bounds, none above the one before, the last as charged."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from layers import conv_case, conv_spec, one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import arch, charge, charge_cascade
from zeroskip.hwmodel.eyexam import bounds_of, eyexam

PRODUCT = make_spec("y[m] = F[m,k]*I[k]")


def dense(rows: int, columns: int) -> dict[str, np.ndarray]:
    return {"F": np.ones((rows, columns)), "I": np.ones(columns)}


@pytest.mark.parametrize("name", ["dense", "eyeriss", "scnn", "scnn-lanes"])
@pytest.mark.parametrize("density", [0.2, 0.5, 1.0])
@pytest.mark.parametrize("stride", [1, 2, 6])
def test_no_bound_is_above_the_one_before(name: str, density: float, stride: int) -> None:
    charged = charge(conv_spec(stride), name, conv_case(density=density))
    bounds = bounds_of(charged)
    assert len(bounds) == 7
    assert all(after <= before for before, after in pairwise(bounds))
    assert bounds[0] == charged.busy
    assert bounds[-1] == charged.busy / charged.cycles


def test_operations_of_a_cycle_never_exceed_the_bounds_before_the_minimum_is_taken() -> None:
    """What was charged is under every bound by itself: none hides behind the one before."""
    charged = charge(conv_spec(6), "scnn-lanes", conv_case(density=1.0))
    attained = charged.busy / charged.cycles
    assert attained <= charged.active_pes * charged.arch.multipliers
    assert attained <= charged.busy / max(charged.bandwidth_cycles.values())


def test_by_hand() -> None:
    """20 rows by 64: 1,280 at once; 20 rows side by side; 16 PEs; two rows on four of them."""
    bounds = bounds_of(charge(PRODUCT, "dense", dense(20, 64)))
    assert bounds[:5] == (1280, 20, 16, 16, 16)
    # off chip: 1,280 + 64 values of 16 bits in, 64 bits a cycle
    assert bounds[5] == 1280 / (1344 * 16 / 64)
    assert bounds[6] == 1280 / (1344 * 16 / 64)


def test_a_layer_narrower_than_the_array() -> None:
    """A 3x2 result on 4x4 PEs has 6 of 16 active: the shape of the array, not its size."""
    spec = make_spec("C[m,n] = A[m,k]*B[k,n]")
    operands = {"A": np.ones((3, 50)), "B": np.ones((50, 2))}
    assert bounds_of(charge(spec, "dense", operands))[:4] == (300, 6, 6, 6)
    folded = arch("dense", size=(2, 8))
    bounds = bounds_of(charge(spec, folded, {"A": np.ones((3, 50)), "B": np.ones((50, 8))}))
    assert bounds[:4] == (1200, 24, 16, 16)
    wide = bounds_of(charge(spec, folded, {"A": np.ones((9, 50)), "B": np.ones((50, 2))}))
    assert wide[:4] == (900, 18, 16, 4)


def test_uneven_zeros_show_in_the_last_step_alone() -> None:
    """16 rows of which one is full: the PE that has it is waited for."""
    operands = dense(16, 64)
    operands["F"][1:] = 0
    operands["F"][1:, 0] = 1
    machine: dict[str, Any] = one_pe("skip A,B", array={"pe": 16}, formats={"F": {"GLB": "C"}})
    machine["sparse"] = ["skip F"]
    bounds = bounds_of(charge(PRODUCT, machine, operands))
    assert bounds == (79, 16, 16, 16, 16, 16, 79 / 64)


def test_several_multipliers_take_what_lies_inside_the_sync() -> None:
    machine = one_pe(multipliers=8)
    two = {"A": np.ones((3, 10)), "B": np.ones((10, 5))}
    bounds = bounds_of(charge(make_spec("C[m,n] = A[m,k]*B[k,n]"), machine, two))
    assert bounds[:4] == (150, 15, 8, 8)
    assert bounds[6] == 150 / (10 * 2)  # 15 in a step, on 8: two cycles


def test_expected_charges_have_bounds() -> None:
    operands = {"F": Density((20, 64), 0.5), "I": Density((64,), 0.5)}
    bounds = bounds_of(charge(PRODUCT, "scnn", operands))
    assert bounds[0] == 320
    assert all(after <= before for before, after in pairwise(bounds))


def test_what_does_not_fit_is_said() -> None:
    machine = one_pe(levels={"DRAM": {}, "GLB": {"capacity_bits": 64}, "PE": {}})
    table = eyexam(charge(PRODUCT, machine, dense(4, 4)))
    assert any("GLB must hold" in note and "less is reached" in note for note in table.notes)
    assert table["step"].tolist() == [1, 2, 3, 4, 5, 6, 7]
    assert table[0]["left"] == 1.0


def test_what_has_no_bounds_is_refused() -> None:
    nothing = charge(PRODUCT, "scnn", {"F": np.zeros((4, 4)), "I": np.ones(4)})
    with pytest.raises(ArchError, match=r"no operation of this layer takes time"):
        eyexam(nothing)
    spec = make_spec("T[m] = F[m,k]*I[k]; y[n] = G[n,m]*T[m]")
    whole = charge_cascade(spec, "dense", {**dense(4, 4), "G": np.ones((4, 4))})
    with pytest.raises(ArchError, match=r"take one of charge.lines"):
        eyexam(whole)  # type: ignore[arg-type]
    assert eyexam(whole.lines["T"])[0]["bound"] == 16

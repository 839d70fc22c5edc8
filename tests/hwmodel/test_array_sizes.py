"""Scaling: arrays of several sizes on one problem, and on problems that grow."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layers import conv_case, conv_spec

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, arch, charge
from zeroskip.hwmodel.array_sizes import strong_scaling, weak_scaling

SPEC = make_spec("C[m,n] = A[m,k]*B[k,n]")


def product(side: int, m: int, n: int) -> Charge:
    design = arch("dense", size=(side, side))
    return charge(SPEC, design, {"A": np.ones((m, 64)), "B": np.ones((64, n))})


def test_one_problem_on_more_pes() -> None:
    """8x8 results: 64, 4 and 1 of each PE on 1, 16 and 64 of them, until memory bounds it.

    64 columns and rows of A and B are 1,024 values: 256 cycles at 4 a cycle.
    """
    table = strong_scaling([product(8, 8, 8), product(1, 8, 8), product(4, 8, 8)])
    assert table["PEs"].tolist() == [1, 16, 64]
    assert table["cycles"].tolist() == [64 * 64, 4 * 64, 256]
    assert table["speed-up"].tolist() == [1, 16, 16]
    assert table["efficiency"].tolist() == [1, 1, 0.25]
    assert table["bound by"].tolist() == ["compute", "compute", "DRAM"]
    storage = [108 * 1024 * 8 + pes * 16 * 1024 * 8 for pes in (1, 16, 64)]
    assert table["storage"].tolist() == storage


def test_problems_that_grow() -> None:
    """16 results of each PE: the same cycles on every array are an efficiency of 1."""
    found = [product(side, 4 * side, 4 * side) for side in (1, 2, 4)]
    table = weak_scaling(found)
    assert table["operations"].tolist() == [1024, 4096, 16384]
    assert table["cycles"].tolist() == [1024, 1024, 1024]
    assert table["efficiency"].tolist() == [1, 1, 1]
    assert table["speed-up"].tolist() == [1, 4, 16]
    each = [made.energy_pj / made.ops["dense"] for made in found]
    assert table["energy"].tolist() == each
    assert table["energy ratio"].tolist() == [energy / each[0] for energy in each]


def test_zeros_cost_efficiency_where_pes_wait() -> None:
    sizes = [arch("scnn", size=(side, side)) for side in (1, 2, 4)]
    table = strong_scaling([charge(conv_spec(), size, conv_case()) for size in sizes])
    efficiency = table["efficiency"].tolist()
    assert efficiency[0] == 1
    assert efficiency == sorted(efficiency, reverse=True)
    assert efficiency[-1] < 1


@pytest.mark.parametrize("scaling", [strong_scaling, weak_scaling])
def test_what_cannot_be_scaled_is_refused(scaling: Any) -> None:
    kind = scaling.__name__.split("_")[0]
    with pytest.raises(ArchError, match=rf"{kind} scaling: expected arrays of two sizes or more"):
        scaling([product(2, 8, 8)])
    with pytest.raises(ArchError, match=r"each once, found 4, 4 PEs"):
        scaling([product(2, 8, 8), product(2, 8, 8)])
    with pytest.raises(ArchError, match=r"expected charges, found int"):
        scaling([3])
    with pytest.raises(ArchError, match=r"takes no time"):
        scaling([product(1, 0, 8), product(2, 8, 8)])


def test_the_two_kinds_are_told_apart() -> None:
    with pytest.raises(ArchError, match=r"expected one problem of one size on every array, found"):
        strong_scaling([product(1, 8, 8), product(2, 16, 16)])
    with pytest.raises(ArchError, match=r"about 4,096 operations of each PE, found 1,024 on 4 PEs"):
        weak_scaling([product(1, 8, 8), product(2, 8, 8)])

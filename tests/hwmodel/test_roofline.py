"""The roofline: a matrix times a vector by value, and every charge under its roof."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layers import conv_case, conv_spec

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, charge
from zeroskip.hwmodel.roofline import intensity, roofline, roofline_table

K, M = 250, 100


def matrix_times_vector(order: str) -> Charge:
    """One multiplier and one store between it and the memory: one value a cycle, in 16 bits."""
    machine: dict[str, Any] = {
        "name": "one PE",
        "array": {"pe": 1},
        "value_bits": 16,
        "accumulator_bits": 16,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"read_bits_per_cycle": 16, "write_bits_per_cycle": 16}, "PE": {}},
    }
    mapping = Mapping(order, space={}, sync="k")
    rng = np.random.default_rng(0)
    operands = {"A": rng.random((K, M)), "B": rng.random(K)}
    return charge(make_spec("Z[m] = A[k,m]*B[k]"), machine, operands, mapping)


def test_each_value_once_is_the_best_that_there_is() -> None:
    """M multiply-accumulates of each of K + M + KM values: 0.99, of the course of the book."""
    best = matrix_times_vector("@PE k m")
    assert intensity(best) == K * M / (K * M + K + M) == pytest.approx(0.99, abs=0.005)


def test_results_that_come_and_go_leave_a_third() -> None:
    """Each part of Z is written, and read again but for the first: 3KM - M + K values, 0.33."""
    poor = matrix_times_vector("k m @PE")
    assert intensity(poor) == K * M / (3 * K * M - M + K) == pytest.approx(0.33, abs=0.005)


def test_the_roof_is_flat_or_slanted() -> None:
    assert roofline(1.0, 0.33, 1.0) == 0.33
    assert roofline(1.0, 4.0, 1.0) == 1.0
    for name, given in (
        ("peak", (0, 1, 1)),
        ("intensity", (1, float("nan"), 1)),
        ("bandwidth", (1, 1, -1)),
    ):
        with pytest.raises(ArchError, match=rf"{name} is .*, expected a finite number above 0"):
            roofline(*given)


@pytest.mark.parametrize("name", ["dense", "eyeriss", "scnn"])
@pytest.mark.parametrize("density", [0.1, 0.9])
def test_no_charge_is_above_its_roof(name: str, density: float) -> None:
    table = roofline_table(charge(conv_spec(), name, conv_case(density=density)))
    assert [row["level"] for row in table] == ["DRAM", "GLB"]
    for row in table:
        assert 0 < row["attained"] <= row["bound"] <= row["peak"] == 16
        assert row["bound"] == min(16, row["intensity"] * row["bandwidth"])
        assert (row["limited by"] == "PEs") == (row["bound"] == 16)


def test_a_roof_needs_a_limit_and_work() -> None:
    with pytest.raises(ArchError, match=r"expected a charge of work on a design with a bandwidth"):
        roofline_table()
    with pytest.raises(ArchError, match=r"roofline: expected charges, found int"):
        roofline_table(3)  # type: ignore[arg-type]
    nothing = charge(conv_spec(), "scnn", {n: 0 * x for n, x in conv_case().items()})
    with pytest.raises(ArchError, match=r"expected a charge of work"):
        roofline_table(nothing)
    with pytest.raises(ArchError, match=r"no level 'L2'"):
        intensity(nothing, "L2")

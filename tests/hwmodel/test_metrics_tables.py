"""Metrics as tables: a report, factors and who sets them, reports side by side."""

from __future__ import annotations

import pytest
from test_metrics import COMPLETE, EYERISS

from zeroskip.errors import ArchError
from zeroskip.hwmodel.metrics import Metrics, Work
from zeroskip.hwmodel.metrics_tables import compare_metrics


def test_a_report_has_units_and_equations() -> None:
    rows = {(row["metric"], row["unit"]): row for row in COMPLETE.table()}
    assert rows["throughput", "GMAC/s"]["figure"] == pytest.approx(23.1, abs=0.05)
    assert rows["efficiency", "GMAC/s/W"]["equation"] == "6"
    assert rows["energy of an operation", "pJ/MAC"]["figure"] == pytest.approx(
        1000 / 83.1, rel=1e-3
    )
    assert rows["off chip", "bits/MAC"]["figure"] == pytest.approx(0.0029 * 16, rel=0.01)
    assert rows["throughput by PE", "inferences/s/PE"]["figure"] == 34.7 / 168
    assert rows["latency", "ms"]["figure"] == pytest.approx(115.3)
    named = "accuracy, image classification, ImageNet"
    assert rows[named, "Top-5 %"]["figure"] == 80.2
    assert rows["error", "Top-5 %"]["figure"] == pytest.approx(19.8)
    assert str(COMPLETE).startswith("AlexNet, CONV layers on Eyeriss, measured\n")
    assert COMPLETE.to_pandas()["figure"].notna().all()


def test_factors_stand_in_the_columns_of_table_3_1() -> None:
    made = Metrics(
        1000, 10.0, watts=1.0, pes=4, clock_hz=1e3, active_pes=3, work=Work(100, 150, 200)
    )
    by = {
        row["factor"]: tuple(bool(row[n]) for n in ("hardware", "network", "input data"))
        for row in made.factors()
    }
    assert by["operations of an inference"] == (False, True, False)
    assert by["cycles"] == by["PEs"] == (True, False, False)
    assert by["operations of a busy PE that take time"] == (True, False, False)
    assert by["active PEs"] == by["utilisation of active PEs"] == (True, True, False)
    assert by["effectual of all"] == (False, True, True)


def test_factors_that_nobody_knows_are_left_out() -> None:
    names = [row["factor"] for row in Metrics(1000, 10.0).factors()]
    assert names == [
        "operations of an inference",
        "operations of a busy PE that take time",
        "operations of a busy PE, all",
    ]


def test_reports_side_by_side() -> None:
    twice = Metrics(EYERISS.macs, 69.4, watts=0.278)
    table = compare_metrics(EYERISS, twice, twice)
    second, third = "a network on a design", "a network on a design (2)"
    assert table.names[3:6] == (second, f"{second} / first", third)
    row = next(r for r in table if r["unit"] == "inferences/s")
    assert row[f"{second} / first"] == 2
    assert next(r for r in table if r["metric"] == "PEs")[second] is None
    assert any(note.startswith(f"{third}: incomplete") for note in table.notes)
    with pytest.raises(ArchError, match=r"compare_metrics\(\) takes metrics, one or more"):
        compare_metrics()

"""Viability: needs in their order, met, not met, or not to be told."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from test_metrics import ALEXNET_TOP_5, COMPLETE, EYERISS

from zeroskip.errors import ArchError
from zeroskip.hwmodel.accuracy import Accuracy
from zeroskip.hwmodel.viability import Needs, viability

VIDEO = Needs(
    least_accuracy=replace(ALEXNET_TOP_5, value=80),
    least_inferences_per_s=30,
    most_latency_s=0.2,
    most_joules_per_inference=0.01,
    most_watts=0.3,
    most_storage_bits=1e6,
    most_off_chip_bits_per_s=2e9,
)


def test_eyeriss_does_video() -> None:
    table = viability(COMPLETE, VIDEO)
    assert table["met"].all()
    assert table.notes == ("viable",)
    assert table["figure"].tolist() == [
        "accuracy",
        "inferences_per_s",
        "latency_s",
        "joules_per_inference",
        "watts",
        "storage_bits",
        "off_chip_bits_per_s_used",
    ]
    assert table[0]["question"] == "can it do the task?"
    assert table[3]["value"] == pytest.approx(0.278 / 34.7)


def test_what_is_not_met_is_named() -> None:
    table = viability(COMPLETE, replace(VIDEO, most_latency_s=0.033, most_watts=0.1))
    assert table.notes == ("not viable: latency_s, watts",)
    assert [row["figure"] for row in table if not row["met"]] == ["latency_s", "watts"]


def test_what_nobody_knows_is_no_yes() -> None:
    table = viability(EYERISS, replace(VIDEO, most_area_mm2=15))
    assert table.notes == ("cannot be told: no accuracy, area_mm2",)
    assert table[0]["met"] is None
    both = viability(EYERISS, replace(VIDEO, most_watts=0.1))
    assert both.notes == ("not viable: watts", "cannot be told: no accuracy")


@pytest.mark.parametrize(
    "other", [{"dataset": "digits"}, {"task": "detection"}, {"unit": "Top-1 %"}]
)
def test_an_accuracy_on_other_data_is_no_answer(other: dict[str, Any]) -> None:
    asked = Needs(least_accuracy=replace(ALEXNET_TOP_5, value=10, **other))
    assert viability(COMPLETE, asked).notes == ("cannot be told: no accuracy",)


def test_needs_are_checked() -> None:
    with pytest.raises(ArchError, match=r"viability: expected at least one need"):
        Needs()
    with pytest.raises(ArchError, match=r"metrics: most_watts is nan, expected a finite number"):
        Needs(most_watts=float("nan"))
    with pytest.raises(ArchError, match=r"accuracy: expected Accuracy\(value, unit, task, dataset"):
        Needs(least_accuracy=80)  # type: ignore[arg-type]
    assert Needs(least_accuracy=Accuracy(0, "mAP")).least_accuracy is not None

"""The cost of scale: images, passes and devices multiply; only devices do so side by side."""

from __future__ import annotations

from typing import Any

import pytest
from test_metrics import EYERISS

from zeroskip.errors import ArchError
from zeroskip.hwmodel.cost_of_scale import cost_of_scale
from zeroskip.hwmodel.metrics import Metrics


def test_ninety_passes_over_imagenet_on_eyeriss() -> None:
    """1.2 million images, 90 times over, at 34.7 a second and 278 mW."""
    scale = cost_of_scale(EYERISS, images=1_200_000, passes=90)
    assert scale.inferences == 108_000_000
    assert scale.seconds == pytest.approx(108e6 / 34.7)
    assert scale.joules == pytest.approx(0.278 * scale.seconds)
    assert scale.off_chip_bits == pytest.approx(108e6 * 15.4e6 * 8 / 4)


def test_devices_work_side_by_side() -> None:
    one = cost_of_scale(EYERISS, images=1000)
    many = cost_of_scale(EYERISS, images=1000, devices=50)
    assert many.seconds == one.seconds
    assert many.joules is not None
    assert one.joules is not None
    assert many.joules == pytest.approx(50 * one.joules)
    rows = {(row["figure"], row["unit"]): row["value"] for row in many.table()}
    assert rows["power of all devices", "W"] == pytest.approx(50 * 0.278)
    assert rows["energy", "kWh"] == pytest.approx(many.joules / 3.6e6)
    assert "1,000 images x 1 passes x 50 devices" in str(many)


def test_what_nobody_knows_is_named() -> None:
    scale = cost_of_scale(Metrics(10, 2.0), images=4)
    assert (scale.seconds, scale.joules, scale.off_chip_bits) == (2.0, None, None)
    notes = scale.table().notes
    assert notes == (
        "no energy: not given",
        "no power of all devices: not given",
        "no off chip: not given",
    )
    assert [row["figure"] for row in scale.table()] == ["inferences", "operations", "time", "time"]


@pytest.mark.parametrize("value", [0, -1, 1.5, float("nan"), None])
@pytest.mark.parametrize("name", ["images", "passes", "devices"])
def test_counts_are_whole(name: str, value: Any) -> None:
    given: dict[str, Any] = {"images": 10, name: value}
    with pytest.raises(ArchError, match=rf"metrics: {name} is .*, expected a whole number of 1"):
        cost_of_scale(EYERISS, **given)

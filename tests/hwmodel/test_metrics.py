"""Metrics: the published figures of Eyeriss, and what a report lacks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from zeroskip.errors import ArchError
from zeroskip.hwmodel.accuracy import Accuracy
from zeroskip.hwmodel.metrics import EXPECTED, Metrics, Work, switching_joules

# AlexNet's five CONV layers: filters, channels of a group, side of a filter, side of the ofmap.
ALEXNET = (
    (96, 3, 11, 55),
    (256, 48, 5, 27),
    (384, 256, 3, 13),
    (384, 192, 3, 13),
    (256, 192, 3, 13),
)
MACS = sum(m * c * r * r * p * p for m, c, r, p in ALEXNET)

# Y.-H. Chen et al., JSSC 2017, table of AlexNet's CONV layers: batch 4, 115.3 ms, 278 mW, 148
# active PEs on average, 15.4 MB off chip; 168 PEs, 200 MHz, 108 kB buffer.
EYERISS = Metrics(
    MACS,
    34.7,
    watts=0.278,
    pes=168,
    clock_hz=200e6,
    batch=4,
    latency_s=0.1153,
    active_pes=148,
    network="AlexNet, CONV layers",
    design="Eyeriss",
    basis="measured",
    off_chip_bits=15.4e6 * 8 / 4,
    storage_bits=108 * 1024 * 8,
)
ALEXNET_TOP_5 = Accuracy(80.2, "Top-5 %", "image classification", "ImageNet")
COMPLETE = replace(EYERISS, accuracy=ALEXNET_TOP_5, images=4, off_chip_bits_per_s=1e9)


def test_eyeriss_comes_to_its_published_figures() -> None:
    assert MACS == 665_784_864
    assert EYERISS.macs_per_s / 1e9 == pytest.approx(23.1, abs=0.05)  # equation 1
    assert EYERISS.peak_macs_per_s == pytest.approx(33.6e9)  # equation 2
    assert EYERISS.macs_per_joule == pytest.approx(83.1e9, abs=0.05e9)  # equation 6
    assert EYERISS.active_share == pytest.approx(0.88, abs=0.005)  # equation 3
    assert EYERISS.utilisation == pytest.approx(23.1 / 33.6, abs=0.001)
    assert EYERISS.utilisation_of_active == pytest.approx(23.1 / 33.6 * 168 / 148, abs=0.001)
    assert EYERISS.joules_per_inference == pytest.approx(0.278 / 34.7)
    assert EYERISS.in_flight == pytest.approx(4, abs=0.01)  # equation 10: the batch


def test_accesses_off_chip_are_those_published_for_each_operation() -> None:
    """15.4 MB of 16-bit words over the operations of a batch of 4: 0.0029."""
    assert EYERISS.off_chip_bits is not None
    assert EYERISS.off_chip_bits / 16 / EYERISS.macs == pytest.approx(0.0029, abs=5e-5)
    assert EYERISS.off_chip_bits_per_s_used == pytest.approx(15.4e6 * 8 / 0.1153, rel=1e-3)


def test_a_report_that_lacks_something_is_incomplete_and_says_what() -> None:
    assert EYERISS.missing == ("accuracy", "off_chip_bits_per_s", "images")
    assert "incomplete: no accuracy, off_chip_bits_per_s, images" in str(EYERISS)
    assert COMPLETE.missing == ()
    assert "incomplete" not in str(COMPLETE)
    bare = Metrics(MACS, 34.7)
    assert bare.missing[:4] == ("accuracy", "network", "basis", "batch")


@pytest.mark.parametrize(
    ("without", "named"),
    [
        ({"accuracy": ()}, "accuracy"),
        ({"accuracy": replace(ALEXNET_TOP_5, dataset="")}, "dataset of the accuracy in Top-5 %"),
        ({"accuracy": replace(ALEXNET_TOP_5, task=" ")}, "task of the accuracy in Top-5 %"),
        ({"network": None}, "network"),
        ({"basis": ""}, "basis"),
        ({"batch": None}, "batch"),
        ({"latency_s": None}, "latency_s"),
        ({"watts": None}, "watts"),
        ({"pes": None, "active_pes": None}, "pes"),
        ({"clock_hz": None}, "clock_hz"),
        ({"off_chip_bits": None}, "off_chip_bits"),
        ({"images": None}, "images"),
        ({"storage_bits": None}, "storage_bits"),
        ({"area_mm2": 12.25, "storage_bits": None}, "process_nm"),
    ],
)
def test_each_part_of_a_report_is_asked_for(without: dict[str, Any], named: str) -> None:
    assert replace(COMPLETE, **without).missing == (named,)


def test_an_expected_report_has_no_images_and_an_area_stands_for_storage() -> None:
    assert replace(COMPLETE, basis=EXPECTED, images=None).missing == ()
    measured = replace(COMPLETE, area_mm2=12.25, process_nm=65, storage_bits=None)
    assert measured.missing == ()


def test_tops_per_watt_never_stands_alone() -> None:
    with pytest.raises(
        ArchError, match=r"TOPS/W says nothing alone, and this report is incomplete"
    ):
        _ = EYERISS.tops_per_watt
    with pytest.raises(ArchError, match=r"it states no accuracy"):
        _ = Metrics(MACS, 34.7, watts=0.278).tops_per_watt
    assert COMPLETE.tops_per_watt == pytest.approx(2 * 83.1e-3, rel=1e-3)
    text = str(EYERISS)
    assert text.index("inferences/s") < text.index("mJ/inference") < text.index("GMAC/s/W")
    assert "/W" not in str(Metrics(MACS, 34.7))


def test_factors_of_a_design_that_skips() -> None:
    """By hand: 1,000 operations, 100 effectual, 150 executed, 200 in time; 4 PEs of 2, 1 kHz."""
    made = Metrics(
        1000,
        10.0,
        watts=0.5,
        pes=4,
        clock_hz=1000.0,
        active_pes=3,
        pe_macs_per_cycle=2,
        work=Work(effectual=100, executed=150, timed=200),
        mac_joules=0.02,
    )
    assert made.macs_per_pe_cycle == 2 * (100 / 200) / (100 / 1000) == 10  # equation 4
    assert made.effectual_of_timed == 0.5
    assert made.effectual_of_all == 0.1
    assert made.peak_macs_per_s == 8000
    assert made.utilisation == 200 * 10 / 8000
    assert made.utilisation_of_active == pytest.approx(made.utilisation * 4 / 3)
    busy = made.macs_per_pe_cycle * 1000.0 * 4  # equation 2
    assert busy * 0.75 * made.utilisation_of_active == pytest.approx(made.macs_per_s)
    assert made.executed_per_joule == 150 * 10 / 0.5
    assert made.effectual_of_executed is not None
    factors = made.executed_per_joule * made.effectual_of_executed / made.effectual_of_all
    assert factors == pytest.approx(made.macs_per_joule)  # equation 9
    assert made.data_joules == pytest.approx(0.05 - 0.02)  # equation 7
    assert made.joules_per_mac == pytest.approx(0.05 / 1000)
    assert made.joules_per_effectual == pytest.approx(0.05 / 100)


def test_operations_that_are_all_skipped_have_no_shares() -> None:
    made = Metrics(1000, 10.0, watts=0.5, work=Work(0, 0, 0))
    assert (made.macs_per_pe_cycle, made.effectual_of_timed, made.effectual_of_executed) == (
        None,
        None,
        None,
    )
    assert made.effectual_of_all == 0


def test_power_bounds_throughput() -> None:
    """Equation 5: a joule a second feeds 1 / 8.01 mJ."""
    fed = replace(EYERISS, most_watts=0.139)
    assert fed.most_inferences_per_s == pytest.approx(34.7 / 2)
    assert "too hot: 0.139 W allow 17.35 inferences/s at most" in str(fed)
    assert "too hot" not in str(replace(EYERISS, most_watts=1.0))


def test_more_than_the_chip_can_move_is_said() -> None:
    assert "bit/s move off the chip, more than" in str(replace(EYERISS, off_chip_bits_per_s=1e9))
    assert "more than" not in str(replace(EYERISS, off_chip_bits_per_s=1e10))


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), "3", True])
@pytest.mark.parametrize(
    "name", ["macs", "inferences_per_s", "watts", "clock_hz", "latency_s", "area_mm2", "most_watts"]
)
def test_figures_that_cannot_be_are_refused(name: str, value: Any) -> None:
    with pytest.raises(
        ArchError, match=rf"metrics: {name} is .*, expected a finite number above 0"
    ):
        replace(EYERISS, **{name: value})


def test_what_has_to_be_there_is_asked_for() -> None:
    with pytest.raises(ArchError, match=r"metrics: macs is None, expected a finite number above 0"):
        Metrics(None, 34.7)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0, -4, 2.5, float("nan"), True])
@pytest.mark.parametrize("name", ["batch", "pes", "images"])
def test_counts_are_whole(name: str, value: Any) -> None:
    with pytest.raises(ArchError, match=rf"metrics: {name} is .*, expected a whole number of 1"):
        replace(EYERISS, **{name: value, "active_pes": None})
    assert getattr(replace(EYERISS, **{name: np.int64(200)}), name) == 200


def test_nothing_may_move_off_chip_but_not_less() -> None:
    assert replace(EYERISS, off_chip_bits=0).off_chip_bits_per_s_used == 0
    with pytest.raises(ArchError, match=r"off_chip_bits is -1, expected a finite number of 0 or"):
        replace(EYERISS, off_chip_bits=-1)


def test_figures_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ArchError, match=r"200 of 168 PEs cannot be active"):
        replace(EYERISS, active_pes=200)
    with pytest.raises(
        ArchError, match=r"multiply-accumulates take 1 J of an inference that takes"
    ):
        replace(EYERISS, mac_joules=1)
    with pytest.raises(ArchError, match=r"11 operations take time, more than the 10"):
        Metrics(10, 1.0, work=Work(1, 2, 11))
    with pytest.raises(ArchError, match=r"work is 3, expected Work\(effectual, executed, timed\)"):
        Metrics(10, 1, work=3)  # type: ignore[arg-type]
    with pytest.raises(ArchError, match=r"expected effectual <= executed <= timed"):
        Work(2, 1, 3)
    with pytest.raises(ArchError, match=r"work\.executed is nan"):
        Work(1, float("nan"), 3)


def test_energy_of_an_operation_goes_with_the_square_of_the_voltage() -> None:
    """Equation 8."""
    full = switching_joules(0.5, 2e-12, 1)
    assert switching_joules(0.5, 2e-12, 0.7) == pytest.approx(0.49 * full)
    with pytest.raises(ArchError, match=r"activity is 1.5, expected a share of 0 to 1"):
        switching_joules(1.5, 1e-12, 1.0)
    with pytest.raises(ArchError, match=r"volts is 0"):
        switching_joules(0.5, 1e-12, 0)

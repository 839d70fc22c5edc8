"""Metrics: the published figures of Eyeriss, what a report lacks, and the roofline."""

import pytest

from zeroskip.errors import ArchError
from zeroskip.hwmodel.metrics import Metrics, roofline

# AlexNet's five CONV layers: filters, channels of a group, side of a filter, side of the ofmap.
ALEXNET = (
    (96, 3, 11, 55),
    (256, 48, 5, 27),
    (384, 256, 3, 13),
    (384, 192, 3, 13),
    (256, 192, 3, 13),
)
MACS = sum(m * c * r * r * p * p for m, c, r, p in ALEXNET)
EYERISS = Metrics(MACS, 34.7, watts=0.278, pes=168, clock_hz=200e6, batch=4)


def test_eyeriss_comes_to_its_published_figures() -> None:
    assert EYERISS.macs_per_s / 1e9 == pytest.approx(23.1, abs=0.05)
    assert EYERISS.macs_per_joule == pytest.approx(83.1e9, abs=0.05e9)
    assert EYERISS.peak_macs_per_s == pytest.approx(33.6e9)
    assert EYERISS.utilisation == pytest.approx(23.1 / 33.6, abs=0.005)


def test_a_report_without_accuracy_is_incomplete_and_says_what_it_lacks() -> None:
    assert EYERISS.missing == ("accuracy", "dataset", "task", "off_chip_bits")
    assert "incomplete: no accuracy, dataset, task, off_chip_bits" in str(EYERISS)


def test_operations_per_watt_never_stand_alone() -> None:
    text = str(EYERISS)
    assert text.index("inferences/s") < text.index("mJ/inference") < text.index("GMAC/s/W")
    assert "/W" not in str(Metrics(MACS, 34.7))


def test_figures_that_cannot_be_are_refused() -> None:
    with pytest.raises(ArchError, match="metrics: watts is 0, expected a number above 0"):
        Metrics(MACS, 34.7, watts=0)


def test_roofline_of_a_matrix_and_a_vector_by_hand() -> None:
    k, m = 250, 100
    best, achieved = k * m / (k * m + k + m), k * m / (3 * k * m - m + k)
    assert roofline(1.0, best, 1.0) == pytest.approx(0.99, abs=0.005)
    assert roofline(1.0, achieved, 1.0) == pytest.approx(0.33, abs=0.005)
    assert roofline(1.0, 4.0, 1.0) == 1.0

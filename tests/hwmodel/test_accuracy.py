"""Accuracy: unit, dataset and task belong to it."""

from __future__ import annotations

from typing import Any

import pytest

from zeroskip.errors import ArchError
from zeroskip.hwmodel.accuracy import Accuracy, checked

WHERE = ("image classification", "ImageNet")


def test_error_is_what_is_left_to_100() -> None:
    """AlexNet's Top-5 error, 19.8 % of a single crop."""
    assert Accuracy(80.2, "Top-5 %", *WHERE).error == 19.8
    assert Accuracy(0.373, "mAP", "object detection", "COCO").error is None


def test_what_is_not_stated_is_named() -> None:
    assert Accuracy(99, "Top-1 %").missing == (
        "dataset of the accuracy in Top-1 %",
        "task of the accuracy in Top-1 %",
    )
    assert Accuracy(99, "Top-1 %", *WHERE).missing == ()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ((float("nan"), "Top-1 %"), "accuracy is nan, expected a finite number of 0 or more"),
        ((-1, "Top-1 %"), "accuracy is -1, expected a finite number of 0 or more"),
        ((101, "Top-1 %"), "expected at most 100 Top-1 %, found 101"),
        ((57, " "), 'expected a unit, such as "Top-1 %" or "mAP", found none'),
        ((57, "Top-1 %", None), "expected the task as text, found None"),
    ],
)
def test_what_is_no_accuracy_is_refused(given: tuple[Any, ...], text: str) -> None:
    with pytest.raises(ArchError, match=text):
        Accuracy(*given)


def test_several_of_one_network() -> None:
    first, fifth = Accuracy(57.1, "Top-1 %", *WHERE), Accuracy(80.2, "Top-5 %", *WHERE)
    assert checked([first, fifth]) == (first, fifth)
    assert checked(first) == (first,)
    with pytest.raises(ArchError, match=r"Top-5 of 40 % is below Top-1 of 57.1 %"):
        checked([first, Accuracy(40, "Top-5 %", *WHERE)])
    assert len(checked([first, Accuracy(40, "Top-5 %", WHERE[0], "another")])) == 2
    for wrong in (57.1, [57.1], "57"):
        with pytest.raises(ArchError, match=r"accuracy: expected Accuracy\(value, unit, task"):
            checked(wrong)  # type: ignore[arg-type]

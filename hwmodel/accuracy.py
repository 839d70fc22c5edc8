"""Accuracy: a figure that means something only beside its unit, its dataset and its task."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from zeroskip.checks import is_listed
from zeroskip.errors import ArchError
from zeroskip.hwmodel.figures import check_number


@dataclass(frozen=True, slots=True)
class Accuracy:
    """How well a network does its task; nothing here computes it.

    value : in ``unit``.
    unit : ``"Top-1 %"``, ``"Top-5 %"``, ``"mAP"``; one that ends in % is at most 100.
    task : ``"image classification"``; dataset : ``"ImageNet, validation"``.  A report without
        them is incomplete: 99 % of handwritten digits is no 99 % of photographs.

    >>> Accuracy(80.2, "Top-5 %", "image classification", "ImageNet").error
    19.8
    """

    value: float
    unit: str
    task: str = ""
    dataset: str = ""

    def __post_init__(self) -> None:
        check_number("accuracy", self.value, zero=True)
        for name in ("unit", "task", "dataset"):
            if not isinstance(getattr(self, name), str):
                raise ArchError(
                    f"accuracy: expected the {name} as text, found {getattr(self, name)!r}"
                )
        if not self.unit.strip():
            raise ArchError('accuracy: expected a unit, such as "Top-1 %" or "mAP", found none')
        if self.percent and self.value > 100:
            raise ArchError(f"accuracy: expected at most 100 {self.unit}, found {self.value}")

    @property
    def percent(self) -> bool:
        return self.unit.rstrip().endswith("%")

    @property
    def error(self) -> float | None:
        """What is left to 100 %: Top-5 error of a Top-5 accuracy; None in other units."""
        return round(100 - self.value, 10) if self.percent else None

    @property
    def missing(self) -> tuple[str, ...]:
        """Which of dataset and task are not stated."""
        return tuple(
            f"{name} of the accuracy in {self.unit}"
            for name in ("dataset", "task")
            if not getattr(self, name).strip()
        )


def checked(given: Accuracy | Iterable[Accuracy]) -> tuple[Accuracy, ...]:
    """Accuracies of one network, such as Top-1 and Top-5.

    Raises `ArchError` for what is no `Accuracy`, and for a Top-5 below the Top-1 of the same data.
    """
    listed = (given,) if isinstance(given, Accuracy) else given
    found = tuple(listed) if is_listed(listed) else (listed,)
    for one in found:
        if not isinstance(one, Accuracy):
            raise ArchError(
                f"accuracy: expected Accuracy(value, unit, task, dataset), found {one!r}\n"
                'Write Accuracy(57.1, "Top-1 %", "image classification", "ImageNet").'
            )
    by_place = {(a.unit.strip(), a.task, a.dataset): a.value for a in found}
    for (unit, task, dataset), value in by_place.items():
        wider = by_place.get(("Top-5 %", task, dataset))
        if unit == "Top-1 %" and wider is not None and wider < value:
            raise ArchError(
                f"accuracy: Top-5 of {wider} % is below Top-1 of {value} % on the same data: "
                "what is first is among the first five"
            )
    return found

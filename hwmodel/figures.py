"""Figures that a user hands in: checked one by one, each error naming the figure."""

from __future__ import annotations

import math

import numpy as np

from zeroskip.errors import ArchError

METRICS = "Write Metrics(macs=666e6, inferences_per_s=34.7), or metrics_of(charge, batch=1)."
"""How metrics are come by."""


def check_number(name: str, value: object, *, zero: bool = False) -> float:
    """A finite number above 0, or from 0 on where ``zero``.

    Raises
    ------
    ArchError
        For what is no number, NaN, an infinity, a negative number, and 0 unless it is allowed.
    """
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        number = float(value)
        if math.isfinite(number) and (number > 0 or (zero and number == 0)):
            return number
    raise _error(name, value, f"a finite number {'of 0 or more' if zero else 'above 0'}")


def check_whole(name: str, value: object) -> int:
    """A whole number of 1 or more.  Raises `ArchError` for anything else."""
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= 1:
        return int(value)
    raise _error(name, value, "a whole number of 1 or more")


def _error(name: str, value: object, wanted: str) -> ArchError:
    return ArchError(
        f"metrics: {name} is {value!r}, expected {wanted}\n"
        f"Give {name} as it was measured, or leave it out where it is not known."
    )

"""The lines of a geometry at densities, and what needs what."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.hwmodel.closed import Closed
from zeroskip.hwmodel.events import Event
from zeroskip.hwmodel.geometry import Geometry, Scaled, Summed, Total
from zeroskip.hwmodel.maxima import largest_of

COUNTS = np.array([[3, 1, 3], [1, 3, 3], [2, 2, 0]])


def geometry() -> Geometry:
    lines: Any = {
        "some": Closed({("A|2",): np.array([1, 1])}),
        "busy": Closed({("A",): COUNTS}),
        "steps": largest_of(Closed({("A",): COUNTS}), None, (0, 1), 1),
        "cycles": Total("steps", 2.0),
        "twice": Scaled("cycles", 2.0),
        "each": Summed("each += steps[m]*M", ("steps",)),
    }
    return Geometry(lines, {}, (("m", 3), ("k", 3)), (), (Event("A", 4, 4, 2),))


def test_lines_over_lines_are_evaluated_in_order() -> None:
    found = geometry().counts({"A": 0.5})
    assert found["steps"].tolist() == [1.5, 1.5, 1.0]
    assert (found["cycles"], found["twice"], found["each"]) == (8.0, 16.0, 12.0)
    assert found["some"].tolist() == pytest.approx([1 - 1 / 6, 1 - 1 / 6])


def test_only_the_lines_that_are_needed() -> None:
    whole = geometry()
    kept = whole.needed({"twice"})
    assert list(kept.lines) == ["steps", "cycles", "twice"]
    assert kept.counts({"A": 0.5})["twice"] == whole.counts({"A": 0.5})["twice"]
    assert list(whole.needed({"each"}).lines) == ["steps", "each"]
    assert whole.closed("steps") is None
    assert whole.closed("busy") is whole.lines["busy"]

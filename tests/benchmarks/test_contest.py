"""A contest: one entrant is zeroskip's, every answer is held against the dense one."""

from __future__ import annotations

import importlib
import re

import numpy as np
import pytest

from benchmarks.contest import OURS, Absent, Contest, Entrant, WrongAnswer, gather


def entrant(name="zeroskip", family=OURS, answer=(1.0, 2.0)):
    return Entrant(name, family, lambda: np.array(answer))


def contest(*entrants, **more):
    return Contest(np.array([1.0, 2.0]), entrants or (entrant(),), scale=2.0, **more)


@pytest.mark.parametrize("ours", [0, 2])
def test_nothing_of_ours_is_picked(ours):
    entrants = [entrant(f"zeroskip {k}") for k in range(ours)]
    with pytest.raises(ValueError, match="one entrant is zeroskip's own, and none is picked"):
        Contest(np.zeros(1), (*entrants, entrant("NumPy", "dense")), 1.0)


def test_an_error_is_told_over_the_scale():
    assert contest(tolerance=0.1).check(entrant(answer=(1.0, 2.1))) == pytest.approx(0.05)


@pytest.mark.parametrize("answer", [(1.0, 2.1), (1.0, np.nan), (1.0, np.inf)])
def test_a_wrong_answer_is_refused(answer):
    with pytest.raises(WrongAnswer, match=r"^zeroskip is off by .* of the largest sum, 1e-05"):
        contest().check(entrant(answer=answer))


def test_another_shape_is_refused():
    message = re.escape("zeroskip answers with shape (3,), expected (2,)")
    with pytest.raises(WrongAnswer, match=message):
        contest().check(entrant(answer=(1, 2, 3)))


def test_an_exact_contest_allows_nothing():
    with pytest.raises(WrongAnswer):
        contest(tolerance=0.0).check(entrant(answer=(1.0, 2.0 + 1e-15)))


def test_who_is_missing_is_named_with_the_reason():
    def not_installed():
        importlib.import_module("a_library_that_nobody_has")

    def absent():
        raise Absent("no product of int8")

    def refuses():
        raise RuntimeError("expected float\nand a long trace")

    found, missing = gather([("a", not_installed), ("b", absent), ("c", entrant), ("d", refuses)])
    assert [e.name for e in found] == ["zeroskip"]
    assert missing == {
        "a": "not installed (No module named 'a_library_that_nobody_has')",
        "b": "no product of int8",
        "d": "refuses: expected float",
    }

"""Contests are held on fresh inputs; who answers wrongly is out; nothing here is timed."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import running
from benchmarks.contest import OURS, Contest, Entrant, WrongAnswer
from benchmarks.rows.row import Row
from benchmarks.running import Options, cells, generator, hold
from zeroskip.benchmark.measuring import Timing

SECONDS = {"zeroskip": 2.0, "fast": 1.0, "near": 2.9, "slow": 3.1, "alone": 50.0}


@pytest.fixture(autouse=True)
def measured(monkeypatch):
    """Names of candidates, in place of a clock: each takes what SECONDS says."""
    asked = []

    def measure(candidates, *, budget_s):
        asked.append([c.name for c in candidates])
        return [Timing(SECONDS[c.name], 0, 0, 1, 1) for c in candidates]

    monkeypatch.setattr(running, "measure", measure)
    return asked


def entrant(name, family, answer):
    return Entrant(name, family, lambda: answer)


def row(contest, shapes=("2",), points=("0.5",)):
    return Row("row", "a row", lambda: shapes, points, contest, ())


def fair(shape, at, rng):
    answer = rng.standard_normal(int(shape))
    families = {"zeroskip": OURS, "alone": "sparse"}
    return Contest(
        answer,
        tuple(entrant(n, families.get(n, "dense"), answer) for n in SECONDS),
        scale=1.0,
        missing={"torch dense": "not installed"},
    )


def test_the_hopeless_sit_out_after_the_first_run(measured):
    cell = hold(row(fair), "2", "0.5", Options(seed=1, runs=3))
    assert measured == [[*SECONDS]] + [["zeroskip", "fast", "near", "alone"]] * 2
    assert {n: len(s) for n, s in cell.runs_s.items()} == {
        **dict.fromkeys(SECONDS, 3),
        "slow": 1,
    }


def test_who_is_missing_stands_in_the_cell():
    cell = hold(row(fair), "2", "0.5", Options(seed=1, runs=1))
    assert cell.missing == {"torch dense": "not installed"}


def with_answer(name, answer):
    """A contest in which one entrant answers so."""

    def contest(shape, at, rng):
        right = np.ones(2)
        given = {name: answer}
        return Contest(
            right,
            (
                Entrant("zeroskip", OURS, lambda: given.get("zeroskip", right)),
                Entrant("fast", "dense", lambda: given.get("fast", right)),
            ),
            scale=1.0,
        )

    return row(contest)


def test_a_wrong_peer_is_left_out_and_named(measured):
    cell = hold(with_answer("fast", np.zeros(2)), "2", "0.5", Options(1, runs=2))
    assert measured == [["zeroskip"]] * 2
    assert cell.missing["fast"].startswith("left out: fast is off by 1.0e+00")


def test_a_peer_that_breaks_is_left_out_and_named():
    cell = hold(with_answer("fast", object()), "2", "0.5", Options(1, runs=1))
    assert "fast" in cell.missing
    assert "fast" not in cell.runs_s


def test_a_wrong_answer_of_ours_ends_it(measured):
    with pytest.raises(WrongAnswer, match="zeroskip is off"):
        hold(with_answer("zeroskip", np.zeros(2)), "2", "0.5", Options(1, runs=1))
    assert measured == []


def test_every_run_draws_anew_and_the_seed_repeats_it():
    def drawn(*labels):
        return generator(*labels).standard_normal(4).tolist()

    assert drawn(1, "row", "2", 0) == drawn(1, "row", "2", 0)
    others = [drawn(1, "row", "2", 1), drawn(2, "row", "2", 0), drawn(1, "other", "2", 0)]
    assert drawn(1, "row", "2", 0) not in others


def test_a_short_run_takes_first_and_last():
    wanted = row(fair, ("1", "2", "3"), ("0.5", "0.2", "0.1", "0.01"))
    found = list(cells(wanted, Options(1, runs=1, quick=True), lambda what: None))
    assert [(c.shape, c.at) for c in found] == [("1", "0.5"), ("1", "0.01")]

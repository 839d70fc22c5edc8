"""Ratios, means and bars, by hand."""

from __future__ import annotations

import pytest

from benchmarks.contest import OURS
from benchmarks.report import bars_table
from benchmarks.rows.row import Bar, Figure
from benchmarks.running import Cell
from benchmarks.verdicts import compare, judge, judge_figure, losses, verdicts


def cell(shape, ours, at="0.5", **peers):
    """Peers by family: ``dense={"NumPy": (1, 2)}``."""
    families = {"zeroskip": OURS}
    runs = {"zeroskip": tuple(ours)}
    for family, members in peers.items():
        for name, seconds in members.items():
            families[name] = family
            runs[name] = tuple(seconds)
    return Cell(shape, at, runs, families, {})


def test_the_fastest_peer_of_each_run_counts_and_the_median_of_the_ratios():
    one = cell("s", (1, 2, 4), dense={"a": (3, 9, 8), "b": (5, 4, 9)})
    found = compare(one, "dense")  # ratios 3/1, 4/2, 8/4
    assert found.ratio == 2
    assert (found.winner, found.ours_s, found.best_s) == ("b", 2, 4)


def test_who_sat_out_does_not_count():
    one = cell("s", (1, 1, 1), dense={"a": (4, 4, 4), "b": (2,)})
    assert compare(one, "dense").ratio == 4


def test_nobody_of_a_family():
    assert compare(cell("s", (1,), dense={"a": (1,)}), "sparse") is None
    assert judge(Bar("sparse", "0.5", 2.0), [cell("s", (1,))], binding=True) is None


def two(first, second):
    """Two shapes with these ratios."""
    return [
        cell("one", (1,), dense={"a": (first,)}),
        cell("two", (1,), dense={"a": (second,)}),
    ]


@pytest.mark.parametrize(
    ("ratios", "state"),
    [
        ((2.0, 2.0), "reached"),
        ((1.8, 2.3), "reached"),  # the worst is 0.9 of the bar, the mean above it
        ((1.7, 4.0), "not reached"),  # the worst is below
        ((1.9, 1.95), "not reached"),  # the mean is below
    ],
)
def test_the_mean_reaches_the_bar_and_the_worst_nine_tenths(ratios, state):
    verdict = judge(Bar("dense", "0.5", 2.0), two(*ratios), binding=True)
    assert verdict.state == state
    assert verdict.reached == pytest.approx((ratios[0] * ratios[1]) ** 0.5)
    assert (verdict.worst, verdict.worst_shape, verdict.over) == (ratios[0], "one", 2)


def test_a_floor_of_its_own():
    assert judge(Bar("dense", "0.5", 1.0, 1.0), two(0.95, 4), binding=True).state == "not reached"
    assert judge(Bar("dense", "0.5", 1.0), two(0.95, 4), binding=True).state == "reached"


def test_no_bar_and_no_machine_for_it_are_reported():
    assert judge(Bar("dense", "0.5", None), two(9, 9), binding=True).state == "reported"
    assert judge(Bar("dense", "0.5", 2.0), two(9, 9), binding=False).state == "reported"


def test_points_and_shapes_that_count():
    all_cells = [*two(2, 8), cell("one", (1,), at="0.1", dense={"a": (32,)})]
    assert judge(Bar("dense", "0.5", None), all_cells, binding=True).reached == pytest.approx(4)
    assert judge(Bar("dense", None, None), all_cells, binding=True).reached == pytest.approx(8)
    only = judge(Bar("dense", "0.5", None, shapes=("two",)), all_cells, binding=True)
    assert only.reached == pytest.approx(8)
    assert (only.over, only.what) == (1, "dense, 0.5 (two)")


def test_cells_without_a_peer_are_counted():
    bar, alone = Bar("dense", "0.5", 2.0), cell("three", (1,), sparse={"b": (1,)})
    assert judge(bar, two(2, 8), binding=True).alone == 0
    verdict = judge(bar, [*two(2, 8), alone], binding=True)
    assert (verdict.over, verdict.alone) == (2, 1)
    assert bars_table([verdict])[-1].endswith("| reached, 1 more without a peer |")


def test_bars_of_which_nothing_was_measured_are_left_out():
    bars = (Bar("dense", "0.5", 2.0), Bar("dense", "0.2", 2.0), Bar("sparse", "0.5", 2.0))
    assert [v.what for v in verdicts(bars, two(1, 1), binding=True)] == ["dense, 0.5"]


@pytest.mark.parametrize(
    ("runs", "most", "binding", "state"),
    [
        ((1, 2, 9), 2.0, True, "reached"),
        ((1, 3, 9), 2.0, True, "not reached"),
        ((1, 3, 9), 2.0, False, "reported"),
        ((1, 3, 9), None, True, "reported"),
    ],
)
def test_a_time_is_the_median_of_its_runs(runs, most, binding, state):
    verdict = judge_figure(Figure("a call", runs, most), binding=binding)
    assert (verdict.state, verdict.reached, verdict.worst) == (state, runs[1], 9)


def test_losses_are_listed_the_worst_first():
    found = losses([*two(0.9, 0.5), cell("three", (1,), dense={"a": (1,)})])
    assert found == ["two at 0.5: 0.50× a", "one at 0.5: 0.90× a"]

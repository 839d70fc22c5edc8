"""The guard's own logic: which counts are which, and when it complains."""

from __future__ import annotations

import pytest

from benchmarks import guard
from benchmarks.guard import KERNELS, counts, judge
from benchmarks.rows.all import ROWS


def dump(folder, *totals):
    for number, total in enumerate(totals, 1):
        (folder / f"out.{number}").write_text(f"version: 1\nevents: Ir\n\nsummary: {total}\n")


def test_what_came_before_the_first_mark_is_left_out(tmp_path):
    dump(tmp_path, 999, *range(1, 12))  # out.10 is later than out.2
    assert counts(tmp_path) == [*range(1, 12)]


def test_a_file_without_a_total_is_a_fault(tmp_path):
    (tmp_path / "out.1").write_text("version: 1\n")
    with pytest.raises(RuntimeError, match=r"out.1: valgrind wrote no total"):
        counts(tmp_path)


def test_every_second_part_is_a_kernel(monkeypatch):
    found = [1 + k for k in range(2 * len(KERNELS) - 1)]
    monkeypatch.setattr(guard, "_run", lambda command, environment: None)
    monkeypatch.setattr(guard, "counts", lambda folder: [n * guard.CALLS for n in found])
    assert guard.count({}) == dict(zip(KERNELS, found[::2], strict=True))


def test_too_few_counts_are_a_fault(monkeypatch):
    monkeypatch.setattr(guard, "_run", lambda command, environment: None)
    monkeypatch.setattr(guard, "counts", lambda folder: [1])
    with pytest.raises(RuntimeError, match=f"1 counts of {len(KERNELS)} kernels"):
        guard.count({})


@pytest.mark.parametrize(
    ("now", "state"), [(1000, "holds"), (1100, "holds"), (1101, "MORE"), (799, "far fewer")]
)
def test_more_than_a_tenth_is_a_fault(now, state):
    assert judge({"SpMM": now}, {"SpMM": 1000})[0].state == state


def test_nothing_kept_is_new():
    assert judge({"SpMM": 1}, {})[0].state == "new"


def test_kernels_are_those_of_rows():
    assert {row for row, _, _ in KERNELS.values()} <= {row.name for row in ROWS}

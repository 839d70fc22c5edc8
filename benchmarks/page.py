"""docs/performance.md, written from records: wins and losses alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.records import Record
from benchmarks.report import section, summary
from benchmarks.rows.row import AnyRow

HEAD = """\
# Performance

Written by `make performance` from what `make bars` measured; not edited by hand.

**How.** Everybody takes turns, in bursts, in one process; threads are pinned alike, and BLAS, MKL
and oneDNN pick their own kernels. Every answer is checked against a dense one before it is timed.
A run is the median of its rounds; a ratio is the time of the fastest peer over ours, within a run,
and the median of the runs on fresh random inputs counts (how many stands under each row). Over the
shapes of a row stand the geometric mean and the worst. zeroskip runs under one fixed rule, and
nothing about it is picked by its time. What can be done once is done before, for everybody: weights
are bound, MKL has inspected and optimised, oneDNN has reordered. Ratios above 1 are ours; the bars
are for machines with AVX-512, and on another they are reported only. Each row names its machine;
[another page](performance-zen-4.md) is of a Zen 4, of an earlier commit.
"""


def page(rows: Sequence[AnyRow], records: Mapping[str, Record]) -> str:
    """The whole page."""
    lines = [HEAD, "## Every bar", "", *summary(rows, records)]
    for row in rows:
        if row.name in records:
            lines += section(row, records[row.name])
    return "\n".join(lines).rstrip() + "\n"

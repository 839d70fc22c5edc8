"""Run the public suites of tests/peers, count, and compare the counts with docs/peers.md.

    python tools/peers.py            # all suites; fails where the page says otherwise
    python tools/peers.py --write    # the same, and writes the counts into the page
    python tools/peers.py onnx       # one suite, printed only

A case either passes or is on the list of tests/peers/not_applicable.py, with its reason; one
failure, any other skip, or more than one case in twenty on the list of a suite is an error.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from layout import ROOT

SUITES = {
    "numpy": ("numpy", "TestEinsum: each form of call"),
    "opt_einsum": ("opt_einsum", "contraction strings"),
    "sparse": ("sparse", "test_einsum"),
    "onnx": ("onnx", "node cases of 20 operators"),
    "tensora": ("tensora", "expressions × formats"),
}
"""Suite -> its distribution, and what is run of it; tests/peers/test_SUITE_*.py holds the shim."""

PAGE = ROOT / "docs" / "peers.md"
TABLE = re.compile(r"(?<=<!-- counts -->\n).*?(?=<!-- end -->)", re.DOTALL)
MOST_LEFT_OUT = 0.05
NOT_APPLICABLE = "not applicable: "


class Counting:
    """A plugin of pytest that counts the outcomes of each suite."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.reasons: dict[str, Counter[str]] = {}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when != "call" and report.outcome == "passed":
            return
        suite = suite_of(report.nodeid)
        outcome = report.outcome
        if outcome == "skipped":
            reason = report.longrepr[2].removeprefix("Skipped: ")
            outcome = "failed"
            if reason.startswith(NOT_APPLICABLE):
                outcome = "left out"
                known = self.reasons.setdefault(suite, Counter())
                known[reason.removeprefix(NOT_APPLICABLE)] += 1
        self.counts.setdefault(suite, Counter())[outcome] += 1

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed or report.skipped:
            suite = suite_of(report.nodeid)
            self.counts.setdefault(suite, Counter())["failed"] += 1


def suite_of(nodeid: str) -> str:
    """The suite whose shim a test is in."""
    stem = Path(nodeid.split("::")[0]).stem.removeprefix("test_")
    return next((name for name in SUITES if stem.startswith(name)), stem)


def table(counting: Counting) -> str:
    """The counts as Markdown, and under them what was left out."""
    lines = [
        "| suite | version | cases | passed | failed | not applicable |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for suite, (distribution, what) in SUITES.items():
        if suite in counting.counts:
            count = counting.counts[suite]
            numbers = (count.total(), count["passed"], count["failed"], count["left out"])
            cells = (f"{distribution}: {what}", version(distribution), *map(str, numbers))
            lines.append(f"| {' | '.join(cells)} |")
    lines.append("")
    for suite, reasons in sorted(counting.reasons.items()):
        listed = "; ".join(f"{reason} ({n})" for reason, n in sorted(reasons.items()))
        lines += [f"Not applicable of {suite}: {listed}."]
    return "\n".join(lines).strip() + "\n"


def faults(counts: Mapping[str, Counter[str]], wanted: Sequence[str]) -> list[str]:
    """What is wrong with the counts, in words."""
    found = [f"{suite}: no case was run" for suite in wanted if suite not in counts]
    for suite, count in counts.items():
        if count["failed"]:
            found.append(f"{suite}: {count['failed']} of {count.total()} cases failed")
        if count["left out"] > MOST_LEFT_OUT * count.total():
            found.append(f"{suite}: {count['left out']} of {count.total()} cases left out")
    return found


def main(arguments: Sequence[str]) -> int:
    write = "--write" in arguments
    wanted = [name for name in arguments if name in SUITES] or list(SUITES)
    folder = ROOT / "tests" / "peers"
    files = sorted(p for name in wanted for p in folder.glob(f"test_{name}*.py"))
    os.environ["ZEROSKIP_PEERS"] = "1"
    counting = Counting()
    pytest.main(
        ["--tb=short", "--no-header", "-p", "no:cacheprovider", *map(str, files)], [counting]
    )
    counts = table(counting)
    print(f"\n{counts}")
    wrong = faults(counting.counts, wanted)
    page = PAGE.read_text(encoding="utf-8")
    if len(wanted) == len(SUITES):
        if write:
            PAGE.write_text(TABLE.sub(lambda _: counts, page), encoding="utf-8")
        elif counts not in page:
            wrong.append(
                "docs/peers.md has other counts; make peers PEERS_ARGS=--write renews them"
            )
    for fault in wrong:
        print(f"peers: {fault}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

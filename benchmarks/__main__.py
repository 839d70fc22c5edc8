"""Measure rows and show what was reached."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.restart import restart_clean

if TYPE_CHECKING:
    from benchmarks.records import Record
    from benchmarks.rows.row import AnyRow, Figure
    from benchmarks.running import Cell

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "build" / "bars.json"
PAGE = ROOT / "docs" / "performance.md"
DEFAULT_SEED = 4


def main(arguments: Sequence[str]) -> int:
    restart_clean()
    from benchmarks.records import read, write
    from benchmarks.report import section, summary
    from benchmarks.rows.all import ROWS

    options = parser().parse_args(arguments)
    by_name = {row.name: row for row in ROWS}
    if options.list:
        for row in ROWS:
            print(f"{row.name:<18} {row.title}")
        return 0
    wanted = options.only or list(by_name)
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        print(f"no row {', '.join(unknown)}; there are {', '.join(by_name)}", file=sys.stderr)
        return 2
    if options.page:
        from benchmarks.page import page

        if not read(options.into):
            print(f"{options.into} holds nothing: run `make bars` first", file=sys.stderr)
            return 1
        options.page.write_text(page(ROWS, read(options.into)), encoding="utf-8")
        print(f"{options.page} written from {options.into}")
        return 0
    if options.show:
        print("\n".join(summary(ROWS, read(options.into))))
        return 0
    if len(wanted) == 1:
        record = measured(by_name[wanted[0]], options)
        if not options.dry:
            records = read(options.into) | {record.row: record}
            write(options.into, {n: records[n] for n in by_name if n in records})
        print("\n".join(section(by_name[record.row], record)))
        return 0
    done, failed = each_alone(wanted, options)
    records = {n: r for n, r in read(options.into).items() if n in done}
    print("\n".join(summary([by_name[name] for name in wanted], records)))
    print(f"Kept in {options.into}; `make performance` writes {PAGE.relative_to(ROOT)} from it.")
    for name in failed:
        print(f"FAILED: {name}", file=sys.stderr)
    return 1 if failed else 0


def measured(row: AnyRow, options: argparse.Namespace) -> Record:
    """One row, here and now."""
    from benchmarks import machine
    from benchmarks.contest import Absent
    from benchmarks.records import Record
    from benchmarks.rows.row import Row
    from benchmarks.running import Options, cells
    from zeroskip.benchmark.measuring import pinned

    given = Options(options.seed, options.runs, options.budget, options.quick)
    when = machine.description()
    found: list[Cell] = []
    missing: dict[str, str] = {}
    began = time.monotonic()
    figures: list[Figure] = []
    skipped = ""
    try:
        if isinstance(row, Row):
            for cell in cells(row, given, say):
                found.append(cell)
                if time.monotonic() - began > options.share:
                    missing["further cells"] = "out of time, unless this was the last"
                    break
        else:
            figures += row.measure(given.runs)
    except Absent as cause:
        skipped = str(cause)
    say("")
    with pinned(row.threads if isinstance(row, Row) else 1):
        libraries = machine.libraries()
    return Record(
        row.name,
        when,
        libraries,
        options.seed,
        options.runs,
        machine.has_avx512(),
        options.quick,
        tuple(found),
        tuple(figures),
        skipped,
        missing,
    )


def each_alone(wanted: Sequence[str], options: argparse.Namespace) -> tuple[list[str], list[str]]:
    """Each row in a process of its own, so that none finds another's libraries, caches or
    threads; names of those that were measured, and of those that failed."""
    done: list[str] = []
    failed: list[str] = []
    began = time.monotonic()
    for place, name in enumerate(wanted):
        left = options.minutes * 60 - (time.monotonic() - began)
        if left <= 0:
            print(f"out of time: {name} and what follows were not measured", file=sys.stderr)
            break
        command = [sys.executable, "-m", "benchmarks", "--only", name, "--into", options.into]
        command += ["--seed", str(options.seed), "--runs", str(options.runs)]
        command += ["--budget", str(options.budget), *(["--quick"] if options.quick else [])]
        command += ["--share", f"{left / (len(wanted) - place):.0f}"]
        try:
            code = subprocess.run(command, cwd=ROOT, check=False, timeout=left).returncode
            (failed if code else done).append(name)
        except subprocess.TimeoutExpired:
            print(f"out of time: {name} was stopped", file=sys.stderr)
    return done, failed


def say(what: str) -> None:
    """What goes on, on a terminal's last line."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    made.add_argument("--list", action="store_true", help="name the rows")
    made.add_argument("--only", action="append", metavar="ROW", help="this row (again: these)")
    made.add_argument("--quick", action="store_true", help="few shapes and points of each row")
    made.add_argument("--runs", type=int, default=5, help="of each contest, on fresh inputs (5)")
    made.add_argument("--seed", type=int, default=DEFAULT_SEED, help=f"({DEFAULT_SEED})")
    made.add_argument(
        "--budget", type=float, default=0.5, metavar="S", help="seconds of timing a run (0.5)"
    )
    made.add_argument(
        "--minutes", type=float, default=60 * 24.0, help="what is not measured by then is left out"
    )
    made.add_argument(
        "--share", type=float, default=1e9, metavar="S", help="no cell is begun after so many s"
    )
    made.add_argument(
        "--into", type=Path, default=RESULTS, metavar="FILE", help="JSON that rows are kept in"
    )
    made.add_argument("--dry", action="store_true", help="keep nothing")
    made.add_argument("--show", action="store_true", help="measure nothing: show what is kept")
    made.add_argument(
        "--page", type=Path, metavar="FILE", help="measure nothing: write what is kept as Markdown"
    )
    return made


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""Records as text: a table of bars a row, every cell beneath it, and what they were taken on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import median

from benchmarks.contest import OURS
from benchmarks.records import Record
from benchmarks.rows.row import AnyRow, Row
from benchmarks.running import Cell
from benchmarks.verdicts import Verdict, compare, judge_figure, losses, verdicts

MOST_LOSSES = 40


def si(seconds: float) -> str:
    """Seconds with three digits and a unit.

    >>> si(0.0123), si(4.5e-06), si(0.0), si(2.0)
    ('12.3 ms', '4.5 µs', '0 s', '2 s')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6), ("ns", 1e-9)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return "0 s" if not seconds else f"{seconds / 1e-9:.2g} ns"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A Markdown table, columns lined up."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[k]) for line in lines) for k in range(len(head))]

    def joined(cells: Sequence[str]) -> str:
        return "| " + " | ".join(c.ljust(w) for c, w in zip(cells, widths, strict=True)) + " |"

    return [joined(lines[0]), "|" + "|".join("-" * (w + 2) for w in widths) + "|"] + [
        joined(line) for line in lines[1:]
    ]


def verdicts_of(row: AnyRow, record: Record) -> list[Verdict]:
    if isinstance(row, Row):
        return list(verdicts(row.bars, record.cells, binding=record.binding))
    return [judge_figure(figure, binding=record.binding) for figure in record.figures]


def bars_table(found: Iterable[Verdict]) -> list[str]:
    return table(
        ("against", "bar", "reached", "worst", "where", "fastest peer", ""),
        (_bar_cells(v) for v in found),
    )


def _bar_cells(verdict: Verdict) -> tuple[str, ...]:
    if verdict.unit == "s":
        asked = "" if verdict.asked is None else f"≤ {si(verdict.asked)}"
        reached, worst = si(verdict.reached), si(verdict.worst)
    else:
        asked = "" if verdict.asked is None else f"{verdict.asked:g}×"
        if verdict.least is not None and verdict.over > 1:
            asked += f", worst {verdict.least:.3g}×"
        reached, worst = f"{verdict.reached:.2f}×", f"{verdict.worst:.2f}×"
    alone = verdict.over == 1
    return (
        verdict.what,
        asked,
        reached,
        "" if alone else worst,
        "" if alone else verdict.worst_shape,
        verdict.winner,
        verdict.state + (f", {verdict.alone} more without a peer" if verdict.alone else ""),
    )


def cells_table(cells: Sequence[Cell]) -> list[str]:
    """Every cell: our time, and of each family the fastest with its ratio."""
    families = list(dict.fromkeys(f for c in cells for f in c.families.values() if f != OURS))
    head = ("shape", "at", "zeroskip", "GFLOP/s", *families)
    return table(head, (tuple(_cell(cell, families)) for cell in cells))


def _cell(cell: Cell, families: Sequence[str]) -> Iterator[str]:
    ours = next(s for name, s in cell.runs_s.items() if cell.families[name] == OURS)
    seconds = median(ours)
    yield cell.shape
    yield cell.at
    yield si(seconds)
    yield f"{2e-9 * cell.multiplications / seconds:.3g}" if cell.multiplications else ""
    for family in families:
        found = compare(cell, family)
        yield f"{found.ratio:.2f}× {found.winner}" if found else ""


def section(row: AnyRow, record: Record, *, cells: bool = True, level: str = "##") -> list[str]:
    """A row with its bars, its losses and where it was measured."""
    lines = [f"{level} {row.title}", ""]
    if record.skipped:
        return [*lines, f"Not measured: {record.skipped}", ""]
    lines += [*bars_table(verdicts_of(row, record)), ""]
    if record.cells:
        lost = losses(record.cells)
        if lost:
            more = f"; {len(lost) - MOST_LOSSES} more" if len(lost) > MOST_LOSSES else ""
            lines += [f"Slower than a peer: {'; '.join(lost[:MOST_LOSSES])}{more}.", ""]
        elif any(family != OURS for cell in record.cells for family in cell.families.values()):
            lines += ["Slower than a peer: nowhere.", ""]
        else:
            lines += ["No peer took part.", ""]
        if cells:
            lines += [*cells_table(record.cells), ""]
    absent = {name: why for c in record.cells for name, why in c.missing.items()} | record.missing
    lines += [f"- {note}" for note in row.notes]
    lines += [f"- missing: {name}, {why}" for name, why in absent.items()]
    seen = [e for cell in record.cells for e in cell.errors.values()]
    if seen:
        lines.append(
            f"- every answer checked against the dense one: {len(seen)}, the worst "
            f"{max(seen):.1e} of its scale"
        )
    at = record.when
    lines.append(
        f"- {at['date']}: {at['machine']}; {at['caches']}; {at['vectors']}; {at['compiler']}; "
        f"Python {at['python']}"
    )
    lines.append(f"- {'; '.join(f'{n} {v}' for n, v in record.libraries.items())}")
    short = ", a short run" if record.quick else ""
    lines.append(f"- seed {record.seed}, {record.runs} run(s) of interleaved rounds{short}")
    return [*lines, ""]


def summary(rows: Sequence[AnyRow], records: Mapping[str, Record]) -> list[str]:
    """Every bar of every row that was measured, in one table, and how many are reached."""
    lines: list[list[str]] = []
    states: list[str] = []
    for row in rows:
        record = records.get(row.name)
        if record is None:
            lines.append([row.title, "", "", "", "", "", "", "not measured yet"])
            continue
        if record.skipped:
            lines.append([row.title, "", "", "", "", "", "", f"not measured: {record.skipped}"])
        for verdict in verdicts_of(row, record):
            states.append(verdict.state)
            lines.append([row.title, *_bar_cells(verdict)])
    head = ("work", "against", "bar", "reached", "worst", "where", "fastest peer", "")
    counts = [f"{states.count(s)} {s}" for s in ("reached", "not reached", "reported")]
    return [*table(head, lines), "", f"Of {len(states)}: {', '.join(counts)}.", ""]

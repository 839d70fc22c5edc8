"""Times → ratios → whether a bar is reached."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import geometric_mean, median

from benchmarks.contest import OURS
from benchmarks.rows.row import Bar, Figure
from benchmarks.running import Cell


@dataclass(frozen=True, slots=True)
class Verdict:
    """One bar and what was reached.

    asked, reached, worst : ratios, or seconds where ``unit`` is "s".
    least : what the worst may be.  over : cells that counted; alone : those without any such peer.
    winner : the peer that was the fastest most often.
    state : "reached", "not reached", or "reported" where there is no bar to hold it against.
    """

    what: str
    asked: float | None
    least: float | None
    reached: float
    worst: float
    worst_shape: str
    over: int
    winner: str
    state: str
    unit: str = "×"
    alone: int = 0


@dataclass(frozen=True, slots=True)
class Compared:
    """One cell against one family: the median over runs of (fastest peer / ours), and who won."""

    shape: str
    ratio: float
    winner: str
    ours_s: float
    best_s: float


def compare(cell: Cell, family: str) -> Compared | None:
    """None where nobody of the family took part.

    Within a run the fastest peer counts, also where that is another one in the next run.  Only
    those who took part in every run do.
    """
    mine = next(s for name, s in cell.runs_s.items() if cell.families[name] == OURS)
    peers = {
        name: s
        for name, s in cell.runs_s.items()
        if cell.families[name] == family and len(s) == len(mine)
    }
    if not peers:
        return None
    best = [min(s[run] for s in peers.values()) for run in range(len(mine))]
    winner = min(peers, key=lambda name: median(peers[name]))
    ratio = median(b / m for b, m in zip(best, mine, strict=True))
    return Compared(cell.shape, ratio, winner, median(mine), median(best))


def judge(bar: Bar, cells: Iterable[Cell], *, binding: bool) -> Verdict | None:
    """A bar against the cells of its row; None where none of them has what it asks for.

    binding : whether this machine is one that the bars are for.
    """
    asked = [
        compare(cell, bar.against)
        for cell in cells
        if (bar.at is None or cell.at == bar.at)
        and (bar.shapes is None or cell.shape in bar.shapes)
    ]
    found = [compared for compared in asked if compared is not None]
    if not found:
        return None
    mean = geometric_mean(c.ratio for c in found)
    worst = min(found, key=lambda c: c.ratio)
    least = bar.least
    state = "reported"
    if bar.ratio is not None and binding:
        holds = mean >= bar.ratio and (least is None or worst.ratio >= least)
        state = "reached" if holds else "not reached"
    winners = Counter(c.winner for c in found)
    winner = max(winners, key=lambda name: winners[name])
    what = bar.against if bar.at is None else f"{bar.against}, {bar.at}"
    if bar.shapes is not None:
        what += f" ({' · '.join(bar.shapes)})"
    return Verdict(
        what,
        bar.ratio,
        least,
        mean,
        worst.ratio,
        worst.shape,
        len(found),
        winner,
        state,
        alone=len(asked) - len(found),
    )


def judge_figure(figure: Figure, *, binding: bool) -> Verdict:
    """A time against the most that it may take; the worst is the slowest run."""
    taken = median(figure.runs_s)
    state = "reported"
    if figure.most_s is not None and binding:
        state = "reached" if taken <= figure.most_s else "not reached"
    return Verdict(
        figure.name,
        figure.most_s,
        None,
        taken,
        max(figure.runs_s),
        "slowest run",
        len(figure.runs_s),
        figure.note,
        state,
        "s",
    )


def verdicts(bars: Sequence[Bar], cells: Sequence[Cell], *, binding: bool) -> Iterator[Verdict]:
    """Every bar for which something was measured."""
    for bar in bars:
        verdict = judge(bar, cells, binding=binding)
        if verdict is not None:
            yield verdict


def losses(cells: Iterable[Cell], families: Mapping[str, None] | None = None) -> list[str]:
    """Every cell in which some peer was faster, the worst first: "shape at: 0.81× (peer)"."""
    found: list[tuple[float, str]] = []
    for cell in cells:
        named = families or dict.fromkeys(f for f in cell.families.values() if f != OURS)
        for family in named:
            compared = compare(cell, family)
            if compared is not None and compared.ratio < 1:
                text = f"{cell.shape} at {cell.at}: {compared.ratio:.2f}× {compared.winner}"
                found.append((compared.ratio, text))
    return [text for _, text in sorted(found)]

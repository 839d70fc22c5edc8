"""Contests held: answers checked, then everybody takes turns, five times on fresh inputs."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.contest import OURS, Contest, Entrant, WrongAnswer, first_line
from benchmarks.rows.row import Row
from zeroskip.benchmark.measuring import Candidate, measure, pinned

RUNS = 5

HOPELESS = 3.0
"""Times slower than the best of its family in the first run: sits out the others, so that the
rounds go to those who could be the best."""


@dataclass(frozen=True, slots=True)
class Options:
    """runs : of each contest, on fresh inputs; budget_s : of timing, about, for each run."""

    seed: int
    runs: int = RUNS
    budget_s: float = 0.5
    quick: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """The times of one shape at one point.

    runs_s : name → median seconds of each run that it took part in, the first run first.
    families : name → family.  errors : name → largest difference seen, over the scale.
    """

    shape: str
    at: str
    runs_s: dict[str, tuple[float, ...]]
    families: dict[str, str]
    errors: dict[str, float]
    missing: dict[str, str] = field(default_factory=dict)
    multiplications: int | None = None


def cells(row: Row, options: Options, say: Callable[[str], object]) -> Iterator[Cell]:
    """Every cell of a row; ``say`` is told what is measured next."""
    shapes: Sequence[str] = row.shapes()
    points: Sequence[str] = row.points
    if options.quick:
        shapes, points = _spread(shapes, row.quick[0]), _spread(points, row.quick[1])
    for shape in shapes:
        for at in points:
            say(f"{row.name} {shape} {at}")
            yield hold(row, shape, at, options)


def _spread(labels: Sequence[str], count: int) -> list[str]:
    """``count`` of the labels, evenly from first to last.

    >>> _spread(["a", "b", "c", "d", "e"], 2), _spread(["a", "b", "c"], 1)
    (['a', 'e'], ['a'])
    """
    if count >= len(labels):
        return list(labels)
    places = np.linspace(0, len(labels) - 1, count).round().astype(int)
    return [labels[k] for k in places]


def hold(row: Row, shape: str, at: str, options: Options) -> Cell:
    """One cell, in `Options.runs` runs on fresh inputs.

    Raises
    ------
    WrongAnswer
        Where zeroskip's is wrong.  A peer that answers wrongly is left out, and named.
    """
    runs: dict[str, list[float]] = {}
    families: dict[str, str] = {}
    errors: dict[str, float] = {}
    missing: dict[str, str] = {}
    out: set[str] = set()
    count: int | None = None
    for run in range(options.runs):
        contest = row.contest(shape, at, generator(options.seed, row.name, shape, at, run))
        missing |= contest.missing
        count = contest.multiplications
        with pinned(row.threads):
            chosen: list[Entrant] = []
            for entrant in contest.entrants:
                if entrant.name not in out and _is_right(entrant, contest, errors, missing):
                    chosen.append(entrant)
            timings = measure(
                [Candidate(e.name, e.call) for e in chosen], budget_s=options.budget_s
            )
        for entrant, timing in zip(chosen, timings, strict=True):
            runs.setdefault(entrant.name, []).append(timing.median_s)
            families[entrant.name] = entrant.family
        if run == 0:
            out = hopeless({name: seconds[0] for name, seconds in runs.items()}, families)
    return Cell(shape, at, {n: tuple(s) for n, s in runs.items()}, families, errors, missing, count)


def _is_right(
    entrant: Entrant, contest: Contest, errors: dict[str, float], missing: dict[str, str]
) -> bool:
    try:
        error = contest.check(entrant)
    except Exception as cause:
        if entrant.family == OURS:
            raise
        wrong = isinstance(cause, WrongAnswer)
        missing[entrant.name] = f"{'left out' if wrong else 'fails'}: {first_line(cause)}"
        return False
    errors[entrant.name] = max(error, errors.get(entrant.name, 0.0))
    return True


def hopeless(seconds: dict[str, float], families: dict[str, str]) -> set[str]:
    """Peers that cannot be the best of their family, by one run.

    >>> hopeless({"a": 1.0, "b": 2.0, "c": 9.0}, {"a": "dense", "b": "dense", "c": "dense"})
    {'c'}
    """
    found: set[str] = set()
    for name, taken in seconds.items():
        family = families[name]
        best = min(s for other, s in seconds.items() if families[other] == family)
        if family != OURS and taken > HOPELESS * best:
            found.add(name)
    return found


def generator(seed: int, *labels: object) -> np.random.Generator:
    """A generator of its own for each cell and run, whatever else is measured."""
    return np.random.default_rng((seed, *(zlib.crc32(str(x).encode()) for x in labels)))

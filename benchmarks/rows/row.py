"""What a row is: one kind of work, its inputs, and the bars that it is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.contest import Contest

WORST = 0.9
"""Part of a bar that the worst shape must reach, where the bar says nothing else."""


@dataclass(frozen=True, slots=True)
class Bar:
    """Peer's time over ours, at least: the geometric mean over shapes, and the worst shape.

    against : family of peers; of several the fastest counts.
    at : density, or another point of the row; None for all of them together.
    ratio : None where the ratio is only reported.
    floor : what the worst shape must reach; by default `WORST` of ``ratio``.
    shapes : those that count; by default all of the row.
    """

    against: str
    at: str | None
    ratio: float | None
    floor: float | None = None
    shapes: tuple[str, ...] | None = None

    @property
    def least(self) -> float | None:
        """What the worst shape must reach."""
        return self.floor if self.floor is not None or self.ratio is None else WORST * self.ratio


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of work: a contest for each shape and point.

    name : as ``--only`` takes it.
    shapes : finds the labels of the inputs; raises Absent where data is not here.
    points : densities or other labels that the contest understands.
    contest : makes the entrants of (shape, point) on an input drawn from the generator.
    quick : (shapes, points) of a short run.
    """

    name: str
    title: str
    shapes: Callable[[], Sequence[str]]
    points: tuple[str, ...]
    contest: Callable[[str, str, np.random.Generator], Contest]
    bars: tuple[Bar, ...]
    quick: tuple[int, int] = (1, 2)
    threads: int = 1
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """A time that is held against a number of seconds, not against a peer.

    runs_s : one figure a run; most_s : the bar.
    """

    name: str
    runs_s: tuple[float, ...]
    most_s: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Figures:
    """A row of figures: ``measure(runs)`` takes each in as many runs."""

    name: str
    title: str
    measure: Callable[[int], list[Figure]]
    notes: tuple[str, ...] = ()


AnyRow = Row | Figures

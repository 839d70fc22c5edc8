"""The lines of an accounting as means, ready for any density: what `expected` makes.

Closed    a polynomial in the densities (`closed`)
Largest, Apart, Either, Rounded    means of maxima (`maxima`)
Summed    a line over results that are no polynomial
Scaled    so many times a result without axes
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, Literal, get_args

import numpy as np

from zeroskip.hwmodel.closed import Closed, Monomial, Reals
from zeroskip.hwmodel.evaluate import sized
from zeroskip.hwmodel.events import Event, Settled
from zeroskip.hwmodel.maxima import Apart, Either, Largest, Rounded
from zeroskip.hwmodel.plan import Totalled
from zeroskip.native.engine import evaluate

Tag = Literal["exact in expectation", "bound", "approximate"]
TAGS: tuple[Tag, ...] = get_args(Tag)
"""From what is surest on."""


@dataclass(frozen=True, slots=True)
class Total:
    """So many times the sum of a result that is no polynomial."""

    of: str
    times: float


@dataclass(frozen=True, slots=True)
class Summed:
    """A line over results that are no polynomial: evaluated at each density."""

    text: str
    reads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Scaled:
    """So many times a result without axes."""

    of: str
    times: float


Line = Closed | Largest | Apart | Either | Total | Summed | Scaled | Rounded


@dataclass(frozen=True, slots=True)
class Geometry:
    """Every line of an accounting, ready for any density.

    independent : tensors of which places were taken as independent of each other.
    events : what stands beside densities in polynomials.
    """

    lines: dict[str, Line]
    tags: dict[str, Tag]
    sizes: tuple[tuple[str, int], ...]
    independent: tuple[str, ...]
    events: tuple[Event | Settled, ...] = ()
    _totals: dict[str, dict[Monomial, float]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def chances(self, shares: Mapping[str, Any]) -> Mapping[str, Any]:
        """Densities, numbers or symbols, and the chances of events at them."""
        return {**shares, **{one.name: one.chance(shares[one.tensor]) for one in self.events}}

    def needed(self, names: Collection[str]) -> Geometry:
        """The lines that these results take, and no others."""
        wanted = set(names)
        for name in reversed(self.lines):
            line = self.lines[name]
            if name in wanted and isinstance(line, Total | Scaled):
                wanted.add(line.of)
            if name in wanted and isinstance(line, Summed):
                wanted.update(line.reads)
            if name in wanted and isinstance(line, Rounded) and line.name:
                wanted.add(line.name)
        kept = {name: line for name, line in self.lines.items() if name in wanted}
        return replace(self, lines=kept)

    def counts(self, shares: Mapping[str, float], idle: Collection[str] = ()) -> Means:
        """Every result at these densities; 0 of those that are idle."""
        return Means(self, self.chances(shares), idle)

    def totals(self, name: str) -> dict[Monomial, float] | None:
        """The sum of a result as a polynomial; None where it is none."""
        found = self._totals.get(name)
        if found is None:
            line = self.lines[name]
            if not isinstance(line, Closed):
                return None
            found = {k: float(np.sum(array)) for k, array in line.terms.items()}
            self._totals[name] = found
        return found

    def closed(self, name: str) -> Closed | None:
        """A count as a polynomial, where it is one."""
        found = self.lines[name]
        return found if isinstance(found, Closed) else None


class Means(Totalled):
    """The results of a geometry at some densities, each computed when it is asked for first.

    shares : densities, and chances of events.  idle : results that are 0.
    """

    def __init__(
        self, geometry: Geometry, shares: Mapping[str, float], idle: Collection[str]
    ) -> None:
        self._geometry, self._shares, self._idle = geometry, shares, idle
        self._found: dict[str, Reals] = {}

    def __getitem__(self, name: str) -> Reals:
        found = self._mean(name)
        return np.zeros_like(found) if name in self._idle else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._geometry.lines)

    def __len__(self) -> int:
        return len(self._geometry.lines)

    def total(self, name: str) -> float:
        if name in self._idle:
            return 0.0
        sums, shares = self._geometry.totals(name), self._shares
        if sums is None:
            return float(self._mean(name).sum())
        return float(sum(each * prod([shares[n] for n in names]) for names, each in sums.items()))

    def _mean(self, name: str) -> Reals:
        """Idle or not."""
        found = self._found.get(name)
        if found is None:
            found = self._found[name] = self._evaluated(self._geometry.lines[name])
        return found

    def _evaluated(self, line: Line) -> Reals:
        match line:
            case Closed():
                return np.asarray(line.value(self._shares), np.float64)
            case Rounded():
                return line.value(self._shares, self._mean(line.name) if line.name else None)
            case Total():
                return np.asarray(line.times * self._mean(line.of).sum())
            case Scaled():
                return np.asarray(line.times * self._mean(line.of))
            case Summed():
                spec = sized(line.text, self._geometry.sizes)
                made = evaluate(spec, {name: self._mean(name) for name in line.reads})
                return np.asarray(made[spec.forms[-1].target.tensor], np.float64)
            case _:
                return line.value(self._shares)

"""The lines of an accounting as means, ready for any density: what `expected` makes.

Closed    a polynomial in the densities (`closed`)
Largest, Apart, Either, Rounded    means of maxima (`maxima`)
Summed    a line over results that are no polynomial
Scaled    so many times a result without axes
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from zeroskip.hwmodel.closed import Bundle, Closed, Reals, bundles_of
from zeroskip.hwmodel.evaluate import sized
from zeroskip.hwmodel.events import Event, Settled
from zeroskip.hwmodel.maxima import Apart, Either, Largest, Rounded
from zeroskip.native.engine import evaluate
from zeroskip.native.recent import Recent

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
        kept = {name: line for name, line in self.lines.items() if name in wanted}
        return replace(self, lines=kept)

    def counts(self, shares: Mapping[str, float]) -> dict[str, Reals]:
        """Every result at these densities."""
        shares = self.chances(shares)
        known = _bundled.get(id(self))  # it holds the geometry, so that its id stays its own
        if known is None:
            known = _bundled.keep(id(self), (self, bundles_of(self.lines)))
        found: dict[str, Reals] = {}
        for bundle in known[1]:
            found |= bundle.values(shares)
        for name, line in self.lines.items():
            match line:
                case Closed() if name not in found:
                    found[name] = np.zeros(())
                case Largest() | Apart() | Either():
                    found[name] = line.value(shares)
                case Rounded():
                    found[name] = line.value(shares, found.get(line.name))
                case Total():
                    found[name] = np.asarray(line.times * found[line.of].sum())
                case Scaled():
                    found[name] = np.asarray(line.times * found[line.of])
                case Summed():
                    spec = sized(line.text, self.sizes)
                    made = evaluate(spec, {n: found[n] for n in line.reads})
                    found[name] = np.asarray(made[name], np.float64)
        return found

    def closed(self, name: str) -> Closed | None:
        """A count as a polynomial, where it is one."""
        found = self.lines[name]
        return found if isinstance(found, Closed) else None


_bundled: Recent[int, tuple[Geometry, tuple[Bundle, ...]]] = Recent(256)

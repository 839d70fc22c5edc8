"""The lines of an accounting as means, ready for any density: what `expected` makes.

Closed    a polynomial in the densities
Largest   the mean of a maximum over the last axes of a count
Apart     of a count that is a product of counts with nothing in common: the product of theirs
Summed    a line over results that are no polynomial
Scaled    so many times a result without axes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.evaluate import sized
from zeroskip.hwmodel.order_statistics import mean_of_maximum
from zeroskip.hwmodel.spread import Spread
from zeroskip.native.engine import evaluate

Reals = NDArray[np.float64]
Tag = Literal["exact in expectation", "approximate", "bound"]
Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """A mean as a polynomial in the densities: monomial -> coefficients."""

    terms: dict[Monomial, NDArray[Any]]

    def value(self, shares: Mapping[str, Any]) -> NDArray[Any]:
        """Its value at these densities, numbers or symbols."""
        return sum(
            (array * prod(shares[name] for name in names) for names, array in self.terms.items()),
            np.zeros(()),
        )


@dataclass(frozen=True, slots=True)
class Largest:
    """The mean of a maximum over the last axes of a count."""

    of: str
    order: tuple[int, ...]
    kept: int
    spread: Spread | None

    def value(self, means: Reals, shares: Mapping[str, float]) -> Reals:
        mean = self._along(means)
        if self.spread is None:
            return np.asarray(mean.max(axis=-1, initial=0.0))
        variance = self._along(self.spread.variance(shares))
        return mean_of_maximum(mean, variance, self._along(self.spread.full))

    def _along(self, array: Reals) -> Reals:
        turned = np.asarray(array, np.float64).transpose(self.order)
        return turned.reshape(*turned.shape[: self.kept], -1)


@dataclass(frozen=True, slots=True)
class Apart:
    """The largest of products of counts, each of operands that the others do not have: factors with
    their largest, and the shape of these among the axes of the result.

    Counts that are not less than 0 are largest together: E[max a*b] = E[max a]*E[max b].
    """

    factors: tuple[tuple[Closed, Largest, tuple[int, ...]], ...]
    times: float

    def value(self, shares: Mapping[str, float]) -> Reals:
        found: Any = self.times
        for count, largest, view in self.factors:
            means = np.asarray(count.value(shares), np.float64)
            found = found * largest.value(means, shares).reshape(view)
        return np.asarray(found)


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


Line = Closed | Largest | Apart | Summed | Scaled


@dataclass(frozen=True, slots=True)
class Geometry:
    """Every line of an accounting, ready for any density.

    independent : tensors of which places were taken as independent of each other.
    """

    lines: dict[str, Line]
    tags: dict[str, Tag]
    sizes: tuple[tuple[str, int], ...]
    independent: tuple[str, ...]

    def counts(self, shares: Mapping[str, float]) -> dict[str, Reals]:
        """Every result at these densities."""
        found: dict[str, Reals] = {}
        for name, line in self.lines.items():
            match line:
                case Closed():
                    found[name] = np.asarray(line.value(shares), np.float64)
                case Largest():
                    found[name] = line.value(found[line.of], shares)
                case Apart():
                    found[name] = line.value(shares)
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

"""The lines of an accounting as means, ready for any density: what `expected` makes.

Closed    a polynomial in the densities
Largest   the mean of a maximum over the last axes of a count
Apart     of a count that is a product of counts with nothing in common: the product of theirs; of
          one that is called for by an event, the largest times its chance
Either    the mean of a maximum that is one where an event is, and another where it is not
Summed    a line over results that are no polynomial
Scaled    so many times a result without axes
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.evaluate import sized
from zeroskip.hwmodel.events import Event, Settled
from zeroskip.hwmodel.order_statistics import mean_of_maximum
from zeroskip.hwmodel.spread import Spread
from zeroskip.native.engine import evaluate
from zeroskip.native.recent import Recent

Reals = NDArray[np.float64]
Tag = Literal["exact in expectation", "approximate", "bound"]
Monomial = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Closed:
    """A mean as a polynomial in the densities: monomial -> coefficients."""

    terms: dict[Monomial, NDArray[Any]]

    def value(self, shares: Mapping[str, Any]) -> NDArray[Any]:
        """Its value at these densities, numbers or symbols."""
        parts = [array * prod(shares[n] for n in names) for names, array in self.terms.items()]
        return np.asarray(sum(parts[1:], start=parts[0])) if parts else np.zeros(())


@dataclass(frozen=True, slots=True)
class Largest:
    """The mean of a maximum over the last axes of a count.

    Cells of a count that are alike at every density are one kind, rows of equal kinds one row.

    kinds : their means; spread : what their variances are made of, None where it is not known.
    rows : kinds in each row that differs from others, and how many of each.
    where : the number of each row; of the shape of the result.
    """

    kinds: Closed
    spread: Spread | None
    rows: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]
    where: NDArray[np.intp]

    def value(self, shares: Mapping[str, float]) -> Reals:
        mean = np.asarray(self.kinds.value(shares), np.float64)
        if self.spread is None:
            found = [mean[kinds].max(initial=0.0) for kinds, _ in self.rows]
        else:
            variance, full = self.spread.variance(shares), self.spread.full
            found = [
                mean_of_maximum(mean[kinds], variance[kinds], full[kinds], many)
                for kinds, many in self.rows
            ]
        return np.asarray(np.array(found, np.float64)[self.where])


def largest_of(count: Closed, spread: Spread | None, order: tuple[int, ...], kept: int) -> Largest:
    """The maximum of a count over its axes in this order from the ``kept``-th on."""

    def along(array: NDArray[Any]) -> NDArray[Any]:
        turned = np.asarray(array).transpose(order)
        return turned.reshape(prod(turned.shape[:kept]), prod(turned.shape[kept:]))

    whole = next(iter(count.terms.values())).transpose(order)
    columns = list(count.terms.values()) + ([] if spread is None else list(spread.arrays))
    stacked = np.stack([along(x).astype(np.float64).reshape(-1) for x in columns], axis=1)
    _, first, kind = np.unique(stacked, axis=0, return_index=True, return_inverse=True)
    by_row = np.sort(kind.reshape(along(whole.transpose(np.argsort(order))).shape), axis=1)
    distinct, where = np.unique(by_row, axis=0, return_inverse=True)

    def picked(array: NDArray[Any]) -> NDArray[Any]:
        return np.ascontiguousarray(along(array).reshape(-1)[first])

    return Largest(
        Closed({names: picked(array) for names, array in count.terms.items()}),
        None if spread is None else spread.picked(picked),
        tuple(np.unique(row, return_counts=True) for row in distinct),
        where.reshape(whole.shape[:kept]),
    )


@dataclass(frozen=True, slots=True)
class Apart:
    """The largest of products of counts, each of operands that the others do not have: the largest
    of each, and its shape among the axes of the result.

    Counts that are not less than 0 are largest together: E[max a*b] = E[max a]*E[max b].  So is a
    count with the event that calls for all of it.
    """

    factors: tuple[tuple[Largest | Closed | Apart, tuple[int, ...]], ...]
    times: float

    def value(self, shares: Mapping[str, float]) -> Reals:
        found: Any = self.times
        for largest, view in self.factors:
            found = found * largest.value(shares).reshape(view)
        return np.asarray(found)


@dataclass(frozen=True, slots=True)
class Either:
    """A maximum that an event decides: ``one`` where it is, ``other`` where it is not.

    chance : of the event, by the axes of the result.
    """

    chance: Closed
    one: Largest | Closed | Apart
    other: Closed

    def value(self, shares: Mapping[str, float]) -> Reals:
        chance = self.chance.value(shares)
        found = chance * self.one.value(shares) + (1 - chance) * self.other.value(shares)
        return np.asarray(found, np.float64)


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


Line = Closed | Largest | Apart | Either | Total | Summed | Scaled


@dataclass(frozen=True, slots=True)
class Bundle:
    """Polynomials of the same monomials, one behind the other.

    all_of : their coefficients in one row; parts : name, first, end and shape of each.
    """

    all_of: Closed
    parts: tuple[tuple[str, int, int, tuple[int, ...]], ...]

    def values(self, shares: Mapping[str, float]) -> dict[str, Reals]:
        found = np.asarray(self.all_of.value(shares), np.float64)
        return {name: found[first:end].reshape(shape) for name, first, end, shape in self.parts}


def bundles_of(lines: Mapping[str, Line]) -> tuple[Bundle, ...]:
    """The polynomials among these lines, in as few bundles as there are sets of monomials."""
    alike: dict[tuple[Monomial, ...], list[tuple[str, Closed]]] = {}
    for name, line in lines.items():
        if isinstance(line, Closed) and line.terms:
            alike.setdefault(tuple(line.terms), []).append((name, line))
    found = []
    for monomials, members in alike.items():
        shapes = [np.shape(line.terms[monomials[0]]) for _, line in members]
        ends = np.cumsum([0, *map(prod, shapes)]).tolist()
        rows = {
            m: np.concatenate([np.reshape(line.terms[m], -1) for _, line in members], dtype=float)
            for m in monomials
        }
        names = [name for name, _ in members]
        parts = tuple(zip(names, ends[:-1], ends[1:], shapes, strict=True))
        found.append(Bundle(Closed(rows), parts))
    return tuple(found)


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

"""Means of maxima: of the largest of several counts, as it is, and rounded up.

Largest   the mean of a maximum over the last axes of a count
Apart     of a count that is a product of counts with nothing in common: the product of theirs; of
          one that is called for by an event, the largest times its chance
Either    the mean of a maximum that is one where an event is, and another where it is not
Rounded   a largest count on several multipliers, rounded up
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import floor, gcd, inf, nan, prod, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.closed import Closed, Reals, is_static
from zeroskip.hwmodel.order_statistics import (
    MOST_NUMBERS,
    REACH,
    Chances,
    chances_of_drawn,
    chances_of_most,
    mean_of_maximum,
    mean_rounded,
)
from zeroskip.hwmodel.spread import Spread

MOST_EXACT = 128
"""Places of a row of cells whose chances are exact."""

WHOLE = 1e-9
"""How far a number of entries may be from a whole one."""

MOST_OUTCOMES = 2**15
"""Outcomes of a product of largest counts, of which each is rounded up."""


@dataclass(frozen=True, slots=True)
class Largest:
    """The mean of a maximum over the last axes of a count.

    Cells of a count that are alike at every density are one kind, rows of equal kinds one row.

    kinds : their means; spread : what their variances are made of, None where it is not known.
    rows : kinds in each row that differs from others, and how many of each.
    where : the number of each row; of the shape of the result.
    drawn : the tensor of which each cell of a row has places of its own, any as likely as any
        other, and how many places it has, where the chances of a row are exact; else "" and 0.
    """

    kinds: Closed
    spread: Spread | None
    rows: tuple[tuple[NDArray[np.intp], NDArray[np.intp]], ...]
    where: NDArray[np.intp]
    drawn: tuple[str, int] = ("", 0)

    def value(self, shares: Mapping[str, float]) -> Reals:
        if self.drawn[1]:
            exact = [self._drawn(row, shares) for row in range(len(self.rows))]
            means = [float((first + np.arange(len(c))) @ c) for first, c in exact]
            return np.asarray(np.array(means, np.float64)[self.where])
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

    def chances(self, shares: Mapping[str, float]) -> list[Chances | None]:
        """Of each row that differs from others, the chances of each whole number to be the
        largest; None where they are not known, or too many."""
        if self.drawn[1]:
            return [self._drawn(row, shares) for row in range(len(self.rows))]
        if self.spread is None:
            return [None] * len(self.rows)
        mean = np.asarray(self.kinds.value(shares), np.float64)
        variance, full = self.spread.variance(shares), self.spread.full
        every = variance
        if self.spread.common:  # the largest varies with what all have in common, too
            every = replace(self.spread, common=frozenset()).variance(shares)
        if 2 * REACH * sqrt(every.min(initial=inf)) > MOST_NUMBERS:
            return [None] * len(self.rows)
        found = []
        for kinds, many in self.rows:
            one, most, number = mean[kinds], full[kinds], many
            spread = variance[kinds]
            if self.spread.common:
                largest = mean_of_maximum(one, spread, most, many)
                one, number = np.array([largest]), np.ones(1, np.intp)
                spread = np.array([every[kinds].max(initial=0.0)])
                most = np.array([most.max(initial=0.0)])
            found.append(chances_of_most(one, spread, most, number))
        return found

    def _drawn(self, row: int, shares: Mapping[str, float]) -> Chances:
        """Exact; between whole numbers of entries, between their chances."""
        tensor, size = self.drawn
        kinds, many = self.rows[row]
        places = self.kinds.terms[tensor,][kinds].astype(np.int64).tolist()
        held = shares[tensor] * size
        least = floor(held + WHOLE)
        more = held - least if held - least > WHOLE else 0.0
        first, found = chances_of_drawn(places, many.tolist(), size, least)
        if not more:
            return first, found
        second, above = chances_of_drawn(places, many.tolist(), size, least + 1)
        length = max(first + len(found), second + len(above))
        mixed = np.zeros(length)
        mixed[first : first + len(found)] += (1 - more) * found
        mixed[second : second + len(above)] += more * above
        return 0, mixed


def largest_of(
    count: Closed,
    spread: Spread | None,
    order: tuple[int, ...],
    kept: int,
    drawn: tuple[str, int] = ("", 0),
) -> Largest:
    """The maximum of a count over its axes in this order from the ``kept``-th on.

    drawn : a tensor of whose places each is in one cell at most, once, and how many these are;
        where rows are small enough, their chances are exact then.
    """

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

    kinds = Closed({names: picked(array) for names, array in count.terms.items()})
    rows = tuple(np.unique(row, return_counts=True) for row in distinct)
    if drawn[1] and not all(_is_small(kinds.terms[drawn[0],][row], n) for row, n in rows):
        drawn = "", 0
    spread = None if spread is None else spread.picked(picked)
    return Largest(kinds, spread, rows, where.reshape(whole.shape[:kept]), drawn)


def _is_small(places: NDArray[Any], many: NDArray[np.intp]) -> bool:
    """Whether exact chances of a row of cells take little time."""
    steps = places.max(initial=0) * np.log2(2.0 * many).sum()
    return bool(places @ many <= MOST_EXACT and steps <= MOST_EXACT)


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

    def rounded(self, shares: Mapping[str, float], each: int, over: int, mean: Reals) -> Reals:
        """The mean of the next whole number of ``each / over`` times it.  mean : its value."""
        chance: Any = 1.0
        counts: list[tuple[Largest | Closed, tuple[int, ...]]] = []
        for line, view in self.factors:
            if isinstance(line, Apart):  # all of what an event calls for
                inside = line.rounded(shares, each, over, line.value(shares))
                chance = chance * inside.reshape(view)
            elif isinstance(line, Largest) or is_static(line):
                counts.append((line, view))
            else:
                chance = chance * line.value(shares).reshape(view)
        if not counts:
            return np.asarray(chance)
        called = isinstance(chance, float)
        means = mean if called else Apart(tuple(counts), self.times).value(shares)
        return np.asarray(chance * _rounded(counts, shares, self.times * each, over, means * each))


def _rounded(
    counts: Sequence[tuple[Largest | Closed, tuple[int, ...]]],
    shares: Mapping[str, float],
    times: float,
    over: int,
    means: Reals,
) -> Reals:
    """The mean of the next whole number of ``times / over`` of a product of largest counts, each
    with its shape among the axes of the result.  means : of the product, so many times."""
    chances: list[list[Chances | None]] = []
    where = []
    for line, view in counts:
        if isinstance(line, Largest):
            chances.append(line.chances(shares))
            where.append(line.where.reshape(view))
        else:
            numbers, which = np.unique(line.value(shares), return_inverse=True)
            chances.append([(int(number), np.ones(1)) for number in numbers.tolist()])
            where.append(which.reshape(view))
        if all(known is None for known in chances[-1]):
            return evened(means, times, over)
    joint: Any = 0
    for row, known in zip(where, chances, strict=True):
        joint = joint * len(known) + row
    one = joint.max(initial=0) == 0
    kinds, which = ([0], joint) if one else np.unique(joint, return_inverse=True)
    found = []
    for kind in kinds:
        whole: list[Chances] = []
        left = int(kind)
        for known in reversed(chances):
            left, number = divmod(left, len(known))
            part = known[number]
            whole += [part] if part is not None else []
        few = len(whole) == len(chances) and prod(len(c) for _, c in whole) <= MOST_OUTCOMES
        found.append(mean_rounded(whole, times, over) if few else nan)
    turns = np.array(found, np.float64)[which].reshape(joint.shape)
    if not np.isnan(turns).any():
        return np.asarray(turns)
    return np.where(np.isnan(turns), evened(means, times, over), turns)


def evened(means: Any, times: float, over: int) -> Reals:
    """The mean of the next whole number of a number over ``over``: what is left over is any
    multiple of ``times``, as likely as any other."""
    waste = (over - gcd(int(times), over)) / 2 if times == int(times) else (over - 1) / 2
    return np.asarray(np.where(means > 0, (np.asarray(means) + waste) / over, 0.0))


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
class Rounded:
    """Cycles of a number of points: the next whole number of ``each / over`` times the number.

    name : of the result that is the number.
    """

    of: Largest | Apart | Either
    each: int
    over: int
    name: str = ""

    def value(self, shares: Mapping[str, float], mean: Reals | None = None) -> Reals:
        """mean : of the number, where it is known."""
        line = self.of
        if isinstance(line, Largest):
            line = Apart(((line, line.where.shape),), 1.0)
        if isinstance(line, Apart):
            known = line.value(shares) if mean is None else mean
            return line.rounded(shares, self.each, self.over, known)
        chance, other = line.chance.value(shares), line.other.value(shares)
        one = line.one
        if isinstance(one, Closed):
            found = evened(one.value(shares) * self.each, self.each, self.over)
        else:
            found = Rounded(one, self.each, self.over).value(shares)
        waiting = np.ceil(other * self.each / self.over - WHOLE)
        return np.asarray(chance * found + (1 - chance) * waiting, np.float64)

"""Where the non-zeros of a `Density` lie: how likely each place is, and which go together.

    Blocks   so many places of each block, any as likely as any other: of the whole tensor, of a
             band along its diagonal, of each slice of a profile
    Nested   G of every H neighbours along an axis, and of these groups again (hierarchical)
    Tiles    as many in each tile as some tile of a measured tensor holds

The mean of a sum over places needs `weights` alone.  Its variance needs how two places go together,
which for all models is a sum over blocks (`parts`): with a(x) for what place x counts,

    Var(sum of a(x)*M[x]) = sum over parts c * sum over blocks w * (sum of a(x) in the block)**2
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise
from math import inf, log1p, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.records import dataclass

Bits = NDArray[np.bool_]
Reals = NDArray[np.float64]
Counts = NDArray[np.int64]

TERMS = 2**20
"""Factors that a probability is multiplied out of at most."""


@dataclass(frozen=True, eq=False)
class Part:
    """Blocks of one size: their extents, and a weight of each (None: 1), by axes of the grid."""

    block: tuple[int, ...]
    weights: Reals | None = None


@dataclass(frozen=True, eq=False)
class Blocks:
    """In every block, so many of its places, drawn without order.

    counts : of each block; it has an axis for each of the shape, of its extent or 1.
    support : places that may hold something, of a single block; None for all.
    """

    shape: tuple[int, ...]
    counts: Counts
    support: Bits | None = None

    @cached_property
    def block(self) -> tuple[int, ...]:
        grid = self.counts.shape
        return tuple(1 if k == n else n for n, k in zip(self.shape, grid, strict=True))

    @cached_property
    def live(self) -> int:
        """Places of a block that may hold something."""
        if self.support is None:
            return prod(self.block)
        again = [n for n, k in zip(self.shape, self.support.shape, strict=True) if k != n]
        return int(self.support.sum()) * prod(again)

    @cached_property
    def share(self) -> float:
        size = prod(self.shape)
        return int(self.counts.sum()) / size if size else 0.0

    @property
    def _alone(self) -> bool:
        return self.counts.size == 1

    @cached_property
    def chances(self) -> Reals:
        """Of each block, for every place that may hold something."""
        return self.counts / max(self.live, 1)

    @cached_property
    def weights(self) -> Reals | None:
        """The chance of each place over the mean of all; None where all are alike."""
        if self.support is not None:
            return np.asarray(self.support * (prod(self.shape) / max(self.live, 1)), np.float64)
        if self._alone:
            return None
        return self.chances / self.share if self.share else np.zeros(self.counts.shape)

    @cached_property
    def uneven(self) -> Reals | None:
        """The variance of each place over `variance`; None where all are alike."""
        if self.support is not None:
            return self.support.astype(np.float64)
        return None if self._alone else self.chances * (1 - self.chances)

    def variance(self, share: float) -> float:
        """Of a place, where the share of all is this."""
        if not self._alone:
            return 1.0
        p = share * prod(self.shape) / max(self.live, 1)
        return p * (1 - p)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        each, whole = (1,) * len(self.shape), self.block
        if self._alone:
            return Part(each), Part(whole)
        spread, others = self.chances * (1 - self.chances), max(self.live - 1, 1)
        return Part(each, spread * self.live / others), Part(whole, -spread / others)

    def coefficients(self, share: float) -> tuple[float, ...]:
        """Of the parts."""
        if not self._alone:
            return 1.0, 1.0
        spread, others = self.variance(share), max(self.live - 1, 1)
        return spread * self.live / others, -spread / others

    def occupied(self, axes: Sequence[int]) -> float:
        """Places of these axes behind which something lies, on average."""
        if not prod(self.shape):
            return 0.0
        behind = tuple(a for a in range(len(self.shape)) if a not in axes)
        if self.support is not None:
            held = np.broadcast_to(self.support, self.shape).sum(axis=behind)
            many, times = np.unique(held, return_counts=True)
            nonzeros = int(self.counts.sum())
            missed = [log_missed(self.live, nonzeros, int(t)) for t in many]
            return float(-np.expm1(missed) @ times)
        places = prod(self.block[a] for a in behind)
        kinds, which = np.unique(self.counts, return_inverse=True)
        logs = np.array([log_missed(self.live, int(z), places) for z in kinds])
        missed = logs[which].reshape(self.counts.shape).sum(axis=behind)
        return float(-np.expm1(missed).sum() * prod(self.block[a] for a in axes))

    def draw(self, rng: np.random.Generator) -> Bits:
        """A mask of the shape."""
        size = prod(self.shape)
        flat = np.zeros(size, dtype=np.bool_)
        if self._alone:
            nonzeros = int(self.counts.sum())
            live: Any = size
            if self.support is not None:
                live = np.flatnonzero(np.broadcast_to(self.support, self.shape))
            if nonzeros:
                flat[rng.choice(live, nonzeros, replace=False)] = True
            return flat.reshape(self.shape)
        return in_blocks(scattered(rng, self.counts.reshape(-1), self.live), self.shape, self.block)


@dataclass(frozen=True, eq=False)
class Nested:
    """G of every H neighbours along an axis; of several pairs, outermost first, each says how
    many of H groups of the next hold something."""

    shape: tuple[int, ...]
    levels: tuple[tuple[int, int], ...]
    axis: int

    weights = None
    uneven = None

    @cached_property
    def share(self) -> float:
        return prod(g / h for g, h in self.levels)

    def variance(self, share: float) -> float:
        return share * (1 - share)

    @cached_property
    def longest_gap(self) -> int:
        """Zeros between two neighbours along the axis, at most."""
        spans = [1, *self.spans]
        return 2 * sum((h - g) * n for (g, h), n in zip(reversed(self.levels), spans, strict=False))

    @cached_property
    def spans(self) -> list[int]:
        """Length of a group of each level, innermost first."""
        spans = [1]
        for _, h in reversed(self.levels):
            spans.append(spans[-1] * h)
        return spans[1:]

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        before, behind = self.axis, len(self.shape) - 1 - self.axis
        return tuple(Part((*(1,) * before, n, *(1,) * behind)) for n in (1, *self.spans))

    def coefficients(self, share: float) -> tuple[float, ...]:
        """Covariances of two places by the smallest group of both, less that of the next."""
        p = self.share
        together, above, below = [p], p, 1.0
        for g, h in reversed(self.levels):
            above /= g / h  # all levels outside this one
            pair = g * (g - 1) / (h * (h - 1)) if h > 1 else 0.0
            together.append(above * pair * below**2)
            below *= g / h
        together.append(p * p)
        return tuple(one - next_ for one, next_ in pairwise(together))

    def occupied(self, axes: Sequence[int]) -> float:
        behind = [a for a in range(len(self.shape)) if a not in axes]
        places = prod(self.shape[a] for a in axes)
        fibers = prod(self.shape[a] for a in behind)
        if self.axis in behind:
            return float(places if fibers else 0)  # whole groups, each of which holds some
        return float(places * (1 - (1 - self.share) ** fibers))  # one place of a group each

    def draw(self, rng: np.random.Generator) -> Bits:
        size = prod(self.shape)
        held = np.ones(size, dtype=np.bool_)
        for (g, h), span in zip(reversed(self.levels), self.spans, strict=True):
            groups = size // span
            chosen = scattered(rng, np.full(groups, g), h).reshape(-1)
            held &= np.repeat(chosen, span // h)
        rows = (*self.shape[: self.axis], *self.shape[self.axis + 1 :], self.shape[self.axis])
        return np.moveaxis(held.reshape(rows), -1, self.axis)


@dataclass(frozen=True, eq=False)
class Tiles:
    """In every tile as many as one tile of those measured holds, at any of its places.

    counts : of the tiles measured.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    counts: Counts

    weights = None
    uneven = None

    @property
    def _places(self) -> int:
        return prod(self.tile)

    @cached_property
    def share(self) -> float:
        return float(self.counts.mean() / self._places) if self.counts.size else 0.0

    def variance(self, share: float) -> float:
        return share * (1 - share)

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        return Part((1,) * len(self.shape)), Part(self.tile)

    def coefficients(self, share: float) -> tuple[float, ...]:
        p, n = self.share, self._places
        pairs = (self.counts * (self.counts - 1.0)).mean() if self.counts.size else 0.0
        both = float(pairs) / (n * (n - 1)) if n > 1 else p * p
        return p - both, both - p * p

    def occupied(self, axes: Sequence[int]) -> float:
        if not prod(self.shape):
            return 0.0
        behind = [a for a in range(len(self.shape)) if a not in axes]
        places = prod(self.tile[a] for a in behind)
        tiles = prod(self.shape[a] // self.tile[a] for a in behind)
        kinds, times = np.unique(self.counts, return_counts=True)
        missed = np.exp([log_missed(self._places, int(k), places) for k in kinds])
        empty = float(missed @ times / times.sum())
        return float(prod(self.shape[a] for a in axes) * (1 - empty**tiles))

    def draw(self, rng: np.random.Generator) -> Bits:
        if not prod(self.shape):
            return np.zeros(self.shape, dtype=np.bool_)
        number = prod(self.shape) // self._places
        drawn = rng.choice(self.counts, number)
        return in_blocks(scattered(rng, drawn, self._places), self.shape, self.tile)


Model = Blocks | Nested | Tiles


def scattered(rng: np.random.Generator, counts: Counts, places: int) -> Bits:
    """A row of so many places for each count, so many of them set."""
    order = np.argsort(rng.random((len(counts), places)), axis=1)
    found = np.zeros(order.shape, dtype=np.bool_)
    np.put_along_axis(found, order, np.arange(places) < counts[:, None], axis=1)
    return found


def in_blocks(rows: Bits, shape: Sequence[int], block: Sequence[int]) -> Bits:
    """Rows, one a block in row-major order, as a mask of the shape."""
    grid = [n // b if b else 0 for n, b in zip(shape, block, strict=True)]
    turned = [axis for pair in enumerate(range(len(grid), 2 * len(grid))) for axis in pair]
    return rows.reshape(*grid, *block).transpose(turned).reshape(tuple(shape))


def of_blocks(bits: Bits, block: Sequence[int]) -> Counts:
    """How many are set in each block, by axes of the grid."""
    split = [part for n, b in zip(bits.shape, block, strict=True) for part in (n // max(b, 1), b)]
    return np.asarray(bits.reshape(split).sum(axis=tuple(range(1, len(split), 2)), dtype=np.int64))


def band(shape: Sequence[int], width: int) -> Bits:
    """Places of the last two axes at most ``width`` off the diagonal; axes of 1 before them."""
    rows, columns = (np.arange(n) for n in shape[-2:])
    held = abs(rows[:, None] - columns) <= width
    return held.reshape(*(1,) * (len(shape) - 2), *held.shape)


def log_missed(size: int, nonzeros: int, places: int) -> float:
    """Logarithm of the probability that so many given places of ``size`` hold no non-zero.

    C(N-t, z) / C(N, z) is the product of 1 - z/(N-i) over i < t, and the same with t and z
    exchanged; of more than `TERMS` factors the logarithm is that of the middle one, times
    their number.
    """
    few, many = sorted((nonzeros, places))
    if not few:
        return 0.0
    if few + many > size:
        return -inf
    if few > TERMS:
        return few * log1p(-many / (size - (few - 1) / 2))
    return float(np.log1p(-many / (size - np.arange(few))).sum())

"""The variance of a count, from how many points each place of an operand has in it.

A count of points over two drawn operands varies with each alone, the other at its mean, and with
both together, where points of two places are taken as independent:

    Var = sum over operands T of (share of the other)**2 * Var(sum of a(x)*T[x]) + sum of variances
          of pairs

where a(x) are the points of place x, and the variance over T is a sum over its blocks (see
`zeroskip.formats.density_models`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.formats.density_models import Model, Part

Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Spread:
    """What a variance of a count is made of, cell by cell.

    names : tensors of the count; models : where their non-zeros lie.
    parts : tensor -> for each of its model's parts, over the blocks the squares of how many points
        a block has in the cell.  Without any, points are taken as independent of each other.
    full : the most that a count can be.
    pairs : points of two places, each by what it varies.
    common : tensors that all counts of one maximum have in the same way.
    """

    names: tuple[str, ...]
    models: Mapping[str, Model]
    parts: Mapping[str, tuple[Reals, ...]]
    full: Reals
    pairs: Reals
    common: frozenset[str]

    @property
    def arrays(self) -> tuple[Reals, ...]:
        """All that cells may differ in."""
        return *(part for parts in self.parts.values() for part in parts), self.full, self.pairs

    def picked(self, pick: Callable[[Reals], Reals]) -> Spread:
        """Of some cells only."""
        return replace(
            self,
            parts={name: tuple(map(pick, parts)) for name, parts in self.parts.items()},
            full=pick(self.full),
            pairs=pick(self.pairs),
        )

    def variance(self, shares: Mapping[str, float]) -> Reals:
        """Of what the counts of one maximum do not have in common."""
        if not self.parts:
            alike = prod(shares[name] for name in self.names if name in self.common)
            chance = prod(shares[name] for name in self.names if name not in self.common)
            return np.asarray(alike * chance * (1 - chance) * self.pairs)
        found = np.zeros(self.full.shape)
        alone = {}
        for name, parts in self.parts.items():
            model = self.models[name]
            alone[name] = model.variance(shares[name])
            if name not in self.common:
                factors = model.coefficients(shares[name])
                spread = sum(c * part for c, part in zip(factors, parts, strict=True))
                others = prod(shares[other] for other in self.parts if other != name)
                found += np.maximum(spread, 0.0) * others**2
        if len(alone) == 2:
            found += prod(alone.values()) * self.pairs
        return found


@dataclass(frozen=True, slots=True)
class PlacesOfCells:
    """Points of each place of an operand in each cell.

    points : axes of cells, then those of the operand that no axis of cells is.
    left, axes : subscripts of the cells, and of the operand.
    shape, pads : of the operand; its first place along an axis follows so much padding.
    """

    points: Reals
    left: Sequence[str]
    axes: Sequence[str]
    shape: tuple[int, ...]
    pads: tuple[int, ...]

    def squares(self, parts: Sequence[Part]) -> tuple[Reals, ...] | None:
        """For each part, the squares of the points of a block, summed over blocks in each cell."""
        fixed = [s for s in self.axes if s in self.left]
        if len(set(self.axes)) < len(self.axes) or len(set(fixed)) < len(fixed):
            return None
        inside = self._inside()
        return tuple(self._of(part, inside) for part in parts)

    def _inside(self) -> Reals:
        """Without padding, and filled up to the operand's shape where its tail is not read."""
        found = self.points
        place = len(self.left)
        for axis, subscript in enumerate(self.axes):
            if subscript in self.left:
                continue
            lo, size = self.pads[axis], self.shape[axis]
            kept = np.take(found, range(lo, min(lo + size, found.shape[place])), axis=place)
            short = [(0, 0)] * found.ndim
            short[place] = (0, size - kept.shape[place])
            found = np.pad(kept, short) if short[place][1] else kept
            place += 1
        return found

    def _of(self, part: Part, inside: Reals) -> Reals:
        cells = len(self.left)
        split, sums, grid = list(inside.shape[:cells]), [], cells
        weights = part.weights
        turned: list[int] = []
        for axis, subscript in enumerate(self.axes):
            if subscript in self.left:
                continue
            size, block = self.shape[axis], part.block[axis]
            split += [size // max(block, 1), block]
            sums.append(len(split) - 1)
            turned.append(axis)
            grid += 1
        groups = inside.reshape(split).sum(axis=tuple(sums)) ** 2
        if weights is not None:
            groups = groups * self._weights(part, weights, turned, groups.ndim)
        return np.asarray(groups.sum(axis=tuple(range(cells, groups.ndim))))

    def _weights(self, part: Part, weights: Reals, turned: Sequence[int], ndim: int) -> Reals:
        """Weights of the blocks, by the axes of cells and of the grid."""
        cells = len(self.left)
        for axis, subscript in enumerate(self.axes):
            if subscript in self.left and weights.shape[axis] > 1:
                number = self.points.shape[self.left.index(subscript)]
                places = (np.arange(number) - self.pads[axis]) // part.block[axis]
                held = (places >= 0) & (places < weights.shape[axis])
                weights = np.take(weights, np.clip(places, 0, weights.shape[axis] - 1), axis=axis)
                shape = [-1 if k == axis else 1 for k in range(weights.ndim)]
                weights = weights * held.reshape(shape)
        fixed = [a for a, s in enumerate(self.axes) if s in self.left]
        by_cell = sorted(fixed, key=lambda a: self.left.index(self.axes[a]))
        found = weights.transpose((*by_cell, *turned))
        extents = [1] * ndim
        for number, axis in enumerate(by_cell):
            extents[self.left.index(self.axes[axis])] = found.shape[number]
        for number in range(len(turned)):
            extents[cells + number] = found.shape[len(by_cell) + number]
        return found.reshape(extents)

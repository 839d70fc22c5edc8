"""Products of vectors of entries, where operands are drawn: mean turns, and the mean of the most.

    turns[c,i,j] += ceil(heldI[c,i,j]/4)*ceil(heldF[c]/4)

Operands are drawn apart, so that a mean of turns is the product of two means, each of a count whose
distribution is known (`zeroskip.hwmodel.regions`): *exact in expectation*.  The slowest PE of a
step is the largest of counts that are taken as independent; what it shares with all PEs is a factor
of its own (*approximate*).  Where turns are summed over cells before they are compared, or both
operands lie across the same PEs, sums have a mean and a variance, and the largest is that of normal
or Poisson ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from string import ascii_lowercase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel.distributions import MOST_PLACES, mean_of_drawn, mean_of_most
from zeroskip.hwmodel.evaluate import Operand, structure
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.expected_scans import is_uniform
from zeroskip.hwmodel.order_statistics import mean_of_maximum
from zeroskip.hwmodel.regions import Grouped, Regions, counts_of, grouped
from zeroskip.hwmodel.subscript_values import values_of

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Cells of an operand by their kind, whatever is drawn there.

    names : of their axes; kinds : the kind of each.
    """

    names: tuple[str, ...]
    kinds: Whole
    _rows: dict[tuple[str, ...], Rows] = field(default_factory=dict)

    def rows(self, kept: Sequence[str]) -> Rows:
        """What the rows over the axes that are not kept have."""
        own = tuple(name for name in self.names if name in kept)
        found = self._rows.get(own)
        if found is None:
            order = [self.names.index(name) for name in own]
            order += [axis for axis in range(len(self.names)) if axis not in order]
            turned = self.kinds.transpose(order)
            shape = turned.shape[: len(own)]
            by_row = np.sort(turned.reshape(prod(shape), -1), axis=1)
            rows, where = np.unique(by_row, axis=0, return_inverse=True)
            many = [np.unique(row, return_counts=True) for row in rows]
            held = tuple(tuple(zip(kinds.tolist(), n.tolist(), strict=True)) for kinds, n in many)
            found = self._rows[own] = Rows(held, where.reshape(shape))
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Rows of cells that differ: kinds of cells and how many of each; which each row is."""

    kinds: tuple[tuple[tuple[int, int], ...], ...]
    where: Whole


@dataclass(frozen=True, slots=True)
class Vectors:
    """Vectors of an operand in each cell.

    chances : of each kind of cell, how many entries it holds.
    width : entries of a vector.
    drawn : of a tensor that is drawn, its name, places, and those of them in each kind of cell;
        without these where some are more likely than others.
    """

    cells: Cells
    chances: Sequence[Reals]
    width: int
    drawn: Drawn | None = None

    @property
    def names(self) -> tuple[str, ...]:
        return self.cells.names

    def moment(self, power: int) -> Reals:
        """Mean of a power of the number of vectors, cell by cell."""
        most = max(map(len, self.chances), default=0)
        vectors = (-(-np.arange(most) // self.width)) ** power
        found = [float(chances @ vectors[: len(chances)]) for chances in self.chances]
        return np.asarray(np.array(found, np.float64)[self.cells.kinds])

    def most(self, kept: Sequence[str]) -> Reals:
        """Mean of the most vectors of a cell over the axes that are not kept."""
        rows = self.cells.rows(kept)
        means = [
            mean_of_most([(self.chances[kind], n) for kind, n in row], self.width)
            for row in rows.kinds
        ]
        return np.asarray(np.array(means, np.float64)[rows.where])


@dataclass(frozen=True, slots=True)
class Drawn:
    """A tensor that is drawn.

    size : of its places; held : those of each kind of cell, where all are as likely as each other.
    """

    tensor: str
    size: int
    held: tuple[int, ...] | None


def vectors_of(
    line: str,
    tensor: str,
    names: Sequence[str],
    operand: Operand,
    sizes: Mapping[str, int],
    width: int,
) -> Vectors:
    """Of a line ``heldI[c//4,2*h//H] += stI[n,c,h,w]`` that counts the entries of cells.

    tensor, names : whose they are; of the axes of cells, ``c1`` and ``i``.  sizes : extents of its
    letters.
    """
    given = line, tuple(sizes.items()), operand.shape
    if isinstance(operand, Expected):
        by_group, cells = _grouped(*given, tuple(names), operand.density.pattern)
        even = is_uniform(operand)
        held = tuple(sum(by_group.signs[k][1] * n for k, n in kind) for kind in by_group.kinds)
        drawn = Drawn(tensor, operand.density.size, held if even else None)
        return Vectors(cells, counts_of(operand.density, by_group), width, drawn)
    regions = _regions(*given)
    counted = np.bincount(regions.cell[operand.stored.reshape(-1)], minlength=prod(regions.shape))
    counts, which = np.unique(counted, return_inverse=True)
    fixed = [np.concatenate([np.zeros(n), [1.0]]) for n in counts.tolist()]
    kinds = which.reshape(regions.shape).astype(np.int64)
    return Vectors(Cells(tuple(names), kinds), fixed, width)


Sizes = tuple[tuple[str, int], ...]


@lru_cache(maxsize=64)
def _grouped(
    line: str, sizes: Sizes, shape: tuple[int, ...], names: tuple[str, ...], pattern: Density
) -> tuple[Grouped, Cells]:
    """Cells of a line by groups of a tensor of this pattern: one for every density of it."""
    found = grouped(pattern, _regions(line, sizes, shape))
    return found, Cells(names, found.which)


def _regions(line: str, sizes: Sizes, shape: tuple[int, ...]) -> Regions:
    """Which places of a tensor are in each cell of a line."""
    (form,) = structure(line).written.forms
    (access,) = form.terms[0].accesses
    letters = [deparse(subscript) for subscript in access.subscripts]
    at = np.indices(shape).reshape(len(letters), -1)
    named = dict(zip(letters, at, strict=True))
    extents = {name.upper(): n for name, n in sizes}
    cells = [values_of(s, named, extents) for s in form.target.subscripts]
    counted = tuple(int(c.max(initial=-1)) + 1 for c in cells)
    place = np.arange(prod(shape))
    cell = np.ravel_multi_index(cells, counted).astype(np.int64) if cells else 0 * place
    return Regions(counted, cell, place)


def turns_of(vectors: Sequence[Vectors], places: Sequence[str]) -> Reals:
    """Mean turns by these axes."""
    one, other = vectors
    return _product(one.moment(1), one.names, other.moment(1), other.names, places)


def turns_in(vectors: Sequence[Vectors], shares: Mapping[str, Any]) -> Any:
    """Mean turns of all cells together in the shares of what is drawn, symbols or numbers.

    Raises
    ------
    ArchError
        For a tensor that is not uniform, and for cells of more than `MOST_PLACES` places.
    """
    one, other = vectors
    first, second = (_means_in(v, shares) for v in vectors)
    found: Any = 0
    for k, mean in enumerate(first):
        for n, beside in enumerate(second):
            cells = [(v.cells.kinds == kind) * 1.0 for v, kind in ((one, k), (other, n))]
            met = float(_product(cells[0], one.names, cells[1], other.names, ()))
            found = found + met * mean * beside
    return found


def _means_in(vectors: Vectors, shares: Mapping[str, Any]) -> list[Any]:
    """Mean vectors of each kind of cell."""
    drawn = vectors.drawn
    if drawn is None:
        whole = [-(-np.arange(len(chances)) // vectors.width) for chances in vectors.chances]
        return [float(c @ v) for c, v in zip(vectors.chances, whole, strict=True)]
    if drawn.held is None:
        raise ArchError(
            f"no closed formula of the vectors of {drawn.tensor} in the densities: some of its "
            "places are more likely than others\nCharge each density, or use zs.sweep."
        )
    most = max(drawn.held, default=0)
    if most > MOST_PLACES:
        raise ArchError(
            f"no closed formula of the vectors of {drawn.tensor} in the densities: its cells have "
            f"up to {most:,} places, and a formula has terms of at most {MOST_PLACES}\n"
            "Charge each density, or use zs.sweep."
        )
    each = shares[drawn.tensor]
    return [
        mean_of_drawn(drawn.size, each, [-(-n // vectors.width) for n in range(places + 1)])
        for places in drawn.held
    ]


def slowest_of(vectors: Sequence[Vectors], steps: Sequence[str], places: Sequence[str]) -> Reals:
    """Mean of the most turns of a PE in each step."""
    one, other = vectors
    summed = {*one.names, *other.names} - set(places)
    across = set(places) - set(steps)
    if not summed and not across & set(one.names) & set(other.names):
        kept = [[name for name in v.names if name in steps] for v in vectors]
        return _product(one.most(steps), kept[0], other.most(steps), kept[1], steps)
    mean = turns_of(vectors, places)
    spread = np.zeros(mean.shape)
    moments = [(v.moment(1), v.moment(2) - v.moment(1) ** 2) for v in vectors]
    varies = [bool(across & set(v.names)) for v in vectors]
    for number, (v, rest) in enumerate(((one, other), (other, one))):
        if varies[number]:
            average, _ = moments[1 - number]
            spread += _product(moments[number][1], v.names, average**2, rest.names, places)
    if all(varies):
        spread += _product(moments[0][1], one.names, moments[1][1], other.names, places)
    depth = len(steps)
    rows = prod(mean.shape[:depth])
    found = [
        mean_of_maximum(m, s)
        for m, s in zip(mean.reshape(rows, -1), spread.reshape(rows, -1), strict=True)
    ]
    return np.array(found, np.float64).reshape(mean.shape[:depth])


def _product(
    one: Reals, own: Sequence[str], other: Reals, rest: Sequence[str], kept: Sequence[str]
) -> Reals:
    """Of two arrays by the names of their axes, summed over those that are not kept; axes that
    neither has are of 1."""
    names = dict.fromkeys([*own, *rest])
    letters = dict(zip(names, ascii_lowercase, strict=False))
    there = [name for name in kept if name in letters]
    sides = ["".join(letters[name] for name in side) for side in (own, rest, there)]
    found = np.einsum(f"{sides[0]},{sides[1]}->{sides[2]}", one, other)
    shape = dict(zip(there, np.shape(found), strict=True))
    return np.asarray(found, np.float64).reshape([shape.get(name, 1) for name in kept])

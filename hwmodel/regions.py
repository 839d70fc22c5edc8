"""Regions of a drawn tensor, and how many of the places of each hold something.

    places of a tile    ->    of each group that is drawn apart, how many are in it
                        ->    the product of chances that nothing is there, or the sum of counts

What is drawn apart is the whole tensor (uniform, banded), a slice of a profile, a tile as one that
was measured, or an outermost group of G:H.  Within it places are as likely as each other; of groups
of groups, within the innermost ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.formats.density import Density
from zeroskip.formats.density_models import Blocks, Model, Nested, Tiles, log_missed
from zeroskip.hwmodel.distributions import (
    chosen,
    convolved,
    hypergeometric,
    mixed,
)

Whole = NDArray[np.int64]
Reals = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Regions:
    """Cells of places: pairs of a cell and a place of the tensor, each pair once.

    shape : of the cells, which are numbered in row-major order.
    """

    shape: tuple[int, ...]
    cell: Whole
    place: Whole

    def joined(self, kept: tuple[int, ...]) -> Regions:
        """Regions of cells that lie apart, made one along the axes that are not kept."""
        at = np.unravel_index(self.cell, self.shape)
        shape = tuple(self.shape[axis] for axis in kept)
        cell = np.ravel_multi_index([at[axis] for axis in kept], shape) if kept else 0 * self.cell
        return Regions(shape, np.asarray(cell, np.int64), self.place)


@dataclass(slots=True)
class _Signs:
    """Numbers of what groups have in a cell, as met first."""

    known: dict[tuple[int, ...], int] = field(default_factory=dict)

    def of_rows(self, rows: Whole) -> Whole:
        """The number of each row."""
        if not len(rows):
            return np.zeros(0, np.int64)
        kinds, which = np.unique(rows, axis=0, return_inverse=True)
        known = [self.known.setdefault(tuple(row), len(self.known)) for row in kinds.tolist()]
        return np.array(known, np.int64)[which.reshape(-1)]


def log_missed_of(density: Density, regions: Regions) -> Reals:
    """Of each cell, the logarithm of the chance that none of its places holds anything."""
    cell, sign, signs = _signed(density, regions)
    logs = _logs(density.model, signs)
    found = np.zeros(prod(regions.shape))
    if len(sign):
        with np.errstate(invalid="ignore"):
            np.add.at(found, cell, logs[sign])
    return found.reshape(regions.shape)


@dataclass(frozen=True, slots=True)
class Grouped:
    """Cells by what the groups of a tensor have in them, whatever is drawn there.

    signs : what a group may have in a cell.
    kinds : of each kind of cell, which of these, and how many groups.
    which : the kind of each cell.
    """

    signs: list[tuple[int, ...]]
    kinds: list[list[tuple[int, int]]]
    which: Whole


def grouped(density: Density, regions: Regions) -> Grouped:
    """Cells by groups; of a uniform or banded density the same whatever its share is."""
    cell, sign, signs = _signed(density, regions)
    order = np.lexsort((sign, cell))
    ends = np.searchsorted(cell[order], np.arange(prod(regions.shape) + 1))
    known: dict[bytes, int] = {}
    found: list[list[tuple[int, int]]] = []
    which = np.zeros(prod(regions.shape), np.int64)
    for number in range(len(which)):
        held = sign[order[ends[number] : ends[number + 1]]]
        key = held.tobytes()
        if key not in known:
            known[key] = len(found)
            some, times = np.unique(held, return_counts=True)
            found.append(list(zip(some.tolist(), times.tolist(), strict=True)))
        which[number] = known[key]
    return Grouped(signs, found, which.reshape(regions.shape))


def counts_of(density: Density, cells: Grouped) -> list[Reals]:
    """How many places of a cell hold something: chances of 0, 1, .. of each kind of cell."""
    chances = _chances(density.model, cells.signs)
    return [convolved([(chances[sign], times) for sign, times in kind]) for kind in cells.kinds]


def _logs(model: Model, signs: Sequence[tuple[int, ...]]) -> Reals:
    """The logarithm of the chance that a group leaves all of its places in a cell empty."""
    if isinstance(model, Blocks):
        counts = model.counts.reshape(-1)
        return np.array([log_missed(model.live, int(counts[k]), times) for k, times in signs])
    with np.errstate(divide="ignore"):
        return np.log([chances[0] for chances in _chances(model, signs)])


def _chances(model: Model, signs: Sequence[tuple[int, ...]]) -> list[Reals]:
    """How many places of a group in a cell hold something."""
    if isinstance(model, Blocks):
        counts = model.counts.reshape(-1)
        return [hypergeometric(model.live, int(counts[k]), times) for k, times in signs]
    if isinstance(model, Tiles):
        kinds, number = np.unique(model.counts, return_counts=True)
        size, weights = prod(model.tile), number / number.sum()
        return [
            mixed([hypergeometric(size, int(held), times) for held in kinds], weights)
            for _, times in signs
        ]
    found: list[Reals] = []
    for depth, *parts in signs:  # those of the groups inside come before
        some, groups = model.levels[len(model.levels) - 1 - depth]
        if depth:
            inside = [(found[k], times) for k, times in enumerate(parts) if times]
            found.append(chosen(inside, some, groups))
        else:
            found.append(hypergeometric(groups, some, parts[0]))
    return found


def _signed(density: Density, regions: Regions) -> tuple[Whole, Whole, list[tuple[int, ...]]]:
    """Pairs of a cell and a group that has places in it: the cell of each, the number of what the
    group has there, and what these numbers stand for."""
    model, shape = density.model, density.shape
    cell, place = regions.cell, regions.place
    if isinstance(model, Blocks) and model.support is not None:
        live = np.broadcast_to(model.support, shape).reshape(-1)[place]
        cell, place = cell[live], place[live]
    at = np.unravel_index(place, shape) if shape else ()
    signs = _Signs()
    if isinstance(model, Nested):
        return _of_nested(model, cell, list(at), signs)
    block = model.block if isinstance(model, Blocks) else model.tile
    grid = [n // max(b, 1) for n, b in zip(shape, block, strict=True)]
    number = np.zeros(len(cell), np.int64)
    if len(cell) and grid:
        parts = [a // max(b, 1) for a, b in zip(at, block, strict=True)]
        number = np.ravel_multi_index(parts, grid).astype(np.int64)
    alone = isinstance(model, Blocks) and model.counts.size == 1
    pairs, times = _alone(cell) if alone else _paired(cell, number)
    alike = np.zeros(len(times), np.int64)
    if isinstance(model, Blocks):  # the first block that has as many
        _, first, kind = np.unique(model.counts, return_index=True, return_inverse=True)
        alike = first[kind.reshape(-1)][pairs[1]]
    return pairs[0], signs.of_rows(np.stack([alike, times], axis=1)), list(signs.known)


def _of_nested(
    model: Nested, cell: Whole, at: list[Whole], signs: _Signs
) -> tuple[Whole, Whole, list[tuple[int, ...]]]:
    """Of groups of groups, from the innermost out: a group is signed by what those in it are."""
    along = at[model.axis]
    others = [n for axis, n in enumerate(model.shape) if axis != model.axis]
    row = np.zeros(len(cell), np.int64)
    if others and len(cell):
        rest = [a for axis, a in enumerate(at) if axis != model.axis]
        row = np.ravel_multi_index(rest, others).astype(np.int64)
    spans = model.spans
    sign = np.zeros(len(cell), np.int64)
    for depth, span in enumerate(spans):
        number = row * (model.shape[model.axis] // span) + along // span
        cells, _, which = _pairs(cell, number)
        kinds = int(sign.max(initial=-1)) + 1
        rows = np.zeros((len(cells), kinds + 1), np.int64)
        np.add.at(rows, (which, sign + 1), 1)
        rows[:, 0] = depth
        first = np.zeros(len(cells), np.int64)
        first[which] = np.arange(len(which))
        sign = signs.of_rows(rows)
        cell, row, along = cells, row[first], along[first]
    return cell, sign, list(signs.known)


def _pairs(cell: Whole, number: Whole) -> tuple[Whole, Whole, Whole]:
    """The distinct pairs, and which of them each is."""
    most = int(number.max(initial=0)) + 1
    found, which = np.unique(cell * most + number, return_inverse=True)
    return found // most, found % most, which.reshape(-1)


def _paired(cell: Whole, number: Whole) -> tuple[tuple[Whole, Whole], Whole]:
    """The distinct pairs, and how often each comes."""
    cells, numbers, which = _pairs(cell, number)
    return (cells, numbers), np.bincount(which, minlength=len(cells)).astype(np.int64)


def _alone(cell: Whole) -> tuple[tuple[Whole, Whole], Whole]:
    """The same where all places are of one group."""
    times = np.bincount(cell).astype(np.int64)
    cells = np.flatnonzero(times).astype(np.int64)
    return (cells, 0 * cells), times[cells]

"""Expected bridges of run-length coded fibers, wherever a density's non-zeros lie.

An entry at place x of a fiber has a bridge for every k with k * 2**r <= x, if the k * 2**r places
before it are empty.  So the mean is a sum, over places and gaps, of the probability that a place
holds something and those before it do not:

    uniform     both of one drawing without order (hypergeometric)
    band        the same of the places that may hold something
    nested      groups of groups along the fiber: a period of them, by `zeroskip.hwmodel.regions`
    groups      G:H, tiles that were measured, slices of a profile: the product over the groups that
                the gap touches, as groups are drawn apart
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.formats.density import Density
from zeroskip.formats.density_models import Blocks, Nested, Tiles, log_missed
from zeroskip.hwmodel.distributions import log_factorial
from zeroskip.hwmodel.regions import Regions, log_missed_of

Reals = NDArray[np.float64]

GAP = 50
"""Mean gaps beyond which there is none: its chance is less than exp(-50)."""

MOST_LIVE = 2**24
"""Places of a band that are looked at one by one."""

MOST_PAIRS = 2**22
"""Places of all gaps of groups of groups that are looked at."""

MOST_PLACES = 4096
"""Places of a fiber whose gaps are followed from group to group."""


def bridges_of(density: Density, own: Sequence[int], places: int, run_bits: int) -> float | None:
    """Expected bridges of a fiber along some axes; None where they have no closed form.

    own : the axes that are flattened into the fiber, in their order.  places : of it.
    """
    model, step = density.model, 2**run_bits
    if places <= step or not model.share:
        return 0.0
    if isinstance(model, Blocks) and model.counts.size == 1:
        if model.support is not None:
            return _of_band(model, own, step)
        return of_uniform(density.size, density.nnz, places, step)
    parts = density.measured.parts if density.measured is not None else ()
    if isinstance(model, Blocks) and not set(own) & set(parts):  # each fiber is of one slice
        kinds, times = np.unique(model.counts, return_counts=True)
        each = [of_uniform(model.live, int(z), places, step) for z in kinds]
        return float(each @ times / times.sum())
    if isinstance(model, Nested):
        if model.axis not in own:
            return _of_independent(model.share, places, step)
        if own[-1] == model.axis and model.longest_gap < step:
            return 0.0
        if own[-1] == model.axis and len(model.levels) > 1:
            return _of_nested(density, model, places, step)
    groups = _groups_of(density, own) if places <= MOST_PLACES else None
    return None if groups is None else _of_groups(groups, step)


def of_uniform(size: int, nonzeros: int, places: int, step: int) -> float:
    """Of a fiber of so many places, of a size of which so many are drawn."""
    if not nonzeros:
        return 0.0
    longest = min(places, step + int(GAP * size / nonzeros))
    empty = np.arange(step, longest, step)
    others, rest = nonzeros - 1, size - 1 - empty
    there = rest >= others  # else so many empty places leave no room for the others
    empty, rest = empty[there], rest[there]
    full = log_factorial(np.array([size - 1, size - 1 - others]))
    chance = log_factorial(rest) - log_factorial(rest - others) - (full[0] - full[1])
    return float(((places - empty) * nonzeros / size * np.exp(chance)).sum())


def _of_independent(share: float, places: int, step: int) -> float:
    """Of a fiber whose places are each of a group of its own."""
    empty = np.arange(step, places, step)
    return float(((places - empty) * share * (1 - share) ** empty).sum())


def _of_band(model: Blocks, own: Sequence[int], step: int) -> float | None:
    """How many places a gap has that may hold something, counted place by place."""
    assert model.support is not None
    if prod(model.shape) > MOST_LIVE:
        return None
    others = [axis for axis in range(len(model.shape)) if axis not in own]
    live = np.broadcast_to(model.support, model.shape).transpose([*others, *own])
    fibers = live.reshape(-1, prod(model.shape[axis] for axis in own))
    before = np.concatenate([np.zeros((len(fibers), 1), np.int64), fibers.cumsum(axis=1)], axis=1)
    found = 0.0
    nonzeros = int(model.counts.sum())
    for gap in range(step, fibers.shape[1], step):
        inside = (before[:, gap:-1] - before[:, : -1 - gap])[fibers[:, gap:]]
        for places, times in zip(*np.unique(inside, return_counts=True), strict=True):
            chance = log_missed(model.live - 1, nonzeros - 1, int(places))
            found += float(times * np.exp(chance)) * nonzeros / model.live
    return found / len(fibers)


def _of_nested(density: Density, model: Nested, places: int, step: int) -> float | None:
    """Of groups of groups along the fiber, whose chances come again with every outermost group:
    a place holds something and a gap does not, less than the gap alone by the gap and the place."""
    period = model.spans[-1]
    length = period * (2 + model.longest_gap // period)
    row = Density((length,), structure=density.structure)
    x = np.arange(length - period, length)
    gaps = np.arange(step, model.longest_gap + 1, step)
    pairs = [(r, gap) for r, gap in product(range(period), gaps.tolist()) if gap <= x[r]]
    if sum(gap for _, gap in pairs) > MOST_PAIRS:
        return None
    empty = [np.arange(x[r] - gap, x[r]) for r, gap in pairs]
    chances = []
    for more in (0, 1):
        held = [np.arange(gap[0], gap[-1] + 1 + more) for gap in empty]
        cell = np.repeat(np.arange(len(held)), [len(gap) for gap in held])
        place = np.concatenate([np.zeros(0, np.int64), *held]).astype(np.int64)
        chances.append(np.exp(log_missed_of(row, Regions((len(held),), cell, place))))
    times = [places // period - max(-((r - gap) // period), 0) for r, gap in pairs]
    return float((chances[0] - chances[1]) @ np.maximum(np.array(times, np.float64), 0))


@dataclass(frozen=True, slots=True)
class _Groups:
    """Groups that a fiber passes through.

    ids : of each place of the fiber.
    empty : group, t -> the chance that t of its places hold nothing.
    first : that one place holds something, and t others do not.
    """

    ids: NDArray[np.intp]
    empty: Reals
    first: Reals


def _groups_of(density: Density, own: Sequence[int]) -> _Groups | None:
    """Of a density in groups that are alike for every fiber; None for another."""
    model, shape = density.model, density.shape
    places = np.indices([shape[axis] for axis in own]).reshape(len(own), -1)
    if isinstance(model, Blocks):
        assert density.measured is not None
        parts = density.measured.parts
        if not set(parts) <= set(own):
            return None
        numbers = [places[list(own).index(axis)] for axis in parts]
        ids = np.ravel_multi_index(numbers, [shape[axis] for axis in parts])
        kinds = [np.array([z]) for z in model.counts.reshape(-1)]
        return _chances(ids, model.live, kinds)
    if isinstance(model, Nested):
        if len(model.levels) > 1:
            return None
        ((held, span),) = model.levels
        block = [span if axis == model.axis else 1 for axis in own]
        counts = np.array([held])
    else:
        assert isinstance(model, Tiles)
        span = prod(model.tile)
        block = [model.tile[axis] for axis in own]
        counts = model.counts.reshape(-1)
    grid = [-(-shape[axis] // size) for axis, size in zip(own, block, strict=True)]
    numbers = [place // size for place, size in zip(places, block, strict=True)]
    ids = np.ravel_multi_index(numbers, grid)
    return _chances(ids, span, [counts] * prod(grid))


def _chances(ids: NDArray[np.intp], size: int, counts: Sequence[NDArray[np.int64]]) -> _Groups:
    """counts : of each group, how many of its ``size`` places hold something, as likely as each
    other."""
    most = int(np.bincount(ids).max(initial=0))
    known: dict[bytes, tuple[list[float], list[float]]] = {}
    empty, first = [], []
    for group in counts:
        key = group.tobytes()
        if key not in known:
            kinds, times = np.unique(group, return_counts=True)
            weights = times / times.sum()
            known[key] = (
                [
                    _mean([log_missed(size, int(z), t) for z in kinds], weights)
                    for t in range(most + 1)
                ],
                [
                    _mean(
                        [log_missed(size - 1, int(z) - 1, t) for z in kinds if z],
                        (weights * kinds / size)[kinds > 0],
                    )
                    for t in range(most + 1)
                ],
            )
        empty.append(known[key][0])
        first.append(known[key][1])
    return _Groups(ids, np.array(empty), np.array(first))


def _mean(logs: Sequence[float], weights: Reals) -> float:
    return float(np.exp(np.array(logs, np.float64)) @ weights) if len(logs) else 0.0


def _of_groups(groups: _Groups, step: int) -> float:
    """Gaps grow back from every place at once; each place that one takes in makes it less likely by
    what its group then misses more."""
    ids = groups.ids
    places = np.arange(len(ids))
    inside = np.zeros((len(ids), int(ids.max()) + 1), np.int64)
    others = np.ones(len(ids))
    found = 0.0
    for gap in range(1, len(ids)):
        x = places[gap:]
        taken = ids[x - gap]
        inside[x, taken] += 1
        now = inside[x, taken]
        before = groups.empty[taken, now - 1]
        less = np.divide(groups.empty[taken, now], before, out=np.zeros(len(x)), where=before > 0)
        others[x] *= np.where(taken == ids[x], 1.0, less)
        if gap % step == 0:
            own = groups.first[ids[x], inside[x, ids[x]]]
            found += float((others[x] * own).sum())
    return found

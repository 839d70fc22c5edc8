"""Mean steps of units that scan two fibers, two-finger and skip-ahead, where operands are drawn.

Two fingers take a step for each coordinate that either fiber holds, until one of them ends: of
independent fibers A and B

    E[steps] = sum over k of  P(A at k)*P(B at k or behind) + P(A at k or behind)*P(B at k)
                              - P(A at k)*P(B at k)

Skip-ahead takes one for each match, and one for each run of what one alone holds.  A run of A
begins at k where A holds k, B does not but goes on, and the last coordinate of both before k, if
there is any, is one of B:

    sum over j < k of  P(A at k, none between) * P(B at j, none between nor at k, some behind)
    + the same with nothing before k

Each chance is hypergeometric (`log_missed`): steps are *exact in expectation*.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.density_models import Blocks
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.events import Event
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.regions import Regions, log_missed_of

Reals = NDArray[np.float64]
Bits = NDArray[np.bool_]

MOST_PAIRS = 2**24
"""Pairs of a place and one behind it, of all fibers together, that are looked at."""


@dataclass(frozen=True, slots=True)
class Chances:
    """Of fibers, place by place: (fibers, places).

    there : that a place holds something; behind : that it, or one behind it, does.
    times : how many fibers are like each.
    """

    there: Reals
    behind: Reals
    times: NDArray[np.int64]


def two_finger(one: Operand, other: Operand) -> Reals:
    """Mean steps of each fiber of ``one``, a matrix by rows, with all of ``other``, by columns."""
    left, right = chances_of(one, 1), chances_of(other, 0)
    there, behind = right.times @ right.there, right.times @ right.behind
    steps = left.there @ behind + left.behind @ there - left.there @ there
    return np.repeat(steps, left.times)


def two_finger_in(one: Expected, other: Expected) -> Any:
    """Mean steps of all fibers of two uniform operands in their shares, numbers or symbols.

    With z of N places drawn, that t places are all empty is C(N - t, z) / C(N, z), whose sum over
    t = 1 .. K is a closed one: ((N - z) - (N - K - z) C(N - K, z) / C(N, z)) / (z + 1).
    """
    rows, places = one.shape
    columns = other.shape[1]
    if not places or not one.density.size or not other.density.size:
        return 0
    empty = [_empty_behind(x, places) for x in (one, other)]
    steps = one.share * (places - empty[1]) + other.share * (places - empty[0])
    return rows * columns * (steps - places * one.share * other.share)


def two_finger_beside(held: Bits, drawn: Expected, fibers: int) -> Any:
    """Mean steps of all rows of a real matrix with so many fibers of a uniform operand, in its
    share: from the last place on, the chance that all behind are empty is a product."""
    places, size = held.shape[1], drawn.density.size
    if not size or not fibers:
        return 0
    there = held.sum(axis=0).tolist()
    behind = int(np.logical_or.accumulate(held[:, ::-1], axis=1).sum())
    missed: Any = 0
    for t in range(places, 0, -1):
        missed = (1 - drawn.share * size / (size - t + 1)) * (there[places - t] + missed)
    return fibers * (sum(there) - missed + drawn.share * (behind - sum(there)))


def _empty_behind(operand: Expected, places: int) -> Any:
    """The chances that the last t places of a fiber are empty, summed over t of 1 .. ``places``."""
    size, held = operand.density.size, operand.share * operand.density.size
    missed = 1 - Event("", size, size, places).chance(operand.share)
    return ((size - held) - (size - places - held) * missed) / (held + 1)


def chances_of(operand: Operand, along: int) -> Chances:
    """Of a matrix, its fibers along an axis.

    Raises
    ------
    TensorError
        For fibers that are each of their own kind, of more than `MOST_PAIRS` pairs of places.
    """
    if not isinstance(operand, Expected):
        held = operand.stored if along else operand.stored.T
        behind = np.logical_or.accumulate(held[:, ::-1], axis=1)[:, ::-1]
        ones = np.ones(len(held), np.int64)
        return Chances(held.astype(np.float64), behind.astype(np.float64), ones)
    density = operand.density
    fibers, places = density.shape[1 - along], density.shape[along]
    if not fibers or not places:
        none = np.zeros((fibers, places))
        return Chances(none, none, np.ones(fibers, np.int64))
    model = density.model
    if isinstance(model, Blocks) and model.support is None and model.counts.shape[along] == 1:
        return _of_slices(model, along)
    first, times = _kinds(density, along)
    pairs = len(first) * places * (places + 1) // 2
    if pairs > MOST_PAIRS:
        raise TensorError(
            f"two-finger: {density!r} has {pairs:,} pairs of places in fibers that are not alike; "
            f"at most {MOST_PAIRS:,} are looked at\nDraw an array, density.sample(rng)."
        )
    start, place = np.triu_indices(places)
    cell = (np.arange(len(first))[:, None] * places + start).reshape(-1)
    at = [np.repeat(first, len(place)), np.tile(place, len(first))]
    whole = np.ravel_multi_index(at if along else at[::-1], density.shape)
    shape = (len(first), places)
    behind = -np.expm1(log_missed_of(density, Regions(shape, cell, whole)))
    where = np.ravel_multi_index(
        [np.repeat(first, places), np.tile(np.arange(places), len(first))][:: 1 if along else -1],
        density.shape,
    )
    alone = Regions(shape, np.arange(len(first) * places), where)
    return Chances(-np.expm1(log_missed_of(density, alone)), behind, times)


def _of_slices(model: Blocks, along: int) -> Chances:
    """Of fibers that each are in one block, at any of its places."""
    fibers, places = model.shape[1 - along], model.shape[along]
    held = model.counts.reshape(-1)
    kinds, which = np.unique(held, return_inverse=True)
    behind = np.array([1 - _missed(model.live, int(z), places)[:0:-1] for z in kinds])
    there = np.repeat(kinds[:, None] / max(model.live, 1), places, axis=1)
    alike = np.full(1, fibers) if len(held) == 1 else np.ones(fibers, np.int64)
    return Chances(there[which], behind[which], alike)


def _kinds(density: Density, along: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first fiber of each kind, and how many there are of it in a row."""
    fibers = density.shape[1 - along]
    model = density.model
    if isinstance(model, Blocks) and (
        model.support is not None or model.counts.shape[1 - along] > 1
    ):
        return np.arange(fibers), np.ones(fibers, np.int64)
    return np.zeros(1, np.int64), np.array([fibers])


# ---- skip-ahead -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Uniform:
    """Places of a tensor that are as likely as each other.

    share : that one holds something.
    none : t -> that t given ones are empty; after : the same where one other holds something.
    """

    share: float
    none: Reals
    after: Reals


def skip_ahead(one: Operand, other: Operand) -> Reals:
    """The same of skip-ahead units.

    Raises
    ------
    TensorError
        For an operand that is drawn and not uniform.
    """
    left, right = one.shape, other.shape
    drawn = [_uniform(x, left[1]) if isinstance(x, Expected) else None for x in (one, other)]
    a, b = drawn
    if a is not None and b is not None:
        return np.full(left[0], right[1] * _both(a, b, left[1]))
    if a is not None:
        return np.full(left[0], _beside(other.stored.T, a).sum())
    assert b is not None
    return np.asarray(right[1] * _beside(one.stored, b), np.float64)


def is_uniform(operand: Operand) -> bool:
    """Whether each place is as likely as any other, or known."""
    return not isinstance(operand, Expected) or operand.uniform


def _uniform(operand: Expected, places: int) -> _Uniform:
    density = operand.density
    if not is_uniform(operand):
        raise TensorError(
            f"skip-ahead: {density!r}: of a density, its steps are known of a uniform one only\n"
            "Draw an array, density.sample(rng)."
        )
    size, held = density.size, density.nnz
    return _Uniform(
        held / size if size else 0.0,
        _missed(size, held, places + 1),
        _missed(size - 1, held - 1, places + 1),
    )


def _missed(size: int, held: int, places: int) -> Reals:
    """t -> C(size - t, held) / C(size, held), of t up to ``places``."""
    t = np.arange(places)
    left = np.maximum(size - held - t, 0.0) / np.maximum(size - t, 1.0)
    return np.concatenate([[1.0], np.cumprod(left)]) if held >= 0 else np.ones(places + 1)


def _both(a: _Uniform, b: _Uniform, places: int) -> float:
    """Mean steps of two drawn fibers."""
    found = places * a.share * b.share
    for k in range(places):
        rest = places - 1 - k
        gaps = np.arange(1, k + 1)
        for x, y in ((a, b), (b, a)):  # a run of x begins at k
            before = y.share * (y.after[gaps] - y.after[gaps + rest])
            found += float((x.share * x.after[gaps - 1] * before).sum())
            found += x.share * x.after[k] * (y.none[k + 1] - y.none[places])
    return found


def _beside(held: Bits, b: _Uniform) -> Reals:
    """Mean steps of each row of a real matrix with a drawn fiber."""
    places = held.shape[1]
    k = np.arange(places)
    number = np.where(held, k + 1, 0)
    through = np.maximum.accumulate(number, axis=1) if places else number
    last = np.concatenate([np.zeros((len(held), 1), np.int64), through[:, :-1]], axis=1)
    gap = k - last  # places from behind the last entry, or the first place, up to k
    found = held.sum(axis=1) * b.share
    rest = places - 1 - k
    first = b.none[1] - b.none[1 + rest]  # b lacks k, and goes on
    since = b.none[gap + 2] - b.none[gap + 2 + rest]  # and so since the last entry, and there
    starts = np.where(last > 0, first - since, first)
    found = found + (held * starts).sum(axis=1)
    ahead = np.logical_or.accumulate(held[:, ::-1], axis=1)[:, ::-1] & ~held
    return np.asarray(found + (ahead * b.share * b.after[gap]).sum(axis=1), np.float64)

"""The most that tiles of several tensors take at one time.

    A's tile by (m, k), B's by (k, n)     max over m, k, n of A[m,k] + B[k,n]

Every iteration of the loops that name tiles has one tile of each tensor.  The largest sum is found
loop by loop: what has a loop is added up, and the largest over its iterations stands for it from
then on, so that loops that tensors do not share cost nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.nest import Loop, places

MOST_CELLS = 2**24
"""Sums that are looked at at a time; of more the largest tiles are added up, as if they met."""
_NEVER = -(2**52)

Bits = NDArray[np.int64]
Factor = tuple[tuple[str, ...], Bits]


def most_together(
    tiles: Sequence[tuple[Bits, Sequence[Loop]]], extents: Mapping[str, int], ranks: Sequence[str]
) -> dict[str, int] | None:
    """The iteration of every loop at which tiles take most, the first of several; None where it is
    too large to look at.

    tiles : of each tensor the bits of its tiles, and the loops that name them.
    ranks : those of the term; iterations that its points do not have are none.
    """
    loops = {loop.name: loop for _, keys in tiles for loop in keys}
    sizes = dict.fromkeys(loops, 1)
    for bits, keys in tiles:
        for loop, size in zip(keys, bits.shape, strict=True):
            sizes[loop.name] = max(sizes[loop.name], size)
    factors: list[Factor] = [
        (tuple(loop.name for loop in keys), bits) for bits, keys in tiles if len(keys)
    ]
    for rank in dict.fromkeys(loop.rank for loop in loops.values()):
        mine = [loop for loop in loops.values() if loop.rank == rank]
        if len(mine) > 1 and any(loop.of(set(ranks)) for loop in mine):
            occurring = places(mine, extents, ranks)
            for loop, last in zip(mine, occurring.max(axis=0, initial=0).tolist(), strict=True):
                sizes[loop.name] = max(sizes[loop.name], last + 1)
            if prod(sizes[loop.name] for loop in mine) > MOST_CELLS:
                return None
            occur = np.full([sizes[loop.name] for loop in mine], _NEVER)
            occur[tuple(occurring.T)] = 0
            factors.append((tuple(loop.name for loop in mine), occur))
    gone: list[tuple[str, tuple[str, ...], Bits]] = []
    while sizes:
        axes = {name: _around(factors, name) for name in sizes}
        name = min(axes, key=lambda one: prod(sizes.get(axis, 1) for axis in axes[one]))
        if prod(sizes[axis] for axis in axes[name]) > MOST_CELLS:
            return None
        others = tuple(axis for axis in axes[name] if axis != name)
        summed = np.zeros([sizes[axis] for axis in (*others, name)], np.int64)
        for mine_axes, bits in [factor for factor in factors if name in factor[0]]:
            _add(summed, (*others, name), mine_axes, bits)
        factors = [factor for factor in factors if name not in factor[0]]
        factors.append((others, summed.max(axis=-1)))
        gone.append((name, others, summed))
        del sizes[name]
    at: dict[str, int] = {}
    for name, others, summed in reversed(gone):
        at[name] = int(summed[tuple(at[axis] for axis in others)].argmax())
    return at


def _around(factors: Sequence[Factor], name: str) -> tuple[str, ...]:
    """Loops that stand in one sum with a loop, and it."""
    found = dict.fromkeys(axis for axes, _ in factors if name in axes for axis in axes)
    return tuple({name: None} | found)


def _add(summed: Bits, axes: Sequence[str], mine: Sequence[str], bits: Bits) -> None:
    """Add what has some of the axes, and may be shorter along them: behind it is nothing."""
    order = sorted(range(len(mine)), key=lambda i: axes.index(mine[i]))
    turned: Any = bits.transpose(order)
    named = [mine[i] for i in order]
    shape = [turned.shape[named.index(a)] if a in named else 1 for a in axes]
    there = tuple(
        slice(0, turned.shape[named.index(a)]) if a in named else slice(None) for a in axes
    )
    summed[there] += turned.reshape(shape)

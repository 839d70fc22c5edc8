"""Steps of units by epoch, or turn: what a unit goes through at a time is of one, or refused.

order m1 k m0 n, sync m1      rows of a product by rows: those of m1 in its epoch
order m1 q m0 p c, sync q     fibers along c: those of each m1 and q

Of lines that are fused steps are those of each alone, as long as no fiber goes on in another turn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.nest import Loop, Rows

Cells = NDArray[Any]


def check_whole(kind: str, cut: Sequence[str], steps: Iterable[Loop]) -> None:
    """Refuse epochs that cut what a unit goes through at a time.

    cut : ranks along which it does: no loop outside the sync may go over them.
    """
    for loop, why in _cutting(cut, steps):
        raise ArchError(
            f"units.{kind}: beside overlap its steps are counted by epoch, and {loop.name}, "
            f"which is outside the sync, {why}\n"
            f"Let PEs wait (sync) at a loop outside {loop.name}, or leave out overlap."
        )


def check_turns(kind: str, cut: Sequence[str], turned: Iterable[Loop]) -> None:
    """Refuse lines that take turns within what a unit goes through at a time.

    cut : as above; turned : the loops at whose iterations they do.
    """
    for loop, why in _cutting(cut, turned):
        raise ArchError(
            f"units.{kind}: its steps are those of whole fibers, and {loop.name}, at which fused "
            f"lines take turns, {why}\n"
            f"Move {loop.name} inside the shared loops, or leave {kind} out of the architecture."
        )


def _cutting(cut: Sequence[str], loops: Iterable[Loop]) -> Iterator[tuple[Loop, str]]:
    """Loops that go over these ranks, or by numbers, and what they do."""
    for loop in loops:
        if loop.single or (loop.numbering is None and not loop.of(cut)):
            continue
        by_numbers = loop.numbering is not None
        along = f"cuts what it goes through along {' and '.join(cut)}"
        yield loop, "goes by numbers of places" if by_numbers else along


def steps_by_epoch(
    steps: Cells,
    ranks: Sequence[str],
    loops: Sequence[Loop],
    rows: Rows,
    extents: Mapping[str, int],
) -> Cells:
    """Steps of each epoch.

    steps : over places of ``ranks``; at each place of others they are the same, and added up.
    loops, rows : outside the sync, and their iterations in each epoch.
    """
    found, here = steps, []
    for axis, rank in enumerate(ranks):
        part, epoch, number = _parts(rank, loops, rows, extents[rank])
        turned = np.moveaxis(found, axis, 0)
        gathered = np.zeros((number, *turned.shape[1:]), found.dtype)
        np.add.at(gathered, part, turned)
        found = np.moveaxis(gathered, 0, axis)
        here.append(epoch)
    every: Cells = np.full(len(rows), found[tuple(here)])
    told = dict.fromkeys(loop.told_by[0] for loop in loops if not loop.single)
    for rank in (rank for rank in told if rank not in ranks):
        part, epoch, number = _parts(rank, loops, rows, extents[rank])
        every = every * np.bincount(part, minlength=number)[epoch]
        every = every / len(part) if every.dtype.kind == "f" else every // len(part)
    return every


def _parts(rank: str, loops: Sequence[Loop], rows: Rows, extent: int) -> tuple[Rows, Rows, int]:
    """Which part of a rank each place is in, and each epoch: by the loops over it; how many parts
    there are."""
    places = np.arange(extent)
    part, epoch, number = np.zeros(extent, np.int64), np.zeros(len(rows), np.int64), 1
    for column, loop in enumerate(loops):
        if loop.told_by == (rank,) and not loop.single:
            part = part * loop.count + loop.index(places)
            epoch = epoch * loop.count + rows[:, column]
            number *= loop.count
    return part, epoch, number

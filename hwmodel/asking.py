"""Who asks a cache for which fibers of an operand: units, or tiles of the levels inside it.

    DRAM --- GLB (a cache) --- L1 --- PE       each tile of L1 asks for the fibers that it touches

Units come to the cache themselves where only the PEs are inside it.  Of a tile that L1 has no room
for, the part that stays asks when it comes; what passes L1 does at each use, with the tiles of the
next level inside.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.halos import moves_over_itself
from zeroskip.hwmodel.lines import Layout
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.passing import read_apart, taken_apart
from zeroskip.hwmodel.plan import Accounting, Fill
from zeroskip.hwmodel.relations import Whole
from zeroskip.hwmodel.traces import Nested, called_rows, tiles_of, trace_of
from zeroskip.hwmodel.traffic import Counts


def fibers_asked(
    nest: Nested,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    operands: Mapping[str, Operand],
    tensor: str,
    layout: Layout,
    bound: Format,
) -> tuple[Whole, Whole]:
    """Fibers of a tensor that are asked for, of all its places in the product, and when: the
    iteration of each loop, then the number of the operand, and of the level that asks.

    layout, bound : of the tensor in the level that the cache reads it from.

    Raises
    ------
    ArchError
        For tiles that a window moves over, of which a part comes, and index tensors.
    """
    cache, (plan,) = arch.cache, accounting.terms
    assert cache is not None
    fibers, times = [], []
    for number, operand in enumerate(nest.term.operands):
        mine = [x for x in reversed(plan.fills[number]) if x.parent == cache.name]
        for depth, fill in enumerate(mine if operand.tensor == tensor else ()):
            called = called_rows(fill.called, counts)
            if fill.level == arch.local.name and not fill.parts:
                trace = trace_of(nest, number, bound, operands, called)
            else:
                keys = _loops_of(nest, schedule, fill)
                parts = [accounting.given[name] for name in fill.parts]
                trace = tiles_of(nest, number, bound, keys, called, parts)
            asked = layout.asked(trace.fibers, led=trace.led)
            fibers.append(trace.fibers[asked])
            who = np.tile([number, depth], (len(fibers[-1]), 1))
            times.append(np.concatenate([trace.times[asked], who], axis=1))
    return np.concatenate(fibers), np.concatenate(times)


def _loops_of(nest: Nested, schedule: Schedule, fill: Fill) -> list[Loop]:
    """The loops at whose iterations tiles of a level ask the cache outside."""
    operand, cache = fill.operand, fill.parent
    stays = schedule.stays[operand.tensor]
    names = [stay.level for stay in stays]
    depth = names.index(fill.level)
    stay, kept = stays[depth], stays[names.index(cache)]
    if operand.gathered:
        raise ArchError(
            f"levels.{cache}.cache: {stay.level} keeps tiles of {operand.tensor}, and where "
            "an index tensor names places the fibers that these ask for are not listed as yet\n"
            f"Let {stay.level} not keep {operand.tensor} (keep), or leave out the cache."
        )
    way = schedule.residency(stay, operand.variables, nest.term.ranks)
    moving = None if stay.refilled else way.moving
    if moves_over_itself(operand, moving, way.keys, nest.extents):
        assert moving is not None
        raise ArchError(
            f"levels.{cache}.cache: tiles of {operand.tensor} in {stay.level} reach over each "
            f"other along {moving.name}, and which fibers a part of one asks for is not listed as "
            f"yet\nGive {stay.level} halo: whole, or let it not keep {operand.tensor} (keep)."
        )
    apart = read_apart(kept, stay, taken_apart(stays, depth, way.beside))
    return [*way.own, *way.again, *way.inside, *apart]

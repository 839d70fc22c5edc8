"""In which epochs tiles come and leave.

An epoch is one iteration of the loops down to the sync.  A tile comes before the first of those
that use it; of a tile that loops directly inside its mark go through, each part before its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import takewhile

from zeroskip.einsum_spec.walk import single
from zeroskip.hwmodel.boxes import groups
from zeroskip.hwmodel.layer import Operand
from zeroskip.hwmodel.nest import Loop, Residency, iterations
from zeroskip.hwmodel.plan import Turns
from zeroskip.hwmodel.writer import Writer


def parted(operand: Operand, loops: Sequence[Loop]) -> list[Loop]:
    """Of loops that a tile is used up by, the outermost ones that cut it into parts without a place
    in common: they go over ranks that are an axis by themselves."""
    plain = {
        single(operand.subscripts[axes[0]]) or ""
        for axes in groups(operand.subscripts, ())
        if len(axes) == 1
    }
    return list(takewhile(lambda loop: loop.within(plain), loops))


def turns_of(
    w: Writer,
    way: Residency,
    parts: Sequence[Loop],
    read: Sequence[Loop],
    arrive: Sequence[Loop],
    told: Collection[str] = (),
) -> Turns:
    """When a tile comes.

    parts : loops outside the sync that its parts come by; read, arrive : loops across PEs along
        which it is read, and arrives, once more.
    told : ranks whose iterations tell whether it comes: the line of what comes has these loops.
    """
    steps = set(w.schedule.steps)
    own = [*(loop for loop in way.own if loop in steps), *parts]
    before = [loop for loop in way.again if loop in steps]
    within = any(loop not in steps for loop in (*way.own, *way.again))
    times = iterations([*own, *before], w.layer.extents.ranks)
    free = [loop for loop in way.again if loop.rank not in told]
    return Turns(
        keys=(*own, *(loop for loop in before if loop.rank in told)),
        again=tuple(loop for loop in free if loop in steps),
        inner=tuple(loop for loop in free if loop not in steps),
        read=tuple(loop for loop in read if loop.rank not in told),
        arrive=tuple(loop for loop in arrive if loop.rank not in told),
        within=within,
        ahead=times > 1 and not within,
    )

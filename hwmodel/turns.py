"""In which epochs tiles come and leave.

An epoch is one iteration of the loops down to the sync.  A tile comes before the first of those
that use it; of a tile that loops directly inside its mark go through, each part before its own.
"""

from __future__ import annotations

from collections.abc import Sequence
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
        single(operand.subscripts[axes[0]])
        for axes in groups(operand.subscripts, ())
        if len(axes) == 1
    }
    return list(takewhile(lambda loop: loop.rank in plain, loops))


def turns_of(
    w: Writer,
    way: Residency,
    parts: Sequence[Loop],
    read: Sequence[Loop],
) -> Turns:
    """When a tile comes.

    parts : loops outside the sync that its parts come by; read : loops across PEs along which it is
        read once more.
    """
    steps = set(w.schedule.steps)
    keys = [*(loop for loop in way.own if loop in steps), *parts]
    again = [loop for loop in way.again if loop in steps]
    inner = [loop for loop in way.again if loop not in steps]
    within = bool(inner) or any(loop not in steps for loop in way.own)
    times = iterations([*keys, *again], w.layer.extents.ranks)
    return Turns(
        tuple(keys),
        tuple(again),
        tuple(inner),
        tuple(read),
        way.beside,
        within,
        ahead=times > 1 and not within,
    )

"""Runs columns of rows in Python, counting their entries."""

from __future__ import annotations

from zeroskip.native.machine import Machine
from zeroskip.native.nest_tiles import Columns


def add_columns(node: Columns, m: Machine) -> None:
    """What the rows of a group store in the columns of a block, times every lane of the line."""
    masks, first, packed, source, result = (
        m.arrays[name] for name in (node.masks, node.first, node.packed, node.source, node.result)
    )
    group, rows, columns, at = map(m.integer, (node.group, node.rows, node.columns, node.at))
    step, into, pitch = map(m.integer, (node.step, node.into, node.pitch))
    for x in range(m.integer(node.line)):
        own = result[into + x : into + x + rows * pitch : pitch]
        if m.integer(node.resumed) == 0:
            own[:] = 0
        e = first[group]
        for k in range(m.integer(node.there)):
            for row in range(m.lanes):
                if masks[group * columns + k] >> row & 1:
                    own[row] += packed[e] * source[at + k * step + x]
                    e += 1
                    m.work += 1

"""Runs one program of a bound operand in Python, entry by entry, counting them."""

from __future__ import annotations

from typing import Any

import numpy as np

from zeroskip.native.geometry import MASKS
from zeroskip.native.machine import Machine
from zeroskip.native.nest_tiles import Unrolled


def run_program(node: Unrolled, m: Machine) -> None:
    """For each row of a program and each lane, the sum of its entries' products."""
    first, member, offset, packed, result = (
        m.arrays[name] for name in (node.first, node.member, node.offset, node.packed, node.result)
    )
    program, members, groups = map(m.integer, (node.program, node.members, node.groups))
    rows, line, pitch = map(m.integer, (node.rows, node.line, node.pitch))
    for x in range(line):
        vector = m.integer(node.vector) + x // m.lanes
        source, at = _lanes_of(node, m, vector)
        at += x // m.lanes * m.integer(node.step) + x % m.lanes * node.joined
        into = m.integer(node.into) + x
        for row in range(min(rows, groups * members)):
            group, own = program * groups + row // members, row % members
            total = m.scalar(result[into + row * pitch] if m.integer(node.resumed) > 0 else 0)
            for e in range(first[group], first[group + 1]):
                if member[e] == own:
                    meets = _meets(node, m, e, vector, x)
                    if node.joined > 1:
                        lane = at + offset[e] * node.joined
                        met = source[lane : lane + node.joined] if offset[e] >= 0 else None
                        total = _joined_sum(node, total, packed[e], met, meets)
                    else:
                        total = total + packed[e] * (source[at + offset[e]] if meets else 0)
                    m.work += 1
            result[into + row * pitch] = total


def _lanes_of(node: Unrolled, m: Machine, vector: int) -> tuple[Any, int]:
    """The array that a vector of the line is read in, and from where on vector 0 lies there."""
    staged, at = m.arrays[node.source], m.integer(node.at)
    if node.lying is None or vector < m.integer(node.lying.first):
        return staged, at
    if vector >= m.integer(node.lying.end):
        return staged, at + m.integer(node.lying.behind)
    return m.arrays[node.lying.source], m.integer(node.lying.at)


def _joined_sum(node: Unrolled, total: Any, word: Any, met: Any, meets: bool) -> Any:
    """A sum modulo 2^32 and what a word adds: its integers times those of a lane, or itself."""
    added, bits = int(word), 32 // node.joined
    if met is not None:
        parts = np.array([word]).view(f"int{bits}")
        held = met if meets else np.full(node.joined, node.bias)
        added = int(np.dot(parts.astype(np.int64), held.astype(np.int64)))
    return np.array([int(total) + added]).astype(np.int32)[0]


def _meets(node: Unrolled, m: Machine, e: int, vector: int, lane: int) -> bool:
    """Whether a lane of a vector has a place that entry e meets."""
    shift = m.arrays[node.shift][e] if node.shift else 0
    return not shift or bool(m.arrays[node.masks][vector * MASKS + shift - 1] >> lane % m.lanes & 1)

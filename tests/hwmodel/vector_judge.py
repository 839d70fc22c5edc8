"""The judge of vectors: turns of PEs whose multipliers form all products of two vectors of entries.

Like `simulator` it imports nothing of zeroskip.
"""

from __future__ import annotations

from collections import defaultdict
from math import prod
from typing import Any

from mapped_nest import Nest
from nest_parts import Access, Design, Place, Point
from simulator import Lead


def vectors(
    nest: Nest,
    design: Design,
    term: list[Access],
    epochs: list[tuple[int, Point]],
    leads: list[Lead],
) -> dict[int, int]:
    """Turns of the slowest PE in each epoch, of a term whose accesses are plain ranks: entries of
    one PE, and of one place of the ranks that all operands have, form vectors; any two of them
    meet."""
    common = set.intersection(*(access.names() for access in term))
    found = [nest.found(term, access) for access in term]
    cells: dict[Any, dict[str, set[Place]]] = defaultdict(lambda: defaultdict(set))
    for epoch, at in epochs:
        key = epoch, nest.pe(at), tuple((rank, at[rank]) for rank in sorted(common))
        for i, (access, entries) in enumerate(zip(term, found, strict=True)):
            comes = not any(lead.follower == i and lead.shut(at) for lead in leads)
            if comes and tuple(at.values()) in entries:
                cells[key][access.tensor].add(access.place(at))
    turns: dict[int, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
    for (epoch, pe, _), held in cells.items():
        turns[epoch][pe] += prod(
            -(-len(held[name]) // width) for name, width in design.lanes.items()
        )
    return {epoch: max(pes.values()) for epoch, pes in turns.items()}

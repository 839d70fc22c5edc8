"""Points in tiles that come: what units find in PEs where tiles go by a leader.

    someA[m//2,k//2] |= stA[m,k]             is anything of the leader A in this tile?
    called[m,k] |= someA[m//2,k//2]          of a tile of B that does not come no fiber is there

A tile that nobody calls for is in no PE, whether its points are skipped or gated: nothing of these
points is handed to a unit, of no operand.  Mergers never miss it: where all operands store
something, the leader of each tile does, and it comes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from zeroskip.errors import ArchError
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Bits, Operand, sized
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.leading import keys_of, needs_of_term
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.occupancy import numbered
from zeroskip.hwmodel.policy import OperandPolicy
from zeroskip.hwmodel.writer import Writer
from zeroskip.native.engine import evaluate


@dataclass(frozen=True, slots=True, eq=False)
class Called:
    """Which points are in tiles that all come.

    name : of the mask; ranks : that tell it, its axes; text : the lines that make it.
    loops : whose iterations these are.
    """

    name: str
    ranks: tuple[str, ...]
    mask: Bits
    text: str
    loops: tuple[Loop, ...] = ()


def called_of(
    layer: Layer,
    schedule: Schedule,
    rules: Sequence[OperandPolicy],
    operands: Mapping[str, Operand],
) -> Called | None:
    """Of the one product of a layer; None where every tile comes.

    rules : of its operands.

    Raises
    ------
    ArchError
        For more than `MOST_SCATTERED` places of the ranks that tell it.
    """
    if not any(rule.leads for rule in rules):
        return None
    w = Writer(layer, schedule)
    w.name_ranks()
    _, numbers, _ = numbered(w)
    needs = needs_of_term(w, layer.work[0], rules)
    loops = keys_of(w, needs)
    told = {rank for loop in loops for rank in loop.told_by}
    ranks = tuple(rank for rank in layer.ranks if rank in told)
    shape = tuple(layer.extent(rank) for rank in ranks)
    if prod(shape) > MOST_SCATTERED:
        raise ArchError(
            f"units and lanes beside tiles of a leader: count at most {MOST_SCATTERED:,} places of "
            f"{', '.join(ranks)}, found {prod(shape):,}\nCharge a part of the layer."
        )
    factors = dict.fromkeys(need.at(w) for need in needs)
    name = w.line("called", [w.ranks[rank] for rank in ranks], "|=", factors)
    text = "\n".join(w.lines)
    if not layer.work[0].points:
        return Called(name, ranks, np.zeros(shape, np.bool_), text, loops)
    sizes = {new: layer.extent(old) for old, new in w.ranks.items()} | w.fixed
    spec = sized(text, tuple(sizes.items()), tuple(w.shapes.items()))
    given: dict[str, Any] = {n: operands[m.tensor].mask(m) for n, m in w.masks.items()}
    given |= numbers
    given |= {n: operands[tensor].places for tensor, n in w.indices.items()}
    found = evaluate(spec, {n: array for n, array in given.items() if n in spec.operands})
    mask = np.asarray(found[name], np.bool_).reshape(shape)
    return Called(name, ranks, mask, text, loops)

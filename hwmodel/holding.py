"""Entries that a PE finds in its tiles, those that only hold a place among them.

    F is R(1) in the PEs:  0 0 0 1     entryF is 1 at the second place, where a bridge is, too

Skipping, units and vectors go from entry to entry, and nothing tells a PE that one of them is 0
before it is read: it takes a step and, where nothing gates, a cycle.  A run-length decoder hands
out a bridge as it does any other pair of a run and a value, and so it is with what pads a group or
fills a block.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import RunLength, Structured
from zeroskip.hwmodel.boxes import access
from zeroskip.hwmodel.evaluate import Bits, Operand
from zeroskip.hwmodel.fiber_lines import sides_of
from zeroskip.hwmodel.halos import moves_over_itself
from zeroskip.hwmodel.layer import Layer, WorkTerm
from zeroskip.hwmodel.layer import Operand as Read
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.policy import OperandPolicy
from zeroskip.hwmodel.stored import Stored
from zeroskip.hwmodel.text import reached
from zeroskip.hwmodel.tile_trees import HELD, Side, TileCount, Tiles, Whole, joined
from zeroskip.hwmodel.writer import Writer

ENTRY = "entry"
"""A kind of mask beside ``nz``, ``st`` and ``in``."""


def entry_at(w: Writer, term: WorkTerm, operand: Read, stored: Stored) -> tuple[str, set[str]]:
    """Whether a PE has an entry of an operand at a point; and the ranks that tell its tile.

    stored : the operand in the PE.

    Raises
    ------
    ArchError
        For tiles of which a part stays while the rest comes.
    """
    count = _entries(w, term, operand, stored)
    loops = count.tiles.loops if count.what == HELD[1] else ()
    key = f"{w.scope} {operand.subscripts} {count}"
    if key not in w.tiles:
        name = w.tiles[key] = w.result(f"{ENTRY}{operand.tensor}")
        w.trees[name] = count
        text = f"{operand.tensor} has an entry in {stored.format.label}"
        w.comment(f"{name}: whether a tile of {text}, or what only holds a place")
    places = map(w.subscript, operand.subscripts)
    at = access(w.tiles[key], [*map(w.at, loops), *places])
    return at, {rank for loop in loops for rank in loop.told_by}


def held_in_pes(
    layer: Layer,
    schedule: Schedule,
    rules: Sequence[OperandPolicy],
    operands: Mapping[str, Operand],
    *,
    skipping: bool = False,
) -> dict[str, Operand]:
    """Operands of the one product of a layer as units and vectors find them in PEs.

    skipping : only those that the design skips by.

    Raises
    ------
    ArchError
        For tiles that have places in common, and a tensor that is read twice.
    """
    found = dict(operands)
    term = layer.work[0]
    tensors = [operand.tensor for operand in term.operands]
    for operand, rule in zip(term.operands, rules, strict=True):
        if not rule.read.fills or (skipping and not rule.skipped_by):
            continue
        tensor, label = operand.tensor, rule.read.format.label
        w = Writer(layer, schedule)
        w.name_ranks()
        count = _entries(w, term, operand, rule.read)
        if count.what == HELD[1] or tensors.count(tensor) > 1:
            level = schedule.stays[tensor][-1].level
            raise ArchError(
                f"{tensor} is {label} in {level}, where tiles of it have places in common: what "
                "bridges a gap, pads a group or fills a block differs from tile to tile, and what "
                "units, vectors and caches go by is one list of entries for all\n"
                f"Give {tensor} the format C or B at {level}, or tiles that share no place."
            )
        found[tensor] = _within(operand, operands[tensor].shape, operands[tensor].tree(count))
    return found


def holds_places(bound: Format) -> bool:
    """Whether fibers of a format may have entries that only hold a place."""
    return isinstance(bound.levels[-1] if bound.levels else None, RunLength | Structured)


def stored_as(held: Operand, tensor: str, bound: Format) -> Operand:
    """An operand that lies in a format, all of it: what it has entries for."""
    if not holds_places(bound):
        return held
    axes = range(len(held.shape))
    unpadded = tuple((0, 0) for _ in axes)
    sides = tuple(Side((axis,), (), (), ()) for axis in axes)
    tiles = Tiles(tensor, "st", held.shape, held.shape, unpadded, bound, (), (), sides)
    count = TileCount(tiles, len(joined(bound)) - 1, HELD[0])
    return Operand(held.shape, np.asarray(held.tree(count), np.bool_))


def _within(operand: Read, shape: tuple[int, ...], mask: Bits | Whole) -> Operand:
    """An operand of a mask over the places that an access reaches, padding among them."""
    held = np.zeros(shape, np.bool_)
    inside = [slice(lo, lo + n) for (lo, _), n in zip(operand.pads, shape, strict=True)]
    part = mask[tuple(inside)]
    held[tuple(map(slice, part.shape))] = part
    return Operand(shape, held)


def _entries(w: Writer, term: WorkTerm, operand: Read, stored: Stored) -> TileCount:
    """Of the tiles in PEs; of each by itself where they have places in common."""
    stays = w.schedule.stays[operand.tensor]
    stay = stays[-1]
    keys: tuple[Loop, ...] = ()
    if len(stays) > 1:
        way = w.schedule.residency(stay, operand.variables, term.ranks)
        keys = way.keys
        moving = None if stay.refilled else way.moving
        if moves_over_itself(operand, moving, keys, w.layer.extents.ranks):
            assert moving is not None
            raise ArchError(
                f"{operand.tensor} is {stored.format.label} in {stay.level}, where of its tiles "
                f"along {moving.name} only what is new comes, encoded by itself: of what stays and "
                "what comes together no place is told that only holds one\n"
                f"Give {stay.level} halo: whole, or {operand.tensor} the format C or B there."
            )
    tiles = Tiles(
        operand.tensor,
        stored.kind,
        w.layer.extents.shapes[operand.tensor],
        operand.lengths,
        operand.pads,
        stored.format,
        keys,
        tuple(map(reached, keys)),
        tuple(sides_of(w, operand, keys)),
    )
    apart = w.reach_over(operand, keys)
    return TileCount(tiles, len(joined(stored.format)) - 1, HELD[1] if apart else HELD[0])

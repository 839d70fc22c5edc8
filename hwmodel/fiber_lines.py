"""Lines that count what tiles have of the fields of a format: fibers and tiles themselves.

someA[k//4,m] |= stA[m,k]           is there anything in row m of this tile?
heldA[m//2,k1] += someA[k1,m]       so many rows of each tile have something
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zeroskip.einsum_spec.walk import single, variables
from zeroskip.hwmodel.boxes import Box, access, groups
from zeroskip.hwmodel.fields import Field
from zeroskip.hwmodel.layer import Operand
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.text import reached
from zeroskip.hwmodel.tile_trees import Side, TileCount, Tiles
from zeroskip.hwmodel.writer import Writer


def fibers(
    w: Writer,
    wanted: str,
    operand: Operand,
    field: Field,
    loops: Sequence[Loop],
    staying: Loop | None = None,
) -> str:
    """``wanted[loops] += what the tile of an operand has of a field``, written once.

    staying : a loop of these: what of it does not come; of fields that are listed.
    """
    bare = replace(field, bits=0, pointers=False, valued=False)
    key = f"{w.scope} {operand.tensor} {operand.subscripts} {bare} {[*loops]} {staying}"
    if key not in w.tiles:
        if field.listed is not None:
            sides = sides_of(w, operand, loops)
            w.tiles[key] = listed(w, wanted, operand, field, loops, sides, staying)
        else:
            box = w.box(operand, loops, None, all_places=False)
            w.tiles[key] = fibers_of(w, wanted, operand, field, loops, box)
    return w.tiles[key]


def fibers_of(
    w: Writer, wanted: str, operand: Operand, field: Field, loops: Sequence[Loop], box: Box
) -> str:
    """The same of places that are told by a box."""
    if field.axes is None or len(field.axes) == len(box.places):  # place by place
        left = [box.named.get(loop.name) or w.at(loop) for loop in loops]
        factors = _there(w, operand, field, loops, box)
        made = w.line(wanted, left, "+=", factors)
        return w.shaped(made, loops, [x for x in loops if x.name not in box.named])
    some, own = _some(w, operand, replace(field, under=None), loops, box)
    if not field.axes:
        return some
    along = [box.places[axis] for axis in field.axes]
    left = [w.loops[x.name] if x in own else w.at(x) for x in loops]
    factors = [access(some, [*w.variables(own), *along])]
    if field.under is not None:  # whether a fiber is there, and its places, apart: these are static
        there, around = _some(w, operand, field.under, loops, box)
        assert field.under.axes is not None
        at = [w.loops[x.name] if x in own else w.at(x) for x in around]
        factors.append(access(there, [*at, *(box.places[axis] for axis in field.under.axes)]))
    made = w.line(wanted, left, "+=", factors)
    return w.shaped(made, loops, loops)


def listed(
    w: Writer,
    wanted: str,
    operand: Operand,
    field: Field,
    loops: Sequence[Loop],
    sides: Sequence[Side],
    staying: Loop | None = None,
) -> str:
    """The same of what no line counts: it is handed to those that read it."""
    assert field.listed is not None
    format, level, what = field.listed
    tiles = Tiles(
        operand.tensor,
        field.kind,
        w.layer.extents.shapes[operand.tensor],
        operand.lengths,
        operand.pads,
        format,
        tuple(loops),
        tuple(map(reached, loops)),
        tuple(sides),
        staying,
    )
    name = w.result(wanted)
    w.trees[name] = TileCount(tiles, level, what)
    left = access(name, w.variables(loops))
    how = "that stay" if staying is not None else "of each tile by itself"
    w.comment(f"{left}: {what} of {operand.tensor} in {format.label}, {how}")
    return name


def sides_of(w: Writer, operand: Operand, loops: Sequence[Loop]) -> list[Side]:
    """The places of a tile, as far as its loops tell them."""
    found = []
    for axes in groups(operand.subscripts, loops):
        subscripts = tuple(operand.subscripts[axis] for axis in axes)
        ranks = {name for subscript in subscripts for name in variables(subscript)}
        outside = tuple(loop for loop in loops if loop.of(ranks))
        if not outside and w.reaches_all(operand, axes):
            subscripts = ()
        ranks |= {rank for loop in outside for rank in loop.told_by}
        extents = tuple((rank, w.layer.extent(rank)) for rank in sorted(ranks))
        found.append(Side(tuple(axes), subscripts, outside, extents))
    return found


def _there(w: Writer, operand: Operand, field: Field, loops: Sequence[Loop], box: Box) -> list[str]:
    """Factors that say of a place whether a tile has it, in a fiber that is there."""
    factors = [access(w.mask(field.kind, operand), box.places), *box.factors]
    if field.under is not None:
        some, around = _some(w, operand, field.under, loops, box)
        assert field.under.axes is not None
        at = [box.named.get(x.name) or w.at(x) for x in around]
        factors.append(access(some, [*at, *(box.places[a] for a in field.under.axes)]))
    return factors


def _some(
    w: Writer, operand: Operand, field: Field, loops: Sequence[Loop], box: Box
) -> tuple[str, list[Loop]]:
    """Whether a tile has anything at each place along the axes of a field: of all loops but
    those that these places tell, which are returned."""
    assert field.axes is not None
    ranks = {single(operand.subscripts[axis]) for axis in field.axes} - {None}
    told = {str(rank) for rank in ranks}
    own = [x for x in loops if x.name in box.named or not {*x.ranks, *x.told_by} <= told]
    factors = _there(w, operand, field, loops, box)
    left = [box.named.get(x.name) or w.at(x) for x in own]
    along = [box.places[axis] for axis in field.axes]
    key = f"{w.scope} {left} {along} |= {factors}"
    if key not in w.tiles:
        made = w.line(f"some{operand.tensor}", [*left, *along], "|=", factors)
        reach = [operand.lengths[axis] for axis in field.axes]
        counted = [x for x in own if x.name not in box.named]
        w.tiles[key] = w.shaped(made, own, counted, reach)
    return w.tiles[key], own

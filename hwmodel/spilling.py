"""Tiles of which a level keeps what fits, and the rest streams past it (``overflow: spill``).

    # A in GLB: of each tile what 112 bits hold, in m-k order, stays; the rest passes
    throughA_GLB[m,k] = 19*stA[x,y]*(x < m)*(x//2 == m//2) + 19*stA[m,y]*(y <= k)
    fitA_GLB[m,k] = (throughA_GLB[m,k] <= 112)
    passA_GLB[m,k] = (throughA_GLB[m,k] > 112)

The entries of a tile lie in the order of the format that the level holds it in.  From the first on,
as far as their bits go into the room of the tile, they come with it and stay as it does; the others
never come: the next level inside reads them from the one outside at each of its own fills, as
entries of a tensor that the level does not keep.  So every count of a fill is that of what fits,
read here, and that of what passes, read further out, each a mask beside that of the operand.

The lines are what is printed; the masks come of one running total over each tile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.walk import single, variables
from zeroskip.errors import ArchError, TensorError
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.boxes import access, groups
from zeroskip.hwmodel.capacity import Capacity, at_a_time
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Access
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.overfull import Spill
from zeroskip.hwmodel.plan import Accounting, Fill, Mask
from zeroskip.hwmodel.subscript_values import places_of
from zeroskip.hwmodel.writer import Writer

Bits = NDArray[np.bool_]


def spills_of(
    layer: Layer,
    arch: Arch,
    accounting: Accounting,
    operands: Mapping[str, Operand],
    rooms: Sequence[Capacity],
    overflow: Mapping[str, str],
) -> tuple[Spill, ...]:
    """What of which tiles stays; none where all fits.

    accounting : in which nothing spills; rooms : what its tiles need.

    Raises
    ------
    ArchError
        For a result that does not fit by itself, tiles that share places, and designs that do not
        go by entries.
    TensorError
        For operands that are drawn, and for more places than are numbered.
    """
    found = []
    for room in rooms:
        if overflow.get(room.level) != "spill" or not room.overflow_bits:
            continue
        _check(arch, layer, operands, room)
        assert room.capacity_bits is not None
        left = room.capacity_bits - room.result_bits - room.added_bits
        for term, plan in enumerate(accounting.terms):
            fills = [
                (number, fill)
                for number, fills in enumerate(plan.fills)
                for fill in fills
                if fill.level == room.level
            ]
            needs = [room.terms[term][number, fill.operand.tensor] for number, fill in fills]
            for (number, fill), need, share in zip(fills, needs, shares(needs, left), strict=True):
                if share < need:
                    each = share // at_a_time(arch, fill.turns)
                    found.append(_spill(layer, arch, term, number, fill, operands, each))
    return tuple(found)


def shares(needs: Sequence[int], room: int) -> list[int]:
    """Room of each tile: all have the same, but for those that need less."""
    left = room
    for done, need in enumerate(sorted(needs)):
        most = left // (len(needs) - done)
        if need > most:
            return [min(need, most) for need in needs]
        left -= need
    return list(needs)


def _check(arch: Arch, layer: Layer, operands: Mapping[str, Operand], room: Capacity) -> None:
    where = f"overflow {room.level}: spill"
    every = [o for term in (*layer.work, *layer.additions) for o in term.operands]
    for operand in every:
        if operand.gathered:
            raise ArchError(
                f"{where}: {operand.tensor} is read at places that an index tensor names, and "
                "which of its tiles share places is not known before\n"
                f'Let overflow {room.level} be "refuse", "split" or "report".'
            )
    drawn = [name for name, x in operands.items() if isinstance(x, Expected)]
    if drawn:
        raise TensorError(
            f"{where}: which entries stay follows from where they are, and {drawn[0]} is a "
            "Density\nDraw an array, density.sample(rng), and charge that, or let overflow "
            f'{room.level} be "report".'
        )
    assert room.capacity_bits is not None
    stays = room.result_bits + room.added_bits
    if stays > room.capacity_bits:
        what = f"{layer.target.tensor} alone takes"
        if room.added_bits:
            what = f"{layer.target.tensor} and what is added to it take"
        raise ArchError(
            f"{where}: {what} {stays:,} bits, and "
            f"{room.level} holds {room.capacity_bits:,}: sums that are not done do not spill\n"
            f"Cut ranks of {layer.target.tensor} into smaller blocks (split)."
        )
    if room.level == arch.local.name:
        raise ArchError(
            f"{where}: units read {room.level} at every operation; what passes it is not counted "
            f"as yet\nSpill a level outside {room.level}, or cut ranks into smaller blocks (split)."
        )


def _spill(
    layer: Layer,
    arch: Arch,
    term: int,
    number: int,
    fill: Fill,
    operands: Mapping[str, Operand],
    room_bits: int,
) -> Spill:
    operand, stored, keys = fill.operand, fill.inner.stored, fill.inner.entries.keys
    _check_apart(operand, keys, fill.level)
    if prod(operand.lengths) > MOST_SCATTERED:
        raise TensorError(
            f"overflow {fill.level}: spill numbers at most {MOST_SCATTERED:,} places, and "
            f"{operand.tensor} has {prod(operand.lengths):,}\nCharge a part of the layer."
        )
    values = operands[operand.tensor]
    touched = _touched(layer, operand)
    held = values.mask(Mask(stored.kind, operand.tensor, operand.lengths, operand.pads))
    assert not isinstance(held, Tensor)
    costs = (held & touched) * np.int64(arch.value_bits + stored.entry_bits)
    if stored.place_bits:
        inside = values.mask(Mask("in", operand.tensor, operand.lengths, operand.pads))
        costs += (inside & touched) * np.int64(stored.place_bits)
    tiles = _tiles(operand, keys)
    order = order_of(stored.format, len(operand.lengths))
    fits = through(costs, tiles, order) <= room_bits
    return Spill(
        level=fill.level,
        parent=fill.parent,
        term=term,
        operand=number,
        tensor=operand.tensor,
        room_bits=room_bits,
        keys=keys,
        order=order,
        costs=(
            (stored.kind, arch.value_bits + stored.entry_bits),
            *((("in", stored.place_bits),) if stored.place_bits else ()),
        ),
        touched=bool(touched.all()),
        held=held & touched,
        fits=fits,
    )


def _check_apart(operand: Access, keys: Sequence[Loop], level: str) -> None:
    """Refuse tiles that share places: then where an entry stands depends on the tile."""
    for axes in groups(operand.subscripts, keys):
        ranks = {name for axis in axes for name in variables(operand.subscripts[axis])}
        outside = [loop for loop in keys if loop.of(ranks)]
        alone = {single(operand.subscripts[axis]) for axis in axes} - {None}
        if outside and not (
            len(alone) == len(axes) and all(loop.within(ranks) for loop in outside)
        ):
            names = ", ".join(loop.name for loop in outside)
            raise ArchError(
                f"overflow {level}: spill: tiles of {operand.tensor} at iterations of {names} "
                "share places, and which of these stay is not counted as yet\n"
                f"Move @{level}({operand.tensor}) outside {names}, cut ranks into smaller blocks "
                f'(split), or let overflow {level} be "refuse" or "report".'
            )


def _touched(layer: Layer, operand: Access) -> Bits:
    """Places that any point touches, over those in reach."""
    found = np.ones(operand.lengths, np.bool_)
    for axes in groups(operand.subscripts, ()):
        if len(axes) == 1 and single(operand.subscripts[axes[0]]) is not None:
            continue
        reached = np.zeros([operand.lengths[axis] for axis in axes], np.bool_)
        reached[places_of([operand.subscripts[axis] for axis in axes], layer.extents.ranks)] = True
        shape = [n if axis in axes else 1 for axis, n in enumerate(operand.lengths)]
        found &= reached.reshape(shape)
    return found


def _tiles(operand: Access, keys: Sequence[Loop]) -> NDArray[np.int64]:
    """The tile of each place in reach."""
    places = {}
    for axis, subscript in enumerate(operand.subscripts):
        name = single(subscript)
        if name is not None:
            shape = [-1 if a == axis else 1 for a in range(len(operand.lengths))]
            places[name] = np.arange(operand.lengths[axis]).reshape(shape)
    found = np.zeros(operand.lengths, np.int64)
    for loop in keys:
        at = loop.at(places)
        found = found * (int(at.max(initial=0)) + 1) + at
    return found


def order_of(format: Format, ndim: int) -> tuple[int, ...]:
    """Axes as a format stores them, outermost first."""
    return tuple(axis for axes in format.order for axis in axes) if ndim else ()


def through(
    costs: NDArray[np.int64], tiles: NDArray[np.int64], order: Sequence[int]
) -> NDArray[np.int64]:
    """Bits of each tile from its first place through each of its places.

    costs, tiles : the bits, and the tile, of each place.  order : axes, outermost first.
    """
    flat = costs.transpose(order).reshape(-1)
    tile = tiles.transpose(order).reshape(-1)
    sorted_by_tile = np.argsort(tile, kind="stable")
    total = np.cumsum(flat[sorted_by_tile])
    first = np.diff(tile[sorted_by_tile], prepend=-1) != 0
    before = np.maximum.accumulate(np.where(first, total - flat[sorted_by_tile], 0))
    found = np.empty_like(total)
    found[sorted_by_tile] = total - before
    turned = found.reshape([costs.shape[axis] for axis in order])
    return turned.transpose(np.argsort(order)) if order else turned


# ---- text -------------------------------------------------------------------------------


def spilled(w: Writer) -> tuple[str, dict[str, Bits]]:
    """The lines that tell what stays of every tile that spills, and their masks; the names of
    these stand in ``w.spills`` from then on."""
    given: dict[str, Bits] = {}
    windows = dict(w.windows)
    for spill in w.schedule.spills:
        operand = w.layer.work[spill.term].operands[spill.operand]
        name = f"{spill.tensor}_{spill.level}"
        axes = w.places(operand)
        ordered = "-".join(axes[axis] for axis in spill.order)
        w.comment(
            f"{spill.tensor} in {spill.level}: of each tile what {spill.room_bits} bits hold"
            f"{f', in {ordered} order,' if len(axes) > 1 else ''} stays; the rest passes"
        )
        terms = list(_before(w, operand, spill, axes))
        total = w.line(f"through{name}", axes, "=", [" + ".join(terms)])
        here = access(total, axes)
        fit = w.line(f"fit{name}", axes, "=", [f"({here} <= {spill.room_bits})"])
        away = w.line(f"pass{name}", axes, "=", [f"({here} > {spill.room_bits})"])
        w.spills[spill.term, spill.operand, spill.level] = fit, away
        given[fit], given[away] = spill.fits, ~spill.fits
    text = "\n".join(w.lines)
    w.lines.clear()
    w.windows = windows
    return text, given


def _before(w: Writer, operand: Access, spill: Spill, axes: Sequence[str]) -> Iterator[str]:
    """Terms of the bits of a tile through each place: of every axis in order, those at smaller
    places along it, whatever they are along the axes behind; of the last this place too."""
    depths = range(max(len(spill.order), 1))
    for depth in depths:
        there, later = list(axes), ""
        for inner in spill.order[depth:]:
            there[inner] = w.fresh(["x", "y", "z", "x"])
        if spill.order:
            axis = spill.order[depth]
            how = "<=" if depth == len(spill.order) - 1 else "<"
            later = f"({there[axis]} {how} {axes[axis]})"
        same = _same_tile(w, operand, spill.keys, axes, there)
        reach = [] if spill.touched else _reach(w, operand, axes, there)
        for kind, bits in spill.costs:
            mask = access(w.mask(kind, operand), there)
            yield "*".join([str(bits), mask, *reach, *([later] if later else []), *same])


def _same_tile(
    w: Writer,
    operand: Access,
    keys: Sequence[Loop],
    axes: Sequence[str],
    there: Sequence[str],
) -> list[str]:
    """Factors that say of two places that they are in one tile."""
    others = dict(w.ranks)
    for axis, subscript in enumerate(operand.subscripts):
        name = single(subscript)
        if name is not None:
            others[name] = there[axis]
    found = []
    for loop in keys:
        if loop.numbering is not None:
            found += _same_number(w, loop, [others[rank] for rank in loop.told_by])
            continue
        ranks, here = w.ranks, w.at(loop)
        w.ranks = others
        elsewhere = w.at(loop)
        w.ranks = ranks
        if here != elsewhere:
            found.append(f"({elsewhere} == {here})")
    return found


def _same_number(w: Writer, loop: Loop, there: Sequence[str]) -> list[str]:
    """The same of a loop that goes by numbers of places: the block that either is in."""
    places = [w.ranks[rank] for rank in loop.told_by]
    key = f"block {loop.name}"
    if key not in w.windows:
        block = w.fresh(["b"])
        w.fixed[block] = loop.count
        same = f"({w.at(loop)} == {block})"
        w.windows[key] = w.line(f"block{''.join(places)}", [block, *places], "=", [same])
    block = w.fresh(["b"])
    return [access(w.windows[key], [block, *at]) for at in (there, places)]


def _reach(w: Writer, operand: Access, axes: Sequence[str], there: Sequence[str]) -> list[str]:
    """Factors that say that a place is touched by a point."""
    found = []
    for group in groups(operand.subscripts, ()):
        if len(group) == 1 and single(operand.subscripts[group[0]]) is not None:
            continue
        if w.reaches_all(operand, group):
            continue
        window, _ = w.window(operand, group, ())
        name = window().partition("[")[0]
        found.append(access(name, [there[axis] for axis in group]))
    return found

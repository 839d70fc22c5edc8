"""Tiles that are cut until they fit (``overflow: split``): a mapping, rewritten.

    order m p @GLB k                      GLB holds half of what it must
    order m p k1 @GLB(A,B) k0             k in two pieces, one after the other; twice, if need be

The largest tile says what is cut: the outermost loop inside its mark, in time, that its tensor has,
in halves.  Loops are static, so that all tiles are cut alike, also those that would fit.  The new
loop stands directly outside the mark, and all tensors that are kept from there on are kept inside
it: what of them it touches comes for each piece, and what lacks it stays.  All figures are those
of the mapping that results, which the charge prints.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.capacity import Capacity
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Mapping, Schedule
from zeroskip.hwmodel.marks import is_mark
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.splits import Split


def cut_of(
    layer: Layer, arch: Arch, schedule: Schedule, rooms: Sequence[Capacity]
) -> Mapping | None:
    """The mapping with the largest tile of the outermost level that overflows cut in halves; None
    where all that is to be split fits.

    Raises
    ------
    ArchError
        Where no loop is left to cut.
    """
    ways = schedule.mapping.overflow
    for room in rooms:
        if ways.get(room.level) != "split" or not room.overflow_bits:
            continue
        for part in sorted(room.parts, key=lambda part: -part.bits):
            once = part.number < 0 and part.tensor != layer.target.tensor
            if part.words or once:
                continue  # what passes, and what is added once, has no tiles
            loop = _loop_of(layer, schedule, room.level, part.tensor)
            if loop is not None:
                return _halved(layer, arch, schedule, room.level, part.tensor, loop)
        raise ArchError(
            f"overflow {room.level}: split: no loop inside @{room.level} is left to be cut, and "
            f"{room.needed_bits:,} bits do not fit {room.capacity_bits:,}\n"
            "Loops across PEs, and those that go by numbers of places, are not cut; keep fewer "
            f"tensors in {room.level} (keep), or move @{room.level} inside."
        )
    return None


def _position(schedule: Schedule, level: str, tensor: str) -> int | None:
    stays = (stay for stay in schedule.stays[tensor] if stay.level == level and not stay.words)
    return next((stay.position for stay in stays), None)


def _loop_of(layer: Layer, schedule: Schedule, level: str, tensor: str) -> Loop | None:
    """The outermost loop in time inside the mark that the tensor has, of several iterations."""
    position = _position(schedule, level, tensor)
    assert position is not None
    terms = (*layer.work, *layer.additions)
    every = (layer.target, *(operand for term in terms for operand in term.operands))
    held = {name for one in every if one.tensor == tensor for name in one.variables}
    splits = schedule.mapping.split.values()
    single = [split.ranks[0] for split in splits if len(split.ranks) == 1]
    flat = {rank for split in splits if len(split.ranks) > 1 for rank in split.ranks}
    flat |= {part for part in single if part not in layer.ranks}
    for loop in schedule.loops[position:]:
        plain = loop.numbering is None and loop.rank in layer.ranks and loop.rank not in flat
        plain &= not any(part.startswith(loop.rank) for part in flat)
        if plain and not loop.dims and loop.of(held) and _within(loop) > 1:
            return loop
    return None


def _within(loop: Loop) -> int:
    """Its iterations in one block around it."""
    return -(-loop.spans[-1] // loop.block) if loop.spans else loop.count


def _halved(
    layer: Layer, arch: Arch, schedule: Schedule, level: str, tensor: str, loop: Loop
) -> Mapping:
    """The mapping with a loop in two pieces, outside the mark that a level has for a tensor; one of
    two iterations goes there itself."""
    full = schedule.mapping
    position = _position(schedule, level, tensor)
    assert position is not None
    loops = [word for word in full.order if not is_mark(word)]
    was = loops.index(loop.name)
    sync, space, split = str(full.sync), full.space or {}, dict(full.split)
    block = -(-_within(loop) // 2) * loop.block
    if block == loop.block:
        if sync == loop.name and was > position:
            sync = loops[was - 1]
        loops.insert(position, loops.pop(was))
    else:
        renamed, outer, split[loop.rank] = _pieces(loop.rank, split.get(loop.rank), block)
        loops = [renamed.get(name, name) for name in loops]
        loops.insert(position, outer)
        sync = renamed.get(sync, sync)
        space = {renamed.get(name, name): dims for name, dims in space.items()}
        was = len(loops)
    steps = loops.index(sync) + 1 if sync != "none" else 0
    marks = _marks(layer, arch, schedule, level, (position, was), steps)
    order: list[str] = []
    for number, name in enumerate(loops):
        order += [*marks.get(number, []), name]
    order += marks.get(len(loops), [])
    return replace(full, order=tuple(order), split=split, space=space, sync=sync)


def _pieces(rank: str, split: Split | None, block: int) -> tuple[dict[str, str], str, Split]:
    """The names that a rank's loops get where it is cut by one block more, the name of the loop
    over these blocks, and the split."""
    before = split.blocks if split is not None else ()
    after = tuple(sorted((*before, block), reverse=True))
    names = [f"{rank}{len(before) - n}" for n in range(len(before) + 1)] if before else [rank]
    numbered = [f"{rank}{len(after) - n}" for n in range(len(after) + 1)]
    outer = numbered.pop(after.index(block))
    return dict(zip(names, numbered, strict=True)), outer, Split((rank,), after)


def _marks(
    layer: Layer, arch: Arch, schedule: Schedule, level: str, moved: tuple[int, int], steps: int
) -> dict[int, list[str]]:
    """Loops outside -> the marks there, where a loop is put at a position: what a level has from
    there on, it and the levels inside have inside that loop.

    moved : the position, and where the loop was before; behind all loops if it is a new one.
    """
    found: dict[int, list[str]] = {}
    last = dict.fromkeys(schedule.stays, 0)
    for depth, name, tensors in _kept(arch, schedule):
        by_place: dict[int, list[str]] = {}
        for tensor, at in tensors.items():
            inside = depth >= _depth(arch, level) and (
                _position(schedule, level, tensor) == moved[0]
            )
            shifts = moved[0] < at <= moved[1] or (at == moved[0] and inside)
            now = at + 1 if shifts else at
            start = not arch.level(name).instances or tensor == layer.target.tensor
            if now != max(0 if start else steps, last[tensor]):
                by_place.setdefault(now, []).append(tensor)
            last[tensor] = now
        for place, kept in by_place.items():
            found.setdefault(place, []).append(f"@{name}({','.join(kept)})")
    return found


def _kept(arch: Arch, schedule: Schedule) -> Iterator[tuple[int, str, dict[str, int]]]:
    """Levels that are filled, outermost first, and the position of each tensor there."""
    for number, level in enumerate(arch.levels[1:], 1):
        yield (
            number,
            level.name,
            {
                tensor: stay.position
                for tensor, stays in schedule.stays.items()
                for stay in stays
                if stay.level == level.name and not stay.words
            },
        )


def _depth(arch: Arch, level: str) -> int:
    return [one.name for one in arch.levels].index(level)

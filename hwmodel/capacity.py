"""What the levels must hold at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.layer import Layer, WorkTerm
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.overfull import Held, place_at, place_of, refusal
from zeroskip.hwmodel.plan import Accounting, Drain, Encoded, Fill, Flow, Turns, total
from zeroskip.hwmodel.storages import narrow
from zeroskip.hwmodel.together import most_together
from zeroskip.hwmodel.traffic import Counts, flows_of


@dataclass(frozen=True, slots=True)
class Part:
    """The largest tile of a tensor: what counts it, how many are there at a time, their bits.

    renewed : loops of whose iterations the next one finds nothing of it there.
    home : whether it is there from the start, or at the end.
    words : where it passes and is not kept, those under way; nothing else is there.
    number : of the operand; encoded : what counts its bits; width : bits of a value, or of a sum.
    first : loops across PEs, of which the first iteration alone has any of it.
    """

    tensor: str
    counted: Flow | Drain
    times: int
    bits: Any
    renewed: tuple[Loop, ...] = ()
    home: bool = False
    words: int = 0
    number: int = -1
    encoded: Encoded | None = None
    width: int = 0
    first: tuple[Loop, ...] = ()

    @property
    def access(self) -> tuple[int, str]:
        return self.number, self.tensor

    @property
    def keys(self) -> tuple[Loop, ...]:
        """Loops that name a tile; none where the same is there at any time."""
        return (*(() if self.words else self.counted.keys), *self.first)

    def of_tiles(self, counts: Counts) -> NDArray[np.int64]:
        """Bits of every tile, times those that are there at a time."""
        if self.words or not self.counted.keys:
            found: Any = np.array(self.bits, np.int64)
        elif self.encoded is None:
            found = counts[self.counted.tile] * np.int64(self.width * self.times)
        else:
            found = bits_of_tiles(self.encoded, counts, self.width)
            assert found is not None, "only of what is exact tiles are told"
            found = found * np.int64(self.times)
        return np.asarray(found).reshape((*found.shape, *(1 for _ in self.first)))

    def at(self, tiles: NDArray[np.int64], at: Mapping[str, int]) -> int:
        """Bits of the tile at an iteration."""
        index = tuple(at[loop.name] for loop in self.keys)
        there = all(i < n for i, n in zip(index, tiles.shape, strict=True))
        return int(tiles[index]) if there else 0

    def held(
        self, counts: Counts, extents: Mapping[str, int], at: Mapping[str, int] | None
    ) -> Held:
        """The tile at an iteration; without one the largest."""
        if self.words:
            return Held(self.tensor, "", 1, self.bits, self.words)
        named = self.counted.keys
        if at is None:
            where = place_of(counts[self.counted.tile], named, extents)
            return Held(self.tensor, where, self.times, self.bits)
        tiles = self.of_tiles(counts)
        where = place_at([at[loop.name] for loop in named], named, extents)
        return Held(self.tensor, where, self.times, self.at(tiles, at))


@dataclass(frozen=True, slots=True)
class Capacity:
    """Bits that must fit a level at a time, and its capacity (None: unlimited).

    tiles : of what is exact and does not fit, those that are there when most is needed, which add
        up to the bits; the largest first.
    at_once : whether that is what one time needs; else the largest tiles are added up.
    result_bits : of the bits those of the result; added_bits : those of what is added once.
    terms : of each term: bits of the tile of each operand, by its number and tensor; the largest
        term is what is needed, beside the result's.
    parts : of each tensor what is needed, its bits in one; not shown, nor compared.
    """

    level: str
    needed_bits: int
    capacity_bits: int | None
    tiles: tuple[Held, ...] = ()
    result_bits: Any = 0
    added_bits: Any = 0
    terms: tuple[Mapping[tuple[int, str], Any], ...] = ()
    parts: tuple[Part, ...] = field(default=(), repr=False, compare=False)
    at_once: bool = field(default=False, repr=False, compare=False)

    @property
    def overflow_bits(self) -> int:
        limit = self.capacity_bits
        return 0 if limit is None else max(self.needed_bits - limit, 0)

    def at_home(self, tensor: str) -> Any:
        """Bits of a tensor that is there from the start, or at the end."""
        return sum(part.bits for part in self.parts if part.home and part.tensor == tensor)

    def staying(self, loop: Loop) -> Any:
        """Bits of tiles that have come and are still there when the next iteration of a loop
        begins."""
        there = (p for p in self.parts if not p.home and not p.words)
        return sum(p.bits for p in there if loop not in p.renewed)

    @property
    def named(self) -> str:
        """The tiles, behind a colon; empty where none are known."""
        return f": {', '.join(map(str, self.tiles))}" if self.tiles else ""


def capacities(
    arch: Arch, accounting: Accounting, counts: Counts, schedule: Schedule, layer: Layer
) -> tuple[Capacity, ...]:
    """What one instance of each level must hold.

    The most that tiles of all tensors take at one time: of every operand its tile; of the result
    in the innermost level and where parts come back to it; of what is added once all of it, beside
    every tile.  Of what passes, the words under way.
    Of operands in a cache nothing: what it has no room for, it fetches again.
    Where a tile comes while another is used, two of it.  Of means, and of more than
    `zeroskip.hwmodel.together.MOST_CELLS` times, the sum of the largest, an upper bound.

    Raises
    ------
    ArchError
        Naming the tiles of a level whose overflow the mapping refuses.
    """
    names = [level.name for level in arch.levels[1:]]
    by_term = [_of_fills(arch, plan.fills, counts, names) for plan in accounting.terms]
    beside, results = _of_result(arch, accounting, counts, schedule, layer, names)
    added = _of_additions(arch, accounting, counts, schedule, layer, names)
    found = []
    for level in arch.levels[1:]:
        name = level.name
        every = [
            _together(
                [*parts[name], *beside[name], *added[name]], layer.extents.ranks, plan.term, counts
            )
            for parts, plan in zip(by_term, accounting.terms, strict=True)
        ]
        needed, parts, at = max(every, key=lambda one: one[0])
        room = Capacity(name, needed, level.capacity_bits, result_bits=results[name])
        terms = [{part.access: part.bits for part in parts[name]} for parts in by_term]
        once = sum(part.bits for part in added[name])
        room = replace(room, terms=tuple(terms), parts=tuple(parts), added_bits=once)
        room = replace(room, at_once=at is not None)
        if room.overflow_bits and isinstance(needed, int):
            tiles = [part.held(counts, layer.extents.ranks, at) for part in parts]
            largest = sorted(tiles, key=lambda tile: -tile.bits)
            room = replace(room, tiles=tuple(tile for tile in largest if tile.bits))
        if room.overflow_bits and schedule.mapping.overflow.get(name) == "refuse":
            assert room.capacity_bits is not None
            bits = room.needed_bits, room.capacity_bits, room.overflow_bits
            raise refusal(name, *bits, room.tiles, at_once=room.at_once)
        found.append(room)
    return tuple(found)


def _of_fills(
    arch: Arch, fills_of: Sequence[Sequence[Fill]], counts: Counts, names: Sequence[str]
) -> dict[str, list[Part]]:
    """Tiles of operands, by level that is no cache.

    fills_of : the fills of each.
    """
    found: dict[str, list[Part]] = {name: [] for name in names}
    cached = {level.name for level in arch.levels if level.cache is not None}
    for number, fill in ((i, fill) for i, fills in enumerate(fills_of) for fill in fills):
        held = fill.inner
        if not fill.words and (fill.level in cached or not held.entries.most):
            continue  # the same tiles, from another level
        _check_pointers(held, counts, fill.operand.tensor, fill.level)
        width = fill.operand.bits(arch.value_bits)
        bits = bits_at_most(held, counts, width, fill.words)
        times = 1 if fill.words else at_a_time(arch, fill.turns)
        tensor = fill.operand.tensor
        made = Part(tensor, held.entries, times, times * bits, fill.renewed, words=fill.words)
        found[fill.level].append(replace(made, number=number, encoded=held, width=width))
    return found


def _of_additions(
    arch: Arch,
    accounting: Accounting,
    counts: Counts,
    schedule: Schedule,
    layer: Layer,
    names: Sequence[str],
) -> dict[str, list[Part]]:
    """What is added once, by level: all that an instance gets is there from before the first
    iteration on.  Along loops across PEs that its term lacks the first instance gets it."""
    parts: dict[str, list[Part]] = {name: [] for name in names}
    terms = [term for term in layer.additions for _ in term.operands]
    for term, fills in zip(terms, accounting.additions, strict=True):
        for name, made in _of_fills(arch, [fills] if term.points else [], counts, names).items():
            has = set(arch.level(name).instances)
            first = [x for x in schedule.across if set(x.dims) <= has and not x.of(term.ranks)]
            parts[name] += [replace(part, number=-1, first=tuple(first)) for part in made]
    return parts


def _of_result(
    arch: Arch,
    accounting: Accounting,
    counts: Counts,
    schedule: Schedule,
    layer: Layer,
    names: Sequence[str],
) -> tuple[dict[str, list[Part]], dict[str, Any]]:
    """Beside every term, by level: tiles of the result, and what is at home; bits of the result's
    largest."""
    parts: dict[str, list[Part]] = {name: [] for name in names}
    results: dict[str, Any] = dict.fromkeys(names, 0)
    target = layer.target.tensor
    inner, flows = True, flows_of(accounting, counts)
    for flow in flows:
        if inner:
            drain = flow.drain
            times = at_a_time(arch, *(one.turns for one in drain.leaving if one is not None))
            bits = times * total(counts, drain.most) * arch.accumulator_bits
            parts[drain.level].append(
                Part(target, drain, times, bits, drain.renewed, width=arch.accumulator_bits)
            )
            results[drain.level] = bits
        inner = flow.again > 0
        width = arch.accumulator_bits if flow.partial else arch.value_bits
        for name, words in flow.drain.passes:
            parts[name].append(Part(target, flow.drain, 1, words * width, words=words))
    for name, made in accounting.homes.items():
        parted = bool(flows) and name == target and flows[-1].partial > 0
        value_bits = layer.first(name).bits(arch.value_bits)
        value_bits = arch.accumulator_bits if parted else value_bits
        bits = bits_at_most(made, counts, value_bits)
        home = schedule.stays[name][0].level
        _check_pointers(made, counts, name, home)
        one = Part(name, made.entries, 1, bits, home=True)
        parts[home].append(replace(one, encoded=made, width=value_bits))
    return parts, results


def _together(
    parts: Sequence[Part], extents: Mapping[str, int], term: WorkTerm, counts: Counts
) -> tuple[Any, Sequence[Part], dict[str, int] | None]:
    """The most bits of these at one time, and when that is; of means, and where nobody looks, the
    sum of the largest and None."""
    every = sum(part.bits for part in parts)
    if not isinstance(every, int) or not term.points:
        return every, parts, None
    tiles = [part.of_tiles(counts) for part in parts]
    at = most_together(
        [(tile, part.keys) for part, tile in zip(parts, tiles, strict=True)], extents, term.ranks
    )
    if at is None:
        return every, parts, None
    needed = sum(part.at(tile, at) for part, tile in zip(parts, tiles, strict=True))
    return needed, parts, at


def bits_at_most(held: Encoded, counts: Counts, value_bits: int, words: int = 0) -> Any:
    """Bits of the largest tile, values of so many bits and metadata; or of so many words."""
    if words:
        return words * (value_bits + held.stored.entry_bits + held.stored.place_bits)
    tiles = bits_of_tiles(held, counts, value_bits)
    if tiles is not None:
        return int(tiles.max(initial=0))
    metadata = held.metadata(lambda flow: total(counts, flow.most))
    return held.values(lambda flow: total(counts, flow.most)) * value_bits + metadata


def bits_of_tiles(held: Encoded, counts: Counts, value_bits: int) -> NDArray[np.int64] | None:
    """Bits of each tile; None of means, of which the largest of each field counts."""
    cells = [counts[flow.tile] for flow in held.flows]
    if any(cell.dtype.kind not in "iu" for cell in cells):
        return None
    metadata = held.metadata(lambda flow: counts[flow.tile])
    return np.asarray(held.values(lambda flow: counts[flow.tile]) * value_bits + metadata)


def _check_pointers(held: Encoded, counts: Counts, tensor: str, level: str) -> None:
    """Refuse pointers that do not reach all entries of the largest tile."""
    bits, most = held.stored.pointer_bits, _reached(held, counts)
    if bits is not None and isinstance(most, int | float) and int(most).bit_length() > bits:
        raise narrow(tensor, level, bits, most, more=", or cut the tile")


def _reached(held: Encoded, counts: Counts) -> Any:
    """The most entries that the pointers of one level tell apart."""
    most = held.values(lambda flow: total(counts, flow.most))
    above = {field.listed[1] for field, _ in held.beside if field.pointers and field.listed}
    inside = {f.listed[1]: flow for f, flow in held.beside if f.listed and f.listed[2] == "entries"}
    if above and above <= set(inside):  # of blocks, not of what they hold
        return max(total(counts, inside[level].most) for level in above)
    return most


def at_a_time(arch: Arch, *turns: Turns | None) -> int:
    """How many tiles are there at a time: two where the next comes while this one is used."""
    ahead = any(one is not None and one.ahead for one in turns)
    return 2 if arch.overlap == "double" and ahead else 1

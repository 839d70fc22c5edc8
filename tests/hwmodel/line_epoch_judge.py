"""The judge of whole lines, and of what goes through a cache, by epochs.

Like `simulator` it imports nothing of zeroskip, and is slow on purpose.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from epoch_log import Log
from leave_judge import fresh_of
from mapped_nest import Nest
from nest_parts import Access, Design, Place, Point
from trace_judge import Lying, bits_of, heads, in_time, replayed, up

Served = dict[Any, dict[Place, int]]


@dataclass
class LineMemory:
    """What lies in whole lines, and what goes through a cache.

    level : off chip; by_tiles : whether the mapping brings tiles from there in lines.
    lyings : of the operands, where they lie outside the cache, or off chip.
    cache : its name, capacity and policy; source : the level outside it, in lines of its own.
    result : how it lies in lines, its entries and its shape, where it is compressed.
    """

    level: str
    lines: dict[str, Any]
    lyings: dict[str, Lying] = field(default_factory=dict)
    by_tiles: bool = True
    cache: tuple[str, int, str] | None = None
    source: str = ""
    source_lines: dict[str, Any] = field(default_factory=dict)
    result: tuple[Lying, set[Place], Place] | None = None

    def tiled(self, tensor: str, outer: str, inner: str) -> bool:
        """Whether that way is one of lines."""
        away = self.cache is not None and (outer, inner) == (self.source, self.cache[0])
        return self.by_tiles and outer == self.level and tensor in self.lyings and not away

    def asked(self, tensor: str, inner: str) -> bool:
        """Whether a level is filled by what is asked for."""
        return self.cache is not None and inner == self.cache[0] and tensor in self.lyings

    def written(self, final: dict[Place, int], end: int) -> Iterator[tuple[int, int, int]]:
        """(epoch, data, metadata) of the lines of the result: each is written with the last entry
        in it; one of pointers, and of the list, when all places of its fibers have left.

        final : the epoch in which a place leaves; end : that in which all others do.
        """
        assert self.result is not None
        lying, entries, shape = self.result
        line = self.lines.get("write_bits", self.lines["read_bits"])
        held = lying.fibers(Access("", [], shape, shape, {}, entries, set()))
        gone: dict[Place, int] = {}
        for place in product(*map(range, shape)):
            key = lying.key(place)
            gone[key] = max(gone.get(key, -1), final.get(place, end))
        for fiber in held.values():
            for width, column in ((lying.value, 0), (bits_of(lying), 1)):
                found: dict[int, int] = {}
                for number, place in enumerate(fiber):
                    for one in lines_of(number, width, line):
                        found[one] = max(found.get(one, -1), final.get(place, end))
                for epoch in found.values():
                    yield (epoch, line, 0) if column == 0 else (epoch, 0, line)
        if not lying.packed or len(lying.order) == lying.inner:
            return
        named = [key for key in held if held[key] or not lying.listed]
        widths = [self.lines["pointer_bits"]]
        widths += [lying.top] if lying.listed and self.lines["lists"] == "read" else []
        for width in widths:
            found = {}
            for number, key in enumerate(named):
                for one in lines_of(number, width, line):
                    found[one] = max(found.get(one, -1), gone.get(key, end))
            for epoch in found.values():
                yield epoch, 0, line


def least(lines: dict[Any, int], line: Any, epoch: int) -> None:
    lines[line] = min(lines.get(line, epoch), epoch)


def lines_of(place: int, width: int, line: int) -> set[int]:
    """Lines that have a bit of one of the fields that follow each other."""
    return {bit // line for bit in range(place * width, (place + 1) * width)}


def pointer_lines(
    memory: dict[str, Any],
    lying: Lying,
    held: dict[Place, list[Place]],
    keys: dict[Place, int],
    line: int,
) -> dict[Any, int]:
    """Lines of pointers and of the list of fibers: when each is first needed.

    keys : fibers that are looked for, and when.
    """
    if not lying.packed or len(lying.order) == lying.inner or not keys:
        return {}
    every = [key for key in held if held[key] or not lying.listed]
    found: dict[Any, int] = {}
    for key, epoch in keys.items():
        place = sorted([*every, key]).index(key)
        for one in lines_of(place, memory["pointer_bits"], line):
            least(found, one, epoch)
    if lying.listed and memory["lists"] == "read":
        for number in range(up(len(every), lying.top, line) // line):
            found["list", number] = min(keys.values())
    return found


def read_tiles(
    memory: LineMemory,
    access: Access,
    phase: str,
    tiles: Served,
    served: Served,
    coded: bool,
    log: Log,
) -> None:
    """Each tile brings the lines that one of its entries lies in, with the first of these; pointers
    come once, with the first tile that touches a fiber.

    served : what one read brings, and when.
    """
    lying, line = memory.lyings[access.tensor], memory.lines["read_bits"]
    held = lying.fibers(access)
    for places in served.values():
        for fiber in held.values():
            data: dict[Any, int] = {}
            metadata: dict[Any, int] = {}
            for number, place in enumerate(fiber):
                if place in places:
                    for one in lines_of(number, lying.value, line):
                        least(data, one, places[place])
                    for one in lines_of(number, bits_of(lying), line):
                        least(metadata, one, places[place])
            for epoch in data.values():
                log.read(phase, memory.level, epoch, line, 0, coded)
            for epoch in metadata.values():
                log.read(phase, memory.level, epoch, 0, line, coded)
    keys: dict[Place, int] = {}
    for places in tiles.values():
        for place, epoch in places.items():
            if held[lying.key(place)] or not lying.listed:
                least(keys, lying.key(place), epoch)
    for epoch in pointer_lines(memory.lines, lying, held, keys, line).values():
        log.read(phase, memory.level, epoch, 0, line, coded)


def whole_of(memory: LineMemory, access: Access) -> tuple[int, int]:
    """Data and metadata of all of a tensor in lines."""
    lying, line = memory.lyings[access.tensor], memory.lines["read_bits"]
    held = lying.fibers(access)
    keys = {key for key, places in held.items() if places or not lying.listed}
    pointed = heads(lying, held, keys, memory.lines, memory.lines["pointer_bits"])
    data = sum(up(len(places), lying.value, line) for places in held.values())
    return data, pointed + sum(up(len(x), bits_of(lying), line) for x in held.values())


def ask(
    nest: Nest,
    design: Design,
    memory: LineMemory,
    term: list[Access],
    epochs: list[tuple[int, Point]],
    double: bool,
    log: Log,
) -> None:
    """What a cache has not comes in the epoch of the access."""
    assert memory.cache is not None
    cache, capacity, policy = memory.cache
    lines, line = memory.source_lines, memory.source_lines["read_bits"]
    made = replayed(nest, memory.lyings, design, lines, capacity, policy, cache)
    across = {x.name for x in nest.loops if x.pes}
    held = {access.tensor: memory.lyings[access.tensor].fibers(access) for access in term}
    first: dict[str, dict[Place, tuple[int, str]]] = {tensor: {} for tensor in held}
    for time, tensor, key, missed in made:
        every = in_time(nest, term)
        number, loops = time[len(every)], zip(every, time, strict=False)
        told = [(x, i) for x, i in loops if i >= 0 and x.name not in across]
        epoch = min(e for e, at in epochs if all(x.at(at, nest.extents) == i for x, i in told))
        phase = _phase(nest, term, term[number], cache, double)
        first[tensor].setdefault(key, (epoch, phase))
        lying, entries = memory.lyings[tensor], len(held[tensor][key])
        if missed:
            bits = up(entries, lying.value, line), up(entries, bits_of(lying), line)
            log.read(phase, memory.source, epoch, *bits)
            log.write(phase, cache, epoch, *bits)
    for access in {access.tensor: access for access in reversed(term)}.values():
        lying, tensor = memory.lyings[access.tensor], access.tensor
        named = lying.listed and lying.inner < len(lying.order) and lines["lists"] == "read"
        if named and not first[tensor] and cache in dict(nest.keeping(tensor)):  # none is found
            full = sum(bool(places) for places in held[tensor].values())
            every_bit = up(full, lying.top, line)
            phase, start = (
                _phase(nest, term, access, cache, double),
                min((e for e, _ in epochs), default=0),
            )
            log.read(phase, memory.source, start, 0, every_bit)
            log.write(phase, cache, start, 0, every_bit)
    for tensor, keys in first.items():
        order = {key: number for number, key in enumerate(keys)}  # as they were asked for
        phases = list(keys.values())
        found = pointer_lines(lines, memory.lyings[tensor], held[tensor], order, line)
        for number in found.values():
            epoch, phase = phases[number]
            log.read(phase, memory.source, epoch, 0, line)
            log.write(phase, cache, epoch, 0, line)


def _phase(nest: Nest, term: list[Access], access: Access, cache: str, double: bool) -> str:
    """When the next level inside takes what it brings."""
    names = [level for level, _ in nest.stays[access.tensor]]
    inside = nest.stays[access.tensor][names.index(cache) + 1 :]
    if not inside:
        return "work" if double else "load"
    level, position = inside[0]
    _, _, _, within = fresh_of(nest, position, level, term, access.names())
    return "work" if within and double else "load"


def reached(nest: Nest) -> set[Place]:
    """Places of the result that a product of stored entries goes to."""
    (term,) = nest.work()
    return {
        nest.written(at)
        for at in nest.points(term)
        if nest.open(term, at)
        and all(access.place(at) in access.stored for access in term if access.absorbs)
    }

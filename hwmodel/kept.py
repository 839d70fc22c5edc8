"""Intermediates of a cascade that stay on chip: their home is a level, and not off chip.

    S[i,j] = Q[i,k]*K[j,k]      S ends in GLB, and stays          home S: GLB
    Z[i,c] = S[i,j]*V[j,c]      S is read from GLB                home S: GLB

All of an intermediate is there, from the line that computes it to the last that reads it; of lines
that run tile by tile (`zeroskip.hwmodel.fused`) a tile.  It lies there in the format in which the
lines that read it want it.  Lines between, which do not have it, have less room.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from zeroskip.checks import brief
from zeroskip.errors import ArchError
from zeroskip.formats.levels import Uncompressed
from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.homes import Halo, Home, check_shared
from zeroskip.hwmodel.later import Later
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.stored import bound_format


@dataclass(frozen=True, slots=True)
class CascadeMapping:
    """The mapping of a cascade.

    lines : result -> `Mapping` of its line; lines without one have the default.
    keep : intermediate -> level that keeps it; others go off chip and come back.
    fuse : lines (``"S,Z"``) -> loops (``"i1"``), their outermost, that they run tile by tile.
    halo : intermediate that is kept tile by tile, and read at places of several tiles ->
        ``"keep"``: what a later tile needs, too, stays.
    """

    lines: Mapping[str, maps.Mapping] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)
    fuse: Mapping[str, str] = field(default_factory=dict)
    halo: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, what, example in (
            ("keep", "intermediate -> level", '{"S": "GLB"}'),
            ("fuse", "lines -> loops", '{"S,Z": "i1"}'),
            ("halo", "intermediate -> keep", '{"S": "keep"}'),
        ):
            given = getattr(self, name)
            texts = isinstance(given, Mapping) and all(
                isinstance(word, str) for item in given.items() for word in item
            )
            if not texts:
                raise ArchError(
                    f"{name}: expected a dict, {what}, found {brief(given)}\n"
                    f"Write {name}={example}."
                )


@dataclass(frozen=True, slots=True)
class Kept:
    """One intermediate that stays.

    readers : the lines that read it, in order; the one that computes it has its name.
    tiled : the innermost loop that names a tile of it; empty: all of it is there.
    halo : what the line that reads it needs beside a tile.
    """

    name: str
    level: str
    readers: tuple[str, ...]
    tiled: str = ""
    halo: Halo | None = None

    def home(self, line: str) -> Home:
        """Where it is in a line, the one that computes it or another."""
        halo = self.halo
        if halo is not None and line == self.name:
            halo = replace(halo, late=0)
        return Home(self.level, self.tiled, halo=halo)


def kept_of(
    keep: Mapping[str, str],
    reads: Mapping[str, Sequence[str]],
    arch: Arch,
    blocks: Sequence[tuple[Sequence[str], str]] = (),
) -> dict[str, Kept]:
    """What stays, of a cascade.

    reads : result -> tensors that its line reads, line by line in order.
    blocks : lines that run tile by tile, and the innermost loop that they share.

    Raises
    ------
    ArchError
        Naming the intermediate, for one that no line computes or reads, and for a level that is
        not shared.
    """
    found = {}
    for name, level in keep.items():
        where = f"keep {name}: {level}"
        if name not in reads:
            raise ArchError(f"{where}: no line computes {name}; results are {', '.join(reads)}")
        readers = tuple(line for line in reads if line != name and name in reads[line])
        if not readers:
            raise ArchError(f"{where}: no line reads {name}, so it leaves; leave it out of keep")
        check_shared(where, level, arch)
        tiled = [loop for lines, loop in blocks if {name, *readers} <= set(lines)]
        found[name] = Kept(name, level, readers, next(iter(tiled), ""))
    return found


def with_homes(
    mapping: maps.Mapping | None, line: str, kept: Mapping[str, Kept]
) -> maps.Mapping | None:
    """The mapping of a line, which says where its kept tensors are."""
    homes = {k.name: k.home(line) for k in kept.values() if line in (k.name, *k.readers)}
    if not homes:
        return mapping
    given = mapping or maps.Mapping()
    return replace(given, home={**given.home, **homes})


def with_formats(
    mappings: Mapping[str, maps.Mapping | None],
    kept: Mapping[str, Kept],
    planned: Mapping[str, tuple[Layer, maps.Schedule]],
    arch: Arch,
) -> dict[str, maps.Mapping | None]:
    """The mappings where each result that stays has the format in which it is read.

    planned : of every line.

    Raises
    ------
    ArchError
        Where two lines read it in different ones.
    """
    found = dict(mappings)
    for one in kept.values():
        texts = {line: _read_format(one, *planned[line], arch) for line in one.readers}
        if len(set(texts.values())) > 1:
            listed = ", ".join(f"{line} as {text}" for line, text in texts.items())
            raise ArchError(
                f"keep {one.name}: {one.level}: expected one format, but lines read it there in "
                f"several: {listed}\nGive {one.name} one format in {one.level} by its name, or "
                "leave it out of keep."
            )
        mapping = found[one.name]
        assert mapping is not None
        home = replace(mapping.home[one.name], format=texts[one.readers[0]])
        found[one.name] = replace(mapping, home={**mapping.home, one.name: home})
    return found


def _read_format(one: Kept, layer: Layer, schedule: maps.Schedule, arch: Arch) -> str:
    text = arch.format(one.name, layer.roles[one.name], one.level)
    bound = bound_format(text, layer.first(one.name), schedule)
    plain = all(isinstance(level, Uncompressed) for level in bound.levels)
    return "U" if plain else str(bound)


def held_between(
    charges: Mapping[str, Charge],
    kept: Mapping[str, Kept],
    blocks: Sequence[Sequence[str]] = (),
) -> dict[str, Charge]:
    """The charges of all lines, in order, where lines have less room for what stays meanwhile.

    blocks : lines that take turns more than once: what stays whole, stays in all of them.
    """
    order = list(charges)
    more: dict[str, dict[str, Any]] = {line: {} for line in order}
    for one in kept.values():
        bits = _bits_at_home(charges[one.readers[0]], one)
        first, last = order.index(one.name), order.index(one.readers[-1])
        alive = set(order[first : last + 1])
        if not one.tiled:
            alive |= {line for block in blocks if alive & set(block) for line in block}
        for line in alive - {one.name, *one.readers}:
            more[line][one.level] = more[line].get(one.level, 0) + bits
    return {line: needing(charges[line], extra) for line, extra in more.items()}


def _bits_at_home(charge: Charge, one: Kept) -> Any:
    room = next(c for c in charge.capacity if c.level == one.level)
    return room.at_home(one.name)


def needing(charge: Charge, more: Mapping[str, Any]) -> Charge:
    """The same line where levels must hold so many bits more, of other lines."""
    room = tuple(
        replace(c, needed_bits=c.needed_bits + more[c.level], tiles=()) if c.level in more else c
        for c in charge.capacity
    )
    return replace(charge, rooms=Later.known(room)) if more else charge


def check_room(charges: Mapping[str, Charge], kept: Mapping[str, Kept]) -> None:
    """Refuse what a level that keeps has no room for, with the bits that lack."""
    for line, charge in charges.items():
        for room in charge.capacity:
            held = [one.name for one in kept.values() if one.level == room.level]
            if held and room.overflow_bits:
                raise ArchError(
                    f"keep {', '.join(held)}: {room.level}: in the line of {line} {room.level} "
                    f"must hold {room.needed_bits:,} bits and holds {room.capacity_bits:,}: "
                    f"{room.overflow_bits:,} bits too few\nSpill: leave some of them out of keep."
                )

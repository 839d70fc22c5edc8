"""The judge of tiles that do not fit: which entries of each stay in a level, and which pass it.

It imports nothing of zeroskip; a layer is a `mapped_nest.Nest`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mapped_nest import Nest
from nest_parts import Access, Place

Bits = Callable[[str, str], tuple[int, int]]
"""Tensor, level -> bits of an entry beside its value, and of a place."""


def tiles_of(
    nest: Nest, term: list[Access], access: Access, level: str, position: int
) -> dict[Any, set[Place]]:
    """Places of each tile that takes room, by when and where it does."""
    above = set(nest.instances[level])
    fresh, streamed, has = nest.parts(term, access, level, position)
    kept = [loop for loop in fresh if loop.name in has] + streamed
    found: dict[Any, set[Place]] = {}
    for at in nest.points(term):
        place = access.place(at)
        here = tuple((n, pe) for n, pe in nest.pe(at, above) if n in has)
        if access.inside(place):
            found.setdefault((nest.when(kept, at), here), set()).add(place)
    return found


def staying(
    nest: Nest, term: list[Access], access: Access, stay: tuple[str, int], room: int, bits: Bits
) -> set[Place]:
    """Of every tile the places, from the first on, whose bits go into the room of one.

    A tile lies by the axes that steps go along one by one, then by the others.
    """
    level, position = stay
    entry, place_bits = bits(access.tensor, level)
    whole = {
        loop.rank
        for loop in nest.loops[: nest.sync]
        if loop.block == 1 and not loop.within and loop.numbers is None and not loop.pes
    }
    stepped = [text in whole for text in access.subscripts]
    packed = level not in access.dense

    def order(place: Place) -> tuple[Place, Place]:
        if not packed:
            return place, ()
        first = tuple(x for x, step in zip(place, stepped, strict=True) if step)
        return first, tuple(x for x, step in zip(place, stepped, strict=True) if not step)

    found: set[Place] = set()
    seen: set[Place] = set()
    for places in tiles_of(nest, term, access, level, position).values():
        assert not places & seen, "tiles share places: nobody says which of them stay"
        seen |= places
        left = room
        for place in sorted(places, key=order):
            left -= place_bits + (16 + entry) * access.held(place, level)
            if left < 0:
                break
            found.add(place)
    return found


def dealt(needs: dict[int, int], room: int) -> dict[int, int]:
    """Room of each: as much as all can have, up to what it needs."""
    most = max(needs.values(), default=0)
    while sum(min(need, most) for need in needs.values()) > room:
        most -= 1
    return {number: min(need, most) for number, need in needs.items()}

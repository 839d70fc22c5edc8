"""Tensors that a level on chip has from the start, or has at the end: nothing of them is off chip.

    home={"S": "GLB"}       all of S is in GLB: PEs are filled from there, or their sums end there
    home={"S": "GLB i1"}    a tile of S at a time, for each iteration of the loops down to i1

Of lines that run tile by tile a tile may have a halo, places of others that are kept beside it.

A tensor's home is the first of the levels that keep it (`zeroskip.hwmodel.marks`); without one that
is the level off chip.  A tile of it has all places of every axis that no loop down to its loop
cuts.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass

from zeroskip.checks import brief
from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.layer import Layer, Operand
from zeroskip.hwmodel.nest import Loop, Stay


@dataclass(frozen=True, slots=True)
class Halo:
    """Places of an axis that are there while iteration t of the loop that names tiles runs: those
    from ``block*(t + late) - before`` to before ``block*(t + late + 1)``.

    late : iterations that the line is behind the one that computes the tensor.
    """

    axis: int
    block: int
    before: int
    late: int = 0


@dataclass(frozen=True, slots=True)
class Home:
    """loop : the innermost of those that name a tile; empty: all of the tensor is there.

    format : of a result, where another line says in which one it reads it; empty: the design's.
    halo : what is there beside a tile, where places of it are kept for other iterations.
    """

    level: str
    loop: str = ""
    format: str = ""
    halo: Halo | None = None

    def __str__(self) -> str:
        found = f"{self.level} {self.loop}" if self.loop else self.level
        return f"{found} with its halo" if self.halo is not None else found


def homes_of(given: object) -> dict[str, Home]:
    """Tensor -> home, of text: a level, or a level and a loop.

    >>> str(homes_of({"S": "GLB i1"})["S"])
    'GLB i1'
    """
    if not isinstance(given, Dict):
        raise ArchError(
            f'home: expected a dict, tensor -> level, found {brief(given)}\nWrite {{"S": "GLB"}}.'
        )
    found: dict[str, Home] = {}
    for name, home in given.items():
        if isinstance(home, Home):
            found[name] = home
            continue
        words = home.split() if isinstance(home, str) else []
        if len(words) not in (1, 2):
            raise ArchError(
                f'home {name}: expected a level, "GLB", or a level and the innermost loop that '
                f'names a tile, "GLB i1", found {brief(home)}'
            )
        found[name] = Home(words[0], "".join(words[1:]))
    return found


def check_homes(homes: Dict[str, Home], layer: Layer, arch: Arch) -> None:
    """Refuse a home of what the line does not have, and one that is not charged."""
    known = (*layer.tensors, layer.target.tensor)
    for name, home in homes.items():
        where = f"home {name}: {home}"
        if name not in known:
            raise ArchError(f"{where}: the line has no {name}; it has {', '.join(known)}")
        check_shared(where, home.level, arch)
        policy = arch.level(home.level).cache
        if policy is not None:
            raise ArchError(
                f"{where}: {home.level} is a cache, which keeps what its policy says ({policy}), "
                f"and not all of a tensor\nLet {name} have its home in a level that is none, or "
                "leave out the cache."
            )


def check_shared(where: str, name: str, arch: Arch) -> None:
    """Refuse what is no level on chip that all PEs share.

    where : what names the level, in the error.
    """
    shared = [level.name for level in arch.levels if level.place == "buffer"]
    if name not in shared:
        named = where.partition(":")[0]
        raise ArchError(
            f"{where}: expected a level of {arch.name} on chip that all PEs share "
            f"({', '.join(shared) or 'it has none'}), found {name}\n"
            f"Name such a level, or leave out {named}."
        )


def home_stay(name: str, home: Home, loops: Sequence[Loop], layer: Layer, arch: Arch) -> Stay:
    """Where a tensor is from the start.

    Raises
    ------
    ArchError
        For a loop that is not there or does not cut the tensor into tiles.
    """
    level = arch.level(home.level)
    position = 0
    if home.loop:
        names = [loop.name for loop in loops]
        where = f"home {name}: {home}"
        if home.loop not in names:
            raise ArchError(f"{where}: the line has no loop {home.loop}; it has {', '.join(names)}")
        position = names.index(home.loop) + 1
        for loop in loops[:position]:
            _check_named(where, loop)
            if home.halo is None:
                _check_cut(where, name, loop, layer)
    return Stay(level.name, position, level.instances, level.halo == "whole", level.multicast)


def _check_named(where: str, loop: Loop) -> None:
    """Refuse a loop that names no tiles that are the same in all lines."""
    if loop.dims:
        raise ArchError(f"{where}: {loop.name} runs across PEs: a tile is named by loops in time")
    if loop.numbering is not None:
        raise ArchError(
            f"{where}: {loop.name} goes by numbers of places, which other lines do not have\n"
            "Split ranks one by one, by sizes."
        )


def _check_cut(where: str, name: str, loop: Loop, layer: Layer) -> None:
    """Refuse a loop whose iterations are no tiles of a tensor without a place in common."""
    if loop.single:
        return
    axes = [[single(s) for s in operand.subscripts] for operand in accesses(layer, name)]
    cut = {axis.index(loop.rank) if loop.rank in axis else None for axis in axes}
    if len(cut) > 1 or None in cut:
        raise ArchError(
            f"{where}: {loop.name} does not cut {name} into tiles without a place in common: "
            f"{loop.rank} is not the same axis of it, by itself, wherever it stands"
        )


def accesses(layer: Layer, name: str) -> list[Operand]:
    """Every access of a tensor in a line."""
    terms = (*layer.work, *layer.additions)
    every = [layer.target, *(operand for term in terms for operand in term.operands)]
    return [operand for operand in every if operand.tensor == name]

"""Marks of an order, ``@GLB`` or ``@PE(I,F)``: from which loop on a level keeps which tensor."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import ROLES, Arch
from zeroskip.hwmodel.homes import Home, home_stay
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.levels import Level
from zeroskip.hwmodel.nest import Loop, Stay
from zeroskip.hwmodel.passing import Passing, check_passes, placed

_MARK = re.compile(r"@(\w+)(?:\(([\w,]+)\))?")


@dataclass(frozen=True, slots=True)
class Mark:
    """One mark: its level, the loops outside it, and the tensors that it names (None: all)."""

    level: str
    position: int
    names: tuple[str, ...] | None
    text: str


def is_mark(word: str) -> bool:
    return word.startswith("@")


def stays_of(
    order: Sequence[str],
    keep: Dict[str, tuple[str, ...]],
    homes: Dict[str, Home],
    passing: Passing,
    loops: Sequence[Loop],
    sync: int,
    layer: Layer,
    arch: Arch,
) -> dict[str, tuple[Stay, ...]]:
    """Where each tensor is kept, outermost level first: of one with a home, from there on.  Levels
    that it passes stand among them.

    sync : loops down to the sync; what no mark says goes by it.

    Raises
    ------
    ArchError
        For a mark or a ``keep`` of what is not there, two marks for one tensor, a level whose
        mark stands outside that of a level around it, and a loop across PEs that has several
        iterations in one of them outside a mark in it.
    """
    marks = _marks(order, layer, arch)
    for name, names in keep.items():
        _level(f"keep {name}", name, arch)
        _check_names(f"keep {name}", names, layer)
    found = {}
    tensors = (*layer.tensors, layer.target.tensor)
    for tensor in tensors:
        role = layer.roles.get(tensor, "O")
        stays: list[Stay] = []
        home = homes.get(tensor)
        outside = 0
        if home is not None:
            stays.append(home_stay(tensor, home, loops, layer, arch))
            outside = 1 + [level.name for level in arch.levels].index(home.level)
            _check_unmarked(tensor, home, arch.levels[:outside], marks, keep, passing)
        for number, level in enumerate(arch.levels[outside:], outside):
            own = [
                m for m in marks if m.level == level.name and _named(m.names, tensor, role, tensors)
            ]
            kept = level.name not in keep or _named(keep[level.name], tensor, role, tensors)
            how = level.halo == "whole", level.multicast
            words = passing.words(level.name, tensor)
            if words:
                told = [m.text for m in own if m.names is not None]
                told += [f"keep {level.name}"] if kept and level.name in keep else []
                check_passes(tensor, level.name, told)
                deep = len(loops) if level is arch.local else 0
                how_kept = f"which {tensor} passes"
                _check_rounds(how_kept, level.name, level.instances, loops, deep)
                stays.append(Stay(level.name, 0, level.instances, *how, words=words))
                continue
            if number and not kept:
                continue
            outer = max((stay.position for stay in stays), default=0)
            if len(own) > 1:
                raise ArchError(f"order: {own[0].text} and {own[1].text} both keep {tensor}")
            if own:
                position = own[0].position
            else:
                from_start = not level.instances or tensor == layer.target.tensor
                position = 0 if from_start else sync
                position = max(position, outer)
            if position < outer:
                around = next(s.level for s in reversed(stays) if s.position == outer)
                raise ArchError(
                    f"order: {own[0].text} keeps {tensor} from a loop outside "
                    f"{around}, which is around {level.name}\n"
                    f"Move {own[0].text} inside @{around}."
                )
            how_kept = f"which keeps {tensor} in each"
            _check_rounds(how_kept, level.name, level.instances, loops, position if own else 0)
            stays.append(Stay(level.name, position, level.instances, *how))
        found[tensor] = placed(stays, loops)
    return found


def _check_unmarked(
    tensor: str,
    home: Home,
    levels: Sequence[Level],
    marks: Sequence[Mark],
    keep: Dict[str, tuple[str, ...]],
    passing: Passing,
) -> None:
    """Refuse what says by its name that a tensor is filled in levels that nothing fills."""
    for level in levels:
        named = [m.text for m in marks if m.level == level.name and tensor in (m.names or ())]
        named += [f"keep {level.name}"] if tensor in keep.get(level.name, ()) else []
        named += [f"stream {level.name}"] if passing.names(level.name, tensor) else []
        if named:
            raise ArchError(
                f"{named[0]} names {tensor}, whose home is {home}: nothing of it is outside, and "
                f"nothing fills {home.level}\nLeave {tensor} out of it."
            )


def _marks(order: Sequence[str], layer: Layer, arch: Arch) -> list[Mark]:
    found: list[Mark] = []
    position = 0
    for word in order:
        if not is_mark(word):
            position += 1
            continue
        match = _MARK.fullmatch(word)
        if match is None:
            raise ArchError(f"order: expected a mark such as @GLB or @PE(I,F), found {word!r}")
        level, names = match[1], match[2]
        _level(f"order: {word}", level, arch)
        listed = tuple(names.split(",")) if names else None
        _check_names(f"order: {word}", listed or (), layer)
        found.append(Mark(level, position, listed, word))
    return found


def _level(where: str, level: str, arch: Arch) -> None:
    names = [lv.name for lv in arch.levels]
    if level not in names:
        raise ArchError(f"{where}: {arch.name} has no level {level}; it has {', '.join(names)}")
    if level == names[0]:
        raise ArchError(f"{where}: {level} is the outermost level, which has every tensor")


def _check_names(where: str, names: Iterable[str], layer: Layer) -> None:
    known = {*layer.tensors, layer.target.tensor, *ROLES}
    for name in names:
        if name not in known:
            tensors = ", ".join((*layer.tensors, layer.target.tensor))
            raise ArchError(
                f"{where}: {name} is neither a tensor of this layer ({tensors}) nor a role "
                f"({', '.join(ROLES)})"
            )


def _named(names: Sequence[str] | None, tensor: str, role: str, tensors: Sequence[str]) -> bool:
    """Whether a list has a tensor: by its name, or by its role where no tensor has that name."""
    return names is None or tensor in names or (role in names and role not in tensors)


def _check_rounds(
    what: str, level: str, instances: tuple[str, ...], loops: Sequence[Loop], position: int
) -> None:
    for number, loop in enumerate(loops):
        if not loop.dims:
            continue
        above = set(loop.dims) & set(instances)
        if above and above != set(loop.dims):
            raise ArchError(
                f"space of {loop.name}: {level} has instances along {', '.join(sorted(above))} "
                f"only, of {'*'.join(loop.dims)}\nGive each dimension a loop of its own."
            )
        if number < position and above and loop.count > loop.tiles:
            raise ArchError(
                f"order: {loop.name} has {loop.count} iterations on {loop.tiles} PEs and stands "
                f"outside @{level}, {what}\n"
                f"Split it once more, so that the loop across PEs has at most {loop.tiles}."
            )

"""Levels that a tensor passes and that keep nothing of it: where they stand, and what reads them.

    DRAM --- GLB (stream) --- PE        a tile of PE comes through GLB when it comes

All that the next level inside is filled with goes through: it is read from the level outside once
for each read here, written here and read again, by the tiles and at the iterations of the level
inside; results that leave it, and parts that come back, go the same way.  Where the innermost level
is passed, units are next: at each iteration of all loops the entry comes that its point needs,
whatever came before, stored ones that are skipped or gated there too, as with tiles; one read
serves those PEs that need it at that iteration.
"""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, replace

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import ROLES, Arch
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.nest import Loop, Stay
from zeroskip.hwmodel.streamed import Stream


@dataclass(frozen=True, slots=True)
class Passing:
    """What passes which level, of one layer."""

    stated: Dict[str, tuple[Stream, ...]]
    layer: Layer

    def words(self, level: str, tensor: str) -> int:
        """Words under way of a tensor; 0 where it does not pass."""
        found = {one.name: one.words for one in self.stated.get(level, ())}
        known = (*self.layer.tensors, self.layer.target.tensor)
        role = self.layer.roles.get(tensor, "O")
        return found.get(tensor, 0 if role in known else found.get(role, 0))

    def names(self, level: str, tensor: str) -> bool:
        """Whether a tensor is meant by its own name."""
        return any(one.name == tensor for one in self.stated.get(level, ()))


def passing_of(
    given: Dict[str, tuple[Stream, ...]], overflow: Dict[str, str], layer: Layer, arch: Arch
) -> Passing:
    """What passes: by the mapping, and of levels that it does not name by the design.

    Raises
    ------
    ArchError
        For a level or a tensor that is not there, and beside what is not counted of streams.
    """
    names = [level.name for level in arch.levels]
    for level in given:
        if level not in names[1:]:
            raise ArchError(
                f"stream {level}: expected a level of {arch.name} that is filled "
                f"({', '.join(names[1:])}), found {level}"
            )
    stated = {level.name: level.stream for level in arch.levels if level.stream} | dict(given)
    stated = {name: streams for name, streams in stated.items() if streams}
    known = {*layer.tensors, layer.target.tensor, *ROLES}
    for level, streams in stated.items():
        for one in streams:
            if one.name not in known:
                tensors = ", ".join((*layer.tensors, layer.target.tensor))
                raise ArchError(
                    f"stream {level}: {one.name} is neither a tensor of this layer ({tensors}) nor "
                    f"a role ({', '.join(ROLES)})"
                )
    if stated:
        _check_beside(next(iter(stated)), overflow)
    found = Passing(stated, layer)
    local = arch.local.name
    if found.words(local, layer.target.tensor):
        raise ArchError(
            f"stream {local}: {layer.target.tensor}: units add to what {local} holds of a result, "
            f"so that it cannot pass\nMark it innermost, @{local}({layer.target.tensor}), or let "
            "it pass a level further out."
        )
    if local in stated and arch.lanes is not None:
        raise ArchError(
            f"stream {local}: {arch.name} has lanes, which take vectors of entries that {local} "
            "keeps\nLet tensors pass a level further out, or leave out lanes."
        )
    return found


def _check_beside(level: str, overflow: Dict[str, str]) -> None:
    spilt = next((name for name, way in overflow.items() if way == "spill"), None)
    if spilt is not None:
        raise ArchError(
            f"stream {level}: beside tiles that spill (overflow {spilt}) what passes a level is "
            f"not counted as yet\nLet overflow {spilt} be refuse, split or report."
        )


def check_passes(tensor: str, level: str, named: Sequence[str]) -> None:
    """Refuse what says that a level keeps a tensor which passes it."""
    if named:
        raise ArchError(
            f"{named[0]} keeps {tensor} in {level}, which it passes (stream): nothing of it stays "
            f"there\nLeave {tensor} out of one of them."
        )


def placed(stays: Sequence[Stay], loops: Sequence[Loop]) -> tuple[Stay, ...]:
    """Levels of a tensor, outermost first, where those that it passes are by the tiles of the next
    one inside that keeps it, or of the units."""
    found: list[Stay] = []
    for stay in reversed(stays):
        if stay.words and found:
            inner = found[-1]
            tiles = replace(inner, multicast=stay.multicast, words=stay.words, level=stay.level)
            stay = replace(tiles, instances=stay.instances, into=inner.into or inner.level)
            stay = replace(stay, tiled_by=inner.reach)
        elif stay.words:
            every = replace(stay, position=len(loops), refilled=True, each=True)
            stay = replace(every, into=stay.level, tiled_by=stay.instances)
        found.append(stay)
    return tuple(reversed(found))


def taken_apart(stays: Sequence[Stay], depth: int, beside: Sequence[Loop]) -> list[Loop]:
    """Of the loops across PEs that a tensor lacks, those for each of whose iterations the level
    takes an entry once more: all for one that keeps it; one that it passes takes it once for each
    read."""
    inner = depth + 1
    if inner == len(stays) or not stays[depth].words:
        return list(beside)
    return read_apart(stays[depth], stays[inner], taken_apart(stays, inner, beside))


def read_apart(outer: Stay, inner: Stay, taken: Sequence[Loop]) -> list[Loop]:
    """Of the loops for each of whose iterations ``inner`` takes an entry, those for each of which
    it is read in ``outer``: one read serves several instances, unless they are of several of
    ``outer``, and what comes one after the other into the same one is read anew."""
    return [
        loop
        for loop in taken
        if set(loop.dims) <= set(outer.instances)
        or not outer.multicast
        or not set(loop.dims) <= set(inner.instances)
    ]

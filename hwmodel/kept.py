"""Intermediates of a cascade that stay on chip: not written off chip, and not read from there.

    S[i,j] = Q[i,k]*K[j,k]      S is written to GLB, and stays
    Z[i,c] = S[i,j]*V[j,c]      S is read from GLB; nothing of it comes from DRAM

All of an intermediate is there at a time, a value for each place, from the line that computes it to
the last that reads it.  The lines themselves are charged as ever; what is taken from their moves is
that of the intermediate off chip, the read of the level for it, and the write of the level when
it comes back.  Whatever that does not describe exactly is refused.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod

from zeroskip.checks import brief
from zeroskip.errors import ArchError
from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.bandwidth import bandwidth_cycles_of
from zeroskip.hwmodel.charge import Charge
from zeroskip.hwmodel.costs import energy_of_moves
from zeroskip.hwmodel.lined import is_lined
from zeroskip.hwmodel.traffic import Moves


@dataclass(frozen=True, slots=True)
class CascadeMapping:
    """The mapping of a cascade.

    lines : result -> `Mapping` of its line; lines without one have the default.
    keep : intermediate -> level that keeps it whole; others go off chip and come back.
    """

    lines: Mapping[str, maps.Mapping] = field(default_factory=dict)
    keep: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.keep, Mapping):
            raise ArchError(
                f"keep: expected a dict, intermediate -> level, found {brief(self.keep)}\n"
                'Write keep={"S": "GLB"}.'
            )


def keep_on_chip(
    charges: Mapping[str, Charge], keep: Mapping[str, str], *, must_fit: bool = True
) -> dict[str, Charge]:
    """The charges of all lines, in order, without what intermediates that stay do not move.

    keep : intermediate -> level.
    must_fit : refuse what the level has no room for; else it is among the `overflow`.

    Raises
    ------
    ArchError
        Naming the intermediate, the line and, where room lacks, the bits.
    """
    found, order = dict(charges), list(charges)
    there: dict[str, dict[str, list[str]]] = {line: {} for line in order}
    for name, level in keep.items():
        readers = _check_kept(charges, name, level)
        found[name] = _not_drained(found[name], name, level)
        for reader in readers:
            found[reader] = _not_fetched(found[reader], name, level)
        for line in order[order.index(name) : order.index(readers[-1]) + 1]:
            there[line].setdefault(level, []).append(name)
    for line, levels in there.items():
        for level, names in levels.items():
            bits = sum(prod(charges[name].shapes[name]) for name in names)
            found[line] = _holding(found[line], level, names, bits * found[line].arch.value_bits)
    if must_fit:
        for line, made in found.items():
            _check_room(line, made, keep)
    return found


def _check_kept(charges: Mapping[str, Charge], name: str, level: str) -> list[str]:
    """Refuse what cannot stay, whatever the mapping; the lines that read it, in order."""
    where = f"keep {name}: {level}"
    order = list(charges)
    if name not in order:
        raise ArchError(f"{where}: no line computes {name}; results are {', '.join(order)}")
    readers = [line for line in order if line != name and name in charges[line].shapes]
    if not readers:
        raise ArchError(f"{where}: no line reads {name}, so it leaves; leave it out of keep")
    arch = charges[name].arch
    _check_arch(arch, where, level)
    if any(charges[line].estimate is not None for line in order):
        raise ArchError(f"{where}: expected tensors, found a Density\nLeave out keep, or draw it.")
    return readers


def _check_arch(arch: Arch, where: str, level: str) -> None:
    shared = [known.name for known in arch.levels if known.place == "buffer"]
    if level not in shared:
        raise ArchError(
            f"{where}: expected a level on chip that all PEs share: {', '.join(shared) or 'none'}"
        )
    if is_lined(arch):
        raise ArchError(f"{where}: {arch.name} has lines or a cache, which keep what they keep")
    if arch.overlap is not None:
        raise ArchError(f"{where}: what stays is not counted by epoch\nLeave out overlap.")


def _not_drained(charge: Charge, name: str, level: str) -> Charge:
    """Without what its line writes off chip, and reads of the level for that."""
    off_chip = charge.arch.off_chip.name
    stays = charge.schedule.stays[name]
    _check_way(charge, name, level, name)
    size = prod(charge.shapes[name])
    bits = size * charge.arch.value_bits
    drained = Moves(reads=size, writes=size, read_data_bits=bits, write_data_bits=bits)
    if len(stays) < 3 or charge.at(level, name) != drained:
        raise ArchError(
            f"keep {name}: {level}: expected each of {size:,} results to come to {level} once, as "
            f"a finished value; by the mapping of {name}, {_parts(charge, name, level)}\n"
            f"Map its sums to end in the PEs, or spill {name}: leave it out of keep."
        )
    traffic = {place: moves for place, moves in charge.traffic.items() if place != (off_chip, name)}
    traffic[level, name] = replace(drained, reads=0, read_data_bits=0)
    return _moving(charge, traffic)


def _not_fetched(charge: Charge, name: str, level: str) -> Charge:
    """Without what its line reads off chip, and writes to the level."""
    line = charge.layer.target.tensor
    off_chip = charge.arch.off_chip.name
    _check_way(charge, name, level, line)
    for fill in (f for f in charge.cascade.fills if (f.operand.tensor, f.level) == (name, level)):
        stored = fill.inner.stored
        if stored.entry_bits or stored.place_bits or stored.kind != "in":
            raise ArchError(
                f"keep {name}: {level}: expected a value for each place (U), but the line of "
                f"{line} reads {name} encoded in {level}, and nothing encodes it on chip\n"
                f"Give {name} the format U in {level}, or spill it: leave it out of keep."
            )
        if fill.outer is not None or fill.called:
            raise ArchError(
                f"keep {name}: {level}: expected all of it in {level} at a time, but the line of "
                f"{line} brings it there tile by tile\nMove @{level} to the front of its order."
            )
    traffic = {place: moves for place, moves in charge.traffic.items() if place != (off_chip, name)}
    there = traffic.get((level, name), Moves())
    traffic[level, name] = replace(there, writes=0, write_data_bits=0, write_metadata_bits=0)
    return _moving(charge, traffic)


def _check_way(charge: Charge, name: str, level: str, line: str) -> None:
    stays = [stay.level for stay in charge.schedule.stays[name]]
    if level not in stays[1:2]:
        raise ArchError(
            f"keep {name}: {level}: expected it next to {stays[0]}, but the line of {line} "
            f"has {name} in {', '.join(stays)}"
        )
    if any(made.tensor == name for made in charge.conversions):
        raise ArchError(
            f"keep {name}: {level}: the line of {line} transposes {name} off chip first\n"
            f"Give it a format in the order in which it is computed, or leave it out of keep."
        )


def _parts(charge: Charge, name: str, level: str) -> str:
    there = charge.at(level, name)
    return f"{there.writes:,} are written there and {there.reads:,} read"


def _moving(charge: Charge, traffic: dict[tuple[str, str], Moves]) -> Charge:
    """The same line with other moves, and the time and energy of these."""
    labels = {made.label for made in charge.conversions}
    arch = charge.arch
    energy = dict(charge.energy)
    for level in arch.levels:
        moved = sum((m for (at, _), m in traffic.items() if at == level.name), Moves())
        energy[level.name] = energy_of_moves(arch, level.name, moved)
    streams = {place: moves for place, moves in traffic.items() if place[1] not in labels}
    cycles = bandwidth_cycles_of(arch, streams)
    return replace(charge, traffic=traffic, energy=energy, bandwidth_cycles=cycles)


def _holding(charge: Charge, level: str, names: Sequence[str], bits: int) -> Charge:
    """The same line where a level holds all of some tensors, of so many bits, and not tiles."""
    room = tuple(
        replace(c, needed_bits=c.without(names) + bits, tiles=()) if c.level == level else c
        for c in charge.capacity
    )
    return replace(charge, capacity=room)


def _check_room(line: str, charge: Charge, keep: Mapping[str, str]) -> None:
    for room in charge.capacity:
        held = [name for name, level in keep.items() if level == room.level]
        if held and room.overflow_bits:
            raise ArchError(
                f"keep {', '.join(held)}: {room.level}: in the line of {line} {room.level} must "
                f"hold {room.needed_bits:,} bits and holds {room.capacity_bits:,}: "
                f"{room.overflow_bits:,} bits too few\nSpill: leave some of them out of keep."
            )

"""Levels of an architecture: the memories, from off chip inwards, and how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from zeroskip.errors import ArchError
from zeroskip.hwmodel.caches import Policy
from zeroskip.hwmodel.energy_tables import STEPS, UNITS, Action, EnergyTable
from zeroskip.hwmodel.lines import Lines, read_cache, read_lines
from zeroskip.hwmodel.reader import Reader
from zeroskip.hwmodel.streamed import Stream, read_streams

Place = Literal["off_chip", "buffer", "local"]
Halo = Literal["new", "whole"]
PACKED = "a number of bits of what is compressed"


@dataclass(frozen=True, slots=True)
class Level:
    """One memory.

    instances : dimensions of the array along which there is one of it each; none: one in all.
    capacity_bits : of each instance; None for unlimited.
    read_bits_per_cycle, write_bits_per_cycle : of each instance; None for unlimited.
    metadata_read_bits_per_cycle, metadata_write_bits_per_cycle : of ports for metadata alone; None
        where metadata go with the data.
    decode_bits_per_cycle, encode_bits_per_cycle : compressed bits that each instance takes out of
        its format, and puts into it; None where that takes no time.
    data, metadata : the action that a bit costs, by kind; None where no table gives one.
    halo : ``new``: of a tile that a window reaches only what is newly needed comes; ``whole``: all.
    multicast : whether one read serves all instances inside that need the same entry.
    pointer_bits : width of the fiber pointers that it holds beside tiles; None where pointers stay
        with the controller, except those of a tensor that comes whole, as narrow as they can be.
    lines, cache : see `zeroskip.hwmodel.lines`; None where bits are counted one by one, and where
        a level keeps what the mapping says.
    stream : tensors and roles that pass it and are not kept, unless the mapping says otherwise.
    """

    name: str
    place: Place
    instances: tuple[str, ...]
    capacity_bits: int | None
    read_bits_per_cycle: float | None
    write_bits_per_cycle: float | None
    data: Action | None
    metadata: Action | None
    source: str
    lines: Lines | None = None
    cache: Policy | None = None
    halo: Halo = "new"
    multicast: bool = True
    metadata_read_bits_per_cycle: float | None = None
    metadata_write_bits_per_cycle: float | None = None
    stream: tuple[Stream, ...] = ()
    pointer_bits: int | None = None
    decode_bits_per_cycle: float | None = None
    encode_bits_per_cycle: float | None = None

    @property
    def has_limit(self) -> bool:
        """Whether any of its ports has a bandwidth."""
        ports = (
            self.read_bits_per_cycle,
            self.write_bits_per_cycle,
            self.metadata_read_bits_per_cycle,
            self.metadata_write_bits_per_cycle,
            self.decode_bits_per_cycle,
            self.encode_bits_per_cycle,
        )
        return any(ports)

    @property
    def pj_per_bit(self) -> float:
        """Of a bit of data that is read."""
        return self.data.pj_per_bit if self.data else 0.0

    @property
    def metadata_pj_per_bit(self) -> float:
        return self.metadata.pj_per_bit if self.metadata else 0.0

    def energy_pj(self, moved: Any) -> Any:
        """Of what moves in and out of it: `zeroskip.hwmodel.moves.Moves`."""
        return _energy(self.data, moved.read_data_bits, moved.write_data_bits) + _energy(
            self.metadata, moved.read_metadata_bits, moved.write_metadata_bits
        )


def _energy(action: Action | None, read_bits: Any, write_bits: Any) -> Any:
    return action.energy_pj(read_bits, write_bits) if action else 0.0


def read_levels(
    reader: Reader, table: EnergyTable, dims: Sequence[str]
) -> tuple[tuple[Level, ...], list[str]]:
    expected = "two levels or more: off chip first, the local store of each PE last"
    section = reader.section("levels", expected=expected)
    if len(section.data) < 2:
        found = ", ".join(map(str, section.data)) or "none"
        reader.fail("levels", f"expected {expected}; found {len(section.data)}: {found}")
    for key in set(section.data) & {*UNITS, *STEPS, "network", "compute", "MAC"}:
        section.fail(key, "a level needs another name: the figures of a charge have this one")
    levels: list[Level] = []
    defaulted: list[str] = []
    for number, (key, entry) in enumerate(section.sections()):
        bits = "a number of bits"
        last = number == len(section.data) - 1
        instances = _instances(entry, dims, levels, last)
        place: Place = "local" if instances or last else "buffer" if number else "off_chip"
        capacity = entry.whole_or_unlimited("capacity_bits", "unlimited", expected=bits)
        reads = entry.number_or_unlimited("read_bits_per_cycle", "unlimited", expected=bits)
        writes = entry.number_or_unlimited("write_bits_per_cycle", "unlimited", expected=bits)
        data = _action(entry, "energy", table, place, capacity)
        metadata = _action(entry, "metadata_energy", table, place, capacity) or data
        where = entry.text("source", "")
        kept = *_lines_and_cache(entry, place), *_halo_and_multicast(entry, place, last)
        alone = "a number of bits, of a port for metadata alone"
        ports = [_port(entry, f"metadata_{way}_bits_per_cycle", alone) for way in ("read", "write")]
        coders = [_port(entry, f"{way}_bits_per_cycle", PACKED) for way in ("decode", "encode")]
        passing = _stream(entry, place)
        pointers = _pointers(entry)
        entry.close()
        bits_and_costs = capacity, reads, writes, data, metadata
        apart = ports[0], ports[1], passing, pointers
        made = Level(key, place, instances, *bits_and_costs, where, *kept, *apart)
        decode, encode = coders
        levels.append(replace(made, decode_bits_per_cycle=decode, encode_bits_per_cycle=encode))
        defaulted += entry.defaulted
    cached = [level.name for level in levels if level.cache]
    if len(cached) > 1:
        names = " and ".join(cached)
        expected = "expected one cache, asked by what is inside it"
        reader.fail("levels", f"{expected}; found {names}: leave cache out of one of them")
    return tuple(levels), defaulted


def _instances(
    entry: Reader, dims: Sequence[str], outer: Sequence[Level], last: bool
) -> tuple[str, ...]:
    """Dimensions along which a level has an instance each."""
    expected = f"dimensions of the array ({', '.join(dims)}) joined by *, or none"
    text = entry.text("instances", "*".join(dims) if last else "none", expected)
    wanted = () if text == "none" else tuple(name.strip() for name in text.split("*"))
    if len(set(wanted)) < len(wanted) or not set(wanted) <= set(dims):
        entry.fail("instances", f"expected {expected}", text)
    if last and set(wanted) != set(dims):
        entry.fail(
            "instances", f"the innermost level is in every PE: expected {'*'.join(dims)}", text
        )
    if wanted and not outer:
        entry.fail("instances", "expected none: the outermost level is one for all", text)
    if outer and not set(outer[-1].instances) <= set(wanted):
        around = "*".join(outer[-1].instances)
        entry.fail("instances", f"expected at least {around}, those of {outer[-1].name}", text)
    return tuple(dim for dim in dims if dim in wanted)


def _pointers(entry: Reader) -> int | None:
    """The width of fiber pointers; None where nobody says."""
    entry.asked.add("pointer_bits")
    if entry.data.get("pointer_bits") is None:
        return None
    if entry.data.get("lines") is not None or entry.data.get("cache") is not None:
        entry.fail("pointer_bits", "expected none beside lines or a cache, which have their own")
    return entry.whole("pointer_bits", expected="bits of a fiber pointer")


def _port(entry: Reader, key: str, expected: str) -> float | None:
    """The bandwidth of a port that a level need not have; None without one."""
    entry.asked.add(key)
    if entry.data.get(key) is None:
        return None
    return entry.number(key, expected=expected)


def _stream(entry: Reader, place: Place) -> tuple[Stream, ...]:
    """What passes a level; nothing where it does not say."""
    entry.asked.add("stream")
    given = entry.data.get("stream")
    if given is None:
        return ()
    if place == "off_chip":
        entry.fail("stream", "expected no stream: the outermost level has every tensor")
    try:
        return read_streams(given, "stream")
    except ArchError as error:
        entry.fail("stream", str(error).removeprefix("stream: "))


def _lines_and_cache(entry: Reader, place: str) -> tuple[Lines | None, Policy | None]:
    lines, cache = read_lines(entry), read_cache(entry)
    if lines is not None and place != "off_chip":
        entry.fail("lines", "expected no lines: only the level off chip has them as yet")
    if cache is not None and place != "buffer":
        entry.fail("cache", "expected no cache: only a level that all PEs share is one as yet")
    return lines, cache


def _halo_and_multicast(entry: Reader, place: Place, last: bool) -> tuple[Halo, bool]:
    """How a level is filled, and how it is read; the outermost is not filled, the innermost read
    by units alone."""
    halo, multicast = "new", True
    if place != "off_chip":
        halo = entry.text("halo", "new", "new or whole")
        if halo not in ("new", "whole"):
            entry.fail("halo", "expected new (what a window newly needs) or whole", halo)
    elif "halo" in entry.data:
        entry.fail("halo", "expected no halo: nothing fills the outermost level")
    if not last:
        multicast = entry.truth("multicast", True, "true or false")
    elif "multicast" in entry.data:
        entry.fail("multicast", "expected no multicast: units alone read the innermost level")
    return ("whole" if halo == "whole" else "new"), multicast


def _action(
    entry: Reader, key: str, table: EnergyTable, place: str, capacity: int | None
) -> Action | None:
    """The action of a level: named, given as picojoules a bit, or the table's own choice."""
    entry.asked.add(key)
    value = entry.data.get(key)
    if value is None:
        return table.action(place, capacity) if key == "energy" else None
    if isinstance(value, str):
        if value not in table.actions or not table.actions[value].bits:
            names = ", ".join(n for n, a in table.actions.items() if a.bits)
            entry.fail(
                key, f"expected picojoules a bit, or an action of {table.name} ({names})", value
            )
        return table.actions[value]
    cost = entry.number(key, expected="picojoules a bit", positive=False)
    write = None
    entry.asked.add("write_energy")
    if key == "energy" and "write_energy" in entry.data:
        write = entry.number("write_energy", expected="picojoules a bit", positive=False)
    where = entry.text("source", "") or "no source given"
    return Action("stated", cost, 1, None, where, write_pj=write)

"""Architectures: what a design is, apart from any layer that runs on it.

    DRAM ── shared buffers ── network ── PE array: local stores, multipliers, accumulators

An architecture is read from a preset's name, a YAML 1.2 file or a dict.  Every error names
the key, the file, the line and what was expected; every default shows in ``print(arch)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np

from zeroskip.checks import is_listed, is_one_of
from zeroskip.errors import ArchError, FormatError
from zeroskip.formats.format import Format
from zeroskip.hwmodel.arch_text import describe
from zeroskip.hwmodel.area import Area, read_areas
from zeroskip.hwmodel.beside import refusals
from zeroskip.hwmodel.energy_sources import energy_table, named_table, read_table
from zeroskip.hwmodel.energy_tables import UNITS, Action, EnergyTable
from zeroskip.hwmodel.features import Feature, parse_feature
from zeroskip.hwmodel.lanes import Lanes, read_lanes
from zeroskip.hwmodel.levels import Level, read_levels
from zeroskip.hwmodel.reader import Reader, load_yaml
from zeroskip.hwmodel.unit_section import Unit, read_units

FOLDER = Path(__file__).parent / "architectures"
ROLES = ("I", "F", "O", "bias", "index")
"""Roles of a layer's tensors: input activations, filter weights, outputs, bias."""

COMPARED = ("dense", "eyeriss", "scnn")
"""Presets that share array, memories and widths: they differ in what they do about zeros alone."""

MOST_PES = 2**20


@dataclass(frozen=True, slots=True)
class Arch:
    """A design.

    levels : from off chip inwards; the last is the local store of each PE.
    array : name and size of each dimension of the PE array.
    multipliers : in each PE; each does one multiplication a cycle.
    overlap : ``none``: what an epoch needs comes before its work; ``double``: during the work of
        the one before (`zeroskip.hwmodel.epochs`); None: all transfers overlap with all work.
    units, lanes, queue : see `zeroskip.hwmodel.units`, `zeroskip.hwmodel.cartesian` and
        `zeroskip.hwmodel.queues`.
    sync : ``reduction``: PEs wait for each other after each step of the outermost reduction
        rank; ``none``: only at the end.  A mapping can name another rank.
    formats : operand name or role -> level name -> format.
    areas : of multipliers, adders and every level on the chip; None where nobody gives one.
    defaults : keys that the description left out.
    """

    name: str
    about: str
    clock_hz: float
    value_bits: int
    accumulator_bits: int
    array: tuple[tuple[str, int], ...]
    multipliers: int
    sync: Literal["reduction", "none"]
    levels: tuple[Level, ...]
    energy: EnergyTable
    features: tuple[Feature, ...]
    units: tuple[Unit, ...]
    lanes: Lanes | None
    queue: int | None
    overlap: Literal["none", "double"] | None
    formats: Mapping[str, Mapping[str, str]]
    areas: Mapping[str, Area | None]
    source: str
    defaults: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the PE array's dimensions."""
        return tuple(size for _, size in self.array)

    @property
    def pes(self) -> int:
        return prod(self.shape)

    @property
    def off_chip(self) -> Level:
        return self.levels[0]

    @property
    def banked(self) -> bool:
        """Whether products of vectors wait for banks of accumulators."""
        return self.lanes is not None and self.lanes.banks is not None

    @property
    def cache(self) -> Level | None:
        """The level that is a cache, if any is."""
        return next((level for level in self.levels if level.cache is not None), None)

    @property
    def buffer(self) -> Level:
        """The innermost level outside the array."""
        return [level for level in self.levels if not level.instances][-1]

    @property
    def local(self) -> Level:
        """The innermost level, of which each PE has one."""
        return self.levels[-1]

    @property
    def area_mm2(self) -> float | None:
        """Square millimetres of all parts whose area is known; None where none is."""
        known = [area.total_mm2 for area in self.areas.values() if area is not None]
        return sum(known) if known else None

    def number(self, level: Level) -> int:
        """Instances of a level."""
        sizes = dict(self.array)
        return prod(sizes[dim] for dim in level.instances)

    def level(self, name: str) -> Level:
        """The level of a name.  Raises `ArchError` naming the levels there are."""
        for level in self.levels:
            if is_one_of(name, (level.name,)):
                return level
        names = ", ".join(level.name for level in self.levels)
        raise ArchError(f"{self.name} has no level {name!r}; its levels are {names}")

    def format(self, tensor: str, role: str, level: str) -> str:
        """The format of a tensor at a level: by its name, else by its role; as at the next
        level outside where none is given; U where none is given at all.  A name that is a role's
        is the role's: a result O that a later line reads is an input there."""
        for key in (role,) if tensor in ROLES else (tensor, role):
            if key in self.formats:
                found = "U"
                for outer in self.levels:
                    found = self.formats[key].get(outer.name, found)
                    if outer.name == level:
                        return found
        return "U"

    def without_sparsity(self) -> Arch:
        """The same array, memories and energies; no gate, no skip, every format U."""
        plain = tuple(replace(level, lines=None, cache=None) for level in self.levels)
        if not (self.features or self.formats or self.units or self.lanes or plain != self.levels):
            return self
        name = f"{self.name}, dense"
        return replace(self, name=name, features=(), units=(), lanes=None, formats={}, levels=plain)

    def __str__(self) -> str:
        return describe(self)


def presets() -> list[str]:
    """Names of the architectures that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def arch(
    source: str | Path | Mapping[str, Any] | Arch,
    *,
    size: Sequence[int] | None = None,
    energy: str | Path | Mapping[str, Any] | None = None,
) -> Arch:
    """An architecture.

    Parameters
    ----------
    source : name of a preset, path of a YAML file, or a dict of the same keys.
    size : sizes of the PE array's dimensions, in place of those described.
    energy : an energy table (name, file or dict), in place of the one described.

    Raises
    ------
    ArchError
        Naming the key, the file, the line, what was expected and what was found.

    Examples
    --------
    >>> a = arch("scnn", size=(8, 8))
    >>> a.pes, [str(f) for f in a.features]
    (64, ['skip I,F @MAC'])
    """
    if isinstance(source, Arch):
        if size is None and energy is None:
            return source
        raise ArchError("size= and energy= go with a name, a file or a dict, not with an Arch")
    if isinstance(source, Mapping):
        return _read(Reader(source, "the dict given"), size, energy)
    if not isinstance(source, str | Path):
        raise ArchError(
            f"expected the name of an architecture, a YAML file or a dict, "
            f"found {type(source).__name__}"
        )
    if "\0" in str(source):
        raise ArchError("expected the name of an architecture or a path, found a NUL in it")
    path = Path(source)
    if str(source) in presets():
        if size is None and energy is None:
            return _preset(str(source))
        path = FOLDER / f"{source}.yaml"
    elif path.suffix not in (".yaml", ".yml"):
        near = get_close_matches(str(source), presets(), 1)
        raise ArchError(
            f"no architecture {str(source)[:60]!r}: expected {', '.join(presets())}, "
            "or the path of a .yaml file" + (f"\nDid you mean {near[0]}?" if near else "")
        )
    return _read(Reader(load_yaml(path), path.name, folder=path.parent), size, energy)


@lru_cache(maxsize=64)
def _preset(name: str) -> Arch:
    """A preset as it is described: one object, which what is remembered of it goes by."""
    path = FOLDER / f"{name}.yaml"
    return _read(Reader(load_yaml(path), path.name, folder=path.parent), None, None)


def _read(
    reader: Reader,
    size: Sequence[int] | None,
    energy: str | Path | Mapping[str, Any] | None,
) -> Arch:
    name, about = reader.text("name", "unnamed"), reader.text("about", "")
    source = reader.text("source", "")
    clock = reader.number("clock_hz", 1e9, expected="cycles a second")
    value_bits = reader.whole("value_bits", 16, expected="bits of a value")
    accumulator = reader.whole("accumulator_bits", 32, expected="bits of an accumulator")
    array = _array(reader, size)
    multipliers = reader.whole("multipliers", 1, expected="multipliers of a PE")
    sync = reader.text("sync", "reduction", "reduction or none")
    if sync not in ("reduction", "none"):
        reader.fail("sync", "expected reduction or none", sync)
    table = _table(reader, energy)
    levels, defaulted = read_levels(reader, table, [name for name, _ in array])
    features = _features(reader, levels)
    units = read_units(reader)
    lanes = read_lanes(reader, multipliers)
    queue = None
    if "queue" in reader.data:
        queue = reader.whole("queue", expected="steps that wait in a queue of each PE")
    overlap = _overlap(reader)
    formats = _formats(reader, levels)
    areas = _areas(reader, table, levels, dict(array), multipliers)
    reader.close()
    made = Arch(
        name=name,
        about=about,
        clock_hz=clock,
        value_bits=value_bits,
        accumulator_bits=accumulator,
        array=array,
        multipliers=multipliers,
        sync="none" if sync == "none" else "reduction",
        levels=levels,
        energy=table,
        features=features,
        units=units,
        lanes=lanes,
        queue=queue,
        overlap=overlap,
        formats=formats,
        areas=areas,
        source=source,
        defaults=(*reader.defaulted, *defaulted),
    )
    for part, why in refusals("overlap", made) if overlap is not None else ():
        reader.fail("overlap", f"expected no overlap beside {part}: {why}")
    return made


def _areas(
    reader: Reader,
    table: EnergyTable,
    levels: Sequence[Level],
    array: Mapping[str, int],
    multipliers: int,
) -> Mapping[str, Area | None]:
    pes = prod(array.values())
    parts: dict[str, tuple[int, Action | None]] = {
        unit: (pes * multipliers, table.action(unit)) for unit in UNITS
    }
    for level in levels[1:]:
        parts[level.name] = (prod(array[dim] for dim in level.instances), level.data)
    return read_areas(reader, parts)


def _overlap(reader: Reader) -> Literal["none", "double"] | None:
    """Whether loads go ahead of work."""
    reader.asked.add("overlap")
    if reader.data.get("overlap") is None:
        return None
    text = reader.text("overlap", expected="none or double")
    if text not in ("none", "double"):
        reader.fail("overlap", "expected none or double", text)
    return "none" if text == "none" else "double"


def _array(reader: Reader, size: Sequence[int] | None) -> tuple[tuple[str, int], ...]:
    section = reader.section("array", expected="a section such as {rows: 4, cols: 4}")
    array = [(key, section.whole(key, expected="a number of PEs")) for key in section.data]
    if not array:
        reader.fail("array", "expected a section such as {rows: 4, cols: 4}", section.data)
    if size is None:
        if prod(n for _, n in array) > MOST_PES:
            reader.fail("array", f"expected at most {MOST_PES:,} PEs in all")
        return tuple(array)
    sizes: tuple[Any, ...] = tuple(size) if is_listed(size) else (size,)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in sizes)
    if not whole or len(sizes) != len(array) or min(sizes) < 1:
        names = ", ".join(name for name, _ in array)
        raise ArchError(f"size={sizes}: expected {len(array)} sizes of 1 or more ({names})")
    if prod(map(int, sizes)) > MOST_PES:
        raise ArchError(f"size={sizes}: expected at most {MOST_PES:,} PEs in all")
    return tuple((name, int(n)) for (name, _), n in zip(array, sizes, strict=True))


def _table(reader: Reader, energy: str | Path | Mapping[str, Any] | None) -> EnergyTable:
    if isinstance(reader.data.get("energy"), Mapping):
        described = reader.section("energy")
        return read_table(described) if energy is None else energy_table(energy)
    if energy is not None:
        reader.text("energy", "", "the name of an energy table, a YAML file, or a section")
        return energy_table(energy)
    named = named_table(reader, "energy")
    assert named is not None
    return named


def _features(reader: Reader, levels: Sequence[Level]) -> tuple[Feature, ...]:
    features = []
    outermost, *filled = (level.name for level in levels)
    for text in reader.texts("sparse", (), expected='a list such as ["skip I,F"]'):
        try:
            features.append(parse_feature(text))
        except ArchError as error:
            reader.fail("sparse", str(error))
        if (level := features[-1].level) is not None and level not in filled:
            why = "which nothing fills" if level == outermost else "which is no level"
            names = ", ".join(("MAC", "PE", *filled))
            reader.fail("sparse", f'"{text}" acts @{level}, {why}: expected {names}')
    return tuple(features)


def _formats(reader: Reader, levels: Sequence[Level]) -> Mapping[str, Mapping[str, str]]:
    section = reader.section("formats", {}, expected="a section such as {I: {DRAM: RLE(5)}}")
    known = [level.name for level in levels]
    formats: dict[str, dict[str, str]] = {}
    for tensor, entry in section.sections():
        formats[tensor] = {}
        for level in entry.data:
            if level not in known:
                entry.fail(level, f"expected a level ({', '.join(known)})", level)
            text = entry.text(level, expected="a format such as U, C, B, RLE(5) or CSR")
            try:
                Format(text)
            except FormatError as error:
                entry.fail(level, f"expected a format such as U, C, B, RLE(5) or CSR\n{error}")
            formats[tensor][level] = text
    return formats

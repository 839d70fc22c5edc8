"""An architecture as text: every number, its default marked, its source beside it."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroskip.hwmodel.arch import Arch
    from zeroskip.hwmodel.energy_tables import Action, EnergyTable
    from zeroskip.hwmodel.levels import Level

WIDTH = 100


def describe(arch: Arch) -> str:
    """All of an architecture, in lines of at most `WIDTH` characters."""

    def limit(value: float | None, key: str) -> str:
        return plain("unlimited" if value is None else f"{value:,.10g}", key)

    def plain(value: str, key: str) -> str:
        return value + (" (default)" if key in arch.defaults else "")

    array = " x ".join(f"{size} {name}" for name, size in arch.array)
    lines = [f"{arch.name}: {arch.about}" if arch.about else arch.name]
    if arch.source:
        lines.append(f"  source: {arch.source}")
    lines += [
        f"  array: {array}, {plain(str(arch.multipliers), 'multipliers')} multiplier(s) each",
        f"  clock: {limit(arch.clock_hz, 'clock_hz')} Hz; "
        f"values {plain(str(arch.value_bits), 'value_bits')} bits, "
        f"accumulators {plain(str(arch.accumulator_bits), 'accumulator_bits')} bits",
        f"  sync: {plain(arch.sync, 'sync')}",
        f"  energy: {arch.energy.name}{_unit(arch.energy)}",
    ]
    lines += [
        f"    {unit}: {_cost(arch.energy.action(unit))}" for unit in ("multiply", "add", "network")
    ]
    for level in arch.levels:
        key = f"levels.{level.name}"
        lines.append(
            f"  {level.name}{' (each PE)' if level.place == 'local' else ''}: "
            f"{limit(level.capacity_bits, key + '.capacity_bits')} bits; "
            f"reads {limit(level.read_bits_per_cycle, key + '.read_bits_per_cycle')}, "
            f"writes {limit(level.write_bits_per_cycle, key + '.write_bits_per_cycle')} bits/cycle"
        )
        ports = (level.metadata_read_bits_per_cycle, level.metadata_write_bits_per_cycle)
        apart = [
            f"{way} {rate:,.10g}"
            for way, rate in zip(("reads", "writes"), ports, strict=True)
            if rate is not None
        ]
        if apart:
            lines.append(f"    metadata on ports of its own: {', '.join(apart)} bits/cycle")
        coders = (level.decode_bits_per_cycle, level.encode_bits_per_cycle)
        coded = [
            f"{way} {rate:,.10g}"
            for way, rate in zip(("decodes", "encodes"), coders, strict=True)
            if rate is not None
        ]
        if coded:
            lines.append(f"    what changes its format: {', '.join(coded)} bits/cycle")
        lines.append(f"    data: {_cost(level.data)}")
        if level.metadata != level.data:
            lines.append(f"    metadata: {_cost(level.metadata)}")
        lines.append(f"    {_moves(arch, level, plain)}")
        if level.pointer_bits is not None:
            lines.append(f"    fiber pointers: of {level.pointer_bits} bits, beside each tile")
        if level.lines is not None:
            lines.append(
                f"    lines: of {level.lines.read_bits} bits read, "
                f"{level.lines.write_bits} written; pointers of {level.lines.pointer_bits}"
            )
        if level.cache is not None:
            lines.append(f"    cache: whole fibers, {level.cache}")
        if level.stream:
            lines.append(f"    stream: {', '.join(map(str, level.stream))}")
        if level.source:
            lines.append(f"    source: {level.source}")
    for name, area in arch.areas.items():
        if area is not None:
            shown = f"{area.mm2:.4g} mm² each, {area.number:,} of them [{area.source}]"
            lines.append(f"  area of {name}: {shown}")
    if arch.overlap is not None:
        lines.append(f"  overlap: {arch.overlap}")
    if arch.queue is not None:
        lines.append(f"  queue: {arch.queue} steps wait in each PE")
    if arch.lanes is not None:
        lines.append(f"  lanes: {arch.lanes}")
    for unit in arch.units:
        lines.append(f"  {unit}" + (f" [{unit.source}]" if unit.source else ""))
    lines += [f"  {feature}" for feature in arch.features]
    if not arch.features:
        lines.append(f"  {plain('no gating, no skipping', 'sparse')}")
    for name, shown, default in _formats(arch):
        lines.append(f"  format of {name}: {shown}{default}")
    return "\n".join(part for line in lines for part in _wrapped(line))


def _moves(arch: Arch, level: Level, plain: Callable[[str, str], str]) -> str:
    """How tiles come into a level, and go from it into the next."""
    key, said = f"levels.{level.name}", []
    if level is not arch.off_chip:
        said.append(plain(f"halo: {level.halo}", f"{key}.halo"))
    if level is not arch.local:
        said.append(plain(f"multicast: {str(level.multicast).lower()}", f"{key}.multicast"))
    return "; ".join(said)


def _formats(arch: Arch) -> list[tuple[str, str, str]]:
    rows = []
    for name in dict.fromkeys((*arch.formats, "I", "F", "O", "bias")):
        shown = [f"{level.name} {arch.format(name, name, level.name)}" for level in arch.levels]
        rows.append((name, ", ".join(shown), "" if name in arch.formats else " (default)"))
    return rows


def _wrapped(line: str) -> list[str]:
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return wrap(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def _unit(table: EnergyTable) -> str:
    if table.unit_pj == 1 and not table.unit_source:
        return ""
    source = f" [{table.unit_source}]" if table.unit_source else ""
    return f", in units of {table.unit_pj:g} pJ{source}"


def _cost(action: Action | None) -> str:
    if action is None:
        return "no energy given: charged 0, and listed as missing"
    if action.bits:
        written = ""
        if action.write_pj is not None:
            written = f", written {action.write_pj_per_bit:.4g}"
        return f"{action.pj_per_bit:.4g} pJ a bit{written}, {action.name} [{action.source}]"
    return f"{action.pj:.4g} pJ, {action.name} [{action.source}]"

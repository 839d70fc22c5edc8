"""Energy and area from the reference tables that Accelergy writes (ERT.yaml, ART.yaml).

    energy:
      ert: ERT.yaml
      art: ART.yaml                                   may be left out
      components:
        multiply: {component: PE.mac, action: mac_random}
        off_chip: {component: DRAM, action: read, write: write, bits: 64}

An ERT gives picojoules of an action, of a memory for one access, and not how many bits that is;
so ``bits`` has to be told.  Where an action has several energies, ``arguments`` picks one.
Components go by their whole name, without what stands in brackets, or by the end of it.
Both layouts are read: tables as a list (0.3 and later), and as a mapping by name (0.2).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zeroskip.hwmodel.energy_tables import MEMORIES, STEPS, UNITS, Action, EnergyTable
from zeroskip.hwmodel.reader import Reader, load_yaml

_RANGE = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True, slots=True)
class _Entry:
    """One energy: of an action, with arguments or none."""

    action: str
    arguments: Mapping[str, Any]
    energy: float
    line: str


def read_accelergy(reader: Reader) -> EnergyTable:
    """The table of a section with the key ``ert``.

    Raises
    ------
    ArchError
        Naming the key, the file and the line: for a file that is no such table, a component or an
        action that is not in it or is there more than once, and a memory without bits.
    """
    ert = reader.text("ert", expected="the path of an ERT.yaml")
    name = reader.text("name", ert)
    about = reader.text("about", "")
    energies = _energies(_tables(reader, ert, "ERT"))
    areas: dict[str, float] = {}
    if "art" in reader.data:
        art = reader.text("art", expected="the path of an ART.yaml")
        for component, table in _tables(reader, art, "ART"):
            area = table.number("area", expected="square micrometres", positive=False)
            if areas.setdefault(component, area) != area:
                table.fail("area", f"expected one area of {component}: {areas[component]}", area)
    reader.asked.add("art")
    chosen = reader.section("components", expected="component: {component: ..., action: ...}")
    actions: dict[str, Action] = {}
    components: dict[str, tuple[str, ...]] = dict.fromkeys((*UNITS, *STEPS, *MEMORIES), ())
    for key in components:
        chosen.asked.add(key)
        if key in chosen.data:
            made = _action(chosen.section(key), key, energies, areas, ert)
            actions[made.name] = made
            components[key] = (made.name,)
    chosen.close()
    reader.close()
    if not components["multiply"]:
        chosen.fail("multiply", "expected {component: ..., action: ...}", None)
    if not components["add"]:
        actions["add"] = Action("add", 0.0, None, None, f"{ert}: part of what multiplies")
        components["add"] = ("add",)
    return EnergyTable(name, about, 1.0, "", actions, components)


def _action(
    entry: Reader,
    key: str,
    energies: Mapping[str, Sequence[_Entry]],
    areas: Mapping[str, float],
    ert: str,
) -> Action:
    component = _component(entry, energies)
    read = _energy(entry, "action", component, energies[component])
    write = None
    entry.asked.add("write")
    if "write" in entry.data and key in MEMORIES:
        write = _energy(entry, "write", component, energies[component])
    bits = None
    if key in MEMORIES:
        bits = entry.whole("bits", expected="bits of one access")
    entry.close()
    return Action(
        name=f"{component} {read.action}",
        pj=read.energy,
        bits=bits,
        capacity_bits=None,
        source=f"{ert}{read.line}" + ("" if write is None else f"; writes{write.line}"),
        write_pj=None if write is None else write.energy,
        area_um2=areas.get(component),
    )


def _component(entry: Reader, energies: Mapping[str, Any]) -> str:
    """The component of a name or of the end of one."""
    wanted = _RANGE.sub("", entry.text("component", expected="a component of the ERT"))
    found = [name for name in energies if name == wanted]
    found = found or [name for name in energies if name.endswith(f".{wanted}")]
    if len(found) != 1:
        several = f"expected one component of the ERT, found {', '.join(found)}"
        none = f"expected a component of the ERT: {', '.join(energies)}"
        entry.fail("component", several if found else none, wanted)
    return found[0]


def _energy(entry: Reader, key: str, component: str, listed: Sequence[_Entry]) -> _Entry:
    """The energy of an action, by its arguments where it has several."""
    action = entry.text(key, expected="an action of the component")
    found = [one for one in listed if one.action == action]
    if not found:
        names = ", ".join(dict.fromkeys(one.action for one in listed))
        entry.fail(key, f"expected an action of {component}: {names}", action)
    wanted: Mapping[str, Any] = {}
    entry.asked.add("arguments")
    if "arguments" in entry.data:
        wanted = entry.section("arguments", expected="arguments of the action").data
        found = [one for one in found if dict(wanted).items() <= dict(one.arguments).items()]
    if len({one.energy for one in found}) != 1:
        ways = "; ".join(
            ", ".join(f"{k}: {v}" for k, v in one.arguments.items())
            for one in listed
            if one.action == action
        )
        entry.fail(
            "arguments" if wanted else key,
            f"expected arguments that pick one energy of {action} of {component}",
            dict(wanted) or action,
            f"Add arguments: {{...}} of one of these: {ways}."
            if any(one.arguments for one in listed)
            else "The table has several entries of it, of different energies.",
        )
    return found[0]


# ---- the files --------------------------------------------------------------------------


def _tables(reader: Reader, file: str, kind: str) -> Iterator[tuple[str, Reader]]:
    """Every table of a file by its component's name."""
    path = reader.folder / file
    whole = Reader(load_yaml(path), path.name, folder=path.parent)
    section = whole.section(kind, expected=f"the tables of an {kind}.yaml")
    tables = section.data.get("tables")
    if isinstance(tables, Mapping):
        for name, entry in section.section("tables").sections():
            yield _RANGE.sub("", name), entry
        return
    if not isinstance(tables, Sequence) or isinstance(tables, str):
        section.fail("tables", "expected a list of tables, or a section of them", tables)
    for number, item in enumerate(tables):
        where = (*section.path, f"tables[{number}]")
        if not isinstance(item, Mapping):
            section.fail(f"tables[{number}]", "expected a section with a name", item)
        entry = Reader(item, section.source, where, section.folder)
        yield _RANGE.sub("", entry.text("name", expected="the name of a component")), entry


def _energies(tables: Iterator[tuple[str, Reader]]) -> dict[str, list[_Entry]]:
    found: dict[str, list[_Entry]] = {}
    for component, table in tables:
        listed = table.data.get("actions")
        if isinstance(listed, Sequence) and not isinstance(listed, str):
            parts = [(f"actions[{k}]", item) for k, item in enumerate(listed)]
            entries = [_entry(table, where, item, None) for where, item in parts]
        else:  # a mapping by action; of each a section, or a list of them
            entries = []
            for action, value in table.data.items():
                several = isinstance(value, Sequence) and not isinstance(value, str)
                for item in value if several else [value]:
                    entries.append(_entry(table, action, item, action))
        found.setdefault(component, []).extend(entries)  # the parts of one may stand apart
    return found


def _entry(table: Reader, where: str, item: Any, action: str | None) -> _Entry:
    if not isinstance(item, Mapping):
        table.fail(where, "expected a section with an energy", item)
    entry = Reader(item, table.source, (*table.path, where), table.folder)
    energy = entry.number("energy", expected="picojoules", positive=False)
    arguments = item.get("arguments") or {}
    if not isinstance(arguments, Mapping):
        entry.fail("arguments", "expected a section of arguments, or nothing", arguments)
    name = entry.text("name", expected="the name of an action") if action is None else action
    return _Entry(name, arguments, energy, entry.line("energy"))

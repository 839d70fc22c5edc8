"""Energy tables: picojoules of an action, each with its source.

A table lists actions (a multiplication, a read of so many bits of an SRAM) and says which
of them stands for which component of an architecture.  A relative table counts in units of
one multiply-accumulate, whose picojoules it states.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from zeroskip.errors import ArchError
from zeroskip.hwmodel.reader import Reader, load_yaml

FOLDER = Path(__file__).parent / "energy"
MEMORIES = ("off_chip", "buffer", "local", "network")
UNITS = ("multiply", "add")


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that costs energy.

    pj : picojoules each time.
    bits : what is moved for that; None for an operation.
    capacity_bits : size of the memory; None where the size does not matter.
    source : where the number is from.
    """

    name: str
    pj: float
    bits: int | None
    capacity_bits: int | None
    source: str

    @property
    def pj_per_bit(self) -> float:
        return self.pj / self.bits if self.bits else 0.0

    @property
    def size(self) -> float:
        """Bits of the memory that this is for; without end where the size does not matter."""
        return inf if self.capacity_bits is None else self.capacity_bits


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """Actions by name, and the candidates for each component, smallest memory first.

    unit_pj, unit_source : picojoules of one unit of the file's costs, and where that is from.
    """

    name: str
    about: str
    unit_pj: float
    unit_source: str
    actions: Mapping[str, Action]
    components: Mapping[str, tuple[str, ...]]

    def action(self, component: str, capacity_bits: int | None = None) -> Action | None:
        """The action of a component; of several memories the smallest that is large enough.

        None where the table lists nothing for it: the caller says what is missing.
        """
        names = self.components.get(component, ())
        wanted = inf if capacity_bits is None else capacity_bits
        for name in names:
            if wanted <= self.actions[name].size:
                return self.actions[name]
        return self.actions[names[-1]] if names else None


def tables() -> list[str]:
    """Names of the tables that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def energy_table(source: str | Path | Mapping[str, Any]) -> EnergyTable:
    """The table of a name, a YAML file or a mapping.

    Raises
    ------
    ArchError
        Naming the key, the file, the line and what was expected.
    """
    if isinstance(source, Mapping):
        return read_table(Reader(source, "the energy table given"))
    path = Path(source)
    if str(source) in tables():
        path = FOLDER / f"{source}.yaml"
    elif path.suffix not in (".yaml", ".yml"):
        raise ArchError(
            f"no energy table {str(source)[:60]!r}: expected {' or '.join(tables())}, "
            "or the path of a .yaml file"
        )
    return read_table(Reader(load_yaml(path), path.name))


def read_table(reader: Reader) -> EnergyTable:
    """The table that a section describes."""
    name, about = reader.text("name"), reader.text("about", "")
    unit_pj = reader.number("unit_pj", 1.0, expected="picojoules of one unit")
    unit_source = reader.text("unit_source", "")
    actions = {}
    listed = reader.section("actions", expected="a section of actions")
    for key, entry in listed.sections():
        cost = entry.number("cost", expected="the cost in units", positive=False)
        bits = entry.whole("bits", 0) if "bits" in entry.data else None
        capacity = entry.whole("capacity_bits", 0) if "capacity_bits" in entry.data else None
        if capacity is not None and bits is None:
            entry.fail("capacity_bits", "the size of a memory goes with the bits of an access")
        actions[key] = Action(key, cost * unit_pj, bits, capacity, entry.text("source"))
        entry.asked |= {"bits", "capacity_bits"}
        entry.close()
    components = {}
    chosen = reader.section("components", expected="component: action, or a list of actions")
    for key in (*UNITS, *MEMORIES):
        names = chosen.text_or_texts(key, "the name of an action of this table")
        for action in names:
            if action not in actions:
                chosen.fail(key, "expected the name of an action of this table", action)
            if key in MEMORIES and not actions[action].bits:
                chosen.fail(key, "expected an action that moves bits", action)
            if key in UNITS and (actions[action].bits or len(names) > 1):
                chosen.fail(key, "expected one action, which moves no bits", ", ".join(names))
        components[key] = tuple(sorted(names, key=lambda name: actions[name].size))
    for key in UNITS:
        if not components[key]:
            chosen.fail(key, "expected the name of an action of this table", None)
    chosen.close()
    reader.close()
    return EnergyTable(name, about, unit_pj, unit_source, actions, components)

"""Energy tables: picojoules of an action, each with its source.

A table lists actions (a multiplication, a read of so many bits of an SRAM) and says which
of them stands for which component of an architecture.  A relative table counts in units of
one multiply-accumulate, whose picojoules it states.  Where tables come from is
`zeroskip.hwmodel.energy_sources`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from zeroskip.hwmodel.reader import Reader

FOLDER = Path(__file__).parent / "energy"
MEMORIES = ("off_chip", "buffer", "local", "network")
UNITS = ("multiply", "add")
STEPS = ("gated", "intersect", "merge", "compress")
"""A multiplication that is gated, a step of a unit, a value of a result that is looked at to
compress it: what a table may leave out."""


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that costs energy.

    pj : picojoules each time; of a memory, of a read.
    bits : what is moved for that; None for an operation.
    capacity_bits : size of the memory; None where the size does not matter.
    source : where the number is from.
    write_pj : picojoules of a write; None where it costs what a read does.
    width_bits : of the operands of an operation; None where nobody says.
    area_um2 : square micrometres of one unit, or of one such memory.
    """

    name: str
    pj: float
    bits: int | None
    capacity_bits: int | None
    source: str
    write_pj: float | None = None
    width_bits: int | None = None
    area_um2: float | None = None

    @property
    def pj_per_bit(self) -> float:
        """Of what is read."""
        return self.pj / self.bits if self.bits else 0.0

    @property
    def write_pj_per_bit(self) -> float:
        cost = self.pj if self.write_pj is None else self.write_pj
        return cost / self.bits if self.bits else 0.0

    def energy_pj(self, read_bits: Any, write_bits: Any) -> Any:
        """Of so many bits, numbers or symbols."""
        return read_bits * self.pj_per_bit + write_bits * self.write_pj_per_bit

    @property
    def size(self) -> float:
        """Bits of the memory that this is for; without end where the size does not matter."""
        return inf if self.capacity_bits is None else self.capacity_bits


@dataclass(frozen=True, slots=True)
class EnergyTable:
    """Actions by name, and the candidates for each component, smallest memory first.

    unit_pj, unit_source : picojoules of one unit of the file's costs, and where that is from.
    node_nm, volts : what the numbers are of; None where nobody says.
    """

    name: str
    about: str
    unit_pj: float
    unit_source: str
    actions: Mapping[str, Action]
    components: Mapping[str, tuple[str, ...]]
    node_nm: float | None = None
    volts: float | None = None

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


def read_listed(reader: Reader) -> EnergyTable:
    """The table that a section lists, action by action."""
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
        more: dict[str, Any] = {}
        if "write_cost" in entry.data:
            more["write_pj"] = unit_pj * entry.number(
                "write_cost", expected="the cost of a write in units", positive=False
            )
            if bits is None:
                entry.fail("write_cost", "the cost of a write goes with the bits of an access")
        if "width_bits" in entry.data:
            more["width_bits"] = entry.whole("width_bits", expected="bits of an operand")
        if "area_um2" in entry.data:
            more["area_um2"] = entry.number("area_um2", expected="square micrometres")
        actions[key] = Action(key, cost * unit_pj, bits, capacity, entry.text("source"), **more)
        entry.asked |= {"bits", "capacity_bits", "write_cost", "width_bits", "area_um2"}
        entry.close()
    components = {}
    chosen = reader.section("components", expected="component: action, or a list of actions")
    for key in (*UNITS, *STEPS, *MEMORIES):
        names = chosen.text_or_texts(key, "the name of an action of this table")
        for action in names:
            if action not in actions:
                chosen.fail(key, "expected the name of an action of this table", action)
            if key in MEMORIES and not actions[action].bits:
                chosen.fail(key, "expected an action that moves bits", action)
            if key not in MEMORIES and (actions[action].bits or len(names) > 1):
                chosen.fail(key, "expected one action, which moves no bits", ", ".join(names))
        components[key] = tuple(sorted(names, key=lambda name: actions[name].size))
    for key in UNITS:
        if not components[key]:
            chosen.fail(key, "expected the name of an action of this table", None)
    chosen.close()
    node = reader.number("node_nm", 0.0, expected="nanometres", positive=False) or None
    volts = reader.number("volts", 0.0, expected="volts", positive=False) or None
    reader.close()
    return EnergyTable(name, about, unit_pj, unit_source, actions, components, node, volts)

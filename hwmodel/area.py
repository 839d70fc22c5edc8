"""Area: of an architecture's units and memories, where it or its table gives one.

    area:
      PE: {mm2: 0.638, source: ...}          each instance of a level, or of multiply and add

What the section does not name has the area of its action in the energy table, if that has one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from zeroskip.hwmodel.energy_tables import UNITS, Action
from zeroskip.hwmodel.reader import Reader

UM2 = 1e6
"""Square micrometres of a square millimetre."""


@dataclass(frozen=True, slots=True)
class Area:
    """Of one instance, in square millimetres, and how many there are."""

    mm2: float
    number: int
    source: str

    @property
    def total_mm2(self) -> float:
        return self.mm2 * self.number


def read_areas(
    reader: Reader, parts: Mapping[str, tuple[int, Action | None]]
) -> Mapping[str, Area | None]:
    """The area of every part on the chip; None where nobody gives one.

    parts : name -> instances, and the action of the energy table that it is.
    """
    section = reader.section("area", {}, expected="a section such as {PE: {mm2: 0.6}}")
    found: dict[str, Area | None] = {}
    for name, (number, action) in parts.items():
        section.asked.add(name)
        if name in section.data:
            entry = section.section(name, expected="a section such as {mm2: 0.6, source: ...}")
            mm2 = entry.number("mm2", expected="square millimetres of one", positive=False)
            found[name] = Area(mm2, number, entry.text("source", "no source given"))
            entry.close()
        elif action is not None and action.area_um2 is not None:
            found[name] = Area(action.area_um2 / UM2, number, action.source)
        else:
            found[name] = None
    section.close()
    return found


def missing_area(areas: Mapping[str, Area | None]) -> Sequence[str]:
    """What has no area, though others have: units count as parts of what holds them."""
    if not any(areas.values()):
        return []
    return [name for name, area in areas.items() if area is None and name not in UNITS]

"""The section ``lanes`` of an architecture: vectors of entries whose products are all formed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zeroskip.hwmodel.reader import Reader


@dataclass(frozen=True, slots=True)
class Lanes:
    """Operand or role -> entries of it that are multiplied in a cycle.

    banks : of the accumulators that products are scattered to; None: no two are in each other's
        way.
    """

    widths: Mapping[str, int]
    banks: int | None

    @property
    def multipliers(self) -> int:
        return prod(self.widths.values())

    def __str__(self) -> str:
        met = " x ".join(f"{width} entries of {name}" for name, width in self.widths.items())
        return met if self.banks is None else f"{met} into {self.banks} banks"


def read_lanes(reader: Reader, multipliers: int) -> Lanes | None:
    """The section ``lanes``, whose product is the multipliers of a PE."""
    if reader.data.get("lanes") is None:
        reader.asked.add("lanes")
        return None
    section = reader.section("lanes", expected="a section such as {I: 4, F: 4}")
    banks = None
    if "banks" in section.data:
        banks = section.whole("banks", expected="banks of accumulators")
    names = [key for key in section.data if key != "banks"]
    widths = {key: section.whole(key, expected="entries a cycle") for key in names}
    lanes = Lanes(widths, banks)
    if len(lanes.widths) != 2 or lanes.multipliers != multipliers:
        reader.fail(
            "lanes", f"expected two operands whose entries make {multipliers} products", str(lanes)
        )
    return lanes

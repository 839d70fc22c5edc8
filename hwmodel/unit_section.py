"""The section ``units`` of an architecture: what finds and merges fibers, and how fast.

    units:
      intersect: {how: skip-ahead, rate: 1}
      merge: {how: tree, radix: 64, rate: 32, source: ...}

A unit that intersects works on one reduction rank: ``rank`` names it; the first that fits where
it does not.  One that merges takes what the innermost loop makes (`zeroskip.hwmodel.merging`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from zeroskip.hwmodel.units import INTERSECT, MERGE, is_intersection

if TYPE_CHECKING:
    from zeroskip.hwmodel.reader import Reader

Kind = Literal["intersect", "merge"]


@dataclass(frozen=True, slots=True)
class Unit:
    """One kind of unit.

    how : see `zeroskip.hwmodel.units`.
    radix : fibers that a tree merges at once; None for any number.
    rate : steps a cycle, of all of them together.
    """

    kind: Kind
    how: str
    rank: str | None
    radix: int | None
    rate: float
    source: str

    def __str__(self) -> str:
        radix = "" if self.radix is None else f", radix {self.radix}"
        rank = "" if self.rank is None else f", along {self.rank}"
        return f"{self.kind} {self.how}{radix}{rank}, {self.rate:g} steps a cycle"


def read_units(reader: Reader) -> tuple[Unit, ...]:
    """Units of an architecture; none where it says nothing of them."""
    section = reader.section("units", {}, expected="a section such as {merge: {how: tree}}")
    found = []
    for key, entry in section.sections():
        if key not in ("intersect", "merge"):
            section.fail(key, "expected intersect or merge", key)
        kinds = INTERSECT if key == "intersect" else MERGE
        how = entry.text("how", expected=" or ".join(kinds))
        if not (is_intersection(how) if key == "intersect" else how in MERGE):
            entry.fail("how", f"expected {', '.join(kinds)}", how)
        radix = None
        if how == "tree":
            radix = entry.whole("radix", expected="fibers that are merged at once, 2 or more")
            if radix < 2:
                entry.fail("radix", "expected 2 or more", radix)
        rank = entry.text("rank", "") or None
        rate = entry.number("rate", 1, expected="steps a cycle")
        source = entry.text("source", "")
        entry.close()
        kind: Kind = "intersect" if key == "intersect" else "merge"
        found.append(Unit(kind, how, rank, radix, rate, source))
    return tuple(found)

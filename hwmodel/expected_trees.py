"""What tiles that are encoded place by place have on average: polynomials in chances of events.

    entry at a place, k*2**r empty places before it     P(any of k*2**r + 1) - P(any of k*2**r)
    a block of t places that holds something            t * P(any of t)
    a group of H that holds G, of such a density        G, or its places in the tile

Of a uniform density any t places hold something with one chance (`zeroskip.hwmodel.events`), so
that the mean of a count is how many such sets of places it asks about, of each size.  A fiber of n
places may have a bridge for every entry that k*2**r places come before: n - k*2**r for each k.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import EinsumError
from zeroskip.formats.levels import Bitmask, Compressed, RunLength, Structured, Uncompressed
from zeroskip.hwmodel.closed import Closed, Monomial
from zeroskip.hwmodel.events import Event
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.tile_trees import (
    HELD,
    Listed,
    TileCount,
    Tiles,
    in_order,
    joined,
    listed,
    starts_of,
)

Reals = NDArray[np.float64]
Whole = NDArray[np.int64]


@dataclass(slots=True)
class Chances:
    """Of each tile, a sum of chances that any of so many places holds something.

    each : places -> how many such sets; 0: so many at any rate.
    """

    tiles: Tiles
    each: dict[int, Reals] = field(default_factory=dict)

    def add(self, tile: Whole, places: Whole | int, times: Any = 1.0) -> None:
        """A set of places of each of these tiles, so many times."""
        number = prod(self.tiles.counts)
        many, weights = np.broadcast_to(places, tile.shape), np.broadcast_to(times, tile.shape)
        for size in np.unique(many).tolist():
            mine = many == size
            summed = np.bincount(tile[mine], weights=weights[mine], minlength=number)
            made = np.asarray(summed, np.float64).reshape(self.tiles.counts)
            self.each[size] = self.each[size] + made if size in self.each else made

    def minus(self, other: Chances) -> Chances:
        each = dict(self.each)
        for size, made in other.each.items():
            each[size] = each[size] - made if size in each else -made
        return Chances(self.tiles, each)

    def closed(self, operand: Expected) -> tuple[Closed, dict[str, Event]]:
        """The same as a polynomial, and its events."""
        terms: dict[Monomial, NDArray[Any]] = {}
        events: dict[str, Event] = {}
        tensor, size = self.tiles.tensor, operand.density.size
        for places, made in sorted(self.each.items()):
            if not made.any():
                continue
            if places < 2:
                terms[(tensor,) * places] = made
                continue
            event = Event(tensor, size, size, places)
            events[event.name] = event
            terms[event.name,] = made
        return Closed(terms or {(): np.zeros(self.tiles.counts)}), events


def mean_of_tree(count: TileCount, operand: Expected) -> tuple[Closed, dict[str, Event]]:
    """The mean of what each tile of a drawn operand has, and the events that it names.

    Raises
    ------
    EinsumError
        For places that hold something with unlike chances, for what is asked of single places, for
        run lengths that are not the last level, and for groups of another density than of such.
    """
    tiles = count.tiles
    kinds = [level for level, _ in joined(tiles.format)]
    why = ""
    if count.what in HELD:
        why = "of single places, by which operations go"
    elif any(isinstance(x, RunLength | Structured) for x in kinds[:-1]):
        why = "of run lengths and groups outside other levels"
    elif isinstance(kinds[-1], Structured):
        why = "" if _is_grouped(tiles, operand) else "of groups that the density does not have"
    elif not operand.uniform:
        why = "where some places are more likely than others"
    if why:
        raise EinsumError(
            f"{tiles.tensor} is {tiles.format.label} tile by tile, which has no expectation here "
            f"{why}\nUse one level C or B, or draw an array from the density, "
            f"{tiles.tensor}.sample(rng), and charge that."
        )
    every, new = listed(tiles)
    found = _counted(count, every)
    if new is not None:
        found = found.minus(_counted(count, new))
    return found.closed(operand)


def _is_grouped(tiles: Tiles, operand: Expected) -> bool:
    """Whether a density has so many in each group of the last level, under levels U, as that has
    entries for; each place of one is as likely as any other then."""
    *outer, (last, axes) = joined(tiles.format)
    density = operand.density
    if not isinstance(last, Structured) or tiles.format.split or axes != (density.axis,):
        return False
    plain = all(isinstance(level, Uncompressed) for level, _ in outer)
    same = density.structure == f"{last.most}:{last.group}"
    return plain and same and not tiles.shape[axes[0]] % last.group


def _counted(count: TileCount, every: Listed) -> Chances:
    """Of tiles of these places."""
    tiles = count.tiles
    rows, _ = in_order(tiles, *every)
    found = Chances(tiles)
    alive = np.zeros(rows.shape[1], np.int64)  # of how many places any tells whether a row is there
    for depth, (level, _) in enumerate(joined(tiles.format)):
        fiber = np.flatnonzero(starts_of(rows[: depth + 1]))
        position = np.flatnonzero(starts_of(rows[: depth + 2]))
        if depth == count.level and count.what in ("fibers", "pointers"):
            found.add(rows[0][fiber], alive[fiber])
            if count.what == "pointers":
                found.add(np.unique(rows[0]), 0)
            return found
        if depth == count.level and count.what == "positions":
            found.add(rows[0][position], alive[position])
            return found
        if isinstance(level, Compressed | Bitmask | RunLength):
            sizes = np.diff(np.append(position, len(alive)))
            alive = np.repeat(sizes, sizes)
        if depth == count.level and isinstance(level, Structured):
            group = np.stack([*rows[: depth + 1], rows[depth + 1] // level.group])
            first = np.flatnonzero(starts_of(group))
            sizes = np.diff(np.append(first, len(alive)))
            found.add(rows[0][first], 0, np.minimum(sizes, level.most))
            break
        if depth == count.level:
            found.add(rows[0][position], alive[position])
            if isinstance(level, RunLength):
                lengths = np.diff(np.append(fiber, len(alive)))
                _bridges(found, rows[0][fiber], lengths, 1 << level.run_bits)
            break
    if count.what == "fillers":
        found.add(rows[0], 1, -1.0)
    return found


def _bridges(found: Chances, tile: Whole, lengths: Whole, step: int) -> None:
    """Those of fibers of so many places."""
    for turn in range(1, (int(lengths.max(initial=0)) - 1) // step + 1):
        gap = turn * step
        longer = lengths > gap
        times = (lengths[longer] - gap).astype(np.float64)
        found.add(tile[longer], gap + 1, times)
        found.add(tile[longer], gap, -times)


def trees_of(
    counts: Mapping[str, TileCount], operands: Mapping[str, Any]
) -> tuple[dict[str, Closed], dict[str, Event]]:
    """Counts that no line makes, of real operands and of drawn ones; the events that these name."""
    trees, events = dict[str, Closed](), dict[str, Event]()
    for name, count in counts.items():
        operand = operands[count.tiles.tensor]
        if isinstance(operand, Expected):
            trees[name], named = mean_of_tree(count, operand)
            events |= named
        else:
            trees[name] = Closed({(): operand.tree(count)})
    return trees, events

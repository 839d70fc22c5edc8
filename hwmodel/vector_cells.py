"""Which entries form vectors together, and which of these meet: cells of one step and one PE.

heldI[c,i,j] of stI[n,c,h,w]        a cell of I is a channel, and a tile of the plane
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.tree import Affine
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.errors import ArchError
from zeroskip.formats.level_data import check_room
from zeroskip.hwmodel.brackets import inside_of, ranks_of
from zeroskip.hwmodel.evaluate import Bits
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Access
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.subscript_values import points_of, values_of

Whole = NDArray[np.int64]


class Cells:
    """Which entries form vectors together: those of one step, one PE and one place of the ranks
    that both operands hold as they are."""

    def __init__(self, layer: Layer, schedule: Schedule) -> None:
        term = layer.work[0]
        both = len(term.operands) == 2 and all(o.absorbs for o in term.operands)
        if len(layer.work) != 1 or not both:
            raise ArchError(
                f"lanes: expected one product of two operands, found {layer.form_text}\n"
                "Leave lanes out of the architecture."
            )
        if len({operand.tensor for operand in term.operands}) < 2:
            raise ArchError(f"lanes: {term.operands[0].tensor} twice: give it two names")
        parts = [step.rank for step in schedule.steps if step.spans]
        parts += [loop.rank for loop in schedule.across if not loop.whole]
        if parts or len({step.rank for step in schedule.steps}) < len(schedule.steps):
            raise ArchError(
                "lanes: a step goes over a rank or its blocks, and whole ranks go across PEs, "
                f"found {schedule.mapping}\n"
                "Split a rank in two at most, and keep the outer part in time."
            )
        self.accesses = term.operands
        self.layer = layer
        plain = [{single(s) for s in access.subscripts} for access in self.accesses]
        self.blocks = {step.rank: step.block for step in schedule.steps if step.rank in term.ranks}
        self.common = [r for r in term.ranks if all(r in axes for axes in plain)]
        self.names = {rank: f"x{n}" for n, rank in enumerate(term.ranks)}
        taken = {rank for rank in term.ranks if rank.islower() and len(rank) == 1}
        self.names |= {rank: rank for rank in taken}
        spare = (letter for letter in "ijegab" if letter not in taken)
        self.spare = (letter for letter in "hwdftuvyz" if letter not in taken)
        self.tiles = {a.rank: next(spare) for a in schedule.across if a.rank in term.ranks}
        self.counts = {a.rank: a.tiles for a in schedule.across}
        self.grouped = [*self.blocks, *(rank for rank in self.common if rank not in self.blocks)]
        self.kept = layer.target.variables
        self.sizes: dict[str, int] = {}
        self.told: list[tuple[str, Affine, int, int, Fraction]] = []

    @property
    def steps(self) -> list[str]:
        return [self.block(rank) for rank in self.blocks]

    @property
    def steps_of_cells(self) -> list[str]:
        """The same, as the places of cells tell them: a step of several places of a rank that both
        operands hold takes them one after the other, and no two of them meet."""
        found = []
        for rank, block in self.blocks.items():
            by_place = self.share(rank) < block
            found.append(f"{self.place(rank)}//{block}" if by_place else self.block(rank))
        return found

    def block(self, rank: str) -> str:
        """The name of a rank's blocks."""
        name = self.names[rank]
        return name if self.blocks.get(rank, 1) == 1 else f"{name}1"

    def share(self, rank: str) -> int:
        """How many places of a rank share a cell."""
        return 1 if rank in self.common else self.blocks.get(rank, 1)

    def place(self, rank: str) -> str:
        """The name of what a cell has of a rank."""
        return self.names[rank] if self.share(rank) == 1 else self.block(rank)

    def by_step(self, cycles: Whole) -> Whole:
        """Cycles of cells, an axis for each rank of `grouped` and each tile, by step and PE."""
        for axis, (rank, block) in enumerate(self.blocks.items()):
            if self.share(rank) < block:
                starts = np.arange(0, cycles.shape[axis], block)
                cycles = np.add.reduceat(cycles, starts, axis) if len(starts) else cycles
        common = tuple(range(len(self.blocks), len(self.grouped)))
        return np.asarray(cycles.sum(axis=common), np.int64)

    def cells(self, access: Access) -> tuple[list[str], list[str], list[str]]:
        """Subscripts that an entry's place gives its cell, those of the mask, and the names of
        the cell's."""
        places: list[str] = []
        cell: dict[str, str] = {}
        tile: dict[str, str] = {}
        for axis, subscript in enumerate(access.subscripts):
            rank = single(subscript)
            letter = next(self.spare) if rank is None else self.names[rank]
            size, low = self.layer.extents.shapes[access.tensor][axis], access.pads[axis][0]
            self.sizes[letter] = size
            self.told.append(("", subscript, low, size, Fraction(1)))
            places.append(letter)
            for inner in variables(subscript):
                if inner in self.grouped and inner == rank:
                    block = self.share(inner)
                    cell[inner] = letter if block == 1 else f"{letter}//{block}"
                    self.told.append((self.place(inner), subscript, low, size, Fraction(1, block)))
                elif inner in self.blocks:
                    raise ArchError(
                        f"lanes: {access.tensor} has {inner} in a window, and {inner} is a step\n"
                        "Give a mapping whose steps are ranks that vectors may share, such as c."
                    )
                # an entry meets every PE along a rank that is summed in a window
                if inner in self.tiles and (inner == rank or inner in self.kept):
                    if inner in tile:
                        raise ArchError(f"lanes: {access.tensor} has {inner} in two axes")
                    tile[inner] = f"{self.counts[inner]}*{letter}//{letter.upper()}"
                    share = Fraction(self.counts[inner], max(size, 1))
                    self.told.append((self.tiles[inner], subscript, low, size, share))
        names = [*map(self.place, cell), *(self.tiles[rank] for rank in tile)]
        return [*cell.values(), *tile.values()], places, names

    def open(self, names: Sequence[str]) -> Bits:
        """Cells, by these names, in which entries of both operands meet at a point within the
        brackets of the term."""
        (term,), extents = self.layer.work, self.layer.extents.ranks
        compared = ranks_of(term.within)
        ranks = {name for _, subscript, *_ in self.told for name in variables(subscript)}
        ranks |= set(compared)
        points = prod(extents[rank] for rank in ranks)
        hint = f"Charge a part of the layer, with shorter {' and '.join(sorted(ranks))}."
        check_room(points, 48, "the points at which vectors meet", hint)
        at = points_of(ranks, extents)
        inside = inside_of(term.within, extents)[tuple(at[rank] for rank in compared)]
        there = np.broadcast_to(inside, (points,))
        cell: dict[str, Whole] = {}
        lengths: dict[str, int] = {}
        for name, subscript, low, size, share in self.told:
            place = values_of(subscript, at) - low
            there = there & (place >= 0) & (place < size)
            if name:
                number = place * share.numerator // share.denominator
                there = there & (cell.setdefault(name, number) == number)
                last = (size - 1) * share.numerator // share.denominator
                lengths[name] = max(lengths.get(name, 0), last + 1)
        found = np.zeros([lengths[name] for name in names], np.bool_)
        found[tuple(cell[name][there] for name in names)] = there.any()
        return found

"""What all lines of an accounting share: windows and tiles.

winI_h[p//2,2*p+r] |= 1                                   what a tile reaches: static
heldI[c,p1,j] += nzI[n,c,h,w]*winI_h[p1,h]*winI_w[j,w]    entries of each tile
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zeroskip.einsum_spec.tree import Affine, Var
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.hwmodel.boxes import Box, access, groups, plain_ranks, telling
from zeroskip.hwmodel.brackets import ranks_of
from zeroskip.hwmodel.indices import names_places
from zeroskip.hwmodel.layer import Operand, WorkTerm
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.text import Text
from zeroskip.hwmodel.tile_trees import TileCount

End = Literal["", "first", "last"]


@dataclass(slots=True)
class Writer(Text):
    """Tiles of operands as lines, and static masks of what they reach.

    windows : what was written of these, by what it says.
    timed : whether it is asked in which epoch tiles come and leave.
    spills : number of a term, of an operand, level -> masks of what of it stays there, and passes.
    trees : counts that no line makes.
    """

    windows: dict[str, str] = field(default_factory=dict)
    timed: bool = False
    spills: dict[tuple[int, int, str], tuple[str, str]] = field(default_factory=dict)
    trees: dict[str, TileCount] = field(default_factory=dict)

    def held(
        self,
        wanted: str,
        operand: Operand,
        mask: str,
        loops: Sequence[Loop],
        staying: Loop | None = None,
        op: str = "+=",
        parts: Sequence[str] = (),
        end: End = "",
    ) -> str:
        """``wanted[loops] += entries of the operand that a tile holds``; or ``|=``: are there any?

        mask : '' for places that the points touch.
        loops : those that name the tile; the operand may lack some.
        staying : a loop of these: only entries that the tile of its iteration before held, too.
        parts : masks beside that, of which all hold.
        end : only places that this tile is the first, or the last, to have.
        """
        names = [loop.name for loop in loops]
        which = "" if staying is None else staying.name
        what = f"{operand.tensor} {operand.subscripts} {[mask, *parts]}"
        key = f"{self.scope} {what} {names} {which} {op} {end}"
        if key not in self.tiles:
            masks = [mask, *parts] if mask else []
            self.tiles[key] = self._held(wanted, operand, masks, loops, staying, op, end)
        return self.tiles[key]

    def _held(
        self,
        wanted: str,
        operand: Operand,
        masks: Sequence[str],
        loops: Sequence[Loop],
        staying: Loop | None,
        op: str,
        end: End,
    ) -> str:
        box = self.box(operand, loops, staying, all_places=not masks, end=end)
        left = [box.named.get(loop.name) or self.at(loop) for loop in loops]
        taken = {rank for loop in loops for rank in loop.ranks}
        scalars, factors = [], list(box.factors)
        if masks:
            factors = [*(access(mask, box.places) for mask in masks), *factors]
        else:
            scalars = [self.extent(rank) for rank in box.plain if rank not in taken]
        made = self.line(wanted, left, op, [*scalars, *factors])
        return self.shaped(made, loops, [loop for loop in loops if loop.name not in box.named])

    def box(
        self,
        operand: Operand,
        loops: Sequence[Loop],
        staying: Loop | None,
        *,
        all_places: bool,
        end: End = "",
    ) -> Box:
        """all_places: whether nothing else tells which places there are."""
        subscripts: dict[int, str] = {}
        named: dict[str, str] = {}
        factors: list[str] = []
        plain: list[str] = []
        for axes in groups(operand.subscripts, loops):
            outside = telling(operand.subscripts, axes, loops)
            named_ranks = plain_ranks(operand.subscripts, axes, outside)
            if named_ranks:
                subscripts |= {a: self.ranks[r] for a, r in zip(axes, named_ranks, strict=True)}
                plain += named_ranks
                continue
            window, letters = self.window(operand, axes, outside)
            subscripts |= letters
            if not all_places and not outside and self.reaches_all(operand, axes):
                continue
            if staying in outside:
                factors.append(self.staying(operand, axes, outside, staying))
            elif end and not all(loop.dims for loop in outside):
                factors.append(self.ending(operand, axes, outside, end))
            else:
                factors.append(window())
            named |= {loop.name: self.loops[loop.name] for loop in outside}
        places = tuple(subscripts[axis] for axis in range(len(operand.subscripts)))
        return Box(places, tuple(factors), named, tuple(plain))

    def window(
        self, operand: Operand, axes: Sequence[int], loops: Sequence[Loop]
    ) -> tuple[Callable[[], str], dict[int, str]]:
        """A static mask: which places of ``axes`` the tile of each iteration reaches.  What
        writes it and gives its access, and the variables that stand for those axes."""
        left = [self.at(loop) for loop in loops]
        letters = {axis: self.axis_letter(operand, axis) for axis in axes}
        places = [self.subscript(operand.subscripts[axis]) for axis in axes]

        def write() -> str:
            key = f"{operand.tensor} {left} {places}"
            if key not in self.windows:
                wanted = f"win{operand.tensor}_{''.join(letters.values())}"
                made = self.line(wanted, [*left, *places], "|=", ["1"])
                reach = [operand.lengths[axis] for axis in axes]
                named = any(names_places(operand.subscripts[axis]) for axis in axes)
                self.windows[key] = self.shaped(made, loops, loops, reach, named=named)
            return access(self.windows[key], [*self.variables(loops), *letters.values()])

        return write, letters

    def staying(
        self, operand: Operand, axes: Sequence[int], loops: Sequence[Loop], moving: Loop
    ) -> str:
        """A static mask: which places of a window were in that of the iteration before."""
        window, letters = self.window(operand, axes, loops)
        now = window()
        key = f"{now} {moving.name}"
        if key not in self.windows:
            here, before = self.variables(loops), self.before(moving)
            there = [before if loop == moving else self.loops[loop.name] for loop in loops]
            earlier = access(now.partition("[")[0], [*there, *letters.values()])
            turn = f"({self.loops[moving.name]} == {before}+1)"
            wanted = f"stay{operand.tensor}_{''.join(letters.values())}"
            left = [*here, *letters.values()]
            self.windows[key] = self.line(wanted, left, "|=", [now, earlier, turn])
        return access(self.windows[key], [*self.variables(loops), *letters.values()])

    def ending(self, operand: Operand, axes: Sequence[int], loops: Sequence[Loop], end: End) -> str:
        """A static mask: which places of a window no window before, or none after, has in the same
        instance.  Iterations in time are numbered, downwards for the first."""
        window, letters = self.window(operand, axes, loops)
        now = window()
        key = f"{now} {end}"
        if key not in self.windows:
            number, turns = "", 1
            for loop in (loop for loop in loops if not loop.dims):
                inner = number if number.isidentifier() else f"({number})"
                before = f"{loop.count}*{inner} + " if number else ""
                number = f"{before}{self.loops[loop.name]}"
                turns *= loop.count
            inner = number if number.isidentifier() else f"({number})"
            number = f"({number} + 1)" if end == "last" else f"({turns} - {inner})"
            name = f"{operand.tensor}_{''.join(letters.values())}"
            beside = self.variables([loop for loop in loops if loop.dims])
            places = [*beside, *letters.values()]
            most = self.line(f"{end}{name}", places, "max=", [number, now])
            left = [*self.variables(loops), *letters.values()]
            same = f"({access(most, places)} == {number})"
            self.windows[key] = self.line(f"at{end}{name}", left, "|=", [now, same])
        return access(self.windows[key], [*self.variables(loops), *letters.values()])

    def reach_over(self, operand: Operand, loops: Sequence[Loop]) -> bool:
        """Whether tiles that these loops name may have places in common."""
        read = operand.subscripts
        told = [(axes, telling(read, axes, loops)) for axes in groups(read, loops)]
        return any(outside and not plain_ranks(read, axes, outside) for axes, outside in told)

    def reaches_all(self, operand: Operand, axes: Sequence[int]) -> bool:
        """Whether an axis whose ranks no other axis holds is reached in every place."""
        if len(axes) > 1:
            return False
        reached = 1  # a bit for every place
        for monomial, atom in operand.subscripts[axes[0]].terms:
            if not isinstance(atom, Var) or monomial.value < 0:
                return False
            before, reached = reached, 0
            for value in range(self.layer.extent(atom.name)):
                reached |= before << monomial.value * value
        for monomial in operand.subscripts[axes[0]].offset:
            reached <<= monomial.value
        return reached == (1 << operand.lengths[axes[0]]) - 1

    def axis_letter(self, operand: Operand, axis: int) -> str:
        """A variable for the places of an axis: the book's h and w where p and q reach it."""
        key = f"axis {axis} of {operand.tensor} {operand.subscripts[axis]}"
        if key not in self.windows:
            held = set(variables(operand.subscripts[axis]))
            wanted = ["h"] if held & {"p", "r"} else ["w"] if held & {"q", "s"} else []
            self.windows[key] = self.fresh([*wanted, "h", "w", "a"])
        return self.windows[key]

    def places(self, operand: Operand) -> list[str]:
        """A variable for every place of each axis; of one that is no rank its extent is stated."""
        found = []
        for axis, subscript in enumerate(operand.subscripts):
            name = single(subscript)
            letter = self.axis_letter(operand, axis) if name is None else self.ranks[name]
            if name is None:
                self.fixed[letter] = operand.lengths[axis]
            found.append(letter)
        return found

    def inside(self, term: WorkTerm) -> str:
        """Whether a point is within the brackets of a term: a line, written once for each."""
        held = [self.ranks[rank] for rank in ranks_of(term.within)]
        parts = []
        for one in term.within:
            sides = [self.subscript(s) for s in (one.left, one.right) if isinstance(s, Affine)]
            parts.append(f"({sides[0]} {one.op} {sides[1]})")
        key = f"inside {held} {parts}"
        if key not in self.windows:
            self.windows[key] = self.line("inside", held, "|=", parts)
        return access(self.windows[key], held)

"""What all lines of an accounting share: names that are free, masks, windows, tiles.

winI_h[p//2,2*p+r] |= 1                                   what a tile reaches: static
heldI[c,p1,j] += nzI[n,c,h,w]*winI_h[p1,h]*winI_w[j,w]    entries of each tile
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.subscripts import rename
from zeroskip.einsum_spec.tree import Affine, Var
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.hwmodel.boxes import Box, access, groups, plain_ranks, telling
from zeroskip.hwmodel.brackets import ranks_of
from zeroskip.hwmodel.indices import names_places
from zeroskip.hwmodel.layer import Layer, Operand, WorkTerm
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop, iterations
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.tile_trees import TileCount

End = Literal["", "first", "last"]


@dataclass(slots=True)
class Writer:
    """Lines of text so far, and every name that they use.

    ranks : rank -> its variable here; loops : loop -> the variable of its iterations or PEs.
    numbers : split -> the result that numbers its places; shapes : of results whose places are read
    from it; fixed : counts of the real operands, by name.
    scope : the term at hand; tiles : what was counted by which line, so that it is written
        once in a term.
    timed : whether it is asked in which epoch tiles come and leave.
    spills : number of a term, of an operand, level -> masks of what of it stays there, and passes.
    indices : index tensor -> what it is called here.
    trees : counts that no line makes.
    """

    layer: Layer
    schedule: Schedule
    lines: list[str] = field(default_factory=list)
    masks: dict[str, Mask] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    ranks: dict[str, str] = field(default_factory=dict)
    loops: dict[str, str] = field(default_factory=dict)
    windows: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fixed: dict[str, int] = field(default_factory=dict)
    scope: str = ""
    tiles: dict[str, str] = field(default_factory=dict)
    timed: bool = False
    spills: dict[tuple[int, int, str], tuple[str, str]] = field(default_factory=dict)
    indices: dict[str, str] = field(default_factory=dict)
    trees: dict[str, TileCount] = field(default_factory=dict)

    # ---- names --------------------------------------------------------------------------

    def name_ranks(self) -> None:
        """Names for ranks that are safe here: lower case, with an upper-case extent."""
        for rank in self.layer.ranks:
            clash = rank.upper() in self.layer.ranks or rank.upper() == rank
            self.ranks[rank] = self.fresh(["x"] if clash else [rank, "x"])
        for across in self.schedule.across:
            self.loops[across.name] = self.fresh(["i", "j", "k", "e"])
        for loop in self.schedule.loops:
            rank = "".join(self.ranks[rank] for rank in loop.told_by)
            if loop.name not in self.loops:
                part = rank + loop.name.removeprefix("".join(loop.told_by))
                self.loops[loop.name] = rank if loop.whole else self.fresh([part, "b"])

    def fresh(self, wanted: Sequence[str]) -> str:
        """A variable that is free, and so is its upper-case name, which is its extent."""
        numbered = (f"{wanted[-1]}{n}" for n in range(len(self.names) + 1))
        for name in (*wanted, *numbered):
            if name.lower() not in self.names:
                self.names.add(name.lower())
                return name.lower()
        raise AssertionError("one of so many names is free")

    def result(self, wanted: str) -> str:
        """A name of a result that is free."""
        name, number = wanted, 2
        while name.lower() in self.names:
            name, number = f"{wanted}_{number}", number + 1
        self.names.add(name.lower())
        return name

    def comment(self, text: str) -> None:
        self.lines.append(f"# {text}")

    def line(self, target: str, subscripts: Sequence[str], op: str, factors: Iterable[str]) -> str:
        """Write one Einsum; return the name of its result."""
        name = self.result(target)
        left = access(name, subscripts)
        self.lines.append(f"{left} {op} {'*'.join(factors) or '1'}")
        return name

    def sum(
        self, target: str, subscripts: Sequence[str], terms: Sequence[tuple[str, Sequence[str]]]
    ) -> str:
        """Write one Einsum of several terms, each with its sign; once."""
        parts = [f"{sign} {'*'.join(factors) or '1'}" for sign, factors in terms]
        right = " ".join(parts).removeprefix("+ ")
        key = f"{self.scope} {subscripts} {right}"
        if key not in self.tiles:
            self.tiles[key] = self.line(target, subscripts, "+=", [right])
        return self.tiles[key]

    def logic(self, target: str, subscripts: Sequence[str], factors: Sequence[str]) -> str:
        """``target[subscripts] |= factors``, written once."""
        key = f"{self.scope} {subscripts} |= {'*'.join(factors)}"
        if key not in self.tiles:
            self.tiles[key] = self.line(target, subscripts, "|=", factors)
        return self.tiles[key]

    def before(self, loop: Loop) -> str:
        """A variable for the iteration of a loop before another."""
        name = f"before {loop.name}"
        if name not in self.loops:
            self.loops[name] = self.fresh(["y", "b"])
        return self.loops[name]

    def once(self, target: str, op: str, factors: Iterable[str]) -> str:
        """A line that sums or compares all of its factors, written once."""
        key = f"{self.scope} {op} {'*'.join(factors := list(factors))}"
        if key not in self.tiles:
            self.tiles[key] = self.line(target, (), op, factors)
        return self.tiles[key]

    # ---- tiles --------------------------------------------------------------------------

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

    # ---- text ---------------------------------------------------------------------------

    def mask(self, kind: str, operand: Operand) -> str:
        """The name of a mask of an operand, as far as this access reaches."""
        wanted = Mask(kind, operand.tensor, operand.lengths, operand.pads)
        name, number = f"{kind}{operand.tensor}", 2
        while self.masks.setdefault(name, wanted) != wanted:
            name, number = f"{kind}{operand.tensor}_{number}", number + 1
        self.names.add(name.lower())
        return name

    def at(self, loop: Loop) -> str:
        """The iteration, or the PE, of a point."""
        rank = self.place(loop)
        if loop.tiles and loop.whole:
            scaled = rank if loop.tiles == 1 else f"{loop.tiles}*{rank}"
            return f"{scaled}//{rank.upper()}"
        if 1 in loop.spans:  # a part of a block of one place
            return "0"
        part = rank
        for span in loop.spans:
            inner = part if part == rank else f"({part})"
            part = f"{part}-{span}*({inner}//{span})"
        if loop.block > 1:
            part = f"({part})//{loop.block}" if loop.spans else f"{rank}//{loop.block}"
        return part

    def place(self, loop: Loop) -> str:
        """The place of a point in what a loop goes over, or its number."""
        ranks = [self.ranks[rank] for rank in loop.told_by]
        return access(self.numbers[loop.numbered], ranks) if loop.numbering else ranks[0]

    def shaped(
        self,
        name: str,
        loops: Sequence[Loop],
        told: Sequence[Loop],
        lengths: Sequence[int] = (),
        *,
        named: bool = False,
    ) -> str:
        """A result with an axis for each loop, then such of some lengths.  Where a number tells
        the place (of any loop of ``told``), or an index tensor (``named``), its shape is no matter
        of subscripts, and kept."""
        if named or any(loop.numbering for loop in told):
            self.shapes[name] = (*map(reached, loops), *lengths)
        return name

    def variables(self, loops: Iterable[Loop]) -> list[str]:
        return [self.loops[loop.name] for loop in loops]

    def times(self, loops: Sequence[Loop]) -> list[str]:
        """How often iterations of these loops occur: a factor for each rank."""
        found = []
        for rank in dict.fromkeys(loop.rank for loop in loops):
            mine = [loop for loop in loops if loop.rank == rank]
            if mine[0].whole and not mine[0].tiles:
                found.append(self.extent(mine[0].told_by[0]))
                continue
            number = iterations(mine, self.layer.extents.ranks)
            told = any(loop.numbering for loop in mine)
            found.append(self.fix(number) if told else str(number))
        return found

    def fix(self, number: int) -> str:
        """A count of real operands: no part of the text, which is one for all of them."""
        name = self.fresh(["t"])
        self.fixed[name] = number
        return name.upper()

    def extent(self, rank: str) -> str:
        return self.ranks[rank].upper()

    def subscript(self, subscript: Affine) -> str:
        return deparse(rename(subscript, lambda n: self.ranks[n], str, self.index))

    def index(self, tensor: str) -> str:
        """The name of an index tensor here."""
        if tensor not in self.indices:
            self.indices[tensor] = self.result(f"index{tensor}")
        return self.indices[tensor]

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

    def access(self, name: str, subscripts: Iterable[Affine]) -> str:
        return access(name, [self.subscript(s) for s in subscripts])


def reached(loop: Loop) -> int:
    """One more than the last iteration of a loop, or PE."""
    if loop.tiles and loop.whole and loop.count:
        return loop.tiles * (loop.count - 1) // loop.count + 1
    return loop.count

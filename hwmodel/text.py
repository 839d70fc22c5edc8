"""Text of an accounting as it is written: names that are free, lines, each of them once.

someA[k//4,m] |= stA[m,k]           a name that nothing else has, in any case
2*m//M                              the PE of a point; m-4*(m//4): its iteration in a block of four
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.subscripts import rename
from zeroskip.einsum_spec.tree import Affine
from zeroskip.hwmodel.boxes import access
from zeroskip.hwmodel.layer import Layer, Operand
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop, iterations
from zeroskip.hwmodel.plan import Mask


@dataclass(slots=True)
class Text:
    """Lines of text so far, and every name that they use.

    ranks : rank -> its variable here; loops : loop -> the variable of its iterations or PEs.
    numbers : split -> the result that numbers its places; shapes : of results whose places are read
    from it; fixed : counts of the real operands, by name.
    scope : the term at hand; tiles : what was counted by which line, so that it is written
        once in a term.
    indices : index tensor -> what it is called here.
    """

    layer: Layer
    schedule: Schedule
    lines: list[str] = field(default_factory=list)
    masks: dict[str, Mask] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    ranks: dict[str, str] = field(default_factory=dict)
    loops: dict[str, str] = field(default_factory=dict)
    numbers: dict[str, str] = field(default_factory=dict)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    fixed: dict[str, int] = field(default_factory=dict)
    scope: str = ""
    tiles: dict[str, str] = field(default_factory=dict)
    indices: dict[str, str] = field(default_factory=dict)

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

    def access(self, name: str, subscripts: Iterable[Affine]) -> str:
        return access(name, [self.subscript(s) for s in subscripts])


def reached(loop: Loop) -> int:
    """One more than the last iteration of a loop, or PE."""
    if loop.tiles and loop.whole and loop.count:
        return loop.tiles * (loop.count - 1) // loop.count + 1
    return loop.count

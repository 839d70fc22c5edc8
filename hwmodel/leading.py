"""Tiles that are not called for: ``"skip F on I @GLB"`` as lines of the accounting.

    someI[c//4,4*p//P] |= nzI[n,c,h,w]*...     is anything of the leader I in this tile?
    fetchedF += someI[c1,i]*heldF[c1]          a tile of F comes into GLB only then

    openK[m//2,p//4] |= inside[m,p]            is any point of this tile within the brackets?

The leader's tile is what the loops inside the follower's mark touch of it, at one iteration of the
loops outside at which the follower's tile comes.  What did not come into a level comes no further
in either.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from zeroskip.hwmodel.boxes import access
from zeroskip.hwmodel.brackets import ranks_of
from zeroskip.hwmodel.layer import Operand, WorkTerm
from zeroskip.hwmodel.nest import Loop, had
from zeroskip.hwmodel.policy import OperandPolicy
from zeroskip.hwmodel.writer import Writer


@dataclass(frozen=True, slots=True)
class Need:
    """A result that says of each tile whether it is called for.

    level, depth : whose tiles, and how many levels are around it.
    keys : its loops; leader : number of the operand whose mask ``kind`` it is of, -1 for several.
    gates : whether points of other tiles take their cycles.
    """

    level: str
    depth: int
    name: str
    keys: tuple[Loop, ...]
    leader: int
    kind: str
    gates: bool

    def at(self, w: Writer) -> str:
        """At a point."""
        return access(self.name, [w.at(loop) for loop in self.keys])

    def of_tile(self, w: Writer) -> str:
        """At an iteration of its loops."""
        return access(self.name, w.variables(self.keys))

    def implied(self, masks: Sequence[str]) -> bool:
        """Whether it holds wherever these masks of the operands do."""
        return self.leader >= 0 and masks[self.leader] in ("nz", self.kind)


def needs_of(w: Writer, term: WorkTerm, operand: Operand, rule: OperandPolicy) -> tuple[Need, ...]:
    """What the tiles of a follower are called for by, outermost level first."""
    found = []
    for lead in rule.leads:
        (stay,) = (s for s in w.schedule.stays[operand.tensor] if s.level == lead.level)
        way = w.schedule.residency(stay, operand.variables, term.ranks)
        leader = term.operands[lead.leader]
        named = {*way.own, *way.again, *way.inside, *way.beside}
        keys = [loop for loop in w.schedule.loops if loop in named]
        keys = had(keys, leader.variables)
        mask = w.mask(lead.kind, leader)
        name = w.held(f"some{leader.tensor}", leader, mask, keys, op="|=")
        what = lead.leader, lead.kind, lead.gates
        found.append(Need(lead.level, lead.depth, name, tuple(keys), *what))
    return tuple(found)


def need_inside(w: Writer, term: WorkTerm, operand: Operand, level: str) -> tuple[Need, ...]:
    """What tiles of a level are called for by where a term has brackets: a point within them."""
    if not term.within:
        return ()
    (stay,) = (s for s in w.schedule.stays[operand.tensor] if s.level == level)
    way = w.schedule.residency(stay, operand.variables, term.ranks)
    named = {*way.own, *way.again, *way.inside, *way.beside}
    keys = [loop for loop in w.schedule.loops if loop in named]
    keys = had(keys, set(ranks_of(term.within)))
    left = [w.at(loop) for loop in keys]
    name = w.logic(f"open{operand.tensor}", left, [w.inside(term)])
    w.shaped(name, keys, keys)
    return (_of_several(name, tuple(keys)),)


def needs_of_term(w: Writer, term: WorkTerm, rules: Sequence[OperandPolicy]) -> tuple[Need, ...]:
    """What the points of a term are called for by: outermost level first, and of one level what
    skips before what gates."""
    found = dict.fromkeys(
        need
        for operand, rule in zip(term.operands, rules, strict=True)
        for need in needs_of(w, term, operand, rule)
    )
    return tuple(sorted(found, key=lambda need: (need.depth, need.gates)))


def any_of(w: Writer, needs: Sequence[Need], served: Iterable[Loop]) -> tuple[Need, ...]:
    """The same where one read serves all iterations of ``served``: any of them calls for it."""
    gone = set(served)
    if not any(gone & set(need.keys) for need in needs):
        return tuple(needs)
    keys = tuple(loop for loop in keys_of(w, needs) if loop not in gone)
    called = list(dict.fromkeys(need.of_tile(w) for need in needs))
    name = w.logic("called", w.variables(keys), called)
    return (_of_several(name, keys),)


def anew(
    w: Writer, needs: Sequence[Need], moving: Loop, served: Iterable[Loop]
) -> tuple[Need, ...]:
    """Tiles that are called for where that of the iteration before was not: nothing of them is
    there.  None where the loop changes nothing about it."""
    if not any(moving in need.keys for need in needs):
        return ()
    keys = keys_of(w, needs)
    now, before = w.loops[moving.name], w.before(moving)
    here = w.variables(keys)
    there = dict.fromkeys(
        access(need.name, [before if k == moving else w.loops[k.name] for k in need.keys])
        for need in needs
    )
    called = list(dict.fromkeys(need.of_tile(w) for need in needs))
    had = w.logic("had", here, [*called, *there, f"({now} == {before}+1)"])
    left = tuple(loop for loop in keys if loop not in set(served))
    missed = f"({access(had, here)} == 0)"
    name = w.logic("anew", w.variables(left), [*called, missed])
    return (_of_several(name, left),)


def _of_several(name: str, keys: tuple[Loop, ...]) -> Need:
    return Need("", 0, name, keys, -1, "", False)


def keys_of(w: Writer, needs: Sequence[Need]) -> tuple[Loop, ...]:
    """Loops of any of them, outermost first."""
    named = {loop for need in needs for loop in need.keys}
    return tuple(loop for loop in w.schedule.loops if loop in named)


def times(w: Writer, loops: Sequence[Loop], needs: Sequence[Need]) -> list[str]:
    """Factors of a sum over the iterations of these loops that are called for."""
    keyed = {loop.rank for need in needs for loop in need.keys}
    factors = w.times([loop for loop in loops if loop.rank not in keyed])
    for rank in dict.fromkeys(loop.rank for loop in loops if loop.rank in keyed):
        mine = [loop for loop in loops if loop.rank == rank]
        if not any(set(mine) <= set(need.keys) for need in needs):
            name = "".join(w.ranks[one] for one in mine[0].ranks)
            ran = w.logic(f"ran{name}", [w.at(loop) for loop in mine], ["1"])
            w.shaped(ran, mine, mine)
            factors.append(access(ran, w.variables(mine)))
    return [*factors, *dict.fromkeys(need.of_tile(w) for need in needs)]

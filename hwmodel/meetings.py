"""Dot products of any layer: where fibers of its operands meet, and steps to find what all hold.

    O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]     along c: I[n,:,h,w] meets F[m,:,r,s] at each
                                               (n, m, p, q, r, s)
    O[m,n] = A[m,k]*B[n,k]*C[k]                A[m,:] meets B[n,:], and what both hold C

The rank is an axis by itself of all that have it, summed over, and the innermost loop.  Of three
fibers or more a unit finds what the first two hold, in the order in which the charge prints them,
then what of that the next one holds: it takes two lists at a time.  A fiber in the padding is not
there, and then no unit takes a step for those that it would meet; nor where an operand without the
rank, by which the design skips, stores nothing.  Brackets cut fibers as they cut loops, and so do
tiles that do not come, as nobody calls for them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError
from zeroskip.hwmodel.at_points import AtPoints, listed
from zeroskip.hwmodel.boxes import alone
from zeroskip.hwmodel.brackets import ranks_of
from zeroskip.hwmodel.called import Called
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Operand
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Read
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.relations import Whole
from zeroskip.hwmodel.unit_section import Unit
from zeroskip.hwmodel.units import Access, intersection


@dataclass(frozen=True, slots=True)
class Meeting:
    """Operands of a layer whose fibers meet along a rank, by number; the first leads.

    called : points in tiles that come, where not all do.
    """

    layer: Layer
    sides: tuple[int, ...]
    rank: str
    called: Called | None = None

    @property
    def others(self) -> tuple[int, ...]:
        """Operands without the rank."""
        return tuple(i for i in range(len(self.reads)) if i not in self.sides)

    @property
    def reads(self) -> tuple[Read, ...]:
        """Every operand."""
        return self.layer.work[0].operands


def meeting_of(
    layer: Layer, schedule: Schedule, rank: str | None, called: Called | None = None
) -> Meeting:
    """Where fibers of a layer meet along its innermost loop.

    rank : along which they have to, if any; else the first that is summed over and fits.

    Raises
    ------
    ArchError
        For a layer that is no single product with such a rank, and for a mapping of which another
        loop is inside that of the rank, or the rank goes across PEs.
    """
    operands = layer.work[0].operands
    one = len(layer.work) == 1 and not layer.additions and len(operands) > 1
    if not one or not all(o.absorbs for o in operands):
        raise ArchError(
            "units.intersect: expected a product of operands whose fibers meet, found "
            f"{layer.form_text}: of functions and of terms that are added no unit says in which "
            "order it finds what all hold\nWrite it as several lines, each a product, or leave "
            "intersect out of the architecture."
        )
    fit = [r for r in layer.reductions if _meet(operands, r)]
    chosen = rank if rank is not None else next(iter(fit), None)
    if chosen is None or chosen not in fit:
        such, wanted = ", ".join(fit) or "none", "" if rank is None else f", {rank},"
        names = " and ".join(o.tensor for o in operands)
        raise ArchError(
            f"units.intersect: expected a rank{wanted} that is summed over and an axis by itself "
            f"of {names}, in {layer.form_text}; such are: {such}\n"
            "Name one by units.intersect.rank, or leave intersect out."
        )
    _check_loops(schedule, chosen)
    return met_along(layer, chosen, called)


def met_along(layer: Layer, rank: str, called: Called | None = None) -> Meeting:
    """Of the operands that have a rank."""
    every = enumerate(layer.work[0].operands)
    sides = tuple(i for i, one in every if rank in one.variables)
    return Meeting(layer, sides, rank, called)


def _meet(operands: Collection[Read], rank: str) -> bool:
    """Whether fibers of two operands or more are along a rank, and nothing else of it is there."""
    there = [one for one in operands if rank in one.variables]
    return len(there) > 1 and all(alone(one.subscripts, one.pads, rank) for one in there)


def _check_loops(schedule: Schedule, rank: str) -> None:
    loops = [loop for loop in schedule.loops if not loop.single]
    along = [number for number, loop in enumerate(loops) if rank in loop.ranks]
    inside = [x.name for x in loops[min(along, default=0) :] if rank not in x.ranks and not x.dims]
    across = [loops[number].name for number in along if loops[number].dims]
    if along and (inside or across or any(x.numbering for x in loops)):
        why = f"{inside[0]} is inside it" if inside else f"{(across or [rank])[0]} cuts its fibers"
        raise ArchError(
            f"units.intersect: fibers along {rank} meet where it is the innermost loop, and {why} "
            f"in {schedule.mapping}\nMove {rank} innermost in time, or leave intersect out."
        )


def steps_of_meeting(
    unit: Unit,
    meeting: Meeting,
    operands: Mapping[str, Operand],
    known: Collection[int] = (),
    told: Collection[str] = (),
) -> tuple[Whole, tuple[str, ...], str]:
    """Steps of a unit over all fibers that meet: at each place of some ranks, these, and the lines
    that count them.

    known : operands that the design skips by.
    told : ranks of which each place is counted by itself, where it tells which fibers meet.

    Raises
    ------
    ArchError
        For operands of more than `MOST_SCATTERED` places: a scan has a value for each.
    """
    layer = meeting.layer
    at = AtPoints(layer, operands, along=meeting.rank)
    lines, stages = _Lines(meeting, at, [i for i in meeting.others if i in known], told), []
    left, sides = lines.access(meeting.sides[0]), meeting.sides
    for n, number in enumerate(sides[1:], 1):
        right, target = lines.access(number), "steps" if n == 1 else f"steps{n}"
        stages.append(target)
        lines.count(unit.how, left, right, target, sides[: n + 1])
        if number != sides[-1]:
            left = lines.met(left, right, sides[: n + 1])
    text = "\n".join(lines.text)
    if not all(layer.extents.ranks.values()):
        return np.zeros([layer.extent(rank) for rank in lines.over], np.int64), lines.over, text
    found = at.evaluated(text)
    steps = np.asarray(sum(np.asarray(found[name], np.int64) for name in stages))
    again = [rank for rank in layer.work[0].ranks if rank not in lines.held]
    return steps * prod(layer.extent(rank) for rank in again), lines.over, text


class _Lines:
    """Lines of accounting for fibers that meet.

    known : operands without the rank, where nothing meets unless they store something.
    told : ranks of which each place is counted by itself; ``over`` : those that the lines have.
    """

    def __init__(
        self, meeting: Meeting, at: AtPoints, known: Collection[int], told: Collection[str]
    ) -> None:
        self.at, self.reads, self.rank = at, meeting.reads, meeting.rank
        self.sides, self.text = meeting.sides, list[str]()
        within = meeting.layer.work[0].within
        cut = [one for one in within if self.rank in ranks_of([one])]
        aside = [one for one in within if one not in cut]
        masks = [(ranks_of(part), at.inside(part)) for part in (cut, aside) if part]
        if (called := meeting.called) is not None:
            masks.append((called.ranks, at.given_mask(called.name, called.mask, called.ranks)))
        cutting = [(ranks, mask) for ranks, mask in masks if self.rank in ranks]
        self.cut = tuple(dict.fromkeys(rank for ranks, _ in cutting for rank in ranks))
        self.inside = "*".join(mask for _, mask in cutting)
        self.always = [mask for ranks, mask in masks if self.rank not in ranks]
        self.always += [at.stored(i) for i in known]
        having = [self.reads[i].variables for i in (*self.sides, *known)]
        self.held = set[str]().union(*having, *(ranks for ranks, _ in masks))
        self.over = tuple(rank for rank in told if rank in self.held - {self.rank})

    def access(self, number: int) -> Access:
        """The fibers of an operand; where something cuts them, those of each point outside."""
        read, at = self.reads[number], self.at
        self._check(f"an operand, found {read.tensor}", read.lengths)
        places = at.subscripts(read.subscripts)
        if self.cut:
            return self._made(f"at{number}", {*read.variables, *self.cut}, at.stored(number))
        own = []
        for axis, (subscript, length) in enumerate(zip(read.subscripts, read.lengths, strict=True)):
            along = single(subscript) == self.rank
            own.append("k" if along else f"{'abcdef'[number]}{axis}")
            at.sizes |= {} if along else {own[-1]: length}
        return Access(at.mask(number), tuple(own), places)

    def met(self, left: Access, right: Access, sides: Collection[int]) -> Access:
        """What both hold, as fibers of each point outside."""
        told = set[str]().union(*(self.reads[i].variables for i in sides), self.cut)
        return self._made(f"met{len(sides) - 1}", told, f"{left}*{right}", cut=False)

    def count(
        self, how: str, left: Access, right: Access, target: str, sides: Collection[int]
    ) -> None:
        """The steps of two at a time; sides : what is in them."""
        led, word = how == "leader-follower", how.startswith("bitmask")
        there = [i for i in self.sides if word or i not in sides or (led and i == max(sides))]
        factors = [*(self._there(i) for i in there), *self.always]
        over = [self.at.names[rank] for rank in self.over]
        places = f"{target}{listed(over)}"
        if led:
            self.text.append(f"{places} += {'*'.join([str(left), *factors])}")
        elif word:
            width = how[len("bitmask(") : -1]
            ranks = [self.at.names[r] for r in self.cut if r != self.rank]
            if not any(line.startswith("stepsWord") for line in self.text):
                words = listed([*ranks, f"k//{width}"])
                self.text.append(f"stepsWord{words} |= {self.inside or 1}")
            each = f"stepsWord{listed([*ranks, 'j'])}"
            self.text.append(f"{places} += {'*'.join([each, *factors])}")
        else:
            self.text.append(intersection(how, left, right, "k", target, over, factors))

    def _made(self, name: str, told: Collection[str], what: str, *, cut: bool = True) -> Access:
        layer = self.at.layer
        ranks = [r for r in layer.ranks if r in told and r != self.rank]
        lengths = [layer.extent(rank) for rank in (*ranks, self.rank)]
        self._check("points at which fibers meet, found", lengths)
        access = Access(name, (*(self.at.names[r] for r in ranks), "k"))
        inside = f"*{self.inside}" if cut else ""
        self.text.append(f"{access} |= {what}{inside}")
        return access

    def _there(self, number: int) -> str:
        """Whether a fiber is not in the padding."""
        read = self.reads[number]
        places = self.at.subscripts(read.subscripts)
        along = [single(s) == self.rank for s in read.subscripts]
        first = ["0" if is_along else text for is_along, text in zip(along, places, strict=True)]
        return f"{self.at.mask(number, 'in')}{listed(first)}"

    def _check(self, what: str, lengths: Collection[int]) -> None:
        if prod(lengths) > MOST_SCATTERED:
            shape = " x ".join(map(str, lengths))
            raise ArchError(
                f"units.intersect: counts at most {MOST_SCATTERED:,} places of {what} of {shape}\n"
                "Charge a part of the layer."
            )

"""Lines that count what moves between levels: fills of operands.

    heldI[c,i,j] += nzI[n,c,h,w]*winI_h[i,h]*winI_w[j,w]     the tile of each step in each PE
    fetchedI += heldI[c,i,j]                                   every fill
    mostI max= heldI[c,i,j]                                    room that it needs

A tile comes once for each iteration of the loops outside its mark, but for the unbroken run of
loops directly outside it that the tensor does not have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from zeroskip.errors import ArchError
from zeroskip.hwmodel.boxes import access
from zeroskip.hwmodel.fiber_lines import fibers
from zeroskip.hwmodel.fields import Field
from zeroskip.hwmodel.halos import moves_over_itself
from zeroskip.hwmodel.layer import Operand, WorkTerm
from zeroskip.hwmodel.leading import Need, anew, any_of, need_inside, needs_of, times
from zeroskip.hwmodel.nest import Loop, Stay, iterations
from zeroskip.hwmodel.passing import read_apart, taken_apart
from zeroskip.hwmodel.plan import Call, Encoded, Fill, Flow, Turns
from zeroskip.hwmodel.policy import OperandPolicy
from zeroskip.hwmodel.stored import Stored
from zeroskip.hwmodel.turns import parted, turns_of
from zeroskip.hwmodel.writer import Writer

_BY_FIBER = "several compressed levels, fiber pointers, run lengths, groups and blocks"
_INSTEAD = "Give it one level C or B without pointer_bits"


@dataclass(frozen=True, slots=True)
class Way:
    """What comes to a level from one outside it.

    parts : masks of what does; empty for all.  staying : of these, what the level keeps.
    first : whether it is the next one outside; what comes from further out passed those between.
    """

    outer: Stay
    parts: tuple[str, ...] = ()
    staying: tuple[str, ...] = ()
    first: bool = True


def fills_of(
    w: Writer,
    term: WorkTerm,
    operand: Operand,
    rule: OperandPolicy,
    suffix: str,
    number: tuple[int, int] | None,
) -> tuple[Fill, ...]:
    """The lines of one operand of one term, and what they count; innermost level first.

    number : of the term, and of the operand in it.  None: marks do not hold, as an addition is
        brought in once, but for what the units themselves are handed at each point.
    """
    stays = w.schedule.stays[operand.tensor]
    w.comment(f"{operand.tensor} from {way_through(stays)}")
    found = []
    tiled = number is not None
    for depth in range(len(stays) - 1, 0, -1):
        stay = stays[depth]
        if not tiled and not stay.each:
            stay = replace(stay, position=0)
        used_up = _used_up(w, term, operand, stay) if tiled else []
        timed = w.timed and tiled
        inside = need_inside(w, term, operand, stay.level) if tiled or stay.each else ()
        for way in _ways(w, stays[: depth + 1], number):
            every = w, term, operand, rule, suffix, way, stay, used_up, inside
            found.append(_fill(*every, timed=timed))
    return tuple(found)


def _ways(w: Writer, stays: Sequence[Stay], number: tuple[int, int] | None) -> Iterator[Way]:
    """From where the last of these levels is filled: the next outside; where tiles spill there, of
    what passes it the next but one, and so on."""
    *outside, stay = stays
    masks = {} if number is None else {s.level: w.spills.get((*number, s.level)) for s in stays}
    own = masks.get(stay.level)
    staying = parts = () if own is None else (own[0],)
    for outer in reversed(outside):
        spill = masks.get(outer.level)
        first = outer is outside[-1]
        if spill is None:
            yield Way(outer, parts, staying, first)
            return
        fit, away = spill
        yield Way(outer, (*parts, fit), staying, first)
        parts = (*parts, away)


def _fill(
    w: Writer,
    term: WorkTerm,
    operand: Operand,
    rule: OperandPolicy,
    suffix: str,
    source: Way,
    stay: Stay,
    used_up: Sequence[Loop],
    inside: Sequence[Need],
    *,
    timed: bool,
) -> Fill:
    """inside : what its tiles are called for by beside leaders."""
    outer, parts = source.outer, source.parts
    way = w.schedule.residency(stay, operand.variables, term.ranks)
    every = w.schedule.stays[operand.tensor]
    taken = taken_apart(every, [s.level for s in every].index(stay.level), way.beside)
    apart = read_apart(outer, stay, taken)
    extents = w.layer.extents.ranks
    moving = None if stay.refilled else way.moving
    if not moves_over_itself(operand, moving, way.keys, extents):
        moving = None
    whole = way.whole(stay) and not parts and not operand.gathered
    ways = [rule.stored[x.level] for x in (stay, outer) if x.level in rule.stored]
    by_fiber = not whole and any(stored.by_fiber for stored in ways)
    if by_fiber and operand.gathered and (moving is not None or any(x.by_places for x in ways)):
        level = next(x.level for x in (stay, outer) if rule.stored[x.level].by_fiber)
        by_places = any(x.by_places for x in ways)
        refill = "" if by_places else f"{stay.level} halo: whole, or "
        raise ArchError(
            f"{operand.tensor} is {rule.stored[level].format.label} in {level}: of what an index "
            "tensor names, run lengths, groups and blocks, and what newly comes of several "
            "compressed levels and fiber pointers, are not counted as yet\n"
            f"Give {refill}{operand.tensor} one level C or B without pointer_bits."
        )
    if by_fiber and timed and (stay.words or outer.words):
        raise ArchError(
            f"overlap: {operand.tensor} passes {stay.level if stay.words else outer.level}, and of "
            f"a stream {_BY_FIBER} are not counted by epoch\n{_INSTEAD}, or leave out overlap."
        )
    if by_fiber:
        _check_fibers(operand, stay, source)
    if moving is not None or by_fiber or rule.stored[stay.level].by_fiber:
        used_up = []  # what stays has to be there as long as the tile is; fibers are not cut
    levels = [s.level for s in every]
    needs = [
        need
        for need in needs_of(w, term, operand, rule)
        if levels.index(need.level) <= levels.index(stay.into or stay.level)
    ]
    needs += inside
    told = {loop.rank for need in needs for loop in need.keys}
    turns: Turns | None = None
    if timed:
        used_up = parted(operand, used_up)
        turns = turns_of(w, way, used_up, apart, taken, told)
    again = iterations([*way.again, *apart], extents)
    arrivals = iterations([*way.again, *taken], extents)
    if needs:
        again = arrivals = 1  # then either is counted by itself
    innermost = stay.level == w.schedule.stays[operand.tensor][-1].level
    label = operand.tensor + suffix

    def comings(loops: Sequence[Loop], held: str, kept: str) -> list[tuple[str, list[str]]]:
        """Terms of a sum over all tiles that come, of their entries; kept: those that stay."""
        served = [loop for loop in way.beside if loop not in loops]
        called = any_of(w, needs, served)
        terms = [("+", [*times(w, loops, called), held])]
        if moving is not None:
            terms.append(("-", [*times(w, loops, called), kept]))
            missed = anew(w, needs, moving, served)
            if missed:
                terms.append(("+", [*times(w, loops, missed), kept]))
        return terms

    def encoded(stored: Stored, *, room: bool) -> Encoded:
        def flow(field: Field, name: str) -> Flow:
            mask, fetched, most, loads = w.mask(field.kind, operand), "", "", ""
            tiles: tuple[str, tuple[Loop, ...]] = "", ()

            def count(
                wanted: str,
                loops: Sequence[Loop],
                masks: Sequence[str],
                staying: Loop | None = None,
            ) -> str:
                if field.axes is not None:
                    return fibers(w, wanted, operand, field, loops, staying)
                return w.held(wanted, operand, mask, loops, staying, parts=masks)

            level = name if innermost else f"{name}_{stay.level}"
            level = level if source.first else f"{level}_from_{outer.level}"
            if not whole:
                held = count(f"held{level}", way.keys, parts)
                kept = ""
                if moving is not None:
                    kept = count(f"kept{level}", way.keys, parts, moving)
                    kept = access(kept, w.variables(way.keys))
                loops = [*way.again, *(taken if needs and room else apart)]
                tile = access(held, w.variables(way.keys))
                fetched = w.sum(f"fetched{level}", (), comings(loops, tile, kept))
                if turns is not None:
                    keys = [*way.own, *used_up, *way.inside]
                    held = count(f"held{level}", keys, parts)
                    pes = taken if room else apart
                    loops = [loop for loop in (*way.again, *pes) if loop.rank in told]
                    brought = comings(loops, access(held, w.variables(keys)), kept)
                    loads = w.sum(f"loads{level}", w.variables(turns.keys), brought)
            elif turns is not None and used_up:
                loads = count(f"part{name}", used_up, ())
            if room and source.first and not stay.words:
                keys = [*way.own, *used_up, *way.inside]
                names = ("held", "most") if innermost else ("part", "tile")
                held = count(f"{names[0]}{name}", keys, source.staying)
                tile = access(held, w.variables(keys))
                most = w.once(f"{names[1]}{name}", "max=", [tile]) if keys else held
                tiles = held, tuple(keys)
            return Flow(fetched, most, loads, *tiles)

        if moving is not None:  # what newly comes has fibers of its own
            stored = stored.by_place(w.layer.extents.shapes[operand.tensor])
        entries = flow(Field(None, stored.kind, 0), label)
        beside = [(field, flow(field, f"{label}_{field.name}")) for field in stored.fields]
        return Encoded(stored, entries, tuple(beside))

    return Fill(
        operand=operand,
        role=w.layer.roles[operand.tensor],
        level=stay.level,
        parent=outer.level,
        inner=encoded(rule.stored[stay.level], room=True),
        outer=None if whole else encoded(rule.stored[outer.level], room=False),
        whole=again if whole and term.points else 0,
        called=tuple(Call(need.name, need.keys) for need in needs),
        reads=again,
        arrivals=arrivals,
        points=term.points,
        turns=turns,
        renewed=tuple(loop for loop in (*way.own, *way.again, *used_up) if loop != moving),
        parts=parts,
        words=stay.words,
    )


def way_through(stays: Sequence[Stay]) -> str:
    """``DRAM to GLB to PE``, ``DRAM through GLB (a stream, 1 word) to PE``."""
    found = stays[0].level
    for stay in stays[1:]:
        words = f"{stay.words} word{'s' * (stay.words > 1)}"
        how = f" through {stay.level} (a stream, {words})" if stay.words else f" to {stay.level}"
        found += how
    return found


def _check_fibers(operand: Operand, stay: Stay, source: Way) -> None:
    """Refuse tiles of which a part passes, where their metadata go by fibers: either part has some
    of its own."""
    if source.parts or source.staying:
        raise ArchError(
            f"{operand.tensor} in {stay.level}: its tiles spill, and of {_BY_FIBER} what passes is "
            f"not counted as yet\n{_INSTEAD}, or let overflow be "
            '"report", "refuse" or "split".'
        )


def _used_up(w: Writer, term: WorkTerm, operand: Operand, stay: Stay) -> list[Loop]:
    """Loops directly inside the mark, down to the sync, that the operand has: of what they go
    over, each part is used in one iteration only, and needs room in that alone.  None where the
    tile stays while a loop outside the mark goes on: each part is used once more then; nor of one
    whose places are named: any iteration may name them again."""
    if w.schedule.residency(stay, operand.variables, term.ranks).run or operand.gathered:
        return []
    steps = set(w.schedule.steps)
    inside = [loop for loop in w.schedule.loops[stay.position :] if loop in steps]
    inside = [loop for loop in inside if loop.of(term.ranks) and not loop.single]
    return list(takewhile(lambda loop: loop.within(operand.variables), inside))

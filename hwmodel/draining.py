"""Lines that count what the result moves between levels: drains, and when tiles of it leave.

    heldO[m1] += 1                                 the tile of each block
    drainedO += C*heldO[m1]                        it leaves after each c
    leavesO[m1] += heldO[m1]                       by epoch, where somebody asks

Of tiles with places in common, such as those of a window, lines say which tile is the first, and
which the last, to have each place (`zeroskip.hwmodel.writer`): there it is new, and done.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from zeroskip.einsum_spec.walk import single
from zeroskip.hwmodel.boxes import access
from zeroskip.hwmodel.layer import WorkTerm
from zeroskip.hwmodel.moving import way_through
from zeroskip.hwmodel.nest import Loop, Stay, had, places
from zeroskip.hwmodel.plan import Drain, Leaving
from zeroskip.hwmodel.turns import turns_of
from zeroskip.hwmodel.writer import End, Writer


def drains_of(w: Writer) -> tuple[Drain, ...]:
    """The lines of the result, and what they count; innermost level first."""
    target = w.layer.target
    every = w.schedule.stays[target.tensor]
    w.comment(f"{target.tensor} from {way_through(every[::-1])}")
    stays = [stay for stay in every if not stay.words]
    found = []
    for outer, stay in reversed(list(pairwise(stays))):
        between = every[every.index(outer) + 1 : every.index(stay)]
        innermost = stay is stays[-1]
        name = target.tensor if innermost else f"{target.tensor}_{stay.level}"
        way = w.schedule.residency(stay, target.variables, w.layer.ranks)
        most, held = "", ""
        if not way.whole(stay):
            held = w.held(f"held{name}", target, "", way.keys)
            most = w.once(f"most{name}", "max=", [access(held, w.variables(way.keys))])
        resident = _resident(w, stay)
        drained = _drained(w, stay, name)
        distinct = _resident(w, outer)
        home = outer is stays[0]
        found.append(
            Drain(
                level=stay.level,
                parent=outer.level,
                most=most or resident,
                resident=resident,
                copies=sum(_joining(w, stay, _across(w, stay))),
                drained=drained,
                distinct=distinct,
                outer_copies=sum(_joining(w, outer, _across(w, outer))),
                leaving=_leaving(w, outer, stay, name, home=home) if w.timed and drained else (),
                tile=held or resident,
                keys=way.keys if held else (),
                renewed=(*way.own, *way.again),
                passes=tuple((one.level, one.words) for one in reversed(between)),
            )
        )
    return tuple(found)


def _resident(w: Writer, stay: Stay) -> str:
    """Distinct places of every instance along the result's own ranks."""
    target = w.layer.target
    across = had(w.schedule.across, target.variables)
    inside = [loop for loop in w.schedule.across if set(loop.dims) <= set(stay.instances)]
    inside = had(inside, target.variables)
    plain = all(single(s) is not None for s in target.subscripts)
    plain &= all(loop.within(target.variables) for loop in across)
    if plain or not across:
        inside = across  # no place is in two of them: the sum is the same
    name = target.tensor
    if inside:
        held = w.held(f"held{name}", target, "", inside)
        return w.once(f"written{name}", "+=", [access(held, w.variables(inside))])
    return w.held(f"distinct{name}", target, "", ())


def _drained(w: Writer, stay: Stay, name: str) -> tuple[str, ...]:
    """Entries that leave, by term; none where every entry leaves once."""
    target = w.layer.target
    ways = [w.schedule.residency(stay, target.variables, t.ranks) for t in w.layer.work]
    if not any(way.own or way.again for way in ways):
        return ()
    found = []
    for number, way in enumerate(ways):
        w.scope = f"result of {number}"
        held = w.held(f"held{name}", target, "", way.keys)
        factors = w.times([*way.again, *way.beside])
        tile = access(held, w.variables(way.keys))
        found.append(w.once(f"drained{name}", "+=", [*factors, tile]))
    w.scope = "result"
    return tuple(found)


def _leaving(
    w: Writer, outer: Stay, stay: Stay, name: str, *, home: bool
) -> tuple[Leaving | None, ...]:
    """When tiles of the result leave, and the lines of what one takes along; by term.

    home : whether that is what they leave for.
    """
    every = range(len(w.layer.work))
    done = [number for number in every if w.layer.work[number].points] or [*every]
    ranks = w.layer.work[done[0]].ranks
    told = w.schedule.residency(stay, w.layer.target.variables, ranks).inside
    copies = zip(_joining(w, stay, told), _joining(w, outer, told), strict=True)
    found: list[Leaving | None] = []
    for number, joining in enumerate(copies):
        w.scope = f"result of {number}"
        known = w, outer, stay, w.layer.work[number], name, joining
        ends = number == done[-1]
        found.append(_leaves(*known, home=home, ends=ends) if number in done else None)
    w.scope = "result"
    return tuple(found)


def _leaves(
    w: Writer,
    outer: Stay,
    stay: Stay,
    term: WorkTerm,
    name: str,
    joining: tuple[int, int],
    *,
    home: bool,
    ends: bool,
) -> Leaving:
    target = w.layer.target
    way = w.schedule.residency(stay, target.variables, term.ranks)
    turns = turns_of(w, way, (), way.beside, way.beside)
    apart = not w.reach_over(target, way.keys)
    there = [loop for loop in way.inside if set(loop.dims) <= set(outer.instances)]

    def count(what: str, inside: Sequence[Loop], end: End) -> str:
        """Of each iteration of the loops outside the sync."""
        keys = way.keys if apart else (*way.own, *inside)
        held = w.held(f"held{name}{what}", target, "", keys, end="" if apart else end)
        tile = access(held, w.variables(keys))
        return w.sum(f"leaves{name}{what}", w.variables(turns.keys), [("+", [tile])])

    return Leaving(
        turns,
        out=count("", way.inside, ""),
        begun=count("_begun", way.inside, "first"),
        new=count("_new", there, "first"),
        done=count("_done", (), "last") if home else "",
        copies=joining[0],
        outer_copies=joining[1],
        ends=ends,
    )


def _across(w: Writer, stay: Stay) -> list[Loop]:
    """Loops across instances of a level, over ranks of the result."""
    loops = [loop for loop in w.schedule.across if set(loop.dims) <= set(stay.instances)]
    return had(loops, w.layer.target.variables)


def _joining(w: Writer, stay: Stay, told: Sequence[Loop]) -> list[int]:
    """Of each term, instances that it is the first to bring a part of an entry to: those along the
    ranks that it is summed over.

    told : loops across PEs by which places are counted.

    A term without such a rank, or without any point, is done by the first PE along it; the latter
    only where there is no other.
    """
    loops = [loop for loop in w.schedule.across if set(loop.dims) <= set(stay.instances)]
    loops = [loop for loop in loops if loop not in told]
    extents, terms = w.layer.extents.ranks, w.layer.work
    idle = not any(term.points for term in terms)
    found, before = [], set[tuple[int, ...]]()
    for number, term in enumerate(terms):
        ranks = term.ranks if term.points else ()
        there = {tuple(row) for row in places(loops, extents, ranks).tolist()}
        there = there if term.points or (idle and not number) else set()
        found.append(len(there - before))
        before |= there
    return found

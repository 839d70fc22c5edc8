"""Lines that count what the home of a tensor holds on chip: all of it, or the largest tile.

homeS[i//4] += nzS[i,a]         entries of S at home in each iteration of the loop i1
mosthomeS max= homeS[i//4]      the room that they need

Beside a tile there may be a halo, places that other iterations need:

spanT[p1,a] |= (a+2 >= 4*p1)*(a < 4*p1+4)      places that are there in each iteration
aliveT[p1] += nzT[a]*spanT[p1,a]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.boxes import Box, access
from zeroskip.hwmodel.fiber_lines import fibers_of, listed
from zeroskip.hwmodel.fields import Field
from zeroskip.hwmodel.homes import Halo, accesses
from zeroskip.hwmodel.layer import Operand
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.plan import Encoded, Flow
from zeroskip.hwmodel.policy import Policy
from zeroskip.hwmodel.stored import Stored, stored_result
from zeroskip.hwmodel.tile_trees import Side
from zeroskip.hwmodel.writer import Writer


def housed(w: Writer, policy: Policy, arch: Arch) -> dict[str, Encoded]:
    """Tensor -> what its home on chip holds."""
    found = {}
    for name in w.schedule.mapping.home:
        w.comment(f"{name} at home in {w.schedule.stays[name][0].level}")
        stored = _stored(w, policy, arch, name)
        entries = _line(w, name, name, Field(None, stored.kind, 0))
        beside = [(x, _line(w, name, f"{name}_{x.name}", x)) for x in stored.fields]
        found[name] = Encoded(stored, entries, tuple(beside))
    return found


def _stored(w: Writer, policy: Policy, arch: Arch, name: str) -> Stored:
    """How a tensor lies at its home."""
    if name == w.layer.target.tensor:
        return stored_result(w.layer, w.schedule, arch)
    terms = [*zip(w.layer.work, policy.terms, strict=True)]
    terms += zip(w.layer.additions, policy.additions, strict=True)
    level = w.schedule.stays[name][0].level
    return next(
        rule.stored[level]
        for term, rules in terms
        for operand, rule in zip(term.operands, rules, strict=True)
        if operand.tensor == name
    )


def _line(w: Writer, name: str, label: str, field: Field) -> Flow:
    """What each tile holds of a field, and the most of these."""
    stay = w.schedule.stays[name][0]
    keys = tuple(loop for loop in w.schedule.loops[: stay.position] if not loop.single)
    operand = accesses(w.layer, name)[0]
    shape = w.layer.extents.shapes[name]
    whole = Operand(name, operand.subscripts, shape, ((0, 0),) * len(shape))
    halo = w.schedule.mapping.home[name].halo
    if halo is not None and name != w.layer.target.tensor:
        return _alive(w, label, whole, field, keys, halo)
    cut = {loop.rank for loop in keys}
    plain = [single(subscript) for subscript in operand.subscripts]
    places = [
        w.ranks[r] if r is not None and r in cut and plain.index(r) == axis else w.fresh(["a", "b"])
        for axis, r in enumerate(plain)
    ]
    if field.listed is None:
        held = fibers_of(w, f"home{label}", whole, field, keys, Box(tuple(places)))
    else:
        held = listed(w, f"home{label}", whole, field, keys, _sides(w, whole, keys))
    if halo is not None:
        return replace(_alive(w, label, whole, field, keys, halo), fetched=held)
    most = w.line(f"mosthome{label}", (), "max=", [access(held, w.variables(keys))])
    return Flow(fetched=held, most=most, tile=held, keys=keys)


def _alive(
    w: Writer, label: str, whole: Operand, field: Field, keys: Sequence[Loop], halo: Halo
) -> Flow:
    """The same of a tile and its halo: what is there in each iteration, place by place."""
    by_place = field.axes is None or len(field.axes) == len(whole.subscripts)
    if not by_place or field.under is not None:
        raise ArchError(
            f"halo {whole.tensor}: its metadata on chip go by fibers, of which a tile and its halo "
            f"have other ones than tiles\nGive {whole.tensor} a format of one level there, or U."
        )
    places = [w.fresh(["a", "b"]) for _ in whole.subscripts]
    turns = []
    for loop in keys:
        w.fixed[w.loops[loop.name]] = loop.count
        turns.append(w.loops[loop.name])
    w.fixed[places[halo.axis]] = whole.lengths[halo.axis]
    at, now = places[halo.axis], "".join(f"{halo.block}*{turn}+" for turn in turns)
    first, behind = halo.block * halo.late, halo.block * (halo.late + 1)
    within = [f"({at}+{halo.before} >= {now}{first})", f"({at} < {now}{behind})"]
    span = w.line(f"span{label}", [*turns, at], "|=", within)
    factors = [access(w.mask(field.kind, whole), places), access(span, [*turns, at])]
    held = w.line(f"alive{label}", turns, "+=", factors)
    most = w.line(f"mosthome{label}", (), "max=", [access(held, turns)])
    return Flow(fetched=held, most=most, tile=held, keys=tuple(keys))


def _sides(w: Writer, whole: Operand, keys: Sequence[Loop]) -> list[Side]:
    """Of the first axis of a rank that loops cut, the places of each iteration; of another all."""
    found = []
    ranks = [single(subscript) for subscript in whole.subscripts]
    for axis, (subscript, rank) in enumerate(zip(whole.subscripts, ranks, strict=True)):
        first = ranks.index(rank) == axis
        mine = tuple(loop for loop in keys if first and loop.rank == rank)
        extents = ((rank, w.layer.extent(rank)),) if mine and rank is not None else ()
        found.append(Side((axis,), (subscript,) if mine else (), mine, extents))
    return found

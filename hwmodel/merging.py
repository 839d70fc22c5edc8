"""What mergers merge: partial results that are sorted fibers along the innermost loop.

    Z[m,n] = A[m,k]*B[k,n]          order m k n: row k of B for each entry (m, k) of A, into row m
                                    order n k m: column k of A for each entry (k, n) of B, into
                                    column n
    Z[b,m,n] = A[b,m,k]*B[b,k,n]    order b m k n: the same of each b

The rank of the innermost loop is an axis by itself of the result and of one operand, the follower:
its fibers come, one for each iteration of the loops outside at which all other operands have an
entry.  Those of one fiber of the result are merged, in the order of the loops; loops across PEs
count as if in time, and fibers are whole, whatever blocks they are cut into.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import NoReturn

import numpy as np

from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Compressed, Uncompressed
from zeroskip.hwmodel.at_points import AtPoints, listed
from zeroskip.hwmodel.boxes import alone
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Operand
from zeroskip.hwmodel.fibers import Fibers, fibers_of
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Read
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.pairs import is_pair, pair_of
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.relations import Whole
from zeroskip.hwmodel.traces import Nested, called_rows, trace_of
from zeroskip.hwmodel.unit_section import Unit
from zeroskip.hwmodel.units import merge_list, merge_tree


@dataclass(frozen=True, slots=True)
class Merging:
    """A layer whose partial results are fibers.

    follower : number of the operand whose fibers they are; into : their rank.
    group : the other ranks of the result.
    loops : one of each rank of the group, those that are summed over in their order, one of
        ``into``.
    """

    layer: Layer
    follower: int
    into: str
    group: tuple[str, ...]
    loops: tuple[Loop, ...]

    @property
    def operands(self) -> tuple[Read, ...]:
        return self.layer.work[0].operands

    @property
    def merged(self) -> tuple[str, ...]:
        """The ranks that merging one fiber goes over: its own, and those that are summed over."""
        return tuple(r for r in self.layer.work[0].ranks if r not in self.group)

    @property
    def axis(self) -> int:
        """Of the follower, that along which its fibers go."""
        return [single(s) for s in self.operands[self.follower].subscripts].index(self.into)


def merging_of(layer: Layer, schedule: Schedule, rank: str | None) -> Merging:
    """What a layer merges by its nest.

    rank : a rank that it has to be summed over, if any.

    Raises
    ------
    ArchError
        For a layer and a nest whose partial results are no fibers of the result.
    """
    term = layer.work[0]
    target = [single(s) for s in layer.target.subscripts]
    within = bool(term.within) and not is_pair(layer, rank)
    plain = len(layer.work) == 1 and not layer.additions and not within
    plain = plain and not term.counters and all(o.absorbs and not o.gathered for o in term.operands)
    if not plain or None in target or len(set(target)) < len(target):
        _refuse(layer, schedule, "it is no single product whose result has ranks as axes")
    if rank is not None and rank not in layer.reductions:
        _refuse(layer, schedule, f"it is not summed over {rank} (units.merge.rank)")
    into = _innermost(layer, schedule, target)
    if into not in target:
        _refuse(layer, schedule, f"its innermost loop is over {into or 'nothing'}")
    having = [i for i, o in enumerate(term.operands) if into in o.variables]
    read = term.operands[having[0]] if len(having) == 1 else None
    if read is None or not alone(read.subscripts, read.pads, into):
        names = " and ".join(term.operands[i].tensor for i in having) or "none"
        _refuse(
            layer,
            schedule,
            f"{into} has to be an axis by itself, without padding, of one operand, and is of "
            f"{names}",
        )
    if term.within:
        pair = pair_of(layer, "units.merge", rank)
        if into != pair.into:
            why = f"within brackets rows of {pair.follower} along {pair.into} are merged alone"
            _refuse(layer, schedule, f"{why}, and its innermost loop is over {into}")
    group = tuple(name for name in target if name is not None and name != into)
    if any(loop.numbering is not None or len(loop.ranks) > 1 for loop in schedule.loops):
        _refuse(layer, schedule, "its ranks are split by numbers of places")
    summed = [loop for loop in schedule.loops if loop.rank not in (*group, into)]
    whole = {name: Loop(name, name, 1, layer.extent(name)) for name in (*group, into)}
    loops = (*(whole[name] for name in group), *summed, whole[into])
    timed = tuple(replace(loop, dims=(), tiles=0) for loop in loops)
    return Merging(layer, having[0], into, group, timed)


def _innermost(layer: Layer, schedule: Schedule, target: list[str | None]) -> str:
    """The rank of the last loop that has iterations; before it of the last one of a rank of the
    result that has a single place, and then a single loop: its fibers hold that one."""
    loops = list(schedule.loops)
    while loops and loops[-1].single:
        if loops[-1].rank in target and layer.extent(loops[-1].rank) <= 1:
            break
        loops.pop()
    return loops[-1].rank if loops else ""


def _refuse(layer: Layer, schedule: Schedule, why: str) -> NoReturn:
    raise ArchError(
        "units.merge: expected partial results that are fibers of the result along the innermost "
        f"loop, such as rows of B in Z[m,n] = A[m,k]*B[k,n] by m k n; found {layer.form_text} by "
        f"{schedule.mapping}: {why}\nMove such a rank innermost, or leave units.merge out of the "
        "architecture."
    )


def steps_of_merging(
    unit: Unit, merging: Merging, operands: Mapping[str, Operand]
) -> tuple[Whole, str]:
    """Steps for each fiber of the result, and what counts them.

    Raises
    ------
    ArchError
        For a tree of mergers and an array, or padding, of more than `MOST_SCATTERED` places.
    RoomError
        For more partial fibers than memory has room for.
    """
    shape = tuple(merging.layer.extent(name) for name in merging.group)
    if unit.how == "list":
        text = "# zs_merge_steps (zs_mergers.c): each fiber of the result, of its parts' heads"
        if not merging.layer.work[0].points:
            return np.zeros(shape, np.int64), text
        return merge_list(*_pieces(merging, operands)).reshape(shape), text
    _check_sizes(merging, operands)
    at = AtPoints(merging.layer, operands)
    text = _lines(merging, at)
    if not merging.layer.work[0].points:
        return np.zeros(shape, np.int64), text
    counts = _counted(text, merging, at)
    radix = unit.radix or 2
    steps = merge_tree(counts["fibers"], counts["entries"], radix).reshape(shape)
    return steps, f"{text}\n# passes over up to {radix} fibers: each, its fibers + entries"


# ---- by lines ---------------------------------------------------------------------------


def _own(merging: Merging, at: AtPoints) -> list[str]:
    """A name for each axis of the follower: that of its rank, where it is one."""
    follower = merging.operands[merging.follower]
    return [
        f"x{a}" if single(s) is None or any(follower.pads[a]) else at.names[str(single(s))]
        for a, s in enumerate(follower.subscripts)
    ]


def _lines(merging: Merging, at: AtPoints) -> str:
    """``live``: fibers that hold anything; ``fibers``, ``entries``: what comes of them."""
    own, axis = _own(merging, at), merging.axis
    read = list(at.subscripts(merging.operands[merging.follower].subscripts))
    parts = [at.stored(number) for number in range(len(merging.operands))]
    held = parts.pop(merging.follower)
    live, there = (f"live{listed(names[:axis] + names[axis + 1 :])}" for names in (own, read))
    group = listed([at.names[rank] for rank in merging.group])
    told = {v for operand in merging.operands for v in operand.variables}
    again = [r for r in merging.layer.work[0].ranks if r not in told | {*merging.group}]
    first = [*(at.names[rank].upper() for rank in again), *parts]
    return "\n".join(
        [
            f"{live} |= {at.mask(merging.follower)}{listed(own)}",
            f"fibers{group} += {'*'.join([*first, there])}",
            f"entries{group} += {'*'.join([*first, held])}",
        ]
    )


def _counted(text: str, merging: Merging, at: AtPoints) -> dict[str, Whole]:
    lengths = merging.operands[merging.follower].lengths
    at.sizes |= dict(zip(_own(merging, at), lengths, strict=True))
    return {name: np.maximum(np.asarray(x), 0) for name, x in at.evaluated(text).items()}


def _check_sizes(merging: Merging, operands: Mapping[str, Operand]) -> None:
    for operand in merging.operands:
        wanted = Mask("st", operand.tensor, operand.lengths, operand.pads)
        listed = operands[operand.tensor].lists(wanted)
        if prod(operand.lengths) > MOST_SCATTERED and not listed:
            raise ArchError(
                f"units.merge: counts at most {MOST_SCATTERED:,} places of an operand, found "
                f"{operand.tensor} of shape {operands[operand.tensor].shape}\n"
                "Charge a part of the layer."
            )


# ---- one by one -------------------------------------------------------------------------


def _pieces(merging: Merging, operands: Mapping[str, Operand]) -> tuple[Fibers, Fibers]:
    """Of each fiber of the result the fibers that come, in the order of the loops; the fibers."""
    layer, axis = merging.layer, merging.axis
    (term,), number = layer.work, merging.follower
    tensor = merging.operands[number].tensor
    shape = layer.extents.shapes[tensor]
    outer = [a for a in range(len(shape)) if a != axis]
    bound = Format.of([*(((a,), Uncompressed()) for a in outer), ((axis,), Compressed())])
    known = frozenset(i for i in range(len(term.operands)) if i != number)
    nest = Nested(term, merging.loops, layer.extents.ranks, layer.extents.shapes, {}, known)
    trace = trace_of(nest, number, bound, operands, called_rows((), {}))
    stored = operands[tensor].coordinates
    fiber = np.zeros(len(stored[axis]), np.int64)
    for a in outer:
        fiber = fiber * shape[a] + stored[a]
    count = prod(shape[a] for a in outer)
    held = fibers_of(fiber, stored[axis], count, shape[axis])
    groups = np.zeros(len(trace.fibers), np.int64)
    for rank in merging.group:
        loop = next(i for i, one in enumerate(merging.loops) if one.rank == rank)
        groups = groups * layer.extent(rank) + trace.times[:, loop]
    order = np.argsort(groups, kind="stable")
    total = prod(layer.extent(rank) for rank in merging.group)
    positions = np.zeros(total + 1, np.int64)
    np.cumsum(np.bincount(groups, minlength=total), out=positions[1:])
    return Fibers(positions, np.ascontiguousarray(trace.fibers[order]), count), held

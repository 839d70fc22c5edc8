"""Dot products of any layer: where fibers of two operands meet, and steps to find what both hold.

    O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]     along c: I[n,:,h,w] meets F[m,:,r,s] at each
                                               (n, m, p, q, r, s)

The rank is an axis by itself of both, summed over, and the innermost loop.  A fiber in the padding
is not there, and takes no step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.subscripts import rename
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.errors import ArchError
from zeroskip.hwmodel.evaluate import MOST_SCATTERED, Operand, sized
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.layer import Operand as Read
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.plan import Mask
from zeroskip.hwmodel.relations import Whole
from zeroskip.hwmodel.unit_section import Unit
from zeroskip.hwmodel.units import SCANS, Access, intersection
from zeroskip.native.engine import evaluate


@dataclass(frozen=True, slots=True)
class Meeting:
    """Two operands of a layer whose fibers meet along a rank; the first leads."""

    layer: Layer
    left: Read
    right: Read
    rank: str


def meeting_of(layer: Layer, schedule: Schedule, rank: str | None) -> Meeting:
    """Where fibers of a layer meet along its innermost loop.

    rank : along which they have to, if any; else the first that is summed over and fits.

    Raises
    ------
    ArchError
        For a layer that is no single product of two operands with such a rank, and for a mapping
        of which another loop is inside that of the rank, or the rank goes across PEs.
    """
    operands = layer.work[0].operands
    two = len(layer.work) == 1 and not layer.additions and len(operands) == 2
    if not two or layer.work[0].within or not all(o.absorbs for o in operands):
        raise ArchError(
            "units.intersect: expected a product of two operands, whose fibers meet, found "
            f"{layer.form_text}: of more of them, of functions and of terms that are added no unit "
            "says in which order it finds what all hold\nWrite it as several lines, each a product "
            "of two operands, or leave intersect out of the architecture."
        )
    left, right = operands
    fit = [r for r in layer.reductions if _alone(left, r) and _alone(right, r)]
    chosen = rank if rank is not None else next(iter(fit), None)
    if chosen is None or chosen not in fit:
        listed, wanted = ", ".join(fit) or "none", "" if rank is None else f", {rank},"
        raise ArchError(
            f"units.intersect: expected a rank{wanted} that is summed over and an axis by itself "
            f"of {left.tensor} and {right.tensor}, in {layer.form_text}; such are: {listed}\n"
            "Name one by units.intersect.rank, or leave intersect out."
        )
    _check_loops(schedule, chosen)
    return Meeting(layer, left, right, chosen)


def _alone(operand: Read, rank: str) -> bool:
    """Whether a rank is an axis by itself, without padding, and in no other."""
    axes = [a for a, s in enumerate(operand.subscripts) if rank in variables(s)]
    return (
        len(axes) == 1
        and single(operand.subscripts[axes[0]]) == rank
        and not any(operand.pads[axes[0]])
    )


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
    unit: Unit, meeting: Meeting, operands: Mapping[str, Operand]
) -> tuple[Whole, str]:
    """Steps of a unit over all fibers that meet, and the lines that count them.

    Raises
    ------
    ArchError
        For operands of more than `MOST_SCATTERED` places: a scan has a value for each.
    """
    layer, rank = meeting.layer, meeting.rank
    sides = (meeting.left, meeting.right)
    for side in sides:
        if prod(side.lengths) > MOST_SCATTERED:
            raise ArchError(
                f"units.intersect: counts at most {MOST_SCATTERED:,} places of an operand, found "
                f"{side.tensor} of shape {operands[side.tensor].shape}\nCharge a part of the layer."
            )
    names = {r: f"v{i}" if r != rank else "k" for i, r in enumerate(layer.ranks)}
    sizes = {names[r]: layer.extent(r) for r in layer.ranks}
    given, stored, inside = {}, [], []
    for letter, side in zip("xy", sides, strict=True):
        axes = [single(s) == rank for s in side.subscripts]
        own = tuple("k" if along else f"{letter}{a}" for a, along in enumerate(axes))
        sizes |= {name: n for name, n in zip(own, side.lengths, strict=True) if name != "k"}
        read = tuple(deparse(rename(s, names.__getitem__, str)) for s in side.subscripts)
        stored.append(Access(f"st{letter}", own, read))
        first = ("0" if along else text for along, text in zip(axes, read, strict=True))
        inside.append(f"in{letter}[{','.join(first)}]")
        for kind in ("st", "in"):
            mask = Mask(kind, side.tensor, side.lengths, side.pads)
            given[f"{kind}{letter}"] = operands[side.tensor].mask(mask)
    if unit.how in SCANS:
        text = intersection(unit.how, stored[0], stored[1], "k", "steps", [])
    elif unit.how == "leader-follower":
        text = f"steps += {stored[0]}*{inside[1]}"
    else:
        word = f"stepsWord[k//{unit.how[len('bitmask(') : -1]}] |= 1"
        text = f"{word}\nsteps += stepsWord[j]*{'*'.join(inside)}"
    if not all(layer.extents.ranks.values()):
        return np.zeros(1, np.int64), text
    spec = sized(text, tuple(sizes.items()))
    masks = {name: mask for name, mask in given.items() if name in spec.operands}
    found = np.asarray(evaluate(spec, masks)["steps"], np.int64)
    again = [r for r in layer.work[0].ranks if r not in sides[0].variables | sides[1].variables]
    return found.reshape(1) * prod(layer.extent(r) for r in again), text

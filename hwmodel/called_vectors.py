"""Entries that tiles of a leader leave to vectors: what lanes find where tiles are called for.

    someI[c,r] |= nzI[n,c,2*p+r,2*q+s]*...     is anything of the leader I in this tile?
    called[c,r] |= someI[c,r]                  a row of F comes only then
    leftF                                      entries of F at a place of which some point is called

An entry that comes at any iteration of a step is there for the vectors of that step.  Which entries
these are has to be the same in each step and PE that an operand's place says nothing of.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.called import Called, called_of
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.policy import OperandPolicy
from zeroskip.hwmodel.relations import START, Column, axis, distinct
from zeroskip.hwmodel.traces import Nested, check_axes, nested, touched

_OUT = "Let the feature act @PE or @MAC, or leave out lanes."


def left_to_vectors(
    layer: Layer,
    schedule: Schedule,
    rules: Sequence[OperandPolicy],
    operands: Mapping[str, Operand],
    held: Mapping[str, Operand],
) -> dict[str, Operand]:
    """Operands of the one product of a layer without what never comes.

    rules : of its operands; held : these as vectors find them in PEs.

    Raises
    ------
    ArchError
        For gates, densities, what an index tensor names, and for tiles that come or not by steps or
        PEs of which the operand's places say nothing.
    """
    found = dict(held)
    (term,) = layer.work
    for number, operand in enumerate(term.operands):
        if not rules[number].leads:
            continue
        if any(lead.gates for lead in rules[number].leads):
            raise ArchError(
                f"lanes: cycles of what a gate keeps away of {operand.tensor} pass, and vectors of "
                f"it have none\nLet it skip. {_OUT}"
            )
        drawn = any(isinstance(operands[o.tensor], Expected) for o in term.operands)
        named = any(o.gathered for o in term.operands)
        if drawn or named:
            what = "of densities" if drawn else "where an index tensor names places"
            raise ArchError(
                f"lanes: {what}, which entries of {operand.tensor} tiles of a leader leave to "
                f"vectors is not counted\n{_OUT}"
            )
        alone = [r if i == number else replace(r, leads=()) for i, r in enumerate(rules)]
        called = called_of(layer, schedule, alone, operands)
        assert called is not None
        _check_places(schedule, called, operand.variables, operand.tensor)
        there = _left(nested(layer, schedule.loops, operands), number, called)
        stored = found[operand.tensor].stored
        found[operand.tensor] = Operand(stored.shape, stored & there)
    return found


def _check_places(schedule: Schedule, called: Called, own: set[str], tensor: str) -> None:
    """Refuse tiles of which the places of a tensor do not say whether they come."""
    across = [loop for loop in called.loops if loop.dims]
    steps = {loop.rank for loop in schedule.steps} & set(called.ranks) - own
    if across or steps:
        where = f"PEs along {across[0].name}" if across else f"steps of {min(steps)}"
        raise ArchError(
            f"lanes: tiles of {tensor} come by a leader to some {where} and not to others, and "
            f"vectors are of entries that are the same in all of them\n{_OUT}"
        )


def _left(nest: Nested, number: int, called: Called) -> NDArray[np.bool_]:
    """Places of an operand of which some point is in tiles that come."""
    operand = nest.term.operands[number]
    check_axes(operand)
    at = np.argwhere(called.mask)
    rows = {START: np.zeros(len(at), np.int64)}
    for rank, places in zip(called.ranks, at.T, strict=True):
        rows |= {Column(rank): places} if rank in operand.variables else {}
    rows = distinct(rows)
    columns, every = [column for column in rows if column != START], range(len(operand.subscripts))
    rows = touched(nest, operand, every, columns, rows, frozenset(every))
    found = np.zeros(nest.shapes[operand.tensor], np.bool_)
    found[tuple(rows[axis(a)] for a in every)] = True
    return found

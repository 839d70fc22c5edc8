"""Eyexam: seven bounds on the operations of a cycle, each with one more constraint.

Steps as in Y.-H. Chen, T.-J. Yang, J. Emer and V. Sze, "Eyeriss v2", JETCAS 2019, and in V. Sze et
al., IEEE Solid-State Circuits Magazine 12(3), 2020.  Where a bound falls, its constraint is what
performance is lost to.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from zeroskip.errors import ArchError
from zeroskip.table import Column, Table

if TYPE_CHECKING:
    from zeroskip.hwmodel.charge import Charge


def bounds_of(charge: Charge) -> tuple[float, ...]:
    """The seven bounds in operations a cycle, none above the one before.

    An operation is one that takes a cycle of a multiplier: those that a design skips are no work
    for it, those that it gates are.

    1  the layer: all operations at once
    2  the dataflow: places of the loops across the array, all at once; where a PE has several
       multipliers, times what lies inside the sync
    3  as many of these as there are multipliers
    4  those of PEs that the loops across reach in the array's shape
    5  storage: as 4; of a tile that does not fit nothing is cut: it is named (`Charge.overflow`),
       or what is too much streams (`Charge.spills`), which takes bandwidth, of 6
    6  operations over the cycles of the slowest level, at its mean bandwidth
    7  as charged: with steps that PEs wait at, units, transposes

    Raises `ArchError` for a charge without operations that take time, and for a cascade.
    """
    if not hasattr(charge, "schedule"):
        raise ArchError(
            "eyexam: expected the charge of one layer\nOf a cascade, take one of charge.lines."
        )
    if not charge.busy or not charge.cycles:
        raise ArchError("eyexam: no operation of this layer takes time: nothing bounds it")
    arch, schedule = charge.arch, charge.schedule
    parallel = prod(
        loop.count if charge.cartesian is None else max(loop.count, loop.tiles)
        for loop in schedule.across
    )
    if arch.multipliers > 1:
        waits = {loop.name for loop in schedule.steps}
        inside = (loop for loop in schedule.loops if loop.name not in waits and not loop.dims)
        parallel *= prod(max(loop.count, 1) for loop in inside)
    slowest = max(charge.bandwidth_cycles.values(), default=0)
    found: list[float] = [charge.busy]
    for bound in (
        parallel,
        arch.pes * arch.multipliers,
        charge.active_pes * arch.multipliers,
        found[0],
        charge.busy / slowest if slowest else found[0],
        charge.busy / charge.cycles,
    ):
        found.append(min(found[-1], bound))
    return tuple(found)


CONSTRAINTS = (
    "size of the layer",
    "dataflow",
    "number of PEs",
    "shape of the PE array",
    "storage",
    "mean bandwidth",
    "varying work and access: as charged",
)


def eyexam(charge: Charge) -> Table:
    """A row a bound, with the share of the one before that it leaves.

    Raises `ArchError` as `bounds_of` does.

    Examples
    --------
    >>> import numpy as np
    >>> import zeroskip as zs
    >>> charge = zs.charge("y[m] = F[m,k]*I[k]", "dense", F=np.ones((20, 64)), I=np.ones(64))
    >>> [float(bound) for bound in bounds_of(charge)[:5]]
    [1280.0, 20.0, 16.0, 16.0, 16.0]
    """
    bounds = bounds_of(charge)
    rows = [
        (step, name, bound, bound / before)
        for step, name, bound, before in zip(
            range(1, 8), CONSTRAINTS, bounds, (bounds[0], *bounds), strict=False
        )
    ]
    columns = [
        Column("step"),
        Column("constraint"),
        Column("bound", "operations/cycle", "by size"),
        Column("left", "", ".1%"),
    ]
    notes = [f"mapping: {charge.mapped}", f"bound by {charge.bound_by}"]
    notes += [f"storage: {text}: less is reached" for text in charge.overflow]
    notes += [f"storage: {text}" for text in charge.spills]
    return Table(f"{charge.text} on {charge.arch.name}: bounds", columns, rows, notes)

"""Counts into operations by class, cycles and energy."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import NETWORK, Moves, Traffic, by_level
from zeroskip.hwmodel.plan import Accounting, TermPlan, total
from zeroskip.hwmodel.traffic import Counts, merged_of

CLASSES = ("effectual", "gated", "skipped", "never_fetched", "ineffectual")
"""Classes of the points of the iteration space; each point is in one."""


def classes_of(
    cascade: Accounting, counts: Counts, effectual: tuple[int, ...]
) -> tuple[dict[str, int], dict[str, int]]:
    """Points and multiplications by class, from what is counted of each term."""
    ops = dict.fromkeys((*CLASSES, "dense"), 0)
    multiplications = dict(ops)
    for plan, useful in zip(cascade.terms, effectual, strict=True):
        busy, executed = total(counts, plan.busy), total(counts, plan.executed)
        every = plan.term.points
        fetched = total(counts, plan.fetched) if plan.fetched else every
        points = {
            "effectual": useful,
            "gated": busy - executed,
            "skipped": fetched - busy,
            "never_fetched": every - fetched,
            "ineffectual": executed - useful,
            "dense": every,
        }
        if all(isinstance(number, int) for number in points.values()):
            assert min(points.values()) >= 0, f"a class of operations is negative: {points}"
            assert sum(points[name] for name in CLASSES) == points["dense"]
        for name, number in points.items():
            ops[name] += number
            multiplications[name] += number * plan.term.multiplications
    return ops, multiplications


def cycles_of_a_point(plan: TermPlan) -> int:
    """Cycles of a multiplier for one point: an addition alone takes one too."""
    return max(plan.term.multiplications, 1)


def compute_cycles_of(arch: Arch, plan: TermPlan, counts: Counts) -> float:
    """Those of all steps."""
    found = compute_cycles_by_step(arch, plan, counts).sum()
    return float(found) if found.dtype.kind == "f" else int(found)


def compute_cycles_by_step(arch: Arch, plan: TermPlan, counts: Counts) -> NDArray[Any]:
    """Of several multipliers that share the points, rounded up."""
    if counts[plan.steps].dtype.kind == "f" and plan.turns:
        return counts[plan.turns]
    steps = counts[plan.steps] * cycles_of_a_point(plan)
    return steps if steps.dtype.kind == "f" else np.asarray(-(-steps // arch.multipliers))


def cycles_of_points(cascade: Accounting, counts: Counts) -> tuple[int, int]:
    """Multiplier cycles of all PEs together: with those of gated points, and without."""
    busy = worked = 0
    for plan in cascade.terms:
        each = cycles_of_a_point(plan)
        busy += each * total(counts, plan.busy)
        worked += each * total(counts, plan.executed)
    return busy, worked


def work_per_pe_of(
    arch: Arch, schedule: Schedule, cascade: Accounting, counts: Counts
) -> NDArray[np.int64]:
    """Points that take a cycle, at their place in the array."""
    names = [name for name, _ in arch.array]
    kinds = {counts[plan.of_pe].dtype for plan in cascade.terms if plan.term.points}
    work = np.zeros(arch.shape, dtype=np.result_type(np.int64, *kinds))
    for plan in cascade.terms:
        if plan.term.points == 0:
            continue
        part = counts[plan.of_pe]
        used = [a for a in schedule.across if a.of(plan.term.ranks)]
        whole = np.zeros([a.tiles for a in used], dtype=work.dtype)
        whole[tuple(slice(0, n) for n in part.shape)] = part
        sizes, order = [], []
        for across in used:
            sizes += [dict(arch.array)[dim] for dim in across.dims]
            order += [names.index(dim) for dim in across.dims]
        by_dim = np.transpose(whole.reshape(sizes), np.argsort(order)) if order else whole
        place = tuple(slice(None) if axis in order else 0 for axis in range(len(names)))
        work[place] += by_dim
    return work


def energy_of(
    arch: Arch,
    cascade: Accounting,
    counts: Counts,
    multiplications: Mapping[str, int],
    additions: int,
    traffic: Traffic,
    steps: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, float]:
    """Picojoules of multiplications, additions (of products, of biases, of parts of results in
    the buffer), and bits that move; of gated multiplications, of steps of units and of values that
    are compressed, where the table has them.

    steps : of the units, ``intersect`` and ``merge``; values of a result that is compressed.
    """

    def unit(name: str) -> float:
        action = arch.energy.action(name)
        return action.pj if action else 0.0

    executed = multiplications["effectual"] + multiplications["ineffectual"]
    added = sum(total(counts, plan.executed) for plan in cascade.terms)
    added += additions + merged_of(cascade, counts)
    energy = {"multiply": executed * unit("multiply"), "add": added * unit("add")}
    for name, number in {"gated": multiplications["gated"], **steps}.items():
        known = arch.energy.action(name) is not None
        if known and (name != "compress" or number):
            energy[name] = number * unit(name)
    moved = by_level(traffic)
    for name in (NETWORK, *(level.name for level in arch.levels)):
        energy[name] = energy_of_moves(arch, name, moved.get(name, Moves()))
    return energy


def energy_of_moves(arch: Arch, where: str, moved: Moves) -> Any:
    """Picojoules of what moves at a level, or on the network."""
    if where != NETWORK:
        return arch.level(where).energy_pj(moved)
    network = arch.energy.action(NETWORK)
    return network.energy_pj(moved.read_bits, moved.write_bits) if network else 0.0

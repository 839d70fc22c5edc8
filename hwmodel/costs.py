"""Counts into operations by class, cycles and energy."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.plan import Accounting, TermPlan
from zeroskip.hwmodel.traffic import NETWORK, Counts, Moves, Traffic, merged_of

CLASSES = ("effectual", "gated", "skipped", "never_fetched", "ineffectual")
"""Classes of the points of the iteration space; each point is in one."""


def classes_of(
    cascade: Accounting, counts: Counts, effectual: tuple[int, ...]
) -> tuple[dict[str, int], dict[str, int]]:
    """Points and multiplications by class, from what is counted of each term."""
    ops = dict.fromkeys((*CLASSES, "dense"), 0)
    multiplications = dict(ops)
    for plan, useful in zip(cascade.terms, effectual, strict=True):
        busy, executed = int(counts[plan.busy].sum()), int(counts[plan.executed].sum())
        every = plan.term.points
        fetched = int(counts[plan.fetched].sum()) if plan.fetched else every
        points = {
            "effectual": useful,
            "gated": busy - executed,
            "skipped": fetched - busy,
            "never_fetched": every - fetched,
            "ineffectual": executed - useful,
            "dense": every,
        }
        assert min(points.values()) >= 0, f"a class of operations is negative: {points}"
        assert sum(points[name] for name in CLASSES) == points["dense"]
        for name, number in points.items():
            ops[name] += number
            multiplications[name] += number * plan.term.multiplications
    return ops, multiplications


def _cycles_of_a_point(plan: TermPlan) -> int:
    """Cycles of a multiplier for one point: an addition alone takes one too."""
    return max(plan.term.multiplications, 1)


def compute_cycles_of(arch: Arch, plan: TermPlan, counts: Counts) -> int:
    steps = counts[plan.steps] * _cycles_of_a_point(plan)
    return int((-(-steps // arch.multipliers)).sum())


def cycles_of_points(cascade: Accounting, counts: Counts) -> tuple[int, int]:
    """Multiplier cycles of all PEs together: with those of gated points, and without."""
    busy = worked = 0
    for plan in cascade.terms:
        each = _cycles_of_a_point(plan)
        busy += each * int(counts[plan.busy].sum())
        worked += each * int(counts[plan.executed].sum())
    return busy, worked


def bandwidth_cycles_of(arch: Arch, traffic: Traffic) -> dict[str, int]:
    """Cycles of each level with a limit; local stores work side by side, on the mean PE."""
    found = {}
    for level in arch.levels:
        moved = sum((m for (name, _), m in traffic.items() if name == level.name), Moves())
        side_by_side = arch.number(level)
        times = [
            _cycles(bits, rate, side_by_side)
            for bits, rate in (
                (moved.read_bits, level.read_bits_per_cycle),
                (moved.write_bits, level.write_bits_per_cycle),
            )
            if rate is not None
        ]
        if times:
            found[level.name] = max(times)
    return found


def _cycles(bits: int, rate: float, side_by_side: int) -> int:
    """Bits over a rate, rounded up, without a rounding before."""
    top, bottom = rate.as_integer_ratio()
    return -(-bits * bottom // (top * side_by_side))


def work_per_pe_of(
    arch: Arch, schedule: Schedule, cascade: Accounting, counts: Counts
) -> NDArray[np.int64]:
    """Points that take a cycle, at their place in the array."""
    names = [name for name, _ in arch.array]
    work = np.zeros(arch.shape, dtype=np.int64)
    for plan in cascade.terms:
        if plan.term.points == 0:
            continue
        part = counts[plan.of_pe]
        used = [a for a in schedule.across if a.rank in plan.term.ranks]
        whole = np.zeros([a.tiles for a in used], dtype=np.int64)
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
) -> dict[str, float]:
    """Picojoules of multiplications, additions (of products, of biases, of parts of results in
    the buffer), and bits that move."""

    def unit(name: str) -> float:
        action = arch.energy.action(name)
        return action.pj if action else 0.0

    executed = multiplications["effectual"] + multiplications["ineffectual"]
    added = sum(int(counts[plan.executed].sum()) for plan in cascade.terms)
    added += additions + merged_of(cascade, counts)
    energy = {"multiply": executed * unit("multiply"), "add": added * unit("add")}
    network = arch.energy.action(NETWORK)
    bit = network.pj_per_bit if network else 0.0
    costs = {NETWORK: (bit, bit)}
    costs |= {lv.name: (lv.pj_per_bit, lv.metadata_pj_per_bit) for lv in arch.levels}
    for name, (data, metadata) in costs.items():
        moved = sum((m for (level, _), m in traffic.items() if level == name), Moves())
        energy[name] = moved.data_bits * data + moved.metadata_bits * metadata
    return energy

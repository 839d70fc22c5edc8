"""Time by epochs: what comes, is done and leaves in each iteration of the loops down to the sync.

    none      load 0 | work 0 | drain 0 | load 1 | work 1 | drain 1 ...
    double    load 0 | load 1 | load 2  | load 3  ...
                     | work 0 | work 1  | work 2  ...
                              | drain 0 | drain 1 ...

Tiles come before the first epoch that uses them and leave after the last (`turns`).  What comes or
leaves inside an epoch goes on beside its work with ``double``, and is loaded and drained like the
rest with ``none``.  A tensor that comes whole is spread over its parts by their entries, fiber
pointers and all, unless it has metadata by fibers there, which are not cut; what is added once
comes before the first epoch.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType

import numpy as np

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.bandwidth import cycles_of_many, kinds_of
from zeroskip.hwmodel.costs import compute_cycles_by_step
from zeroskip.hwmodel.epoch_bits import Cells, EpochBits
from zeroskip.hwmodel.epoch_drains import add_drains
from zeroskip.hwmodel.epoch_fills import Wholes, add_fills
from zeroskip.hwmodel.epoch_lines import EpochLines
from zeroskip.hwmodel.epoch_rows import EpochRows, rows_of
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import Moves, Traffic
from zeroskip.hwmodel.pipeline import Epochs, timed
from zeroskip.hwmodel.plan import Accounting, Fill
from zeroskip.hwmodel.traffic import Counts, addition_moves, operation_moves
from zeroskip.hwmodel.unit_charges import UnitCharge
from zeroskip.hwmodel.unit_epochs import steps_by_epoch


def epochs_of(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    traffic: Traffic,
    wholes: Wholes,
    stored: Moves,
    slowest: Cells | None = None,
    units: Mapping[str, UnitCharge] = MappingProxyType({}),
    lines: EpochLines | None = None,
) -> Epochs:
    """The epochs of a layer on an architecture that says how loads and work overlap.

    traffic : all that moves; its bits are those of all epochs together.
    wholes : (level outside, level, tensor) -> what a tensor that comes whole moves at either.
    stored : what the result moves off chip, in its format there.
    slowest : cycles of each step where they follow from no points, but from vectors of entries.
    units : by name; their steps are done beside the work of an epoch.
    lines : what moves in whole lines, or through a cache, if anything does.
    """
    terms: list[EpochRows] = []
    number = 0
    for plan in accounting.terms:
        if plan.term.points:
            terms.append(rows_of(layer, schedule, plan, number))
            number += len(terms[-1].rows)
    number = max(number, 1)
    means = any(x.dtype.kind == "f" for x in counts.values())
    bits = EpochBits(number, float if means else np.int64)
    compute: Cells = np.zeros(number, bits.kind)
    for term in terms:
        steps = slowest
        if steps is None:
            steps = compute_cycles_by_step(arch, term.plan, counts)
        compute[term.start : term.start + len(term.rows)] = term.pick(steps, term.loops)
    innermost = {tensor: stays[-1].level for tensor, stays in schedule.stays.items()}
    instead: Callable[[Fill], Collection[str]] = _nowhere
    written = None
    if lines is not None:
        lines.add(terms, bits)
        instead, wholes = lines.instead, lines.wholes(wholes)
        written = lines.written(terms)
    add_fills(layer, arch, accounting, counts, terms, wholes, innermost, bits, instead)
    _operations(layer, arch, schedule, accounting, counts, terms, bits)
    add_drains(layer, arch, accounting, counts, terms, stored, bits, written)
    if not means:
        _check(arch, traffic, bits)
    busy = {"compute": compute}
    for name, unit in units.items():
        busy[name] = cycles_of_many(_steps(layer, unit, terms), unit.unit.rate, 1)
    return timed(arch, busy, bits)


def _nowhere(_: Fill) -> Collection[str]:
    """Levels whose moves at a fill are not those by single bits, where no lines are."""
    return ()


def _steps(layer: Layer, unit: UnitCharge, terms: Sequence[EpochRows]) -> Cells:
    """Steps of a unit in each epoch of the one product; in the only one where it has no points."""
    if not terms:
        return np.array([unit.by_place.sum()])
    (term,) = terms
    return steps_by_epoch(unit.by_place, unit.ranks, term.loops, term.rows, layer.extents.ranks)


def _operations(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    terms: Sequence[EpochRows],
    bits: EpochBits,
) -> None:
    innermost = {tensor: stays[-1].level for tensor, stays in schedule.stays.items()}
    for term in terms:
        counted = {}
        for _, name in term.plan.reads:
            apart = tuple(range(len(term.loops), counts[name].ndim))
            counted[name] = term.pick(counts[name].sum(axis=apart), term.loops)
        here = slice(term.start, term.start + len(term.rows))
        for tensor, moves in operation_moves(term.plan, counted, arch, layer.target.tensor):
            bits.add("work", innermost[tensor], moves, here)
    for tensor, moves in addition_moves(layer, arch, accounting):
        bits.add("load", innermost[tensor], moves, 0)


def _check(arch: Arch, traffic: Traffic, bits: EpochBits) -> None:
    """All epochs together move what the layer moves."""
    for level in arch.levels:
        every = sum((m for (name, _), m in traffic.items() if name == level.name), Moves())
        for kind, number in kinds_of(every).items():
            cells = [moved[kind] for (_, at), moved in bits.moved.items() if at == level.name]
            found = sum(int(x.sum()) for x in cells)
            assert found == number, f"{level.name}, {kind}: {found} bits by epochs of {number}"

"""Which kernel a call runs, why that one, and how many multiplications it executes.

spec, operands ──► for each line: `Chosen` (schedule, reason, loop nest, C)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from zeroskip.einsum_spec.spec import Spec
from zeroskip.native import tile
from zeroskip.native.arguments import Operand, shapes
from zeroskip.native.emit import emit
from zeroskip.native.forms import is_joint
from zeroskip.native.lanes import LanePlan
from zeroskip.native.lines import Line, line_of
from zeroskip.native.prepared import Prepared, Slots, invocation
from zeroskip.native.results import target_for
from zeroskip.native.schedules import REUSE, WORTH_TILING, Schedule, kernel_of, schedule_of
from zeroskip.native.tile import TilePlan


@dataclass(frozen=True, slots=True)
class Chosen:
    """The kernel of one line on given operands.

    schedule : ``tiled``, ``lanes`` or ``plain``.
    """

    line: Line
    prepared: Prepared
    slots: Slots
    schedule: str
    why: str


def choose(
    spec: Spec, operands: Mapping[str, Operand], bound: Collection[str] = ()
) -> tuple[Chosen, ...]:
    """The kernel of every line.

    operands : results of earlier lines are left out; they are dense.
    bound : operands that are bound; of a single line, they are packed whatever its size.
    """
    known = dict(operands)
    extents = spec.extents(shapes(known))
    found = []
    for form in spec.forms:
        line = line_of(form, known, extents)
        target = target_for(line)
        schedule = schedule_of(line, bound if len(spec.forms) == 1 else ())
        prepared, slots = kernel_of(line, schedule, target)
        found.append(Chosen(line, prepared, slots, *_name_and_reason(line, schedule)))
        known[line.name] = target
    return tuple(found)


def result_dtype(spec: Spec, operands: Mapping[str, Operand]) -> np.dtype[Any]:
    """Type of the last result."""
    known = dict(operands)
    extents = spec.extents(shapes(known))
    for form in spec.forms:
        line = line_of(form, known, extents)
        known[line.name] = np.zeros((0,) * len(line.shape), line.dtype)
    return line.dtype


def executed(
    spec: Spec, operands: Mapping[str, Operand], bound: Collection[str] = ()
) -> int | None:
    """Multiplications of two operands that the kernels of a call execute, counted by the
    kernels themselves; None where there is no compiler."""
    total = 0
    for chosen in choose(spec, operands, bound):
        lowered = chosen.prepared.lowered
        counting = Prepared(lowered, emit(lowered.kernel, count_work=True), chosen.prepared.dtype)
        call = invocation(counting, chosen.slots)
        if call is None:
            return None
        total += call.call()
    return total


def _name_and_reason(line: Line, schedule: Schedule) -> tuple[str, str]:
    match schedule:
        case TilePlan():
            entries, lanes = schedule.entries.tensor, schedule.lane_access.tensor
            return "tiled", (
                f"each entry of {entries} meets register tiles of {lanes}, which is copied into "
                f"the order of vectors. {entries} is packed by rows of {line.name} first: once "
                "where it is bound, at every call where it is not."
            )
        case LanePlan():
            dense = ", ".join(n for n, s in line.signatures.items() if not s.skips)
            sparse = ", ".join(n for n, s in line.signatures.items() if s.skips)
            return "lanes", (
                f"the stored entries of {sparse} are walked, and a rank of {line.name} that they "
                f"lack runs in vectors, innermost, for which {dense} is turned."
            )
        case None:
            return "plain", f"the levels of the operands are walked as they lie: {_why_plain(line)}"


def _why_plain(line: Line) -> str:
    if is_joint(line.form):
        op = line.form.reduction or "+"
        return f"under {op}= the right side is evaluated whole, point by point."
    tiles = tile.plan(line.form, line.signatures, line.dtype.name)
    if tiles is not None:
        return (
            f"for fewer than {WORTH_TILING:,} multiplications, or no more than {REUSE} for each "
            f"element of {tiles.lane_access.tensor}, packing and copying cost more than they save."
        )
    products = [term for term in line.form.terms if len(term.accesses) > 1]
    if len(products) != 1:
        found = "there is none" if not products else f"these are {len(products)}"
        return f"the faster schedules take one product, and {found}."
    used = {access.tensor for access in products[0].accesses}
    if len({line.signatures[name].dtype for name in used}) > 1:
        return "the faster schedules take operands of one type."
    if all(line.signatures[name].skips for name in used):
        return "no operand of the product is dense, so that there are no rows to run vectors on."
    return (
        "the faster schedules want a rank of the result that a dense operand holds and the "
        "other lacks."
    )

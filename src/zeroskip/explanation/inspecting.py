"""Which kernel a call runs, why that one, and how many multiplications it executes.

spec, operands ──► for each line: `Chosen` (schedule, reason, loop nest, C)
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from zeroskip.einsum_spec.spec import Spec
from zeroskip.explanation.choosing import expected_format, why_auto, why_order
from zeroskip.formats.auto import is_auto
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.native.alike import all_finite
from zeroskip.native.appending import rows_kernel
from zeroskip.native.arguments import Operand, shapes, values
from zeroskip.native.dots import DotPlan
from zeroskip.native.emit import emit
from zeroskip.native.engine import Formats, formats_by_result
from zeroskip.native.fixed import OPEN, Schedule, Schedules, fixed_by_result
from zeroskip.native.halves import Widened, widened_lines
from zeroskip.native.lanes import LanePlan
from zeroskip.native.lines import Line, line_of
from zeroskip.native.order import Orders
from zeroskip.native.prepared import Prepared, Slots, invocation
from zeroskip.native.results import (
    alike_in,
    alike_kernel,
    assembly_of,
    bound_format,
    rearranged,
    target_for,
)
from zeroskip.native.rows import Assembly
from zeroskip.native.schedules import Plan, kernel_of, taken, why_plain
from zeroskip.native.settings import MAX_THREADS
from zeroskip.native.settling import settled
from zeroskip.native.spread import spread
from zeroskip.native.tile import TilePlan
from zeroskip.native.tuning import recalled


@dataclass(frozen=True, slots=True)
class Chosen:
    """The kernel of one line on given operands.

    schedule : ``tiled``, ``lanes``, ``dots``, ``plain``, or ``rows`` for a sparse result.
    taken : the same with every field filled in; source : ``default``, ``tuned`` or, in
        part, ``given``.
    """

    line: Line
    prepared: Prepared
    slots: Slots
    schedule: str
    why: str
    taken: Schedule
    source: str


def choose(
    spec: Spec,
    operands: Mapping[str, Operand],
    bound: Collection[str] = (),
    format: Formats = None,
    sized: bool = True,
    order: Orders = None,
    schedule: Schedules = None,
    tune: bool = False,
) -> tuple[Chosen, ...]:
    """The kernel of every line.

    operands : results of earlier lines are left out.
    bound : operands that are bound; of a single line, they are packed whatever its size.
    format : of the last result, or of each that is named; the others are dense.
    sized : whether extents are those of operands, and not guessed.
    order : of the loops of the last line, or by result; schedule : what is fixed, likewise.
    tune : whether the schedule that was measured to be fastest is taken, if one was.
    """
    known = dict(operands)
    packed = bound if len(spec.forms) == 1 else ()
    extents = spec.extents(shapes(known))
    formats = formats_by_result(spec, format)
    orders, given = fixed_by_result(spec, order, schedule)
    found = []
    widened = widened_lines(spec, known, extents.constants)
    for form, wide in zip(spec.forms, widened, strict=True):
        wanted = formats.get(form.target.tensor)
        fixed, asked = orders.get(form.target.tensor, ()), given.get(form.target.tensor, OPEN)
        read = wide.operands(known) if wide else known
        came = read
        if sized and wanted is None and not fixed and asked == OPEN:
            read = spread(form, read, extents, packed)
        made_dense = [name for name in came if read[name] is not came[name]]
        line = line_of(form, read, extents, blocks=wanted is None, order=fixed, fixed=asked)
        measured = recalled(line, packed) if tune and schedule is None and not fixed else None
        if measured is not None:
            line = replace(line, fixed=measured)
        whole = line
        loops = why_order(line, read, fixed, sparse=wanted is not None) if sized else ""
        assembly = None if wanted is None else assembly_of(line)
        if assembly is not None:
            line, prepared, slots, why = _in_rows(line, assembly, wanted)
            why += loops + _stored_as(line, wanted, sized)
            name, plan = "rows", None
        else:
            target = target_for(line)
            if target.dtype != line.stored:
                target = np.empty(line.shape, line.stored)
            line, plan = settled(line, packed)
            prepared, slots = kernel_of(line, plan, target, packed)
            name, why = _name_and_reason(line, plan)
            why += loops if plan is None else ""
            why += _left_out(whole, line) + _laid_out(whole, line)
            if wanted is not None:
                why += f" {line.name} is computed densely and compressed."
                why += _stored_as(line, wanted, sized)
        why += _conversions(line) + _promoted(line, plan) + _kept_wide(wide)
        for one in made_dense:
            why += f" {one} is made dense first, at every call: its zeros cost more to skip."
        filled = replace(taken(line, plan, packed), threads=min(slots.parts, MAX_THREADS))
        source = "given" if asked != OPEN or fixed else "tuned" if measured else "default"
        found.append(Chosen(line, prepared, slots, name, why, filled, source))
        known[line.name] = _unknown(whole, wanted, wide.becomes if wide else line.result)
    return tuple(found)


def _unknown(line: Line, format: Format | str | None, dtype: np.dtype[Any]) -> Operand:
    """Something of the type and format of a result, to compile the lines that read it."""
    if format is None:
        return np.empty(line.shape, dtype)
    nowhere = tuple(np.empty(0, np.int64) for _ in line.shape)
    wanted = expected_format(line) if is_auto(format) else bound_format(line, format)
    return Tensor.from_coords(nowhere, np.empty(0, dtype), line.shape, wanted)


def _stored_as(line: Line, format: Format | str | None, sized: bool) -> str:
    return why_auto(line, sized) if is_auto(format) else ""


def _in_rows(
    line: Line, assembly: Assembly, wanted: Format | str | None
) -> tuple[Line, Prepared, Slots, str]:
    """A line as its sparse result is assembled; its kernel, and why it is that one."""
    found = None if wanted is None else alike_in(line, wanted)
    line = rearranged(line, assembly)
    if found is None:
        return line, *rows_kernel(line, assembly), _why_rows(line, assembly)
    like = found[1]
    made = np.empty(values(line.used[like]).size, line.stored)
    once = all_finite(line.used[like])
    why = f"{line.name} stores what {like} does: each value is written where {like} has its own."
    return line, *alike_kernel(line, assembly, like, made, once=once), why


def _why_rows(line: Line, assembly: Assembly) -> str:
    outer, inner = ("*".join(ranks) or "one" for ranks in (assembly.outer, assembly.inner))
    return (
        f"the entries of {line.name} are gathered row by row ({outer}) in a workspace of one row "
        f"({inner}), and appended."
    )


def _conversions(line: Line) -> str:
    """What is stored in another order or format first, which every call pays for."""
    said = []
    for name in line.converted:
        stored = line.used[name]
        form = stored.format if isinstance(stored, Tensor) else "dense"
        said.append(f" {name} is converted to {form} first, at every call.")
    return "".join(said)


def _left_out(before: Line, line: Line) -> str:
    """Which ranks the loops do without."""
    gone = [rank for rank in before.extents.ranks if rank not in line.extents.ranks]
    single = [rank for rank in gone if before.extents.ranks[rank] == 1]
    said = ""
    if single:
        places = "have one place each, and are" if len(single) > 1 else "has one place, and is"
        said += f" {', '.join(single)} {places} left out."
    longer = [r for r, n in line.extents.ranks.items() if n > before.extents.ranks[r]]
    if longer:
        others = ", ".join(rank for rank in gone if rank not in single)
        said += f" {others}, summed behind {', '.join(longer)}, are one with it."
    return said


def _laid_out(before: Line, line: Line) -> str:
    """Which bound operands are stored anew once, as the schedule wants them."""
    anew = [name for name, operand in line.used.items() if operand is not before.used[name]]
    formats = [(name, line.used[name]) for name in anew]
    return "".join(
        f" {name} is bound, and stored once as {operand.format}."
        for name, operand in formats
        if isinstance(operand, Tensor)
    )


def _promoted(line: Line, plan: Plan) -> str:
    """Where operands of several types become the one that all are computed in."""
    types = {name: str(signature.dtype) for name, signature in line.signatures.items()}
    others = [f"{name} ({dtype})" for name, dtype in types.items() if dtype != line.dtype.name]
    if len(set(types.values())) == 1 or not others:
        return ""
    copied = isinstance(plan, TilePlan | LanePlan)
    where = "packed or copied" if copied else "read"
    verbs = ("becomes", "it is") if len(others) == 1 else ("become", "they are")
    return f" {', '.join(others)} {verbs[0]} {line.dtype} where {verbs[1]} {where}."


def _kept_wide(wide: Widened | None) -> str:
    """What is computed in float32 beside its kernel, so that a half is rounded once."""
    if wide is None:
        return ""
    if wide.inner:
        return f" It stays in float32, as it stands inside an expression of {wide.stored}."
    return f" Halves are widened to float32 first; {wide.name} is rounded to {wide.stored} last."


def last_types(spec: Spec, operands: Mapping[str, Operand]) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """Types of the last line: of its arithmetic, and of its result."""
    known = dict(operands)
    extents = spec.extents(shapes(known))
    for form in spec.forms:
        line = line_of(form, known, extents)
        known[line.name] = np.zeros((0,) * len(line.shape), line.result)
    return line.dtype, line.result


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


def _name_and_reason(line: Line, schedule: Plan) -> tuple[str, str]:
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
        case DotPlan():
            sparse = ", ".join(schedule.tensors)
            shared = f"share the entries of a fiber of {sparse}"
            if not sparse:
                shared = f"are the places of {', '.join(schedule.ranks)}, along which operands lie"
            return "dots", (
                "the levels of the operands are walked as they lie, and the lanes of a vector "
                f"{shared}."
            )
        case None:
            why = "as is asked for." if line.fixed.kind and not line.order else why_plain(line)
            return "plain", f"the levels of the operands are walked as they lie: {why}"

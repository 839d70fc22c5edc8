"""What a charge leaves out, in sentences."""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.walk import single
from zeroskip.formats.levels import Bitmask, Uncompressed
from zeroskip.formats.ranks import axis_of
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.area import missing_area
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.notes import ordered
from zeroskip.hwmodel.stored import (
    bound_format,
    coders_of,
    is_compressed,
    levels_without_pointers,
)


def missing_of(layer: Layer, arch: Arch, schedule: Schedule) -> tuple[str, ...]:
    """Costs that are not charged."""
    missing = list(dict.fromkeys(_of_steps(layer, arch, schedule)))
    if arch.energy.action("network") is None:
        missing.append(f"energy of the network: {arch.energy.name} has none")
    for level in arch.levels:
        if level.data is None:
            missing.append(f"energy of {level.name}: {arch.energy.name} has none")
    kinds = {unit.kind for unit in arch.units}
    if any(f.kind == "skip" for f in arch.features):
        known = arch.energy.action("intersect") is not None
        what = "energy and steps" if "intersect" not in kinds else "" if known else "energy"
        if what:
            missing.append(f"{what} of finding pairs of stored entries (intersection)")
    if "merge" in kinds and arch.energy.action("merge") is None:
        missing.append("energy of merging")
    if arch.lanes is not None and arch.lanes.banks is None:
        missing.append("products that wait for a bank of accumulators")
    if any(f.kind == "gate" for f in arch.features):
        idle = "" if arch.energy.action("gated") else ", and of an idle cycle"
        missing.append(f"energy of looking at a value to gate by it{idle}")
    if any(term.number not in (1, -1) or term.scalars for term in layer.form.terms):
        missing.append("multiplications by constants")
    if layer.form.post is not None:
        missing.append(f"{layer.form.post} of each result")
    if is_compressed(layer, arch, schedule):
        home = arch.level(schedule.stays[layer.target.tensor][0].level)
        lacking = ["time"] if home.encode_bits_per_cycle is None else []
        lacking += [] if arch.energy.action("compress") else ["energy"]
        missing += [f"{' and '.join(lacking)} of compressing results"] if lacking else []
    changes = _changes(layer, arch, schedule, but=layer.target.tensor)
    missing += [f"energy of changing formats: {'; '.join(changes)}"] if changes else []
    bare = levels_without_pointers(layer, arch, schedule)
    if bare:
        where = ", ".join(bare)
        missing.append(f"fiber pointers beside tiles, and in their room, in {where} (pointer_bits)")
    missing += [f"area of {name}" for name in missing_area(arch.areas)]
    missing.append("control, clock, leakage" + ("" if arch.area_mm2 is not None else ", area"))
    return tuple(missing)


def _of_steps(layer: Layer, arch: Arch, schedule: Schedule) -> Iterator[str]:
    """Operands whose format in the buffer is in another order than the loops outside the sync."""
    for operand in (o for term in (*layer.work, *layer.additions) for o in term.operands):
        text = arch.format(operand.tensor, layer.roles[operand.tensor], arch.buffer.name)
        bound = bound_format(text, operand, schedule)
        ranks = [single(subscript) for subscript in operand.subscripts]
        wide = [axis for axis, length in enumerate(operand.lengths) if length > 1]
        stepped = [a for step in schedule.steps for a in wide if ranks[a] in step.ranks]
        order = [a for rank in bound.ranks for a in map(axis_of, rank.axes) if a in wide]
        found = all(isinstance(level, Uncompressed | Bitmask) for level in bound.levels)
        if not found and order[: len(stepped)] != stepped:
            names = [deparse(subscript) for subscript in operand.subscripts]
            yield (
                f"finding the entries of a step ({', '.join(names[a] for a in stepped)}) of "
                f"{operand.tensor}, which {arch.buffer.name} holds as {ordered(bound, names)}"
            )


def _changes(layer: Layer, arch: Arch, schedule: Schedule, *, but: str) -> list[str]:
    """``DRAM decodes A, B``, of all tensors but one."""
    found = []
    for (level, way), tensors in coders_of(layer, arch, schedule).items():
        names = [tensor for tensor in dict.fromkeys(tensors) if tensor != but]
        found += [f"{level} {way}s {', '.join(names)}"] if names else []
    return found

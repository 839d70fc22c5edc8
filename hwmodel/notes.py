"""What a charge takes for granted, and what it leaves out, in sentences."""

from __future__ import annotations

from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule


def assumptions_of(layer: Layer, arch: Arch, schedule: Schedule) -> tuple[str, ...]:
    """Assumptions behind the figures of this charge."""
    off_chip, buffer, local = (level.name for level in arch.levels)
    notes = [
        f"{off_chip}: each operand is read once and the result written once; true while the "
        f"working set fits {buffer}",
        f"{buffer}: one read serves all PEs that need the same entry of an operand that does not "
        "depend on their place; a PE keeps nothing of an operand from step to step",
        f"{local}: an operation reads each operand once, and reads and writes its accumulator; "
        "accumulators stay in the PE until the end",
        "time: transfers and compute overlap fully; a gated operation takes a cycle, a skipped "
        "one none; finding the next stored entry takes no time",
    ]
    if arch.multipliers > 1:
        notes.append(
            f"the {arch.multipliers} multipliers of a PE share its work evenly within a step"
        )
    if any(f.kind == "gate" for f in arch.features):
        notes.append("a gated operation costs the reads of the operands that are not its targets")
    if len(layer.work) > 1:
        notes.append("terms run one after the other")
    if any(term.multiplications > 1 for term in layer.work):
        notes.append("a product of three operands is two multiplications, one after the other")
    if all(term.multiplications == 0 for term in layer.work):
        notes.append("a line without products: its additions are the work, one a cycle")
    if layer.additions:
        notes.append("terms of one operand are added in accumulators, without a cycle of their own")
    if not layer.additive and arch.features:
        notes.append(
            f"{layer.form.reduction}= is not a sum: a zero counts, so nothing is gated or skipped"
        )
    if not schedule.steps:
        notes.append("PEs wait for each other at the end only")
    return tuple(notes)


def missing_of(layer: Layer, arch: Arch) -> tuple[str, ...]:
    """Costs that are not charged."""
    missing = []
    for name in ("network",):
        if arch.energy.action(name) is None:
            missing.append(f"energy of the {name}: {arch.energy.name} has none")
    for level in arch.levels:
        if level.data is None:
            missing.append(f"energy of {level.name}: {arch.energy.name} has none")
    if any(f.kind == "skip" for f in arch.features):
        missing.append("energy and steps of finding pairs of stored entries (intersection)")
    if any(term.number not in (1, -1) or term.scalars for term in layer.form.terms):
        missing.append("multiplications by constants")
    if layer.form.post is not None:
        missing.append(f"{layer.form.post} of each result")
    missing.append("fiber pointers between buffer and PEs; control, clock, leakage, area")
    return tuple(missing)

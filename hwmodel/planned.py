"""What a charge knows before it sees an operand's values: layer, mapping, policy, accounting.

It depends on the line, the architecture, the mapping and the shapes alone, and is remembered for
those that were met last: other operands of these shapes cost no second derivation.  Where a
mapping numbers places, it depends on operands too, and nothing is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.accounting import write_accounting
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.layer import Layer, LayerSpec, layer_of
from zeroskip.hwmodel.missing import missing_of
from zeroskip.hwmodel.nest import Numbering
from zeroskip.hwmodel.notes import assumptions_of
from zeroskip.hwmodel.occupancy import numberings_of
from zeroskip.hwmodel.overfull import Spill
from zeroskip.hwmodel.plan import Accounting
from zeroskip.hwmodel.policy import Policy, policy_of
from zeroskip.native.recent import Recent

MOST = 128
"""Plans that are kept."""


@dataclass(frozen=True, slots=True)
class Planned:
    """assumptions : those of a charge without transposes; missing : what it leaves out."""

    layer: Layer
    schedule: maps.Schedule
    policy: Policy
    cascade: Accounting
    assumptions: tuple[str, ...]
    missing: tuple[str, ...]


_kept: Recent[Any, tuple[LayerSpec, Arch, Planned]] = Recent(MOST)


def planned(
    spec: LayerSpec,
    arch: Arch,
    operands: Mapping[str, Operand],
    mapping: maps.Mapping | None,
    zero: float,
    *,
    effectual: bool,
    numberings: Mapping[str, Numbering] | None = None,
    spills: tuple[Spill, ...] = (),
) -> Planned:
    """The plan of a charge; the same object for the same line and architecture.

    effectual : whether effectual points are counted.
    numberings : those of other operands, where they are known.
    spills : what of tiles that do not fit stays.
    """
    splits = mapping.split.values() if mapping is not None else ()
    if spills or any(split.numbers_places for split in splits):
        return _plan(spec, arch, operands, mapping, zero, effectual, numberings, spills)
    shapes = {name: operand.shape for name, operand in operands.items()}
    zeros = [name for name, operand in operands.items() if operand.explicit_zeros]
    key = (id(spec), id(arch), *shapes.items(), repr(mapping), repr(zero), *zeros, effectual)
    found = _kept.get(key)  # it holds line and architecture, so that ids stay theirs
    if found is None:
        plan = _plan(spec, arch, operands, mapping, zero, effectual, {})
        found = _kept.keep(key, (spec, arch, plan))
    return found[2]


def _plan(
    spec: LayerSpec,
    arch: Arch,
    operands: Mapping[str, Operand],
    mapping: maps.Mapping | None,
    zero: float,
    effectual: bool,
    numberings: Mapping[str, Numbering] | None,
    spills: tuple[Spill, ...] = (),
) -> Planned:
    roles = mapping.roles if mapping is not None else None
    zeros = [name for name, operand in operands.items() if operand.explicit_zeros]
    layer = layer_of(spec, {name: x.shape for name, x in operands.items()}, roles, zero)
    if numberings is None:
        splits = mapping.split if mapping is not None else {}
        numberings = numberings_of(splits, layer, arch, operands)
    schedule = replace(maps.complete(mapping, layer, arch, numberings), spills=spills)
    policy = policy_of(layer, schedule, arch, zeros)
    timed = arch.overlap is not None
    cascade = write_accounting(layer, schedule, policy, arch, effectual=effectual, timed=timed)
    assumptions = tuple(assumptions_of(layer, arch, schedule, (), cascade.listed))
    missing = tuple(missing_of(layer, arch, schedule))
    return Planned(layer, schedule, policy, cascade, assumptions, missing)

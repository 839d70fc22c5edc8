"""What a charge knows before it sees an operand's values: layer, mapping, policy, accounting.

It depends on the line, the architecture, the mapping and the shapes alone, and is remembered for
those that were charged last: other operands of these shapes cost no second derivation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from zeroskip.hwmodel import mapping as maps
from zeroskip.hwmodel.accounting import write_accounting
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.layer import Layer, LayerSpec, layer_of
from zeroskip.hwmodel.notes import assumptions_of, missing_of
from zeroskip.hwmodel.plan import Accounting
from zeroskip.hwmodel.policy import Policy, policy_of

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


_kept: dict[Any, tuple[LayerSpec, Arch, Planned]] = {}


def planned(
    spec: LayerSpec,
    arch: Arch,
    operands: Mapping[str, Operand],
    mapping: maps.Mapping | None,
    zero: float,
    *,
    effectual: bool,
) -> Planned:
    """The plan of a charge; the same object for the same line and architecture.

    effectual : whether effectual points are counted.
    """
    shapes = {name: operand.shape for name, operand in operands.items()}
    zeros = [name for name, operand in operands.items() if operand.explicit_zeros]
    key = (id(spec), id(arch), *shapes.items(), repr(mapping), repr(zero), *zeros, effectual)
    found = _kept.pop(key, None)  # it holds line and architecture, so that ids stay theirs
    if found is None:
        roles = mapping.roles if mapping is not None else None
        layer = layer_of(spec, shapes, roles, zero)
        schedule = maps.complete(mapping, layer, arch)
        policy = policy_of(layer, schedule, arch, zeros)
        cascade = write_accounting(layer, schedule, policy, effectual=effectual)
        assumptions = tuple(assumptions_of(layer, arch, schedule, ()))
        missing = tuple(missing_of(layer, arch, schedule))
        plan = Planned(layer, schedule, policy, cascade, assumptions, missing)
        found = spec, arch, plan
    _kept[key] = found
    while len(_kept) > MOST:
        _kept.pop(next(iter(_kept)), None)
    return found[2]

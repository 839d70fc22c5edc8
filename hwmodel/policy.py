"""What an architecture's features and formats mean for the operands of one layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import ROLES, Arch
from zeroskip.hwmodel.features import Feature
from zeroskip.hwmodel.layer import Layer, Operand, WorkTerm
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.stored import Stored, stored_by_level


@dataclass(frozen=True, slots=True)
class Lead:
    """What tiles of an operand are filled by: whether the leader's has an entry.

    depth : levels around this one.
    leader : number of that operand; kind : its mask, as the level holds it.
    gates : whether the cycles of points under an empty tile pass.
    """

    level: str
    depth: int
    gates: bool
    leader: int
    kind: str


@dataclass(frozen=True, slots=True)
class OperandPolicy:
    """One operand of one term.

    leads : by which its tiles come, outermost level first, and of one level skips before gates.
    led_by, skipped_by, gated_by : whether an absent entry keeps the others from being fetched,
        skips (one that others follow does), a zero gates.
    gated_where : operands (by number) whose zeros keep this one from being read.
    result_gated_where : the same of the result.
    stored : by level that keeps it; without that off chip where the operand comes from there
        whole.
    read : as the innermost of them holds it, where units read it.
    """

    led_by: bool
    skipped_by: bool
    gated_by: bool
    gated_where: frozenset[int]
    result_gated_where: frozenset[int]
    stored: Mapping[str, Stored]
    read: Stored
    leads: tuple[Lead, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """Rules of every term's operands, in order."""

    terms: tuple[tuple[OperandPolicy, ...], ...]
    additions: tuple[tuple[OperandPolicy, ...], ...]


def skipped_by(policy: Policy) -> frozenset[int]:
    """Numbers of the operands of the first product that a design skips by."""
    return frozenset(i for i, rule in enumerate(policy.terms[0]) if rule.skipped_by)


def policy_of(
    layer: Layer, schedule: Schedule, arch: Arch, explicit_zeros: Iterable[str] = ()
) -> Policy:
    """Rules for a layer.

    explicit_zeros : operands that store zeros.

    Raises
    ------
    ArchError
        For a feature that names nobody, and skipping by a tensor without metadata.
    """
    zeros = set(explicit_zeros)
    _check_names(layer, arch)
    _check_results(layer, arch, schedule)
    _check_levels(arch)
    features = arch.features if layer.additive else ()
    rules = [_rules(term, layer, schedule, arch, features, zeros) for term in layer.work]
    extra = [_rules(term, layer, schedule, arch, (), zeros) for term in layer.additions]
    return Policy(tuple(rules), tuple(extra))


def _check_names(layer: Layer, arch: Arch) -> None:
    known = {*layer.tensors, layer.target.tensor, *ROLES}
    for feature in arch.features:
        for name in (*feature.targets, *feature.conditions):
            if name not in known:
                names = ", ".join((*layer.tensors, layer.target.tensor))
                raise ArchError(
                    f'{arch.name}: "{feature}" names {name}, which is neither a tensor of this '
                    f"layer ({names}) nor a role ({', '.join(ROLES)})"
                )
        for name in feature.conditions:
            if name in _results(layer):
                raise ArchError(f'{arch.name}: "{feature}" goes by the result: it is not there yet')
        if feature.level is not None and _results(layer) & set(feature.targets):
            raise ArchError(
                f'{arch.name}: "{feature}" acts on what fills {feature.level}, and names the '
                "result: what it drains does not go by tiles of a leader as yet\n"
                f"Leave {layer.target.tensor} (role O) out of it."
            )
    for name in arch.formats:
        if name not in known:
            names = ", ".join((*layer.tensors, layer.target.tensor))
            raise ArchError(
                f"{arch.name}: formats names {name}, which is neither a tensor of this layer "
                f"({names}) nor a role ({', '.join(ROLES)})"
            )


def _check_results(layer: Layer, arch: Arch, schedule: Schedule) -> None:
    """Refuse parts of results that are compressed."""
    home = schedule.stays[layer.target.tensor][0].level
    for level in arch.levels[1:]:
        text = arch.format(layer.target.tensor, "O", level.name)
        if level.name != home and text not in ("U", "dense"):
            raise ArchError(
                f"{arch.name}: {layer.target.tensor} (role O) has format {text} in {level.name}; "
                f"results are compressed on their way to {home} only\n"
                f"Give O the format U in {level.name}."
            )


def _check_levels(arch: Arch) -> None:
    """Refuse fills of a cache that go by a leader."""
    for feature in arch.features:
        if arch.cache is not None and feature.level == arch.cache.name:
            raise ArchError(
                f'{arch.name}: "{feature}" acts on what fills {feature.level}, which is a cache: '
                "it is filled with the fibers that are asked for, and not by tiles\n"
                "Let the feature act on another level, @PE or @MAC."
            )


def _results(layer: Layer) -> set[str]:
    """Names by which features mean the result; one that is an operand's role is the role's."""
    return {"O", layer.target.tensor} - ({*ROLES} - {"O"})


def _rules(
    term: WorkTerm,
    layer: Layer,
    schedule: Schedule,
    arch: Arch,
    features: Sequence[Feature],
    zeros: set[str],
) -> tuple[OperandPolicy, ...]:
    operands = term.operands

    def matching(names: Iterable[str]) -> set[int]:
        chosen = set(names)
        return {
            i
            for i, o in enumerate(operands)
            if o.tensor in chosen - {*ROLES} or layer.roles[o.tensor] in chosen
        }

    def leading(names: Iterable[str]) -> set[int]:
        return {i for i in matching(names) if operands[i].absorbs}

    leads: set[int] = set()
    skips: set[int] = set()
    gates: dict[int, set[int]] = {i: set() for i in range(-1, len(operands))}
    gated: set[int] = set()
    led: dict[int, list[tuple[Feature, int]]] = {i: [] for i in range(len(operands))}
    for feature in features:
        conditions = leading(feature.conditions)
        if feature.level is not None:
            for target in matching(feature.targets):
                led[target] += [(feature, leader) for leader in sorted(conditions - {target})]
            continue
        if feature.kind == "skip":
            skips |= conditions
            leads |= conditions if feature.keeps_away else set()
            continue
        gated |= conditions
        targets = matching(feature.targets)
        if _results(layer) & set(feature.targets):
            targets.add(-1)
        for target in targets:
            gates[target] |= conditions
    held = [
        stored_by_level(layer, schedule, arch, term, operand, operand.tensor in zeros)
        for operand in operands
    ]
    rules = []
    for i, (operand, stored) in enumerate(zip(operands, held, strict=True)):
        innermost = schedule.stays[operand.tensor][-1].level
        if i in skips and stored[innermost].kind == "in":
            label = stored[innermost].format.label
            where = next(level for level, held in stored.items() if held.format.label == label)
            raise ArchError(
                f"{arch.name} skips by {operand.tensor}, which {where} holds in format "
                f"{label}: without metadata nobody knows what to skip\n"
                f"Give {operand.tensor} (role {layer.roles[operand.tensor]}) the format C or B at "
                f"{where}."
            )
        if i in skips:
            stored = {**stored, innermost: replace(stored[innermost], stepped=True)}
            _check_passing(arch, schedule, operand.tensor, stored[innermost])
        rules.append(
            OperandPolicy(
                led_by=i in leads,
                skipped_by=i in skips,
                gated_by=i in gated,
                gated_where=frozenset(gates[i]),
                result_gated_where=frozenset(gates[-1]),
                stored=stored,
                read=stored[innermost],
                leads=_leads(layer, schedule, arch, operands, held, i, led[i]),
            )
        )
    return tuple(rules)


def _check_passing(arch: Arch, schedule: Schedule, tensor: str, stored: Stored) -> None:
    """Refuse to skip by what holds more than what is stored, and passes the PEs place by place."""
    stay = schedule.stays[tensor][-1]
    if stored.fills and stay.words:
        raise ArchError(
            f"{arch.name} skips by {tensor}, which passes {stay.level} (stream) in format "
            f"{stored.format.label}: of no tile there what bridges a gap, pads a group or fills a "
            f"block is known\nKeep {tensor} in {stay.level}, or give it the format C or B there."
        )


def _check_told(arch: Arch, tensor: str, stored: Stored, level: str) -> None:
    """Refuse tiles that come by entries of which some only hold a place."""
    if stored.fills:
        raise ArchError(
            f"{arch.name} skips by {tensor}, which {level} holds in format {stored.format.label}: "
            "what bridges a gap, pads a group or fills a block is an entry there, and which tiles "
            f"have such alone is not counted as yet\nGive {tensor} the format C or B at {level}."
        )


def _leads(
    layer: Layer,
    schedule: Schedule,
    arch: Arch,
    operands: Sequence[Operand],
    held: Sequence[Mapping[str, Stored]],
    follower: int,
    led: Iterable[tuple[Feature, int]],
) -> tuple[Lead, ...]:
    """What the tiles of one operand go by; by each feature that acts on its fills, one leader."""
    found = []
    levels = [level.name for level in arch.levels]
    for feature, leader in led:
        level = str(feature.level)
        tensor = operands[follower].tensor
        if schedule.stays[tensor][0].level == level:
            raise ArchError(
                f'{arch.name}: "{feature}" acts on what fills {level}, which is the home of '
                f"{tensor}: nothing fills it\nLet the feature act @PE, or @MAC."
            )
        for number in (follower, leader):
            if level not in held[number]:
                tensor = operands[number].tensor
                raise ArchError(
                    f'{arch.name}: "{feature}" acts on what fills {level}, and this mapping does '
                    f"not keep {tensor} there\nKeep {tensor} in {level}, or name another level."
                )
            tensor = operands[number].tensor
            if any(stay.level == level and stay.words for stay in schedule.stays[tensor]):
                raise ArchError(
                    f'{arch.name}: "{feature}" acts on what fills {level}, and {tensor} passes it '
                    f"(stream): no tile of it is there\nKeep {tensor} in {level}, or name another "
                    "level."
                )
        stored = held[leader][level]
        tensor = operands[leader].tensor
        if stored.kind == "in":
            raise ArchError(
                f'{arch.name}: "{feature}" goes by {tensor}, which {level} holds in format '
                f"{stored.format.label}: without metadata nobody knows which tiles are empty\n"
                f"Give {tensor} (role {layer.roles[tensor]}) the format C or B at {level}."
            )
        _check_told(arch, tensor, stored, level)
        gates = feature.kind == "gate"
        found.append(Lead(level, levels.index(level), gates, leader, stored.kind))
    return tuple(sorted(set(found), key=lambda x: (x.depth, x.gates, x.leader)))

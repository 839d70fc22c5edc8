"""What an architecture's features and formats mean for the operands of one layer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError, FormatError
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import coordinate_bits, storage_extents
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)
from zeroskip.hwmodel.arch import ROLES, Arch
from zeroskip.hwmodel.features import Feature
from zeroskip.hwmodel.layer import Layer, Operand, WorkTerm
from zeroskip.hwmodel.mapping import Schedule


@dataclass(frozen=True, slots=True)
class Stored:
    """How an operand lies in a level, tile by tile, as it moves.

    entry_bits : coordinates of one stored entry.
    place_bits : bits of every position, stored or not.
    kind : the mask of what is held: ``in`` every place, ``st`` the entries of the format,
        ``nz`` these too, where none of them is zero.
    """

    format: Format
    entry_bits: int
    place_bits: int
    kind: str


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


def policy_of(
    layer: Layer, schedule: Schedule, arch: Arch, explicit_zeros: Iterable[str] = ()
) -> Policy:
    """Rules for a layer.

    explicit_zeros : operands that store zeros.

    Raises
    ------
    ArchError
        For a feature that names nobody, skipping by a tensor without metadata, and
        run-length coding where entries are picked out.
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
    """Fills that go by a leader are charged of designs by bits, without what walks fibers."""
    parts = {
        "units": bool(arch.units),
        "lanes": arch.lanes is not None,
        "lines": arch.off_chip.lines is not None,
        "a cache": any(level.cache is not None for level in arch.levels),
    }
    for feature in arch.features:
        for part, there in parts.items():
            if there and feature.level is not None:
                raise ArchError(
                    f'{arch.name}: "{feature}" acts on what fills {feature.level}, which is not '
                    f"charged beside {part} as yet\nLet it act @PE or @MAC, or leave {part} out."
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
        _stored_by_level(layer, schedule, arch, term, operand, operand.tensor in zeros)
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
        stored = held[leader][level]
        if stored.kind == "in":
            tensor = operands[leader].tensor
            raise ArchError(
                f'{arch.name}: "{feature}" goes by {tensor}, which {level} holds in format '
                f"{stored.format.label}: without metadata nobody knows which tiles are empty\n"
                f"Give {tensor} (role {layer.roles[tensor]}) the format C or B at {level}."
            )
        gates = feature.kind == "gate"
        found.append(Lead(level, levels.index(level), gates, leader, stored.kind))
    return tuple(sorted(set(found), key=lambda x: (x.depth, x.gates, x.leader)))


def _stored_by_level(
    layer: Layer,
    schedule: Schedule,
    arch: Arch,
    term: WorkTerm,
    operand: Operand,
    has_zeros: bool,
) -> dict[str, Stored]:
    """An operand in each level that keeps it, outermost first."""
    stays = schedule.stays[operand.tensor]
    spills = {(spill.tensor, spill.level) for spill in schedule.spills}
    tiled = len(stays) == 1 or stays[0].level != arch.off_chip.name
    for stay in stays[1:2]:
        at = stay if term in layer.work else replace(stay, position=0)  # additions come once
        tiled |= not schedule.residency(at, operand.variables, term.ranks).whole(at)
        tiled |= (operand.tensor, stay.level) in spills
    levels = [stay.level for stay in (stays if tiled else stays[1:])]
    return {level: _stored(layer, schedule, arch, operand, level, has_zeros) for level in levels}


def stored_result(layer: Layer, schedule: Schedule, arch: Arch) -> Stored:
    """The result as its home on chip holds it."""
    name = layer.target.tensor
    bound = result_format(format_of_result(layer, arch, schedule), layer)
    shape = layer.extents.shapes[name]
    return _encoded(name, bound, shape, arch, schedule.stays[name][0].level, has_zeros=False)


def _stored(
    layer: Layer, schedule: Schedule, arch: Arch, operand: Operand, where: str, has_zeros: bool
) -> Stored:
    """An operand in a level.  Fiber pointers stay with the controller and do not move."""
    tensor, role = operand.tensor, layer.roles[operand.tensor]
    shape = layer.extents.shapes[tensor]
    bound = bound_format(arch.format(tensor, role, where), operand, schedule)
    return _encoded(tensor, bound, shape, arch, where, has_zeros=has_zeros)


def _encoded(
    tensor: str, bound: Format, shape: tuple[int, ...], arch: Arch, where: str, *, has_zeros: bool
) -> Stored:
    levels = bound.levels
    if any(isinstance(level, RunLength) for level in levels):
        raise ArchError(
            f"{arch.name}: {tensor} is run-length coded in {where}, where entries are "
            f"picked out one by one\nUse C or B there; RLE is for {arch.off_chip.name}."
        )
    if bound.split or any(isinstance(level, Structured) for level in levels):
        raise ArchError(
            f"{arch.name}: {tensor} is {bound.label} in {where}; split axes and groups "
            "G:H are not modelled there yet\nUse C or B."
        )
    last = next((i for i, x in enumerate(levels) if not isinstance(x, Uncompressed)), len(levels))
    inner = levels[last:]
    if len(inner) > 1 and not all(isinstance(level, Singleton) for level in inner[1:]):
        raise ArchError(
            f"{arch.name}: {tensor} is {bound.label} in {where}; there one level at "
            "most may be compressed, the innermost, or COO\nUse U, C, B, CSR or COO."
        )
    if not inner:
        return Stored(bound, 0, 0, "in")
    kind = "st" if has_zeros else "nz"
    if isinstance(inner[0], Bitmask):
        return Stored(bound, 0, 1, kind)
    bits = 0
    for positions, level in zip(storage_extents(shape, bound)[last:], inner, strict=True):
        assert isinstance(level, Compressed | Singleton)
        given = level.coordinate_bits
        bits += coordinate_bits(positions) if given is None else given
    return Stored(bound, bits, 0, kind)


def bound_format(text: str, operand: Operand, schedule: Schedule) -> Format:
    """A format for an operand.

    One level alone (``C``, ``B``, ``R(5)``) means: each step's slice is one fiber.  The axes
    that are a step's loop are U, all others are flattened under that level.
    """
    return _bound(text, operand, {step.rank for step in schedule.steps if step.whole})


def format_of_result(layer: Layer, arch: Arch, schedule: Schedule) -> str:
    """The text of a result's format at home."""
    name = layer.target.tensor
    home = schedule.mapping.home.get(name)
    if home is not None and home.format:
        return home.format
    return arch.format(name, "O", schedule.stays[name][0].level)


def result_format(text: str, layer: Layer) -> Format:
    """A format for the result.

    One level alone means one fiber for each place of the axes that weights alone give it
    (output channels): the steps of a layer that reads this result.
    """
    held: dict[str, set[str]] = {"I": set(), "F": set(), "bias": set()}
    for term in layer.work:
        for operand in term.operands:
            held[layer.roles[operand.tensor]] |= operand.variables
    return _bound(text, replace(layer.target, pads=()), held["F"] - held["I"])


def _bound(text: str, operand: Operand, stepped: set[str]) -> Format:
    """One level alone: a fiber for each place of the axes that ``stepped`` ranks are; a single
    one where such a fiber would have a single position."""
    outer = tuple(single(s) in stepped for s in operand.subscripts)
    return _bound_along(text, operand.tensor, outer, operand.lengths)


@lru_cache(maxsize=1024)
def _bound_along(
    text: str, tensor: str, stepped: tuple[bool, ...], lengths: tuple[int, ...]
) -> Format:
    """stepped : of each axis."""
    wanted, ndim = Format(text), len(stepped)
    alone = wanted.name is None and not wanted.axes and len(wanted.ranks) == 1
    if not alone or wanted.split or ndim == 1:
        try:
            return wanted.bind(ndim)
        except FormatError as cause:
            raise ArchError(
                f"formats: {text!r} does not fit {tensor}: {cause}\n"
                "A level alone, such as C, B or U, fits a tensor of any number of axes."
            ) from cause
    level = wanted.ranks[0].level
    if isinstance(level, Uncompressed) or ndim == 0:
        return Format("dense").bind(ndim)
    outer = [axis for axis in range(ndim) if stepped[axis]]
    inner = [axis for axis in range(ndim) if not stepped[axis]]
    if all(lengths[axis] <= 1 for axis in inner):
        outer, inner = [], list(range(ndim))
    return Format.of([*(((a,), Uncompressed()) for a in outer), (tuple(inner), level)])

"""Formats of an architecture, bound to the tensors of a layer: how each lies in each level."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError, FormatError
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Uncompressed
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.fields import Field, encoded_in, has_pointers, listed_in
from zeroskip.hwmodel.layer import Layer, Operand, WorkTerm
from zeroskip.hwmodel.mapping import Schedule


@dataclass(frozen=True, slots=True)
class Stored:
    """How an operand lies in a level, tile by tile, as it moves.

    entry_bits, place_bits : what a look-up of an entry reads beside its value: its innermost
        coordinates, or the bit of its position.
    kind : the mask of what is held: ``in`` every place, ``st`` the entries of the format,
        ``nz`` these too, where none of them is zero.
    fields : all that a tile has beside ``entry_bits`` of each entry.
    pointer_bits : width of its fiber pointers; None where it has none there.
    stepped : whether operations go by what only holds a place there, and read it, as any entry.
    """

    format: Format
    entry_bits: int
    place_bits: int
    kind: str
    fields: tuple[Field, ...] = ()
    pointer_bits: int | None = None
    stepped: bool = False

    @property
    def by_fiber(self) -> bool:
        """Whether a tile has metadata of its fibers, that do not go by its entries or places."""
        return any(field.axes is not None for field in self.fields)

    @property
    def by_places(self) -> bool:
        """Whether its tiles are encoded place by place."""
        return any(field.listed is not None for field in self.fields)

    def by_place(self, shape: tuple[int, ...]) -> Stored:
        """The same, its tiles encoded place by place; shape : of the tensor."""
        if not self.by_fiber:
            return self
        _, _, fields = listed_in(self.format, shape, self.kind, self.pointer_bits)
        return replace(self, fields=fields)

    @property
    def fills(self) -> bool:
        """Whether a tile has entries of value 0 that only hold a place."""
        return any(field.valued for field in self.fields)


def stored_by_level(
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
        tiled |= (operand.tensor, stay.level) in spills or operand.gathered
    levels = [stay.level for stay in (stays if tiled else stays[1:])]
    held = held_formats(layer, arch, schedule, operand)
    shape = layer.extents.shapes[operand.tensor]
    return {
        level: _encoded(held[level], shape, arch, level, has_zeros=has_zeros) for level in levels
    }


def format_at(layer: Layer, arch: Arch, schedule: Schedule, tensor: str, level: str) -> Format:
    """In which format a tensor is in a level."""
    text = arch.format(tensor, layer.roles[tensor], level)
    return bound_format(text, layer.first(tensor), schedule)


def held_formats(
    layer: Layer, arch: Arch, schedule: Schedule, operand: Operand
) -> dict[str, Format]:
    """How an operand lies in each level that keeps it, outermost first: a cache holds what lies
    outside as it is, whatever its own format says; what passes one does not lie there."""
    found: dict[str, Format] = {}
    outside: Format | None = None
    for stay in schedule.stays[operand.tensor]:
        text = arch.format(operand.tensor, layer.roles[operand.tensor], stay.level)
        if outside is None or arch.level(stay.level).cache is None or stay.words:
            outside = bound_format(text, operand, schedule)
        found[stay.level] = outside
    return found


def recoded(held: Format, other: Format) -> bool:
    """Whether what lies in one format and goes to, or comes from, another one is decoded, or
    encoded, where it lies: it is compressed there, and otherwise in the other."""
    plain = all(isinstance(level, Uncompressed) for level in held.levels)
    return not plain and held != other


def coders_of(layer: Layer, arch: Arch, schedule: Schedule) -> dict[tuple[str, str], list[str]]:
    """(level, ``decode`` or ``encode``) -> tensors of which it does so, where the format changes
    between two levels."""
    found: dict[tuple[str, str], list[str]] = {}
    for tensor in layer.tensors:
        held = held_formats(layer, arch, schedule, layer.first(tensor))
        for outer, inner in pairwise(held):
            if recoded(held[outer], held[inner]):
                found.setdefault((outer, "decode"), []).append(tensor)
            if recoded(held[inner], held[outer]):
                found.setdefault((inner, "encode"), []).append(tensor)
    if is_compressed(layer, arch, schedule):
        target = layer.target.tensor
        found.setdefault((schedule.stays[target][0].level, "encode"), []).append(target)
    return found


def stored_result(layer: Layer, schedule: Schedule, arch: Arch) -> Stored:
    """The result as its home on chip holds it."""
    name = layer.target.tensor
    bound = result_format(format_of_result(layer, arch, schedule), layer)
    shape = layer.extents.shapes[name]
    return _encoded(bound, shape, arch, schedule.stays[name][0].level, has_zeros=False)


def _encoded(
    bound: Format, shape: tuple[int, ...], arch: Arch, where: str, *, has_zeros: bool
) -> Stored:
    """A tensor in a level.  Fiber pointers stay with the controller and do not move, unless the
    level says how wide they are there."""
    if all(isinstance(level, Uncompressed) for level in bound.levels):
        return Stored(bound, 0, 0, "in")
    pointer_bits = arch.level(where).pointer_bits
    kind = "st" if has_zeros else "nz"
    entry, place, fields = encoded_in(bound, shape, kind, pointer_bits)
    pointed = any(field.pointers for field in fields)
    return Stored(bound, entry, place, kind, fields, pointer_bits if pointed else None)


def levels_without_pointers(layer: Layer, arch: Arch, schedule: Schedule) -> list[str]:
    """Levels on chip whose tiles have fibers that pointers name, which nobody gives a width."""
    pointed: set[str] = set()
    for term in (*layer.work, *layer.additions):
        for operand in term.operands:
            for level in (stay.level for stay in schedule.stays[operand.tensor]):
                text = arch.format(operand.tensor, layer.roles[operand.tensor], level)
                if has_pointers(bound_format(text, operand, schedule)):
                    pointed.add(level)
    if has_pointers(result_format(format_of_result(layer, arch, schedule), layer)):
        pointed.add(schedule.stays[layer.target.tensor][0].level)
    inner = [x.name for x in arch.levels[1:] if x.pointer_bits is None and x.cache is None]
    return [name for name in inner if name in pointed]


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


def is_compressed(layer: Layer, arch: Arch, schedule: Schedule) -> bool:
    """Whether a result is compressed at home."""
    return format_of_result(layer, arch, schedule) not in ("U", "dense")


def result_format(text: str, layer: Layer) -> Format:
    """A format for the result.

    One level alone means one fiber for each place of the axes that weights alone give it
    (output channels): the steps of a layer that reads this result.
    """
    held: dict[str, set[str]] = {"I": set(), "F": set(), "bias": set(), "index": set()}
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
    alone = alone and len(wanted.ranks[0].axes) == 1  # of several, all are written
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

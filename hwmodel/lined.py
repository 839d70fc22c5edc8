"""Traffic off chip in whole lines, and through a cache of fibers, of any mapped product.

A cache stands in any level that all PEs share.  It is asked for what units come to where the next
level inside is in the PEs, and else for the fibers of the tiles that this one is filled with; what
is not there it reads from the next level outside, in the format of that one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.walk import single
from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.asking import fibers_asked
from zeroskip.hwmodel.caches import misses
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.holding import held_in_pes, stored_as
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.levels import Level
from zeroskip.hwmodel.line_fills import lined_fills
from zeroskip.hwmodel.lines import Layout, Lined, Lines, check_lined, layout_of
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import Moves, Traffic, reads, writes
from zeroskip.hwmodel.plan import Accounting
from zeroskip.hwmodel.policy import skipped_by
from zeroskip.hwmodel.relations import Whole, codes
from zeroskip.hwmodel.stored import (
    format_at,
    held_formats,
    is_compressed,
    recoded,
    result_format,
)
from zeroskip.hwmodel.traces import nested
from zeroskip.hwmodel.traffic import Counts


@dataclass(frozen=True, slots=True)
class Asked:
    """Fibers of a tensor that a cache is asked for, in any order.

    layout : as they lie in the level ``source``, from which come those that are ``missed``.
    times : iteration of each loop of the nest, -1 inside the access; then the number of the
        operand, and of the level that asks.
    """

    layout: Layout
    source: str
    fibers: Whole
    times: Whole
    missed: NDArray[np.bool_]

    @property
    def brought(self) -> Lined:
        return self.layout.read(self.fibers[self.missed], self.fibers)


@dataclass(frozen=True, slots=True)
class LinedMoves:
    """What moves in whole lines and fibers.

    traffic : in place of that by single bits.
    filled : how operands lie that the mapping brings from off chip.
    asked : of operands that go through a cache.
    written : how the result lies, and its entries, where it is compressed.
    """

    traffic: Traffic
    filled: dict[str, tuple[Layout, Operand]]
    asked: dict[str, Asked]
    written: tuple[Layout, Operand] | None


def is_lined(arch: Arch) -> bool:
    return arch.off_chip.lines is not None or arch.cache is not None


def leaves_in_fibers(layer: Layer, arch: Arch, schedule: Schedule) -> bool:
    """Whether a result is compressed off chip, where fibers have lines or go through a cache."""
    home = schedule.stays[layer.target.tensor][0].level
    compressed = is_compressed(layer, arch, schedule)
    return is_lined(arch) and compressed and home == arch.off_chip.name


def from_lines(layer: Layer, arch: Arch, schedule: Schedule) -> tuple[str, ...]:
    """Operands that come from off chip, where it has lines."""
    off_chip = arch.off_chip
    if off_chip.lines is None:
        return ()
    return tuple(t for t in layer.tensors if schedule.stays[t][0].level == off_chip.name)


def lined_moves(
    layer: Layer, arch: Arch, schedule: Schedule, *, compressed: bool
) -> list[tuple[str, str]]:
    """Levels and tensors whose moves `lined_traffic` says.

    compressed : whether the result leaves in fibers.
    """
    off_chip, cached = arch.off_chip, cached_tensors(layer, arch, schedule)
    found = [(off_chip.name, t) for t in from_lines(layer, arch, schedule)]
    for tensor in cached:
        assert arch.cache is not None
        found.append((arch.cache.name, tensor))
        found += [(level, tensor) for level in way_to(arch.cache, schedule, tensor)]
    found += [(off_chip.name, layer.target.tensor)] if compressed else []
    return list(dict.fromkeys(found))


def outside_of(cache: Level, schedule: Schedule, tensor: str) -> str:
    """The level that a cache reads a tensor from."""
    return way_to(cache, schedule, tensor)[0]


def way_to(cache: Level, schedule: Schedule, tensor: str) -> list[str]:
    """The same, and levels that what is read passes (`zeroskip.hwmodel.passing`), outermost
    first."""
    found: list[str] = []
    for stay in schedule.stays[tensor]:
        if stay.level == cache.name:
            break
        found = [*found, stay.level] if stay.words else [stay.level]
    return found


def cached_tensors(layer: Layer, arch: Arch, schedule: Schedule) -> tuple[str, ...]:
    """Operands that go through a cache: those that the mapping keeps in that level.

    Raises
    ------
    ArchError
        For a mark that says from which loop on a cache keeps one: what it keeps goes by its policy;
        and for one whose home is outside the cache, in tiles that cut its fibers.
    """
    cache, found = arch.cache, []
    for tensor in layer.tensors if cache is not None else ():
        assert cache is not None
        stays = schedule.stays[tensor]
        for stay in stays:
            if stay.level != cache.name or stay.words:
                continue
            _check_fibers_outside(layer, arch, schedule, tensor, cache)
            if stay.position != stays[0].position:
                raise ArchError(
                    f"levels.{cache.name}.cache: keeps what its policy says, {cache.cache}, and "
                    f"a mark has it keep {tensor} from a loop on, in {schedule.mapping}\n"
                    f"Leave {tensor} out of @{cache.name}."
                )
            found.append(tensor)
    return tuple(found)


def _check_fibers_outside(
    layer: Layer, arch: Arch, schedule: Schedule, tensor: str, cache: Level
) -> None:
    """Refuse a home outside a cache of which a tile has a part of a fiber, tiles there that spill,
    and levels that fibers pass in another format."""
    home = schedule.stays[tensor][0]
    loops = [loop for loop in schedule.loops[: home.position] if not loop.single]
    source, *passed = way_to(cache, schedule, tensor)
    names = [level.name for level in arch.levels]
    for spill in schedule.spills:
        if spill.tensor == tensor and names.index(spill.level) < names.index(cache.name):
            raise ArchError(
                f"overflow {spill.level}: spill: {cache.name}, a cache, brings whole fibers of "
                f"{tensor} from there, and of a tile that spills {spill.level} has a part of one"
                f"\nLet overflow {spill.level} be refuse, split or report, or let {spill.level} or "
                f"{cache.name} not keep {tensor} (keep)."
            )
    bound = format_at(layer, arch, schedule, tensor, source)
    check_lined(bound, tensor)
    for level in passed:
        other = format_at(layer, arch, schedule, tensor, level)
        if other != bound:
            raise ArchError(
                f"stream {level}: {tensor} is {other.label} there, and fibers that pass it on "
                f"their way into {cache.name}, a cache, are {bound.label}, as in {source}\nGive "
                f"{tensor} the same format in {level}, or let {level} or {cache.name} not have it."
            )
    subscripts = layer.first(tensor).subscripts
    along = {single(subscripts[axis]) for axis in bound.order[-1]}
    cut = next((loop.name for loop in loops if loop.rank in along), None)
    if cut is not None:
        raise ArchError(
            f"home {tensor}: {schedule.mapping.home[tensor]}: {cut} cuts fibers of {tensor}, and "
            f"{cache.name}, a cache, brings whole ones from there\n"
            f"Let loops outside a tile go over other axes than those of its fibers ({bound.label}),"
            f" or let {cache.name} not keep {tensor} (keep)."
        )


def check_lines(layer: Layer, arch: Arch) -> None:
    """Refuse a line that is no single product: how fibers of several are walked is not told."""
    if len(layer.work) > 1 or layer.additions:
        off_chip, cache = arch.off_chip, arch.cache
        where = f"levels.{off_chip.name}.lines"
        if cache is not None and not off_chip.lines:
            where = f"levels.{cache.name}.cache"
        raise ArchError(
            f"{where}: expected a single product, such as Z[m,n] = A[m,k]*B[k,n], found "
            f"{layer.form_text}: terms that are added go through memory one after the other, which "
            f"is not listed as yet\nCharge each term as a line of its own, or leave {where} out."
        )


def lined_traffic(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    operands: Mapping[str, Operand],
    result: Operand | None,
    traffic: Traffic,
) -> LinedMoves:
    """Moves off chip, and into the buffer where it is a cache, in place of those by single bits.

    result : None where it is not compressed; its moves are then left as they are.
    traffic : by single bits.

    Raises
    ------
    ArchError
        For a line of several terms, a format that lines do not hold, and a result that is written
        off chip more than once by the mapping.
    """
    check_lines(layer, arch)
    off_chip, cache = arch.off_chip, arch.cache
    cached = cached_tensors(layer, arch, schedule)
    found: Traffic = {}
    sources = {} if cache is None else {t: outside_of(cache, schedule, t) for t in cached}
    layouts = {
        tensor: _layout(layer, arch, schedule, tensor, operands[tensor], arch.level(level))
        for tensor, level in sources.items()
    }
    asked = _through_cache(layer, arch, schedule, accounting, counts, operands, layouts, sources)
    for tensor, level in sources.items():
        assert cache is not None
        before, further = (traffic.get((x, tensor), Moves()) for x in (cache.name, level))
        brought = asked[tensor].brought
        found[cache.name, tensor] = _read_side(before) + brought.written()
        found[level, tensor] = _write_side(further) + brought.read()
        for passed in way_to(cache, schedule, tensor)[1:]:
            found[passed, tensor] = brought.written() + brought.read()
    filled = {}
    for tensor in from_lines(layer, arch, schedule):
        if sources.get(tensor) != off_chip.name:
            bound = format_at(layer, arch, schedule, tensor, off_chip.name)
            layout = _layout(layer, arch, schedule, tensor, operands[tensor], off_chip)
            laid = {**operands, tensor: stored_as(operands[tensor], tensor, bound)}
            known = laid, tensor, layout, bound
            moved = lined_fills(layer, arch, schedule, accounting, counts, *known)
            if laid[tensor] is operands[tensor]:  # else a tile is encoded anew where it comes to
                assert moved.reads == traffic[off_chip.name, tensor].reads
            found[off_chip.name, tensor] = moved
            filled[tensor] = layout, laid[tensor]
    written = None
    if result is not None:
        target = layer.target.tensor
        layout = _layout(layer, arch, schedule, target, result, off_chip, writing=True)
        leaves = layout.once()
        by_bits = traffic[off_chip.name, target]
        _check_once(off_chip, target, by_bits.reads + by_bits.writes, leaves)
        found[off_chip.name, target] = leaves.written(encoded=True)
        written = layout, result
    return LinedMoves(found, filled, asked, written)


def is_decoded(layer: Layer, arch: Arch, schedule: Schedule, tensor: str) -> bool:
    """Whether what is read of an operand off chip changes its format."""
    lies, inside, *_ = held_formats(layer, arch, schedule, layer.first(tensor)).values()
    return recoded(lies, inside)


def _through_cache(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    accounting: Accounting,
    counts: Counts,
    operands: Mapping[str, Operand],
    layouts: Mapping[str, Layout],
    sources: Mapping[str, str],
) -> dict[str, Asked]:
    """What a cache is asked for of the operands that it holds, and which fibers are not there: they
    are read from the levels outside it (``sources``).

    All go through it in the order of the nest; those of which each fiber is asked for once only
    pass by, and need no room.
    """
    cache = arch.cache
    if cache is None or not sources:
        return {}
    policy = accounting.policy
    operands = held_in_pes(layer, schedule, policy.terms[0], operands, skipping=True)
    nest = nested(layer, schedule.loops, operands, skipped_by(policy))
    found = {}
    for tensor, source in sources.items():
        bound = format_at(layer, arch, schedule, tensor, source)
        lies = tensor, layouts[tensor], bound
        made = fibers_asked(nest, arch, schedule, accounting, counts, operands, *lies)
        missed = np.ones(len(made[0]), np.bool_)
        found[tensor] = Asked(layouts[tensor], source, *made, missed)
    shared = [t for t, asked in found.items() if len(np.unique(asked.fibers)) < len(asked.fibers)]
    if not shared:
        return found
    first = np.cumsum([0, *(len(layouts[tensor].fibers) for tensor in shared)])
    fibers = np.concatenate([found[t].fibers + at for t, at in zip(shared, first, strict=False)])
    times = np.concatenate([found[t].times for t in shared])
    order = np.argsort(codes(list(times.T)), kind="stable")
    sizes = np.concatenate([sum(layouts[tensor].bits()) for tensor in shared])
    assert cache.cache is not None
    missed = np.zeros(len(fibers), np.bool_)
    missed[order] = misses(fibers[order], sizes, cache.capacity_bits, cache.cache)
    for tensor, low, high in zip(shared, first, first[1:], strict=False):
        mine = (fibers >= low) & (fibers < high)
        found[tensor] = replace(found[tensor], missed=missed[mine])
    return found


def _check_once(off_chip: Level, tensor: str, entries: int, once: Lined) -> None:
    """A result is compressed when it is done: its parts have no lines."""
    if entries != once.entries:
        raise ArchError(
            f"levels.{off_chip.name}: {tensor} moves {entries:,} entries by this mapping, and has "
            f"{once.entries:,}; a compressed result has lines where it leaves once, and not in "
            f"parts that come back\nKeep {tensor} from a loop further out, give it (role O) the "
            f"format U at {off_chip.name}, or leave lines and cache out."
        )


def _read_side(moves: Moves) -> Moves:
    """What is read of a level, by single bits."""
    found = reads(moves.reads, moves.read_data_bits, moves.read_metadata_bits)
    return replace(found, decoded_bits=moves.decoded_bits)


def _write_side(moves: Moves) -> Moves:
    """What is written into a level, by single bits."""
    found = writes(moves.writes, moves.write_data_bits, moves.write_metadata_bits)
    return replace(found, encoded_bits=moves.encoded_bits)


def _layout(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    tensor: str,
    held: Operand,
    level: Level,
    *,
    writing: bool = False,
) -> Layout:
    """level : in which it lies."""
    if writing:
        bound = result_format(arch.format(tensor, "O", level.name), layer)
    else:
        bound = format_at(layer, arch, schedule, tensor, level.name)
    lines, bits = level.lines or Lines(1, 1, 32), layer.first(tensor).bits(arch.value_bits)
    laid = stored_as(held, tensor, bound)
    return layout_of(laid, tensor, bound, lines, bits, writing=writing)

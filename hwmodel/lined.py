"""Traffic of a product of two matrices off chip in whole lines, and through a cache of fibers."""

from __future__ import annotations

from collections.abc import Mapping

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import Counted, Operand
from zeroskip.hwmodel.fibers import reached_by_row
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.levels import Level
from zeroskip.hwmodel.lines import Layout, Lined, Lines, check_lined, layout_of
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import Moves, Traffic, reads, writes
from zeroskip.hwmodel.pairs import Pair, fibers_of_pair, pair_of
from zeroskip.hwmodel.stored import bound_format, result_format


def is_lined(arch: Arch) -> bool:
    return arch.off_chip.lines is not None or arch.buffer.cache is not None


def structural_result(layer: Layer, arch: Arch, operands: Mapping[str, Operand]) -> Operand:
    """The entries of each row of the result: what stored products reach."""
    pair, target = pair_of(layer, "lines"), layer.target.tensor
    check_lined(result_format(arch.format(target, "O", arch.off_chip.name), layer))
    shape = layer.extents.shapes[layer.target.tensor]
    return Counted(shape, reached_by_row(*fibers_of_pair(pair, operands)))


def lined_moves(layer: Layer, arch: Arch, *, compressed: bool) -> list[tuple[str, str]]:
    """Levels and tensors whose moves `lined_traffic` says.

    compressed : whether the result is.
    """
    off_chip, buffer = arch.off_chip, arch.buffer
    pair = pair_of(layer, f"levels.{(off_chip if off_chip.lines else buffer).name}")
    found = [(off_chip.name, pair.leader), (off_chip.name, pair.follower)]
    if buffer.cache is not None:
        found.append((buffer.name, pair.follower))
    return [*found, *([(off_chip.name, layer.target.tensor)] if compressed else [])]


def lined_traffic(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    operands: Mapping[str, Operand],
    result: Operand | None,
    traffic: Traffic,
) -> Traffic:
    """Moves off chip, and into the buffer where it is a cache, in place of those by single bits.

    result : None where it is not compressed; its moves are then left as they are.
    traffic : by single bits.

    Raises
    ------
    ArchError
        For what is read off chip, or written there, more than once by the mapping.
    """
    off_chip, buffer = arch.off_chip, arch.buffer
    pair = pair_of(layer, f"levels.{(off_chip if off_chip.lines else buffer).name}")
    found: Traffic = {}
    for tensor in (pair.leader, pair.follower):
        layout = _layout(layer, arch, schedule, tensor, operands[tensor], writing=False)
        if tensor == pair.follower and buffer.cache is not None:
            if (buffer.name, tensor) not in traffic:
                raise ArchError(
                    f"levels.{buffer.name}.cache: holds {tensor}, which this mapping does not keep "
                    f"there\nKeep {tensor} in {buffer.name}."
                )
            _check_order(pair, schedule, buffer)
            trace = operands[pair.leader].fibers.coordinates
            moved = layout.led(trace, buffer.capacity_bits, buffer.cache)
            found[buffer.name, tensor] = _written(moved)
        else:
            moved = layout.once()
            _check_once(off_chip, tensor, traffic[off_chip.name, tensor].reads, moved)
        found[off_chip.name, tensor] = reads(moved.entries, moved.data_bits, moved.metadata_bits)
    if result is not None:
        target = layer.target.tensor
        moved = _layout(layer, arch, schedule, target, result, writing=True).once()
        by_bits = traffic[off_chip.name, target]
        _check_once(off_chip, target, by_bits.reads + by_bits.writes, moved)
        found[off_chip.name, target] = _written(moved)
    return found


def _check_once(off_chip: Level, tensor: str, entries: int, once: Lined) -> None:
    """Whole lines are counted of one pass."""
    if entries != once.entries:
        raise ArchError(
            f"levels.{off_chip.name}: {tensor} moves {entries:,} entries by this mapping, and has "
            f"{once.entries:,}; lines are counted of what moves once\n"
            f"Keep {tensor} from a loop further out, or leave lines and cache out."
        )


def _written(moved: Lined) -> Moves:
    return writes(moved.entries, moved.data_bits, moved.metadata_bits)


def _layout(
    layer: Layer, arch: Arch, schedule: Schedule, tensor: str, held: Operand, *, writing: bool
) -> Layout:
    level = arch.off_chip
    role = "O" if writing else layer.roles[tensor]
    text = arch.format(tensor, role, level.name)
    bound = (
        result_format(text, layer) if writing else bound_format(text, layer.first(tensor), schedule)
    )
    lines = level.lines or Lines(1, 1, 32)
    return layout_of(held.fibers, bound, lines, arch.value_bits, writing=writing)


def _check_order(pair: Pair, schedule: Schedule, buffer: Level) -> None:
    """The leader is gone through by rows: all of a row before the next of a PE."""
    wanted = [pair.group, pair.rank]
    time = [x for x in schedule.loops if x.rank in wanted and not (x.dims or x.single)]
    rows = [loop.rank for loop in time if loop.whole]
    across = [loop.rank for loop in schedule.across if loop.whole]
    spread = pair.group in across and rows == [pair.rank]
    if len(rows) < len(time) or not (spread or rows in (wanted, wanted[:1], wanted[1:], [])):
        raise ArchError(
            f"levels.{buffer.name}.cache: goes by the entries of {pair.leader} in the order "
            f"{' '.join(wanted)}, found {schedule.mapping}\n"
            f"Give a mapping of this order: Mapping({' '.join([*wanted, pair.into])!r})."
        )

"""All of a tensor in a level: its entries, and the bits of its format there.

What comes whole, or is at home, lies as the format says, fiber pointers and all; those are as wide
as the level says, if it does.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.formats.bits import Storage, layout
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import storage_extents
from zeroskip.formats.levels import Bitmask, Compressed, RunLength, Uncompressed
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.evaluate import Counted, Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.levels import Level
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.stored import format_of_result, held_formats, result_format
from zeroskip.table import by_size


def storage_at(
    layer: Layer,
    arch: Arch,
    schedule: Schedule,
    operand: Operand,
    tensor: str,
    level: Level,
) -> Storage:
    """What all of a tensor takes in a level.

    Raises
    ------
    ArchError
        Where the pointers of the level do not reach all entries.
    """
    bound = held_formats(layer, arch, schedule, layer.first(tensor))[level.name]
    return _stored(operand, bound, layer.first(tensor).bits(arch.value_bits), level, tensor)


def _stored(operand: Operand, bound: Format, width: int, level: Level, tensor: str) -> Storage:
    """A tensor in a level, whose pointers are as wide as it says."""
    if isinstance(operand, Expected):
        found = operand.storage(bound, width)
    else:
        found = storage_bits(operand, bound, width)
    return found if level.pointer_bits is None else _pointed(found, level, tensor)


def _pointed(stored: Storage, level: Level, tensor: str) -> Storage:
    """The same with the pointers of a level.  Raises `ArchError` where they are too narrow."""
    bits, levels = level.pointer_bits, []
    assert bits is not None
    for one in stored.levels:
        if one.pointers and isinstance(one.entries, int) and one.entries.bit_length() > bits:
            raise narrow(tensor, level.name, bits, one.entries)
        levels.append(replace(one, pointer_bits=bits) if one.pointer_bits else one)
    return replace(stored, levels=tuple(levels))


def narrow(
    tensor: str, level: str, pointer_bits: int, entries: float, *, more: str = ""
) -> ArchError:
    """What is said of pointers that do not reach all entries; of a mean, that it is one."""
    average = "" if isinstance(entries, int) else " on average"
    return ArchError(
        f"levels.{level}.pointer_bits: {tensor} has {by_size(entries)} entries there at a "
        f"time{average}, whose pointers need {int(entries).bit_length()} bits; expected so many or "
        f"more, found {pointer_bits}\nWiden pointer_bits{more}."
    )


def storage_bits(operand: Operand, bound: Format, value_bits: int) -> Storage:
    """What an operand costs in a format, as `Tensor.storage` says.

    U ranks around one C, B or R need no encoding: their fields follow from the entries.
    """
    levels, shape = bound.levels, operand.shape
    outer, last = levels[:-1], levels[-1] if levels else Uncompressed()
    if isinstance(operand, Counted):
        entries = [operand.rows if isinstance(outer[0], Compressed) else shape[0], operand.entries]
        fields = layout(shape, bound, entries)
        return Storage(bound, value_bits, operand.entries, fields, prod(shape) * value_bits)
    held: Any = operand.value
    simple = isinstance(last, Uncompressed | Compressed | Bitmask)
    simple |= isinstance(last, RunLength) and not isinstance(held, Tensor)
    if bound.split or not simple or not all(isinstance(level, Uncompressed) for level in outer):
        if not isinstance(held, Tensor):
            return Tensor.from_dense(operand.nonzero, bound).storage(value_bits)
        return held.asformat(bound).storage(value_bits)
    sizes = storage_extents(shape, bound)
    entries = [prod(sizes[: i + 1]) for i in range(len(sizes))]
    if isinstance(last, RunLength):
        order = [axis for axes in bound.order for axis in axes]
        entries[-1] = _runs(operand.nonzero.transpose(order), sizes[-1], last.run_bits)
    elif entries and not isinstance(last, Uncompressed):
        entries[-1] = operand.entries
    stored = entries[-1] if entries else 1
    fields = layout(shape, bound, entries)
    return Storage(bound, value_bits, stored, fields, prod(shape) * value_bits)


def _runs(mask: NDArray[np.bool_], positions: int, run_bits: int) -> int:
    """Entries of a mask whose fibers of so many positions are run-length coded, bridges among
    them: floor(gap / 2**run_bits) of them before an entry."""
    places = np.flatnonzero(mask)
    if not len(places):
        return 0
    gaps = np.diff(places, prepend=-1) - 1
    position = places % positions
    np.minimum(gaps, position, out=gaps)  # the first of a fiber has the zeros of its own alone
    return len(places) + int((gaps >> run_bits).sum())


def result_storage(layer: Layer, arch: Arch, schedule: Schedule, result: Operand) -> Storage:
    """The result in its format at home."""
    bound = result_format(format_of_result(layer, arch, schedule), layer)
    name = layer.target.tensor
    return _stored(result, bound, arch.value_bits, arch.level(schedule.stays[name][0].level), name)

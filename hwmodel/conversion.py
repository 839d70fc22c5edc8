"""An operand that comes in another order of axes than the mapping asks for: its transpose.

    stored m,k ──► count ──► sort by m ──► stored k,m         off chip, before the layer runs

The entries of a format lie sorted by its axes, outermost first.  Another order is a stable radix
sort from the least significant axis up, each a counting sort, linear in entries and extents:

    counting     reads the metadata of the source, and counts for all sorts at once
    first sort   reads the source, metadata and values
    last sort    writes the target, metadata and values; what is read of the source is decoded, what
                 is written of the target encoded
    between two  all entries, written and read with every coordinate (COO)

One sort moves its axis to the front and leaves the order of the others, so that as many are needed
as the wanted order has axes before its longest tail that the source has in order already; axes that
lead both orders stay, and each of their fibers is sorted by itself.  A matrix takes one.

Sources: F. G. Gustavson, "Two fast algorithms for sparse matrices: multiplication and permuted
transposition", ACM TOMS 4(3), 1978 (HALFPERM is the single sort); D. E. Knuth, The Art of Computer
Programming 3, section 5.2.5, algorithm R (radix list sort).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from zeroskip.errors import ArchError, TensorError
from zeroskip.formats.bits import Storage, layout
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.ranks import Axis, Part, axis_of
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.arch import Arch
from zeroskip.hwmodel.arch import arch as make_arch
from zeroskip.hwmodel.bandwidth import bandwidth_cycles_of
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expectation import expected_storage
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.mapping import Schedule
from zeroskip.hwmodel.moves import Moves, reads, writes
from zeroskip.hwmodel.storages import storage_bits
from zeroskip.hwmodel.stored import bound_format


@dataclass(frozen=True, slots=True)
class Conversion:
    """The transpose of one operand, off chip.

    Attributes
    ----------
    source, target : Storage
        The operand as it comes, and as it is charged; the target is stored beside the source.
    sorts : axes, or parts of split ones, that the entries are sorted by, in turn.
    stages : tuple of Moves
        What counting moves, then each sort.
    cycles : int
        Cycles that the memory needs for the stages, one after the other; 0 without a limit.
    energy_pj : float
        Picojoules of what they move.
    """

    tensor: str
    source: Storage
    target: Storage
    sorts: tuple[Axis, ...]
    stages: tuple[Moves, ...]
    cycles: int
    energy_pj: float

    @property
    def label(self) -> str:
        """Its row in the tables of a charge."""
        return f"transpose of {self.tensor}"

    @property
    def moves(self) -> Moves:
        """All stages together."""
        return sum(self.stages, Moves())


def sorts_between(source: Format, target: Format, shape: Sequence[int]) -> tuple[Axis, ...]:
    """What to sort by, least significant first, to store a tensor in another order.

    Axes of one place order nothing.  An axis that one format alone stores in blocks counts as
    its two parts in the other.

    Examples
    --------
    >>> sorts_between(Format("CSC").bind(2), Format("CSR").bind(2), (4, 5))
    (0,)
    >>> sorts_between(Format("0:C 1:C 2:C"), Format("2:C 1:C 0:C"), (4, 5, 6))
    (1, 2)
    """
    held, wanted = _keys(source, target, shape), _keys(target, source, shape)
    while held and wanted and held[0] == wanted[0]:
        held, wanted = held[1:], wanted[1:]
    while wanted and wanted[-1] in held:
        held, wanted = held[: held.index(wanted[-1])], wanted[:-1]
    sorts: list[Axis] = []
    for key in reversed(wanted):
        if isinstance(key, Part) and sorts[-1:] == [replace(key, inner=True)] and not key.inner:
            sorts[-1] = key.axis  # by the place in its block, then by block: by the axis
        else:
            sorts.append(key)
    return tuple(sorts)


def _keys(format: Format, other: Format, shape: Sequence[int]) -> list[Axis]:
    """The axes of a format, outermost first; those that only the other splits, in its parts."""
    written = [axis for rank in format.ranks for axis in rank.axes]
    split = {axis_of(axis) for axis in written if isinstance(axis, Part)}
    sizes = {
        axis.axis: axis.size
        for rank in other.ranks
        for axis in rank.axes
        if isinstance(axis, Part) and axis.axis not in split
    }
    keys: list[Axis] = []
    for axis in written:
        size = None if isinstance(axis, Part) else sizes.get(axis)
        whole = [axis] if size is None else [Part(axis_of(axis), size, i) for i in (False, True)]
        keys += [key for key in whole if _places(key, shape) > 1]
    return keys


def _places(axis: Axis, shape: Sequence[int]) -> int:
    extent = shape[int(axis_of(axis))]
    if not isinstance(axis, Part):
        return extent
    return min(axis.size, extent) if axis.inner else -(-extent // axis.size)


def discordant(source: Format, target: Format, shape: Sequence[int]) -> bool:
    """Whether entries have to be sorted.  Where either format has every place, none has: a
    place is then found by its coordinates, in any order."""
    full = [all(rank.level.full for rank in format.ranks) for format in (source, target)]
    return not any(full) and bool(sorts_between(source, target, shape))


def conversion(
    tensor: str,
    source: Storage,
    target: Storage,
    shape: Sequence[int],
    entries: int,
    arch: Arch,
) -> Conversion:
    """The transpose of a tensor from one format to another, off chip.

    entries : what goes from one to the other: without the zeros that a format adds.
    """
    sorts = sorts_between(source.format, target.format, shape)
    ways = [source, *[_listed(shape, entries, source.value_bits)] * (len(sorts) - 1), target]
    stages = [reads(0, 0, source.metadata_bits)]
    for held, wanted in itertools.pairwise(ways):
        out, back = held is source, wanted is target
        stages.append(
            reads(held.stored, held.data_bits, held.metadata_bits, decoded=out)
            + writes(wanted.stored, wanted.data_bits, wanted.metadata_bits, encoded=back)
        )
    level, total = arch.off_chip, sum(stages, Moves())
    times = [bandwidth_cycles_of(arch, {(level.name, tensor): stage}) for stage in stages]
    return Conversion(
        tensor,
        source,
        target,
        sorts,
        tuple(stages),
        cycles=sum(int(time.get(level.name, 0)) for time in times),
        energy_pj=level.energy_pj(total),
    )


def _listed(shape: Sequence[int], entries: int, value_bits: int) -> Storage:
    """So many entries, each with every coordinate."""
    bound = Format("COO").bind(len(shape))
    fields = layout(shape, bound, [entries] * len(shape))
    return Storage(bound, value_bits, entries, fields, prod(shape) * value_bits)


def conversions_of(
    layer: Layer, arch: Arch, schedule: Schedule, operands: Mapping[str, Operand]
) -> tuple[Conversion, ...]:
    """The transposes that a charge needs: of operands that come in a format of their own, in
    another order of entries than the architecture and the mapping want off chip."""
    found = []
    for name in layer.tensors:
        held = operands[name].value
        if not isinstance(held, Tensor):
            continue
        home = schedule.stays[name][0].level
        text = arch.format(name, layer.roles[name], home)
        bound = bound_format(text, layer.first(name), schedule)
        if discordant(held.format, bound, held.shape):
            if home != arch.off_chip.name:
                raise ArchError(
                    f"home {name}: {home}: expected it in the order of {bound.label}, found "
                    f"{held.format.label}, and nothing transposes it on chip\n"
                    f"Hand {name} over in that order, or let it come from {arch.off_chip.name}."
                )
            width = layer.first(name).bits(arch.value_bits)
            target = storage_bits(operands[name], bound, width)
            kept = int(np.count_nonzero(operands[name].stored))
            source = held.storage(width)
            found.append(conversion(name, source, target, held.shape, kept, arch))
    return tuple(found)


def transpose(
    x: Tensor | Density,
    source: str | Format,
    target: str | Format,
    arch: Arch | str | Path | Mapping[str, Any],
    name: str = "A",
) -> Conversion:
    """What it costs to bring a tensor from one order of axes into another, off chip.

    Parameters
    ----------
    x : Tensor or Density
        Of a tensor the figures are exact.  Of a density they are expected: entries are the
        mean, rounded to whole ones, over every way to place its non-zeros; see
        `zeroskip.hwmodel.expectation`.
    source, target : formats as it is stored and as it is wanted.
    arch : Arch, name of a preset, path of a YAML file, or dict
        Its widths, and the bandwidth and energy of its memory off chip.
    name : the tensor's, for tables.

    Raises
    ------
    ArchError
        Where the two have one order: nothing has to be sorted.
    TensorError
        For what is neither, and for a density in a format whose entries have no closed
        expectation here.
    """
    if not isinstance(x, Tensor | Density):
        raise TensorError(
            f"{name}: expected a Tensor or a Density, found {type(x).__name__}\n"
            f'Make one of it: zeroskip.tensor({name}, "CSR").'
        )
    design = make_arch(arch)
    held, wanted = (Format(format).bind(x.ndim) for format in (source, target))
    if not discordant(held, wanted, x.shape):
        raise ArchError(
            f"transpose() of {name}: {held.label} and {wanted.label} ask for no sort: their "
            "entries lie in one order, or one of them has every place\n"
            "Take storage() for the bits of each."
        )
    if isinstance(x, Density):
        before, after = (
            expected_storage(x, format, design.value_bits) for format in (held, wanted)
        )
        return conversion(name, before, after, x.shape, x.nnz, design)
    before, after = (x.asformat(format).storage(design.value_bits) for format in (held, wanted))
    return conversion(name, before, after, x.shape, len(x.coords()[1]), design)

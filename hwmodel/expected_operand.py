"""An operand that is known by its density: what it is on average, in numbers or symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.bits import LevelBits, Storage, layout
from zeroskip.formats.density import Density
from zeroskip.formats.density_models import Blocks
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import storage_extents
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    LevelFormat,
    RunLength,
    Structured,
    Uncompressed,
)
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.events import Event
from zeroskip.hwmodel.expectation import expected_entries
from zeroskip.native.recent import Recent

TINY = 1e-6
"""Bridges that are a rounding error."""

FEW = 16
"""Bridges between two entries up to which a formula has a term for each."""


class Expected(Operand):
    """An operand that is drawn: ``nonzero`` is where it may be.

    share : the chance of each place to hold a non-zero, or a symbol for it; that of the
        density where it is left out.
    """

    def __init__(self, density: Density, share: Any = None) -> None:
        super().__init__(density.shape, None)
        self.density = density
        if share is None:
            share = density.model.share
        self.share = share
        self._stored: dict[tuple[int, int], Storage] = {}

    @property
    def symbolic(self) -> bool:
        return not isinstance(self.share, float)

    @property
    def uniform(self) -> bool:
        """Whether each place is as likely as any other, and no group says how many there are."""
        model = self.density.model
        return isinstance(model, Blocks) and model.counts.size == 1 and model.support is None

    def storage(self, bound: Format, value_bits: int) -> Storage:
        """Mean bits in a format; see `_storage`, of which it is remembered."""
        key = id(bound), value_bits  # what is remembered holds the format
        found = self._stored.get(key)
        if found is None:
            found = self._stored[key] = self._storage(bound, value_bits)
        return found

    def _storage(self, bound: Format, value_bits: int) -> Storage:
        """Mean bits in a format; the width of a pointer is that of the mean.

        Raises
        ------
        TensorError
            For a format that has no expectation here, or whose expectation is no polynomial
            where the density is a symbol.  Run lengths have one of places that are independent.
        """
        frame = _framed(self.density.shape, bound)
        last, size = frame.last, self.density.size
        if frame.simple and isinstance(last, Compressed | Bitmask):
            whole = *frame.outer, self.density.nnz
            return self._of(frame, value_bits, whole, (*frame.outer, self.share * size))
        entries: list[Any] = list(expected_entries(self.density, bound))
        whole = tuple(map(round, entries))
        if frame.simple and isinstance(last, RunLength) and self.symbolic:
            bridges = entries[-1] - self.density.model.share * size
            entries[-1] = self.share * size
            bridged = bridges > TINY
            if bridged and self.density.structure == "banded":
                raise TensorError(
                    f"format {bound.label} has no closed formula in the density of a band"
                )
            if bridged and self.density.structure is not None:
                entries[-1] += bridges  # its density is what it is
            elif bridged:
                each = _bridges(self.share, frame.levels[-1].extent, 2**last.run_bits)
                entries[-1] += prod(frame.outer[-1:]) * each
        elif self.symbolic and not all(isinstance(kind, Uncompressed) for kind in frame.kinds):
            closed = self._entries_in_share(bound) if self.uniform else None
            if closed is None and (self._varies or not isinstance(last, Uncompressed)):
                raise TensorError(f"format {bound.label} has no closed formula in the density")
            entries = entries if closed is None else closed
        return self._of(frame, value_bits, whole, entries)

    @property
    def _varies(self) -> bool:
        """Whether its density may be another one."""
        return self.density.structure in (None, "banded", "profile", "empirical")

    def _entries_in_share(self, bound: Format) -> list[Any] | None:
        """Entries of each level of a uniform density: so many places, times the chance that one
        has anything behind it; None of levels whose entries are more than these."""
        found: list[Any] = []
        above: Any = 1
        taken: list[int] = []
        size = self.density.size
        for number, (extent, level) in enumerate(
            zip(storage_extents(self.density.shape, bound), bound.levels, strict=True)
        ):
            taken += bound.order[number]
            if isinstance(level, RunLength | Structured) or bound.split or not size:
                return None
            if isinstance(level, Uncompressed):
                above = above * extent
            elif not bound.unique(number) or len(taken) == self.density.ndim:
                above = self.share * size
            else:
                places = prod(self.density.shape[axis] for axis in taken)
                above = places * Event("", size, size, size // places).chance(self.share)
            found.append(above)
        return found

    def _of(
        self, frame: _Frame, value_bits: int, whole: Sequence[int], entries: Sequence[Any]
    ) -> Storage:
        """Storage of means.  whole : the whole number of each."""
        fibers: Any = 1
        levels = []
        for spec, kind, most, number in zip(frame.levels, frame.kinds, whole, entries, strict=True):
            width = most.bit_length() if spec.pointers else 0
            levels.append(_of_means(spec, kind, fibers, number, width))
            fibers = number
        stored = entries[-1] if entries else 1
        return Storage(
            frame.bound, value_bits, stored, tuple(levels), self.density.size * value_bits
        )


@dataclass(frozen=True, slots=True)
class _Frame:
    """What a format has for a shape, whatever is stored.

    levels : of no entries; kinds : of each; last : the last kind.
    simple : whether the others are U; outer : entries of these.
    """

    bound: Format
    levels: tuple[LevelBits, ...]
    kinds: tuple[LevelFormat, ...]
    last: LevelFormat
    simple: bool
    outer: tuple[int, ...]


_frames: Recent[tuple[tuple[int, ...], int], _Frame] = Recent(1024)


def _framed(shape: tuple[int, ...], bound: Format) -> _Frame:
    """The frame; remembered, and it holds the format, so that its id stays its own."""
    key = shape, id(bound)
    found = _frames.get(key)
    if found is None:
        kinds = tuple(bound.levels)
        *others, last = kinds or (Uncompressed(),)
        extents = storage_extents(shape, bound)
        found = _Frame(
            bound,
            layout(shape, bound, [0] * len(kinds)),
            kinds,
            last,
            all(isinstance(kind, Uncompressed) for kind in others),
            tuple(prod(extents[: k + 1]) for k in range(len(others))),
        )
        _frames.keep(key, found)
    return found


class Sized(Expected):
    """A drawn operand whose extents are symbols, too.

    axes : its shape in symbols.
    """

    def __init__(self, density: Density, share: Any, axes: tuple[Any, ...]) -> None:
        super().__init__(density, share)
        self.axes = axes

    def _storage(self, bound: Format, value_bits: int) -> Storage:
        """Fields and entries in symbols; widths are those of the numbers."""
        *outer, last = bound.levels or (Uncompressed(),)
        simple = all(isinstance(level, Uncompressed) for level in outer) and not bound.split
        if not simple or not isinstance(last, Compressed | Bitmask | Uncompressed):
            raise TensorError(
                f"format {bound.label} has no closed formula in extents\n"
                "Leave extents out of the formula."
            )
        numbers = storage_extents(self.density.shape, bound)
        ranks = [prod((self.axes[part] for part in parts), start=1) for parts in bound.order]
        entries: list[Any] = [prod(ranks[: k + 1], start=1) for k in range(len(ranks))]
        whole = [prod(numbers[: k + 1]) for k in range(len(numbers))]
        size = prod(self.axes, start=1)
        if not isinstance(last, Uncompressed):
            entries[-1], whole[-1] = self.share * size, self.density.nnz
        fibers: Any = 1
        levels = []
        for spec, kind, number, rank in zip(
            layout(self.density.shape, bound, whole), bound.levels, entries, ranks, strict=True
        ):
            levels.append(
                _of_means(replace(spec, extent=rank), kind, fibers, number, spec.pointer_bits)
            )
            fibers = number
        stored = entries[-1] if entries else 1
        return Storage(bound, value_bits, stored, tuple(levels), size * value_bits)


class Derived(Expected):
    """A result of a line before, drawn by the mean of its density."""


def _bridges(share: Any, places: int, step: int) -> Any:
    """Mean bridges of a fiber whose places are independent of each other: the sum, over the k-th
    bridge of every entry, of ``(places - k*step) * share * (1 - share)**(k*step)``."""
    import sympy

    most = (places - 1) // step
    q = (1 - share) ** step
    if most <= FEW:
        return share * sum((places - k * step) * q**k for k in range(1, most + 1))
    powers = q * (1 - q**most) / (1 - q)
    weighted = q * (1 - (most + 1) * q**most + most * q ** (most + 1)) / (1 - q) ** 2
    closed = share * (places * powers - step * weighted)
    return sympy.Piecewise((0, sympy.Eq(share, 0)), (closed, True))


class Uneven(Operand):
    """An operand with a number for each place in the stead of a mask."""

    def __init__(self, shape: tuple[int, ...], numbers: Any) -> None:
        super().__init__(shape, None)
        self.numbers = np.broadcast_to(numbers, shape)

    @property
    def nonzero(self) -> Any:
        return self.numbers


def _of_means(
    level: LevelBits, kind: LevelFormat, fibers: Any, entries: Any, pointer_bits: int
) -> LevelBits:
    """A level with its means in place of whole numbers."""
    fields: Any = entries
    if isinstance(kind, Uncompressed):
        fields = 0
    elif isinstance(kind, Bitmask):
        fields = fibers * level.extent
    pointers = fibers + 1 if level.pointers else 0
    return LevelBits(
        *(level.rank, fibers, level.extent, entries),
        *(pointers, pointer_bits, fields, level.field_bits),
    )

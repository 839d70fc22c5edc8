"""Evaluates an accounting on the real masks of the operands, in 64-bit integers.

The text is parsed and its sums are pushed into its products once for each structure; what
is remembered depends on text and extents alone, never on an operand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.explicit import form_text
from zeroskip.einsum_spec.factor import factor_all
from zeroskip.einsum_spec.spec import Spec, make_spec
from zeroskip.formats.format import Format
from zeroskip.formats.levels import Uncompressed
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.fibers import Fibers, Whole, fibers_of
from zeroskip.hwmodel.plan import Accounting, Mask
from zeroskip.hwmodel.sides import by_sides
from zeroskip.hwmodel.tile_trees import HELD, TileCount, Tiles, counted, entries_of
from zeroskip.native.engine import evaluate

Bits = NDArray[np.bool_]

MOST_SCATTERED = 2**24
"""Places up to which the mask of a sparse tensor is an array; beyond, it is a tensor."""


class Operand:
    """One operand's masks, made when asked for.

    value : ndarray or `Tensor`; None where only the shape is known, and every place holds
        a value.
    zero : the value that is none: see `zeroskip.hwmodel.rings`.
    """

    def __init__(
        self, shape: tuple[int, ...], value: NDArray[Any] | Tensor | None, zero: float = 0
    ) -> None:
        self.shape, self.value, self.zero = shape, value, zero
        self._trees: dict[Tiles, Mapping[tuple[int, str], Whole]] = {}

    @cached_property
    def nonzero(self) -> Bits:
        """Where the value is not zero (NaN is not)."""
        match self.value:
            case None:
                return self.inside
            case Tensor():
                return self._scatter(zeros=False)
            case _:
                return np.asarray(self.value != self.zero)

    @cached_property
    def stored(self) -> Bits:
        """Where an entry is held: `nonzero`, and zeros that a tensor stores by name."""
        return self._scatter(zeros=True) if isinstance(self.value, Tensor) else self.nonzero

    @cached_property
    def explicit_zeros(self) -> bool:
        """Whether a zero is stored by name."""
        return isinstance(self.value, Tensor) and not bool(self._entries[1].all())

    @property
    def inside(self) -> Bits:
        return np.ones(self.shape, dtype=np.bool_)

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """What an index tensor holds."""
        held = self.value.toarray() if isinstance(self.value, Tensor) else self.value
        return np.asarray(held, np.int64)

    @property
    def entries(self) -> int:
        """Entries that are held."""
        if isinstance(self.value, Tensor):
            return len(self._entries[1])
        return int(np.count_nonzero(self.stored))

    @cached_property
    def coordinates(self) -> tuple[Whole, ...]:
        """Of every entry that is held, along each axis."""
        if isinstance(self.value, Tensor):
            return self._entries[0]
        return tuple(np.nonzero(self.stored))

    @cached_property
    def fibers(self) -> Fibers:
        """What a matrix holds, by its first axis."""
        row, column = self.coordinates
        return fibers_of(row, column, *self.shape)

    def fibers_in(self, bound: Format) -> Fibers:
        """What the last level of a format holds for each place of those outside it; where it is U,
        every place, and no coordinates."""
        *outer, inner = bound.order
        if isinstance(bound.levels[-1], Uncompressed):
            count, extent = (prod(self.shape[a] for a in axes) for axes in (sum(outer, ()), inner))
            return Fibers(np.arange(count + 1) * extent, np.zeros(0, np.int64), extent)
        if len(self.shape) == 2 and bound.order == ((0,), (1,)):
            return self.fibers
        (fiber, count), (place, extent) = (self._numbered(a) for a in (sum(outer, ()), inner))
        return fibers_of(fiber, place, count, extent)

    def _numbered(self, axes: tuple[int, ...]) -> tuple[Whole, int]:
        """Of each entry, its place along some axes taken together; how many these have."""
        found = np.zeros(self.entries, np.int64)
        for axis in axes:
            found = found * self.shape[axis] + self.coordinates[axis]
        return found, prod(self.shape[axis] for axis in axes)

    def held(self, *, zeros: bool = True) -> Bits | Tensor:
        """`stored`, or `nonzero` without zeros; a tensor where an array would be too large."""
        if not self._is_large:
            return self.stored if zeros else self.nonzero
        coords, kept = self._entries
        kept = np.ones_like(kept) if zeros else kept
        format = "CSR" if len(self.shape) == 2 else "COO"
        return Tensor.from_coords(coords, kept, self.shape, format)

    @property
    def _is_large(self) -> bool:
        return isinstance(self.value, Tensor) and prod(self.shape) > MOST_SCATTERED

    @cached_property
    def _entries(self) -> tuple[tuple[NDArray[np.int64], ...], Bits]:
        assert isinstance(self.value, Tensor)
        coords, values = self.value.coords()
        return coords, np.asarray(values != self.zero)

    def _scatter(self, *, zeros: bool) -> Bits:
        coords, kept = self._entries
        bits = np.zeros(self.shape, dtype=np.bool_)
        bits[coords] = True if zeros else kept
        return bits

    def lists(self, wanted: Mask) -> bool:
        """Whether a mask is a list of entries, not an array of all places."""
        return self._is_large and self._is_whole(wanted) and wanted.kind in ("nz", "st")

    def _is_whole(self, wanted: Mask) -> bool:
        return self.shape == wanted.lengths and not any(lo for lo, _ in wanted.pads)

    def mask(self, wanted: Mask) -> Bits | Tensor:
        """A mask over the places that an access reaches: padding in front, tail cut off."""
        whole = self._is_whole(wanted)
        if self.lists(wanted):
            return self.held(zeros=wanted.kind == "st")
        bits = {"nz": lambda: self.nonzero, "st": lambda: self.stored}.get(
            wanted.kind, lambda: self.inside
        )()
        if whole:
            return bits
        reach = np.zeros(wanted.lengths, dtype=bits.dtype)
        source, target = [], []
        for size, length, (lo, _) in zip(bits.shape, wanted.lengths, wanted.pads, strict=True):
            stop = max(min(lo + size, length), lo)
            target.append(slice(lo, stop))
            source.append(slice(0, stop - lo))
        reach[tuple(target)] = bits[tuple(source)]
        return reach

    def tree(self, wanted: TileCount) -> Whole | Bits:
        """What each tile has of a level, encoded place by place."""
        tiles = wanted.tiles
        stored = Mask(tiles.kind, tiles.tensor, tiles.lengths, tiles.pads)

        def held() -> Bits:
            found = self.mask(stored)
            return found.toarray() if isinstance(found, Tensor) else found

        if wanted.what in HELD:
            return entries_of(tiles, held, by_tile=wanted.what == HELD[1])
        if tiles not in self._trees:
            self._trees[tiles] = counted(tiles, held)
        return self._trees[tiles][wanted.level, wanted.what]

    def side(self, wanted: Mask, axis: int) -> Bits:
        """Where one axis of an access is within the tensor: a side of the mask of its box."""
        (lo, _), place = wanted.pads[axis], np.arange(wanted.lengths[axis])
        return np.asarray((place >= lo) & (place < lo + self.shape[axis]))


class Counted(Operand):
    """A matrix of which only the entries of each row are known: a result that is not computed."""

    def __init__(self, shape: tuple[int, ...], by_row: Whole) -> None:
        super().__init__(shape, None)
        self.by_row = by_row

    @property
    def entries(self) -> int:
        return int(self.by_row.sum())

    @property
    def rows(self) -> int:
        """Rows that hold something."""
        return int(np.count_nonzero(self.by_row))

    @cached_property
    def fibers(self) -> Fibers:
        """So many entries in each row, at no place that is known."""
        positions = np.concatenate([[0], np.cumsum(self.by_row)]).astype(np.int64)
        return Fibers(positions, np.zeros(0, np.int64), self.shape[1])


@dataclass(frozen=True, slots=True)
class Structure:
    """A parsed accounting: as written, and with its sums pushed into its products."""

    written: Spec
    factored: Spec
    names: frozenset[str]


@lru_cache(maxsize=512)
def structure(text: str) -> Structure:
    """Parse an accounting and factor it.  Depends on the text alone."""
    written = make_spec(text)
    forms = factor_all(written.forms)
    factored = make_spec("\n".join(map(form_text, forms)))
    bare = {name for form in factored.forms for term in form.terms for name in term.scalars}
    names = set(factored.ranks)
    names |= {name.lower() for name in bare if name.isupper()}
    return Structure(written, factored, frozenset(names))


@lru_cache(maxsize=512)
def sized(
    text: str,
    sizes: tuple[tuple[str, int], ...],
    shapes: tuple[tuple[str, tuple[int, ...]], ...] = (),
) -> Spec:
    """The factored accounting at these extents, and shapes of results that subscripts do not
    tell; it remembers extents that it has solved."""
    parsed = structure(text)
    used: dict[str, Any] = {rank: n for rank, n in sizes if rank in parsed.names}
    used.update(shapes)
    return replace(parsed.factored, sizes=used, _solved={})


def counts(accounting: Accounting, operands: Mapping[str, Operand]) -> dict[str, NDArray[np.int64]]:
    """Every result of the accounting, by name.

    All are counts: the maximum of nothing is 0, and so is what belongs to a term without any
    point.
    """
    idle = accounting.idle
    sizes, shapes = accounting.sizes, accounting.shapes
    boxes = {name: m for name, m in accounting.masks.items() if m.kind == "in"}
    text, sides = by_sides(accounting.text, tuple(boxes))
    spec = sized(text, tuple(sizes.items()), tuple(shapes.items()))
    read = {name: accounting.masks[name] for name in spec.operands if name in accounting.masks}
    handed: dict[str, object] = {name: operands[m.tensor].mask(m) for name, m in read.items()}
    handed |= {
        side: operands[boxes[name].tensor].side(boxes[name], axis)
        for side, (name, axis) in sides.items()
    }
    handed |= {name: array for name, array in accounting.given.items() if name in spec.operands}
    indices = accounting.indices.items()
    handed |= {name: operands[tensor].places for name, tensor in indices if name in spec.operands}
    trees = {name: operands[x.tiles.tensor].tree(x) for name, x in accounting.trees.items()}
    handed |= {name: array for name, array in trees.items() if name in spec.operands}
    found = {**evaluate(spec, handed), **trees}
    return {
        name: np.zeros_like(value) if name in idle else np.maximum(value, 0)
        for name, value in found.items()
    }

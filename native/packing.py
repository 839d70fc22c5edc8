"""Entries of an operand → rows of the result and offsets in the staged copy.

Row and offset are sums over the operand's storage ranks: what one coordinate of a rank adds is
looked up in a table as long as the rank.  Only where two ranks meet inside one strided
subscript, or a rank is far longer than its entries, is each entry computed on its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.tree import Var
from zeroskip.einsum_spec.walk import single
from zeroskip.formats.expand import level_coordinates
from zeroskip.formats.level_data import LevelData
from zeroskip.formats.levels import Compressed
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Array, Operand
from zeroskip.native.domains import LANES_AHEAD
from zeroskip.native.geometry import Geometry
from zeroskip.native.patterns import by_patterns, order_of, starts
from zeroskip.native.tile import TilePlan
from zeroskip.native.tile_shape import TileShape
from zeroskip.records import dataclass

Table = tuple[Array, Array]
"""For each coordinate of a rank what it adds to row and offset."""

LONG_TABLE = 4
"""Coordinates of a rank for each entry, above which tables cost more than they save."""


@dataclass(frozen=True, slots=True)
class Packed:
    """The entries by blocks, rows that go together, and which of them store a column.

    columns : where the columns of each pattern of each such group of rows start, and the end.
    offset : of each column, and of single rows `LANES_AHEAD` more, which nobody works with.
    first : the first entry of each group.  values : of each entry.
    """

    columns: Array
    offset: Array
    first: Array
    values: Array


class Packer:
    """How entries are packed of operands of one shape and format: what goes by their places alone
    is found once.
    """

    def __init__(
        self, plan: TilePlan, extents: Extents, geometry: Geometry, shape: TileShape
    ) -> None:
        self._places = _Places(plan, extents, geometry)
        self._geometry = geometry
        self._shape = shape
        self._whole: Packed | None = None  # of an array, its places in order for its values
        self._turned = False
        self._crd_offset: Array | None = None

    def __call__(self, operand: Operand) -> Packed:
        """Order the entries, and turn their coordinates into offsets of a block of the staged copy.

        Zeros that only fill a place are left out; an ndarray has none, all of it is packed.
        """
        if not isinstance(operand, np.ndarray):
            made = self._by_fibers(operand)
            return self._in_order(*_entries(self._places, operand)) if made is None else made
        flat = operand.reshape(-1)
        if self._whole is None:
            self._whole = self._in_order(*_dense(self._places, operand), np.arange(operand.size))
            self._turned = bool(np.any(self._whole.values[1:] < self._whole.values[:-1]))
        return replace(self._whole, values=flat[self._whole.values] if self._turned else flat)

    def _by_fibers(self, operand: Tensor) -> Packed | None:
        """The entries as they lie, where each fiber of the last level is a row, as in CSR."""
        last = operand.levels[-1]
        alone = self._shape.rows == 1 and self._geometry.blocks == 1
        if not alone or not isinstance(last.spec, Compressed):
            return None
        if self._crd_offset is None:
            self._crd_offset = self._offset_of_crd(operand)
        if not len(self._crd_offset):
            return None
        pos = last.arrays["pos"]
        offset = self._followed(self._crd_offset[last.arrays["crd"]])
        return Packed(pos, offset, pos[:-1], np.ascontiguousarray(operand.values))

    def _followed(self, offset: Array) -> Array:
        """The offsets of single rows, in their own type, and some that are fetched and not used."""
        dtype = np.dtype(self._geometry.offset_dtype)
        return np.concatenate([offset, np.zeros(LANES_AHEAD, dtype)], dtype=dtype, casting="unsafe")

    def _offset_of_crd(self, operand: Tensor) -> Array:
        """What the last coordinate tells of an offset, where the others tell the row and nothing
        else; empty where they do not."""
        dtype = self._geometry.offset_dtype
        rows, none = np.zeros(1, self._places.row_dtype), np.zeros(0, dtype)
        *outer, last = operand.levels
        if not all(level.spec.full for level in outer) or not _by_tables(self._places, operand):
            return none
        for depth, level in enumerate(outer):
            row, offset = self._places.table_of(operand, level, start=depth == 0)
            if offset.any():
                return none
            rows = np.add.outer(rows, row).reshape(-1)
        row, offset = self._places.table_of(operand, last, start=not outer)
        own = np.array_equal(rows, np.arange(self._geometry.numbers["row_blocks"]))
        return offset.astype(dtype) if own and not row.any() else none

    def _in_order(self, rows: Array, offset: Array, values: Array) -> Packed:
        geometry, together = self._geometry, self._shape.rows
        if len(rows) and np.any(rows[1:] < rows[:-1]):
            order = order_of(rows)
            rows, offset, values = rows[order], offset[order], values[order]
        groups = geometry.numbers["row_blocks"]
        if geometry.blocks > 1:
            block, offset = np.divmod(offset, geometry.span)
            order = order_of(block)
            narrow = groups * geometry.blocks * together <= 2**31
            block = block.astype(np.int32 if narrow else np.int64, copy=False)
            rows = block[order] * (groups * together) + rows[order]
            offset, values = offset[order], values[order]
        groups *= geometry.blocks
        if together == 1:
            columns = starts(rows, groups)
            offset = self._followed(offset)
            return Packed(columns, offset, columns[:-1], np.ascontiguousarray(values))
        ordered = by_patterns(rows, offset, groups, together, geometry.span)
        offset = ordered.offset.astype(geometry.offset_dtype, copy=False)
        return Packed(ordered.columns, offset, ordered.first, values[ordered.entry])


def entries_of(
    plan: TilePlan, operand: Operand, extents: Extents, geometry: Geometry
) -> tuple[Array, Array, Array]:
    """Rows, offsets in the staged copy, and values of the entries, in the order they are stored."""
    places = _Places(plan, extents, geometry)
    if isinstance(operand, np.ndarray):
        return *_dense(places, operand), operand.reshape(-1)
    return _entries(places, operand)


def _entries(places: _Places, operand: Tensor) -> tuple[Array, Array, Array]:
    if _by_tables(places, operand):
        return _stored(places, operand)
    coords, values = operand.coords()
    return *places.of(dict(enumerate(coords))), values


class _Places:
    """What coordinates of some of the operand's axes add to row and offset."""

    def __init__(self, plan: TilePlan, extents: Extents, geometry: Geometry) -> None:
        self.plan = plan
        ranks = [single(s) for s in plan.entries.subscripts]
        self.axis_of = {rank: k for k, rank in enumerate(ranks) if rank is not None}
        self.row_stride: dict[str, int] = {}
        step = 1
        for rank in reversed(plan.rows):
            self.row_stride[rank] = step
            step *= extents.ranks[rank]
        self.strides = geometry.strides
        self.row_dtype = np.dtype(np.int32 if step <= 2**31 else np.int64)
        self._tables: dict[tuple[int, ...], Table] = {}
        span = geometry.span * geometry.blocks
        self.offset_dtype = np.dtype(np.int32 if span <= 2**31 else np.int64)

    def strided(self) -> list[set[int]]:
        """The operand's axes that meet in each strided subscript of the lanes."""
        return [
            {self.axis_of[name] for name, _ in self._summed(k)}
            for k, axis in enumerate(self.plan.axes)
            if axis.stride > 1
        ]

    def _summed(self, k: int) -> list[tuple[str, int]]:
        """Ranks of the entries in one subscript of the lanes, with their coefficients."""
        lane = self.plan.axes[k].rank
        found = []
        for coefficient, atom in self.plan.lane_access.subscripts[k].terms:
            assert isinstance(atom, Var)
            if atom.name != lane:
                found.append((atom.name, coefficient.value))
        return found

    def table_of(self, operand: Tensor, level: LevelData, start: bool) -> Table:
        """What each coordinate of a level adds, found once."""
        axes = tuple(level.axes)
        if axes not in self._tables:
            shape = tuple(operand.shape[axis] for axis in axes)
            grid = np.indices(shape).reshape(len(shape), -1)
            self._tables[axes] = self.of(dict(zip(axes, grid, strict=True)), start=start)
        return self._tables[axes]

    def of(self, coords: Mapping[int, Array], *, start: bool = True) -> tuple[Array, Array]:
        """Rows and offsets of entries at these coordinates, by axis; other axes at 0.

        In the narrowest types that hold a sum of them: tables are read once an entry.
        start : add what the constants in the subscripts do, once for every entry.
        """
        length = max((len(c) for c in coords.values()), default=0)
        rows = np.zeros(length, np.int64)
        offset = np.zeros(length, np.int64)
        for rank, stride in self.row_stride.items():
            if self.axis_of[rank] in coords:
                rows += stride * coords[self.axis_of[rank]]
        for k, (axis, strides) in enumerate(zip(self.plan.axes, self.strides, strict=True)):
            held = [(n, a) for n, a in self._summed(k) if self.axis_of[n] in coords]
            constant = sum(m.value for m in self.plan.lane_access.subscripts[k].offset)
            owns = bool(held) if axis.stride > 1 and self._summed(k) else start
            if not held and not (owns and constant):
                continue
            at = np.full(length, constant if owns else 0, np.int64)
            for name, coefficient in held:
                at += coefficient * coords[self.axis_of[name]]
            row_stride, phase_stride = strides
            if axis.stride > 1:
                offset += at % axis.stride * phase_stride + at // axis.stride * row_stride
            else:
                offset += at * row_stride
        return rows.astype(self.row_dtype), offset.astype(self.offset_dtype)


def _dense(places: _Places, array: Array) -> tuple[Array, Array]:
    """Every place of an array: outer sums of one table an axis."""
    if any(len(axes) > 1 for axes in places.strided()):
        grid = np.indices(array.shape).reshape(array.ndim, -1)
        return places.of(dict(enumerate(grid)))
    tables = [
        places.of({axis: np.arange(extent)}, start=axis == 0)
        for axis, extent in enumerate(array.shape)
    ]
    rows, offset = tables.pop()
    for row_table, offset_table in reversed(tables):  # the innermost loops run over what is long
        rows = np.add.outer(row_table, rows).reshape(-1)
        offset = np.add.outer(offset_table, offset).reshape(-1)
    return rows, offset


def _by_tables(places: _Places, operand: Tensor) -> bool:
    """Whether tables of the storage ranks are right, and short enough."""
    if operand.format.split:
        return False
    together: Sequence[set[int]] = [set(level.axes) for level in operand.levels]
    for axes in places.strided():
        if not any(axes <= level for level in together):
            return False
    longest = max((level.extent for level in operand.levels), default=0)
    return longest <= LONG_TABLE * operand.stored + 1


def _stored(places: _Places, operand: Tensor) -> tuple[Array, Array, Array]:
    """What the levels store, rank by rank from the root."""
    rows, offset = np.zeros(1, places.row_dtype), np.zeros(1, places.offset_dtype)
    for depth, level in enumerate(operand.levels):
        row_table, offset_table = places.table_of(operand, level, start=depth == 0)
        parents, crd = level_coordinates(level)
        if parents is not None:
            rows, offset = rows[parents], offset[parents]
        rows = rows + row_table[crd] if row_table.any() else rows
        offset = offset + offset_table[crd] if offset_table.any() else offset
    values = operand.values
    if operand.levels[-1].spec.fills:
        kept = np.flatnonzero(values)
        rows, offset, values = rows[kept], offset[kept], values[kept]
    return rows, offset, values

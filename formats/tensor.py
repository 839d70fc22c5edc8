"""`Tensor`: a shape, a format, the arrays of its levels, and values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.checks import is_listed
from zeroskip.errors import TensorError
from zeroskip.formats.arrange import arrange, entries_of, flattened
from zeroskip.formats.arraylike import ArrayLike
from zeroskip.formats.build import build, full_levels
from zeroskip.formats.codecs import encoded
from zeroskip.formats.expand import axis_coordinates, densify, expand
from zeroskip.formats.fills import clean, count, places, read_fill
from zeroskip.formats.format import Format, bound_to
from zeroskip.formats.level_data import Array, Indices, LevelData, check_room, freeze
from zeroskip.formats.scipy_io import to_scipy
from zeroskip.formats.splits import check_tails
from zeroskip.formats.validate import check_levels, check_values, read_levels
from zeroskip.formats.values import cast, check_dtype, native, read_dtype

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from zeroskip.formats.bits import Storage
    from zeroskip.formats.pack import Packed


@dataclass(frozen=True, slots=True, eq=False, repr=False, weakref_slot=True)
class Tensor(ArrayLike):
    """A tensor in a format; immutable.

    Make one with `zeroskip.tensor`, `from_dense`, `from_coords` or `from_parts`; the
    constructor itself trusts what it is given.

    Attributes
    ----------
    shape : tuple of int
        Extent of each axis, in the order of the array it was made from.
    format : Format
        Bound: storage ranks over axis numbers, outermost first.
    levels : tuple of LevelData
        One for each storage rank.
    values : ndarray
        1-D, one value an entry of the last level.
    fill : scalar of the values' type
        The value of what is not stored, and of what a U or R level holds only to fill a
        place.
    """

    shape: tuple[int, ...]
    format: Format
    levels: tuple[LevelData, ...]
    values: Array
    fill: Any = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "fill", clean(self.values.dtype.type(self.fill)))

    # ---- making one ---------------------------------------------------------------------

    @classmethod
    def of(
        cls,
        shape: tuple[int, ...],
        format: Format,
        levels: tuple[LevelData, ...],
        values: Array,
        fill: Any,
    ) -> Tensor:
        """As the constructor, of a fill that has the values' type already and is no -0.0: in as few
        steps as there are."""
        made, put = object.__new__(cls), object.__setattr__
        put(made, "shape", shape)
        put(made, "format", format)
        put(made, "levels", levels)
        put(made, "values", values)
        put(made, "fill", fill)
        return made

    @classmethod
    def from_dense(cls, array: Array, format: Format | str, *, fill: Any = 0) -> Tensor:
        """What is not the fill in ``array``: with 0, NaN is stored and -0.0 is a zero.

        Where every level is U, the array is kept as it is, signs of zeros included.
        """
        if not isinstance(array, np.ndarray):
            raise TensorError(
                f"expected an ndarray, found {type(array).__name__}\n"
                "zeroskip.tensor takes lists, SciPy's and torch's."
            )
        check_dtype(array.dtype)
        bound = bound_to(format, array.ndim)
        check_room(array.size, array.itemsize, "the dense array")  # may be a view of one value
        array = native(array)
        fill = read_fill(fill, array.dtype)
        if (quick := encoded(array, bound, fill)) is not None:
            return cls(array.shape, bound, *quick, fill)
        if all(level.full for level in bound.levels):
            flat = flattened(array, bound, fill)
            if np.may_share_memory(flat, array):
                flat = flat.copy()
            return cls(array.shape, bound, full_levels(array.shape, bound), freeze(flat), fill)
        coords, values = entries_of(array, bound, fill)
        return cls(array.shape, bound, *build(coords, values, array.shape, bound, fill), fill)

    @classmethod
    def from_coords(
        cls,
        coords: Sequence[Any],
        values: Any,
        shape: Sequence[int],
        format: Format | str,
        *,
        fill: Any = 0,
    ) -> Tensor:
        """Values at coordinates, one array of integers an axis, in any order.

        Values at equal coordinates are added up (or-ed, for bool), or refused where the fill
        is not 0.  Zeros among the values are stored like any other.  Raises `TensorError`
        where a coordinate is not an integer in range, naming its position.
        """
        extents = check_shape(shape)
        bound = bound_to(format, len(extents))
        held = np.asarray(values)
        check_dtype(held.dtype)
        held = native(held)
        fill = read_fill(fill, held.dtype)
        if held.ndim != 1:
            raise TensorError(f"values have shape {held.shape}; expected one axis")
        if not isinstance(coords, Sequence | np.ndarray):
            raise TensorError(f"expected an array of coordinates for each axis, found {coords!r}")
        if len(coords) != len(extents):
            raise TensorError(
                f"{len(coords)} arrays of coordinates for {len(extents)} axes {extents}"
            )
        checked = [
            check_coordinates(crd, axis, extent, len(held))
            for axis, (crd, extent) in enumerate(zip(coords, extents, strict=True))
        ]
        stored, held = arrange(checked, held, extents, bound, fill)
        return cls(extents, bound, *build(stored, held, extents, bound, fill), fill)

    @classmethod
    def from_parts(
        cls,
        shape: Sequence[int],
        format: Format | str,
        parts: Sequence[Mapping[str, Any]],
        values: Any,
        *,
        fill: Any = 0,
    ) -> Tensor:
        """A tensor from level arrays, which are copied, checked and narrowed.

        parts : for each storage rank, outermost first, a mapping of the array names that
            `levels` documents: ``{}`` for U, ``{"pos": …, "crd": …}`` for C.

        Raises
        ------
        TensorError
            Naming the rank, the position, what was found and what was expected.
        """
        extents = check_shape(shape)
        bound = bound_to(format, len(extents))
        held = np.array(values)
        check_dtype(held.dtype)
        held = native(held)
        levels = read_levels(extents, bound, parts)
        check_values(held, levels[-1].entries if levels else 1)
        made = cls(extents, bound, levels, freeze(held), read_fill(fill, held.dtype))
        made._check_tails()
        return made

    def validate(self) -> Tensor:
        """Check every array against the others; return self.

        Raises `TensorError` if the data was altered since it was made.
        """
        check_shape(self.shape)
        check_dtype(self.values.dtype)
        check_levels(self.shape, self.format, self.levels)
        check_values(self.values, self.levels[-1].entries if self.levels else 1)
        self._check_tails()
        return self

    def _check_tails(self) -> None:
        if self.format.split:
            coords = axis_coordinates(expand(self.levels), self.shape, self.format)
            fills = self.levels[-1].spec.fills
            check_tails(coords, self.values, self.fill, self.shape, fills)

    # ---- what it is ---------------------------------------------------------------------

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.values.dtype

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        """Elements of the shape, stored or not."""
        return prod(self.shape)

    @property
    def stored(self) -> int:
        """Entries held: run-length bridges and zeros that are stored included."""
        return len(self.values)

    @property
    def nnz(self) -> int:
        """Values held that are not zero; with another fill, that are not the fill."""
        return count(self.values, self.fill)

    @property
    def density(self) -> float:
        """`nnz` over elements; 0.0 where there are no elements."""
        return self.nnz / self.size if self.size else 0.0

    @property
    def nbytes(self) -> int:
        """Bytes that this process holds: level arrays and values."""
        arrays = (array for level in self.levels for array in level.arrays.values())
        return self.values.nbytes + sum(array.nbytes for array in arrays)

    def __repr__(self) -> str:
        return (
            f"<Tensor {'×'.join(map(str, self.shape)) or 'scalar'} {self.dtype}, "
            f"format {self.format.label!r}, {self.nnz} {'other' if self.fill else 'non-zeros'} "
            f"(density {self.density:.3g}), {self.stored} stored"
            f"{f', fill {self.fill}' if self.fill else ''}>"
        )

    def storage(self, value_bits: int | None = None, *, pointer_bits: int | None = None) -> Storage:
        """Bits that the format costs in hardware, with values of ``value_bits`` (those of the
        dtype by default) and fiber pointers of ``pointer_bits`` (the narrowest by default)."""
        from zeroskip.formats.bits import storage_of

        return storage_of(
            self.shape, self.format, self.levels, self.dtype, value_bits, pointer_bits
        )

    def pack(self, value_bits: int | None = None, *, pointer_bits: int | None = None) -> Packed:
        """The bit stream that `storage` counts, loss-free; see `zeroskip.formats.pack`."""
        from zeroskip.formats.pack import pack

        return pack(self, value_bits, pointer_bits=pointer_bits)

    def __reduce__(self) -> tuple[Any, ...]:
        return restored, (self.shape, self.format, self.levels, self.values, self.fill)

    def __copy__(self) -> Tensor:
        return self

    def __deepcopy__(self, memo: Any) -> Tensor:
        return self

    # ---- other forms --------------------------------------------------------------------

    def toarray(self) -> Array:
        """A new dense array of the tensor's shape."""
        return densify(self.levels, self.values, self.shape, self.format, self.fill)

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise TensorError("a Tensor cannot become an array without a copy; use copy=None")
        array = self.toarray()
        return array if dtype is None else array.astype(dtype, copy=False)

    def coords(self) -> tuple[tuple[Indices, ...], Array]:
        """Coordinates of each axis, and values, of what is stored, in storage order.

        Fills that a U or R level keeps only to fill a place are left out; those that C, S or
        B name are there.
        """
        stored, values = expand(self.levels), self.values
        if self.levels and self.levels[-1].spec.fills:
            kept = places(values, self.fill)
            stored, values = [crd[kept] for crd in stored], values[kept]
        return tuple(axis_coordinates(stored, self.shape, self.format)), values

    def to_scipy(self) -> Any:
        """A SciPy sparse array: CSR where rows are U outside, CSC where columns are, else COO."""
        return to_scipy(self)

    def to_torch(self) -> Any:
        """A torch tensor: strided where all ranks are U, CSR, CSC or BSR where the format is that
        one, else COO.  Everything is copied."""
        from zeroskip.formats.torch_io import sparse_to_torch

        return sparse_to_torch(self)

    def asformat(self, format: Format | str) -> Tensor:
        """The same tensor in another format (this one, where it is the same).

        ``"auto"`` is the one of dense, bitmask, CSR and COO that costs the fewest bits in
        hardware for what is stored.
        """
        from zeroskip.formats.auto import is_auto, smallest_format

        given: tuple[Sequence[Indices], Array] | None = None
        if is_auto(format):
            given = self.coords()
            format = smallest_format(self.shape, len(given[1]), self.dtype)
        bound = bound_to(format, self.ndim)
        if bound == self.format:
            return self
        coords, values = given or self.coords()
        stored, values = arrange(coords, values, self.shape, bound, self.fill)
        built = build(stored, values, self.shape, bound, self.fill)
        return Tensor(self.shape, bound, *built, self.fill)

    def astype(self, dtype: DTypeLike) -> Tensor:
        """The same entries and fill, of another type; raises where an integer type cannot hold
        one of them."""
        wanted = read_dtype(dtype)
        if wanted == self.dtype:
            return self
        try:
            fill = cast(np.asarray(self.fill), wanted)[()]
        except TensorError as cause:
            raise TensorError(f"the fill of the tensor: {cause}") from None
        values = freeze(cast(self.values, wanted))
        return Tensor(self.shape, self.format, self.levels, values, fill)


def restored(
    shape: tuple[int, ...],
    format: Format,
    levels: tuple[LevelData, ...],
    values: Array,
    fill: Any = 0,
) -> Tensor:
    """A tensor from its pickle: its arrays are read-only again."""
    for level in levels:
        for array in level.arrays.values():
            freeze(array)
    return Tensor(shape, format, levels, freeze(values), fill)


_NONE: Indices = np.zeros(0, dtype=np.int64)


def check_shape(shape: Sequence[int]) -> tuple[int, ...]:
    """Extents as Python integers; refuses what is no extent."""
    if not isinstance(shape, Iterable) or not is_listed(shape):
        raise TensorError(f"expected a shape such as (2, 3), found {shape!r}")
    extents = []
    for axis, extent in enumerate(shape):
        if isinstance(extent, bool) or not isinstance(extent, int | np.integer) or extent < 0:
            raise TensorError(f"axis {axis} has extent {extent!r}; expected an integer >= 0")
        extents.append(int(extent))
    return tuple(extents)


def check_coordinates(crd: Any, axis: int, extent: int, length: int) -> Indices:
    """Coordinates of one axis as int64; refuses what is no integer in range."""
    try:
        array = np.asarray(crd)
    except ValueError as error:
        raise TensorError(f"coordinates of axis {axis} are no array: {error}") from None
    if array.shape != (length,):
        raise TensorError(
            f"coordinates of axis {axis} have shape {array.shape}; expected ({length},), "
            "one a value"
        )
    if array.dtype.kind not in "iu" and length:
        nan = np.flatnonzero(np.isnan(array)) if array.dtype.kind == "f" else _NONE
        if len(nan):
            raise TensorError(f"coordinate {nan[0]} of axis {axis} is NaN; expected an integer")
        raise TensorError(
            f"coordinates of axis {axis} are {array.dtype}; expected integers\n"
            "Convert with .astype('int64') if they are whole numbers."
        )
    if length and (array.min() < 0 or array.max() >= extent):
        bad = np.flatnonzero((array < 0) | (array >= extent))[0]
        raise TensorError(
            f"coordinate {bad} of axis {axis} is {array[bad]}; expected 0 .. {extent - 1}"
            if extent
            else f"axis {axis} has extent 0 and no coordinates; found {array[bad]}"
        )
    return array.astype(np.int64, copy=False)

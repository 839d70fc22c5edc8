"""`Density`: a shape and how full it is, in place of an operand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from zeroskip.checks import is_one_of
from zeroskip.errors import TensorError
from zeroskip.formats.density_models import Blocks, Model, Nested, Tiles, band, of_blocks
from zeroskip.formats.density_structures import axis_of, full_band, levels_of
from zeroskip.formats.level_data import Array, check_room
from zeroskip.formats.tensor import Tensor, check_shape
from zeroskip.formats.values import read_dtype
from zeroskip.records import dataclass

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


@dataclass(frozen=True, slots=True)
class Measured:
    """What a density keeps of a tensor.

    kind : ``profile``, with the axes of whose slices the non-zeros were counted, or ``empirical``,
        with the extents of the tiles.
    counts : of each slice or tile, 64-bit integers in row-major order.
    """

    kind: str
    parts: tuple[int, ...]
    counts: bytes


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Density:
    """Stands in for an operand of which only the share of non-zeros is known.

    `Density.profile` and `Density.empirical` measure one of a tensor, slice by slice or tile by
    tile.

    Parameters
    ----------
    shape : sequence of int
    density : float, array_like or None
        Non-zeros over elements, 0 .. 1; an array is a sweep over its values.  None only with
        a structure, which says it; of a band it is then full.
    structure : str, optional
        ``"2:4"``: exactly 2 of every 4 neighbours along ``axis`` are non-zero; ``"4:8 2:4"``:
        so are those of 4 of every 8 such groups, and the others are empty (hierarchical, outermost
        first).  ``"banded"``: only places (…, i, j) with |i - j| <= ``width`` are, any of them as
        likely as any other.  Without it, non-zeros lie anywhere.
    width : int
        Of a band: diagonals on either side of the main one.
    axis : int, optional
        Of groups G:H; by default the last that whole groups fill, so that filters of 3 x 3 have
        them along their channels.

    Examples
    --------
    >>> Density((64, 64, 3, 3), 0.3).nnz
    11059
    >>> [point.density for point in Density((8,), [0.25, 0.5])]
    [0.25, 0.5]
    >>> Density((2, 8), structure="2:4")
    Density((2, 8), 0.5, structure='2:4')
    >>> Density((64, 64, 3, 3), structure="2:4")
    Density((64, 64, 3, 3), 0.5, structure='2:4', axis=1)
    >>> Density((4, 64), structure="3:4 2:4").density
    0.375
    >>> Density((6, 6), structure="banded", width=1).nnz
    16
    """

    shape: tuple[int, ...]
    densities: tuple[float, ...]
    swept: bool
    structure: str | None
    width: int | None
    axis: int | None
    measured: Measured | None

    def __init__(
        self,
        shape: Sequence[int],
        density: ArrayLike | None = None,
        *,
        structure: str | None = None,
        width: int | None = None,
        axis: int | None = None,
    ) -> None:
        extents = check_shape(shape)
        share = most = None
        if axis is not None and (structure is None or is_one_of(structure, ("banded",))):
            raise TensorError(
                f"axis {axis!r} is that of groups G:H, and structure is {structure!r}\n"
                'Write structure="2:4", or leave the axis out.'
            )
        if is_one_of(structure, ("banded",)):
            share = most = full_band(extents, width)
        elif width is not None:
            raise TensorError(
                f"width {width!r} is that of a band, and structure is {structure!r}\n"
                'Write structure="banded", or leave the width out.'
            )
        elif structure is not None:
            levels = levels_of(structure)
            axis = axis_of(axis, levels, structure, extents)
            share = prod(g / h for g, h in levels)
        if density is None:
            if share is None:
                raise TensorError("a Density without a structure needs its density, 0 .. 1")
            density = share
        array = np.asarray(density)
        if array.dtype.kind not in "iuf" or array.ndim > 1 or array.size == 0:
            raise TensorError(
                f"a density is a number, or a row of numbers to sweep over; found {density!r}"
            )
        values = tuple(float(value) for value in np.atleast_1d(array))
        for i, value in enumerate(values):
            where = f"density {i} of the sweep" if array.ndim else "the density"
            if not 0 <= value <= 1:
                raise TensorError(f"{where} is {value}; expected a share of the elements, 0 .. 1")
            if most is not None and round(value * prod(extents)) > round(most * prod(extents)):
                raise TensorError(
                    f"{where} is {value}, a share of all elements; a band of width {width} has "
                    f"room for {most:.6g}\nTake a wider band, or None for the density: a full one."
                )
            if most is None and share is not None and value != share:
                raise TensorError(
                    f"{where} is {value}; structure {structure!r} has exactly {share}\n"
                    "Leave out the density, or the structure."
                )
        swept = array.ndim == 1
        self._set(extents, values, swept=swept, structure=structure, width=width, axis=axis)

    def _set(
        self,
        shape: tuple[int, ...],
        densities: tuple[float, ...],
        *,
        swept: bool = False,
        structure: str | None = None,
        width: int | None = None,
        axis: int | None = None,
        measured: Measured | None = None,
    ) -> None:
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "densities", densities)
        object.__setattr__(self, "swept", swept)
        object.__setattr__(self, "structure", structure)
        object.__setattr__(self, "width", width)
        object.__setattr__(self, "axis", axis)
        object.__setattr__(self, "measured", measured)

    # ---- measured ones ------------------------------------------------------------------

    @classmethod
    def profile(cls, x: Any, axes: int | Sequence[int]) -> Density:
        """The density of every slice along some axes of a tensor, in place of that tensor.

        Drawn from it, each slice has as many non-zeros as that of ``x``, at any of its places.

        Parameters
        ----------
        x : anything that `zeroskip.tensor` takes
        axes : one axis, or several: a slice for each of their places

        Examples
        --------
        >>> rows = Density.profile(np.diag([1.0, 2.0, 0.0]), axes=0)
        >>> rows
        Density.profile(<3×3>, axes=(0,))
        >>> np.count_nonzero(rows.sample(0), axis=1).tolist()
        [1, 1, 0]
        """
        held = _nonzeros(x)
        chosen = tuple(axes) if isinstance(axes, Iterable) else (axes,)
        for axis in chosen:
            if not isinstance(axis, int | np.integer) or not 0 <= axis < held.ndim:
                raise TensorError(
                    f"axes: expected axes 0 .. {held.ndim - 1} of shape {held.shape}, found "
                    f"{axis!r}"
                )
        kept = tuple(sorted({int(axis) for axis in chosen}))
        others = tuple(axis for axis in range(held.ndim) if axis not in kept)
        return cls._of(held, "profile", kept, held.sum(axis=others, dtype=np.int64))

    @classmethod
    def empirical(cls, x: Any, tile: Sequence[int]) -> Density:
        """How full the tiles of a tensor are, in place of that tensor.

        Drawn from it, each tile has as many non-zeros as one tile of ``x`` that is picked by
        chance, at any of its places: clusters stay, and so does the mean.

        Parameters
        ----------
        x : anything that `zeroskip.tensor` takes
        tile : extent of a tile along each axis, which divides that of ``x``

        Examples
        --------
        >>> Density.empirical(np.eye(4), tile=(2, 2)).density
        0.25
        """
        held = _nonzeros(x)
        extents = check_shape(tile)
        fits = len(extents) == held.ndim and all(
            b and n % b == 0 for n, b in zip(held.shape, extents, strict=True)
        )
        if not fits:
            raise TensorError(
                f"tile {extents} does not divide shape {held.shape}: expected one extent for each "
                "axis, of which the axis has a multiple"
            )
        return cls._of(held, "empirical", extents, of_blocks(held, extents))

    @classmethod
    def _of(cls, held: Array, kind: str, parts: tuple[int, ...], counts: Array) -> Density:
        made = cls.__new__(cls)
        share = float(held.mean()) if held.size else 0.0
        kept = Measured(kind, parts, np.asarray(counts, np.int64).tobytes())
        made._set(held.shape, (share,), structure=kind, measured=kept)
        return made

    # ---- what it is ---------------------------------------------------------------------

    @property
    def model(self) -> Model:
        """Where its non-zeros lie."""
        about = (self.structure, self.width, self.axis, self.measured)
        return _model(self.shape, self.density, *about)

    @property
    def pattern(self) -> Density:
        """The fullest density of which every place is more likely by one factor."""
        if self.structure not in (None, "banded"):
            return self
        return _fullest(self.shape, self.structure, self.width)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def density(self) -> float:
        """Of a single one; a sweep is walked by iteration."""
        if self.swept:
            raise TensorError(
                f"this Density is a sweep over {len(self.densities)} values\n"
                "Take one point at a time: for point in density: …"
            )
        return self.densities[0]

    @property
    def nnz(self) -> int:
        """Non-zeros: ``round(density * size)``; of an empirical one, on average."""
        return round(self.density * self.size)

    def __len__(self) -> int:
        return len(self.densities)

    def __iter__(self) -> Iterator[Density]:
        """Each point of a sweep as a `Density` of its own; a single one once."""
        if not self.swept:
            return iter((self,))
        return (
            Density(self.shape, value, structure=self.structure, width=self.width, axis=self.axis)
            for value in self.densities
        )

    def __repr__(self) -> str:
        if self.measured is not None:
            named = "axes" if self.measured.kind == "profile" else "tile"
            size = "×".join(map(str, self.shape))
            return f"Density.{self.measured.kind}(<{size}>, {named}={self.measured.parts})"
        density: Any = list(self.densities) if self.swept else self.density
        more = f", structure={self.structure!r}" if self.structure is not None else ""
        more += f", width={self.width}" if self.width is not None else ""
        more += f", axis={self.axis}" if self.axis not in (None, self.ndim - 1) else ""
        return f"Density({self.shape}, {density}{more})"

    @property
    def fingerprint(self) -> str:
        """A text that no other density has, for keys of what is kept on disk."""
        counts = self.measured.counts.hex() if self.measured is not None else ""
        return f"{self!r} {counts}".rstrip()

    # ---- drawing one --------------------------------------------------------------------

    def sample(
        self, rng: np.random.Generator | int | None = None, dtype: DTypeLike = np.float32
    ) -> Array:
        """A dense array with exactly `nnz` non-zeros; of an empirical one, on average.

        Their places are drawn uniformly (with a structure, among those it leaves), their values
        from the standard normal distribution; integers uniformly from 1 .. 127 with
        either sign; bool is True.

        rng : a generator, or a seed for one.
        """
        wanted = read_dtype(dtype)
        try:
            generator = np.random.default_rng(rng)
        except (TypeError, ValueError) as cause:
            raise TensorError(
                f"rng: expected a generator or a seed of 0 or more, found {rng!r}"
            ) from cause
        check_room(self.size, 8, f"an array of shape {self.shape}")
        places = np.flatnonzero(self.model.draw(generator))
        flat = np.zeros(self.size, dtype=wanted)
        flat[places] = _values(generator, len(places), wanted)
        return flat.reshape(self.shape)


def _values(generator: np.random.Generator, count: int, dtype: np.dtype[Any]) -> Array:
    """Values none of which is zero."""
    if dtype == np.bool_:
        return np.ones(count, dtype=dtype)
    if dtype.kind in "iu":
        magnitude = generator.integers(1, 128, count)
        if dtype.kind == "u":
            return magnitude.astype(dtype)
        return np.asarray(magnitude * generator.choice([-1, 1], count), dtype=dtype)
    drawn = generator.standard_normal(count).astype(dtype)
    drawn[drawn == 0] = 1
    return drawn


@lru_cache(maxsize=256)
def _fullest(shape: tuple[int, ...], structure: str | None, width: int | None) -> Density:
    full = 1.0 if structure is None else None
    return Density(shape, full, structure=structure, width=width)


@lru_cache(maxsize=256)
def _model(
    shape: tuple[int, ...],
    density: float,
    structure: str | None,
    width: int | None,
    axis: int | None,
    measured: Measured | None,
) -> Model:
    if measured is not None:
        counts = np.frombuffer(measured.counts, np.int64)
        if measured.kind == "empirical":
            return Tiles(shape, measured.parts, counts)
        grid = [n if axis in measured.parts else 1 for axis, n in enumerate(shape)]
        return Blocks(shape, counts.reshape(grid))
    nonzeros = np.full((1,) * len(shape), round(density * prod(shape)), np.int64)
    if structure == "banded":
        return Blocks(shape, nonzeros, band(shape, cast(int, width)))
    if structure is None or not prod(shape):
        return Blocks(shape, nonzeros)
    along = cast(int, axis)
    return Nested(shape, levels_of(structure), along)


def _nonzeros(x: Any) -> Array:
    """Where a tensor is not zero."""
    from zeroskip.formats.convert import tensor

    if isinstance(x, Density):
        raise TensorError(f"expected a tensor to measure, found {x!r}")
    if not isinstance(x, np.ndarray):
        held = x if isinstance(x, Tensor) else tensor(x)
        check_room(prod(held.shape), held.dtype.itemsize, f"an array of shape {held.shape}")
        x = held.toarray()
    return np.asarray(x != 0)

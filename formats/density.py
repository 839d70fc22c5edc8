"""`Density`: a shape and how full it is, in place of an operand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.level_data import Array, check_room
from zeroskip.formats.tensor import check_shape
from zeroskip.formats.values import read_dtype

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, DTypeLike


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Density:
    """Stands in for an operand of which only the share of non-zeros is known.

    Parameters
    ----------
    shape : sequence of int
    density : float, array_like or None
        Non-zeros over elements, 0 .. 1; an array is a sweep over its values.  Left out only
        with a structure, which says it.
    structure : str, optional
        ``"2:4"``: exactly 2 of every 4 neighbours along the last axis are non-zero.  Without
        it, non-zeros lie anywhere, each place being as likely as any other.

    Examples
    --------
    >>> Density((64, 64, 3, 3), 0.3).nnz
    11059
    >>> [point.density for point in Density((8,), [0.25, 0.5])]
    [0.25, 0.5]
    >>> Density((2, 8), structure="2:4")
    Density((2, 8), 0.5, structure='2:4')
    """

    shape: tuple[int, ...]
    densities: tuple[float, ...]
    swept: bool
    structure: str | None

    def __init__(
        self,
        shape: Sequence[int],
        density: ArrayLike | None = None,
        *,
        structure: str | None = None,
    ) -> None:
        extents = check_shape(shape)
        share = None if structure is None else _check_structure(structure, extents)
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
            if share is not None and value != share:
                raise TensorError(
                    f"{where} is {value}; structure {structure!r} has exactly {share}\n"
                    "Leave out the density, or the structure."
                )
        object.__setattr__(self, "shape", extents)
        object.__setattr__(self, "densities", values)
        object.__setattr__(self, "swept", array.ndim == 1)
        object.__setattr__(self, "structure", structure)

    # ---- what it is ---------------------------------------------------------------------

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
        """Non-zeros: ``round(density * size)``."""
        return round(self.density * self.size)

    def __len__(self) -> int:
        return len(self.densities)

    def __iter__(self) -> Iterator[Density]:
        """Each point of a sweep as a `Density` of its own; a single one once."""
        return (Density(self.shape, value, structure=self.structure) for value in self.densities)

    def __repr__(self) -> str:
        density: Any = list(self.densities) if self.swept else self.density
        more = f", structure={self.structure!r}" if self.structure is not None else ""
        return f"Density({self.shape}, {density}{more})"

    # ---- drawing one --------------------------------------------------------------------

    def sample(
        self, rng: np.random.Generator | int | None = None, dtype: DTypeLike = np.float32
    ) -> Array:
        """A dense array with exactly `nnz` non-zeros.

        Their places are drawn uniformly (with a structure: uniformly in each group), their
        values from the standard normal distribution; integers uniformly from 1 .. 127 with
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
        nnz = self.nnz
        flat = np.zeros(self.size, dtype=wanted)
        if self.structure is None:
            places = generator.choice(self.size, nnz, replace=False) if nnz else np.zeros(0, int)
            places = np.sort(places)
        else:
            group, of = (int(part) for part in self.structure.split(":"))
            order = np.argsort(generator.random((self.size // of, of)), axis=1)[:, :group]
            places = np.flatnonzero(_scatter(order, of))
        flat[places] = _values(generator, len(places), wanted)
        return flat.reshape(self.shape)


def _scatter(order: Array, of: int) -> Array:
    mask = np.zeros((len(order), of), dtype=bool)
    np.put_along_axis(mask, order, True, axis=1)
    return mask.reshape(-1)


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


def _check_structure(structure: str, shape: tuple[int, ...]) -> float:
    """The density G/H of ``"G:H"``; refuses one that does not fit the last axis."""
    group, colon, of = str(structure).partition(":")
    if not (colon and group.isascii() and group.isdigit() and of.isascii() and of.isdigit()):
        raise TensorError(f"a structure is written 'G:H', such as '2:4'; found {structure!r}")
    g, h = int(group), int(of)
    if not 0 < g <= h:
        raise TensorError(f"structure {structure!r}: expected 0 < G <= H")
    if not shape or shape[-1] % h:
        last = f"extent {shape[-1]}" if shape else "no axis"
        raise TensorError(
            f"structure {structure!r} needs a last axis of a multiple of {h}; found {last}"
        )
    return g / h

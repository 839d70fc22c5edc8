"""What a kernel knows of an operand: its levels, not its numbers."""

from __future__ import annotations

from itertools import dropwhile

from zeroskip.formats.levels import LevelFormat, Uncompressed
from zeroskip.formats.ranks import Part
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class LevelSignature:
    """One storage rank: its level format, of which the abilities alone are read; the axes it
    flattens; and the dtypes of its arrays, in the order of the level format's ``arrays``.

    unique : whether a coordinate occurs once in a fiber (not in the upper rank of COO).
    group : of a structured level, (G, H).
    part : of a level that stores one part of a split axis, which.
    """

    kind: type[LevelFormat]
    axes: tuple[int, ...]
    arrays: tuple[tuple[str, str], ...]
    unique: bool = True
    group: tuple[int, ...] = ()
    part: Part | None = None

    def __str__(self) -> str:
        axes = "*".join(map(str, self.axes)) if self.part is None else str(self.part)
        return f"{axes}:{self.letter}"

    @property
    def letter(self) -> str:
        return self.kind.letter


@dataclass(frozen=True, slots=True)
class Signature:
    """An operand as the compiler sees it; equal signatures share kernels.

    padded : for each axis, whether its accesses may fall into padding.
    skips_padding : whether what falls into padding is left out of a reduction; else it is 0.
    fill : what is read where nothing is stored, as a Python number; a NaN is `math.nan` itself,
        which alone equals itself as a part of a key.
    """

    dtype: str
    levels: tuple[LevelSignature, ...]
    padded: tuple[bool, ...]
    skips_padding: bool = False
    fill: int | float = 0

    @property
    def locatable(self) -> bool:
        """Whether any coordinate can be asked for, rank by rank."""
        return all(k.kind.full or (k.kind.locate and k.unique) for k in self.levels)

    @property
    def dense(self) -> bool:
        """Every coordinate stands at its own place, in the order of the axes."""
        order = tuple(axis for level in self.levels for axis in level.axes)
        return all(level.kind.full for level in self.levels) and order == tuple(range(len(order)))

    @property
    def skips(self) -> bool:
        """Whether some coordinates are not stored."""
        return not all(level.kind.full for level in self.levels)

    @property
    def bridged(self) -> bool:
        """Whether it may hold entries that only bridge a run or pad a group."""
        return self.fills and any(k.kind.fills and not k.kind.full for k in self.levels)

    @property
    def fills(self) -> bool:
        """Whether fills among its values may stand for what is absent: bridges of runs, pads of
        groups, the unstored part of an uncompressed level below a sparse one.

        Fills of an upper level lead to fibers in which nothing is stored, unless the levels
        below store every place.
        """
        below = list(dropwhile(lambda level: level.kind.full, self.levels))
        return bool(below) and below[-1].kind.fills


def dense_signature(dtype: str, padded: tuple[bool, ...]) -> Signature:
    """An ndarray: one uncompressed level for each axis."""
    return Signature(
        dtype, tuple(LevelSignature(Uncompressed, (k,), ()) for k in range(len(padded))), padded
    )

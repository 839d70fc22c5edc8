"""Named formats: what CSR, COO, bitmask … are, for a tensor of so many axes.

Those of two ranks take the first axis as rows and flatten the rest into columns, so that
CSR stores a filter F[m,c,r,s] as ``m:U c*r*s:C`` and CSC as ``c*r*s:U m:C``.  On a vector
they are the one level of their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from zeroskip.errors import FormatError
from zeroskip.formats.levels import (
    Bitmask,
    Compressed,
    LevelFormat,
    RunLength,
    Singleton,
    Structured,
    Uncompressed,
)
from zeroskip.formats.ranks import Axis, Part, StorageRank, axis_of

Ranks = list[tuple[Sequence[Axis], LevelFormat]]


def _each(outer: LevelFormat, inner: LevelFormat) -> Callable[[int], Ranks]:
    """One rank an axis: ``outer`` for the first, ``inner`` for all others."""
    return lambda ndim: [((axis,), inner if axis else outer) for axis in range(ndim)]


def _matrix(
    outer: LevelFormat, inner: LevelFormat, *, columns_first: bool = False
) -> Callable[[int], Ranks]:
    """The first axis by the rest flattened, stored by rows or by columns."""

    def ranks(ndim: int) -> Ranks:
        if ndim < 2:
            return [((axis,), inner) for axis in range(ndim)]
        rows, columns = (0,), tuple(range(1, ndim))
        first, second = (columns, rows) if columns_first else (rows, columns)
        return [(first, outer), (second, inner)]

    return ranks


_U, _C, _B = Uncompressed(), Compressed(), Bitmask()

NAMED: dict[str, Callable[[int], Ranks]] = {
    "dense": _each(_U, _U),
    "CSR": _matrix(_U, _C),
    "CSC": _matrix(_U, _C, columns_first=True),
    "DCSR": _matrix(_C, _C),
    "DCSC": _matrix(_C, _C, columns_first=True),
    "COO": _each(_C, Singleton()),
    "CSF": _each(_C, _C),
    "bitmask": _matrix(_U, _B),
}
"""Formats by name.  ``RLE(r)`` is one more, which needs its r; so are ``G:H`` and ``BSR(r,c)``."""

RUN_LENGTH = "RLE"
BLOCKS = "BSR"


def _blocks(rows: int, columns: int) -> Ranks:
    """Blocks of a matrix, each stored whole: rows of blocks U, the blocks of a row C."""
    return [
        ((Part(0, rows, False),), _U),
        ((Part(1, columns, False),), _C),
        ((Part(0, rows, True),), _U),
        ((Part(1, columns, True),), _U),
    ]


def _block_size(ranks: Ranks) -> tuple[int, int] | None:
    """Rows and columns of the blocks, where these are the ranks of `_blocks`."""
    first, last = ranks[0][0][0], ranks[-1][0][-1]
    if isinstance(first, Part) and isinstance(last, Part):
        size = first.size, last.size
        return size if ranks == _blocks(*size) else None
    return None


def blocks_of(bound: Sequence[StorageRank]) -> tuple[int, int] | None:
    """Rows and columns of the blocks of a bound ``BSR(rows,columns)``, else None."""
    return _block_size([(rank.axes, rank.level) for rank in bound]) if bound else None


def canonical(name: str) -> str | None:
    """The spelling of a name, whatever its case; None if there is no such format."""
    return _SPELLING.get(name.lower())


_SPELLING = {name.lower(): name for name in (*NAMED, RUN_LENGTH, BLOCKS)}


def named_ranks(name: str, ndim: int) -> Ranks:
    """The ranks of a format by its canonical name, for ``ndim`` axes."""
    if name.startswith(RUN_LENGTH):
        return _matrix(_U, RunLength(int(name[len(RUN_LENGTH) + 1 : -1])))(ndim)
    if name.startswith(BLOCKS):
        if ndim != 2:
            raise FormatError(
                f"{name} stores the blocks of a matrix; the tensor has {ndim} axes\n"
                "Write its ranks out, such as 'm/2:U k/2:C m%2:U k%2:U n:U'."
            )
        rows, columns = map(int, name[len(BLOCKS) + 1 : -1].split(","))
        return _blocks(rows, columns)
    if ":" in name:
        most, group = map(int, name.split(":"))
        return _matrix(_U, Structured(most, group))(ndim)
    return NAMED[name](ndim)


def name_of(bound: Sequence[StorageRank]) -> str | None:
    """The name of a bound format's ranks, or None; of several, the first of `NAMED`.

    The one level of a vector is called dense, bitmask, RLE or G:H, or by its letter.
    """
    ndim = len({axis_of(axis) for rank in bound for axis in rank.axes})
    found: Ranks = [(rank.axes, rank.level) for rank in bound]
    for name, ranks in NAMED.items():
        if ranks(ndim) == found and (ndim > 1 or name in ("dense", "bitmask")):
            return name
    if not found:
        return None
    if block := _block_size(found):
        return f"{BLOCKS}({block[0]},{block[1]})"
    if any(isinstance(axis, Part) for axes, _ in found for axis in axes):
        return None
    match found[-1][1]:
        case RunLength(bits):
            name = f"{RUN_LENGTH}({bits})"
        case Structured(most, group):
            name = f"{most}:{group}"
        case _:
            return None
    if named_ranks(name, ndim) == found:
        return name
    return None

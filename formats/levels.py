"""Level formats: what one rank of a fibertree stores.

A level says what it is (its fields) and what it can do (its class attributes); the
compiler reads only the latter.  Positions are 64-bit everywhere.  For a fiber at parent
position ``f`` the level keeps, in the arrays named by ``arrays``:

    U   nothing: coordinate c stands at position f * extent + c
    C   pos[f] .. pos[f + 1] are the positions of the fiber; crd[p] the coordinate at p
    B   words[f * W + c // 64] >> (c % 64) & 1 is set where c is stored, W = ceil(extent / 64);
        rank[w] counts the bits set in all words before w, so that c stands at position
        rank[w] + popcount(words[w] & ((1 << c % 64) - 1))
    R   pos as in C; run[p] counts the zeros between the entry before p and p
    S   crd[p]: the one coordinate at position p, which is the parent's position
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Uncompressed:
    """Every coordinate is stored; nothing but the extent is needed to find it."""

    letter: ClassVar[str] = "U"
    arrays: ClassVar[tuple[str, ...]] = ()
    full: ClassVar[bool] = True
    locate: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Compressed:
    """Stored coordinates in increasing order, between two fiber pointers.

    coordinate_bits : hardware width of a coordinate; None for ceil(log2 extent).

    Followed by a `Singleton`, the rank holds one coordinate for every entry below it, so
    that a coordinate may repeat (COO); it can then be walked but not located.
    """

    coordinate_bits: int | None = None

    letter: ClassVar[str] = "C"
    arrays: ClassVar[tuple[str, ...]] = ("pos", "crd")
    full: ClassVar[bool] = False
    locate: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Bitmask:
    """One bit a coordinate; an entry's position is the count of bits set before it."""

    letter: ClassVar[str] = "B"
    arrays: ClassVar[tuple[str, ...]] = ("words", "rank")
    full: ClassVar[bool] = False
    locate: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class RunLength:
    """Run-length rank: each entry is (zeros before it, value).

    A gap longer than ``max_run`` is bridged by entries whose value is 0 and which stand for
    one zero themselves; they are stored, moved and charged like any other entry.
    """

    run_bits: int

    letter: ClassVar[str] = "R"
    arrays: ClassVar[tuple[str, ...]] = ("pos", "run")
    full: ClassVar[bool] = False
    locate: ClassVar[bool] = False

    @property
    def max_run(self) -> int:
        return 2**self.run_bits - 1


@dataclass(frozen=True, slots=True)
class Singleton:
    """One coordinate for every entry of the rank above (the later ranks of COO)."""

    coordinate_bits: int | None = None

    letter: ClassVar[str] = "S"
    arrays: ClassVar[tuple[str, ...]] = ("crd",)
    full: ClassVar[bool] = False
    locate: ClassVar[bool] = False


LevelFormat = Uncompressed | Compressed | Bitmask | RunLength | Singleton

"""Level formats: what one rank of a fibertree stores.

A level says what it is (its fields) and what it can do (its class attributes); the
compiler reads only the latter:

    full    every coordinate is stored
    fills   a fill among its values may stand there only to fill a place, and is then absent
    locate  a coordinate can be found without a walk
    letter  its name in the notation, and that of its walk

Positions are 64-bit everywhere.  For a fiber at parent position ``f`` the level keeps, in the
arrays named by ``arrays``:

    U   nothing: coordinate c stands at position f * extent + c
    C   pos[f] .. pos[f + 1] are the positions of the fiber; crd[p] the coordinate at p
    B   words[f * W + c // 64] >> (c % 64) & 1 is set where c is stored, W = ceil(extent / 64);
        rank[w] counts the bits set in all words before w, so that c stands at position
        rank[w] + popcount(words[w] & ((1 << c % 64) - 1))
    R   pos as in C; run[p] counts the zeros between the entry before p and p
    S   crd[p]: the one coordinate at position p, which is the parent's position
    H   offset[p] in a group of H coordinates; a fiber has G entries a group, so that its
        q-th entry stands at coordinate q // G * H + offset[p], and in a last group of t < H
        coordinates min(G, t)

With F fibers and E entries, pos has F + 1 items, crd and run have E, words and rank F * W.
An entry of R whose run is r stands r + 1 coordinates after the entry before it in its
fiber, the first at coordinate r: a bridge is an entry like any other, with nothing but
fills below it.  "Zero" in this file is the tensor's fill, whatever that is.
"""

from __future__ import annotations

from typing import ClassVar

from zeroskip.errors import FormatError
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Uncompressed:
    """Every coordinate is stored; nothing but the extent is needed to find it."""

    letter: ClassVar[str] = "U"
    arrays: ClassVar[tuple[str, ...]] = ()
    full: ClassVar[bool] = True
    fills: ClassVar[bool] = True
    locate: ClassVar[bool] = True

    def __str__(self) -> str:
        return self.letter


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
    fills: ClassVar[bool] = False
    locate: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _check_width("C", self.coordinate_bits)

    def __str__(self) -> str:
        return _with_width(self.letter, self.coordinate_bits)


@dataclass(frozen=True, slots=True)
class Bitmask:
    """One bit a coordinate; an entry's position is the count of bits set before it."""

    letter: ClassVar[str] = "B"
    arrays: ClassVar[tuple[str, ...]] = ("words", "rank")
    full: ClassVar[bool] = False
    fills: ClassVar[bool] = False
    locate: ClassVar[bool] = True

    def __str__(self) -> str:
        return self.letter


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
    fills: ClassVar[bool] = True
    locate: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.run_bits <= 32:
            raise FormatError(
                f"R({self.run_bits}): expected a run field of 1 to 32 bits, found {self.run_bits}"
            )

    @property
    def max_run(self) -> int:
        return (1 << self.run_bits) - 1

    def __str__(self) -> str:
        return f"{self.letter}({self.run_bits})"


@dataclass(frozen=True, slots=True)
class Singleton:
    """One coordinate for every entry of the rank above (the later ranks of COO)."""

    coordinate_bits: int | None = None

    letter: ClassVar[str] = "S"
    arrays: ClassVar[tuple[str, ...]] = ("crd",)
    full: ClassVar[bool] = False
    fills: ClassVar[bool] = False
    locate: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _check_width("S", self.coordinate_bits)

    def __str__(self) -> str:
        return _with_width(self.letter, self.coordinate_bits)


@dataclass(frozen=True, slots=True)
class Structured:
    """At most ``most`` of every ``group`` neighbouring coordinates (2:4 is H(2:4)).

    Every group holds ``most`` entries, its offsets increasing, so that no pointer is needed.
    Where fewer are stored, pads take the next free offsets after the last stored one, then
    those from the front: entries whose value is 0, stored, moved and charged like any other.
    """

    most: int
    group: int

    letter: ClassVar[str] = "H"
    arrays: ClassVar[tuple[str, ...]] = ("offset",)
    full: ClassVar[bool] = False
    fills: ClassVar[bool] = True
    locate: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.most <= self.group <= 2**16:
            raise FormatError(
                f"H({self.most}:{self.group}): expected G of every H with 1 <= G <= H <= 65536"
            )

    def entries(self, extent: int) -> int:
        """Entries of a fiber of ``extent`` coordinates."""
        groups, tail = divmod(extent, self.group)
        return groups * self.most + min(self.most, tail)

    def __str__(self) -> str:
        return f"{self.letter}({self.most}:{self.group})"


LevelFormat = Uncompressed | Compressed | Bitmask | RunLength | Singleton | Structured


def _check_width(letter: str, bits: int | None) -> None:
    if bits is not None and not 0 <= bits <= 64:
        raise FormatError(f"{letter}({bits}): expected a field of 0 to 64 bits, found {bits}")


def _with_width(letter: str, bits: int | None) -> str:
    return letter if bits is None else f"{letter}({bits})"

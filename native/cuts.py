"""Fibers that are cut: the lane schedule follows a sparse operand one block of a rank at a time.

    for r, s:                           the weights of a block stay in the nearest cache while
      for each block of c:                all fibers go through it; those of all channels would
        for n, p, q:                      come from beyond it, again for each fiber
          sums += the entries of I.c[n,p+r,q+s] in the block * F[m,c,r,s]

Where a block begins in each fiber is found once (`Cut`).  Meanwhile the weights of the next block
are brought near, where they lie beyond the second-level cache.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import ceil, prod

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.formats.level_data import check_room
from zeroskip.formats.levels import Bitmask
from zeroskip.native.arguments import Array
from zeroskip.native.cursor import Piece
from zeroskip.native.integers import ONE, ZERO, Expr, Name, add, mul
from zeroskip.native.nest_tiles import Bring, Cut
from zeroskip.native.operand import Signature
from zeroskip.native.scheme import Key, Scheme
from zeroskip.records import dataclass

NEAR = 2**15
"""Bytes of a block that stay in a first-level cache of 48 KiB beside entries and sums.  Of 3x3
windows of 128 to 512 channels, blocks of 24, 32 and 64 KiB were tried on one machine (Granite
Rapids): 32 was the fastest at densities from .2 to .5; no command of the repository finds it
again."""

FITS = NEAR * 3 // 2
"""Bytes up to which all is one block."""

ENOUGH, ENOUGH_FAR = 16, 6
"""Entries of a fiber in a block for which it is worth taking its sums up again, where the weights
of all blocks come from the second-level cache, and from beyond it; found as `NEAR`, at densities
from .05 to .3."""

MET = 2.25
"""How often a row of weights is met, on average, from which blocks pay: where there are few places,
each row is met once or not at all, and nothing is gained by keeping it near or by bringing what
nobody meets.  Found as `NEAR`, for images of 2x2 to 7x7 at densities from .05 to .5."""

FAR = 2**21
"""Bytes of weights from which they come from beyond a second-level cache of 2 MiB, time after time:
the next block of them is then brought near meanwhile."""

FEWER = "Leave block to be chosen, which cuts fibers into fewer of them."

LINE = 64
"""Bytes that come from memory together."""


@dataclass(frozen=True, slots=True)
class Cutting:
    """access : the operand whose fibers are cut; rank : of their coordinates; windows : the ranks
    of the loops around blocks; brought : operands whose elements are met block by block."""

    access: Access
    rank: str
    windows: tuple[str, ...]
    brought: tuple[Access, ...]


def cutting(
    access: Access,
    signature: Signature,
    order: tuple[str, ...],
    rows: Collection[str],
    staged: tuple[Access, ...],
    lane: str,
) -> Cutting | None:
    """How the fibers of the sparse operand of a lane schedule are cut, whose loops go in ``order``,
    inside its fibers nothing but what an entry adds to; None where they cannot be."""
    last = signature.levels[-1]
    if not rows or last.letter not in "CB" or signature.padded[last.axes[0]]:
        return None
    windows = order[: min(order.index(row) for row in rows)]
    inner = single(access.subscripts[last.axes[0]])
    assert inner is not None, "fibers of one rank"
    held = {*windows, *order[order.index(inner) :], lane}

    def follows(one: Access) -> bool:
        plain = [s for s in one.subscripts if inner in variables(s)]
        ranks = {name for s in one.subscripts for name in variables(s)}
        return [single(s) for s in plain] == [inner] and ranks <= held

    return Cutting(access, inner, windows, tuple(filter(follows, staged)))


class Cuts:
    """The nodes of one kernel whose fibers are cut."""

    def __init__(self, scheme: Scheme, of: Cutting) -> None:
        self.scheme, self.of = scheme, of
        self.at = Name(scheme.names.fresh("block"))
        self.size, self.blocks = scheme.number("block_size"), scheme.number("blocks")
        self.fibers = scheme.number("fibers")
        access = of.access
        self.depth = len(scheme.signatures[access.tensor].levels) - 1
        self.level = scheme.level(access, self.depth)
        name = f"{access.tensor}_{self.level.label}_cuts"
        finds = self.level.letter == Bitmask.letter
        key = ("cuts", access.tensor)
        self.array = "" if finds else scheme.buffer(key, name, "int64", written=True)

    @property
    def piece(self) -> Piece:
        return Piece(self.of.rank, self.at, self.size, self.array, self.fibers)

    @property
    def found(self) -> tuple[Cut, ...]:
        """What finds where blocks begin."""
        if not self.array:
            return ()
        return (Cut(self.level, self.array, self.fibers, self.size, self.blocks),)

    def brought(
        self, first: Expr, width: Expr, axes: Mapping[str, tuple[int, ...]], rows: Collection[str]
    ) -> tuple[Bring, ...]:
        """What brings a part of the next block near, at each point of the rows.

        first, width : of the tile of lanes.  axes : of each operand, as it is laid out.
        """
        scheme, found = self.scheme, []
        for access in self.of.brought:
            place: Expr = ZERO
            inside = False
            for k in axes[access.tensor][:-1]:
                if single(access.subscripts[k]) == self.of.rank:
                    at, inside = mul(add(self.at, ONE), self.size), True
                else:
                    at = ZERO if inside else scheme.index(access, k)
                place = add(mul(place, scheme.axis_extent(access, k)), at)
            each = scheme.number(f"{access.tensor}_brought")
            start = mul(first, scheme.number(f"{access.tensor}_places"))
            at = add(start, mul(place, width), mul(scheme.point(rows), each))
            found.append(Bring(scheme.values(access.tensor), at, each))
        return tuple(found)


def block_of(
    extent: int,
    tile_bytes: int,
    density: float,
    places: int,
    weights_bytes: int,
    letter: str,
    taps: int = 1,
) -> int:
    """Coordinates of a block, for tiles of so many bytes; 0 for all.

    places : of the result but for lanes, each of which meets a fiber for each place of a window.
    weights_bytes : of what is met block by block.
    taps : places of the result to which an entry adds at once.
    """
    if extent * tile_bytes <= FITS or places * density < MET:
        return 0
    enough = ENOUGH_FAR if weights_bytes >= FAR else ENOUGH
    size = max(NEAR // tile_bytes, ceil(enough / taps / max(density, 1e-9)), 1)
    size = ceil(extent / max(extent // size, 1))  # as even as they come
    if letter == Bitmask.letter:
        size = -(-size // 64) * 64
    return size if size < extent else 0


def numbers(
    of: Cutting,
    signature: Signature,
    extents: Extents,
    rows: Collection[str],
    block: int,
    tile_bytes: int,
    itemsize: int,
) -> dict[str, int]:
    """The integers that a kernel with blocks of so many coordinates is handed.

    tile_bytes : of the lanes of the widest tile.
    """
    extent, shape = extents.ranks[of.rank], extents.shapes[of.access.tensor]
    found = {"block_size": block, "blocks": max(-(-extent // block), 1)}
    outer = [axis for level in signature.levels[:-1] for axis in level.axes]
    found["fibers"] = prod(shape[axis] for axis in outer)
    places = max(prod(extents.ranks[row] for row in rows), 1)
    for access in of.brought:
        far = prod(extents.shapes[access.tensor]) * itemsize >= FAR
        lines = -(-block * tile_bytes // LINE)
        each = -(-lines // places) if far and places <= lines else 0
        found[f"{access.tensor}_brought"] = each * LINE // itemsize
    return found


def arrays(of: Cutting, signature: Signature, given: Mapping[str, int]) -> dict[Key, Array]:
    """Where blocks begin, to be found by the kernel; nothing of a bitmask."""
    if signature.levels[-1].letter == Bitmask.letter:
        return {}
    count = (given["blocks"] + 1) * given["fibers"]
    check_room(count, np.dtype(np.int64).itemsize, f"the blocks of {of.access.tensor}", FEWER)
    return {("cuts", of.access.tensor): np.empty(count, np.int64)}

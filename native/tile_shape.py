"""How the tiled schedule cuts its work up: rows that share a load, vectors, blocks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from math import ceil, gcd, sqrt

from zeroskip.records import dataclass

WIDE = 64
"""Bytes of a vector where there are 32 registers for them; below that there are 16."""

TURNED = 16
"""Rows that are stored as columns at once, or parts share: a line of memory of 4-byte items."""


@dataclass(frozen=True, slots=True)
class TileShape:
    """What the kernel of the tiled schedule is made for.

    vector_bytes : width of a vector.
    rows : rows whose accumulators are held at once, so that each load serves several of them.
    vectors : how many vectors a tile may have; each number is a copy of the inner loops, which a
        compiler takes time for, so only those are listed that the line is cut into.
    block : summed places that are gone through before the next row is taken up; 0 for all.
    panel : whether a tile's lanes are copied to where its vectors lie one behind the other.
    unrolled : whether entries are machine code, an instruction each; ``rows`` is then how many
        rows a program has, in groups of ``members``.
    masked : whether rows of the line follow each other without a halo, and lanes that a shift
        takes from the next row are masked out; of machine code.
    lying : whether lanes are read where they lie, but for those near padding; of machine code.
    joined : how many summed places a lane of the other operand joins; of machine code.
    bitmask : whether entries lie by columns of ``rows`` rows, which are the lanes of a vector, as a
        bitmask; ``vectors`` are then lanes of the line that a tile may have, and ``block`` columns.
    near : whether machine code, of lanes that join nothing, is so little that it stays near from
        strip to strip of a line.
    early : how many vectors tiles have, in their order, where the first begins before the line (of
        whole vectors, read where it lies), so that all begin lines of the cache; () for never.
    """

    vector_bytes: int
    rows: int
    vectors: tuple[int, ...]
    block: int
    panel: bool = True
    unrolled: bool = False
    members: int = 1
    masked: bool = False
    lying: bool = False
    joined: int = 1
    bitmask: bool = False
    near: bool = False
    early: tuple[int, ...] = ()

    @property
    def kernel(self) -> tuple[object, ...]:
        """What the C depends on."""
        rows, blocked = 0 if self.unrolled else self.rows, self.block > 0
        cut = self.vector_bytes, rows, self.vectors, blocked
        own = self.masked, self.lying, self.joined, self.bitmask, self.early
        return (*cut, self.panel, self.unrolled, *own)

    @property
    def chains(self) -> int:
        """Sums that the entries of a row go round, so that few vectors of sums do not wait for
        themselves."""
        if self.unrolled:
            return 1
        if self.rows > 1:
            few = min(SUMS_SHARED, _registers(self.vector_bytes)) // (self.rows * self.most)
            return max(min(few, CHAINS_SHARED), 1)
        return max(min(SUMS // self.most, CHAINS), 1)

    @property
    def most(self) -> int:
        return max(self.vectors)


def tiles_of(line_vectors: int, most: int) -> tuple[int, tuple[int, ...]]:
    """How many tiles a line is cut into, and how many vectors they have: as even as they come."""
    tiles = -(-line_vectors // most)
    return tiles, tuple(sorted(set(_evenly(line_vectors, tiles))))


def _evenly(line_vectors: int, tiles: int) -> list[int]:
    """The vectors of so many tiles, as even as they come."""
    ends = [line_vectors * t // tiles for t in range(1, tiles + 1)]
    return [end - first for first, end in pairwise((0, *ends))]


def begun_early(shape: TileShape, line_vectors: int, pitch: int) -> TileShape:
    """The shape of tiles that may begin before the line: it is peeled.  A vector that lies in two
    lines of the cache is two loads, and so is every vector of a line that is read where it lies
    between two of them; unless lines are no whole number of vectors, and lie differently each."""
    whole = pitch > 0 and pitch % WIDE == 0 and line_vectors >= EARLY_FROM
    if shape.vector_bytes < WIDE or shape.panel or shape.unrolled or shape.bitmask or not whole:
        return shape
    tiles = tiles_of(line_vectors, shape.most)[0]
    return replace(shape, early=tuple(_evenly(line_vectors + 1, tiles)))


def shape_of(
    vector_bytes: int,
    line_vectors: int,
    rows: int,
    density: float,
    *,
    bound: bool,
    in_place: bool = False,
    reach: float = 0,
    summed: int = 0,
    pitch: int = 0,
) -> TileShape:
    """The shape for a line of so many vectors, and entries of a density in so many rows.

    One rule: several rows at once where columns are often shared (earlier where the few sums of
    one row would wait for each other); a block of which enough stays in the first-level cache,
    larger where its entries are fewer, since every block takes up every row again; none where all
    that a tile reads stays in the second-level cache, and a row loads little of a block.  Entries
    that are packed at every call come as they lie.  Lanes that lie ``in_place`` are read there
    where a place is met too seldom to be worth its copy, by wide vectors, which have masks for the
    last; more seldom where those of all places crowd into a part of a cache.  Of short lines that
    are read so, without blocks, a tile is the whole line.

    reach : bytes that a tile reads for each summed place; 0 where that is not known.
    summed : places that are summed over.  pitch : bytes from one of them to the next.
    """
    seldom = in_place_pays(rows, density, reach, summed, pitch)
    panel = not (in_place and vector_bytes >= WIDE and seldom)
    single = _cut(line_vectors, MOST)
    whole = single if panel or line_vectors > WHOLE else _cut(line_vectors, WHOLE)
    if not bound:
        return TileShape(vector_bytes, 1, whole, 0, panel)
    if vector_bytes >= WIDE:
        near = round(NEAR / reach) if reach else 0
        block = 0 if density < SPARSE or 0 < summed * reach <= FAR else 256
        block = near if near * density * max(single) >= ENOUGH else block
        shared, shared_block = SHARED_WIDE, round(SHARED_NEAR / reach) if reach else 256
    else:
        shared = SHARED_FEW if max(single) <= FEW else SHARED
        block, shared_block = _block(vector_bytes * max(single), density), 288
    if density < shared or rows < 4:
        return TileShape(vector_bytes, 1, single if block else whole, block, panel)
    several = _cut(line_vectors, _registers(vector_bytes) // 4)
    return TileShape(vector_bytes, 4, several, shared_block, panel)


def in_place_pays(rows: int, density: float, reach: float, summed: int, pitch: int) -> bool:
    """Whether lanes that lie in place are better read there, as places are met too seldom to be
    worth a copy; others as in `shape_of`."""
    return rows * density < (SELDOM_CROWDED if _crowded(pitch, reach, summed) else SELDOM)


def tiles_pay(rows: int, density: float, reach: float, summed: int, pitch: int) -> bool:
    """Whether tiles take less time than machine code, which always copies lanes that lie in place:
    where they read them there, and load a place seldom; or where a row meets few of them, as code
    stores a vector of each row by itself, which takes longer than of tiles some that follow each
    other, longest where rows are beyond the second-level cache.  Others as in `shape_of`."""
    far = rows * pitch >= WAYS * WAY
    if density < SHARED_WIDE and summed * density < (FEW_MET_FAR if far else FEW_MET):
        return True
    loads = rows * density
    if density >= SHARED_WIDE:  # of four rows together
        loads = rows * (1 - (1 - density) ** 4) / 4
    in_two = 1 - gcd(pitch, WIDE) / WIDE  # vectors that lie in two lines of the cache are two loads
    in_place = in_place_pays(rows, density, reach, summed, pitch)
    return in_place and loads * (1 + in_two) < SELDOM_CODED


def _crowded(pitch: int, reach: float, summed: int) -> bool:
    """Whether rows so far apart, of each of which a tile reads ``reach`` bytes, fall into a part of
    the second-level cache that does not hold them: as those of a power of two do."""
    if not pitch:
        return False
    part = WAY // gcd(pitch, WAY) * reach / WAY
    return part < 1 and summed * reach >= part * WAYS * WAY


def _cut(line_vectors: int, most: int) -> tuple[int, ...]:
    """How many vectors the tiles of a line have; of an empty line, as if it had one."""
    return tiles_of(line_vectors, most)[1] or (1,)


def unrolled_shape(
    rows: int,
    summed: int,
    density: float,
    block: int | None = None,
    reach: float = WIDE,
    joined: int = 1,
) -> TileShape:
    """The shape of entries in machine code: as many of them in a program as the processor keeps
    decoded, of as many rows as there are registers for, as even as they come.

    summed : places that are summed over.  block : how many of them at a time, where that is fixed.
    reach : bytes that a vector reads for each place; and density of what meets one: where a lane
        joins several places, they count as one.
    """
    summed, block = -(-summed // joined), block if block is None else -(-block // joined)
    groups = -(-rows // MEMBERS) or 1
    members = max(-(-rows // groups), 1)
    place = members * density + 1  # instructions of a place, its load among them
    if block is None:
        loads = groups * summed * (1 - (1 - min(density, 1)) ** members)
        fewest = -(-summed // max(int(INSTRUCTIONS / place), 1))
        blocks = _coded_blocks(rows, summed * (reach or WIDE), loads, max(fewest, 1))
        block = -(-summed // blocks)  # as even as they come
    near = ceil(PER_PLACE / place)
    together = max(min(int(INSTRUCTIONS / (place * max(block or summed, 1))), near), 1)
    programs = -(-groups // together)
    near_code = joined == 1 and rows * summed * density <= ENTRIES_NEAR
    rows = members * -(-groups // programs)
    block *= joined
    shape = TileShape(WIDE, rows, (1,), block, unrolled=True, members=members, joined=joined)
    return replace(shape, near=near_code)


def _coded_blocks(rows: int, read_bytes: float, loads: float, fewest: int) -> int:
    """Blocks of machine code for which a vector moves the least: each takes up every row and stores
    it again, and of larger ones than stay near so many more of the loads come from farther off.

    read_bytes : that a vector reads of all places.  fewest : blocks of no more instructions than
        a program has.
    """

    def moved(blocks: int) -> float:
        return 2 * rows * blocks + loads * max(1 - blocks * CODED_NEAR / (read_bytes or 1), 0)

    most = max(ceil(read_bytes / CODED_NEAR), fewest)
    return min(range(fewest, most + 1), key=moved)


def _block(tile_bytes: int, density: float) -> int:
    """Places of a block for single rows: where taking up a row costs as much as places of the
    block that the first-level cache has lost; one grows with 1/(density*block), the other with
    block*tile_bytes."""
    return max(16, round(BALANCE / sqrt(max(density, 1e-6) * tile_bytes) / 16) * 16)


def _registers(vector_bytes: int) -> int:
    """Vectors of sums that a tile holds in registers, those of its loads left free."""
    return 24 if vector_bytes >= WIDE else 12


def shape_with(
    default: TileShape, line_vectors: int, rows: int | None, vectors: int | None, block: int | None
) -> TileShape:
    """The shape with what is fixed of it; None for as it is."""
    if rows is None and vectors is None:
        return default if block is None else replace(default, block=block)
    rows = rows or default.rows
    most = vectors or min(_registers(default.vector_bytes) // rows, MOST)
    return replace(
        default,
        rows=rows,
        vectors=_cut(line_vectors, most),
        block=default.block if block is None else block,
    )


MEMBERS = 28
"""Rows of a group in machine code, a register each (ZS_MEMBERS): 4 of 32 hold what is loaded."""

INSTRUCTIONS = 3000
"""Instructions of a program: it is run once for each vector of the line, from where the processor
keeps what it has decoded, or from the caches of its code.  From 2,000 to 6,000 were equally fast on
one machine (Sapphire Rapids); on another (Zen 4) 3,000 were faster than 2,000 where code stays in a
cache, and than 5,000 where it does not; no command of the repository finds it again."""

PER_PLACE = 6
"""Instructions of a place for which its lanes are worth bringing near: a program of no more rows
writes to few places at a time, which the processor foresees.  Of 4, 6, 9 and no such end on one
machine (a Xeon with 2 MiB of second-level cache), 6 was as fast as any; no command of the
repository finds it again."""

ENTRIES_NEAR = 2**14
"""Entries of which code and values (about 16 bytes each) are a quarter of a mebibyte: they stay in
the second-level cache beside a panel, and what is read for the next one.  Lanes that join places
are a fraction of what they would be, and as fast or faster in wide strips."""

CODED_NEAR = 2**15
"""Bytes that a vector reads of a block in machine code: 512 places of products.  Up to 8 % faster
than half as many at densities from .05 to .2 on one machine (Zen 4, 32 KiB of first-level cache);
3x3 windows over images of 28x28 to 7x7, whose places share lines, were up to 15 % faster at a
density of .01 than in blocks of 512 places on another (Granite Rapids), where one block of 576, of
37 KiB, took an eighth less than two at .01, and as long at .05 and .2.  No command of the
repository finds it again."""

CHAINS, SUMS = 4, 8
"""Sums that the entries of a row go round, and vectors of sums up to which they do: a multiply-add
takes 4 cycles, and one or two begin in each."""

CHAINS_SHARED, SUMS_SHARED = 2, 16
"""The same of rows that go together, which take turns already; and vectors of sums up to which
columns of a single row wait for each other.  Of 4096 x 4096 entries and one, two and three vectors
the first took a third less at a density of .2 on one machine (Granite Rapids), the last as long; no
command of the repository finds it again."""

MOST = 8
"""Vectors of a tile of single rows: up to 8 accumulators hide the latency of a multiply-add (4
cycles, two a cycle)."""

WHOLE = 16
"""Vectors of a line that is one tile where it is read as it lies: half of the registers, the others
are left for what is loaded.  What lies behind each other comes at once, and entries are gone
through once: 13 vectors took 5 % and 20 % less than 7 and 6 at a density of .01 on one machine
(Granite Rapids), of 512 and of 2304 places, and 1 % to 2 % less at .02 and .03; longer lines, in
as many tiles of 12 or 13, took up to 5 % more than of 7.  No command of the repository finds it
again."""

SELDOM = 12
"""Entries of a place (rows times density) below which its lanes are not worth copying.  Found by
timing both on one machine (Granite Rapids), at densities of .01 and .02 of five shapes, with lanes
that are asked for ahead: in place was as fast or faster wherever a place has fewer.  No command of
the repository finds it again; a wrong one costs time."""

SELDOM_CROWDED = 4
"""The same where lanes crowd: what a tile has read of them is gone before it is met again.  Found
by timing both at 2 to 10 entries of a place and rows of 1 to 16 KiB, on the same machine: a copy
was even at 2 to 4.5 of them, and twice as fast at 10.  No command of the repository finds it again;
a wrong one costs time."""

SELDOM_CODED = 7
"""Loads of a place by tiles in place below which these take less time than machine code of a copy.
Found by timing both on the same machine, of 256 to 1024 places, lines of 128 to 3136 lanes, 10 to
256 rows and densities from .1 to .8: they were even at 8 to 10 loads, and at 5 to 6 where most
vectors lie in two lines of the cache; at half as many tiles took two thirds, at twice as many up to
half as much again.  No command of the repository finds it again; a wrong one costs time."""

FEW_MET, FEW_MET_FAR = 8, 16
"""Entries of a row below which its vectors are stored too often for machine code; and of rows that
are more than a second-level cache.  Found by timing both on the same machine, of 32 to 256 places,
lines of 49 to 4096 lanes, 128 to 2048 rows and densities from .05 to .12: tiles took a fifth to two
fifths less at 6 entries, up to 8 % more only of lines of 4 vectors, and were even at 10 to 13, and
at 20 where rows are far; at densities of .2 and .3 both took mostly as long at 6 to 12.  No command
of the repository finds it again; a wrong one costs time."""

EARLY_FROM = 4
"""Vectors of a line that is worth one more so that none lies in two lines of the cache: masks for
both ends and the vector cost some loads."""

WAY, WAYS = 2**17, 16
"""Bytes of a second-level cache after which lines share a set again, and lines of a set: of 2 MiB
(Sapphire Rapids, Granite Rapids); others have as many bytes or half (Zen 4, Skylake), or 8 ways."""

SPARSE = 0.03
"""Density below which a row of a block holds too few entries to be taken up for (wide vectors)."""

NEAR, ENOUGH = 2**15, 56
"""Bytes of a block that stay in a first-level cache of 48 KiB beside entries and sums, and vectors
that a row loads of it (for each entry those of the tile) for which such a block is worth taking the
row up again.  Of 3x3 windows over images of 56x56 to 7x7 at densities of .01 to .03, blocks of a
quarter to three times as much were tried on one machine (Sapphire Rapids); of products of
4096 x 4096 entries and one vector, at densities from .01 to .8, blocks of 256 places to all of them
on another (Granite Rapids).  No command of the repository finds it again."""

FAR = 2**18
"""Bytes that a tile reads which stay in the second-level cache, from which a vector comes soon
enough.  Found as the above."""

SHARED_NEAR = 3 * 2**15
"""Bytes of a block of rows that go together: 256 places of tiles of six vectors.  Each of their
patterns ends where no processor foresees it, so that tiles of fewer vectors take more places.
Found as the above."""

SHARED_WIDE, SHARED, SHARED_FEW = 0.35, 0.65, 0.35
"""Density from which the rows of four share enough columns.  The first was found by timing products
of 4096 x 4096 and 2048 x 2048 entries and one to eight vectors, at densities from .1 to .5, with
one row and with four on one machine (Granite Rapids); no command of the repository finds it
again."""

FEW = 3
"""Vectors of a tile up to which the sums of one row alone wait for each other."""

BALANCE = 1120.0
"""Found by trying blocks on one machine (Zen 3, 32 KiB of first-level cache): 70 places at density
1 for tiles of 256 bytes.  No command of the repository finds it again; a wrong one costs time."""

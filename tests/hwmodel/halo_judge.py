"""The judge of two lines that run tile by tile where the second reads places of several tiles.

It imports nothing of zeroskip.  Slow on purpose.
"""

from __future__ import annotations

from collections.abc import Sequence


def walk(
    entries: Sequence[int], block: int, taps: int, before: int
) -> tuple[list[int], list[int], bool]:
    """Entries of an intermediate that are on chip in each turn of the line that computes it, and in
    each of the line that reads it; whether turns of both alternate.

    entries : of each place along the axis that is cut.  The place p of the result reads taps places
    from p - before on, those outside being padding.  A tile of the result has its turn as soon as
    all that it reads is computed; a place goes after the turn of the last tile that reads it.
    """
    size = len(entries)
    tiles = [range(low, min(low + block, size)) for low in range(0, size, block)]
    reads = [
        {p + s - before for p in tile for s in range(taps)} & set(range(size)) for tile in tiles
    ]
    computed: set[int] = set()
    there: set[int] = set()
    computing, reading, order = [], [], ""
    waiting = list(range(len(tiles)))
    for tile in tiles:
        there |= set(tile)
        computing.append(sum(entries[p] for p in there))
        order += "c"
        computed |= set(tile)
        while waiting and reads[waiting[0]] <= computed:
            reading.append(sum(entries[p] for p in there))
            order += "r"
            waiting.pop(0)
            there &= set().union(set(range(size)) - computed, *(reads[n] for n in waiting))
    assert (waiting, there) == ([], set())
    return computing, reading, "rc" in order

"""Splits of a mapping: what a rank, or several flattened into one, is cut into.

    k: [128, 16]                        blocks of coordinates, cut into smaller ones
    k: [100, 16]                        the same: the last block of 16 in each of 100 has 4 places
    m*k: 128                            the same of m and k flattened: place k + K*m
    k: occupancy(A, 64)                 blocks of stored entries of A
    m*k: occupancy(A, 16384, 128)       the same of both, in m-then-k order, cut into smaller ones
    k: 128, m*k0: occupancy(A, 16384)   the same of m and a part of k, anew in each block k1

A split by occupancy goes by a *numbering* of places: the number of a place is how many entries the
leader A stores before it, and its tile is that number over the size.  All others follow A: they
have the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from zeroskip.errors import ArchError
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.nest import Loop, Numbering

MOST_BLOCK = 2**62
"""The largest block: as far as whole numbers of Einsums reach."""

_OCCUPANCY = re.compile(r"\s*occupancy\s*\((.*)\)\s*")


@dataclass(frozen=True, slots=True)
class Split:
    """How the ranks of one key are cut.

    ranks : ranks, or parts that other splits make of them.
    blocks : places in a block, or stored entries of the leader, from large to small.
    leader : the operand whose entries are counted; None: coordinates.
    """

    ranks: tuple[str, ...]
    blocks: tuple[int, ...]
    leader: str | None = None

    @property
    def key(self) -> str:
        return "*".join(self.ranks)

    @property
    def numbers_places(self) -> bool:
        """Whether it goes by numbers of places, not by coordinates of one rank."""
        return self.leader is not None or len(self.ranks) > 1

    def __str__(self) -> str:
        if self.leader is None:
            return " ".join(map(str, self.blocks))
        return f"occupancy({self.leader}, {', '.join(map(str, self.blocks))})"


def splits_of(given: Dict[str, object]) -> dict[str, Split]:
    """``split=`` by key.  Raises `ArchError` for a key that stands twice, and as `split_of`."""
    found: dict[str, Split] = {}
    for key, size in given.items():
        split = split_of(key, size)
        if split.key in found:
            raise ArchError(f"split of {key}: it stands twice\nWrite it once, of several sizes.")
        found[split.key] = split
    return found


def split_of(key: str, size: object) -> Split:
    """One entry of ``split=``.

    Raises
    ------
    ArchError
        For a key that names no ranks, a rank twice, sizes that are no whole numbers of 1 or more,
        and blocks that are not smaller than those around them.
    """
    if not isinstance(key, str):
        raise ArchError(f'split: expected a rank, or several such as "m*k", found {key!r}')
    ranks = tuple(rank.strip() for rank in key.split("*"))
    if not all(ranks):
        raise ArchError(f'split of {key}: expected a rank, or several such as "m*k", found {key!r}')
    twice = [rank for rank in ranks if ranks.count(rank) > 1]
    if twice:
        raise ArchError(f"split of {key}: {twice[0]} is flattened with itself")
    if isinstance(size, Split):
        if size.ranks != ranks:
            raise ArchError(f"split of {key}: expected a split of {key}, found one of {size.key}")
        return size
    leader, listed = None, list(size) if isinstance(size, list | tuple) else [size]
    if isinstance(size, str):
        leader, listed = _occupancy(key, size)
    sizes = [n for n in listed if isinstance(n, int) and not isinstance(n, bool)]
    if not sizes or len(sizes) < len(listed):
        raise ArchError(
            f"split of {key}: expected block sizes, such as [128, 16], or "
            f'"occupancy(A, 64)", found {size!r}'
        )
    what = "blocks of 1 or more" if leader is None else "tiles of 1 stored entry or more"
    if min(sizes) < 1:
        raise ArchError(f"split of {key}: expected {what}, found {min(sizes)}")
    if max(sizes) > MOST_BLOCK:
        raise ArchError(f"split of {key}: expected at most 2**62 in a block, found {max(sizes)}")
    for outer, inner in pairwise(sizes):
        if inner >= outer:
            raise ArchError(
                f"split of {key}: expected each block to be cut into smaller ones, found {inner} "
                f"after {outer}\nWrite blocks from large to small, such as [{inner + 1}, {inner}]."
            )
    return Split(ranks, tuple(sizes), leader)


def _occupancy(key: str, text: str) -> tuple[str, list[object]]:
    """``occupancy(A, 1024, 64)`` -> A and its sizes; what is no number stays text."""
    found = _OCCUPANCY.fullmatch(text)
    words = [word.strip() for word in found[1].split(",")] if found else []
    if len(words) < 2 or not words[0].isidentifier():
        raise ArchError(
            f"split of {key}: expected block sizes, such as [128, 16], or a leader and stored "
            f'entries of a tile, "occupancy(A, 64)", found {text!r}'
        )
    whole = [word for word in words[1:] if re.fullmatch(r"-?[0-9]{1,60}", word)]
    if len(whole) < len(words) - 1:
        wrong = next(word for word in words[1:] if word not in whole)
        raise ArchError(
            f"split of {key}: occupancy({words[0]}, ...) expects whole numbers of stored entries, "
            f"such as 64, found {wrong[:60]!r}"
        )
    return words[0], [int(word) for word in whole]


def check_splits(splits: Dict[str, Split], layer: Layer) -> None:
    """Refuse ranks that are not the layer's, that two splits have, or that a term has in part."""
    taken: dict[str, str] = {}
    for key, split in splits.items():
        for item in split.ranks:
            if item in taken:
                raise ArchError(
                    f"split: {item} is in {taken[item]} and in {key}\n"
                    "Give each rank one split, of several sizes if need be."
                )
            taken[item] = key
    for split, items in items_of(layer.ranks, splits).values():
        ranks = list(dict.fromkeys(rank for item in items for rank in item.told_by))
        for term in (*layer.work, *layer.additions):
            there = [rank for rank in ranks if rank in term.ranks]
            if 0 < len(there) < len(ranks):
                absent = next(rank for rank in ranks if rank not in term.ranks)
                names = "*".join(operand.tensor for operand in term.operands)
                raise ArchError(
                    f"split of {split.key}: the term {names} goes over {there[0]} and not over "
                    f"{absent}, so that it has no tile of both\nCharge that term as a line of its "
                    f"own, or split {there[0]} alone."
                )


def loops_of(ranks: Sequence[str], splits: Dict[str, Split]) -> tuple[Loop, ...]:
    """The loops of all ranks, of each outermost first, without counts."""
    return _cut(ranks, splits)[0]


def items_of(
    ranks: Sequence[str], splits: Dict[str, Split]
) -> dict[str, tuple[Split, tuple[Loop, ...]]]:
    """By key: a split, and the ranks or parts of ranks that it cuts, as loops over them."""
    return _cut(ranks, splits)[1]


def _cut(
    ranks: Sequence[str], splits: Dict[str, Split]
) -> tuple[tuple[Loop, ...], dict[str, tuple[Split, tuple[Loop, ...]]]]:
    """Splits of ranks first, then those of their parts.

    Raises
    ------
    ArchError
        For a rank or part that is not there, and one that numbers tell, or that comes twice.
    """
    loops = [Loop(rank, rank, 1, 0) for rank in ranks]
    cut: dict[str, tuple[Split, tuple[Loop, ...]]] = {}
    while len(cut) < len(splits):
        known = {loop.name: loop for loop in loops}
        left = [split for key, split in splits.items() if key not in cut]
        split = next((s for s in left if all(item in known for item in s.ranks)), None)
        if split is None:
            raise _unknown(left[0], ranks, [name for name in known if name not in ranks])
        items = tuple(known[item] for item in split.ranks)
        at = loops.index(items[0])
        loops[at:at] = _parts(split, items)
        loops = [loop for loop in loops if loop not in items]
        cut[split.key] = split, items
    return tuple(_together(loops)), cut


def _parts(split: Split, items: Sequence[Loop]) -> list[Loop]:
    """The loops of a split: of one part of a rank they are blocks of its blocks."""
    stem, first = "".join(split.ranks), items[0]
    if not split.numbers_places:
        blocks = [block * first.block for block in split.blocks]
        return [
            replace(first, name=f"{stem}{len(blocks) - n}", block=block, spans=spans)
            for n, block in enumerate([*blocks, first.block])
            for spans in [spans_of([*first.spans, *blocks[:n]])]
        ]
    ranks = [rank for item in items for rank in item.told_by]
    numbered = next((item for item in items if item.numbered), None)
    if numbered is not None:
        raise ArchError(
            f"split of {split.key}: {numbered.name} is a part of {numbered.numbered}, whose places "
            f"have numbers: it can be cut into smaller blocks, {numbered.name}: 8, and no more"
        )
    if len(set(ranks)) < len(ranks):
        parts = [item.name for item in items if ranks.count(item.told_by[0]) > 1]
        raise ArchError(
            f"split of {split.key}: {' and '.join(parts)} are parts of one rank\n"
            "Flatten parts of different ranks."
        )
    return [
        Loop(
            f"{stem}{len(split.blocks) - n}",
            split.key,
            block,
            0,
            spans_of(split.blocks[:n]),
            places=tuple(ranks),
            numbered=split.key,
        )
        for n, block in enumerate([*split.blocks, 1])
    ]


def _together(loops: Sequence[Loop]) -> list[Loop]:
    """Loops of ranks that are split together have one name for all of these."""
    groups: list[list[str]] = []
    for loop in loops:
        joined = [group for group in groups if not set(group).isdisjoint(loop.told_by)]
        groups = [group for group in groups if group not in joined]
        every = [rank for group in joined for rank in group]
        groups.append(list(dict.fromkeys([*every, *loop.told_by])))
    name = {rank: "*".join(group) for group in groups for rank in group}
    return [replace(loop, rank=name[loop.told_by[0]], places=loop.told_by) for loop in loops]


def _unknown(split: Split, ranks: Sequence[str], parts: Sequence[str]) -> ArchError:
    known = {*ranks, *parts}
    name = next(item for item in split.ranks if item not in known)
    also = f"; parts: {', '.join(parts)}" if parts else ""
    return ArchError(f"split names {name}, which is no rank; ranks: {', '.join(ranks)}{also}")


def spans_of(blocks: Sequence[int]) -> tuple[int, ...]:
    """Blocks around a place, from large to small, without those that the next one divides: a
    remainder by 128 changes nothing about that by 16."""
    spans: list[int] = []
    for block in blocks:
        while spans and spans[-1] % block == 0:
            spans.pop()
        spans.append(block)
    return tuple(spans)


def sized(loop: Loop, layer: Layer, numberings: Dict[str, Numbering]) -> Loop:
    """A loop with its iterations counted."""
    if not loop.numbered:
        return replace(loop, count=places_of(loop, layer.extent(loop.told_by[0])))
    numbering = numberings[loop.numbered]
    bare = replace(loop, numbering=numbering)
    found = np.unique(bare.index(numbering.distinct))
    return replace(bare, count=int(found.max(initial=-1)) + 1, taken=len(found))


def places_of(loop: Loop, extent: int) -> int:
    """Iterations of a loop over coordinates of a rank."""
    return -(-min([extent, *loop.spans]) // loop.block)


def contexts(item: Loop) -> list[Loop]:
    """The parts around a part of a rank, outermost first."""
    return [
        replace(item, name="", block=span, spans=item.spans[:n])
        for n, span in enumerate(item.spans)
    ]


def flattened(items: Sequence[Loop], layer: Layer) -> Numbering:
    """Places of several ranks, or of parts of them, in a row, the last innermost."""
    found: NDArray[np.int64] = np.zeros((), np.int64)
    for item in items:
        extent = layer.extent(item.told_by[0])
        found = np.add.outer(found * places_of(item, extent), item.index(np.arange(extent)))
    return Numbering(None, found)

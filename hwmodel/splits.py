"""Splits of a mapping: what a rank, or several flattened into one, is cut into.

    k: [128, 16]                        blocks of coordinates, cut into smaller ones
    k: [100, 16]                        the same: the last block of 16 in each of 100 has 4 places
    m*k: 128                            the same of m and k flattened: place k + K*m
    k: occupancy(A, 64)                 blocks of stored entries of A
    m*k: occupancy(A, 16384, 128)       the same of both, in m-then-k order, cut into smaller ones

A split by occupancy goes by a *numbering* of places: the number of a place is how many entries the
leader A stores before it, and its tile is that number over the size.  All others follow A: they
have the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, replace
from itertools import pairwise
from math import prod

import numpy as np

from zeroskip.errors import ArchError
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.nest import Loop, Numbering

MOST_BLOCK = 2**62
"""The largest block: as far as whole numbers of Einsums reach."""

_OCCUPANCY = re.compile(r"\s*occupancy\s*\((.*)\)\s*")


@dataclass(frozen=True, slots=True)
class Split:
    """How the ranks of one key are cut.

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
        for rank in split.ranks:
            if rank not in layer.ranks:
                names = ", ".join(layer.ranks)
                raise ArchError(f"split names {rank}, which is no rank; ranks: {names}")
            if rank in taken:
                raise ArchError(
                    f"split: {rank} is in {taken[rank]} and in {key}\n"
                    "Give each rank one split, of several sizes if need be."
                )
            taken[rank] = key
        for term in (*layer.work, *layer.additions):
            there = [rank for rank in split.ranks if rank in term.ranks]
            if 0 < len(there) < len(split.ranks):
                absent = next(rank for rank in split.ranks if rank not in term.ranks)
                names = "*".join(operand.tensor for operand in term.operands)
                raise ArchError(
                    f"split of {key}: the term {names} goes over {there[0]} and not over {absent}, "
                    "so that it has no tile of both\nCharge that term as a line of its own, or "
                    f"split {there[0]} alone."
                )


def loops_of(rank: str, splits: Dict[str, Split]) -> tuple[Loop, ...]:
    """The loops of a rank, outermost first, without counts; of flattened ranks those of all."""
    mine = next((split for split in splits.values() if rank in split.ranks), None)
    if mine is None:
        return (Loop(rank, rank, 1, 0),)
    sizes, stem = (*mine.blocks, 1), "".join(mine.ranks)
    return tuple(
        Loop(f"{stem}{len(mine.blocks) - n}", mine.key, block, 0, spans_of(mine.blocks[:n]))
        for n, block in enumerate(sizes)
    )


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
    numbering = numberings.get(loop.rank)
    if numbering is None:
        extent = layer.extent(loop.rank)
        whole = min(extent, *loop.spans) if loop.spans else extent
        return replace(loop, count=-(-whole // loop.block))
    bare = replace(loop, numbering=numbering)
    found = np.unique(bare.index(numbering.distinct))
    count = int(found.max(initial=-1)) + 1
    return replace(bare, count=count, taken=len(found))


def flattened(ranks: Sequence[str], layer: Layer) -> Numbering:
    """Places of several ranks in a row, the last innermost."""
    shape = [layer.extent(rank) for rank in ranks]
    return Numbering(None, np.arange(prod(shape), dtype=np.int64).reshape(shape))


def ranks_of(splits: Iterable[Split]) -> set[str]:
    """Every rank that is split."""
    return {rank for split in splits for rank in split.ranks}

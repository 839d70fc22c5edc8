"""The judge of lines that run tile by tile: walks all of them, in plain Python.

It imports nothing of zeroskip.  Slow on purpose.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import product
from typing import Any

BITS, WIDE = 16, 32
LINES: dict[str, tuple[str, dict[str, str], str]] = {
    "S": ("S[i,j] = Q[i,k]*K[j,k]", {"S": "ij", "Q": "ik", "K": "jk"}, "k"),
    "Z": ("Z[i,c] = S[i,j]*V[j,c]", {"Z": "ic", "S": "ij", "V": "jc"}, "j"),
    "Y": ("Y[i,b] = Z[i,c]*U[c,b]", {"Y": "ib", "Z": "ic", "U": "cb"}, "c"),
    "X": ("X[i,j] = S[i,j]*P[j,l]", {"X": "ij", "S": "ij", "P": "jl"}, "l"),
}
"""Result -> text, ranks of its tensors, the rank that is summed."""

Place = tuple[int, ...]


class Nest:
    """A line as the walk goes through it: loops as (rank, block), and how many are outside a mark.

    order : loops down to the sync, outermost first; marks : level -> tensor -> loops outside.
    """

    def __init__(self, line: str, sizes: dict[str, int], across: str, pes: int) -> None:
        _, self.tensors, _ = LINES[line]
        self.ranks = sorted({r for text in self.tensors.values() for r in text})
        self.line, self.sizes, self.across, self.pes = line, sizes, across, pes
        self.order: list[tuple[str, int, int]] = []
        self.marks: dict[str, dict[str, int]] = {"GLB": {}, "PE": {}}

    def part(self, loop: tuple[str, int, int], at: dict[str, int]) -> int:
        rank, block, within = loop
        return (at[rank] % within if within else at[rank]) // block

    def wide(self, loop: tuple[str, int, int]) -> bool:
        """Whether it has more than one iteration."""
        return len({self.part(loop, {loop[0]: v}) for v in range(self.sizes[loop[0]])}) > 1

    def key(self, level: str, tensor: str, at: dict[str, int]) -> Place:
        """What names the tile of a tensor that a level has at a point."""
        loops = [x for x in self.order[: self.marks[level][tensor]] if self.wide(x)]
        while loops and loops[-1][0] not in self.tensors[tensor]:
            loops.pop()
        return tuple(self.part(x, at) for x in loops)

    def pe(self, at: dict[str, int]) -> int:
        return self.pes * at[self.across] // self.sizes[self.across]


def walk(
    turns: list[list[Nest]], shared: dict[str, int], keep: set[str]
) -> tuple[dict[str, Counter[tuple[str, str, str]]], dict[str, dict[str, int]]]:
    """Values that GLB and DRAM read and write, by line and tensor, and bits that GLB and PE hold at
    most while a line runs.

    turns : lines that take turns, tile by tile; shared : line -> loops that it shares.  A level
    drops what it has of a tensor when another tile is asked for, and fetches what it lacks of that;
    an operand's place is there from its first use in a tile to its last, a result as long as any
    of its tile is.
    """
    clock, when = 0, {}
    uses: list[tuple[int, Nest, str, Place, dict[str, int]]] = []
    phase: dict[int, str] = {}
    for block in turns:
        tiles: dict[Place, dict[str, list[dict[str, int]]]] = {}
        for nest in block:
            for values in product(*(range(nest.sizes[r]) for r in nest.ranks)):
                at = dict(zip(nest.ranks, values, strict=True))
                tile = tuple(nest.part(x, at) for x in nest.order[: shared[nest.line]])
                tiles.setdefault(tile, {}).setdefault(nest.line, []).append(at)
        for tile in sorted(tiles):
            for nest in block:
                steps = defaultdict(list)
                for at in tiles[tile].get(nest.line, []):
                    steps[tuple(nest.part(x, at) for x in nest.order)].append(at)
                for step in sorted(steps):
                    clock += 1
                    phase[clock] = nest.line
                    for at in steps[step]:
                        for tensor, text in nest.tensors.items():
                            uses.append((clock, nest, tensor, tuple(at[r] for r in text), at))
    moved: dict[str, Counter[tuple[str, str, str]]] = defaultdict(Counter)
    held: dict[str, dict[Any, list[int]]] = {"GLB": {}, "PE": {}}
    there: dict[str, dict[Any, tuple[Place, set[Place]]]] = {"GLB": {}, "PE": {}}
    tenure: Counter[Any] = Counter()
    readers = defaultdict(list)
    for time, nest, tensor, place, at in uses:
        line = nest.line
        if tensor in keep and tensor != line:
            readers[tensor].append((time, place))
        for level in ("PE", "GLB"):
            home = level == "GLB" and tensor in keep
            passes = level == "GLB" and tensor == line
            if home or passes:
                continue
            owner = line, tensor, nest.pe(at) if level == "PE" else 0
            key = nest.key(level, tensor, at)
            if there[level].get((line, tensor), (None, set()))[0] != key:
                there[level][line, tensor] = key, set()
                tenure[level, line, tensor] += 1
            seen = there[level][line, tensor][1]
            fetched = place not in seen
            seen.add(place)
            span = held[level].setdefault((owner, tenure[level, line, tensor], place), [time, time])
            span[1] = time
            if fetched and tensor != line:
                outside = "GLB" if level == "PE" else "DRAM"
                moved[line][outside, tensor, "reads"] += 1
                if level == "GLB":
                    moved[line]["GLB", tensor, "writes"] += 1
        when[line, place, tensor] = time
    done: dict[str, dict[Place, int]] = defaultdict(dict)
    for (line, place, tensor), time in when.items():
        if tensor == line:
            done[line][place] = time
            moved[line]["GLB", line, "writes"] += 1
            if line not in keep:
                moved[line]["GLB", line, "reads"] += 1
                moved[line]["DRAM", line, "writes"] += 1
    spans: dict[tuple[str, str, Any], list[tuple[int, int, int]]] = defaultdict(list)
    whole: dict[Any, list[int]] = {}
    for level, found in held.items():
        for (owner, number, _), (first, last) in found.items():
            if owner[0] == owner[1]:
                span = whole.setdefault((level, owner, number), [first, last, 0])
                span[:] = [min(span[0], first), max(span[1], last), span[2] + 1]
            else:
                spans[level, owner[:2], owner[2]].append((first, last, 1))
    for (level, owner, _), (first, last, number) in whole.items():
        spans[level, owner[:2], owner[2]].append((first, last, number))
    block_of = {nest.line: (block, nest) for block in turns for nest in block}
    for tensor in keep:
        block, nest = block_of[tensor]
        inside = {other.line for other in block}
        tiled = all(line in inside for line, (_, at) in block_of.items() if tensor in at.tensors)
        tiles_of: dict[Place, list[tuple[int, Place]]] = defaultdict(list)
        for time, place in readers[tensor]:
            at = dict(zip(LINES[tensor][1][tensor], place, strict=True))
            loops = nest.order[: shared[tensor]] if tiled else []
            tiles_of[tuple(nest.part(x, at) for x in loops)].append((time, place))
        for reads in tiles_of.values():
            places = {place for _, place in reads}
            first = min(done[tensor][place] for place in places)
            last = max(reads)[0]
            if not tiled:  # all of it has its room as long as lines that have it take turns
                first = min([first, *turning(block, shared, phase)])
                readers_block = block_of[phase[last]][0]
                last = max([last, *turning(readers_block, shared, phase)])
            spans["GLB", ("home", tensor), 0].append((first, last, len(places)))
    room: dict[str, dict[str, int]] = {nest.line: {} for block in turns for nest in block}
    for line, bits_of in room.items():
        times = [t for t, running in phase.items() if running == line]
        for level in ("GLB", "PE"):
            most: Counter[Any] = Counter()
            for (at, owner, _), listed in spans.items():
                if at != level:
                    continue
                width = WIDE if owner[0] == owner[1] else BITS
                for t in times:
                    now = sum(n for first, last, n in listed if first <= t <= last)
                    most[owner] = max(most[owner], now * width)
            bits_of[level] = sum(most.values())
    return moved, room


def turning(block: list[Nest], shared: dict[str, int], phase: dict[int, str]) -> list[int]:
    """The times of lines that take turns more than once."""
    first = block[0]
    if len(block) < 2 or not any(map(first.wide, first.order[: shared[first.line]])):
        return []
    return [time for time, line in phase.items() if line in [nest.line for nest in block]]

"""Generated mappings and designs for generated layers, each told twice as these are."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from math import prod
from typing import Any

from cases import Case
from hypothesis import strategies as st
from nest_parts import Access, Design, Loop, numbered

from zeroskip.hwmodel import Mapping


@dataclass
class Mapped:
    """A mapping onto levels and array, told twice."""

    mapping: Mapping
    levels: dict[str, dict[str, Any]]
    array: dict[str, int]
    loops: list[Loop]
    sync: int
    stays: dict[str, list[tuple[str, int]]]
    leader: str | None = None
    words: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def kept(self) -> dict[str, list[tuple[str, int]]]:
        """The levels that keep each tensor."""
        return {
            tensor: [stay for stay in stays if (tensor, stay[0]) not in self.words]
            for tensor, stays in self.stays.items()
        }

    @property
    def instances(self) -> dict[str, tuple[str, ...]]:
        wanted = {name: level.get("instances", "none") for name, level in self.levels.items()}
        return {
            name: () if text == "none" else tuple(text.split("*")) for name, text in wanted.items()
        }


ARRAYS = [(1, 1), (2, 1), (1, 3), (2, 2), (4, 1), (2, 3)]
HIERARCHIES: list[dict[str, dict[str, str]]] = [
    {"DRAM": {}, "RF": {"instances": "d0*d1"}},
    {"DRAM": {}, "GLB": {}, "RF": {"instances": "d0*d1"}},
    {"DRAM": {}, "L2": {}, "GLB": {}, "RF": {"instances": "d0*d1"}},
    {"DRAM": {}, "GLB": {}, "ROW": {"instances": "d0"}, "RF": {"instances": "d0*d1"}},
    {"DRAM": {}, "GLB": {}, "BUF": {"instances": "d0*d1"}, "RF": {"instances": "d0*d1"}},
]


def default_stays(case: Case, levels: dict[str, dict[str, Any]], sync: int) -> Any:
    """Where the default keeps everything: operands inside the sync in levels of the array."""
    stays = {}
    for tensor in [*case.arrays, "O"]:
        inner = 0 if tensor == "O" else sync
        stays[tensor] = [
            (name, inner if level.get("instances", "none") != "none" else 0)
            for name, level in levels.items()
        ]
    return stays


@st.composite
def hierarchies(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """Levels, some of which are refilled whole, or read once for each PE."""
    levels: dict[str, dict[str, Any]] = {}
    drawn = draw(st.sampled_from(HIERARCHIES))
    for number, (name, level) in enumerate(drawn.items()):
        levels[name] = {**level}
        if number and draw(st.integers(0, 2)) == 0:
            levels[name]["halo"] = draw(st.sampled_from(["new", "whole"]))
        if number < len(drawn) - 1 and draw(st.integers(0, 2)) == 0:
            levels[name]["multicast"] = draw(st.booleans())
    return levels


@st.composite
def mappings(
    draw: st.DrawFn,
    case: Case,
    *,
    together_too: bool = False,
    homes_too: bool = False,
    streams_too: bool = False,
) -> Mapped:
    """Any mapping: splits in two or three, loops across PEs, marks of each tensor, bypasses.

    together_too : one split is by stored entries, or flattens ranks, or both.
    homes_too : some tensors are on chip from the start, or at the end, whole or by tiles.
    streams_too : some pass levels and are not kept there, by the mapping or by the design.
    """
    levels = draw(hierarchies())
    array = dict(zip(("d0", "d1"), draw(st.sampled_from(ARRAYS)), strict=True))
    split: dict[str, Any] = {}
    loops: list[Loop] = []
    together: tuple[str, ...] = ()
    leader = None
    if together_too:
        together, leader, blocks = draw(numberings(case))
        parts, family = [], "*".join(together)
        for rank in together:
            around = draw(st.one_of(st.just([]), st.just([]), blocks_of(3)))
            names = [f"{rank}{n}" for n in range(len(around), -1, -1)] if around else [rank]
            of_rank = [
                Loop(name, rank, block, tuple(around[:n]), family=family)
                for n, (name, block) in enumerate(zip(names, [*around, 1], strict=True))
            ]
            if around:
                split[rank] = around
            parts.append(draw(st.sampled_from(of_rank)))
            loops += [x for x in of_rank if x is not parts[-1]]
        key = "*".join(part.name for part in parts)
        listed = ", ".join(map(str, blocks))
        split[key] = f"occupancy({leader.tensor}, {listed})" if leader else blocks
        if draw(st.booleans()):
            split = dict(reversed(split.items()))
        numbers: dict[tuple[int, ...], int] | None = numbered(parts, case.sizes, leader)
        if not leader and len(parts) == 1 and blocks[0] == 1 and _whole(parts[0]):
            numbers = None  # blocks of one place are the rank itself
        for n, block in enumerate([*blocks, 1]):
            name, within = f"{key.replace('*', '')}{len(blocks) - n}", tuple(blocks[:n])
            loops.append(Loop(name, family, block, within, numbers=numbers, family=family))
    for rank in (rank for rank in case.sizes if rank not in together):
        blocks = draw(st.one_of(st.just([]), blocks_of(3)))
        if blocks:
            split[rank] = blocks
        names = [f"{rank}{n}" for n in range(len(blocks), -1, -1)] if blocks else [rank]
        for n, (name, block) in enumerate(zip(names, [*blocks, 1], strict=True)):
            loops.append(Loop(name, rank, block, tuple(blocks[:n])))
    loops = draw(st.permutations(loops))
    counts = {
        x.name: 1 + max((replace(x, pes=0).at(p, case.sizes) for p in places(x, case)), default=-1)
        for x in loops
    }
    space: dict[str, str] = {}
    for dims in draw(st.sampled_from([["d0"], ["d0", "d1"], ["d1"], ["d0*d1"], []])):
        if "ROW" in levels and "*" in dims:
            continue
        pes = prod(array[dim] for dim in dims.split("*"))
        fit = [x for x in loops if not x.pes and (_whole(x) or counts[x.name] <= pes)]
        if not fit:
            continue
        loop = draw(st.sampled_from(fit))
        space[loop.name], loop.dims, loop.pes = dims, tuple(dims.split("*")), pes
        if _whole(loop):  # it may have several iterations in one PE: innermost
            loops = [x for x in loops if x is not loop] + [loop]
    deepest = min((n for n, x in enumerate(loops) if x.pes and _whole(x)), default=len(loops))
    sync = draw(st.integers(0, deepest))
    while sync and loops[sync - 1].pes:
        sync -= 1
    stays: dict[str, list[tuple[str, int]]] = {}
    marks: list[tuple[int, int, str]] = []
    keep: dict[str, list[str]] = {}
    words: dict[tuple[str, str], int] = {}
    outermost, *inner_levels = levels
    rounds = any(x.pes and _whole(x) and case.sizes[x.rank] > x.pes for x in loops)
    shared = [x for x in inner_levels[:-1] if levels[x].get("instances", "none") == "none"]
    homes: dict[str, str] = {}
    for tensor in [*case.arrays, "O"]:
        stays[tensor] = [(outermost, 0)]
        at = 0
        if homes_too and shared and draw(st.integers(0, 1)):
            at = draw(st.sampled_from([0, *cuts(case, tensor, loops)]))
            stays[tensor] = [(draw(st.sampled_from(shared)), at)]
            homes[tensor] = " ".join([stays[tensor][0][0], *(x.name for x in loops[:at][-1:])])
        first = list(levels).index(stays[tensor][0][0])
        for number, level in enumerate(inner_levels[first:], first):
            local = level == inner_levels[-1]
            barred = local and (tensor == "O" or rounds)
            if streams_too and not barred and draw(st.integers(0, 2)) == 0:
                words[tensor, level] = draw(st.integers(1, 3))
                stays[tensor].append((level, 0))
                continue
            bypass = draw(st.integers(0, 5)) == 0 and not local
            if bypass:
                keep.setdefault(level, []).append(tensor)
                continue
            at = draw(st.integers(at, deepest))
            stays[tensor].append((level, at))
            marks.append((at, number, f"@{level}({tensor})"))
    order: list[str] = []
    for number in range(len(loops) + 1):
        order += [text for at, _, text in sorted(marks) if at == number]
        order += [loops[number].name] if number < len(loops) else []
    kept = {
        level: [
            t
            for t, at in stays.items()
            if level in [name for name, _ in at[1:]] and (t, level) not in words
        ]
        for level in keep
    }
    stream: dict[str, list[str]] = {}
    for (tensor, level), number in words.items():
        stream.setdefault(level, []).append(tensor if number == 1 else f"{tensor} {number}")
    for level in [level for level in stream if draw(st.booleans())]:
        levels[level]["stream"] = ", ".join(stream.pop(level))
    waits = loops[sync - 1].name if sync else "none"
    mapping = Mapping(order, split, space, sync=waits, keep=kept, home=homes, stream=stream)
    led_by = leader.tensor if leader else None
    return Mapped(mapping, levels, array, loops, sync, stays, led_by, words)


def cuts(case: Case, tensor: str, loops: list[Loop]) -> list[int]:
    """How many loops may stand outside a tile of a tensor at home: each goes over an axis of it."""
    found = []
    for number, loop in enumerate(loops, 1):
        if loop.pes or loop.numbers is not None or "*" in loop.family:
            break
        if loop.iterations(case.sizes) > 1:
            axes = [s.index(loop.rank) if loop.rank in s else -1 for s in case.subscripts(tensor)]
            if len(set(axes)) > 1 or -1 in axes:
                break
        found.append(number)
    return found


def blocks_of(largest: int) -> st.SearchStrategy[list[int]]:
    """One to three blocks from large to small, of which half divide the ones around them."""
    whole = st.builds(
        lambda inner, times: [inner * times, inner], st.integers(1, largest), st.integers(2, 3)
    )
    sizes = st.integers(1, 3 * largest)
    uneven = st.lists(sizes, min_size=1, max_size=3, unique=True)
    return st.one_of(whole, uneven.map(lambda blocks: sorted(blocks, reverse=True)))


def places(loop: Loop, case: Case) -> list[dict[str, int]]:
    every = product(*(range(case.sizes[rank]) for rank in loop.ranks))
    return [dict(zip(loop.ranks, place, strict=True)) for place in every]


@st.composite
def numberings(draw: st.DrawFn, case: Case) -> tuple[tuple[str, ...], Access | None, list[int]]:
    """Ranks that are split together, a leader if their entries count, and sizes."""
    ranks = draw(st.sampled_from(case.together()))
    led = case.leaders(ranks)
    chosen = st.sampled_from(sorted(led)) if led else st.none()
    leader = draw(chosen if len(ranks) == 1 else st.one_of(chosen, st.none()))
    blocks = draw(blocks_of(6))
    return ranks, led[leader] if leader else None, blocks


@st.composite
def windows(draw: st.DrawFn, case: Case) -> Mapped:
    """A mapping of the masked window whose innermost tile of I moves over itself along p."""
    levels = draw(hierarchies().filter(lambda levels: len(levels) > 2 and "BUF" not in levels))
    array = {"d0": 2, "d1": draw(st.integers(1, 2))}
    split = {"p": [draw(st.integers(1, 2))], "m": [2]}
    p1, p0 = Loop("p1", "p", split["p"][0]), Loop("p0", "p", 1, (split["p"][0],))
    m1, m0 = Loop("m1", "m", 2), Loop("m0", "m", 1, (2,))
    if draw(st.integers(0, 3)):
        m0.pes, m0.dims = 2, ("d0",)
    loops = draw(st.permutations([m1, Loop("c", "c"), Loop("r", "r")]))
    loops.insert(draw(st.integers(0, 3)), p1)
    loops += [p0, m0]
    moving = loops.index(p1) + 1
    sync = draw(st.integers(0, len(loops) - 1))
    stays: dict[str, list[tuple[str, int]]] = {}
    marks: list[tuple[int, int, str]] = []
    for tensor in [*case.arrays, "O"]:
        stays[tensor] = [("DRAM", 0)]
        at = 0
        for number, level in enumerate(list(levels)[1:]):
            at = draw(st.integers(at, moving if tensor == "I" else len(loops)))
            at = moving if tensor == "I" and level == "RF" else at
            stays[tensor].append((level, at))
            marks.append((at, number, f"@{level}({tensor})"))
    order: list[str] = []
    for number in range(len(loops) + 1):
        order += [text for at, _, text in sorted(marks) if at == number]
        order += [loops[number].name] if number < len(loops) else []
    space = {"m0": "d0"} if m0.pes else {}
    mapping = Mapping(order, split, space, sync=loops[sync - 1].name if sync else "none")
    return Mapped(mapping, levels, array, loops, sync, stays)


@st.composite
def tile_features(
    draw: st.DrawFn, case: Case, stays: dict[str, list[tuple[str, int]]], design: Design
) -> list[str]:
    """Skips and gates of fills, of two operands of a product that a level keeps both; told to the
    design too."""
    work = [term for term in case.terms if len({n for n, _ in term} - case.indices) > 1]
    texts = []
    for _ in range(draw(st.sampled_from([0, 1, 1, 2])) if work else 0):
        one, other = (name for name, _ in draw(st.permutations(draw(st.sampled_from(work))))[:2])
        kept = {level for level, _ in stays[one][1:]} & {level for level, _ in stays[other][1:]}
        kind, both = draw(st.sampled_from(["skip", "skip", "gate"])), draw(st.booleans())
        sides = [{one, other}] * 2 if both else [{one}, {other}]
        told = [named(side, case) for side in sides]
        kept = {x for x in kept if all(x in dict(stays[t][1:]) for side in told for t in side)}
        if not kept or told[1] & case.indices:
            continue
        level = draw(st.sampled_from(sorted(kept)))
        design.tiles.append((kind, level, *told))
        to, by = (",".join(sorted(side)) for side in sides)
        texts.append(f"{kind} {to} on {by} @{level}")
    return texts


def named(names: set[str], case: Case) -> set[str]:
    """Tensors that are meant: I and F are roles, and F that of all others."""
    tensors = {name for term in case.terms if len(term) > 1 for name, _ in term} - case.indices
    return names | (tensors - {"I"} if "F" in names else set())


def _whole(loop: Loop) -> bool:
    return loop.block == 1 and not loop.within and loop.numbers is None


@st.composite
def designs(draw: st.DrawFn, tensors: list[str]) -> Design:
    kind = draw(
        st.sampled_from(["dense", "gate", "skip one", "skip both", "lead", "gate and skip"])
    )
    design = Design(multipliers=draw(st.integers(1, 3)))
    first, last = tensors[0], tensors[-1]
    if kind in ("gate", "gate and skip"):
        targets = {last, "O"} if draw(st.booleans()) else {last}
        design.gate.append((targets, {first}))
        if draw(st.booleans()):
            design.gate.append(({first, "O"}, {last}))
    if kind in ("skip one", "gate and skip"):
        design.skip = {last if draw(st.booleans()) else first}
    if kind in ("skip both", "lead"):
        design.skip = {first, last}
    if kind == "lead":
        design.lead = {first if draw(st.booleans()) else last}
    return design

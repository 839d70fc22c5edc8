"""Plain simulators of caches, intersections and mergers: step by step, nothing of zeroskip."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product

Fiber = list[int]


def cached(trace: list[int], sizes: list[int], capacity: int, policy: str) -> list[bool]:
    """Misses, by looking ahead or back through the trace at every replacement."""
    held: set[int] = set()
    missed = []

    def later(fiber: int, t: int) -> int:
        return next((i for i in range(t + 1, len(trace)) if trace[i] == fiber), len(trace))

    def before(fiber: int, t: int) -> int:
        return max(i for i in range(t) if trace[i] == fiber)

    for t, fiber in enumerate(trace):
        missed.append(fiber not in held)
        if fiber in held or sizes[fiber] > capacity:
            continue
        own = later(fiber, t)
        if policy == "bypass" and own == len(trace):
            continue
        kept = set(held)
        while sum(sizes[f] for f in kept) + sizes[fiber] > capacity:
            if policy == "lru":
                kept.remove(min(kept, key=lambda f: before(f, t)))
                continue
            last = max(kept, key=lambda f: later(f, t))
            if policy == "bypass" and later(last, t) <= own:
                break
            kept.remove(last)
        else:
            held = kept | {fiber}
    return missed


def fewest_misses(trace: list[int], places: int, *, bypass: bool) -> int:
    """Of all ways to replace fibers of one size: every set that can be held, tried."""
    costs: dict[frozenset[int], int] = {frozenset(): 0}
    for fiber in trace:
        following: dict[frozenset[int], int] = {}
        for held, cost in costs.items():
            paid = cost + (fiber not in held)
            whole = held | {fiber}
            ways = [held] if fiber in held else [held] * bypass
            for n in range(min(places, len(whole)) + 1):
                ways += [frozenset(s) for s in combinations(sorted(whole), n) if fiber in s]
            for way in ways:
                following[way] = min(following.get(way, paid), paid)
        costs = following
    return min(costs.values())


def intersected(how: str, one: Fiber, other: Fiber, positions: int) -> int:
    """Steps of two fingers that go through two sorted lists."""
    if how == "leader-follower":
        return len(one)
    if how.startswith("bitmask"):
        return -(-positions // int(how[8:-1]))
    i = j = steps = 0
    run = ""
    while i < len(one) and j < len(other):
        if one[i] == other[j]:
            moved, i, j = "both", i + 1, j + 1
        elif one[i] < other[j]:
            moved, i = "one", i + 1
        else:
            moved, j = "other", j + 1
        steps += how == "two-finger" or moved == "both" or moved != run
        run = moved
    return steps


def merged_in_passes(fibers: list[Fiber], radix: int) -> int:
    """Steps of a tree of mergers: each takes its fibers, and their entries, one by one."""
    left, steps = [f for f in fibers if f], 0
    while len(left) > 1:
        radix = min(radix, len(left))
        made = []
        for i in range(0, len(left), radix):
            part = left[i : i + radix]
            steps += len(part) + sum(map(len, part))
            made.append(sorted(c for fiber in part for c in fiber))
        left = made
    return steps


def merged_by_list(fibers: list[Fiber]) -> int:
    """Steps of a sorted list of heads: one to go in, one for each entry that is passed."""
    if sum(bool(f) for f in fibers) < 2:
        return 0
    waiting = [list(f) for f in fibers]
    heads: list[tuple[int, int]] = []
    steps = 0

    def enter(i: int) -> int:
        if not waiting[i]:
            return 0
        new = (waiting[i].pop(0), i)
        passed = sum(c < new[0] or (c == new[0] and k > i) for c, k in heads)
        heads.append(new)
        return 1 + passed

    for i in range(len(fibers)):
        steps += enter(i)
    while heads:
        # of equal coordinates, the one that lies last in the list leaves: of the latest fiber
        least = min(c for c, _ in heads)
        i = max(k for c, k in heads if c == least)
        heads.remove((least, i))
        steps += enter(i)
    return steps


def in_pieces(
    order: list[tuple[str, int, int]],
    sizes: dict[str, int],
    group: list[str],
    fiber: Callable[[dict[str, int]], Fiber | None],
) -> dict[tuple[int, ...], list[Fiber]]:
    """Partial results of a nest, by the fiber of the result that they are parts of, as they come.

    order : loops outside the innermost: of which rank, the block of an iteration, and the block
        around it, 0 for none.
    fiber : what comes at a place of all these ranks; None for nothing.
    """
    ranks = list(dict.fromkeys(rank for rank, _, _ in order))

    def when(at: dict[str, int]) -> list[int]:
        return [
            (at[rank] % around if around else at[rank]) // block for rank, block, around in order
        ]

    every = [
        dict(zip(ranks, places, strict=True))
        for places in product(*(range(sizes[rank]) for rank in ranks))
    ]
    found: dict[tuple[int, ...], list[Fiber]] = {}
    for at in sorted(every, key=when):
        made = fiber(at)
        if made is not None:
            found.setdefault(tuple(at[rank] for rank in group), []).append(made)
    return found

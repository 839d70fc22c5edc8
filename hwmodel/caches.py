"""Caches that hold whole fibers: which accesses of a trace miss, on real coordinates.

    missed = misses([0, 1, 2, 0], sizes=[3, 3, 3], capacity=6, policy="lru")

A trace is a list of fibers in the order in which they are needed: the rows of B that the stored
entries of A name, say.  No accounting line says what replacement does; the routine is
c/zs_caches.c, its twin here is for where there is no compiler.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.errors import ArchError
from zeroskip.native import routines

Policy = Literal["lru", "optimal", "bypass"]
"""``lru``: what was not needed for longest leaves; ``optimal``: what is needed again latest;
``bypass``: so, but nothing leaves for what is needed later than itself, which passes by."""

Whole = NDArray[np.int64]
NEVER = np.iinfo(np.int64).max


def misses(
    trace: ArrayLike, sizes: ArrayLike, capacity: int | None, policy: Policy = "lru"
) -> NDArray[np.bool_]:
    """Where the fiber that an access needs is not in the cache.

    Parameters
    ----------
    trace : fiber of each access, in [0, len(sizes))
    sizes : room that each fiber takes, in the unit of ``capacity``
    capacity : None for unlimited
    policy : see `Policy`

    Raises
    ------
    ArchError
        For a policy that is none, and for sizes and a trace that cannot be.

    Examples
    --------
    >>> int(misses([0, 1, 2, 0, 1], [1, 1, 1], 2, "lru").sum())
    5
    >>> int(misses([0, 1, 2, 0, 1], [1, 1, 1], 2, "optimal").sum())
    4
    """
    if policy not in get_args(Policy):
        raise ArchError(f"policy: expected {', '.join(get_args(Policy))}, found {policy!r}")
    at, room = _whole(trace, "trace"), _whole(sizes, "sizes")
    if len(room) and room.min() < 0:
        raise ArchError(f"sizes: expected 0 or more, found {room.min()} at {room.argmin()}")
    if len(at) and not 0 <= at.min() <= at.max() < len(room):
        raise ArchError(f"trace: expected fibers below {len(room)}, found {at.min()} to {at.max()}")
    limit = min(int(room.sum()) if capacity is None else int(capacity), int(room.sum()))
    missed = np.zeros(len(at), np.uint8)
    n, fibers = len(at), len(room)
    ring = policy == "lru"
    scratch = np.empty(3 * (fibers + 1) if ring else 4 * n + fibers + 3, np.int64)
    done = routines.run(
        "zeroskip.hwmodel",
        "zs_caches.c",
        "zs_cache_lru" if ring else "zs_cache_optimal",
        [at, room, missed, scratch],
        [n, fibers, limit, int(policy == "bypass")],
    )
    if not done:
        missed[:] = _twin(at.tolist(), room.tolist(), limit, policy)
    return missed.astype(np.bool_)


def _whole(values: Any, what: str) -> Whole:
    given = np.asarray(values)
    if given.ndim != 1 or (given.size and given.dtype.kind not in "iu"):
        raise ArchError(
            f"{what}: expected whole numbers in one axis, found {given.dtype} of {given.ndim}"
        )
    return np.ascontiguousarray(given, np.int64)


def _twin(trace: list[int], sizes: list[int], capacity: int, policy: Policy) -> list[bool]:
    """The same by dicts; ``due`` has when a fiber is needed next, or was needed last."""
    again = [NEVER] * len(trace)
    seen: dict[int, int] = {}
    for t in reversed(range(len(trace))):
        again[t] = seen.get(trace[t], NEVER)
        seen[trace[t]] = t
    due: dict[int, int] = {}
    room, missed = capacity, []
    for t, fiber in enumerate(trace):
        missed.append(fiber not in due)
        key = -t if policy == "lru" else again[t]
        if fiber not in due:
            passes = policy == "bypass" and again[t] == NEVER
            leaving = [] if passes else _leaving(due, sizes, sizes[fiber] - room, policy, key)
            if passes or leaving is None or sizes[fiber] > capacity:
                continue
            for other in leaving:
                del due[other]
                room += sizes[other]
            room -= sizes[fiber]
        due[fiber] = key
    return missed


def _leaving(
    due: dict[int, int], sizes: list[int], wanted: int, policy: Policy, key: int
) -> list[int] | None:
    """Fibers that leave for one of this key, the furthest first; None where it passes by."""
    chosen = []
    for fiber in sorted(due, key=lambda f: due[f], reverse=True):
        if wanted <= 0 or (policy == "bypass" and due[fiber] <= key):
            break
        chosen.append(fiber)
        wanted -= sizes[fiber]
    return chosen if wanted <= 0 else None

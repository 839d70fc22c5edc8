"""Units that find what meets and merge what is in pieces: their steps over fibers.

=================  ==========================================================================
leader-follower    a step for each entry of the leader
two-finger         a step for each coordinate that either holds, until one of them ends
skip-ahead         a step for each coordinate that both hold, and for each run of those that
                   one alone holds, until one of them ends
bitmask(w)         a step for each w positions
tree               passes that merge so many fibers into one: a step for each fiber and entry
list               all fibers at once by a sorted list of their heads (c/zs_mergers.c)
=================  ==========================================================================

Steps of an intersection are lines of accounting over masks of what is stored: ``live`` is a suffix
scan (does an entry come, here or later?), ``last`` a prefix scan (where was the last before?).
"""

from __future__ import annotations

import re
from bisect import bisect_left, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel.fibers import Fibers
from zeroskip.native import routines
from zeroskip.native.engine import evaluate

Whole = NDArray[np.int64]

INTERSECT = ("leader-follower", "two-finger", "skip-ahead", "bitmask(w)")
SCANS = ("two-finger", "skip-ahead")
MERGE = ("tree", "list")
_BITMASK = re.compile(r"bitmask\(([1-9]\d*)\)", re.ASCII)


def is_intersection(how: str) -> bool:
    return how in INTERSECT[:-1] or _BITMASK.fullmatch(how) is not None


@dataclass(frozen=True, slots=True)
class Access:
    """A mask and its axes, one of them that along which its fibers are intersected.

    ranks : names of the axes; subscripts : by which points read them; none: these names.
    """

    name: str
    ranks: tuple[str, ...]
    subscripts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.read(self.name)

    def read(self, name: str) -> str:
        """``name``, of the same axes, at a point."""
        return f"{name}[{','.join(self.subscripts or self.ranks)}]"

    def at(self, name: str, rank: str, instead: str) -> str:
        """``name`` at the same ranks, one of them replaced."""
        return f"{name}[{','.join(instead if r == rank else r for r in self.ranks)}]"


def intersection(
    how: str,
    left: Access,
    right: Access,
    rank: str,
    target: str,
    over: Sequence[str],
    factors: Sequence[str] = (),
) -> str:
    """Lines of accounting: ``target[over] += steps`` of every pair of fibers along ``rank``.

    Parameters
    ----------
    how : one of `INTERSECT`; of leader-follower, ``left`` leads
    left, right : masks of what is stored; a rank that both have pairs their fibers
    over : ranks of the result; over the others, pairs are added up
    factors : of each pair, such as whether it meets

    Raises
    ------
    ArchError
        For a kind that is none, and for a mask without the rank.

    Examples
    --------
    >>> print(intersection("leader-follower", Access("A", ("m", "k")), Access("B", ("n", "k")),
    ...                    "k", "steps", ["m"]))
    steps[m] += N*A[m,k]
    """
    for access in (left, right):
        if rank not in access.ranks:
            raise ArchError(f"intersect: {access} has no rank {rank}")
    others = list(dict.fromkeys(r for r in (*left.ranks, *right.ranks) if r != rank))
    taken = {*others, *over, rank}
    spare = next(name for name in ("j", "i", "x", "j0") if name not in taken)
    places = f"{target}[{','.join(over)}] +=" if over else f"{target} +="
    if how == "leader-follower":
        again = [r.upper() for r in others if r not in (*left.ranks, *over)]
        return f"{places} {'*'.join([*again, str(left), *factors])}"
    bits = _BITMASK.fullmatch(how)
    if bits is not None:
        pairs = [r.upper() for r in others if r not in over]
        word = f"{target}Word"
        each = "*".join([*pairs, f"{word}[{spare}]", *factors])
        return f"{word}[{rank}//{bits[1]}] |= 1\n{places} {each}"
    if how not in SCANS:
        raise ArchError(f"intersect: expected {', '.join(INTERSECT)}, found {how!r}")
    lines, live, last, scans = [], [], [], []
    for access in (left, right):
        names = f"{target}Live{access.name}", f"{target}Last{access.name}"
        begun, scan = (access.at(name, rank, rank) for name in names)
        entry = access.at(access.name, rank, spare)
        lines.append(f"{begun} |= {entry}*({rank} <= {spare})")
        scans.append(f"{scan} max= ({spare} + 1)*{entry}*({spare} < {rank})")
        live.append(access.read(names[0]))
        last.append(access.read(names[1]))
    both = "*".join([str(left), str(right), *factors])
    alone = ["*".join(x) for x in ((str(left), live[1], *factors), (live[0], str(right), *factors))]
    if how == "two-finger":
        return "\n".join([*lines, f"{places} {alone[0]} + {alone[1]} - {both}"])
    lines += scans
    begins = [f"({last[1]} >= {last[0]})", f"({last[0]} >= {last[1]})"]
    runs = [f"{run}*{begin}" for run, begin in zip(alone, begins, strict=True)]
    met = [f"{both}*{begin}" for begin in begins]
    lines.append(f"{places} {both} + {runs[0]} - {met[0]} + {runs[1]} - {met[1]}")
    return "\n".join(lines)


def intersection_steps(
    how: str,
    left: tuple[Access, NDArray[np.bool_]],
    right: tuple[Access, NDArray[np.bool_]],
    rank: str,
    over: Sequence[str] = (),
) -> Whole:
    """Steps of every pair of fibers: `intersection`, evaluated."""
    sizes: dict[str, int] = {}
    for access, mask in (left, right):
        sizes |= dict(zip(access.ranks, mask.shape, strict=True))
    text = intersection(how, left[0], right[0], rank, "steps", over)
    masks: Mapping[str, Any] = {access.name: mask for access, mask in (left, right)}
    spec = make_spec(text, sizes=sizes)
    read = {name: masks[name] for name in spec.operands if name in masks}
    return np.asarray(evaluate(spec, read)["steps"], np.int64)


def merge_tree(fibers: ArrayLike, entries: ArrayLike, radix: int) -> Whole:
    """Steps to merge groups of fibers: each pass takes up to ``radix`` of them into one.

    fibers, entries : of each group, empty fibers left out.  A pass reads every entry and looks at
        every fiber; a group of one fiber needs none.  In a group of fewer than ``radix`` fibers,
        and in later passes, a pass merges all there are.

    Examples
    --------
    >>> merge_tree([1, 3, 5], [9, 9, 9], radix=4)
    array([ 0, 12, 25])
    """
    if radix < 2:
        raise ArchError(f"radix: expected 2 or more, found {radix}")
    left, moved = (np.array(x, np.int64) for x in (fibers, entries))
    steps = np.zeros(left.shape, np.int64)
    width = np.minimum(radix, left)
    while (busy := left > 1).any():
        steps += np.where(busy, left + moved, 0)
        width = np.minimum(width, left)
        left = np.where(busy, -(-left // np.maximum(width, 1)), left)
    return steps


def merge_list(group: Fibers, merged: Fibers) -> Whole:
    """Steps to merge groups of sorted fibers by a sorted list of their heads.

    An entry that goes into the list costs a step, and one for each entry that it passes: smaller
    coordinates, and equal ones of later fibers.  A group of one fiber that holds something needs
    none.

    Parameters
    ----------
    group : the coordinates of group g are the fibers of ``merged`` that it merges, in the order in
        which they go in: the rows of A, say, of which each entry names a row of B
    """
    if group.extent > len(merged):
        raise ArchError(f"merge: groups of {group.extent} fibers, and there are {len(merged)}")
    most = int(group.entries.max(initial=0))
    steps = np.zeros(len(group), np.int64)
    given = [group.positions, group.coordinates, merged.positions, merged.coordinates]
    buffers = [*given, steps, np.empty(3 * most + 1, np.int64)]
    dims = [len(group), most]
    if not routines.run("zeroskip.hwmodel", "zs_mergers.c", "zs_merge_steps", buffers, dims):
        for g in range(len(group)):
            steps[g] = _merged_by_list([merged.fiber(f) for f in group.fiber(g)])
    return steps


def _merged_by_list(fibers: Sequence[Sequence[int]]) -> int:
    """The twin of zs_merge_steps, of one group."""
    heads: list[tuple[int, int]] = []
    following = [iter(fiber) for fiber in fibers]
    if sum(len(fiber) > 0 for fiber in fibers) < 2:
        return 0
    steps = 0

    def enter(i: int) -> int:
        coordinate = next(following[i], None)
        if coordinate is None:
            return 0
        passed = bisect_left(heads, (coordinate, -i))  # the first leaves; of equals, the latest
        insort(heads, (coordinate, -i))
        return 1 + passed

    for i in range(len(fibers)):
        steps += enter(i)
    while heads:
        _, back = heads.pop(0)
        steps += enter(-back)
    return steps

"""What a loop of a nest runs over: a range, what a fiber stores, what two fibers both store."""

from __future__ import annotations

from zeroskip.native.integers import Expr
from zeroskip.records import dataclass

LANES_AHEAD = 8
"""Entries of single rows ahead of the one at work whose lanes are asked for, where they are read as
they lie.  Of 2, 4, 8 and 16 entries 8 were as fast as any on one machine (Granite Rapids): products
at densities of .01 to .05 took 5 to 20 % less than without; no command of the repository finds it
again."""


@dataclass(frozen=True, slots=True)
class Level:
    """A storage rank of one operand, as the kernel sees it.

    arrays names the buffers in the order of the level format's ``arrays``; extent is the
    number of coordinates of a fiber; group is (G, H) of a structured level.
    """

    tensor: str
    label: str
    letter: str
    arrays: tuple[str, ...]
    extent: Expr
    group: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Range:
    """lo <= var < hi."""

    lo: Expr
    hi: Expr


@dataclass(frozen=True, slots=True)
class Between:
    """The positions from ``array[first]`` up to ``array[end]``."""

    array: str
    first: Expr
    end: Expr


@dataclass(frozen=True, slots=True)
class Stored:
    """The stored coordinates of one fiber, in increasing order; ``pos`` names the position.

    window : only coordinates c with ``window[0] <= c < window[1]``; None visits all.
    between : where these lie, of a level ``C``, so that they need not be looked for; see `Cut`.
    stored : entries of all fibers of the level, where later ones are read, too.
    ahead : arrays of a level whose fiber at the coordinate is walked inside: pointers, coordinates,
        values; what they hold of later entries is brought near some entries ahead.
    Legal only where an absent value contributes the reduction's identity: skipping 0 * inf
    changes a NaN to 0.
    """

    level: Level
    parent: Expr
    pos: str
    window: tuple[Expr, Expr] | None = None
    stored: Expr | None = None
    ahead: tuple[str, ...] = ()
    between: Between | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """The coordinates that two fibers both store; each position is named by its `Stored`.

    Both levels are ordered and unique, and both windows are None.
    """

    left: Stored
    right: Stored


@dataclass(frozen=True, slots=True)
class Together:
    """The entries of ``rows`` rows at once, by which of the rows store them.

    Columns of a block come in the order of their pattern, from 1 on: bit i of it says that row i
    stores the column.  ``columns`` holds where those of each pattern of each block start, and the
    end; ``first`` the first entry of each block.  The loop's variable is a column's coordinate; for
    each row that stores it ``row`` is the row's number and ``pos`` that of the entry.

    Where ``chains`` is more than 1, the columns of a pattern go round so many sums of each row, of
    which none waits for the one before: ``row`` is then the number of the sum, that of the row and
    ``rows`` more for each sum before it.
    """

    columns: str
    coordinates: str
    first: str
    block: Expr
    rows: int
    row: str
    pos: str
    chains: int = 1

"""Nodes of schedules that tile: copies into other layouts, tiles of a line, fibers that are cut,
programs, and columns of rows.

Part of the loop nest of `nest`, which has the grammar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from zeroskip.native.domains import Level
from zeroskip.native.integers import ZERO, Const, Expr, Name, sub, without
from zeroskip.native.values import Elem
from zeroskip.records import dataclass

if TYPE_CHECKING:
    from zeroskip.native.nest import Stmt


@dataclass(frozen=True, slots=True)
class StageAxis:
    """One axis of a staged copy: index i of the source goes to padded index i + lo, which lies
    at phase (i + lo) % stride, row (i + lo) // stride.

    source_stride, phase_stride and row_stride are in elements.
    """

    extent: Expr
    lo: Expr
    stride: int
    source_stride: Expr
    phase_stride: Expr
    row_stride: Expr


@dataclass(frozen=True, slots=True)
class Stage:
    """Copy a dense tensor into a layout that was handed over full of zeros.

    What the copy does not reach (halo, padding, the ends of rows) stays 0, call after call; but
    where a part of the tensor is copied, one after another into one place, it does not count.
    start, into : first element of the source and of the target; a start other than 0 is a part's.
    par : threads share its outermost axes.
    there : elements that the source has from ``start`` on for each index of the axes before the
        last two, which are vectors that lie in a row, and their lanes; others become 0.  Each
        vector has at least one.
    bias : what is added to each, of a layout that was handed over full of that.
    """

    target: str
    source: str
    axes: tuple[StageAxis, ...]
    start: Expr = ZERO
    into: Expr = ZERO
    par: bool = False
    there: Expr | None = None
    bias: int = 0


@dataclass(frozen=True, slots=True)
class Tiles:
    """A line of lanes in tiles as even as they come, each of whole vectors.

    var : first lane of a tile; width : how many lanes it has, up to the next multiple of a vector.
    line : lanes; tiles : how many tiles, none of them empty.
    vectors : how many vectors a tile may have.
    part : number of the part of the call that goes through them.
    par : every part goes through all tiles, and shares a loop inside.
    early : the array that holds a line where it lies, and the vectors of tiles in their order where
        they begin with a line of the cache, before the line's first lane; None for never.
    """

    var: str
    width: str
    part: str
    line: Expr
    tiles: Expr
    vectors: tuple[int, ...]
    body: tuple[Stmt, ...]
    note: str = ""
    par: bool = False
    early: tuple[str, tuple[int, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Where the entries of each block of coordinates begin in each fiber of a level ``C``.

    array : ``array[b * fibers + f]`` is the position of the first entry of fiber f at coordinate
        ``b * size`` or behind it; behind the last of the blocks, where the fiber ends.
    """

    level: Level
    array: str
    fibers: Expr
    size: Expr
    blocks: Expr


@dataclass(frozen=True, slots=True)
class Bring:
    """Have the memory bring elements of an array near, from ``index`` on, which may lie past its
    end; nothing is computed."""

    array: str
    index: Expr
    count: Expr


@dataclass(frozen=True, slots=True)
class Slide:
    """Sums of neighbouring places of a line, held while a window goes along it.

    In step ``var``, from 0 on, accumulator 0 of ``members`` takes up the sum of place ``var``, if
    there are so many ``places``.  The body adds to accumulators, of which number i is that of place
    ``var - i``; some of these are beyond the line, and what is added to them is lost.  The sum of
    the last one is put back, and each is the next one's.

    place : the sum of place ``var``.
    """

    var: str
    places: Expr
    name: str
    dtype: str
    members: int
    place: Elem
    body: tuple[Stmt, ...]

    @property
    def last(self) -> Elem:
        """The sum of the place that is put back."""
        place = sub(Name(self.var), Const(self.members - 1))
        return Elem(self.place.array, without(self.place.index, self.var, place))


@dataclass(frozen=True, slots=True)
class Share:
    """The body goes through tiles [lo, hi) of a line, which are those of one part of the call.

    Where there are many programs for each part, or too few tiles, parts come to the same tiles and
    share the programs [first, end) inside.

    lo, hi, first, end, part : names of what the body reads, and of the number of the part.
    """

    lo: str
    hi: str
    first: str
    end: str
    part: str
    tiles: Expr
    programs: Expr
    body: tuple[Stmt, ...]
    par: bool = True


@dataclass(frozen=True, slots=True)
class Lying:
    """Vectors [first, end) of a line are read in another array, vector 0 from ``at`` on, which
    may lie outside; those behind them ``behind`` elements further than where they would be.

    residue : bytes behind the start of a line of the cache at which that array starts, if the code
        is to be what is made for that; otherwise it is that of ``programs`` further on.
    """

    source: str
    at: Expr
    first: Expr
    end: Expr
    behind: Expr
    residue: Expr
    programs: Expr


@dataclass(frozen=True, slots=True)
class Unrolled:
    """One program of a bound operand against every vector of a line: for each row of the program
    and each lane, the sum of its entries' values times what lies at their offsets.

    program, after : its number among those of all blocks, and that of the one which is run after
        it, whose code is fetched meanwhile.
    rows : how many there are from its first row on; it has no more than ``groups`` times
        ``members``.
    code, starts : the programs as machine code, empty where entries are to be walked.
    first : where the entries of each group start; member, offset, packed : of each entry its row
        in the group, the place of its lane 0 from ``source`` on, and its value.
    shift, masks : of each entry which of the masks of a vector says what lanes it meets, 0 for all
        of them; and so many masks for each vector of the line.  Empty where there are none.
    vector : number of vector 0 in the line.
    source, at, step : what vector 0 lies in, from where on; and how far each lies from the next.
    result, into, pitch : the rows, from where on, and how far each lies from the next.
    line : lanes; the last vector may have fewer than the others.
    resumed : whether sums go on from what the rows hold (not 0), or start from 0.
    lying : which vectors are read elsewhere; None where none is.
    joined : how many elements of ``source`` a lane is: a value is then so many integers, the lowest
        bits first, each times its own; at an offset below 0 it meets none, and is added itself.
    bias : what lanes that are masked out hold.
    """

    program: Expr
    after: Expr
    rows: Expr
    groups: Expr
    members: Expr
    code: str
    starts: str
    first: str
    member: str
    offset: str
    packed: str
    shift: str
    masks: str
    vector: Expr
    source: str
    at: Expr
    step: Expr
    result: str
    into: Expr
    pitch: Expr
    line: Expr
    resumed: Expr
    lying: Lying | None = None
    joined: int = 1
    bias: int = 0


@dataclass(frozen=True, slots=True)
class Columns:
    """One group of rows of a bound operand, in one block of its columns, against every lane of a
    line: for each row and each lane, the sum of its entries' values times what lies at the places
    of their columns.

    group : its number among those of all blocks.  rows : how many there are from its first row on,
        no more than a vector has lanes.
    masks : of each column of each group, a bit for each row that stores it; first : where the
        values of each group start; packed : of each entry its value.
    columns, there : of a block, and how many of them there are.
    source, at, step : what holds the places of the columns, where the first one's lanes start, and
        how far those of each lie from the next.
    result, into, pitch : the rows, from where on, and how far each lies from the next.
    line, tiles : lanes, and how many tiles they are cut into; lanes : how many a tile may have.
    resumed : whether sums go on from what the rows hold (not 0), or start from 0.
    """

    group: Expr
    rows: Expr
    masks: str
    first: str
    packed: str
    columns: Expr
    there: Expr
    source: str
    at: Expr
    step: Expr
    result: str
    into: Expr
    pitch: Expr
    line: Expr
    tiles: Expr
    lanes: tuple[int, ...]
    resumed: Expr

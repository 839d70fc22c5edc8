"""The loop nest: what a kernel does, before it is C.

    nest   := Kernel(buffers, dims, body)
    stmt   := Loop(var, range | stored | merge)   visit coordinates
            | Bind(var = expr) | Guard(conditions)  solve a subscript, keep what is in range
            | Locate(level, coordinate)             find one coordinate, or skip
            | Find(level, coordinate)               find one coordinate, or position -1
            | Fetch(var = element)                  read a place from an index tensor
            | Check(coordinate) | Once(place)       fail where data names a wrong place
            | Stage(dense tensor -> layout)         copy with halo, phases and padding
            | Tiles(x, width; body)                 parts of a line, a few vectors each
            | Cut(level) | Bring(array)             where blocks of fibers begin; what comes next
            | Acc(name; body; flush)                accumulate in registers
            | Slide(var, place; body)               sums of neighbours held as a window goes along
            | Reduce(place op= value)               the work
            | Gathered(row; body) | Touch(row, place, value)   one row of a sparse result
            | Fill(array)                           the identity of a reduction

A loop, fill or copy that is ``par`` is shared by the parts of a call; see `parallel`.

Coordinates, positions and addresses are those of `integers`; what is computed at a place, those of
`values`.  Logical rank, storage rank and address are kept apart: a loop variable is a rank of the
iteration space; a `Level` is a storage rank of one operand; an address is an integer expression.
Every node means the same in `interpret` (Python) and `emit` (C).  Those of tiles are in
`nest_tiles`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from zeroskip.native.domains import Level, Merge, Range, Stored, Together
from zeroskip.native.integers import Cond, Expr
from zeroskip.native.nest_tiles import Bring, Columns, Cut, Share, Slide, Stage, Tiles, Unrolled
from zeroskip.native.values import Elem, Held, Value
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Loop:
    """kind ``vec``: the iterations are the lanes of vectors.  The body touches, for lane x,
    only elements at addresses whose coefficient of x is 1 or 0, in an order of lanes that
    does not matter; buffers reach up to the next multiple of the kernel's vectors.
    kind ``dot``: the lanes of vectors share the iterations, over a range or the entries of a fiber,
    whose products are added up (`dotted`); which lane has which depends on how many there are.

    par : no iteration reads or writes what another writes, so that threads may share them.  Such
    a loop is a statement of the kernel, all the body of another one, or one of the statements of
    a range that every thread goes through.
    by : positions of the entries that each iteration walks, by which threads share it evenly; empty
    where iterations count alike.
    """

    var: str
    over: Range | Stored | Merge | Together
    body: tuple[Stmt, ...]
    kind: Literal["seq", "vec", "dot"] = "seq"
    note: str = ""
    par: bool = False
    by: str = ""


@dataclass(frozen=True, slots=True)
class Bind:
    var: str
    expr: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Guard:
    """The body runs where every condition holds and every value is not 0."""

    conditions: tuple[Cond, ...]
    body: tuple[Stmt, ...]
    nonzero: tuple[Value, ...] = ()


@dataclass(frozen=True, slots=True)
class Locate:
    """The body runs where the fiber stores the coordinate; ``pos`` names its position.

    The level is ``C`` (ordered, unique; any coordinate may be asked for) or ``B`` (the
    coordinate lies in the fiber's extent).
    """

    level: Level
    parent: Expr
    coordinate: Expr
    pos: str
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Find:
    """As `Locate`, but the body runs in any case: ``pos`` is -1 where nothing is stored, or
    where a condition does not hold."""

    level: Level
    parent: Expr
    coordinate: Expr
    pos: str
    conditions: tuple[Cond, ...]
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Fetch:
    """``var`` is the integer at ``index`` of an index tensor's values."""

    var: str
    array: str
    index: Expr
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Check:
    """Fail with ZS_ERANGE where ``coordinate`` is outside ``0 .. extent - 1``.

    number : of the entry in `Lowered.checks` that says what was read.
    """

    coordinate: Expr
    extent: Expr
    number: int
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Once:
    """Fail with ZS_ECOLLISION where the mark at ``place`` is set already; set it."""

    place: Elem


@dataclass(frozen=True, slots=True)
class Acc:
    """``name`` starts at ``init``; the body reduces into it; the flush stores it.

    members : how many accumulators there are; the init is done for each, its number bound to
        ``member``.
    flushes : for how many of them the flush is done, which may read all; 0 for each.
    """

    name: str
    dtype: str
    init: Value
    body: tuple[Stmt, ...]
    flush: tuple[Stmt, ...]
    member: str = ""
    members: int = 1
    flushes: int = 0


@dataclass(frozen=True, slots=True)
class Reduce:
    """``place op= value``; op is one of ``= + * max min | &``.

    work counts multiplications of two operands, where this statement does any.
    """

    place: Elem | Held
    op: str
    value: Value
    work: int = 0


@dataclass(frozen=True, slots=True)
class Touch:
    """``vals[index] op= value`` in the row around; a place that is new is put on its list.

    ordered : the place is reached once, behind all before it, and appended at once.
    """

    row: Row
    index: Expr
    value: Value
    work: int = 0
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a sparse result, gathered densely and appended in order.

    vals, seen, touched : arrays of the row's extent: sums, whether a place was reached, and the
        list of those that were, with room for one more; before and after, ``seen`` is 0 and
        ``vals`` is ``start``.
    bits : a bit for each place, and one for each 64 of those, to put the list in order; all 0.
    outer : number of the row; rows come in order.  inners, out : where (place, value) are
        appended, as long as fewer than ``room`` are there; ends : how many entries there would be
        before each row, and after the last.
    post : function of each sum, or None; drops : whether a 0 is left out then.
    op, start : how values combine at a place, and what they start from.
    """

    vals: str
    seen: str
    touched: str
    bits: str
    extent: Expr
    outer: Expr
    ends: str
    inners: str
    out: str
    room: Expr
    post: str | None
    drops: bool
    op: str = "+"
    start: int | float = 0


@dataclass(frozen=True, slots=True)
class Gathered:
    """The body reaches places of ``row`` by `Touch`; then the row is appended.

    ordered : the body has appended it.
    """

    row: Row
    body: tuple[Stmt, ...]
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Poll:
    """Leave the kernel where the caller has asked for it; put in by `polling`."""


@dataclass(frozen=True, slots=True)
class Fill:
    """Every element of an array is ``value``; par : threads share them."""

    array: str
    count: Expr
    value: Value
    par: bool = False


@dataclass(frozen=True, slots=True)
class Alone:
    """Part 0 of a call runs the body, the others go on; put in by `parallel`."""

    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Barrier:
    """Every part waits for all others; put in by `parallel`."""


Stmt = (
    Loop
    | Bind
    | Guard
    | Locate
    | Find
    | Fetch
    | Check
    | Once
    | Stage
    | Tiles
    | Cut
    | Bring
    | Slide
    | Share
    | Unrolled
    | Columns
    | Acc
    | Reduce
    | Touch
    | Gathered
    | Fill
    | Poll
    | Alone
    | Barrier
)


@dataclass(frozen=True, slots=True)
class Buffer:
    """An array that the kernel is handed; ``dtype`` is NumPy's name."""

    name: str
    dtype: str
    written: bool = False


@dataclass(frozen=True, slots=True)
class Kernel:
    """One kernel: its arguments by slot, and its loop nest.

    title is the comment at its head.  dims name the slots of ``zs_args.dim``; parameters
    those of ``zs_args.real`` (floating point) or ``zs_args.whole`` (integers), by dtype.
    vector_bytes : width of its vectors; 0 where it has none.
    """

    title: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    dims: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    dtype: str
    body: tuple[Stmt, ...]
    vector_bytes: int = 0


def has_loop(body: tuple[object, ...], holds: Callable[[Loop], bool]) -> bool:
    """Whether ``holds`` of any loop in the statements."""
    return any(
        (isinstance(stmt, Loop) and holds(stmt)) or has_loop(getattr(stmt, "body", ()), holds)
        for stmt in body
    )

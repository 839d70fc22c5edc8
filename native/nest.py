"""The loop nest: what a kernel does, before it is C.

    nest   := Kernel(buffers, dims, body)
    stmt   := Loop(var, range | stored | merge)   visit coordinates
            | Bind(var = expr) | Guard(conditions)  solve a subscript, keep what is in range
            | Locate(level, coordinate)             find one coordinate, or skip
            | Find(level, coordinate)               find one coordinate, or position -1
            | Fetch(var = element)                  read a place from an index tensor
            | Check(coordinate) | Once(place)       fail where data names a wrong place
            | Stage(dense tensor -> layout)         copy with halo, phases and padding
            | Acc(name; body; flush)                accumulate in registers
            | Reduce(place op= value)               the work
            | Gathered(row; body) | Touch(row, place, value)   one row of a sparse result
            | Fill(array)                           the identity of a reduction
    expr   := Const | Name | Op | Pick              64-bit: coordinates, positions, addresses
    value  := Elem | Held | Number | Parameter | Whole | Prod | Sum | Ratio | Func | Test
            | Choose | Select | Absent

Logical rank, storage rank and address are kept apart: a loop variable is a rank of the
iteration space; a `Level` is a storage rank of one operand; an address is an `expr`, a linear
form over loop variables.  Every node means the same in `interpret` (Python) and `emit` (C).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# ---- integers ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Const:
    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """A loop variable, a bound name, a position or an entry of `Kernel.dims`."""

    name: str


@dataclass(frozen=True, slots=True)
class Op:
    """``op`` is one of ``+ * // % ceil min max``; division is towards minus infinity by a
    positive divisor."""

    op: str
    args: tuple[Expr, ...]


@dataclass(frozen=True, slots=True)
class Pick:
    """``then`` where every condition holds, else ``other``."""

    conditions: tuple[Cond, ...]
    then: Expr
    other: Expr


Expr = Const | Name | Op | Pick

ZERO, ONE = Const(0), Const(1)


def add(*args: Expr) -> Expr:
    """Sum, with constants folded to the end."""
    flat: list[Expr] = []
    constant = 0
    for arg in args:
        parts = arg.args if isinstance(arg, Op) and arg.op == "+" else (arg,)
        for part in parts:
            if isinstance(part, Const):
                constant += part.value
            else:
                flat.append(part)
    if constant or not flat:
        flat.append(Const(constant))
    return flat[0] if len(flat) == 1 else Op("+", tuple(flat))


def mul(*args: Expr) -> Expr:
    """Product, with constants folded to the front."""
    flat: list[Expr] = []
    constant = 1
    for arg in args:
        parts = arg.args if isinstance(arg, Op) and arg.op == "*" else (arg,)
        for part in parts:
            if isinstance(part, Const):
                constant *= part.value
            else:
                flat.append(part)
    if constant == 0 or not flat:
        return Const(constant)
    if constant != 1:
        flat.insert(0, Const(constant))
    return flat[0] if len(flat) == 1 else Op("*", tuple(flat))


def neg(arg: Expr) -> Expr:
    if isinstance(arg, Op) and arg.op == "+":
        return add(*(neg(a) for a in arg.args))
    return mul(Const(-1), arg)


def sub(a: Expr, b: Expr) -> Expr:
    return add(a, neg(b))


def floordiv(a: Expr, b: Expr) -> Expr:
    if b == ONE:
        return a
    if isinstance(a, Const) and isinstance(b, Const):
        return Const(a.value // b.value)
    return Op("//", (a, b))


def mod(a: Expr, b: Expr) -> Expr:
    return ZERO if b == ONE else Op("%", (a, b))


def ceildiv(a: Expr, b: Expr) -> Expr:
    return a if b == ONE else Op("ceil", (a, b))


def least(*args: Expr) -> Expr:
    return args[0] if len(args) == 1 else Op("min", args)


def most(*args: Expr) -> Expr:
    return args[0] if len(args) == 1 else Op("max", args)


@dataclass(frozen=True, slots=True)
class Cond:
    """``left op right``."""

    op: Literal["==", "!=", "<", "<=", ">", ">="]
    left: Expr
    right: Expr


# ---- values -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Elem:
    """One element of a buffer."""

    array: str
    index: Expr


@dataclass(frozen=True, slots=True)
class Held:
    """The accumulator of that name."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    value: int | float


@dataclass(frozen=True, slots=True)
class Parameter:
    """A scalar operand."""

    name: str


@dataclass(frozen=True, slots=True)
class Whole:
    """An integer expression used as a value."""

    expr: Expr


@dataclass(frozen=True, slots=True)
class Prod:
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Sum:
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Ratio:
    top: Value
    bottom: Value


@dataclass(frozen=True, slots=True)
class Func:
    name: str
    args: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Test:
    """1 where ``left op right``, else 0; both sides are computed in ``dtype``.

    sides : types that the two are computed in where these have no integer type in common: their
        values are then compared as what they are, whatever ``dtype``.
    """

    op: str
    left: Value
    right: Value
    dtype: str
    sides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Choose:
    """``yes`` where ``test`` is not 0, else ``no``; only the one that is taken is read."""

    test: Value
    yes: Value
    no: Value


@dataclass(frozen=True, slots=True)
class Absent:
    """``value`` where ``position`` is not negative, else ``otherwise``: an operand that may
    store nothing here, and what that stands for."""

    position: Expr
    value: Value
    otherwise: Value


@dataclass(frozen=True, slots=True)
class Select:
    """``value`` where ``test`` is not ``fill``, else ``otherwise``: what only fills a place is
    absent, and an absent value times infinity is absent."""

    test: Elem
    value: Value
    fill: int | float = 0
    otherwise: int | float = 0


Value = (
    Elem
    | Held
    | Number
    | Parameter
    | Whole
    | Prod
    | Sum
    | Ratio
    | Func
    | Test
    | Choose
    | Select
    | Absent
)


# ---- statements -------------------------------------------------------------------------


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
class Stored:
    """The stored coordinates of one fiber, in increasing order; ``pos`` names the position.

    window : only coordinates c with ``window[0] <= c < window[1]``; None visits all.
    Legal only where an absent value contributes the reduction's identity: skipping 0 * inf
    changes a NaN to 0.
    """

    level: Level
    parent: Expr
    pos: str
    window: tuple[Expr, Expr] | None = None


@dataclass(frozen=True, slots=True)
class Merge:
    """The coordinates that two fibers both store; each position is named by its `Stored`.

    Both levels are ordered and unique, and both windows are None.
    """

    left: Stored
    right: Stored


@dataclass(frozen=True, slots=True)
class Loop:
    """kind ``vec``: the iterations are the lanes of vectors.  The body touches, for lane x,
    only elements at addresses whose coefficient of x is 1 or 0, in an order of lanes that
    does not matter; buffers reach up to the next multiple of `LANE_BYTES`."""

    var: str
    over: Range | Stored | Merge
    body: tuple[Stmt, ...]
    kind: Literal["seq", "vec"] = "seq"
    note: str = ""


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

    What the copy does not reach (halo, padding, the ends of rows) stays 0, call after call.
    """

    target: str
    source: str
    axes: tuple[StageAxis, ...]


@dataclass(frozen=True, slots=True)
class Acc:
    """``name`` starts at ``init``; the body reduces into it; the flush stores it."""

    name: str
    dtype: str
    init: Value
    body: tuple[Stmt, ...]
    flush: tuple[Stmt, ...]


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
    """``vals[index] op= value`` in the row around; a place that is new is put on its list."""

    row: Row
    index: Expr
    value: Value
    work: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a sparse result, gathered densely and appended in order.

    vals, seen, touched : arrays of the row's extent: sums, whether a place was reached, and the
        list of those that were; ``seen`` is 0 before and after.
    outer : number of the row.  outers, inners, out : where (row, place, value) are appended, as
        long as fewer than ``room`` are there; count : one integer, how many there would be.
    post : function of each sum, or None; drops : whether a 0 is left out then.
    op, start : how values combine at a place, and what they start from.
    """

    vals: str
    seen: str
    touched: str
    extent: Expr
    outer: Expr
    outers: str
    inners: str
    out: str
    count: str
    room: Expr
    post: str | None
    drops: bool
    op: str = "+"
    start: int | float = 0


@dataclass(frozen=True, slots=True)
class Gathered:
    """The body reaches places of ``row`` by `Touch`; then the row is appended."""

    row: Row
    body: tuple[Stmt, ...]


@dataclass(frozen=True, slots=True)
class Poll:
    """Leave the kernel where the caller has asked for it; put in by `polling`."""


@dataclass(frozen=True, slots=True)
class Fill:
    array: str
    count: Expr
    value: Value


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
    | Acc
    | Reduce
    | Touch
    | Gathered
    | Fill
    | Poll
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
    """

    title: tuple[str, ...]
    buffers: tuple[Buffer, ...]
    dims: tuple[str, ...]
    parameters: tuple[tuple[str, str], ...]
    dtype: str
    body: tuple[Stmt, ...]


LANE_BYTES = 64

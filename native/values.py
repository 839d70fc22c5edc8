"""Values of a loop nest: what is read, combined and reduced at one of its points.

value  := Elem | Held | Number | Parameter | Whole    what is read
        | Prod | Sum | Ratio | Func | Test            arithmetic
        | Choose | Select | Absent                    one of two, by a test or by what is stored
"""

from __future__ import annotations

from zeroskip.native.integers import Expr
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Elem:
    """One element of a buffer.

    lanes : of vectors, how many lanes are there; others are read as 0, and not written.
    """

    array: str
    index: Expr
    lanes: Expr | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """The accumulator of that name; of several, the one of that number."""

    name: str
    member: Expr | None = None


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

"""Which loops add products up, or take an extreme of them, so that the lanes of a vector can share
them.

    for j, p in A.j[i]:              for k in [0, K):
      acc += A[p] * x[j]               acc += A[i*K + k] * B[j*K + k]

Over stored entries, one factor lies along the positions and the others at the coordinates; over a
range, all lie along it, and a function of the product may be added up.  Any may stay at one place
for the whole loop.
"""

from __future__ import annotations

from typing import Literal

from zeroskip.native.domains import Range, Stored
from zeroskip.native.integers import Expr, Name, Op, Pick, add
from zeroskip.native.nest import Loop, Reduce
from zeroskip.native.values import Elem, Func, Number, Parameter, Prod, Value, Whole
from zeroskip.records import dataclass

COMPUTED = ("float32", "float64", "int32", "int64", "uint64")
"""Types of arithmetic for which there are vectors."""

NARROW = {
    ("bfloat16", "bfloat16", "float32"): 2,
    ("int16", "int16", "int32"): 2,
    ("int8", "int8", "int32"): 1,
    ("int8", "uint8", "int32"): 1,
    ("uint8", "int8", "int32"): 1,
    ("uint8", "uint8", "int32"): 1,
}
"""Values, what they are multiplied with, and their sums, as `zs_narrow.h` has them; and how many
vectors the values of a word make at most."""

EXTREMES = ("max", "min")
"""Operators that find one of two values, whose lanes are combined as they themselves are."""

LANEWISE = ("abs", "relu", "truth")
"""Functions of a whole vector, as `zs_lanewise.h` has them."""

Reached = Literal["run", "line", "picked", "same"]


@dataclass(frozen=True, slots=True)
class Factor:
    """A factor of the product, and where the iterations of a loop find it.

    reached : ``run``, one behind the other as the entries themselves; ``line``, at a distance from
        ``first`` that is the coordinate; ``picked``, wherever the coordinate says; ``same``, one
        value for all entries.
    """

    value: Value
    reached: Reached
    first: Expr | None = None


def dotted(loop: Loop) -> tuple[Factor, ...] | None:
    """The factors of the products that a loop adds up, or over a range takes an extreme of; None
    where vectors cannot share it."""
    over = loop.over
    pos = over.pos if isinstance(over, Stored) else ""
    if not isinstance(over, Range | Stored) or loop.kind == "vec" or len(loop.body) != 1:
        return None
    if isinstance(over, Stored) and (over.level.letter not in "BC" or over.window is not None):
        return None
    (work,) = loop.body
    if not isinstance(work, Reduce) or work.op not in (EXTREMES if not pos else ()) + ("+",):
        return None
    if not isinstance(work.value, Prod) and isinstance(over, Stored):
        return None
    if isinstance(work.place, Elem) and _mentions(work.place.index, {loop.var, pos}):
        return None
    found = []
    inner = work.value if pos else inside(work.value)[1]
    for value in inner.args if isinstance(inner, Prod) else (inner,):
        factor = _factor(value, loop.var, pos)
        if factor is None:
            return None
        found.append(factor)
    reached = [factor.reached for factor in found]
    if isinstance(over, Range):
        return tuple(found) if set(reached) <= {"line", "same"} and "line" in reached else None
    spread = ("line",) if over.level.letter == "B" else ("line", "picked")
    if reached.count("run") != 1 or not any(r in spread for r in reached):
        return None
    if over.level.letter == "B" and (reached.count("line") != 1 or "picked" in reached):
        return None
    return tuple(found)


def inside(value: Value) -> tuple[str, Value]:
    """The function of whole vectors around a value, "" where there is none, and what it is of."""
    if isinstance(value, Func) and value.name in LANEWISE and len(value.args) == 1:
        return value.name, value.args[0]
    return "", value


def _factor(value: Value, var: str, pos: str) -> Factor | None:
    if isinstance(value, Number | Parameter):
        return Factor(value, "same")
    if isinstance(value, Whole):
        return None if _mentions(value.expr, {var, pos}) else Factor(value, "same")
    if not isinstance(value, Elem) or value.lanes is not None:
        return None
    if value.index == Name(pos):
        return Factor(value, "run")
    if _mentions(value.index, {pos}):
        return None
    if not _mentions(value.index, {var}):
        return Factor(value, "same")
    parts = value.index.args if isinstance(value.index, Op) and value.index.op == "+" else ()
    rest = [part for part in parts or (value.index,) if part != Name(var)]
    if len(rest) == len(parts or (0,)) - 1 and not any(_mentions(part, {var}) for part in rest):
        return Factor(value, "line", add(*rest))
    return Factor(value, "picked")


def _mentions(expr: Expr, names: set[str]) -> bool:
    match expr:
        case Name(name):
            return name in names
        case Op(_, args):
            return any(_mentions(arg, names) for arg in args)
        case Pick(conditions, then, other):
            sides = [side for c in conditions for side in (c.left, c.right)]
            return any(_mentions(part, names) for part in (then, other, *sides))
    return False

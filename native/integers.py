"""Integers of a loop nest: coordinates, positions, addresses, and the conditions on them.

    expr   := Const | Name | Op | Pick              64-bit
    cond   := Cond(expr op expr)

An address is an expression: a linear form over loop variables.
"""

from __future__ import annotations

from typing import Literal

from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Const:
    value: int


@dataclass(frozen=True, slots=True)
class Name:
    """A loop variable, a bound name, a position or an entry of `Kernel.dims`.

    signed : it may be negative where it is used, as what data names may be until it is checked.
    """

    name: str
    signed: bool = False


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


def without(expr: Expr, name: str, at: Expr = ZERO) -> Expr:
    """A sum or product with a name in it at 0, or at what else it is to be."""
    if expr == Name(name):
        return at
    if isinstance(expr, Op) and expr.op in ("+", "*"):
        args = [without(part, name, at) for part in expr.args]
        return add(*args) if expr.op == "+" else mul(*args)
    return expr


def factor(expr: Expr, name: str) -> Expr:
    """What a sum or product that is linear in a name grows by with it."""
    if expr == Name(name):
        return ONE
    if isinstance(expr, Op) and expr.op in ("+", "*"):
        parts = [factor(part, name) for part in expr.args]
        if expr.op == "+":
            return add(*parts)
        (held,) = [k for k, part in enumerate(parts) if part != ZERO] or [-1]
        return ZERO if held < 0 else mul(*expr.args[:held], *expr.args[held + 1 :], parts[held])
    return ZERO


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

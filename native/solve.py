"""A stored coordinate → the ranks of the subscripts that it stands for."""

from __future__ import annotations

from collections.abc import Callable

from zeroskip.einsum_spec.tree import Affine, Var
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.native.cursor import Cursor, State
from zeroskip.native.integers import (
    ZERO,
    Cond,
    Const,
    Expr,
    Name,
    add,
    floordiv,
    mod,
    mul,
    neg,
    sub,
)
from zeroskip.native.nest import Bind, Guard, Stmt
from zeroskip.native.scheme import Scheme


def solve(
    scheme: Scheme,
    state: State,
    cursor: Cursor,
    at: Expr,
    skip: tuple[int, ...],
    near: bool,
    body: Callable[[], tuple[Stmt, ...]],
) -> tuple[Stmt, ...]:
    """Take a stored coordinate apart into axes, and each axis's subscript into its rank.

    skip : axes whose coordinates are known already.
    near : only coordinates are visited that a rank reaches with a factor of 1 or -1.
    """
    access, axes = cursor.access, cursor.level.axes
    known = set(state.bound)
    layers: list[Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]]] = []

    def bind(name: str, expr: Expr) -> None:
        layers.append(lambda inner: (Bind(name, expr, inner),))

    def guard(*conditions: Cond) -> None:
        layers.append(lambda inner: (Guard(conditions, inner),))

    for k, axis in enumerate(axes):
        if axis in skip:
            continue
        below = mul(*(scheme.axis_extent(access, a) for a in axes[k + 1 :]))
        part = at if len(axes) == 1 else floordiv(at, below)
        if k > 0:
            part = mod(part, scheme.axis_extent(access, axis))
        subscript = access.subscripts[axis]
        names = [v for v in dict.fromkeys(variables(subscript)) if v not in known]
        padded = cursor.signature.padded[axis]
        if not names:
            guard(Cond("==", part, scheme.index(access, axis)))
            continue
        (rank,) = names
        name = scheme.rank(rank)
        known.add(rank)
        if single(subscript) == rank and not padded:
            bind(name, part)
            continue
        a, rest = scheme.split(subscript, rank)
        value = sub(add(part, scheme.pad(access, axis)), rest)
        if a < 0:
            value, a = neg(value), -a
        if a == 1:
            bind(name, value)
            if not near:
                guard(Cond(">=", Name(name), ZERO), Cond("<", Name(name), scheme.extent(rank)))
            continue
        scaled = scheme.names.fresh(f"{name}_by_{a}")
        bind(scaled, value)
        guard(Cond(">=", Name(scaled), ZERO), Cond("==", mod(Name(scaled), Const(a)), ZERO))
        bind(name, floordiv(Name(scaled), Const(a)))
        guard(Cond("<", Name(name), scheme.extent(rank)))
    inner = body()
    for layer in reversed(layers):
        inner = layer(inner)
    return inner


def solvable(subscript: Affine, rank: str) -> bool:
    """Whether the rank occurs once, outside floors, with a coefficient known now."""
    for coefficient, atom in subscript.terms:
        if not isinstance(atom, Var):
            if rank in variables(Affine(((coefficient, atom),))):
                return False
        elif atom.name == rank and coefficient.names:
            return False
    return True

"""Masks of whole boxes in an accounting, each as the product of its sides.

held[i] += inA[m,k]*winA_m[i,m]       reads M * K places
held[i] += inA0[m]*inA1[k]*winA_m[i,m]     reads M + K
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import lru_cache

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.tree import Access, Expr, Mul, Program, Statement
from zeroskip.einsum_spec.walk import accesses, reads_of, rebuild, scalars

Sides = dict[str, tuple[str, int]]
"""Name of a side -> the mask of the box and its axis."""


@lru_cache(maxsize=512)
def by_sides(text: str, boxes: tuple[str, ...]) -> tuple[str, Sides]:
    """An accounting in which each access of a mask of ``boxes`` is the product of its sides.

    Only the sides that the text reads are named; no name is one that the text has already.
    """
    program = parse(text)
    read = {access.tensor: len(access.subscripts) for access in _read(program) if access.subscripts}
    taken, sides, names = set(_names(program)), Sides(), dict[str, list[str]]()
    for box in boxes:
        if box not in read:
            continue
        names[box] = [f"{box}{axis}" for axis in range(read[box])]
        while not taken.isdisjoint(names[box]):  # a tensor A0 beside A
            names[box] = [name + "_" for name in names[box]]
        taken.update(names[box])
        sides |= {name: (box, axis) for axis, name in enumerate(names[box])}
    if not names:
        return text, sides

    def apart(node: Expr) -> Expr:
        match node:
            case Access(tensor=box, subscripts=parts) if box in names:
                return _product(
                    [Access(n, (part,)) for n, part in zip(names[box], parts, strict=True)]
                )
            case Mul(factors=factors):
                return _product(factors)
            case _:
                return node

    lines = (Statement(s.target, s.reduction, rebuild(s.value, apart)) for s in program.statements)
    return deparse(Program(tuple(lines))), sides


def _product(factors: Collection[Expr]) -> Expr:
    """Factors multiplied, products among them taken apart."""
    flat: list[Expr] = []
    for factor in factors:
        flat += factor.factors if isinstance(factor, Mul) else [factor]
    return flat[0] if len(flat) == 1 else Mul(tuple(flat))


def _read(program: Program) -> Iterator[Access]:
    for statement in program.statements:
        for access in accesses(statement.value):
            yield from reads_of(access)


def _names(program: Program) -> Iterator[str]:
    """Every name of a tensor, an operand of no axes or an extent."""
    yield from (access.tensor for access in _read(program))
    for statement in program.statements:
        yield statement.target.tensor
        yield from (scalar.name for scalar in scalars(statement.value))

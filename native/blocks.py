"""Axes that an operand stores in blocks: which of its formats loops can walk, and that walk.

    y[m] = A[m,k]*x[k]                    A: m/2:U k/4:C m%2:U k%4:U

    for m_block in [0, ceil(M/2)):
      for k_block, pA in A.k_block[m_block]:
        for m in [2*m_block, min(M, 2*m_block + 2)):
          for k in [4*k_block, min(K, 4*k_block + 4)):
            y[m] += A[pA, m - 2*m_block, k - 4*k_block] * x[k]

A block confines the loops over its rank; what a block stores past the extent is never visited.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from zeroskip.einsum_spec.tree import Access
from zeroskip.einsum_spec.walk import single
from zeroskip.formats.format import Format
from zeroskip.formats.ranks import Part
from zeroskip.native.cursor import Block, Cursor, State
from zeroskip.native.domains import Range, Stored
from zeroskip.native.integers import ZERO, Cond, Const, Expr, Name, add, floordiv, mod, sub
from zeroskip.native.nest import Bind, Guard, Loop, Stmt
from zeroskip.native.scheme import Scheme

if TYPE_CHECKING:
    from zeroskip.native.descend import Descent


def walkable(format: Format, accesses: Iterable[Access], padded: bool) -> bool:
    """Whether loops can follow a split format as it lies: each part a rank of its own, blocks
    above what is in them, each axis read by a plain rank of its own."""
    seen = set()
    for rank in format.ranks:
        for axis in rank.axes:
            if not isinstance(axis, Part):
                continue
            if len(rank.axes) > 1 or (axis.inner and axis.axis not in seen):
                return False
            seen.add(axis.axis)
    names = [[single(subscript) for subscript in access.subscripts] for access in accesses]
    plain = all(None not in ranks and len(set(ranks)) == len(ranks) for ranks in names)
    return plain and not padded


def part_coordinate(scheme: Scheme, state: State, cursor: Cursor) -> Expr:
    """Where bound ranks come to in an operand's next level, which stores a part of an axis."""
    part, block = cursor.level.part, state.block(cursor)
    assert part is not None
    if not part.inner and block is not None:
        return block.at
    index, size = scheme.index(cursor.access, cursor.level.axes[0]), Const(part.size)
    if not part.inner:
        return floordiv(index, size)
    return mod(index, size) if block is None else sub(index, block.first)


def in_block(descent: Descent, state: State, i: int, rank: str) -> tuple[Stmt, ...]:
    """Open the loop over the blocks of a rank, or over what one block stores of it."""
    scheme, cursor = descent.scheme, state.cursors[i]
    level = cursor.level
    assert level.part is not None
    node = scheme.level(cursor.access, cursor.depth)
    at = scheme.names.fresh(f"{scheme.rank(rank)}_{'in' if level.part.inner else 'block'}")
    below = replace(state, whole=False)
    over: Range | Stored = Range(ZERO, node.extent)
    if not level.kind.full:
        pos = scheme.names.fresh(f"p{cursor.tag}_{node.label}")
        over = Stored(node, cursor.position, pos)
        below = below.with_cursor(i, cursor.deeper(Name(pos)))
    if not level.part.inner:
        block = Block(level.part.size, Name(at))
        below = replace(below, blocks={**state.blocks, rank: block})
        return (Loop(at, over, descent.go(below)),)
    held = state.block(cursor)
    assert held is not None
    name = scheme.rank(rank)
    inside = Cond("<", Name(name), scheme.extent(rank))
    body = Guard((inside,), descent.go(replace(below, bound=state.bound | {rank})))
    return (Loop(at, over, (Bind(name, add(held.first, Name(at)), (body,)),)),)

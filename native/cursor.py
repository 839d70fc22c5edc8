"""How far a descent has come: how deep each operand was followed, which ranks are bound."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field, replace

from zeroskip.einsum_spec.tree import Access, Affine, Compare
from zeroskip.einsum_spec.walk import single, variables
from zeroskip.native.domains import Between, Stored
from zeroskip.native.integers import ZERO, Const, Expr, add, least, mul
from zeroskip.native.nest import Stmt
from zeroskip.native.operand import LevelSignature, Signature
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Cursor:
    """How deep one operand has been followed: ``depth`` levels, down to ``position``.

    checked holds the axes whose padding has been kept out by loop bounds or a guard.
    optional : a loop may not leave out what it does not store; it is looked up instead.
    absent : whether the position may be -1, where nothing is stored.
    missing : an optional operand that must store nothing; another pass follows it.
    """

    access: Access
    signature: Signature
    tag: str
    depth: int = 0
    position: Expr = ZERO
    checked: frozenset[int] = frozenset()
    optional: bool = False
    absent: bool = False
    missing: bool = False

    @property
    def cuts(self) -> bool:
        """Whether points in its padding are left out."""
        return not self.optional or self.signature.skips_padding

    @property
    def done(self) -> bool:
        return self.depth == len(self.signature.levels)

    @property
    def level(self) -> LevelSignature:
        return self.signature.levels[self.depth]

    def deeper(self, position: Expr) -> Cursor:
        """One level further down."""
        return replace(self, depth=self.depth + 1, position=position)


@dataclass(frozen=True, slots=True)
class Block:
    """Block ``at`` of ``size`` coordinates, to which the loops over a rank are confined."""

    size: int
    at: Expr

    @property
    def first(self) -> Expr:
        return mul(Const(self.size), self.at)


@dataclass(frozen=True, slots=True)
class Piece:
    """Block ``at`` of ``size`` coordinates of a rank, to which a walk of fibers is confined.

    array, fibers : where the blocks of the fibers begin, and how many fibers there are, as `Cut`
        has them; of a level that finds coordinates by itself there is no array.
    """

    rank: str
    at: Expr
    size: Expr
    array: str
    fibers: Expr

    def of(self, over: Stored) -> Stored:
        """What a fiber stores in the block."""
        first = mul(self.at, self.size)
        window = first, least(add(first, self.size), over.level.extent)
        if not self.array:
            return replace(over, window=window)
        at = add(mul(self.at, self.fibers), over.parent)
        return replace(over, window=window, between=Between(self.array, at, add(at, self.fibers)))


@dataclass(frozen=True, slots=True)
class State:
    """What is known at one depth of the nest.

    blocks : of a rank that an operand stores in blocks, the one that is walked.
    piece : of the rank whose fibers are cut, the block that is walked.
    whole : so far only whole ranges have been looped over, so that every point of the bound
        ranks is visited exactly once.
    """

    bound: frozenset[str]
    cursors: tuple[Cursor, ...]
    brackets: tuple[Compare, ...] = ()
    whole: bool = True
    fetched: frozenset[Access] = frozenset()
    verified: frozenset[tuple[Access, int]] = frozenset()
    blocks: Mapping[str, Block] = field(default_factory=dict)
    piece: Piece | None = None

    def unbound(self, subscript: Affine) -> list[str]:
        """The ranks of a subscript that are still to be bound."""
        return [v for v in dict.fromkeys(variables(subscript)) if v not in self.bound]

    def lacking(self, cursor: Cursor) -> dict[int, list[str]]:
        """The ranks that each axis of an operand's next level still wants bound."""
        level, subscripts = cursor.level, cursor.access.subscripts
        if level.part is not None and not level.part.inner and self.block(cursor) is not None:
            return {axis: [] for axis in level.axes}
        return {axis: self.unbound(subscripts[axis]) for axis in level.axes}

    def block(self, cursor: Cursor) -> Block | None:
        """The block of the rank whose part the operand stores next, where it is known."""
        level = cursor.level
        assert level.part is not None
        found = self.blocks.get(single(cursor.access.subscripts[level.axes[0]]) or "")
        return found if found is not None and found.size == level.part.size else None

    def cut(self, over: Stored, rank: str | None) -> Stored:
        """What is walked of a fiber whose coordinates are those of a rank."""
        return over if self.piece is None or self.piece.rank != rank else self.piece.of(over)

    def with_cursor(self, i: int, cursor: Cursor) -> State:
        return replace(self, cursors=(*self.cursors[:i], cursor, *self.cursors[i + 1 :]))


Place = Access | tuple[Access, int]
"""A read of an index tensor, or a check of an access on one of its axes."""

Leaf = Callable[[State], tuple[Stmt, ...]]
Hook = Callable[[State], Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]] | None]

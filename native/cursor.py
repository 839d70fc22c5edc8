"""How far a descent has come: how deep each operand was followed, which ranks are bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from zeroskip.einsum_spec.tree import Access, Affine, Compare
from zeroskip.einsum_spec.walk import variables
from zeroskip.native.nest import ZERO, Expr, Stmt
from zeroskip.native.operand import LevelSignature, Signature


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


@dataclass(frozen=True, slots=True)
class State:
    """What is known at one depth of the nest.

    whole : so far only whole ranges have been looped over, so that every point of the bound
        ranks is visited exactly once.
    """

    bound: frozenset[str]
    cursors: tuple[Cursor, ...]
    brackets: tuple[Compare, ...] = ()
    whole: bool = True
    fetched: frozenset[Access] = frozenset()
    verified: frozenset[tuple[Access, int]] = frozenset()

    def unbound(self, subscript: Affine) -> list[str]:
        """The ranks of a subscript that are still to be bound."""
        return [v for v in dict.fromkeys(variables(subscript)) if v not in self.bound]

    def with_cursor(self, i: int, cursor: Cursor) -> State:
        return replace(self, cursors=(*self.cursors[:i], cursor, *self.cursors[i + 1 :]))


Place = Access | tuple[Access, int]
"""A read of an index tensor, or a check of an access on one of its axes."""

Leaf = Callable[[State], tuple[Stmt, ...]]
Hook = Callable[[State], Callable[[tuple[Stmt, ...]], tuple[Stmt, ...]] | None]

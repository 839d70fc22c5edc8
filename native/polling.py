"""Where a kernel looks whether it is to stop: in outer loops, seldom enough to cost nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zeroskip.native.nest import Gathered, Loop, Poll, Stmt
from zeroskip.native.nest_tiles import Columns, Slide, Tiles, Unrolled

OUTER = 2
"""Loops, from outside in, that look once for each walk of a loop inside them; deeper ones only
where two loops lie inside, and innermost loops never, which would no longer become vectors."""

LOOPS = Loop | Gathered | Slide | Tiles | Unrolled | Columns
"""Statements that go on for long."""


def with_polls(body: tuple[Stmt, ...], depth: int = 0) -> tuple[Stmt, ...]:
    """The statements with a `Poll` at the head of loops that hold others.

    Vector loops are left as they are.  Tiles are functions, called from a loop that the emitter
    writes and that looks for itself.
    """
    return tuple(_with_polls(stmt, depth) for stmt in body)


def _with_polls(stmt: Any, depth: int) -> Any:
    if isinstance(stmt, Tiles):
        return replace(stmt, body=with_polls(stmt.body, depth + OUTER))
    if isinstance(stmt, Loop):
        if stmt.kind != "seq":
            return stmt
        inside = _height(stmt.body)
        body = with_polls(stmt.body, depth + 1)
        looks = inside >= (1 if depth < OUTER else 2)
        return replace(stmt, body=(Poll(), *body) if looks else body)
    inner = getattr(stmt, "body", ())
    return replace(stmt, body=with_polls(inner, depth)) if inner else stmt


def _height(body: tuple[Stmt, ...]) -> int:
    """Loops in each other below a statement; the rows of a sparse result end in one."""
    tallest = 0
    for stmt in body:
        inner: tuple[Stmt, ...] = getattr(stmt, "body", ())
        loops = isinstance(stmt, LOOPS)
        tallest = max(tallest, _height(inner) + (loops and not _is_vectors(stmt)))
    return tallest


def _is_vectors(stmt: Stmt) -> bool:
    """Whether it is a loop over a few vectors; one whose lanes share a sum may be long."""
    return isinstance(stmt, Loop) and stmt.kind == "vec"

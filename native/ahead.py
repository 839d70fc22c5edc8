"""Fibers that data names, fetched before loops come to them.

    for k, pA_k in A.k[i]:
      for j, pB_j in B.j[k]:        the fibers of B come in the order of the coordinates of A

No processor guesses where the next fiber lies; the coordinates, which lie in a line, tell it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zeroskip.native.domains import Stored
from zeroskip.native.integers import Name
from zeroskip.native.nest import Loop, Stmt
from zeroskip.native.parallel import nodes
from zeroskip.native.scheme import Scheme
from zeroskip.native.values import Elem


def fetched_ahead(body: tuple[Stmt, ...], scheme: Scheme) -> tuple[Stmt, ...]:
    """The statements with loops that fetch the fibers which one inside them walks."""
    return tuple(_fetching(stmt, scheme) for stmt in body)


def _fetching(stmt: Any, scheme: Scheme) -> Any:
    inner = getattr(stmt, "body", ())
    if not inner:
        return stmt
    if isinstance(stmt, Loop) and isinstance(stmt.over, Stored):
        ahead = _ahead(stmt, stmt.over)
        if ahead:
            tensor = stmt.over.level.tensor
            count = scheme.dim(("stored", tensor), scheme.names.get("tensor", f"{tensor}_stored"))
            return replace(stmt, over=replace(stmt.over, stored=count, ahead=ahead))
    return replace(stmt, body=fetched_ahead(inner, scheme))


def _ahead(loop: Loop, over: Stored) -> tuple[str, ...]:
    """The arrays of the fibers that all of a loop's body walks, by coordinates; none where that
    is not all, or where the loop's positions are not those of its operand's values."""
    match loop.body:
        case (Loop(over=Stored(parent=parent, window=None) as walked),) if (
            parent == Name(loop.var) and over.level.letter == walked.level.letter == "C"
        ):
            pass
        case _:
            return ()
    at = {element.index: element.array for element in nodes(loop.body) if isinstance(element, Elem)}
    if over.window is not None or not at.keys() >= {Name(over.pos), Name(walked.pos)}:
        return ()
    return (*walked.level.arrays, at[Name(walked.pos)])

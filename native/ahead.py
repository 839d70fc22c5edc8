"""Entries that are read before loops come to them.

    for k, pA_k in A.k[i]:
      for j, pB_j in B.j[k]:        the fibers of B come in the order of the coordinates of A

No processor guesses where the next fiber lies; the coordinates, which lie in a line, tell it.
Where products are listed, entries are read some at a time, past the end of the fiber as well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zeroskip.native.domains import Stored
from zeroskip.native.integers import Expr, Name
from zeroskip.native.nest import Loop, Stmt, Touch
from zeroskip.native.parallel import nodes
from zeroskip.native.scheme import Scheme
from zeroskip.native.values import Elem, Number, Parameter, Prod, Sum, Value


def fetched_ahead(body: tuple[Stmt, ...], scheme: Scheme) -> tuple[Stmt, ...]:
    """The statements with loops that fetch the fibers which one inside them walks."""
    return tuple(_fetching(stmt, scheme) for stmt in body)


def read_past(body: tuple[Stmt, ...], scheme: Scheme) -> tuple[Stmt, ...]:
    """The statements with innermost loops that know how many entries all fibers have, where to
    compute one more product than there are does no harm."""
    return tuple(_reading(stmt, scheme) for stmt in body)


def _reading(stmt: Any, scheme: Scheme) -> Any:
    match stmt:
        case Loop(over=Stored(window=None, stored=None) as over, body=(Touch(value=value),)):
            if over.level.letter == "C" and _is_read(value, Name(over.pos)):
                return replace(stmt, over=replace(over, stored=_count(over, scheme)))
    inner = getattr(stmt, "body", ())
    return replace(stmt, body=read_past(inner, scheme)) if inner else stmt


def _is_read(value: Value, at: Name) -> bool:
    """Whether a value is a product or a sum of which one part is what the entry holds."""
    parts = value.args if isinstance(value, Prod | Sum) else (value,)
    if any(isinstance(part, Prod | Sum) and not _is_whole(part) for part in parts):
        return False
    plain = all(isinstance(part, Elem | Number | Parameter | Prod | Sum) for part in parts)
    return plain and any(isinstance(part, Elem) and part.index == at for part in parts)


def _is_whole(value: Value) -> bool:
    """Whether nothing but elements and numbers is multiplied and added up in it."""
    if isinstance(value, Prod | Sum):
        return all(map(_is_whole, value.args))
    return isinstance(value, Elem | Number | Parameter)


def _count(over: Stored, scheme: Scheme) -> Expr:
    tensor = over.level.tensor
    return scheme.dim(("stored", tensor), scheme.names.get("tensor", f"{tensor}_stored"))


def _fetching(stmt: Any, scheme: Scheme) -> Any:
    inner = getattr(stmt, "body", ())
    if not inner:
        return stmt
    if isinstance(stmt, Loop) and isinstance(stmt.over, Stored):
        ahead = _ahead(stmt, stmt.over)
        if ahead:
            return replace(
                stmt, over=replace(stmt.over, stored=_count(stmt.over, scheme), ahead=ahead)
            )
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

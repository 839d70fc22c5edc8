"""Which loops of a kernel threads may share, and where they wait for each other.

A parallel call runs the whole kernel once for each thread (a *part*), on the same buffers.  Loops,
fills and copies that are ``par`` are cut into as many runs as there are parts; part 0 runs what
lies between them; and all parts meet between one and the next.  No reduction is cut: a place of
the result is written by one part, in the order in which one thread writes it, so that results are
equal to the bit for any number of parts.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass, replace
from itertools import groupby
from typing import Any

from zeroskip.einsum_spec.walk import single
from zeroskip.native.domains import Range, Stored
from zeroskip.native.integers import Expr, Name
from zeroskip.native.nest import (
    Acc,
    Alone,
    Barrier,
    Fetch,
    Fill,
    Gathered,
    Loop,
    Once,
    Reduce,
    Stmt,
    Touch,
    has_loop,
)
from zeroskip.native.nest_tiles import Stage, Tiles
from zeroskip.native.scheme import Scheme
from zeroskip.native.values import Elem, Held, Number

# ---- which loops ------------------------------------------------------------------------


def own_ranks(scheme: Scheme) -> frozenset[str]:
    """Loop variables that are an axis of the result by themselves: two of their values never
    come to one place."""
    ranks = map(single, scheme.form.target.subscripts)
    return frozenset(scheme.rank(rank) for rank in ranks if rank is not None)


def shared(
    body: tuple[Stmt, ...], places: Collection[Expr], ranks: Collection[str]
) -> tuple[Stmt, ...]:
    """The statements of a kernel with ``par`` where threads may share them; all or none, so that
    no thread waits for long while another works alone.

    places : address of the result at the loops' variables, and of sums on their way to it.
    ranks : variables no two values of which come to one of these places.
    """
    marked = [_shared(stmt, places, ranks) for stmt in body]
    if any(stmt is None for stmt in marked) or not any(isinstance(s, Loop | Tiles) for s in marked):
        return body
    return tuple(stmt for stmt in marked if stmt is not None)


def _shared(stmt: Stmt, places: Collection[Expr], ranks: Collection[str]) -> Stmt | None:
    """The statement as one that is shared; None where it cannot be."""
    if isinstance(stmt, Fill) and isinstance(stmt.value, Number):
        return replace(stmt, par=True)
    if isinstance(stmt, Stage):
        return replace(stmt, par=True)
    if isinstance(stmt, Tiles):  # every part goes through all of them, and shares what is inside
        marked = [_shared(one, places, ranks) for one in stmt.body]
        body = tuple(one for one in marked if one is not None)
        return replace(stmt, body=body, par=True) if len(body) == len(marked) else None
    if not isinstance(stmt, Loop) or not _independent(stmt, places, ranks):
        return None
    match stmt.body:
        case (Loop(body=inside) as inner,) if has_loop(inside, lambda loop: True):
            if _independent(inner, places, ranks):
                return replace(stmt, body=(replace(inner, par=True),), par=True)
    return replace(stmt, par=True, by=_positions(stmt))


def _positions(loop: Loop) -> str:
    """The array of positions of the entries that an iteration walks; empty where there is none."""
    for node in nodes(loop.body):
        if isinstance(node, Stored) and node.level.letter == "C" and node.parent == Name(loop.var):
            return node.level.arrays[0]
    return ""


def _independent(loop: Loop, places: Collection[Expr], ranks: Collection[str]) -> bool:
    """Whether no iteration touches what another writes."""
    if loop.kind != "seq" or not isinstance(loop.over, Range):
        return False
    own = [Name(loop.var), *(places if loop.var in ranks else ())]
    below = list(nodes(loop.body))
    if any(isinstance(node, Gathered | Touch | Stage | Fill) for node in below):
        return False
    stored = {node.place for node in below if isinstance(node, Reduce | Once)}
    held = {node.name for node in below if isinstance(node, Acc)}
    if any(isinstance(at, Held) and at.name not in held for at in stored):
        return False
    written = {at.array for at in stored if isinstance(at, Elem)}
    touched = {(node.array, node.index) for node in below if isinstance(node, Elem | Fetch)}
    return all(index in own for array, index in touched if array in written)


def nodes(node: object) -> Iterator[Any]:
    """Every node of a nest below this one."""
    if isinstance(node, tuple):
        for item in node:
            yield from nodes(item)
    elif is_dataclass(node):
        yield node
        for field in fields(node):
            yield from nodes(getattr(node, field.name))


# ---- where threads meet -----------------------------------------------------------------


def is_par(stmt: object) -> bool:
    """Whether the parts of a call share it."""
    return bool(getattr(stmt, "par", False))


def with_barriers(body: tuple[Stmt, ...]) -> tuple[Stmt, ...]:
    """The statements as every part runs them: what is not shared in part 0 alone, with a barrier
    between one phase and the next.  As they are where nothing is shared."""
    if not any(map(shares, body)):
        return body
    phases: list[Stmt] = []
    for alone, group in groupby(body, lambda stmt: not shares(stmt)):
        some = tuple(group)
        phases += [Alone(some)] if alone else [_phase(stmt) for stmt in some]
    between: list[Stmt] = [phases[0]]
    for phase in phases[1:]:
        between += [Barrier(), phase]
    return tuple(between)


def _phase(stmt: Stmt) -> Stmt:
    """A shared statement, or a range that every part goes through, meeting after each round."""
    if is_par(stmt):
        return stmt
    assert isinstance(stmt, Loop), f"a shared loop inside a {type(stmt).__name__}"
    return replace(stmt, body=(*with_barriers(stmt.body), Barrier()))


def shares(stmt: object) -> bool:
    """Whether the parts of a call share it, or something inside."""
    return is_par(stmt) or any(map(shares, getattr(stmt, "body", ())))

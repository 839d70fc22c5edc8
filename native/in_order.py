"""Rows whose places come in order, each once, so that they need no workspace.

for j, pM_j in M.j[i]:           one term, that walks the places of a row and sums up inside
  acc = 0
  for k in [0, K):
    acc += A[i,k] * B[j,k] * M[pM_j]
  append S[i; j] = acc
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from zeroskip.native.domains import Merge, Range, Stored, Together
from zeroskip.native.nest import Acc, Bind, Gathered, Guard, Locate, Loop, Row, Stmt, Touch


def in_order(row: Row, body: tuple[Stmt, ...], ranks: Sequence[str]) -> Gathered | None:
    """The row appended as its places are reached; None where they come twice, or in any order.

    ranks : loop variables that number its places, row-major.
    """
    found = _appending(body, ranks)
    return None if found is None else Gathered(row, found, ordered=True)


def _appending(body: tuple[Stmt, ...], ranks: Sequence[str]) -> tuple[Stmt, ...] | None:
    """The statements with a `Touch` that appends, inside one loop for each rank that is left."""
    inner: tuple[Stmt, ...] | None
    match body:
        case (Touch() as touch,) if not ranks:
            return (replace(touch, ordered=True),)
        case (Loop(kind="seq") as loop,) if loop.var in ranks[:1] and _rises(loop.over):
            inner = _appending(loop.body, ranks[1:])
            return None if inner is None else (replace(loop, body=inner),)
        case (Guard() | Bind() | Locate() as stmt,):
            inner = _appending(stmt.body, ranks)
            return None if inner is None else (replace(stmt, body=inner),)
        case (Acc() as acc,) if not ranks:
            inner = _appending(acc.flush, ())
            return None if inner is None else (replace(acc, flush=inner),)
    return None


def _rises(over: Range | Stored | Merge | Together) -> bool:
    """Whether a loop comes to coordinates in order, and to each once."""
    if isinstance(over, Stored):
        return over.level.letter in ("C", "B")
    return isinstance(over, Range | Merge)

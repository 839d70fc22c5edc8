"""The dots schedule: the plain walk, with vectors that share the entries of a fiber.

    y[m] = sum[k](W[m,k]*x[k])     W sparse, x dense

The lanes of a vector add up products of entries that follow each other.  Of coordinates (CSR) they
take the values of x one by one; of a bitmask they take them as they lie, and values are spread to
the places whose bits are set.  It fits every sum of products whose innermost loop follows one
operand alone (`dotted`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.tree import Access
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Operand
from zeroskip.native.domains import Stored
from zeroskip.native.dotted import COMPUTED, EXTREMES, dotted
from zeroskip.native.forms import is_joint
from zeroskip.native.joint import Joint
from zeroskip.native.nest import Loop, Stmt
from zeroskip.native.operand import Signature
from zeroskip.native.parallel import nodes
from zeroskip.native.scheme import Scheme
from zeroskip.native.sums import Sums
from zeroskip.native.vectors import gathers
from zeroskip.records import dataclass

FEWEST_ENTRIES = 2
"""Entries of a fiber, in vectors, from which their lanes are worth adding up."""

FEWEST_GATHERED = 9
"""Entries of a fiber from which they are, where processors pick the values of a vector at once, the
last ones too: a loop over so few costs more by the turn that it is not known to end at."""

BASELINE = 16
"""Bytes of vectors for which no processor spreads values: bit after bit is faster."""

FEWEST_COLUMNS, SPREAD = 128, 0.05
"""Extent and density of a bitmask from which spreading its values pays."""


@dataclass(frozen=True, slots=True)
class DotPlan:
    """tensors : the operands whose entries the lanes of vectors share; ranks : those of dense
    operands alone along which they go: summed ones, or that of the places of a line of sums."""

    tensors: tuple[str, ...]
    ranks: tuple[str, ...] = ()


def plan(form: Form, signatures: Mapping[str, Signature], dtype: str) -> DotPlan | None:
    """The dots schedule of a form; None where no innermost loop is a sum of products over the
    entries of one operand, or along the last axes of dense ones."""
    if dtype not in COMPUTED:
        return None
    scheme = Scheme(form, signatures, dtype)
    sums = Joint(scheme) if is_joint(form) else Sums(scheme)
    body, tensors = in_vectors(sums.body(), scheme)
    ranges = {n.var for n in nodes(body) if isinstance(n, Loop) and n.kind == "dot"}
    inner = {rank for term in form.terms for rank in (*term.ranks, *form.reduced)}
    ranks = {rank for rank in inner if scheme.rank(rank) in ranges}
    if isinstance(sums, Joint):
        last = sums.innermost()
        same = form.reduction in EXTREMES and _are(tuple(form.reads), signatures, dtype)
        ranks |= {last} if last is not None and same else set()
    elif dtype.startswith("float"):
        alike = (t for t in sums.parts()[0] if _are(t.accesses, signatures, dtype))
        ranks |= {rank for rank in map(sums.innermost, alike) if rank is not None}
    return DotPlan(tensors, tuple(sorted(ranks))) if tensors or ranks else None


def _are(accesses: Collection[Access], signatures: Mapping[str, Signature], dtype: str) -> bool:
    """Whether operands are of a type, so that vectors hold them as they lie."""
    return all(signatures[access.tensor].dtype == dtype for access in accesses)


def in_vectors(body: tuple[Stmt, ...], scheme: Scheme) -> tuple[tuple[Stmt, ...], tuple[str, ...]]:
    """The statements with loops that the lanes of vectors share, and the operands whose entries
    some of them follow."""
    found: dict[str, None] = {}

    def turned(stmt: Any) -> Any:
        if isinstance(stmt, Loop) and dotted(stmt) is not None:
            if not isinstance(stmt.over, Stored):
                return replace(stmt, kind="dot")
            tensor = stmt.over.level.tensor
            found.setdefault(tensor)
            count = scheme.dim(("stored", tensor), scheme.names.get("tensor", f"{tensor}_stored"))
            return replace(stmt, over=replace(stmt.over, stored=count), kind="dot")
        inner = getattr(stmt, "body", ())
        return replace(stmt, body=tuple(map(turned, inner))) if inner else stmt

    return tuple(map(turned, body)), tuple(found)


def worth(
    plan: DotPlan,
    operands: Mapping[str, Operand],
    extents: Mapping[str, int],
    vector_bytes: int,
    dtype: np.dtype[Any],
) -> bool:
    """Whether fibers are long enough, on average, for vectors of so many bytes; without any,
    whether ranges of dense operands are.

    extents : of the ranks.
    """
    if not plan.tensors:
        fewest = FEWEST_ENTRIES * (vector_bytes // dtype.itemsize)
        return all(extents[rank] >= fewest for rank in plan.ranks)
    return all(_worth(operands[name], vector_bytes, dtype) for name in plan.tensors)


def _worth(operand: Operand, vector_bytes: int, dtype: np.dtype[Any]) -> bool:
    assert isinstance(operand, Tensor), "an array has no entries"
    level = operand.levels[-1]
    each = level.entries / max(level.fibers, 1)
    if level.spec.letter == "B":
        wide = vector_bytes > BASELINE
        return wide and level.extent >= FEWEST_COLUMNS and each >= SPREAD * level.extent
    if vector_bytes == 64 and dtype.kind == "f" and gathers():
        return each >= FEWEST_GATHERED
    return each >= FEWEST_ENTRIES * (vector_bytes // dtype.itemsize)

"""Results that store what one operand stores: each entry is computed where that one has its own.

    for i in [0, I):
      for j, pM_j in M.j[i]:           S[i,j] = A[i,k]*B[k,j]*M[i,j]: a sum for every entry of M,
        acc = 0                          written at its position; the coordinates are M's arrays
        for k in [0, K):
          acc += A[i,k] * B[k,j]
        S[pM_j] = acc * M[pM_j]

Nothing is counted, nothing is put in order, and threads may share the rows.  Where all that M holds
is finite, its value is multiplied with the sum and not with each product; an infinite one is not,
for products of both signs make NaN of it.  Where a value of the result is then not finite, the sum
alone may have grown too large, and each product is multiplied after all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.walk import by_data, single
from zeroskip.formats.format import Format
from zeroskip.formats.level_data import freeze
from zeroskip.formats.tensor import Tensor
from zeroskip.native.ahead import fetched_ahead
from zeroskip.native.arguments import Array, Operand, values
from zeroskip.native.assemble import Summed, drops_zeros, in_rows, over_rows
from zeroskip.native.cursor import State
from zeroskip.native.domains import Range
from zeroskip.native.dots import in_vectors
from zeroskip.native.forms import is_joint
from zeroskip.native.integers import Expr
from zeroskip.native.lines import Line
from zeroskip.native.lower import Lowered, finish
from zeroskip.native.nest import Acc, Loop, Reduce, Stmt, has_loop
from zeroskip.native.operand import Signature
from zeroskip.native.parallel import shared
from zeroskip.native.rows import Assembly
from zeroskip.native.scheme import Scheme
from zeroskip.native.values import Elem, Held, Prod, Value
from zeroskip.native.vectors import vector_bytes


def alike(line: Line, chosen: Assembly, format: Format | None) -> str:
    """The operand whose coordinates are those of the result in this format; "" where there is none.

    That is so where the one sparse operand of a product has the ranks of the result in their
    order, is stored in that format, by rows as the loops go, and no value is dropped.
    """
    form = line.form
    if format is None or is_joint(form) or len(form.terms) != 1 or form.terms[0].factors:
        return ""
    if chosen.order or chosen.reordered or len(chosen.inner) != 1 or drops_zeros(form):
        return ""
    reads = form.terms[0].accesses
    followed = [access for access in reads if not line.signatures[access.tensor].dense]
    if len(followed) != 1 or any(map(by_data, reads)):
        return ""
    for access in reads:
        names = [single(part) for part in access.subscripts]
        if None in names or len(set(names)) < len(names):
            return ""
        if any(line.signatures[access.tensor].padded):
            return ""
    (one,) = followed
    held = line.used[one.tensor]
    names = [single(part) for part in one.subscripts]
    if names != list(chosen.target) or not isinstance(held, Tensor):
        return ""
    there = held.format == format and not line.signatures[one.tensor].fill
    return one.tensor if there and in_rows(format, chosen) else ""


class _Alike(Summed):
    """Products that go where an operand stores its entries."""

    def __init__(self, scheme: Scheme, chosen: Assembly, like: str, once: bool) -> None:
        super().__init__(scheme, chosen)
        self.like = like
        self.once = once
        self.at: Expr | None = None

    def body(self) -> tuple[Stmt, ...]:
        (term,) = self.form.terms
        made = over_rows(self, self.summed(term), self.bound)
        assert self.at is not None, "no entry was reached"
        ranks = [self.scheme.rank(rank) for rank in self.bound]
        if self.once:
            common = Elem(self.scheme.values(self.like), self.at)
            made = tuple(_hoisted(stmt, common) for stmt in made)
        return shared(made, [self.at], ranks)

    def put(self, value: Value, work: int, state: State) -> tuple[Stmt, ...]:
        (self.at,) = (c.position for c in state.cursors if c.access.tensor == self.like)
        return (Reduce(Elem(self.result, self.at), "=", self.post(value), work),)


def _hoisted(stmt: Any, common: Elem) -> Any:
    """The statement with a factor that all products of a sum have multiplied with the sum."""
    match stmt:
        case Acc(body=(Loop(over=Range(), body=(Reduce() as work,)) as loop,), flush=(Reduce(),)):
            return _split(stmt, loop, work, common)
    inner = getattr(stmt, "body", ())
    return replace(stmt, body=tuple(_hoisted(one, common) for one in inner)) if inner else stmt


def _split(acc: Acc, loop: Loop, work: Reduce, common: Elem) -> Acc:
    """``acc`` over products of the other factors; as it is where that leaves no product."""
    (flush,) = acc.flush
    assert isinstance(flush, Reduce)
    held = Held(acc.name)
    if not isinstance(work.value, Prod) or (flush.value, work.place) != (held, held):
        return acc
    others = tuple(factor for factor in work.value.args if factor != common)
    if len(others) != len(work.value.args) - 1 or len(others) < 2:
        return acc
    inside = replace(work, value=Prod(others), work=len(others) - 1)
    once = replace(flush, value=Prod((held, common)), work=work.work - inside.work)
    return replace(acc, body=(replace(loop, body=(inside,)),), flush=(once,))


def lower_alike(
    form: Form,
    signatures: Mapping[str, Signature],
    dtype: str,
    chosen: Assembly,
    like: str,
    once: bool,
) -> Lowered:
    """Loop nest that writes the values of a result beside those of ``like``, which are multiplied
    once with each sum, or with each product of it."""
    scheme = Scheme(form, signatures, dtype)
    shape = _Alike(scheme, chosen, like, once)
    body, _ = in_vectors(fetched_ahead(shape.body(), scheme), scheme)
    width = vector_bytes() if has_loop(body, lambda loop: loop.kind == "dot") else 0
    return finish(scheme, (*shape.title(), f"entries: those of {like}"), body, width)


def all_finite(operand: Operand) -> bool:
    """Whether everything that an operand stores is finite; False also of what is too large to be
    added up, and of halves that NumPy does not add."""
    held = values(operand)
    if held.dtype.kind in "iub":
        return True
    with np.errstate(all="ignore"):
        return held.dtype.kind == "f" and bool(np.isfinite(np.add.reduce(held)))


def with_values(held: Operand, made: Array, fill: Any) -> Tensor:
    """What stores other values where an operand stores its own: all coordinates are shared."""
    assert isinstance(held, Tensor)
    return Tensor(held.shape, held.format, held.levels, freeze(made), fill)

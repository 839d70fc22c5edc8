"""How much a call has to do, at most: whether somebody may want to interrupt it."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.walk import free
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Operand

LONG = 2**24
"""Points from which a kernel runs so that it can be interrupted; some 0.02 s of products."""


def is_long(form: Form, operands: Mapping[str, Operand], extents: Extents) -> bool:
    """Whether the kernel of a form may be interrupted."""
    most = prod(extents.shapes[form.target.tensor])
    most += len(form.terms) * prod(extents.ranks.values())
    return most >= LONG and points(form, operands, extents) >= LONG


def points(form: Form, operands: Mapping[str, Operand], extents: Extents) -> float:
    """Points that the kernel of a form visits, at most: of each term those of its ranks, by the
    share that its emptiest operand stores; and every place of the result."""
    total: float = prod(extents.shapes[form.target.tensor])
    around = {*free(form.target), *form.reduced}
    for term in form.terms:
        share = 1.0
        for access in term.accesses:
            operand = operands.get(access.tensor)
            if isinstance(operand, Tensor) and not operand.fill:
                share = min(share, operand.stored / max(operand.size, 1))
        total += share * prod(extents.ranks[rank] for rank in {*around, *term.ranks, *term.held})
    return total

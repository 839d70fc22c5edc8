"""How much a call has to do, at most: whether somebody may want to interrupt it, and on how many
threads it is worth running."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.walk import free
from zeroskip.formats.tensor import Tensor
from zeroskip.native.arguments import Operand
from zeroskip.native.nest import has_loop
from zeroskip.native.nest_tiles import Columns, Unrolled
from zeroskip.native.parallel import nodes, shares

LONG = 2**24
"""Points of a walk from which a kernel runs so that it can be interrupted; some 0.02 s.  It then
has a thread of its own, which has to be started, and the caches of another core."""


PART = 2**16
"""Points of a walk that are worth a thread: some 50 µs.  Fewer than two parts run on one."""

VECTORS = 16
"""How many points loops over vectors visit in the time that others take for one."""

PROGRAMS = 40
"""The same of machine code, and of columns of rows, which compute all lanes of a vector by an
instruction."""

SHARED = 2
"""The same of loops whose lanes share the entries of a fiber."""


def pace(body: tuple[object, ...]) -> int:
    """How many points a kernel visits in the time that a walk takes for one."""
    if any(isinstance(node, Unrolled | Columns) for node in nodes(body)):
        return PROGRAMS
    if has_loop(body, lambda loop: loop.kind == "dot"):
        return SHARED
    return VECTORS if has_loop(body, lambda loop: loop.kind == "vec") else 1


def rate(body: tuple[object, ...]) -> int:
    """`pace` of a kernel that threads share; 0 where it has no loop for them."""
    return pace(body) if any(map(shares, body)) else 0


def effort(
    form: Form, operands: Mapping[str, Operand], extents: Extents, pace: int, rate: int
) -> tuple[bool, int]:
    """Whether a call of the kernel of a form may be interrupted, and on how many threads it is
    worth running.

    pace, rate : of the kernel; see there.
    """
    least = rate * PART
    most = prod(extents.shapes[form.target.tensor])
    most += len(form.terms) * prod(extents.ranks.values())
    if most < (min(LONG, 2 * least) if least else LONG):
        return False, 1
    found = points(form, operands, extents)
    return found >= LONG * pace, max(int(found // least), 1) if least else 1


def points(form: Form, operands: Mapping[str, Operand], extents: Extents) -> float:
    """Points that the kernel of a form visits, at most: of each term those of its ranks, by the
    share that its emptiest operand stores; and every place of the result."""
    return prod(extents.shapes[form.target.tensor]) + stored_points(form, operands, extents)


def stored_points(form: Form, operands: Mapping[str, Operand], extents: Extents) -> float:
    """Those of the terms alone: a sparse result is not visited where nothing reaches it."""
    total = 0.0
    around = {*free(form.target), *form.reduced}
    for term in form.terms:
        share = 1.0
        for access in term.accesses:
            operand = operands.get(access.tensor)
            if isinstance(operand, Tensor) and not operand.fill:
                share = min(share, operand.stored / max(operand.size, 1))
        total += share * prod(extents.ranks[rank] for rank in {*around, *term.ranks, *term.held})
    return total

"""Fresh sparse operands that a call makes dense first, as skipping their zeros costs more.

Where two sparse operands meet in windows, a walk over both takes some nanoseconds for each product,
and far more to come to it; one of them alone, packed, takes some hundredths of one for each place
of the other, zeros too.  Of matrices the walk is good; there only one that is bound is packed.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping

import numpy as np

from zeroskip.einsum_spec.extents import Extents
from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.spec import Spec
from zeroskip.einsum_spec.walk import single
from zeroskip.formats.tensor import Tensor
from zeroskip.native.alike import all_finite
from zeroskip.native.arguments import Operand, densify, shapes
from zeroskip.native.lines import line_of
from zeroskip.native.recent import Recent
from zeroskip.native.schedules import schedule_of
from zeroskip.native.tile import TilePlan

WALKED, WALKED_IN_WINDOWS = 2**-8, 2**-14
"""Density up to which both operands are walked.  A walk of two matrices takes some nanoseconds for
each product of entries that meet, in the order of loops that costs least, and a packed operand some
hundredths of one for each place.  In windows the order of loops is what operands store, and coming
to a product takes far more: the row ``conv-both`` of the benchmarks has both beside each other from
a density of .01 on.  Below that they were compared on one machine (Zen 4); no command of the
repository finds it again."""

ROOM = 2**28
"""Bytes that an operand may take when it is dense."""


def spread(
    form: Form, operands: Mapping[str, Operand], extents: Extents, bound: Collection[str] = ()
) -> dict[str, Operand]:
    """The operands, one of them made dense where `made_dense` says so."""
    found = made_dense(form, operands, extents, bound)
    if found is None or not all_finite(operands[found[1]]):
        return dict(operands)
    return {**operands, found[0]: densify(operands[found[0]])}


class Spreads:
    """What `spread` does for a spec of one line some of whose operands are ``held``, remembered by
    kinds of calls, of which ``most`` are kept."""

    def __init__(self, spec: Spec, held: Mapping[str, Operand], most: int) -> None:
        self.spec, self.held = spec, held
        self._found: Recent[Hashable, tuple[str, str] | None] = Recent(most)
        self._finite: dict[str, bool] = {}

    def of(self, key: Hashable, fresh: dict[str, Operand]) -> dict[str, Operand]:
        """The fresh operands, one of them made dense where that is better.

        key : calls of equal keys have operands of which the same is made dense, if any.
        """
        if key not in self._found:
            operands = {**self.held, **fresh}
            extents = self.spec.extents(shapes(operands))
            found = made_dense(self.spec.forms[0], operands, extents, self.held)
            self._found.keep(key, found)
        found = self._found.get(key)
        if found is None or not self._is_finite(found[1], fresh):
            return fresh
        return {**fresh, found[0]: densify(fresh[found[0]])}

    def _is_finite(self, name: str, fresh: Mapping[str, Operand]) -> bool:
        """Whether all that an operand stores is finite; of one that is held, looked at once."""
        if name in fresh:
            return all_finite(fresh[name])
        if name not in self._finite:
            self._finite[name] = all_finite(self.held[name])
        return self._finite[name]


def made_dense(
    form: Form, operands: Mapping[str, Operand], extents: Extents, bound: Collection[str]
) -> tuple[str, str] | None:
    """The operand that is better made dense, by name: a fresh sparse one, if the other one that is
    sparse is then packed; and that other one.  None where there is no such pair.

    It must not be done where what is packed is not finite, as that would meet zeros.
    """
    read = dict.fromkeys(access.tensor for access in form.reads)
    sparse = [name for name in read if isinstance(operands.get(name), Tensor)]
    windows = any(single(part) is None for access in form.reads for part in access.subscripts)
    if len(sparse) != 2 or not (windows or bound):
        return None
    for name, entries in (sparse, sparse[::-1]):
        if name not in bound and _packs(form, operands, extents, bound, name, entries):
            return name, entries
    return None


def _packs(
    form: Form,
    operands: Mapping[str, Operand],
    extents: Extents,
    bound: Collection[str],
    name: str,
    entries: str,
) -> bool:
    """Whether one operand's entries are packed once the other is dense, and that pays."""
    fresh = operands[name]
    assert isinstance(fresh, Tensor)
    if fresh.fill != 0 or fresh.size * fresh.dtype.itemsize > ROOM:
        return False
    dense = np.broadcast_to(np.zeros((), fresh.dtype), fresh.shape)
    line = line_of(form, {**operands, name: dense}, extents)
    plan = schedule_of(line, bound)
    if not isinstance(plan, TilePlan) or plan.entries.tensor != entries:
        return False
    if plan.panels and entries not in bound:
        return False
    return fresh.stored > (WALKED if plan.panels else WALKED_IN_WINDOWS) * fresh.size

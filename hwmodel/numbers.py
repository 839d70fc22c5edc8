"""Numbers of places by which the tiles of an accounting are told, as its expected lines need them.

    busy[numberA[m,k]//64,i] += nzA[m,k]*nzB[k,n]       an index tensor: numberA
    effectual += nzW[indexX[n],d]                       and one of the layer, which is a real one

They are the same at every density of operands that are no leader.  Where the leader is drawn they
are those of entries that lie evenly (`zeroskip.hwmodel.occupancy`): each of its tiles then holds as
many entries as the split says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.spec import Spec
from zeroskip.einsum_spec.tree import Affine
from zeroskip.einsum_spec.walk import by_data, gathers
from zeroskip.hwmodel.evaluate import Operand, structure
from zeroskip.hwmodel.plan import Accounting


@dataclass(frozen=True, slots=True)
class Numbers:
    """Of an accounting, so that equal ones have equal geometries.

    held : name, shape and bytes of each; extents : of the axes that they are subscripts of.
    leaders : name -> tensor whose entries they count; without those that are coordinates.
    """

    held: tuple[tuple[str, tuple[int, ...], bytes], ...] = ()
    extents: tuple[tuple[str, int], ...] = ()
    leaders: tuple[tuple[str, str], ...] = ()

    @property
    def names(self) -> set[str]:
        return {name for name, _, _ in self.held}

    def leader(self, subscript: Affine) -> str | None:
        """The tensor whose entries tell the tiles along an axis; None for another axis."""
        leaders = dict(self.leaders)
        named = (leaders.get(gather.access.tensor) for gather in gathers(subscript))
        return next((name for name in named if name is not None), None)

    def read_by(self, spec: Spec) -> dict[str, NDArray[np.int64]]:
        """Those that a spec reads."""
        return {
            name: np.frombuffer(held, np.int64).reshape(shape)
            for name, shape, held in self.held
            if name in spec.operands
        }

    def shapes(
        self, text: str, extents: Mapping[str, int]
    ) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Of the result of a line, where subscripts do not tell.  extents : of other axes."""
        target = structure(text).written.forms[-1].target
        if not by_data(target):
            return ()
        known = {**dict(self.extents), **extents}
        return ((target.tensor, tuple(known[deparse(s)] for s in target.subscripts)),)


NONE = Numbers()
"""Of an accounting whose tiles coordinates tell."""


def numbers_of(accounting: Accounting, operands: Mapping[str, Operand]) -> Numbers:
    """Of an accounting; none where no split goes by numbers, and no operand names places."""
    if not accounting.given and not accounting.indices:
        return NONE
    given = dict(accounting.given)
    given |= {name: operands[tensor].places for name, tensor in accounting.indices.items()}
    extents: dict[str, int] = {}
    for line in (line for line in accounting.text.splitlines() if not line.startswith("#")):
        for form in structure(line).written.forms:
            shape: Any = accounting.shapes.get(form.target.tensor, ())
            axes = zip(form.target.subscripts, shape, strict=False)
            extents |= {deparse(subscript): n for subscript, n in axes}
    held = [(n, a.shape, np.asarray(a, np.int64).tobytes()) for n, a in given.items()]
    return Numbers(tuple(held), tuple(extents.items()), tuple(accounting.leaders.items()))

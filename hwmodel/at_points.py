"""Masks of what a product stores, read at its points: lines that stand by themselves.

    reached[v0,v1] |= st0[v0,v2]*st1[v2,v1]                  what operands 0 and 1 reach
    reached[v0,v1] |= st1[index0[v0],v2]*inside0[v0,v1]      by name, and within brackets

Ranks and operands have numbers here, so that no names meet, whatever a layer calls them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.einsum_spec.deparse import deparse
from zeroskip.einsum_spec.subscripts import rename
from zeroskip.einsum_spec.tree import Affine, Compare
from zeroskip.hwmodel.brackets import inside_of, ranks_of
from zeroskip.hwmodel.evaluate import Operand, sized
from zeroskip.hwmodel.layer import Layer
from zeroskip.hwmodel.plan import Mask
from zeroskip.native.engine import evaluate


@dataclass(slots=True)
class AtPoints:
    """The one product of a layer, its masks as they are asked for.

    along : a rank that is called k, if any.
    names : of ranks.  sizes : extents of what is named.  given : what the lines read.
    """

    layer: Layer
    operands: Mapping[str, Operand]
    along: str | None = None
    names: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    given: dict[str, Any] = field(default_factory=dict)
    indices: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ranks = enumerate(self.layer.ranks)
        self.names = {rank: "k" if rank == self.along else f"v{i}" for i, rank in ranks}
        self.sizes = {name: self.layer.extent(rank) for rank, name in self.names.items()}

    def subscripts(self, axes: Sequence[Affine]) -> tuple[str, ...]:
        """Places of a point along some axes."""
        return tuple(deparse(rename(s, self.names.__getitem__, str, self._index)) for s in axes)

    def mask(self, number: int, kind: str = "st") -> str:
        """The name of a mask of an operand, by its number."""
        read, name = self.layer.work[0].operands[number], f"{kind}{number}"
        if name not in self.given:
            wanted = Mask(kind, read.tensor, read.lengths, read.pads)
            self.given[name] = self.operands[read.tensor].mask(wanted)
        return name

    def stored(self, number: int) -> str:
        """Whether an operand stores something at a point."""
        read = self.layer.work[0].operands[number]
        return f"{self.mask(number)}{listed(self.subscripts(read.subscripts))}"

    def inside(self, brackets: Sequence[Compare]) -> str:
        """Whether a point is within some brackets."""
        name = f"inside{len([x for x in self.given if x.startswith('inside')])}"
        held = inside_of(brackets, self.layer.extents.ranks)
        return self.given_mask(name, held, ranks_of(brackets))

    def given_mask(self, name: str, held: NDArray[np.bool_], ranks: Sequence[str]) -> str:
        """A mask over some ranks, at a point."""
        self.given[name] = held
        return f"{name}{listed([self.names[rank] for rank in ranks])}"

    def evaluated(
        self, text: str, shapes: Sequence[tuple[str, tuple[int, ...]]] = ()
    ) -> dict[str, Any]:
        """What some lines come to.  shapes : of results whose subscripts do not tell it."""
        spec = sized(text, tuple(self.sizes.items()), tuple(shapes))
        read = {name: x for name, x in self.given.items() if name in spec.operands}
        return dict(evaluate(spec, read))

    def _index(self, tensor: str) -> str:
        if tensor not in self.indices:
            name = f"index{len(self.indices)}"
            self.indices[tensor] = name
            self.given[name] = self.operands[tensor].places
        return self.indices[tensor]


def listed(subscripts: Sequence[str]) -> str:
    """Subscripts in brackets; nothing of a number."""
    return f"[{','.join(subscripts)}]" if subscripts else ""

"""Reductions inside an expression of halves: kept in float32 on their way to the line around.

``exp(S[m,k])/sum[j](exp(S[m,j]))`` is two lines to the compiler, of which the user wrote one.  A
sum of float16 that is rounded between them would be infinite from 65,520 on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import HALVES, cast
from zeroskip.native.arguments import Array, Operand
from zeroskip.native.dtypes import form_types
from zeroskip.records import dataclass


@dataclass(frozen=True, slots=True)
class Widened:
    """A line of halves that is computed from operands in float32.

    name : its result.  stored : the half type that this has, as the user counts types.
    inner : whether it is no line of the user's; it then stays in float32.
    """

    name: str
    stored: np.dtype[Any]
    inner: bool

    @property
    def becomes(self) -> np.dtype[Any]:
        """The type in which the lines below find the result."""
        return np.dtype(np.float32) if self.inner else self.stored

    def operands(self, known: Mapping[str, Operand]) -> dict[str, Operand]:
        """What the line is computed from."""
        return {n: x.astype(np.float32) if _half(x) else x for n, x in known.items()}

    def result(self, computed: Array | Tensor) -> Array | Tensor:
        """What becomes of the result in float32: of the user's own, rounded once."""
        if self.inner:
            return computed
        if isinstance(computed, Tensor):
            return computed.astype(self.stored)
        return cast(computed, self.stored)

    def run(
        self,
        known: Mapping[str, Operand],
        run: Callable[..., Array | Tensor],
        out: Array | None,
    ) -> Array | Tensor:
        """The result of the line.

        run : called with the operands and ``out=``.
        """
        wide = self.operands(known)
        if out is None:
            return self.result(run(wide, out=None))
        if not isinstance(out, np.ndarray) or out.dtype != self.stored:
            raise KernelError(
                f"out= for {self.name}: expected a {self.stored} array, found "
                f"{getattr(out, 'dtype', type(out).__name__)}"
            )
        out[...] = self.result(run(wide, out=out.astype(np.float32)))
        return out


def widened_lines(
    spec: Spec, known: Mapping[str, Operand], constants: Mapping[str, int | float]
) -> tuple[Widened | None, ...]:
    """For each line, how it is widened; None where it runs on its operands as they are."""
    inner = frozenset(form.target.tensor for form in spec.forms) - set(spec.results)
    if not inner or not any(map(_half, known.values())):
        return (None,) * len(spec.forms)
    types = {name: x.dtype for name, x in known.items()}
    found = []
    for form in spec.forms:
        name = form.target.tensor
        types[name] = stored = form_types(form, types, constants)[1]
        meets = name in inner or any(access.tensor in inner for access in form.reads)
        half = stored.name in HALVES
        found.append(Widened(name, stored, name in inner) if half and meets else None)
    return tuple(found)


def _half(operand: Operand) -> bool:
    return operand.dtype.name in HALVES

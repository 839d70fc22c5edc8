"""Reductions inside an expression of halves: kept in float32 on their way to the line around.

``exp(S[m,k])/sum[j](exp(S[m,j]))`` is two lines to the compiler, of which the user wrote one.  A
sum of float16 that is rounded between them would be infinite from 65,520 on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from zeroskip.einsum_spec.form import Form
from zeroskip.einsum_spec.spec import Spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import HALVES, cast
from zeroskip.native.arguments import Array, Operand
from zeroskip.native.dtypes import form_types


@dataclass(slots=True)
class Halves:
    """inner : results that are no line of the user's.
    types : of every operand and result, as the user counts them."""

    inner: frozenset[str]
    types: dict[str, np.dtype[Any]]
    constants: Mapping[str, int | float] = field(default_factory=dict)

    def run(
        self,
        form: Form,
        known: Mapping[str, Operand],
        run: Callable[..., Array | Tensor],
        out: Array | None,
    ) -> Array | Tensor:
        """The result of a line; of the user's own, rounded once.

        run : called with the operands and ``out=``.
        """
        name = form.target.tensor
        read = {access.tensor for access in form.reads}
        _, stored = form_types(form, self.types, self.constants)
        self.types[name] = stored
        if stored.name not in HALVES or (name not in self.inner and not read & self.inner):
            return run(known, out=out)
        wide = {n: x.astype(np.float32) if _half(x) else x for n, x in known.items()}
        if out is None:
            result = run(wide, out=None)
            return result if name in self.inner else _rounded(result, stored)
        if not isinstance(out, np.ndarray) or out.dtype != stored:
            raise KernelError(
                f"out= for {name}: expected a {stored} array, found "
                f"{getattr(out, 'dtype', type(out).__name__)}"
            )
        out[...] = _rounded(run(wide, out=out.astype(np.float32)), stored)
        return out


def halves_of(
    spec: Spec, known: Mapping[str, Operand], constants: Mapping[str, int | float]
) -> Halves | None:
    """None where no reduction stands inside an expression, or nothing is a half."""
    inner = frozenset(form.target.tensor for form in spec.forms) - set(spec.results)
    if not inner or not any(map(_half, known.values())):
        return None
    return Halves(inner, {name: x.dtype for name, x in known.items()}, constants)


def _half(operand: Operand) -> bool:
    return operand.dtype.name in HALVES


def _rounded(result: Array | Tensor, dtype: np.dtype[Any]) -> Array | Tensor:
    return result.astype(dtype) if isinstance(result, Tensor) else cast(result, dtype)

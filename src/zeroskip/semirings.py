"""Semirings: other sums and products than + and *, written as lines of Einsum.

>>> import numpy as np
>>> import zeroskip as zs
>>> ring = zs.semirings.min_plus
>>> ring.matmul
'C[i,j] min= A[i,k] + B[k,j]'
>>> roads = zs.tensor([[ring.zero, 3.0], [ring.zero, ring.zero]], "CSR", fill=ring.zero)
>>> zs.einsum(ring.line("d[j]", "x[i]", "A[i,j]"), x=np.array([1.0, 5.0]), A=roads)
array([inf,  4.])

Nothing here is needed to run such a line; what lets loops follow the stored entries is the fill of
the operands: `Semiring.zero`, the value of no path at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf


@dataclass(frozen=True, slots=True)
class Semiring:
    """How the terms of a line combine.

    Attributes
    ----------
    name : str
    plus : str
        The assignment that reduces: ``min=``.
    times : str
        What stands between the factors: ``+``.
    zero : float or int
        Adds nothing, and absorbs in a product: the fill of sparse operands.
    one : float or int
        Changes nothing in a product: the diagonal of an identity matrix.
    """

    name: str
    plus: str
    times: str
    zero: float
    one: float

    def line(self, target: str, *factors: str) -> str:
        """The line that reduces the product of the factors into the target.

        >>> max_plus.line("d[j]", "x[i]", "A[i,j]")
        'd[j] max= x[i] + A[i,j]'
        """
        return f"{target} {self.plus} {f' {self.times} '.join(factors)}"

    @property
    def matmul(self) -> str:
        """The product of the matrices A and B."""
        return self.line("C[i,j]", "A[i,k]", "B[k,j]")


plus_times = Semiring("plus_times", "=", "*", 0, 1)
"""The ordinary one."""

min_plus = Semiring("min_plus", "min=", "+", inf, 0)
"""Shortest paths; edges may be negative."""

max_plus = Semiring("max_plus", "max=", "+", -inf, 0)
"""Longest and most likely paths, of logarithms of probabilities (Viterbi)."""

max_times = Semiring("max_times", "max=", "*", 0, 1)
"""Most likely paths, of probabilities: of numbers that are not negative."""

or_and = Semiring("or_and", "|=", "*", 0, 1)
"""Whether there is a path."""

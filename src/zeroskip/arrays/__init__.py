"""Tensors beside NumPy: operators and reductions, each a line of Einsum.

`zeroskip.formats.arraylike` calls `apply` and `reduce`.
"""

from zeroskip.arrays.elementwise import apply
from zeroskip.arrays.reductions import reduce

__all__ = ["apply", "reduce"]

"""Tensors beside NumPy: operators and reductions, each a line of Einsum.

`zeroskip.formats.arraylike` calls `apply`, `call` and `reduce`.
"""

from zeroskip.arrays.elementwise import apply
from zeroskip.arrays.functions import call
from zeroskip.arrays.reductions import reduce

__all__ = ["apply", "call", "reduce"]

"""Routines in C that are no kernel of an Einsum: found, compiled and cached as kernels are.

For what no accounting line says: replacement in caches, queues, conflicts.  Another room keeps
the text and hands it over; it has a twin in Python for where there is no compiler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from zeroskip.errors import CompilerError
from zeroskip.native.load import Kernel, load
from zeroskip.native.texts import text_of


def run(
    package: str,
    name: str,
    symbol: str,
    buffers: Sequence[NDArray[Any]],
    dims: Sequence[int] = (),
) -> bool:
    """Call ``int32_t symbol(zs_args *)`` of a C file; False where there is no compiler.

    buffers : C-contiguous, in the order that the routine names; it may write them.
    dims : whole numbers, as it names them.

    Raises KernelError with the reason that the routine gives.
    """
    found = _routine(package, name, symbol)
    if found is None:
        return False
    found.prepare(buffers, dims).call(long=True)
    return True


def _routine(package: str, name: str, symbol: str) -> Kernel | None:
    try:
        return load(text_of(package, name), symbol)
    except CompilerError:
        return None

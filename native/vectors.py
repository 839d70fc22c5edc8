"""How wide the vectors of kernels are, and what is fast on them."""

from __future__ import annotations

from zeroskip.errors import CompilerError
from zeroskip.native import settings, toolchain


def vector_bytes() -> int:
    """Bytes of a vector: those of the setting, else the widest that the compiler knows here."""
    chosen = settings.current().vector_bytes
    if chosen is not None:
        return chosen
    try:
        return toolchain.find().vector_bytes
    except CompilerError:
        return 16  # for the interpreter


def joins() -> bool:
    """Whether processors multiply several integers of 8 or 16 bits and add the products to one of
    32, in one instruction (`joined.py`)."""
    try:
        return "AVX512VNNI" in toolchain.find().features
    except CompilerError:
        return False


def gathers() -> bool:
    """Whether kernels pick the values of a vector at once (`c/zs_dots.h`), by the same sign."""
    try:
        return "AVX512FP16" in toolchain.find().features
    except CompilerError:
        return False

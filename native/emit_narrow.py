"""C of the products under one word of a bitmask, where values are narrower than their sums."""

from __future__ import annotations

from collections.abc import Sequence

from zeroskip.native.cwriter import CWriter
from zeroskip.native.dotted import NARROW, Factor
from zeroskip.native.values import Elem


def narrow(factors: Sequence[Factor], out: CWriter) -> tuple[str, int] | None:
    """How the functions for products of two factors end, and the vectors of a word; None where
    there are none."""
    if len(factors) != 2 or out.kernel.vector_bytes != 64:
        return None
    stored = []
    for reached in ("run", "line"):
        (value,) = (factor.value for factor in factors if factor.reached == reached)
        assert isinstance(value, Elem), "a run or a line of no array"
        stored.append(out.values.dtypes[value.array])
    pieces = NARROW.get((stored[0], stored[1], out.kernel.dtype))
    return None if pieces is None else ("_".join(stored), pieces)


def word(
    kind: str,
    pieces: int,
    sums: str,
    bits: str,
    run: tuple[str, str],
    line: str,
    out: CWriter,
) -> None:
    """The products of a word.

    kind, pieces : from `narrow`.  sums : two vectors a piece.
    run : the values, and the position of the first.
    line : the address of what its first column meets.
    """
    values, p = run
    mask = out.local("mask")
    for piece in range(pieces):
        at = 64 // pieces * piece
        taken = bits if pieces == 1 else f"{mask}{piece + 1}"
        if pieces > 1:
            out.line(f"const uint32_t {taken} = (uint32_t){f'({bits} >> {at})' if at else bits};")
        into = sums if piece == 0 else f"{sums} + {2 * piece}"
        column = f" + {at}" if at else ""
        out.line(f"zs_add_narrow_{kind}({into}, {values} + {p}, {line}{column}, {taken});")
        out.line(f"{p} += zs_popcount({taken});")


def total(kind: str, pieces: int, sums: str) -> str:
    """All that the words of a fiber have added."""
    each = [sums if piece == 0 else f"{sums} + {2 * piece}" for piece in range(pieces)]
    return " + ".join(f"zs_narrow_sum_{kind}({one})" for one in each)

"""C of the products under one word of a bitmask, where values are narrower than their sums."""

from __future__ import annotations

from collections.abc import Sequence

from zeroskip.native.cwriter import CWriter
from zeroskip.native.dotted import NARROW, Factor
from zeroskip.native.values import Elem

HELD = {"bfloat16_bfloat16": "bfloat16"}
"""Products of which one factor is widened once for many fibers, where it is short and finite."""


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


def hold(kind: str, array: str, extent: str, out: CWriter) -> str | None:
    """What many fibers are multiplied with, widened for all of them at the first: C of where that
    is, 0 where it is not; None for types that are multiplied as they are.

    array : what each of the fibers meets from its first column on.  extent : of the fibers.
    """
    if kind not in HELD:
        return None
    store, wide = out.local(f"{array}_held"), out.local(f"{array}_wide")
    out.first[store] = f"zs_held {store};"
    out.first[f"&{store}"] = f"zs_hold_nothing(&{store});"
    out.line(f"const float *const {wide} = zs_hold(&{store}, {array}, {extent});")
    return wide


def word(
    kind: str,
    pieces: int,
    sums: str,
    bits: str,
    run: tuple[str, str],
    line: tuple[str, str],
    wide: str | None,
    out: CWriter,
) -> None:
    """The products of a word.

    kind, pieces : from `narrow`.  sums : two vectors a piece.
    run : the values, and the position of the first.
    line : what columns meet, from the place of the first on, and the first column of the word.
    wide : from `hold`.
    """
    values, p = run
    mask = out.local("mask")
    masks = [bits] if pieces == 1 else [f"{mask}{piece + 1}" for piece in range(pieces)]
    at = [64 // pieces * piece for piece in range(pieces)]
    into = [sums, *(f"{sums} + {2 * piece}" for piece in range(1, pieces))]
    before = [p]
    for piece in range(1, pieces):
        before.append(f"{before[-1]} + zs_popcount({masks[piece - 1]})")
    if pieces > 1:
        for one, start in zip(masks, at, strict=True):
            shifted = f"({bits} >> {start})" if start else bits
            out.line(f"const uint32_t {one} = (uint32_t){shifted};")

    def products(name: str, factors: str) -> None:
        for one, start, sum_, pos in zip(masks, at, into, before, strict=True):
            column = f" + {start}" if start else ""
            out.line(f"{name}({sum_}, {values} + {pos}, {factors} + {line[1]}{column}, {one});")

    if wide is None:
        products(f"zs_add_narrow_{kind}", line[0])
    else:
        with out.block(f"if ({wide} != 0)"):
            products(f"zs_add_held_{HELD[kind]}", wide)
        with out.block("else"):
            products(f"zs_add_narrow_{kind}", line[0])
    out.line(f"{p} += zs_popcount({bits});")


def total(kind: str, pieces: int, sums: str) -> str:
    """All that the words of a fiber have added."""
    each = [sums, *(f"{sums} + {2 * piece}" for piece in range(1, pieces))]
    return " + ".join(f"zs_narrow_sum_{kind}({one})" for one in each)

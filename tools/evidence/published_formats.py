"""Cycles of two formats at eight densities, as Sparseloop publishes them for a product of 128^3."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from claim import Claim, exactly

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.hwmodel import Charge
from zeroskip.native.engine import evaluate

SIDE, WORD_BITS, PORT_WORDS, COORDINATE_BITS = 128, 8, 2, 14
BITMASK = 2_113_536
COORDINATE = {
    Fraction(3, 256): 34_056,
    Fraction(2, 100): 58_124,
    Fraction(4, 100): 116_247,
    Fraction(8, 100): 232_490,
    Fraction(26, 256): 295_152,
    Fraction(51, 256): 578_952,
    Fraction(102, 256): 1_157_904,
    Fraction(205, 256): 3_698_200,
}
"""True density of both operands -> published cycles; .01, .1, .2, .4 and .8 are whole 256ths."""

STEPS = zs.Mapping("n m @PE(A) k", space={}, sync="n")


def claims(folder: Path) -> Iterator[Claim]:
    product = zs.layer("Z[m,n] = A[m,k]*B[k,n]")
    for density, published in COORDINATE.items():
        label = f"density {float(density):.4f}"
        whole = SIDE * 2 % density.denominator == 0
        ones = columns_of(density) if whole else np.ones((SIDE, SIDE), bool)
        gating = charged(product, machine("B", "gate B,O on A", "gate A,O on B"), ones)
        found = int(gating.compute_cycles) + gating.at("GLB", "Z").writes
        yield exactly(f"{label}, bitmask and gating: cycles", found, BITMASK)
        skipping = charged(product, machine(f"C({COORDINATE_BITS})", "skip A,B"), ones)
        if not whole:
            cycles = on_average(skipping, density)
            how = "expected, its accounting on densities for masks"
        else:
            reads = -(-skipping.at("GLB", "A").bits // (WORD_BITS * PORT_WORDS))
            cycles = max(reads, -(-skipping.at("PE", "A").read_bits // WORD_BITS))
            how = "exact, on a mask of this density"
        yield Claim(
            f"{label}, coordinates and skipping: cycles within one of those published",
            f"{cycles:,d}, published {published:,d} ({how})",
            abs(cycles - published) <= 1,
        )


def machine(packed: str, *sparse: str) -> dict[str, Any]:
    held = {"DRAM": packed, "GLB": packed}
    return {
        "name": "format study",
        "array": {"pe": 1},
        "value_bits": WORD_BITS,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "sparse": list(sparse),
        "formats": {"A": held, "B": held},
    }


def charged(product: zs.Layer, design: dict[str, Any], ones: np.ndarray[Any, Any]) -> Charge:
    found = zs.charge(product, design, A=ones, B=second(ones), Z=ones, mapping=STEPS)
    assert isinstance(found, Charge)
    return found


def columns_of(density: Fraction) -> np.ndarray[Any, Any]:
    """A[m,k] of just this density: columns of the two nearest whole numbers, in pairs."""
    least, rest = divmod(SIDE * density.numerator, density.denominator)
    counts = least + (np.arange(SIDE) % 2) * (rest > 0)
    assert counts.sum() * density.denominator == SIDE * SIDE * density.numerator
    return np.arange(SIDE)[:, None] < counts[None]


def second(ones: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """B[k,n] of the same density, whose rows do not follow the columns of A: of four k, each of
    two counts meets each once."""
    order = np.arange(SIDE).reshape(-1, 4)[:, [0, 2, 1, 3]].reshape(-1)
    return ones.T[order]


def on_average(found: Charge, density: Fraction) -> int:
    """The accounting is linear in each mask: on constant masks it gives expectations."""
    spec = make_spec(found.accounting, sizes={"m": SIDE, "n": SIDE, "k": SIDE})
    mask = np.full((SIDE, SIDE), float(density))
    counts = evaluate(spec, {name: mask for name in ("nzA", "nzB") if name in spec.operands})
    entries = up(float(counts["fetchedA"])) + up(SIDE * SIDE * float(density))
    each = WORD_BITS + COORDINATE_BITS
    moved = up(entries * each / (WORD_BITS * PORT_WORDS))
    return max(moved, up(float(np.sum(counts["busy"])) * each / WORD_BITS))


def up(number: float) -> int:
    """Rounded up, less what floating point adds."""
    return int(np.ceil(round(number, 6)))

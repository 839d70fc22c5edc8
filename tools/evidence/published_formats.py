"""Cycles of two formats at eight densities, as Sparseloop publishes them for a product of 128^3."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

from claim import Claim, exactly

import zeroskip as zs
from zeroskip.hwmodel import Charge, expected_cycles

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

READS = zs.Mapping("n k @GLB(A) @Reg(B) m @Reg(A)", space={}, sync="n", keep={"GLB": "A"})
"""A comes 128 times and B once, over one port; each PE reads A where B has an entry."""


def claims(folder: Path) -> Iterator[Claim]:
    for density, published in COORDINATE.items():
        label = f"density {float(density):.4f}"
        gating = charged("B", density, "gate A,Z on B @MAC", "gate B,Z on A @MAC")
        found = round(gating.compute_cycles + gating.at("DRAM", "Z").writes)
        yield exactly(f"{label}, bitmask and gating: cycles", found, BITMASK)
        skipping = charged(f"C({COORDINATE_BITS})", density, "skip A on B @Reg", "skip A,B")
        cycles = round(max(expected_cycles(skipping, rounding="sparseloop").values()))
        yield exactly(f"{label}, coordinates and skipping: cycles", cycles, published)


def charged(packed: str, density: Fraction, *sparse: str) -> Charge:
    held = dict.fromkeys(("DRAM", "GLB", "Reg"), packed)
    port, register = PORT_WORDS * WORD_BITS, WORD_BITS
    design = {
        "name": "format study",
        "array": {"pe": 1},
        "value_bits": WORD_BITS,
        "energy": "eyeriss-relative",
        "levels": {
            "DRAM": {"read_bits_per_cycle": port},
            "GLB": {"read_bits_per_cycle": register},
            "Reg": {},
        },
        "sparse": list(sparse),
        "formats": {"A": held, "B": held},
    }
    drawn = zs.Density((SIDE, SIDE), float(density))
    found = zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, A=drawn, B=drawn, mapping=READS)
    assert isinstance(found, Charge)
    return found

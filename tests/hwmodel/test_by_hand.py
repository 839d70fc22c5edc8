"""Three layers on three presets, every figure worked out on paper.

All presets have 4x4 PEs of one multiplier, 16-bit values, 32-bit accumulators, 64 bits a cycle
to and from DRAM and 256 to and from GLB.  A bit costs 300/16 pJ in DRAM, 9/16 in GLB, 3/16 on
the network, 1.5/16 in a PE (200, 6, 2 and 1 times a multiply-accumulate of 1.5 pJ per 16-bit
word); a multiplication costs 1.1, an addition 0.4.

A pointer into z entries has ceil(log2(z + 1)) bits.  ``[data, metadata]`` are bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Charge, arch, charge

PJ = {"DRAM": 300 / 16, "GLB": 9 / 16, "network": 3 / 16, "PE": 1.5 / 16}
CLASSES = ("effectual", "gated", "skipped", "never_fetched", "ineffectual")

Bits = dict[str, dict[str, list[int]]]


def check(
    c: Charge,
    *,
    ops: tuple[int, int, int, int],
    work: dict[tuple[int, int], int],
    cycles: dict[str, int],
    reads: Bits,
    writes: Bits,
) -> None:
    """Everything of a charge.

    ops : effectual, gated, skipped, ineffectual.  cycles : compute, DRAM, GLB.
    reads, writes : level -> tensor -> [data, metadata]; the network counts as writes.
    """
    effectual, gated, skipped, ineffectual = ops
    assert [c.ops[name] for name in CLASSES] == [effectual, gated, skipped, 0, ineffectual]
    assert c.ops["dense"] == sum(ops)
    expected = np.zeros((4, 4), int)
    for place, points in work.items():
        expected[place] = points
    assert c.work_per_pe.tolist() == expected.tolist()
    assert {"compute": c.compute_cycles, **c.bandwidth_cycles} == cycles
    assert c.cycles == max(cycles.values())
    bits = dict.fromkeys(PJ, 0)
    for level in PJ:
        for tensor in ("I", "F", "O"):
            moved = c.at(level, tensor)
            for found, side in (
                ([moved.read_data_bits, moved.read_metadata_bits], reads),
                ([moved.write_data_bits, moved.write_metadata_bits], writes),
            ):
                wanted = side.get(level, {}).get(tensor, [0, 0])
                assert found == wanted, (level, tensor)
                bits[level] += sum(wanted)
    executed = effectual + ineffectual
    energy = {"multiply": 1.1 * executed, "add": 0.4 * executed}
    energy |= {level: PJ[level] * moved for level, moved in bits.items()}
    assert c.energy == pytest.approx(energy)


# ---- a fully connected layer ------------------------------------------------------------
#
#   O[n,m] = I[n,c]*F[m,c]       N = 1, C = 4, M = 3: 12 points
#
#             c = 0  1  2  3
#        I:       2  .  3  .
#        F, m=0:  1  .  .  5
#           m=1:  .  2  4  .
#           m=2:  6  .  7  .
#
# Effectual: c = 0 with m = 0, 2; c = 2 with m = 1, 2: 4.  O = 2, 12, 33: no zero.
# Only m is above 1 among the result's ranks: it goes across all 16 PEs, m to PE 16*m//3 = 0, 5,
# 10, row-major (0,0), (1,1), (2,2).  PEs wait after each c: four steps.

FC_I = np.array([[2, 0, 3, 0]], np.float32)
FC_F = np.array([[1, 0, 0, 5], [0, 2, 4, 0], [6, 0, 7, 0]], np.float32)
FC_PES = ((0, 0), (1, 1), (2, 2))


def fully_connected(name: str) -> Charge:
    return charge(make_spec("O[n,m] = I[n,c]*F[m,c]"), arch(name), {"I": FC_I, "F": FC_F})


def test_fully_connected_dense() -> None:
    check(
        fully_connected("dense"),
        ops=(4, 0, 0, 8),
        work=dict.fromkeys(FC_PES, 4),
        # DRAM reads (4 + 12)*16/64 = 4; GLB reads and writes (4 + 12 + 3)*16 = 304 of 256
        cycles={"compute": 4, "DRAM": 4, "GLB": 2},
        reads={
            "DRAM": {"I": [4 * 16, 0], "F": [12 * 16, 0]},
            # one read of I[c] serves the three PEs
            "GLB": {"I": [4 * 16, 0], "F": [12 * 16, 0], "O": [3 * 16, 0]},
            # at each of 12 points I, F and an accumulator; 3 accumulators leave
            "PE": {"I": [12 * 16, 0], "F": [12 * 16, 0], "O": [(12 + 3) * 32, 0]},
        },
        writes={
            "DRAM": {"O": [3 * 16, 0]},
            "GLB": {"I": [4 * 16, 0], "F": [12 * 16, 0], "O": [3 * 16, 0]},
            "network": {"I": [3 * 4 * 16, 0], "F": [12 * 16, 0], "O": [3 * 16, 0]},
            "PE": {"I": [3 * 4 * 16, 0], "F": [12 * 16, 0], "O": [12 * 32, 0]},
        },
    )


def test_fully_connected_gated() -> None:
    """c = 1 and 3 are gated: 2*3 points.  Run-length codes make the layer's DRAM bits more,
    305 where dense has 304: the metadata eats the gain."""
    c = fully_connected("eyeriss")
    check(
        c,
        ops=(4, 6, 0, 2),
        work=dict.fromkeys(FC_PES, 4),
        cycles={"compute": 4, "DRAM": 4, "GLB": 2},
        reads={
            # I: n:U c:R(5), runs 0 and 1: 2*5 bits, and 2 pointers into 2 entries, 2 bits each
            "DRAM": {"I": [2 * 16, 2 * 5 + 2 * 2], "F": [12 * 16, 0]},
            "GLB": {"I": [4 * 16, 0], "F": [12 * 16, 0], "O": [3 * 16, 0]},
            # I is looked at always; F and the accumulator where I is not zero
            "PE": {"I": [12 * 16, 0], "F": [6 * 16, 0], "O": [(6 + 3) * 32, 0]},
        },
        writes={
            # O: n:U m:R(5), 3 runs of 0; 2 pointers into 3 entries, 2 bits each
            "DRAM": {"O": [3 * 16, 3 * 5 + 2 * 2]},
            "GLB": {"I": [4 * 16, 0], "F": [12 * 16, 0], "O": [3 * 16, 0]},
            "network": {"I": [3 * 4 * 16, 0], "F": [12 * 16, 0], "O": [3 * 16, 0]},
            "PE": {"I": [3 * 4 * 16, 0], "F": [12 * 16, 0], "O": [6 * 32, 0]},
        },
    )
    assert c.level("DRAM").bits == 305 > c.baseline.level("DRAM").bits == 304


def test_fully_connected_skipped() -> None:
    """c = 0 and c = 2 take a cycle each, the others none."""
    c = fully_connected("scnn")
    check(
        c,
        ops=(4, 0, 8, 0),
        work={(0, 0): 1, (1, 1): 1, (2, 2): 2},
        # DRAM reads 36 + 123 = 159 of 64; GLB reads 36 + 108 + 48, writes 36 + 123 + 48
        cycles={"compute": 2, "DRAM": 3, "GLB": 1},
        reads={
            "DRAM": {
                # I: a fiber of a c would have one position, so n*c:C: 2 bits of 4 positions
                "I": [2 * 16, 2 * 2],
                # F: c:U m:C, 6 entries of 2 bits (3 positions), 5 pointers of 3 bits
                "F": [6 * 16, 6 * 2 + 5 * 3],
            },
            # entries with coordinates; pointers stay with the controller
            "GLB": {"I": [2 * 16, 2 * 2], "F": [6 * 16, 6 * 2], "O": [3 * 16, 0]},
            "PE": {"I": [4 * 16, 4 * 2], "F": [4 * 16, 4 * 2], "O": [(4 + 3) * 32, 0]},
        },
        writes={
            "DRAM": {"O": [3 * 16, 3 * 2]},  # n*m:C, 3 positions
            "GLB": {"I": [2 * 16, 2 * 2], "F": [6 * 16, 6 * 2 + 5 * 3], "O": [3 * 16, 0]},
            "network": {"I": [3 * 2 * 16, 3 * 2 * 2], "F": [6 * 16, 6 * 2], "O": [3 * 16, 0]},
            "PE": {"I": [3 * 2 * 16, 3 * 2 * 2], "F": [6 * 16, 6 * 2], "O": [4 * 32, 0]},
        },
    )
    assert c.bound_by == "DRAM"
    assert c.speedup == 4 / 3
    assert c.imbalance == 2 * 16 / 4
    assert c.utilisation == 4 / (16 * 3)


# ---- a 3x3 convolution with stride 2 and padding 1 ---------------------------------------
#
#   O[n,m,p,q] = I[n,c,2*p+r,2*q+s]*F[m,c,r,s]
#   N = 1, C = M = 2, H = W = 4, R = S = 3, P = Q = (4 + 2 - 3)//2 + 1 = 2: 2*2*2*2*9 = 144 points
#
# Output p and tap r read row h = 2*p + r - 1: p = 0 reads -1 (padding), 0, 1; p = 1 reads 1, 2, 3.
# The same for columns.  Not zero are, with the taps that reach them and the output they go to:
#
#   I[0,0,0] r = 1, p = 0                 s = 1, q = 0                (1,1) to (0,0)
#   I[0,1,2] r = 0, p = 1; r = 2, p = 0   s = 1, q = 1                (0,1) to (1,1), (2,1) to (0,1)
#   I[0,3,3] r = 2, p = 1                 s = 2, q = 1                (2,2) to (1,1)
#   I[1,2,1] r = 1, p = 1                 s = 0, q = 1; s = 2, q = 0  (1,0) to (1,1), (1,2) to (1,0)
#
#   F[0,0]: taps (1,1), (0,1)   F[1,0]: (1,1), (2,2), (0,0)   F[0,1]: (1,2)   F[1,1]: none
#
# Effectual, c = 0: (1,1) at (0,0), m = 0 and 1; (0,1) at (1,1), m = 0; (2,2) at (1,1), m = 1;
#            c = 1: (1,2) at (1,0), m = 0: in all 5.
# p goes to row 4*p//2 = 0, 2 and q to column 0, 2.  PEs wait after each c: two steps.

CONV_PES = ((0, 0), (0, 2), (2, 0), (2, 2))


def strided(name: str) -> Charge:
    x, w = np.zeros((1, 2, 4, 4), np.float32), np.zeros((2, 2, 3, 3), np.float32)
    x[0, 0, 0, 0], x[0, 0, 1, 2], x[0, 0, 3, 3], x[0, 1, 2, 1] = 1, 2, 3, 4
    for place in ((0, 0, 1, 1), (0, 0, 0, 1), (1, 0, 1, 1), (1, 0, 2, 2), (1, 0, 0, 0)):
        w[place] = 1
    w[0, 1, 1, 2] = 1
    spec = make_spec("O[n,m,p,q] = I[n,c,2*p+r,2*q+s]*F[m,c,r,s]", pad={"I": {"h": 1, "w": 1}})
    return charge(spec, arch(name), {"I": x, "F": w})


def test_strided_dense() -> None:
    """In each step each of four PEs does M*R*S = 18 points, padding taps among them."""
    check(
        strided("dense"),
        ops=(5, 0, 0, 139),
        work=dict.fromkeys(CONV_PES, 36),
        # DRAM reads (32 + 36)*16 = 1088 of 64; GLB reads 1504, writes 1216 of 256
        cycles={"compute": 36, "DRAM": 17, "GLB": 6},
        reads={
            "DRAM": {"I": [32 * 16, 0], "F": [36 * 16, 0]},
            # windows of 2 or 3 rows by 2 or 3 columns without padding: (2 + 3)**2 a channel
            "GLB": {"I": [2 * 25 * 16, 0], "F": [36 * 16, 0], "O": [8 * 16, 0]},
            "PE": {"I": [144 * 16, 0], "F": [144 * 16, 0], "O": [(144 + 8) * 32, 0]},
        },
        writes={
            "DRAM": {"O": [8 * 16, 0]},
            "GLB": {"I": [32 * 16, 0], "F": [36 * 16, 0], "O": [8 * 16, 0]},
            "network": {"I": [50 * 16, 0], "F": [4 * 36 * 16, 0], "O": [8 * 16, 0]},
            "PE": {"I": [50 * 16, 0], "F": [4 * 36 * 16, 0], "O": [144 * 32, 0]},
        },
    )


def test_strided_gated() -> None:
    """Six times a tap meets an activation that is not zero, for M = 2: 12 points; the other
    132 are gated, the 44 padding taps among them."""
    check(
        strided("eyeriss"),
        ops=(5, 132, 0, 7),
        work=dict.fromkeys(CONV_PES, 36),
        cycles={"compute": 36, "DRAM": 11, "GLB": 6},  # DRAM reads 64 + 26 + 576
        reads={
            # I: n:U c*h*w:R(5), places 0, 6, 15, 25: no run above 31; 2 pointers into 4, 3 bits
            "DRAM": {"I": [4 * 16, 4 * 5 + 2 * 3], "F": [36 * 16, 0]},
            "GLB": {"I": [50 * 16, 0], "F": [36 * 16, 0], "O": [8 * 16, 0]},
            "PE": {"I": [144 * 16, 0], "F": [12 * 16, 0], "O": [(12 + 8) * 32, 0]},
        },
        writes={
            # O: 5 entries, m = 0 at (0,0), (1,0), (1,1), m = 1 at (0,0), (1,1)
            "DRAM": {"O": [5 * 16, 5 * 5 + 2 * 3]},
            "GLB": {"I": [32 * 16, 0], "F": [36 * 16, 0], "O": [8 * 16, 0]},
            "network": {"I": [50 * 16, 0], "F": [4 * 36 * 16, 0], "O": [8 * 16, 0]},
            "PE": {"I": [50 * 16, 0], "F": [4 * 36 * 16, 0], "O": [12 * 32, 0]},
        },
    )


def test_strided_skipped() -> None:
    """c = 0: two points on PE (0,0) and two on (2,2): 2 cycles; c = 1: one on (2,0): 1."""
    # entries of I that PEs take: [0,0,0] one PE; [0,1,2] p = 0, 1; [0,3,3] one; [1,2,1] q = 0, 1
    taken = 1 + 2 + 1 + 2
    check(
        strided("scnn"),
        ops=(5, 0, 139, 0),
        work={(0, 0): 2, (2, 2): 2, (2, 0): 1},
        # DRAM reads 89 + 135 = 224 of 64; GLB reads 120 + 126 + 128, writes 89 + 135 + 128
        cycles={"compute": 3, "DRAM": 4, "GLB": 2},
        reads={
            "DRAM": {
                # I: c:U n*h*w:C, 4 bits of 16 positions; 3 pointers into 4, 3 bits
                "I": [4 * 16, 4 * 4 + 3 * 3],
                # F: c:U m*r*s:C, 5 bits of 18 positions; 3 pointers into 6, 3 bits
                "F": [6 * 16, 6 * 5 + 3 * 3],
            },
            "GLB": {"I": [taken * 16, taken * 4], "F": [6 * 16, 6 * 5], "O": [8 * 16, 0]},
            "PE": {"I": [5 * 16, 5 * 4], "F": [5 * 16, 5 * 5], "O": [(5 + 8) * 32, 0]},
        },
        writes={
            # O: m:U n*p*q:C, 2 bits of 4 positions; 3 pointers into 5, 3 bits
            "DRAM": {"O": [5 * 16, 5 * 2 + 3 * 3]},
            "GLB": {
                "I": [4 * 16, 4 * 4 + 3 * 3],
                "F": [6 * 16, 6 * 5 + 3 * 3],
                "O": [8 * 16, 0],
            },
            "network": {
                "I": [taken * 16, taken * 4],
                "F": [4 * 6 * 16, 4 * 6 * 5],
                "O": [8 * 16, 0],
            },
            "PE": {"I": [taken * 16, taken * 4], "F": [4 * 6 * 16, 4 * 6 * 5], "O": [5 * 32, 0]},
        },
    )


# ---- a depthwise convolution, batch 2 ----------------------------------------------------
#
#   O[n,c,p,q] = I[n,c,p+r,q+s]*F[c,r,s]      N = C = 2, H = W = 3, R = S = 2, P = Q = 2: 64 points
#
# c is in the result, so that r is the outermost summed rank: PEs wait after each r, two steps.
# Not zero: I[0,0,0,0], I[0,0,1,1], I[0,1,2,2], I[1,0,1,0]; F[0,0,0], F[0,1,1], F[1,1,0], F[1,1,1].
#
#   r = 0: I[0,0,0,0]*F[0,0,0] at (0,0); I[0,0,1,1]*F[0,0,0] at (1,1); I[1,0,1,0]*F[0,0,0] at (1,0)
#   r = 1: I[0,0,1,1]*F[0,1,1] at (0,0); I[0,1,2,2]*F[1,1,1] at (1,1)
#
# Row h is read as p + r once for h = 0, twice for h = 1, once for h = 2; so is column w.  The
# four activations are therefore met 1, 4, 1 and 2 times: 8.


def depthwise(name: str) -> Charge:
    x, w = np.zeros((2, 2, 3, 3), np.float32), np.zeros((2, 2, 2), np.float32)
    for place in ((0, 0, 0, 0), (0, 0, 1, 1), (0, 1, 2, 2), (1, 0, 1, 0)):
        x[place] = 1
    w[0, 0, 0] = w[0, 1, 1] = w[1, 1, 0] = w[1, 1, 1] = 1
    return charge(make_spec("O[n,c,p,q] = I[n,c,p+r,q+s]*F[c,r,s]"), arch(name), {"I": x, "F": w})


def test_depthwise_dense() -> None:
    """In each step each of four PEs does N*C*S = 8 points."""
    check(
        depthwise("dense"),
        ops=(5, 0, 0, 59),
        work=dict.fromkeys(CONV_PES, 16),
        # DRAM reads (36 + 8)*16 = 704 of 64; GLB reads (64 + 8 + 16)*16 = 1408 of 256
        cycles={"compute": 16, "DRAM": 11, "GLB": 6},
        reads={
            "DRAM": {"I": [36 * 16, 0], "F": [8 * 16, 0]},
            # a step and PE needs one row, two columns of N*C planes: 8; 2 steps, 4 PEs
            "GLB": {"I": [64 * 16, 0], "F": [8 * 16, 0], "O": [16 * 16, 0]},
            "PE": {"I": [64 * 16, 0], "F": [64 * 16, 0], "O": [(64 + 16) * 32, 0]},
        },
        writes={
            "DRAM": {"O": [16 * 16, 0]},
            "GLB": {"I": [36 * 16, 0], "F": [8 * 16, 0], "O": [16 * 16, 0]},
            "network": {"I": [64 * 16, 0], "F": [4 * 8 * 16, 0], "O": [16 * 16, 0]},
            "PE": {"I": [64 * 16, 0], "F": [4 * 8 * 16, 0], "O": [64 * 32, 0]},
        },
    )


def test_depthwise_gated() -> None:
    check(
        depthwise("eyeriss"),
        ops=(5, 56, 0, 3),
        work=dict.fromkeys(CONV_PES, 16),
        cycles={"compute": 16, "DRAM": 4, "GLB": 6},  # DRAM reads 64 + 29 + 128
        reads={
            # I: n:U c*h*w:R(5), places 0, 4, 17 and 3; 3 pointers into 4, 3 bits
            "DRAM": {"I": [4 * 16, 4 * 5 + 3 * 3], "F": [8 * 16, 0]},
            "GLB": {"I": [64 * 16, 0], "F": [8 * 16, 0], "O": [16 * 16, 0]},
            "PE": {"I": [64 * 16, 0], "F": [8 * 16, 0], "O": [(8 + 16) * 32, 0]},
        },
        writes={
            # O: three outputs of the first image, one of the second
            "DRAM": {"O": [4 * 16, 4 * 5 + 3 * 3]},
            "GLB": {"I": [36 * 16, 0], "F": [8 * 16, 0], "O": [16 * 16, 0]},
            "network": {"I": [64 * 16, 0], "F": [4 * 8 * 16, 0], "O": [16 * 16, 0]},
            "PE": {"I": [64 * 16, 0], "F": [4 * 8 * 16, 0], "O": [8 * 32, 0]},
        },
    )


def test_depthwise_skipped() -> None:
    """At most one point on a PE in each of the two steps."""
    check(
        depthwise("scnn"),
        ops=(5, 0, 59, 0),
        work={(0, 0): 2, (2, 2): 2, (2, 0): 1},
        # DRAM reads 88 + 81 = 169 of 64; GLB reads 176 + 72 + 256, writes 88 + 81 + 256
        cycles={"compute": 2, "DRAM": 3, "GLB": 2},
        reads={
            "DRAM": {
                # I: no axis is r alone: one fiber of 36 positions, 6 bits, no pointer
                "I": [4 * 16, 4 * 6],
                # F: r:U c*s:C, 2 bits of 4 positions; 3 pointers into 4, 3 bits
                "F": [4 * 16, 4 * 2 + 3 * 3],
            },
            "GLB": {"I": [8 * 16, 8 * 6], "F": [4 * 16, 4 * 2], "O": [16 * 16, 0]},
            "PE": {"I": [5 * 16, 5 * 6], "F": [5 * 16, 5 * 2], "O": [(5 + 16) * 32, 0]},
        },
        writes={
            # O: weights alone give it no axis: one fiber of 16 positions, 4 bits
            "DRAM": {"O": [4 * 16, 4 * 4]},
            "GLB": {"I": [4 * 16, 4 * 6], "F": [4 * 16, 4 * 2 + 3 * 3], "O": [16 * 16, 0]},
            "network": {"I": [8 * 16, 8 * 6], "F": [4 * 4 * 16, 4 * 4 * 2], "O": [16 * 16, 0]},
            "PE": {"I": [8 * 16, 8 * 6], "F": [4 * 4 * 16, 4 * 4 * 2], "O": [5 * 32, 0]},
        },
    )


@pytest.mark.parametrize("layer", [fully_connected, strided, depthwise])
def test_every_baseline_is_the_dense_preset(layer: Any) -> None:
    dense = layer("dense")
    for name in ("eyeriss", "scnn"):
        baseline = layer(name).baseline
        assert baseline.traffic == dense.traffic
        assert baseline.energy == dense.energy
        assert (baseline.ops, baseline.cycles) == (dense.ops, dense.cycles)

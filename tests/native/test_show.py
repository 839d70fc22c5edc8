"""The printed loop nest, as golden text."""

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.convert import tensor
from zeroskip.native.lines import line_of
from zeroskip.native.results import target_for
from zeroskip.native.schedules import plain
from zeroskip.native.settling import scheduled
from zeroskip.native.show import show

CONV = make_spec("O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])", pad=1)
I4, F4 = np.ones((1, 4, 8, 8), np.float32), np.ones((16, 4, 3, 3), np.float32)
BIAS = np.ones(16, np.float32)


def printed(spec, schedule=plain, **operands):
    extents = spec.extents({name: x.shape for name, x in operands.items()})
    line = line_of(spec.forms[0], operands, extents)
    return show(schedule(line, target_for(line))[0].lowered.kernel)


def test_convolution_with_compressed_weights():
    assert printed(CONV, B=BIAS, I=I4, F=tensor(F4, "CSR")) == (
        "# O[n,m,p,q] = relu(B[m] + sum[c,r,s](F[m,c,r,s]*I[n,c,p+r,q+s]))\n"
        "# B: 0:U, float32\n"
        "# F: 0:U 1*2*3:C, float32\n"
        "# I: 0:U 1:U 2:U 3:U, float32\n"
        "O[...] = 0\n"
        "for m in [0, M):  # parallel\n"
        "  for (c,r,s), pF_crs in F.crs[m]:  # compressed\n"
        "    for n in [0, N):\n"
        "      for p in [max(0, I_pad2 - r), min(P, I_dim2 + I_pad2 - r)):\n"
        "        for q in [max(0, I_pad3 - s), min(Q, I_dim3 + I_pad3 - s)):\n"
        "          O[n,m,p,q] += F[pF_crs] * I[n,c,p + r - I_pad2,q + s - I_pad3]\n"
        "for n in [0, N):  # parallel\n"
        "  for m in [0, M):  # parallel\n"
        "    for p in [0, P):\n"
        "      for q in [0, Q):\n"
        "        O[n,m,p,q] = relu(O[n,m,p,q] + B[m])"
    )


def test_the_tiled_schedule_stages_and_runs_in_vectors():
    text = printed(CONV, scheduled, B=BIAS, I=I4, F=tensor(F4, "CSR"))
    assert (
        "I_staged = stage(I)  # copied into vectors' order, padding around axis 2, axis 3" in text
    )
    assert "for x in [0, line) by width:  # register tiles of the line" in text
    assert "for offset, e in F.packed[row]:  # packed" in text
    assert "acc += F_packed[e] * I_staged[x + lane + offset]" in text


def test_both_sparse_solves_and_guards():
    text = printed(CONV, B=BIAS, I=tensor(I4, "bitmask"), F=tensor(F4, "CSR"))
    assert "pI_level1 in I.level1[n][c*I_dim2*I_dim3 : (c + 1)*I_dim2*I_dim3]:  # bitmask" in text
    assert "p = (I_level1_at // I_dim3) % I_dim2 + I_pad2 - r\n" in text
    assert "if 0 <= p < P:\n" in text


def test_a_coordinate_that_is_still_needed_is_not_taken_apart():
    text = printed(CONV, B=BIAS, I=tensor(I4, "RLE(4)"), F=F4)
    assert "for I_level1_at, pI_level1 in I.level1[n]:  # run-length\n" in text
    assert "c = I_level1_at // (I_dim2*I_dim3)\n" in text


@pytest.mark.parametrize(
    ("text", "formats", "expected"),
    [
        ("d = A[i,k]*B[i,k]", ("CSR", "CSR"), "for k, (pA_k, pB_k) in A.k[i] & B.k[i]:  # merged"),
        ("d = A[i,k]*B[i,k]", ("CSR", "bitmask"), "if k in B.k[i], at pB_k:  # located"),
        ("d = A[i,k]*B[i,k]", ("COO", "dense"), "for k, pA_k in A.k[pA_i]:  # singleton"),
        ("C[i,j] = A[i,k]*B[k,j]", ("CSR", "CSR"), "C[i,j] += A[pA_k] * B[pB_j]"),
        ("C[i,j] max= A[i,k]*B[k,j]", ("dense", "dense"), "C[...] = -inf"),
    ],
)
def test_ways_to_walk(text, formats, expected):
    given_as = [np.eye(4) if f == "dense" else tensor(np.eye(4), f) for f in formats]
    assert expected in printed(make_spec(text), A=given_as[0], B=given_as[1])

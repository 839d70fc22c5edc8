import numpy as np

import zeroskip as zs
from zeroskip.explanation.inspecting import choose, executed


def test_executed_is_counted_by_the_kernel():
    a = zs.Density((6, 8), 0.5).sample(0)
    spec = zs.layer("y[i] = A[i,j]*x[j]").spec
    assert executed(spec, {"A": zs.tensor(a, "CSR"), "x": np.ones(8, np.float32)}) == 24
    assert executed(spec, {"A": zs.tensor(a, "RLE(1)"), "x": np.ones(8, np.float32)}) > 24
    assert executed(spec, {"A": a, "x": np.ones(8, np.float32)}) == 48


def test_what_is_stored_anew_is_told():
    spec = zs.layer("y[p] = I[2*p+r]*F[r]").spec
    image = zs.tensor(zs.Density((9,), 0.5).sample(0), "h/4:C h%4:U")
    (chosen,) = choose(spec, {"I": image, "F": np.ones(3, np.float32)})
    assert chosen.why.endswith(" I is converted to C first, at every call.")


def test_a_sum_inside_an_expression_of_halves_is_shown_in_float32():
    spec = zs.layer("P[m,k] = exp(S[m,k])/sum[j](exp(S[m,j]))").spec
    S = np.zeros((2, 5), np.float16)
    inner, whole = choose(spec, {"S": S})
    for chosen in (inner, whole):
        assert {b.dtype for b in chosen.prepared.lowered.kernel.buffers} == {"float32"}
    assert inner.why.endswith(" It stays in float32, as it stands inside an expression of float16.")
    assert whole.why.endswith(" Halves are widened to float32 first; P is rounded to float16 last.")
    (plain,) = choose(zs.layer("O[m] += S[m,j]").spec, {"S": S})
    assert {b.dtype for b in plain.prepared.lowered.kernel.buffers} == {"float16"}


def test_a_line_after_a_widened_one_reads_halves():
    spec = zs.layer("P[m,k] = S[m,k]/sum[j](S[m,j])\nO[m] += P[m,k]").spec
    *_, last = choose(spec, {"S": np.ones((2, 5), np.float16)})
    assert {b.dtype for b in last.prepared.lowered.kernel.buffers} == {"float16"}

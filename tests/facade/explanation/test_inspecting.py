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

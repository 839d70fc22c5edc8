import numpy as np

import zeroskip as zs
from zeroskip.explanation.inspecting import executed


def test_executed_is_counted_by_the_kernel():
    a = zs.Density((6, 8), 0.5).sample(0)
    spec = zs.layer("y[i] = A[i,j]*x[j]").spec
    assert executed(spec, {"A": zs.tensor(a, "CSR"), "x": np.ones(8, np.float32)}) == 24
    assert executed(spec, {"A": zs.tensor(a, "RLE(1)"), "x": np.ones(8, np.float32)}) > 24
    assert executed(spec, {"A": a, "x": np.ones(8, np.float32)}) == 48

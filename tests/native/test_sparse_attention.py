"""Attention under a sparse mask: scores, softmax and product, and no dense matrix of scores."""

import numpy as np
import scipy.sparse as sp

import zeroskip as zs

TEXT = """
S[i,j] = M[i,j]*Q[i,k]*K[j,k]
X[i] max= S[i,j]
E[i,j] = M[i,j]*exp(S[i,j] - X[i])
D[i] = E[i,j]
O[i,v] = E[i,j]*V[j,v]/D[i]
"""


def test_attention_in_the_memory_of_its_mask():
    """20,000 × 20,000 scores, of which 11 a row are asked for: dense they would take 1.6 GB."""
    rng, n = np.random.default_rng(0), 20_000
    columns = np.concatenate([rng.integers(0, n, 10 * n), np.arange(n)])
    rows = np.concatenate([np.repeat(np.arange(n), 10), np.arange(n)])
    mask = sp.csr_array((np.ones(11 * n, np.float32), (rows, columns)), shape=(n, n))
    mask.data[:] = 1
    q, k, v = (rng.standard_normal((n, 8)).astype(np.float32) for _ in range(3))
    layer = zs.layer(TEXT)
    given = {"M": zs.tensor(mask, "CSR"), "Q": q, "K": k, "V": v}
    got = layer(**given, format={"S": "CSR", "E": "CSR"})
    row, column = mask.tocoo().coords
    scores = np.einsum("ek,ek->e", q[row], k[column], dtype=np.float64)
    most = np.zeros(n)  # what is not stored is 0, and counts in the maximum
    np.maximum.at(most, row, scores)
    weights = np.exp(scores - most[row])
    weights /= np.bincount(row, weights)[row]
    want = sp.csr_array((weights, (row, column)), shape=(n, n)) @ v
    assert np.allclose(got, want, atol=1e-4)
    schedules = zs.explain(layer, **given, format={"S": "CSR", "E": "CSR"}).lines
    assert [line.schedule for line in schedules][:3] == ["rows", "plain", "rows"]
    assert all("for j in [0, J)" not in line.nest for line in schedules)

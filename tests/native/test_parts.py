"""The last vector of a line is in memory in part: it is read and written to the lane."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.native import settings

WIDTHS = (16, 32, 64)
DTYPES = ("float32", "float64", "int32", "int64")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_lines_of_every_length_in_blocks(dtype: str, width: int) -> None:
    """Blocks take the sums up again, so that parts are loaded too; beside the line is another."""
    rng = np.random.default_rng(7)
    m, k = 6, 40
    lanes = width // np.dtype(dtype).itemsize
    weights = (rng.integers(1, 4, (m, k)) * (rng.random((m, k)) < 0.5)).astype(dtype)
    layer = zs.layer("O[m,n] = W[m,k] * X[k,n]")
    for n in sorted({1, 2, lanes - 1, lanes + 1, 2 * lanes, 2 * lanes + lanes // 2}):
        x = rng.integers(0, 4, (k, n)).astype(dtype)
        for rows in (1, 4):
            with settings.using(vector_bytes=width):
                schedule = zs.Schedule(kind="tiled", rows=rows, vectors=2, block=16)
                bound = layer.bind(W=zs.tensor(weights, "CSR"), schedule=schedule)
                room = np.full(m * n + 2 * lanes, 99, dtype)
                out = room[lanes : lanes + m * n].reshape(m, n)
                bound(X=x, out=out)
            np.testing.assert_array_equal(out, weights @ x, err_msg=f"n={n} rows={rows}")
            beside = np.concatenate([room[:lanes], room[lanes + m * n :]])
            np.testing.assert_array_equal(beside, np.full(2 * lanes, 99, dtype))

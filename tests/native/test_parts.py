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


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("text", ["W[m,k] * X[k,n]", "relu(B[m] + W[m,k] * X[k,n] + D[m,n])"])
@pytest.mark.parametrize("block", [0, 16])
def test_lines_of_whole_vectors_begin_early(dtype: str, text: str, block: int) -> None:
    """Lines between two lines of the cache are read and written in vectors that begin there, in
    one tile and in several; what lies before and behind stays as it is."""
    rng = np.random.default_rng(3)
    m, k, lanes = 5, 40, 64 // np.dtype(dtype).itemsize
    weights = (rng.integers(1, 4, (m, k)) * (rng.random((m, k)) < 0.1)).astype(dtype)
    layer = zs.layer(f"O[m,n] = {text}")
    with settings.using(vector_bytes=64):
        schedule = zs.Schedule(kind="tiled", rows=1, vectors=3, block=block, unrolled=False)
        bound = layer.bind(W=zs.tensor(weights, "CSR"), schedule=schedule)
        for n, past in ((4, 3), (4, 0), (5, lanes - 1), (6, 1), (9, 2), (4.5, 3), (3, 1)):
            n = int(n * lanes)
            x = at_lane(rng.integers(-3, 4, (k, n)).astype(dtype), past)
            more = {
                name: rng.integers(-3, 4, shape).astype(dtype)
                for name, shape in (("B", (m,)), ("D", (m, n)))
                if f"{name}[" in text
            }
            room = at_lane(np.full(m * n + 2 * lanes, 99, dtype), 1)
            out = room[lanes : lanes + m * n].reshape(m, n)
            bound(X=x, **more, out=out)
            want = weights @ x
            if more:
                want = np.maximum(more["B"][:, None] + want + more["D"], 0)
            np.testing.assert_array_equal(out, want, err_msg=f"n={n} past={past}")
            beside = np.concatenate([room[:lanes], room[lanes + m * n :]])
            np.testing.assert_array_equal(beside, np.full(2 * lanes, 99, dtype))
            c = zs.explain(bound, X=x, **more).c
            assert ("zs_early(X_vals" in c) == (n % lanes == 0 and n >= 4 * lanes)


def at_lane(array: np.ndarray, past: int) -> np.ndarray:
    """A copy that begins so many lanes behind a multiple of 64 bytes."""
    room = np.empty(array.nbytes + 128, np.uint8)
    first = -room.ctypes.data % 64 + past * array.itemsize
    copy = room[first : first + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy

"""Two sparse matrices multiplied, the result sparse, sorted, with what cancels kept."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Absent, Array, Contest, Entrant, gather
from benchmarks.data import matrix
from benchmarks.peers import graphblas, mkl, scipy_csr, torch_peers
from benchmarks.rows.row import Bar, Row

PEERS = "best peer"
SHAPES = (
    *("512,51", "2000,40", "2000,200", "10000,10", "10000,50", "100000,5", "100000,10"),
    *("wiki-Vote", "p2p-Gnutella31"),
)
PRODUCT = zs.layers.spgemm()
SKETCH = 8
"""Vectors that a large product is checked on: (A B) v, against A (B v)."""

DENSE_MOST = 2000


def of_shape(shape: str, rng: np.random.Generator) -> tuple[Any, Any]:
    """Two SciPy matrices of n² with so many entries a row; a named one twice."""
    from scipy.sparse import csr_array

    if "," not in shape:
        found = csr_array(matrix(shape)).astype(np.float32)
        found.sort_indices()
        found.data = rng.standard_normal(found.nnz, dtype=np.float32)
        return found, found
    n, each = map(int, shape.split(","))

    def draw() -> Any:
        columns = np.concatenate([np.sort(rng.choice(n, each, replace=False)) for _ in range(n)])
        values = rng.standard_normal(n * each, dtype=np.float32)
        return csr_array((values, columns, np.arange(n + 1) * each), shape=(n, n))

    return draw(), draw()


def checked_by(b_columns: int, rng: np.random.Generator) -> Array:
    """The identity where the result is small; else some vectors."""
    if b_columns <= DENSE_MOST:
        return np.eye(b_columns)
    return rng.standard_normal((b_columns, SKETCH))


def product(shape: str, at: str, rng: np.random.Generator) -> Contest:
    a, b = of_shape(shape, rng)
    left, right = (zs.tensor(m, "CSR") for m in (a, b))
    probe = checked_by(b.shape[1], rng)

    def probed(answer: Any) -> Array:
        found = answer.to_scipy() if isinstance(answer, zs.Tensor) else answer
        return np.asarray(found.astype(np.float64) @ probe)

    bound = PRODUCT.bind(B=right)
    ours = Entrant("zeroskip CSR", OURS, lambda: bound(A=left, format="CSR"), probed)
    wide, other = a.astype(np.float64), b.astype(np.float64)
    found, missing = gather(
        (
            ("MKL spmm", partial(mkl.square_product, a, b)),
            ("SciPy CSR", partial(scipy_csr.square_product, a, b)),
            ("GraphBLAS", partial(graphblas.square_product, a, b)),
            ("torch CSR", partial(torch_peers.csr_square, a, b)),
        )
    )
    return Contest(
        wide @ (other @ probe),
        (ours, *(Entrant(e.name, e.family, e.call, _then(e, probed)) for e in found)),
        scale=float((abs(wide) @ (abs(other) @ np.abs(probe))).max()),
        multiplications=int(np.bincount(a.indices, minlength=a.shape[1]) @ np.diff(b.indptr)),
        missing=missing,
    )


def _then(entrant: Entrant, probed: Any) -> Any:
    return lambda result: probed(entrant.answer(result))


def shapes() -> tuple[str, ...]:
    """All of them; without the shared data, those that are drawn."""
    drawn = tuple(s for s in SHAPES if "," in s)
    try:
        matrix("wiki-Vote")
    except Absent:
        return drawn
    return SHAPES


ROWS = (
    Row(
        "spgemm",
        "SpGEMM, sorted results, cancellations kept",
        shapes,
        ("squared",),
        product,
        (
            Bar(PEERS, "squared", 1.0, floor=1.0),
            Bar(PEERS, "squared", 3.0, floor=3.0, shapes=("2000,40", "10000,50")),
        ),
        quick=(2, 1),
        notes=(
            "Shapes are n, entries a row; or the name of a graph. Peers leave their rows unsorted "
            "where they are faster so; zeroskip's are sorted.",
            f"Results of more than {DENSE_MOST} columns are checked on {SKETCH} random vectors.",
        ),
    ),
)

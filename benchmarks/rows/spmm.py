"""Sparse weights times a dense matrix, and times a vector."""

from __future__ import annotations

from functools import partial

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Array, Contest, Entrant, gather
from benchmarks.peers import blas, graphblas, mkl, pydata, scipy_csr, torch_peers
from benchmarks.rows.row import Bar, Row

DENSE, SPARSE = "best dense", "best sparse"
PRODUCT = zs.layer("O[m,n] = W[m,k]*X[k,n]")
VECTOR = zs.layer("y[m] = W[m,k]*x[k]")

WIDE = ("512,512,196", "2048,512,49", "256,2304,196", "1024,1024,128", "768,3072,128")
NARROW = ("4096,4096,16",)
POINTS = ("0.8", "0.5", "0.3", "0.2", "0.1", "0.05", "0.01")


def drawn(rng: np.random.Generator, shape: tuple[int, ...], density: float) -> Array:
    """float32, normal, uniformly random places; as many as the density says, rounded."""
    size = int(np.prod(shape))
    array = np.zeros(size, np.float32)
    places = rng.choice(size, round(density * size), replace=False)
    array[places] = rng.standard_normal(len(places), dtype=np.float32)
    return array.reshape(shape)


def ours(weights: Array, dense: Array, format: str) -> Entrant:
    """Weights in a format, bound; the result allocated at each call."""
    layer = VECTOR if dense.ndim == 1 else PRODUCT
    bound = layer.bind(W=zs.tensor(weights, format))
    return Entrant(f"zeroskip {format}, bound", OURS, lambda: bound(dense))


def peers(weights: Array, dense: Array) -> tuple[tuple[Entrant, ...], dict[str, str]]:
    """Everybody who multiplies float32 matrices, dense and sparse."""
    return gather(
        (
            ("NumPy (BLAS)", partial(blas.matmul, weights, dense)),
            ("torch dense", partial(torch_peers.matmul, weights, dense)),
            ("torch CSR", partial(torch_peers.csr_product, weights, dense)),
            (mkl.NAME, partial(mkl.product, weights, dense)),
            ("SciPy CSR", partial(scipy_csr.product, weights, dense)),
            ("pydata/sparse", partial(pydata.product, weights, dense)),
            ("GraphBLAS", partial(graphblas.product, weights, dense)),
        )
    )


def contest_of(weights: Array, dense: Array, format: str) -> Contest:
    found, missing = peers(weights, dense)
    wide, other = weights.astype(np.float64), dense.astype(np.float64)
    columns = 1 if dense.ndim == 1 else dense.shape[1]
    return Contest(
        wide @ other,
        (ours(weights, dense, format), *found),
        scale=float((np.abs(wide) @ np.abs(other)).max(initial=0)),
        multiplications=int(np.count_nonzero(weights)) * columns,
        missing=missing,
    )


def product(shape: str, at: str, rng: np.random.Generator) -> Contest:
    m, k, n = map(int, shape.split(","))
    weights = drawn(rng, (m, k), float(at))
    return contest_of(weights, rng.standard_normal((k, n), dtype=np.float32), "CSR")


def vector(shape: str, at: str, rng: np.random.Generator, *, format: str) -> Contest:
    m, k = map(int, shape.split(","))
    weights = drawn(rng, (m, k), float(at))
    return contest_of(weights, rng.standard_normal(k, dtype=np.float32), format)


def bars(against: str, points: tuple[str, ...], *ratios: float | None) -> tuple[Bar, ...]:
    """One bar a point."""
    return tuple(Bar(against, at, r) for at, r in zip(points, ratios, strict=True))


ROWS = (
    Row(
        "spmm",
        "SpMM, N ≥ 49",
        lambda: WIDE,
        POINTS,
        product,
        (
            *bars(DENSE, POINTS, 1.2, 1.9, 2.7, 3.5, 6, 10, 30),
            *bars(SPARSE, POINTS, 3.7, 3.7, 3.4, 3.1, 2.7, 2.2, 1.6),
        ),
        quick=(2, 3),
    ),
    Row(
        "spmm-narrow",
        "SpMM, N = 16",
        lambda: NARROW,
        POINTS,
        product,
        (
            *bars(DENSE, POINTS, 2.0, 2.7, 3.4, 4.2, 8, 16, 70),
            *bars(SPARSE, POINTS, 2.7, 2.6, 2.0, 1.6, 1.5, 1.5, 1.4),
        ),
    ),
    Row(
        "gemv-bitmask",
        "GEMV 4096², bitmask",
        lambda: ("4096,4096",),
        ("0.5", "0.3", "0.2"),
        partial(vector, format="bitmask"),
        (
            *bars(DENSE, ("0.5", "0.3", "0.2"), 1.4, 2.0, 2.6),
            *bars(SPARSE, ("0.5", "0.3", "0.2"), 2.0, 1.6, 1.4),
        ),
        notes=(
            "zeroskip is handed a bitmask, which binding may lay out anew: as coordinates up to a "
            "density of 0.3, where processors gather fast.",
        ),
    ),
    Row(
        "gemv-csr",
        "GEMV 4096², CSR",
        lambda: ("4096,4096",),
        ("0.1", "0.05", "0.01"),
        partial(vector, format="CSR"),
        bars(SPARSE, ("0.1", "0.05", "0.01"), 1.0, 1.0, 1.0),
    ),
)

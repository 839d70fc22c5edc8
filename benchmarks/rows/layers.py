"""Sparse weights as layers have them: a batch a row each, one sample, many tokens."""

from __future__ import annotations

from functools import partial

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Contest, Entrant, gather
from benchmarks.peers import blas, mkl, scipy_csr, torch_peers
from benchmarks.rows.row import Bar, Row
from benchmarks.rows.spmm import DENSE, SPARSE, drawn, product

LINEAR = zs.layer("Y[b,o] = W[o,i]*X[b,i]")

POINTS = ("0.5", "0.1", "0.01")
REPORTED = tuple(Bar(against, at, None) for against in (DENSE, SPARSE) for at in POINTS)


def linear(shape: str, at: str, rng: np.random.Generator) -> Contest:
    """shape : samples, inputs, outputs."""
    samples, inputs, outputs = map(int, shape.split(","))
    weights = drawn(rng, (outputs, inputs), float(at))
    batch = rng.standard_normal((samples, inputs), dtype=np.float32)
    bound = LINEAR.bind(W=zs.tensor(weights, "CSR"))
    found, missing = gather(
        (
            ("NumPy (BLAS)", partial(blas.linear, weights, batch)),
            ("torch linear", partial(torch_peers.linear, weights, batch)),
            (mkl.NAME, partial(mkl.linear, weights, batch)),
            ("SciPy CSR", partial(scipy_csr.linear, weights, batch)),
        )
    )
    wide, other = weights.T.astype(np.float64), batch.astype(np.float64)
    return Contest(
        other @ wide,
        (Entrant("zeroskip CSR, bound", OURS, lambda: bound(X=batch)), *found),
        scale=float((np.abs(other) @ np.abs(wide)).max(initial=0)),
        multiplications=int(np.count_nonzero(weights)) * samples,
        missing=missing,
    )


ROWS = (
    Row(
        "linear",
        "linear layer, Y[b,o] = W[o,i]*X[b,i]",
        lambda: ("64,1024,512", "512,512,512", "128,768,3072", "2048,768,768"),
        POINTS,
        linear,
        REPORTED,
        notes=("Shapes are samples, inputs, outputs.",),
    ),
    Row(
        "linear-one",
        "linear layer, one sample",
        lambda: ("1,4096,4096", "1,1024,512"),
        POINTS,
        linear,
        REPORTED,
        notes=("Shapes are samples, inputs, outputs.",),
    ),
    Row(
        "spmm-wide",
        "SpMM, N in the thousands",
        lambda: ("512,1024,1024", "512,1024,4096"),
        POINTS,
        product,
        REPORTED,
    ),
)

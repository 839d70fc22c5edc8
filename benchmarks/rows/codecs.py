"""Encoding and decoding: dense arrays to formats and back."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Array, Contest, Entrant, gather
from benchmarks.peers import blas, scipy_csr
from benchmarks.rows.row import Row
from benchmarks.rows.spmm import bars, drawn

POINTS = ("0.7", "0.5", "0.3", "0.1", "0.01")
SHAPES = ("1024,1024",)


def densely(result: Any) -> Array:
    return np.asarray(result.toarray())


def encode(shape: str, at: str, rng: np.random.Generator, *, format: str) -> Contest:
    m, n = map(int, shape.split(","))
    array = drawn(rng, (m, n), float(at))
    found, missing = gather(
        (
            ("memcpy", partial(blas.copy, array)),
            ("SciPy csr_array", partial(scipy_csr.encode, array)),
        )
    )
    return Contest(
        array,
        (Entrant(f"zeroskip {format}", OURS, lambda: zs.tensor(array, format), densely), *found),
        scale=1.0,
        tolerance=0.0,
        missing=missing,
    )


def decode(shape: str, at: str, rng: np.random.Generator, *, format: str) -> Contest:
    m, n = map(int, shape.split(","))
    array = drawn(rng, (m, n), float(at))
    stored = zs.tensor(array, format)
    found, missing = gather((("SciPy toarray", partial(scipy_csr.decode, array)),))
    return Contest(
        array,
        (Entrant(f"zeroskip {format}", OURS, stored.toarray), *found),
        scale=1.0,
        tolerance=0.0,
        missing=missing,
    )


def _row(name: str, title: str, make: Any, against: str, ratio: float) -> Row:
    return Row(
        name,
        title,
        lambda: SHAPES,
        POINTS,
        make,
        bars(against, POINTS, *[ratio] * len(POINTS)),
        notes=("4 MiB of float32.",),
    )


ROWS = (
    _row(
        "encode-bitmask",
        "encode: dense → bitmask",
        partial(encode, format="bitmask"),
        "memcpy",
        0.8,
    ),
    _row("encode-csr", "encode: dense → CSR", partial(encode, format="CSR"), "SciPy", 20),
    _row(
        "decode-bitmask", "decode: bitmask → dense", partial(decode, format="bitmask"), "SciPy", 1
    ),
    _row("decode-csr", "decode: CSR → dense", partial(decode, format="CSR"), "SciPy", 1),
)

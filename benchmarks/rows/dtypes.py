"""Other types: float64, bfloat16 and int8, in SpMM and GEMV."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Array, Contest, Entrant, gather
from benchmarks.peers import blas, mkl, pydata, scipy_csr, torch_peers
from benchmarks.rows.row import Bar, Row
from benchmarks.rows.spmm import PRODUCT, VECTOR, drawn

POINTS = ("0.5", "0.3", "0.1")
TOLERANCE = {"float64": 1e-12, "bfloat16": 5e-3, "int8": 0.0, "float32": 1e-5}
FLOAT32 = "float32 dense"


def as_type(array: Array, name: str) -> Array:
    """Values of the type; integers from -127 to 127, and none of them 0 that was not."""
    if name == "bfloat16":
        import ml_dtypes

        return array.astype(ml_dtypes.bfloat16)
    if name == "int8":
        whole = np.clip(np.round(array * 40), -127, 127).astype(np.int8)
        return np.where((array != 0) & (whole == 0), np.int8(1), whole)
    return array.astype(name)


def contest(shape: str, at: str, rng: np.random.Generator, *, dtype: str, format: str) -> Contest:
    """M,K,N is a product with a matrix, M,K with a vector."""
    m, k, *n = map(int, shape.split(","))
    plain = drawn(rng, (m, k), float(at))
    other = rng.standard_normal((k, *n), dtype=np.float32)
    weights, dense = as_type(plain, dtype), as_type(other, dtype)
    bound = (PRODUCT if n else VECTOR).bind(W=zs.tensor(weights, format))

    def widened(result: Any) -> Array:
        return np.asarray(result).astype(np.float64)

    makers = [
        ("torch dense", partial(torch_peers.matmul, weights, dense)),
        ("torch CSR", partial(torch_peers.csr_product, weights, dense)),
    ]
    if dtype == "float64":
        makers += [
            ("NumPy (BLAS)", partial(blas.matmul, weights, dense)),
            (mkl.NAME, partial(mkl.product, weights, dense)),
            ("pydata/sparse", partial(pydata.product, weights, dense)),
        ]
    if dtype == "int8" and n:
        makers.append(("torch _int_mm", partial(torch_peers.int8_matmul, weights, dense)))
    if dtype in ("float64", "int8"):
        wide = np.int32 if dtype == "int8" else np.float64
        makers.append(
            ("SciPy CSR", partial(scipy_csr.product, weights.astype(wide), dense.astype(wide)))
        )
    found, missing = gather(makers)
    single = blas.matmul(plain, other)
    exact, right = weights.astype(np.float64), dense.astype(np.float64)
    expected = exact @ right

    def in_float32(result: Any) -> Array:
        """Of the values before they were rounded: checked here against its own answer."""
        wanted = plain.astype(np.float64) @ other.astype(np.float64)
        right_answer = np.allclose(result, wanted, rtol=1e-3, atol=1e-3)
        return expected if right_answer else np.full_like(expected, np.nan)

    return Contest(
        expected,
        (
            Entrant(f"zeroskip {format} {dtype}, bound", OURS, lambda: bound(dense), widened),
            *found,
            Entrant("NumPy (BLAS), float32", FLOAT32, single.call, in_float32),
        ),
        scale=float((np.abs(exact) @ np.abs(right)).max(initial=0)),
        tolerance=TOLERANCE[dtype],
        multiplications=int(np.count_nonzero(weights)) * (n[0] if n else 1),
        missing=missing,
    )


def _row(name: str, title: str, shape: str, dtype: str, format: str) -> Row:
    families = ("best dense", "best sparse", FLOAT32)
    asked = {(FLOAT32, "0.3"): 4.0} if name == "gemv-bf16" else {}
    return Row(
        name,
        title,
        lambda: (shape,),
        POINTS,
        partial(contest, dtype=dtype, format=format),
        tuple(Bar(f, at, asked.get((f, at))) for f in families for at in POINTS),
        notes=(f"{FLOAT32}: the product of the same matrices before they were rounded, by NumPy.",),
    )


ROWS = (
    _row("spmm-f64", "SpMM in float64", "1024,1024,128", "float64", "CSR"),
    _row("gemv-f64", "GEMV 4096² in float64, bitmask", "4096,4096", "float64", "bitmask"),
    _row("spmm-bf16", "SpMM in bfloat16", "1024,1024,128", "bfloat16", "CSR"),
    _row("gemv-bf16", "GEMV 4096² in bfloat16, bitmask", "4096,4096", "bfloat16", "bitmask"),
    _row("spmm-int8", "SpMM in int8", "1024,1024,128", "int8", "CSR"),
    _row("gemv-int8", "GEMV 4096² in int8, bitmask", "4096,4096", "int8", "bitmask"),
)

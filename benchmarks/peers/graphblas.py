"""SuiteSparse:GraphBLAS by python-graphblas."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.contest import Array, Entrant


def _graphblas() -> Any:
    """On one thread, as in all rows that it takes part in: it asks OpenMP for its own number."""
    import graphblas

    graphblas.ss.config["nthreads"] = 1
    return graphblas


def product(a: Array, dense: Array) -> Entrant:
    gb = _graphblas()
    left = gb.Matrix.from_dense(a, missing_value=0)
    right: Any = (gb.Vector if dense.ndim == 1 else gb.Matrix).from_dense(dense)
    times = gb.semiring.plus_times
    verb = left.mxv if dense.ndim == 1 else left.mxm
    return Entrant(
        "GraphBLAS",
        "best sparse",
        lambda: verb(right, times).new(),
        lambda c: np.asarray(c.to_dense(fill_value=0)),
    )


def square_product(a: Any, b: Any, family: str = "best peer") -> Entrant:
    """CSR times CSR, of SciPy matrices; ``wait`` finishes what is pending."""
    gb = _graphblas()
    left, right = (gb.io.from_scipy_sparse(m) for m in (a, b))
    times = gb.semiring.plus_times

    def call() -> Any:
        result = left.mxm(right, times).new()
        result.wait()
        return result

    return Entrant("GraphBLAS", family, call, lambda c: gb.io.to_scipy_sparse(c, "csr"))

"""pydata/sparse: GCXS arrays, compiled by numba."""

from __future__ import annotations

from benchmarks.contest import Absent, Array, Entrant

KINDS = ("float32", "float64")


def product(a: Array, dense: Array) -> Entrant:
    """CSR times dense; the first call compiles, before the timing."""
    if a.dtype.name not in KINDS:
        raise Absent(f"sparse has no product of {a.dtype}")
    import sparse

    left = sparse.GCXS.from_numpy(a, compressed_axes=[0])
    return Entrant("pydata/sparse", "best sparse", lambda: left @ dense)

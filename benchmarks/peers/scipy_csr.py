"""SciPy's CSR matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.contest import Array, Entrant


def csr(matrix: Array) -> Any:
    from scipy.sparse import csr_array

    return matrix if hasattr(matrix, "tocsr") else csr_array(matrix)


def product(a: Array, dense: Array, family: str = "best sparse") -> Entrant:
    """CSR times a dense matrix or vector."""
    left = csr(a)
    return Entrant("SciPy CSR", family, lambda: left @ dense)


def linear(a: Array, batch: Array) -> Entrant:
    """CSR times each row of a batch."""
    left = csr(a)
    return Entrant("SciPy CSR", "best sparse", lambda: (left @ batch.T).T)


def square_product(a: Any, b: Any, family: str = "best peer") -> Entrant:
    """CSR times CSR; the answer is SciPy's CSR, with rows that are not sorted."""
    return Entrant("SciPy CSR", family, lambda: a @ b, lambda c: c)


def encode(array: Array) -> Entrant:
    return Entrant("SciPy csr_array", "SciPy", lambda: csr(array), lambda m: m.toarray())


def decode(array: Array) -> Entrant:
    matrix = csr(array)
    return Entrant("SciPy toarray", "SciPy", matrix.toarray)


def unfolded_mttkrp(
    coords: Array, values: Array, shape: tuple[int, ...], b: Array, c: Array
) -> Entrant:
    """O[i,r] = T[i,j,k]*B[j,r]*C[k,r]: T unfolded as (i,j) × k, times C; times the rows of B;
    then added up over j.  Only the (i,j) that hold something are rows."""
    from scipy.sparse import csr_array

    i, j, k = coords
    places, row = np.unique(i.astype(np.int64) * shape[1] + j, return_inverse=True)
    unfolded = csr_array((values, (row, k)), shape=(len(places), shape[2]))
    of_i, of_j = places // shape[1], places % shape[1]
    adds = csr_array(
        (np.ones(len(places), values.dtype), (of_i, np.arange(len(places)))),
        shape=(shape[0], len(places)),
    )
    rows_of_b = b[of_j]
    return Entrant(
        "SciPy unfold and reduce", "SciPy unfold", lambda: adds @ ((unfolded @ c) * rows_of_b)
    )


def khatri_rao_mttkrp(
    coords: Array, values: Array, shape: tuple[int, ...], b: Array, c: Array
) -> Entrant:
    """T unfolded as i × (j,k), times the Khatri-Rao product of B and C, which each call makes."""
    from scipy.sparse import csr_array

    i, j, k = coords
    column = j.astype(np.int64) * shape[2] + k
    unfolded = csr_array((values, (i, column)), shape=(shape[0], shape[1] * shape[2]))

    def call() -> Any:
        return unfolded @ (b[:, None, :] * c[None, :, :]).reshape(-1, b.shape[1])

    return Entrant("SciPy Khatri-Rao", "SciPy unfold", call)

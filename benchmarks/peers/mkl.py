"""MKL's inspector-executor on CSR matrices, called by ctypes; from the wheel or the system.

The inspector is told of the calls that follow (a hint for products with so many columns) and
optimises before the timing.  Sizes are 32-bit (LP64).
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from ctypes.util import find_library
from importlib import metadata
from typing import Any

import numpy as np

from benchmarks.contest import Absent, Array, Entrant
from benchmarks.peers.scipy_csr import csr

NAME = "MKL inspector-executor"
PLAIN, CALLS = 10, 1000  # not transposed; calls to expect
ROWS, COLUMNS = 101, 102  # how a dense matrix lies
LETTER = {"float32": "s", "float64": "d"}
REAL: dict[str, Any] = {"float32": ctypes.c_float, "float64": ctypes.c_double}


class _Description(ctypes.Structure):
    _fields_ = (("type", ctypes.c_int), ("mode", ctypes.c_int), ("diagonal", ctypes.c_int))


GENERAL = _Description(20, 40, 50)


@functools.cache
def library() -> Any:
    """The single dynamic library of MKL.

    Raises
    ------
    Absent
        Where it is not found.
    """
    places: list[str] = []
    try:
        files = metadata.files("mkl") or []
        places += [str(f.locate()) for f in files if f.name.startswith("libmkl_rt.so")]
    except metadata.PackageNotFoundError:
        pass
    system = find_library("mkl_rt")
    for place in [*places, *([system] if system else [])]:
        try:
            return ctypes.CDLL(place)
        except OSError:
            continue
    raise Absent("libmkl_rt not found: pip install mkl")


def version() -> str:
    text = ctypes.create_string_buffer(256)
    library().MKL_Get_Version_String(text, 256)
    return " ".join(text.value.decode().split())


def _done(what: str, status: int) -> None:
    if status:
        raise Absent(f"{what} gave status {status}")


def _pointer(array: Array) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


class Handle:
    """A CSR matrix as MKL holds it; the arrays are kept alive with it."""

    def __init__(self, matrix: Any) -> None:
        matrix = csr(matrix)
        if matrix.dtype.name not in LETTER:
            raise Absent(f"no product of {matrix.dtype}")
        self.shape: tuple[int, int] = matrix.shape
        self.dtype = matrix.dtype
        self.letter = LETTER[matrix.dtype.name]
        self.real = REAL[matrix.dtype.name]
        self.arrays = (
            matrix.indptr.astype(np.int32),
            matrix.indices.astype(np.int32),
            np.ascontiguousarray(matrix.data),
        )
        pointers, columns, values = map(_pointer, self.arrays)
        ends = ctypes.c_void_p((pointers.value or 0) + 4)
        self.handle = ctypes.c_void_p()
        status = self.call("create_csr")(
            ctypes.byref(self.handle), 0, *self.shape, pointers, ends, columns, values
        )
        _done("mkl_sparse_create_csr", status)

    def call(self, name: str) -> Callable[..., int]:
        found: Callable[..., int] = getattr(library(), f"mkl_sparse_{self.letter}_{name}")
        return found

    def optimise(self, columns: int | None, layout: int = ROWS) -> None:
        """For products with a matrix of so many columns, or with a vector."""
        mkl = library()
        if columns is None:
            status = mkl.mkl_sparse_set_mv_hint(self.handle, PLAIN, GENERAL, CALLS)
        else:
            status = mkl.mkl_sparse_set_mm_hint(self.handle, PLAIN, GENERAL, layout, columns, CALLS)
        _done("the hint", status)
        _done("mkl_sparse_optimize", mkl.mkl_sparse_optimize(self.handle))

    def __del__(self) -> None:
        if getattr(self, "handle", None):
            library().mkl_sparse_destroy(self.handle)


def product(a: Array, dense: Array) -> Entrant:
    """CSR times a matrix, or a vector."""
    left = Handle(a)
    if dense.dtype != left.dtype:
        raise Absent(f"no product of {left.dtype} with {dense.dtype}")
    columns = None if dense.ndim == 1 else dense.shape[1]
    left.optimise(columns)
    one, zero, source = left.real(1), left.real(0), _pointer(dense)
    shape = (left.shape[0], *dense.shape[1:])
    multiply = left.call("mv" if columns is None else "mm")

    def call() -> Array:
        result = np.empty(shape, left.dtype)
        target = _pointer(result)
        if columns is None:
            status = multiply(PLAIN, one, left.handle, GENERAL, source, zero, target)
        else:
            status = multiply(
                *(PLAIN, one, left.handle, GENERAL, ROWS, source),
                *(columns, columns, zero, target, columns),
            )
        _done("the product", status)
        return result

    kept = dense  # alive as long as the call is
    return Entrant(NAME, "best sparse", call, lambda y: np.asarray(y, kept.dtype))


def linear(a: Array, batch: Array) -> Entrant:
    """CSR times each row of a batch: to MKL, columns that lie one behind the other."""
    left = Handle(a)
    rows, columns = left.shape
    left.optimise(len(batch), COLUMNS)
    multiply, one, zero, source = left.call("mm"), left.real(1), left.real(0), _pointer(batch)

    def call() -> Array:
        result = np.empty((len(batch), rows), left.dtype)
        status = multiply(
            *(PLAIN, one, left.handle, GENERAL, COLUMNS, source),
            *(len(batch), columns, zero, _pointer(result), rows),
        )
        _done("the product", status)
        return result

    kept = batch
    return Entrant(NAME, "best sparse", call, lambda y: np.asarray(y, kept.dtype))


class Product:
    """A matrix that MKL made: freed with it."""

    def __init__(self, handle: ctypes.c_void_p, like: Handle) -> None:
        self.handle, self.like = handle, like

    def tocsr(self) -> Any:
        """A copy as SciPy's CSR."""
        from scipy.sparse import csr_array

        base, rows, columns = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
        parts = [ctypes.c_void_p() for _ in range(4)]
        status = self.like.call("export_csr")(
            self.handle, *map(ctypes.byref, (base, rows, columns, *parts))
        )
        _done("mkl_sparse_export_csr", status)
        starts, ends, places, values = parts
        if not rows.value or not starts.value:
            return csr_array((rows.value, columns.value), dtype=self.like.dtype)

        def read(pointer: ctypes.c_void_p, kind: Any, count: int) -> Array:
            found = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(kind)), (count,))
            return np.array(found)

        first = read(starts, ctypes.c_int, rows.value)
        last = read(ends, ctypes.c_int, rows.value)
        count = int(last[-1])
        crd, data = read(places, ctypes.c_int, count), read(values, self.like.real, count)
        return csr_array((data, crd, np.append(first, count)), (rows.value, columns.value))

    def __del__(self) -> None:
        library().mkl_sparse_destroy(self.handle)


def square_product(a: Any, b: Any, family: str = "best peer") -> Entrant:
    """CSR times CSR; its rows are not sorted."""
    left, right = Handle(a), Handle(b)
    multiply = library().mkl_sparse_spmm

    def call() -> Product:
        result = ctypes.c_void_p()
        status = multiply(PLAIN, left.handle, right.handle, ctypes.byref(result))
        _done("mkl_sparse_spmm", status)
        return Product(result, left)

    return Entrant("MKL spmm", family, call, Product.tocsr)

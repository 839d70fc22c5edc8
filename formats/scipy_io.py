"""SciPy's sparse matrices and arrays, in and out.  Nothing given is changed."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mod
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.levels import Compressed, Uncompressed
from zeroskip.formats.named import blocks_of
from zeroskip.formats.validate import check_pos
from zeroskip.formats.values import HALVES

if TYPE_CHECKING:
    from zeroskip.formats.level_data import Array, Indices
    from zeroskip.formats.tensor import Tensor


def is_scipy(x: object) -> bool:
    """Whether ``x`` is a sparse matrix or array of SciPy, told without importing it."""
    return type(x).__module__.startswith("scipy.sparse") and hasattr(x, "tocoo")


def from_scipy(x: Any) -> tuple[Sequence[Array], Array, tuple[int, ...]]:
    """(coordinates, values, shape) as they stand: unsorted, repeated and zero ones included."""
    if x.format in ("csr", "csc") and len(x.shape) == 2:
        rows = x.format == "csr"
        outer, inner = _by_fibers(x, x.shape[0 if rows else 1], "values")
        coords = (outer, inner) if rows else (inner, outer)
        return coords, x.data[: len(inner)], x.shape
    if x.format == "bsr":
        height, width = x.data.shape[1:]
        outer, inner = _by_fibers(x, x.shape[0] // height, "blocks")
        blocks = x.data[: len(inner)]
        places = (
            (outer * height)[:, None, None] + np.arange(height)[:, None],
            (inner.astype(np.int64) * width)[:, None, None] + np.arange(width),
        )
        each = [np.broadcast_to(at, blocks.shape).reshape(-1) for at in places]
        return each, blocks.reshape(-1), x.shape
    coo = x.tocoo()
    coords = coo.coords if hasattr(coo, "coords") else (coo.row, coo.col)
    return coords, coo.data, x.shape


def fibers_in_order(x: Any) -> tuple[str, tuple[Array, Indices], Array] | None:
    """(format, fiber pointers and coordinates, values) of a matrix by rows or columns whose
    coordinates ascend; None of any other, and of coordinates out of range."""
    if x.format not in ("csr", "csc") or len(x.shape) != 2:
        return None
    fibers, extent = x.shape if x.format == "csr" else x.shape[::-1]
    held = _check_fibers(x, fibers, "values")
    crd = x.indices[:held]
    inside = crd.dtype.kind in "iu" and (not held or 0 <= crd.min() <= crd.max() < extent)
    starts = np.ones(held + 1, dtype=bool)  # of fibers, or where coordinates ascend
    starts[1:-1] = crd[1:] > crd[:-1]
    starts[x.indptr] = True
    if not inside or not starts.all():
        return None
    return x.format.upper(), (x.indptr, crd), x.data[:held]


def _by_fibers(x: Any, fibers: int, held_in: str) -> tuple[Indices, Array]:
    """Outer and inner coordinate of every value or block of a matrix with ``indptr``."""
    held = _check_fibers(x, fibers, held_in)
    outer = np.repeat(np.arange(fibers, dtype=np.int64), np.diff(x.indptr))
    return outer, x.indices[:held]


def _check_fibers(x: Any, fibers: int, held_in: str) -> int:
    """How many values or blocks a matrix with ``indptr`` has."""
    held = int(x.indptr[-1]) if len(x.indptr) else 0
    if not 0 <= held <= min(len(x.indices), len(x.data)):
        raise TensorError(
            f"SciPy {x.format}: indptr ends at {held}; "
            f"there are {len(x.indices)} indices and {len(x.data)} {held_in}"
        )
    check_pos(x.indptr, fibers, held, "indices", f"SciPy {x.format}", "indptr")
    return held


def to_scipy(tensor: Tensor) -> Any:
    """A ``csr_array`` where the rank outside is U over axis 0, ``csc_array`` over axis 1, a
    ``bsr_array`` of a tensor in ``BSR(r,c)`` that its blocks divide, else a ``coo_array``.

    Zeros that the format only keeps to fill a place (U, R) are left out, but of a BSR; float16
    and bfloat16, which SciPy lacks, become float32.  A tensor of other than two axes needs a
    SciPy whose ``coo_array`` takes them.  Raises `TensorError` where the fill is not 0, which is
    what SciPy takes the rest for.
    """
    if tensor.fill:
        raise TensorError(
            f"the tensor's fill is {tensor.fill}, and what SciPy does not store is 0\n"
            "Take .coords(), or .toarray()."
        )
    import scipy.sparse

    make: Any = scipy.sparse
    if (block := blocks_of(tensor.format.ranks)) and not any(map(mod, tensor.shape, block)):
        pos, crd = (tensor.levels[1].arrays[name] for name in ("pos", "crd"))
        index = np.int32 if max(*tensor.shape, tensor.stored) < 2**31 else np.int64
        arrays = (
            _values(tensor.values).reshape(-1, *block).copy(),
            crd.astype(index),
            pos.astype(index),
        )
        return make.bsr_array(arrays, shape=tensor.shape)
    limit = max([*tensor.shape, tensor.stored], default=0)
    index = np.int32 if limit < 2**31 else np.int64
    by_fibers = tensor.ndim == 2 and len(tensor.levels) == 2 and not tensor.format.split
    if by_fibers and isinstance(tensor.levels[0].spec, Uncompressed):
        first, second = tensor.format.order[0][0], tensor.format.order[1][0]
        kind = make.csc_array if first else make.csr_array
        if isinstance(tensor.levels[1].spec, Compressed):
            held = tensor.levels[1].arrays
            starts, inner, values = held["pos"].astype(index), held["crd"], tensor.values
        else:
            coords, values = tensor.coords()
            starts, inner = _pointers(coords[first], tensor.shape[first], index), coords[second]
        made = _values(values).copy(), inner.astype(index), starts
        return kind(made, shape=tensor.shape)
    coords, values = tensor.coords()
    values = _values(values)
    narrow = tuple(crd.astype(index) for crd in coords)
    try:
        return make.coo_array((values.copy(), narrow), shape=tensor.shape)
    except (TypeError, ValueError) as error:
        raise TensorError(
            f"SciPy {scipy.__version__} makes no sparse array of shape {tensor.shape}: {error}\n"
            "Take .coords(), or .toarray()."
        ) from error


def _values(values: Array) -> Array:
    return values.astype(np.float32) if values.dtype.name in HALVES else values


def _pointers(outer: Indices, fibers: int, index: type[np.signedinteger[Any]]) -> Array:
    pos = np.zeros(fibers + 1, dtype=index)
    np.cumsum(np.bincount(outer, minlength=fibers), out=pos[1:])
    return pos

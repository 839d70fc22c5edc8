"""PyTorch tensors in, by what they can do: this package never imports torch."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.ranks import Part
from zeroskip.formats.validate import check_pos
from zeroskip.formats.values import dtype_of

if TYPE_CHECKING:
    from zeroskip.formats.level_data import Array
    from zeroskip.formats.tensor import Tensor


def is_torch(x: object) -> bool:
    """Whether ``x`` is a torch tensor or a subclass of one."""
    kind: Any = type(x)
    return _of_torch(kind) and hasattr(x, "detach")


@lru_cache(maxsize=256)
def _of_torch(kind: Any) -> bool:
    return any(base.__module__.partition(".")[0] == "torch" for base in kind.__mro__)


def shared(x: Any) -> Array | None:
    """The memory of a dense torch tensor as an array, by the shortest way; None where `from_torch`
    is to look at it."""
    if type(x) is not sys.modules["torch"].Tensor:
        return None
    try:
        found: Array = x.numpy()
    except (TypeError, RuntimeError):  # another device or layout, a gradient, a negation to come
        return None
    return found


def from_torch(x: Any) -> Array | tuple[Sequence[Array], Array, tuple[int, ...]]:
    """A dense array sharing the tensor's memory, or (coordinates, values, shape).

    Raises `TensorError` where a gradient would be lost (``requires_grad`` outside
    ``torch.no_grad()``), for memory of another device, and for bfloat16 without ml_dtypes.
    """
    if x.requires_grad and sys.modules["torch"].is_grad_enabled():
        raise TensorError(
            "the torch tensor requires a gradient, which would be lost\n"
            "Pass x.detach(), or call inside torch.no_grad()."
        )
    if getattr(x, "is_nested", False):
        raise TensorError("a nested torch tensor is no array; pass its parts one by one")
    if x.device.type != "cpu":
        raise TensorError(f"the torch tensor is on device {x.device}; pass x.cpu()")
    x = x.detach()
    kind = str(x.layout)
    if kind == "torch.strided":
        return _numpy(x.resolve_conj().resolve_neg())
    shape = tuple(int(extent) for extent in x.shape)
    if kind == "torch.sparse_coo":
        merged = x.coalesce()
        coords = [crd.numpy() for crd in merged.indices()]
        return (*_spread(coords, _numpy(merged.values()), None), shape)
    if kind in _COMPRESSED:
        return (*_compressed(x, kind), shape)
    raise TensorError(f"torch layout {kind} of shape {shape} is not read; pass x.to_dense()")


_COMPRESSED = tuple(f"torch.sparse_{name}" for name in ("csr", "csc", "bsr", "bsc"))
"""Layouts with pointers."""


def _compressed(x: Any, kind: str) -> tuple[list[Array], Array]:
    """Coordinates and values of CSR, CSC, BSR and BSC; axes before the matrix are batches."""
    by_rows, blocks = kind.endswith("sr"), kind[-3] == "b"
    pointers = (x.crow_indices() if by_rows else x.ccol_indices()).numpy()
    inner = (x.col_indices() if by_rows else x.row_indices()).numpy()
    values = _numpy(x.values())
    lead = pointers.shape[:-1]
    batches = int(np.prod(lead, dtype=np.int64))
    stored = inner.shape[-1]
    outer = []
    for row in pointers.reshape(batches, -1):
        check_pos(row, len(row) - 1, stored, "the indices", f"torch {kind}", "pointers")
        outer.append(np.repeat(np.arange(len(row) - 1), np.diff(row)))
    pair = [np.concatenate(outer) if outer else np.zeros(0, np.int64), inner.reshape(-1)]
    batch = np.unravel_index(np.repeat(np.arange(batches), stored), lead) if lead else ()
    coords = [*batch, *(pair if by_rows else pair[::-1])]
    flat = values.reshape((batches * stored, *values.shape[len(lead) + 1 :]))
    return _spread(coords, flat, len(lead) if blocks else None)


def _spread(coords: list[Array], values: Array, blocked: int | None) -> tuple[list[Array], Array]:
    """Single values where there is a dense array at each coordinate.

    blocked : the axis whose coordinates, and those of the next, number blocks; None where the
        arrays are axes of their own (torch calls these hybrid).
    """
    tail = values.shape[1:]
    if not tail:
        return coords, values
    size = int(np.prod(tail, dtype=np.int64))
    spread = [np.repeat(crd, size) for crd in coords]
    inside = [np.tile(crd, len(values)) for crd in np.indices(tail).reshape(len(tail), -1)]
    if blocked is not None:
        for k in range(2):
            spread[blocked + k] = spread[blocked + k] * tail[k] + inside[k]
        inside = inside[2:]
    return [*spread, *inside], values.reshape(-1)


def _numpy(x: Any) -> Array:
    """The values of a strided tensor, bfloat16 by way of its bits."""
    if str(x.dtype) == "torch.bfloat16":
        return np.asarray(x.view(sys.modules["torch"].int16).numpy().view(dtype_of("bfloat16")))
    try:
        return np.asarray(x.numpy())
    except TypeError as error:  # float8, quantized
        raise TensorError(f"torch values of {x.dtype} are not read; pass x.float()") from error


def to_torch(result: Array) -> Any:
    """The array as a torch tensor that shares its memory; torch is there, as it came in."""
    torch = sys.modules["torch"]
    if result.dtype.kind == "V" and result.dtype.name == "bfloat16":
        return torch.from_numpy(result.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(result)


def sparse_to_torch(tensor: Tensor) -> Any:
    """A torch tensor in the layout that is nearest to the format: strided where every rank is U,
    CSR, CSC or BSR where the format is that one, else COO.

    Everything is copied.  Raises `TensorError` where the fill is not 0, which is what torch
    takes the rest for, and where torch is not installed.
    """
    if tensor.fill:
        raise TensorError(
            f"the tensor's fill is {tensor.fill}, and what torch does not store is 0\n"
            "Take .coords(), or .toarray()."
        )
    try:
        import torch
    except ImportError:
        raise TensorError("PyTorch is not installed; take .to_scipy() or .toarray()") from None
    if all(level.spec.full for level in tensor.levels):
        return to_torch(tensor.toarray())
    values = to_torch(tensor.values.copy())
    label, shape = tensor.format.label, tensor.shape
    block = tuple(part.size for part in tensor.format.parts if isinstance(part, Part))[::2]
    whole = label.startswith("BSR") and not (shape[0] % block[0] or shape[1] % block[1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's layouts "are in beta state"
        if tensor.ndim == 2 and (label in ("CSR", "CSC") or whole):
            arrays = tensor.levels[1].arrays
            pos, crd = (torch.from_numpy(arrays[k].astype(np.int64)) for k in ("pos", "crd"))
            if whole:
                return torch.sparse_bsr_tensor(pos, crd, values.reshape(-1, *block), shape)
            make = torch.sparse_csr_tensor if label == "CSR" else torch.sparse_csc_tensor
            return make(pos, crd, values, shape)
        held = tensor.asformat("COO")
        coords, entries = held.coords()
        places = torch.from_numpy(np.stack(coords).astype(np.int64))
        stored = to_torch(entries.copy())
        return torch.sparse_coo_tensor(places, stored, shape, is_coalesced=True)

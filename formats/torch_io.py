"""PyTorch tensors in, by what they can do: this package never imports torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zeroskip.errors import TensorError
from zeroskip.formats.values import dtype_of

if TYPE_CHECKING:
    from zeroskip.formats.level_data import Array


def is_torch(x: object) -> bool:
    """Whether ``x`` is a torch tensor or a subclass of one."""
    return any(base.__module__.partition(".")[0] == "torch" for base in type(x).__mro__) and (
        hasattr(x, "detach")
    )


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
    if x.device.type != "cpu":
        raise TensorError(f"the torch tensor is on device {x.device}; pass x.cpu()")
    x = x.detach()
    kind = str(x.layout)
    if kind == "torch.strided":
        return _numpy(x.resolve_conj().resolve_neg())
    shape = tuple(int(extent) for extent in x.shape)
    if kind == "torch.sparse_coo":
        merged = x.coalesce()
        coords: Sequence[Array] = tuple(merged.indices().numpy())
        values = _numpy(merged.values())
    elif kind in ("torch.sparse_csr", "torch.sparse_csc") and len(shape) == 2:
        rows = kind.endswith("csr")
        pointers = (x.crow_indices() if rows else x.ccol_indices()).numpy()
        inner = (x.col_indices() if rows else x.row_indices()).numpy()
        outer = np.repeat(np.arange(len(pointers) - 1), np.diff(pointers))
        coords = (outer, inner) if rows else (inner, outer)
        values = _numpy(x.values())
    else:
        raise TensorError(f"torch layout {kind} of shape {shape} is not read; pass x.to_dense()")
    if values.ndim != 1:
        raise TensorError(
            f"the torch tensor holds values of shape {values.shape[1:]} at each coordinate; "
            "pass x.to_dense()"
        )
    return coords, values, shape


def _numpy(x: Any) -> Array:
    """The values of a strided tensor, bfloat16 by way of its bits."""
    if str(x.dtype) != "torch.bfloat16":
        return np.asarray(x.numpy())
    return np.asarray(x.view(sys.modules["torch"].int16).numpy().view(dtype_of("bfloat16")))


def to_torch(result: Array) -> Any:
    """The array as a torch tensor that shares its memory; torch is there, as it came in."""
    torch = sys.modules["torch"]
    if result.dtype.name == "bfloat16":
        return torch.from_numpy(result.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(result)

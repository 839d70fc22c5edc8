"""torch: dense products, CSR, and the convolutions of oneDNN."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from benchmarks.contest import Absent, Array, Entrant

DENSE, SPARSE, ONEDNN = "best dense", "best sparse", "best oneDNN"


def _torch() -> Any:
    import torch

    torch.set_grad_enabled(False)
    return torch


def of(array: Array) -> Any:
    """An array as a torch tensor of its own; bfloat16 of ml_dtypes as torch's."""
    torch = _torch()
    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16).copy()).view(torch.bfloat16)
    return torch.from_numpy(np.array(array))


def dense(result: Any) -> Array:
    found = result.to_dense() if result.layout != _torch().strided else result
    if found.dtype == _torch().bfloat16:
        found = found.float()
    return np.asarray(found.numpy())


def csr(array: Array) -> Any:
    with warnings.catch_warnings():  # "sparse CSR is in beta state"
        warnings.simplefilter("ignore")
        return of(array).to_sparse_csr()


def matmul(a: Array, b: Array) -> Entrant:
    left, right = of(a), of(b)
    return Entrant("torch dense", DENSE, lambda: left @ right, dense)


def linear(weights: Array, batch: Array) -> Entrant:
    """torch's own layer, without a bias."""
    given, held = of(batch), of(weights)
    layer = _torch().nn.functional.linear
    return Entrant("torch linear", DENSE, lambda: layer(given, held), dense)


def int8_matmul(a: Array, b: Array) -> Entrant:
    """int8 times int8, added up in int32."""
    left, right = of(a), of(b)
    return Entrant("torch _int_mm", DENSE, lambda: _torch()._int_mm(left, right), dense)


def csr_product(a: Array, b: Array) -> Entrant:
    """CSR times dense, which torch gives to MKL where it is built with it."""
    left, right = csr(a), of(b)
    return Entrant("torch CSR", SPARSE, lambda: left @ right, dense)


def csr_square(a: Any, b: Any, family: str = "best peer") -> Entrant:
    """CSR times CSR, of SciPy matrices."""
    torch = _torch()

    def as_csr(m: Any) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parts = [torch.from_numpy(np.array(x)) for x in (m.indptr, m.indices, m.data)]
            return torch.sparse_csr_tensor(*parts, size=m.shape)

    def as_scipy(m: Any) -> Any:
        from scipy.sparse import csr_array

        parts = (m.values(), m.col_indices(), m.crow_indices())
        return csr_array(tuple(part.numpy() for part in parts), shape=tuple(m.shape))

    left, right = as_csr(a), as_csr(b)
    return Entrant("torch CSR", family, lambda: left @ right, as_scipy)


def sampled(mask: Array, a: Array, b: Array) -> Entrant:
    """``torch.sparse.sampled_addmm``: A times B where the mask stores something."""
    torch = _torch()
    where, left, right = csr(mask), of(a), of(b)

    def call() -> Any:
        return torch.sparse.sampled_addmm(where, left, right, beta=0.0)

    return Entrant("torch sampled_addmm", "torch sampled_addmm", call, dense)


# ---- convolution ------------------------------------------------------------------------


def conv2d(image: Array, weights: Array, pad: int, stride: int = 1) -> Entrant:
    torch = _torch()
    x, w = of(image), of(weights)
    conv = torch.nn.functional.conv2d
    return Entrant("torch conv2d", ONEDNN, lambda: conv(x, w, padding=pad, stride=stride), dense)


def conv2d_channels_last(image: Array, weights: Array, pad: int, stride: int = 1) -> Entrant:
    torch = _torch()
    x, w = (of(t).contiguous(memory_format=torch.channels_last) for t in (image, weights))
    conv = torch.nn.functional.conv2d
    return Entrant(
        "torch conv2d channels_last",
        ONEDNN,
        lambda: conv(x, w, padding=pad, stride=stride),
        dense,
    )


def conv2d_prepacked(image: Array, weights: Array, pad: int, stride: int = 1) -> Entrant:
    """Weights in oneDNN's own layout, reordered before; the image stays plain."""
    torch = _torch()
    if not torch.backends.mkldnn.is_available():
        raise Absent("this torch is built without oneDNN")
    x = of(image)
    packed = torch.ops.mkldnn._reorder_convolution_weight(
        of(weights), [pad, pad], [stride, stride], [1, 1], 1, list(x.shape)
    )
    convolve = torch.ops.mkldnn._convolution_pointwise
    none: list[Any] = [[pad, pad], [stride, stride], [1, 1], 1, "none", [], ""]
    return Entrant("oneDNN prepacked", ONEDNN, lambda: convolve(x, packed, None, *none), dense)


def conv2d_blocked(image: Array, weights: Array, pad: int, stride: int = 1) -> Entrant:
    """Image, weights and result in oneDNN's layouts: nothing is reordered at a call."""
    torch = _torch()
    if not torch.backends.mkldnn.is_available():
        raise Absent("this torch is built without oneDNN")
    x, w = of(image).to_mkldnn(), of(weights)
    packed = torch._C._nn.mkldnn_reorder_conv2d_weight(
        w.to_mkldnn(), [pad, pad], [stride, stride], [1, 1], 1
    )
    bias = torch.zeros(len(weights)).to_mkldnn()
    step, edge = [stride, stride], [pad, pad]
    return Entrant(
        "oneDNN mkldnn tensors",
        ONEDNN,
        lambda: torch.mkldnn_convolution(x, packed, bias, edge, step, [1, 1], 1),
        lambda y: dense(y.to_dense()),
    )


CONVOLUTIONS = {
    "torch conv2d": conv2d,
    "torch conv2d channels_last": conv2d_channels_last,
    "oneDNN prepacked": conv2d_prepacked,
    "oneDNN mkldnn tensors": conv2d_blocked,
}

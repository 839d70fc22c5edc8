"""What a layer should give: plain NumPy, and torch where it is installed.

NumPy's version visits windows one by one, and knows nothing of the layer's text.  Every layer is
run dense and with its floating-point operands in several formats in C, and once in the interpreter.
"""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zeroskip as zs

Array = NDArray[Any]
FORMATS = ("COO", "CSR", "bitmask")
TORCH = find_spec("torch") is not None


def drawn(seed: int, *shape: int, density: float = 0.5) -> Array:
    """Numbers at random places, zeros elsewhere."""
    rng = np.random.default_rng(seed)
    return np.where(rng.random(shape) < density, rng.standard_normal(shape), 0.0)


def stored(x: Array, format: str) -> Any:
    if x.ndim == 0 or x.dtype.kind != "f":
        return x
    return zs.tensor(x, "C" if x.ndim == 1 and format == "CSR" else format)


def agree(
    layer: zs.Layer,
    want: Array,
    by_torch: Callable[[Any, dict[str, Any]], Any] | None = None,
    /,
    **operands: Array,
) -> None:
    """The layer gives ``want``, in every format and backend, and so does torch."""
    if by_torch is not None and TORCH:
        import torch

        said = by_torch(torch, {name: torch.tensor(x) for name, x in operands.items()})
        np.testing.assert_allclose(said.numpy(), want, rtol=1e-9, atol=1e-12, err_msg="torch")
    for format in (None, *FORMATS):
        given = {n: stored(x, format) if format else x for n, x in operands.items()}
        for backend in ("c", "interpreter") if format == "COO" else ("c",):
            got = layer(**given, backend=backend)
            message = f"{layer.text} {format} {backend}"
            assert got.shape == want.shape, message
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-12, err_msg=message)


def pairs(padding: Any, ndim: int) -> list[tuple[int, int]]:
    each = [padding] * ndim if isinstance(padding, int) else padding
    return [(p, p) if isinstance(p, int) else tuple(p) for p in each]


def every(value: Any, ndim: int) -> tuple[int, ...]:
    return (value,) * ndim if isinstance(value, int) else tuple(value)


def padded(x: Array, padding: Any, value: float = 0.0) -> Array:
    """The image with places around its axes behind the second."""
    sides = pairs(padding, x.ndim - 2)
    return np.pad(x, [(0, 0), (0, 0), *sides], constant_values=value)


def windows(
    x: Array, kernel: tuple[int, ...], stride: Any, dilation: Any = 1
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Each place of the output and what its window sees: (N, C, *kernel)."""
    ndim = x.ndim - 2
    strides, steps = every(stride, ndim), every(dilation, ndim)
    out = [(x.shape[2 + a] - steps[a] * (kernel[a] - 1) - 1) // strides[a] + 1 for a in range(ndim)]
    for place in np.ndindex(*out):
        cuts = [
            slice(u * p, u * p + d * (k - 1) + 1, d)
            for u, p, d, k in zip(strides, place, steps, kernel, strict=True)
        ]
        yield place, x[(slice(None), slice(None), *cuts)]


def gathered(found: list[tuple[tuple[int, ...], Array]]) -> Array:
    """Values of (N, C) at each place, as (N, C, *places)."""
    shape = tuple(1 + max(place[axis] for place, _ in found) for axis in range(len(found[0][0])))
    out = np.zeros(found[0][1].shape + shape)
    for place, value in found:
        out[(slice(None), slice(None), *place)] = value
    return out


def convolved(
    x: Array, f: Array, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Array:
    """(N, C, ...) with filters (M, C/groups, ...)."""
    axes = list(range(1, f.ndim))
    found = []
    for place, seen in windows(padded(x, padding), f.shape[2:], stride, dilation):
        shares = zip(np.split(seen, groups, 1), np.split(f, groups, 0), strict=True)
        found.append(
            (place, np.concatenate([np.tensordot(s, w, (axes, axes)) for s, w in shares], 1))
        )
    return gathered(found)

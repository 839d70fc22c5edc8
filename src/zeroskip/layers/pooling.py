"""Pooling and unpooling, channel by channel: chapter 2 of the book.

Operand ``I`` of shape (N, C, H, W), or with one or three axes in place of H and W; result ``O`` of
(N, C, P, Q).  The stride is the kernel's size where it is not given: windows do not overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

from zeroskip.computing import Layer, layer
from zeroskip.errors import EinsumError
from zeroskip.layers.spelling import Axes, Padding, Window, each, flag, listed, plus, times, window


def max_pool1d(
    kernel_size: Axes,
    *,
    stride: Axes | None = None,
    padding: Padding = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> Layer:
    """`max_pool2d` over one axis.

    >>> print(max_pool1d(2))
    O[n,c,q] = max[s](I[n,c,2*q+s])
    """
    return _maximum(_pooling(1, kernel_size, stride, padding, dilation, ceil_mode))


def max_pool2d(
    kernel_size: Axes,
    *,
    stride: Axes | None = None,
    padding: Padding = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> Layer:
    """The largest value in each window; padding is no value.

    Parameters
    ----------
    kernel_size, stride, dilation : int or one for each axis
    padding : int, or for each axis an int or (before, behind)
        Less than the window's reach, so that every window sees the image.
    ceil_mode : bool
        Whether a last window may reach past the padded image; as in torch it starts in the image
        or in the padding before it.

    Raises
    ------
    EinsumError
        For arguments that are no such numbers.

    Examples
    --------
    >>> print(max_pool2d(3, stride=2))
    O[n,c,p,q] = max[r,s](I[n,c,2*p+r,2*q+s])
    >>> print(max_pool2d(2, stride=3, ceil_mode=True))  # the first line says where windows start
    T[n,c,p,q] = I[n,c,3*p+2,3*q+2]
    O[n,c,p,q] = max[r,s](I[n,c,3*p+r,3*q+s])
    """
    return _maximum(_pooling(2, kernel_size, stride, padding, dilation, ceil_mode))


def max_pool3d(
    kernel_size: Axes,
    *,
    stride: Axes | None = None,
    padding: Padding = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> Layer:
    """`max_pool2d` over three axes.

    >>> print(max_pool3d(2, stride=1))
    O[n,c,l,p,q] = max[k,r,s](I[n,c,l+k,p+r,q+s])
    """
    return _maximum(_pooling(3, kernel_size, stride, padding, dilation, ceil_mode))


def avg_pool1d(
    kernel_size: Axes,
    *,
    stride: Axes | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Layer:
    """`avg_pool2d` over one axis.

    >>> print(avg_pool1d(2))
    O[n,c,q] = sum[s](I[n,c,2*q+s])/2
    """
    return _average(_pooling(1, kernel_size, stride, padding, 1, ceil_mode), count_include_pad)


def avg_pool2d(
    kernel_size: Axes,
    *,
    stride: Axes | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Layer:
    """The mean of each window.

    Parameters
    ----------
    kernel_size, stride, padding, ceil_mode
        As of `max_pool2d`.
    count_include_pad : bool
        Whether padding counts as zeros; else the sum is divided by the places of the image only.
        What a window of ``ceil_mode`` reaches past the padding counts in neither way.

    Examples
    --------
    >>> print(avg_pool2d(3, stride=2))
    O[n,c,p,q] = sum[r,s](I[n,c,2*p+r,2*q+s])/9
    >>> print(avg_pool2d(3, padding=1, count_include_pad=False))
    S[n,c,p,q] = sum[r,s](I[n,c,3*p+r,3*q+s])
    A[n,c,p,q] = sum[r,s](pow(I[n,c,3*p+r,3*q+s], 0))
    O[n,c,p,q] = S[n,c,p,q]/A[n,c,p,q]
    """
    return _average(_pooling(2, kernel_size, stride, padding, 1, ceil_mode), count_include_pad)


def avg_pool3d(
    kernel_size: Axes,
    *,
    stride: Axes | None = None,
    padding: Padding = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Layer:
    """`avg_pool2d` over three axes.

    >>> print(avg_pool3d(2))
    O[n,c,l,p,q] = sum[k,r,s](I[n,c,2*l+k,2*p+r,2*q+s])/8
    """
    return _average(_pooling(3, kernel_size, stride, padding, 1, ceil_mode), count_include_pad)


def global_avg_pool2d() -> Layer:
    """The mean of each channel: ``O`` of shape (N, C).

    >>> print(global_avg_pool2d())
    O[n,c] = sum[h,w](I[n,c,h,w])/(H*W)
    """
    return layer("O[n,c] = sum[h,w](I[n,c,h,w])/(H*W)")


def global_max_pool2d() -> Layer:
    """The largest value of each channel: ``O`` of shape (N, C).

    >>> print(global_max_pool2d())
    O[n,c] = max[h,w](I[n,c,h,w])
    """
    return layer("O[n,c] = max[h,w](I[n,c,h,w])")


def max_pool2d_indices(
    kernel_size: Axes,
    *,
    stride: Axes | None = None,
    padding: Padding = 0,
    dilation: Axes = 1,
    ceil_mode: bool = False,
) -> Layer:
    """Where in its channel each value of `max_pool2d` is, as W·h + w: what `max_unpool2d` takes.

    The first place in row-major order where several hold it, as ``return_indices=True`` gives in
    torch.  A window with a NaN has no place.

    >>> print(max_pool2d_indices(2))
    Z[n,c,h,w] = I[n,c,h,w]
    A[n,c,p,q] = max[r,s](I[n,c,2*p+r,2*q+s])
    O[n,c,p,q] min= where(I[n,c,2*p+r,2*q+s] == A[n,c,p,q], W*(2*p+r) + 2*q+s, H*W)
    """
    pool = _pooling(2, kernel_size, stride, padding, dilation, ceil_mode)
    of = pool.window
    rows, columns = of.read().split(",")
    (top, _), (left, right) = of.pads
    width = f"({plus('W', -left - right)})" if left + right else "W"
    place = f"{width}*({plus(rows, -top)}) + {plus(columns, -left)}"
    text = (
        f"{pool.starts}{pool.extents}"
        f"A[n,c,p,q] = max[r,s](I[n,c,{of.read()}])\n"
        f"O[n,c,p,q] min= where(I[n,c,{of.read()}] == A[n,c,p,q], {place}, H*W)"
    )
    return layer(text, sizes=pool.taps, pad=of.pad(skip=True))


def max_unpool2d(output_size: Sequence[int]) -> Layer:
    """Every value put where the largest one was, zeros elsewhere.

    Operands: ``X`` of shape (N, C, P, Q), places as `max_pool2d_indices` gives them; ``I`` of the
    same shape.  Result: ``O`` of ``output_size``.  Windows must not overlap: a place that is
    written twice is refused when the layer runs.

    Parameters
    ----------
    output_size : four ints
        (N, C, H, W): it does not follow from P and Q.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.array([[[[5.0, 1.0], [2.0, 3.0]]]])
    >>> found = {"I": max_pool2d(2)(I=x), "X": max_pool2d_indices(2)(I=x)}
    >>> max_unpool2d(x.shape)(**found)
    array([[[[5., 0.],
             [0., 0.]]]])
    """
    shape = each("output_size", output_size, 4, least=0)
    column = f"X[n,c,p,q]-{shape[3]}*(X[n,c,p,q]//{shape[3]})"
    text = f"O[n,c,X[n,c,p,q]//{shape[3]},{column}] = I[n,c,p,q]"
    return layer(text, sizes={"O": shape})  # type: ignore[dict-item]


def zero_unpool2d(stride: Axes = 2) -> Layer:
    """Every value followed by zeros: ``O`` of shape (N, C, H·stride, W·stride).

    >>> print(zero_unpool2d())
    O[n,c,2*h+y,2*w+x] = (y == 0)*(x == 0)*I[n,c,h,w]
    """
    target, sizes = _blocks(each("stride", stride, 2))
    kept = "".join(f"({inside} == 0)*" for inside in sizes)
    return layer(f"{target} = {kept}I[n,c,h,w]", sizes=sizes)


def upsample_nearest2d(scale_factor: Axes = 2) -> Layer:
    """Every value repeated: ``O`` of shape (N, C, H·scale, W·scale).

    >>> print(upsample_nearest2d())
    O[n,c,2*h+y,2*w+x] = I[n,c,h,w]
    """
    target, sizes = _blocks(each("scale_factor", scale_factor, 2))
    return layer(f"{target} = I[n,c,h,w]", sizes=sizes)


def _blocks(up: Sequence[int]) -> tuple[str, dict[str, int]]:
    """A result made of blocks, and their extents; an axis that is not enlarged has none."""
    sizes = {inside: u for inside, u in zip("yx", up, strict=True) if u > 1}
    parts = zip("hw", "yx", up, strict=True)
    places = [f"{times(u, of)}+{inside}" if u > 1 else of for of, inside, u in parts]
    return f"O[n,c,{','.join(places)}]", sizes


@dataclass(frozen=True, slots=True)
class _Pooling:
    """taps : extents of the window's ranks.
    beyond : places of the window's padding behind each axis that only ``ceil_mode`` reaches."""

    taps: dict[str, int]
    window: Window
    beyond: tuple[int, ...]

    @property
    def target(self) -> str:
        return f"O[n,c,{listed(self.window.places)}]"

    @property
    def starts(self) -> str:
        """A line that nothing needs, but that keeps windows from starting behind the image; none
        where they do not."""
        of = self.window
        last = [high for _, high in of.pads]
        reach = [d * (size - 1) for d, size in zip(of.dilation, self.taps.values(), strict=True)]
        if not any(self.beyond) or all(r >= h for r, h in zip(reach, last, strict=True)):
            return ""
        firsts = zip(of.places, of.stride, last, strict=True)
        places = ",".join(plus(times(u, p), high) for p, u, high in firsts)
        return f"T[n,c,{listed(of.places)}] = I[n,c,{places}]\n"

    @property
    def extents(self) -> str:
        """A line that nothing needs, but that names the extents of the image, padding included."""
        axes = listed(self.window.inputs)
        return f"Z[n,c,{axes}] = I[n,c,{axes}]\n"


def _maximum(pool: _Pooling) -> Layer:
    ranks, read = listed(pool.window.taps), pool.window.read()
    text = f"{pool.starts}{pool.target} = max[{ranks}](I[n,c,{read}])"
    return layer(text, sizes=pool.taps, pad=pool.window.pad(skip=True))


def _average(pool: _Pooling, with_pad: bool) -> Layer:
    with_pad = flag("count_include_pad", with_pad)
    taps, of = pool.taps, pool.window
    places, ranks, read = listed(of.places), listed(of.taps), f"I[n,c,{of.read()}]"
    total = f"sum[{ranks}]({read})"
    if any(pool.beyond) and with_pad:
        inside = "*".join(
            f"({at} < {plus(rank.upper(), -beyond)})"
            for at, rank, beyond in zip(of.read().split(","), of.inputs, pool.beyond, strict=True)
        )
        text = (
            f"{pool.starts}{pool.extents}"
            f"A[{places}] = sum[{ranks}]({inside})\n"  # the places that count
            f"{pool.target} = {total}/A[{places}]"
        )
        return layer(text, sizes=taps, pad=of.pad())
    if with_pad or not any(map(any, of.pads)):
        text = f"{pool.target} = {total}/{prod(taps.values())}"
        return layer(text, sizes=taps, pad=of.pad())
    text = (
        f"{pool.starts}S[n,c,{places}] = {total}\n"
        f"A[n,c,{places}] = sum[{ranks}](pow({read}, 0))\n"  # 1 for each place that is read
        f"{pool.target} = S[n,c,{places}]/A[n,c,{places}]"
    )
    return layer(text, sizes=taps, pad=of.pad(skip=True))


def _pooling(
    ndim: int,
    kernel_size: Axes,
    stride: Axes | None,
    padding: Padding,
    dilation: Axes,
    ceil_mode: bool,
) -> _Pooling:
    """What such arguments mean."""
    taps = each("kernel_size", kernel_size, ndim)
    of = window(ndim, kernel_size if stride is None else stride, padding, dilation)
    for size, step, pair in zip(taps, of.dilation, of.pads, strict=True):
        if max(pair) > step * (size - 1):
            raise EinsumError(
                f"padding: expected at most {step * (size - 1)} places, so that every window of "
                f"{size} sees the image, found {max(pair)}"
            )
    ceil_mode = flag("ceil_mode", ceil_mode)
    beyond = tuple(u - 1 if ceil_mode else 0 for u in of.stride)
    pads = tuple((low, high + more) for (low, high), more in zip(of.pads, beyond, strict=True))
    sizes = dict(zip(of.taps, taps, strict=True))
    return _Pooling(sizes, replace(of, pads=pads), beyond)

"""Fully connected and convolutional layers, and im2col.

Operands are laid out as in torch: activations N,C,H,W; filters M,C,R,S; results N,M,P,Q, in the
letters of Sze, Chen, Yang and Emer, *Efficient Processing of Deep Neural Networks*, chapter 2
(CONV and FC), 4 (Toeplitz form) and 9 (grouped, depth-wise and point-wise layers).
"""

from __future__ import annotations

from math import prod

from zeroskip.computing import Layer, layer
from zeroskip.layers.spelling import (
    Axes,
    NamedPadding,
    Window,
    each,
    filtered,
    flag,
    listed,
    times,
    wrapped,
)


def linear(*, bias: bool = False, activation: str | None = None) -> Layer:
    """A fully connected layer (FC): every output is a weighted sum of every input.

    Operands: ``I[n,c]`` of shape (N, C); ``F[m,c]`` of (M, C); ``B[m]`` where ``bias``.
    Result: ``O[n,m]`` of (N, M).

    Parameters
    ----------
    bias : bool
        Whether there is an operand B, one value for each output.
    activation : str, optional
        A function around the whole, such as ``"relu"``.

    Examples
    --------
    >>> linear(bias=True).text
    'O[n,m] = I[n,c] * F[m,c] + B[m]'
    """
    return layer("O[n,m] = " + wrapped(activation, "I[n,c] * F[m,c]" + _bias(bias)))


def conv1d(
    *,
    stride: Axes = 1,
    padding: NamedPadding = 0,
    dilation: Axes = 1,
    kernel_size: Axes | None = None,
    groups: int = 1,
    bias: bool = False,
    activation: str | None = None,
) -> Layer:
    """`conv2d` over one axis: ``I[n,c,w]``, ``F[m,c,s]``, ``O[n,m,q]``.

    >>> conv1d(stride=2, dilation=3).text
    'O[n,m,q] = I[n,c,2*q+3*s] * F[m,c,s]'
    """
    of = filtered(1, stride, padding, dilation, kernel_size)
    return _convolution(*of, groups, bias, activation)


def conv2d(
    *,
    stride: Axes = 1,
    padding: NamedPadding = 0,
    dilation: Axes = 1,
    kernel_size: Axes | None = None,
    groups: int = 1,
    bias: bool = False,
    activation: str | None = None,
) -> Layer:
    """A convolutional layer (CONV).

    Operands: ``I`` of shape (N, C, H, W); ``F`` of (M, C, R, S), or (M, C/groups, R, S);
    ``B`` of (M,) where ``bias``.  Result: ``O`` of (N, M, P, Q) with
    P = ⌊(H + before + behind - dilation·(R-1) - 1)/stride⌋ + 1, and Q alike.

    Parameters
    ----------
    stride, dilation : int or one for each axis
    padding : int, or for each axis an int or (before, behind), or "valid" or "same"
        Places of value 0 around the image: ``((1, 2), 0)`` is one row above, two below.
        ``"same"``: as many that P = H and Q = W, of an odd number one more behind; it takes
        ``kernel_size`` and a stride of 1.
    kernel_size : int or one for each axis, optional
        (R, S), where it is to be known before F is; another F is then refused.
    groups : int
        Filters come in so many groups, each of which reads its own share of the channels.
        M and C are multiples of it, or refused.
    bias : bool
        Whether there is an operand B, one value for each filter.
    activation : str, optional
        A function around the whole, such as ``"relu"``.

    Raises
    ------
    EinsumError
        For arguments that are no such numbers.

    Examples
    --------
    >>> print(conv2d(stride=2, padding=1, bias=True, activation="relu"))
    O[n,m,p,q] = relu(I[n,c,2*p+r,2*q+s] * F[m,c,r,s] + B[m])
    >>> conv2d(stride=2, padding=1).extents(I=(1, 3, 224, 224), F=(64, 3, 3, 3))["p"]
    112
    >>> conv2d(padding="same", kernel_size=(3, 4)).spec.pads["I"]
    ((0, 0), (0, 0), (1, 1), (1, 2))
    >>> print(conv2d(groups=4))
    O[n,M*g+m,p,q] = I[n,C*g+c,p+r,q+s] * F[M*g+m,c,r,s]
    """
    of = filtered(2, stride, padding, dilation, kernel_size)
    return _convolution(*of, groups, bias, activation)


def conv3d(
    *,
    stride: Axes = 1,
    padding: NamedPadding = 0,
    dilation: Axes = 1,
    kernel_size: Axes | None = None,
    groups: int = 1,
    bias: bool = False,
    activation: str | None = None,
) -> Layer:
    """`conv2d` over three axes: ``I[n,c,d,h,w]``, ``F[m,c,k,r,s]``, ``O[n,m,l,p,q]``.

    >>> print(conv3d(stride=(1, 2, 2)))
    O[n,m,l,p,q] = I[n,c,l+k,2*p+r,2*q+s] * F[m,c,k,r,s]
    """
    of = filtered(3, stride, padding, dilation, kernel_size)
    return _convolution(*of, groups, bias, activation)


def _convolution(
    sizes: dict[str, int], of: Window, groups: int, bias: bool, activation: str | None
) -> Layer:
    (several,) = each("groups", groups, 1)
    channel, filters = ("C*g+c", "M*g+m") if several > 1 else ("c", "m")
    sizes |= {"g": several} if several > 1 else {}
    products = f"I[n,{channel},{of.read()}] * F[{filters},c,{listed(of.taps)}]"
    target = f"O[n,{filters},{listed(of.places)}]"
    text = f"{target} = " + wrapped(activation, products + _bias(bias, filters))
    return layer(text, sizes=sizes, pad=of.pad())


def depthwise_conv2d(
    *,
    stride: Axes = 1,
    padding: NamedPadding = 0,
    dilation: Axes = 1,
    kernel_size: Axes | None = None,
    multiplier: int = 1,
    bias: bool = False,
    activation: str | None = None,
) -> Layer:
    """A depth-wise layer: every channel has its own filters.

    Operands: ``I`` of shape (N, C, H, W); ``F`` of (C·multiplier, 1, R, S), as of a torch module
    with ``groups=C``; ``B`` of (C·multiplier,) where ``bias``.  Result: ``O`` of
    (N, C·multiplier, P, Q); other parameters as of `conv2d`.

    >>> print(depthwise_conv2d())
    O[n,c,p,q] = I[n,c,p+r,q+s] * F[c,z,r,s]
    >>> print(depthwise_conv2d(multiplier=2))
    O[n,K*c+k,p,q] = I[n,c,p+r,q+s] * F[K*c+k,z,r,s]
    """
    sizes, of = filtered(2, stride, padding, dilation, kernel_size)
    (several,) = each("multiplier", multiplier, 1)
    sizes |= {"z": 1} | ({"k": several} if several > 1 else {})
    filters = "K*c+k" if several > 1 else "c"
    products = f"I[n,c,{of.read()}] * F[{filters},z,r,s]"
    text = f"O[n,{filters},p,q] = " + wrapped(activation, products + _bias(bias, filters))
    return layer(text, sizes=sizes, pad=of.pad())


def pointwise_conv2d(*, bias: bool = False, activation: str | None = None) -> Layer:
    """A point-wise layer: filters of one place, which mix channels.

    Operands: ``I`` of shape (N, C, H, W); ``F`` of (M, C, 1, 1); ``B`` of (M,) where ``bias``.
    Result: ``O`` of (N, M, H, W).

    >>> print(pointwise_conv2d())
    O[n,m,p,q] = I[n,c,p,q] * F[m,c,r,s]
    """
    products = "I[n,c,p,q] * F[m,c,r,s]" + _bias(bias)
    return layer("O[n,m,p,q] = " + wrapped(activation, products), sizes={"r": 1, "s": 1})


def im2col(
    kernel_size: Axes, *, stride: Axes = 1, padding: NamedPadding = 0, dilation: Axes = 1
) -> Layer:
    """The matrix whose product with flattened filters is the convolution (Toeplitz form).

    Operand: ``I`` of shape (N, C, H, W).  Result: ``O`` of (N, C·R·S, P·Q), rows and columns in
    the order of ``torch.nn.functional.unfold``.  An activation is
    held once for each window that it lies in (`duplication`).

    >>> print(im2col(3, padding=1))
    O[n,9*c+3*r+s,Q*p+q] = I[n,c,p+r,q+s]
    """
    sizes, of = filtered(2, stride, padding, dilation, kernel_size)
    taps = tuple(sizes.values())
    parts = [(prod(taps), "c"), (taps[1] if taps[0] > 1 else 0, "r"), (int(taps[1] > 1), "s")]
    rows = "+".join(times(factor, rank) for factor, rank in parts if factor)
    text = f"O[n,{rows},Q*p+q] = I[n,c,{of.read()}]"
    return layer(text, sizes=sizes, pad=of.pad())


def duplication(of: Layer, /, **shapes: tuple[int, ...]) -> float:
    """Places that a layer's result has for each place of its operands.

    Of `im2col` that is the duplication factor: R·S·P·Q/(H·W), somewhat less than R·S without
    padding.

    Parameters
    ----------
    of : Layer
    **shapes : shape of each operand, by name

    Examples
    --------
    >>> duplication(im2col(3, padding=1), I=(1, 64, 56, 56))
    9.0
    >>> duplication(im2col(2), I=(1, 1, 3, 3))  # four windows of four places, of nine places
    1.7777777777777777
    """
    made = of.spec.extents(shapes).shapes[of.spec.results[-1]]
    return prod(made) / sum(prod(shape) for shape in shapes.values())


def _bias(bias: bool, rank: str = "m") -> str:
    return f" + B[{rank}]" if flag("bias", bias) else ""

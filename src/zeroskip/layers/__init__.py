"""Layers by name: each is one Einsum, or a cascade of them, in the book's letters.

>>> import zeroskip as zs
>>> conv = zs.layers.conv2d(stride=2, padding=1, bias=True, activation="relu")
>>> print(conv)
O[n,m,p,q] = relu(I[n,c,2*p+r,2*q+s] * F[m,c,r,s] + B[m])
>>> conv.operands
('I', 'F', 'B')

Every function returns a `zeroskip.Layer`: it prints, runs, binds, and is charged and explained as
one that is made from text.  Names and defaults are torch's, and so is the layout of operands.
docs/layers.md shows them all.
"""

from __future__ import annotations

from zeroskip.layers.activation import (
    elu,
    gelu,
    leaky_relu,
    log_softmax,
    relu,
    sigmoid,
    softmax,
    swish,
    tanh,
)
from zeroskip.layers.convolution import (
    conv1d,
    conv2d,
    conv3d,
    depthwise_conv2d,
    duplication,
    im2col,
    linear,
    pointwise_conv2d,
)

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "depthwise_conv2d",
    "duplication",
    "elu",
    "gelu",
    "im2col",
    "leaky_relu",
    "linear",
    "log_softmax",
    "pointwise_conv2d",
    "relu",
    "sigmoid",
    "softmax",
    "swish",
    "tanh",
]

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
from zeroskip.layers.algebra import mttkrp, sddmm, spgemm, spmm, ttm
from zeroskip.layers.attention import multi_head_attention, scaled_dot_product_attention
from zeroskip.layers.compound import lstm_cell, residual, squeeze_excite
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
from zeroskip.layers.normalization import (
    batch_mean,
    batch_norm,
    batch_variance,
    fold_bias,
    fold_weights,
    layer_norm,
    local_response_norm,
    running_average,
)
from zeroskip.layers.pooling import (
    avg_pool1d,
    avg_pool2d,
    avg_pool3d,
    global_avg_pool2d,
    global_max_pool2d,
    max_pool1d,
    max_pool2d,
    max_pool2d_indices,
    max_pool3d,
    max_unpool2d,
    upsample_nearest2d,
    zero_unpool2d,
)
from zeroskip.layers.transposed import (
    conv2d_input,
    conv_transpose1d,
    conv_transpose2d,
    conv_transpose3d,
    pixel_shuffle,
)

__all__ = [
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "batch_mean",
    "batch_norm",
    "batch_variance",
    "conv1d",
    "conv2d",
    "conv2d_input",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
    "depthwise_conv2d",
    "duplication",
    "elu",
    "fold_bias",
    "fold_weights",
    "gelu",
    "global_avg_pool2d",
    "global_max_pool2d",
    "im2col",
    "layer_norm",
    "leaky_relu",
    "linear",
    "local_response_norm",
    "log_softmax",
    "lstm_cell",
    "max_pool1d",
    "max_pool2d",
    "max_pool2d_indices",
    "max_pool3d",
    "max_unpool2d",
    "mttkrp",
    "multi_head_attention",
    "pixel_shuffle",
    "pointwise_conv2d",
    "relu",
    "residual",
    "running_average",
    "scaled_dot_product_attention",
    "sddmm",
    "sigmoid",
    "softmax",
    "spgemm",
    "spmm",
    "squeeze_excite",
    "swish",
    "tanh",
    "ttm",
    "upsample_nearest2d",
    "zero_unpool2d",
]

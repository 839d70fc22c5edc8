"""The pruned digits network: its layers as lines of Einsum, and a forward pass in plain NumPy.

`forward` runs the layers with any function that runs one Einsum, so that the same few lines check
an engine against `reference`, the NumPy judge:

    net = load()
    steps = forward(net, reference)
    accuracy(net, steps[-1].output)
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]
Operands = dict[str, Array]

CONV = "O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])"
POOL = "O[n,c,p,q] max= I[n,c,2*p+r,2*q+s]"
FC = "O[n,m] = B[m] + I[n,k]*F[m,k]"


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: a line of Einsum and what the line leaves open.

    name : where weights ``F`` and bias ``B`` are found, if the layer has any.
    pad : (below, above) for an axis of ``I``, in positions of value 0.
    sizes : extents that no operand gives.
    """

    name: str
    text: str
    pad: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)


ONE_EACH_SIDE = {"I": {2: (1, 1), 3: (1, 1)}}
WINDOW = {"r": 2, "s": 2}

LAYERS = (
    Layer("conv1", CONV, pad=ONE_EACH_SIDE),
    Layer("conv2", CONV, pad=ONE_EACH_SIDE),
    Layer("pool2", POOL, sizes=WINDOW),
    Layer("conv3", CONV, pad=ONE_EACH_SIDE),
    Layer("pool3", POOL, sizes=WINDOW),
    Layer("fc", FC),
)


@dataclass(frozen=True, slots=True)
class Network:
    """What digits_cnn.npz holds.

    parameters : ``LAYER.w`` and ``LAYER.b``, float32; pruned weights are exactly 0.
    images : (360, 8, 8) uint8, 0..16; the test images, never trained on.
    labels : (360,) uint8, 0..9.
    meta : accuracies before and after pruning, densities, seed, epochs, versions.
    """

    parameters: Operands
    images: Array
    labels: Array
    meta: dict[str, Any]

    def input(self) -> Array:
        """The images as the first layer reads them: (n, 1, 8, 8) float32 in 0..1."""
        return self.images[:, None].astype(np.float32) / np.float32(16)


@dataclass(frozen=True, slots=True)
class Step:
    """One layer as it ran: its operands by name, and its output."""

    layer: Layer
    operands: Operands
    output: Array


def load(path: Path | None = None) -> Network:
    """Read the network; by default the file beside this one."""
    with np.load(path or Path(__file__).with_name("digits_cnn.npz")) as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(str(arrays.pop("meta")))
    return Network(
        images=arrays.pop("images"), labels=arrays.pop("labels"), parameters=arrays, meta=meta
    )


def forward(
    net: Network, run: Callable[[Layer, Operands], Array], x: Array | None = None
) -> list[Step]:
    """Run every layer on ``x``, by default all test images; the last output is the logits."""
    x = net.input() if x is None else x
    steps = []
    for layer in LAYERS:
        operands = {"I": x.reshape(len(x), -1) if layer.text == FC else x}
        if f"{layer.name}.w" in net.parameters:
            operands["F"] = net.parameters[f"{layer.name}.w"]
            operands["B"] = net.parameters[f"{layer.name}.b"]
        x = run(layer, operands)
        steps.append(Step(layer, operands, x))
    return steps


def accuracy(net: Network, logits: Array) -> float:
    """Share of the test images whose largest logit is that of their label."""
    return float(np.mean(logits.argmax(1) == net.labels))


def reference(layer: Layer, operands: Operands) -> Array:
    """One layer in plain NumPy, on dense arrays."""
    inputs = operands["I"]
    if layer.text == POOL:
        size = (layer.sizes["r"], layer.sizes["s"])
        windows = sliding_window_view(inputs, size, axis=(2, 3))[:, :, ::2, ::2]
        return np.asarray(windows.max(axis=(4, 5)))
    weights, bias = operands["F"], operands["B"]
    if layer.text == FC:
        return np.asarray(inputs @ weights.T + bias)
    sides = layer.pad["I"]
    padded = np.pad(inputs, [sides.get(axis, (0, 0)) for axis in range(4)])
    windows = sliding_window_view(padded, weights.shape[2:], axis=(2, 3))
    sums = np.tensordot(windows, weights, axes=((1, 4, 5), (1, 2, 3)))
    return np.asarray(np.maximum(np.moveaxis(sums, 3, 1) + bias[:, None, None], 0))


if __name__ == "__main__":
    network = load()
    passed = forward(network, reference)
    for step in passed:
        share, shape = np.count_nonzero(step.output) / step.output.size, str(step.output.shape)
        print(f"{step.layer.name:6} {shape:18} {share:6.1%} non-zero  {step.layer.text}")
    print(f"accuracy {accuracy(network, passed[-1].output):.4f}")

"""What the demo runs: pruned networks whose zeros are real, as steps of one Einsum each."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import zeroskip as zs

sys.path.insert(0, str(Path(__file__).parent / "digits"))

import network

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Step:
    """One layer with weights, as it runs in the network.

    layer : the whole line, bias and relu included.
    product : the same without them: what operations are counted on.
    activations : the layer's real input; weights : pruned; bias : one value a filter.
    """

    name: str
    layer: zs.Layer
    product: zs.Layer
    activations: Array
    weights: Array
    bias: Array

    def operands(self) -> dict[str, Any]:
        return {"I": self.activations, "F": self.weights, "B": self.bias}


@dataclass(frozen=True, slots=True)
class Workload:
    """A network, its steps, and what is known of how well it does.

    featured : the step that the first screen is about.
    facts : lines on accuracy and origin.
    check : runs the network through the engine, and says what was compared.
    """

    title: str
    facts: tuple[str, ...]
    steps: tuple[Step, ...]
    featured: Step
    check: Callable[[], str]


# ---- the digits network -------------------------------------------------------------------


def digits() -> Workload:
    """The project's own: trained and pruned by examples/digits/train.py."""
    net = network.load()
    engine = network.forward(net, _run)
    reference = network.forward(net, network.reference)
    reached = network.accuracy(net, engine[-1].output)
    meta = net.meta
    facts = (
        f"accuracy  trained {meta['accuracy_dense']:.2%}   pruned {meta['accuracy_pruned']:.2%}"
        f"   pruned, through these kernels {reached:.2%}",
    )
    steps = tuple(
        Step(
            step.layer.name,
            _layer(step.layer),
            _product(step.layer),
            step.operands["I"],
            step.operands["F"],
            step.operands["B"],
        )
        for step in engine
        if "F" in step.operands
    )

    def check() -> str:
        for ours, theirs in zip(engine, reference, strict=True):
            scale = np.abs(theirs.output).max()
            if not np.allclose(ours.output, theirs.output, rtol=1e-5, atol=1e-5 * scale):
                raise SystemExit(f"{ours.layer.name}: the engine and NumPy differ")
        return f"all {len(engine)} layers on {len(net.images)} images equal plain NumPy"

    title = f"a small CNN on {len(net.images)} handwritten digits that it never saw"
    featured = next(step for step in steps if step.name == "conv2")
    return Workload(title, facts, steps, featured, check)


def _layer(layer: network.Layer) -> zs.Layer:
    return zs.layer(layer.text, sizes=layer.sizes, pad=layer.pad)


def _product(layer: network.Layer) -> zs.Layer:
    text = "O[n,m] = I[n,k] * F[m,k]"
    if layer.text == network.CONV:
        text = "O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]"
    return zs.layer(text, pad=layer.pad)


def _run(layer: network.Layer, operands: network.Operands) -> Array:
    given: dict[str, Any] = dict(operands)
    result: Array = _layer(layer)(**given)
    return result


# ---- a pruned SqueezeNet ------------------------------------------------------------------


def squeezenet(path: Path) -> Workload:
    """SqueezeNet v1.0 as pruned by Deep Compression: arrays LAYER.w, .b and .x of an .npz.

    expand3x3 reads what expand1x1 reads; conv1 has stride 2 and no padding, 3x3 filters have
    padding 1; conv_final is charged without padding and checked with padding 1, as its kept
    output has it.
    """
    with np.load(path) as file:
        arrays = {name: file[name] for name in file.files}
    if "conv_final.y" not in arrays:
        raise SystemExit(f"{path} is no such network: it has no conv_final.y")
    names = sorted({name.rsplit(".", 1)[0] for name in arrays if name.endswith(".w")})
    steps = []
    for name in names:
        source = name if f"{name}.x" in arrays else name.replace("expand3x3", "expand1x1")
        weights = arrays[f"{name}.w"]
        consts = {"U": 2 if weights.shape[2] == 7 else 1}
        pad = int(weights.shape[2] == 3)
        line = "O[n,m,p,q] = relu(B[m] + I[n,c,U*p+r,U*q+s] * F[m,c,r,s])"
        product = "O[n,m,p,q] = I[n,c,U*p+r,U*q+s] * F[m,c,r,s]"
        steps.append(
            Step(
                name,
                zs.layer(line, consts=consts, pad=pad),
                zs.layer(product, consts=consts, pad=pad),
                arrays[f"{source}.x"][:1],
                weights,
                arrays[f"{name}.b"],
            )
        )
    last = steps[names.index("conv_final")]

    def check() -> str:
        text = "O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s] * F[m,c,r,s])"
        pads = {"I": {2: (1, 1), 3: (1, 1)}}
        found = zs.einsum(text, pad=pads, **last.operands())
        wanted = arrays["conv_final.y"][:1]
        scale = np.abs(wanted).max()
        if not np.allclose(found, wanted, rtol=1e-4, atol=1e-5 * scale):
            raise SystemExit("conv_final: the engine differs from the kept output")
        return "conv_final equals the output that the file keeps"

    kept = sum(int(np.count_nonzero(s.weights)) for s in steps)
    total = sum(s.weights.size for s in steps)
    facts = (
        f"pruned by Deep Compression: {kept:,d} of {total:,d} weights left ({kept / total:.1%})",
        "accuracy  not stated: the file holds two photographs and no labels",
    )
    featured = next(step for step in steps if step.name == "fire9/expand3x3")
    return Workload("SqueezeNet, image 0", facts, tuple(steps), featured, check)


# ---- a layer of ImageNet's size -----------------------------------------------------------


def imagenet_sized(density: float, seed: int = 0) -> Step:
    """A 3x3 layer of 128 channels at 28x28, zeros placed at random: synthetic."""
    rng = np.random.default_rng(seed)
    weights = zs.Density((128, 128, 3, 3), density).sample(rng)
    activations = np.maximum(rng.standard_normal((1, 128, 28, 28)), 0).astype(np.float32)
    text = "O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]"
    layer = zs.layer(text, pad=1)
    bias = np.zeros(128, np.float32)
    return Step("128×28×28, 3×3 (synthetic)", layer, layer, activations, weights, bias)

"""The pruned network that the demo runs: the file is what its description says."""

from __future__ import annotations

import importlib.util
import sys
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.convert import tensor
from zeroskip.native.engine import evaluate

FOLDER = Path(__file__).resolve().parents[2] / "examples" / "digits"


@pytest.fixture(scope="module")
def network() -> ModuleType:
    spec = importlib.util.spec_from_file_location("digits_network", FOLDER / "network.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["digits_network"] = module
    spec.loader.exec_module(module)
    return module


def convolve(x, weights, bias):
    """One output at a time, padding 1, in float64: shares nothing with the module's way."""
    n, _, height, width = x.shape
    out = np.empty((n, len(weights), height, width))
    for p in range(height):
        for q in range(width):
            rows = slice(max(p - 1, 0), min(p + 2, height))
            columns = slice(max(q - 1, 0), min(q + 2, width))
            part = weights[
                :,
                :,
                rows.start - p + 1 : rows.stop - p + 1,
                columns.start - q + 1 : columns.stop - q + 1,
            ]
            sums = np.einsum("ncrs,mcrs->nm", x[:, :, rows, columns], part, dtype=np.float64)
            out[:, :, p, q] = np.maximum(sums + bias, 0)
    return out


def test_accuracy_is_what_the_file_claims(network):
    net = network.load()
    logits = network.forward(net, network.reference)[-1].output
    assert logits.shape == (360, 10)
    assert network.accuracy(net, logits) == pytest.approx(net.meta["accuracy_pruned"], abs=1e-6)
    assert net.meta["accuracy_pruned"] > 0.98
    assert net.meta["accuracy_dense"] - net.meta["accuracy_pruned"] < 0.01


def test_no_decision_hangs_on_rounding(network):
    logits = np.sort(network.forward(network.load(), network.reference)[-1].output, axis=1)
    assert np.min(logits[:, -1] - logits[:, -2]) > 1e-3


def test_densities_are_what_the_file_claims(network):
    net = network.load()
    for name, density in net.meta["densities"].items():
        weights = net.parameters[f"{name}.w"]
        assert weights.dtype == np.float32
        assert np.count_nonzero(weights) / weights.size == pytest.approx(density, abs=1e-4)
        assert not np.signbit(weights[weights == 0]).any()


def test_images_are_the_stratified_fifth_of_1797(network):
    net = network.load()
    assert net.images.shape == (360, 8, 8)
    assert net.images.dtype == np.uint8
    assert net.images.max() == 16
    assert net.meta["train_images"] + net.meta["test_images"] == 1797
    assert np.bincount(net.labels, minlength=10).tolist() == pytest.approx([36] * 10, abs=1)


def test_reference_convolution(network):
    net = network.load()
    for step in network.forward(net, network.reference, net.input()[:7]):
        if step.layer.text == network.CONV:
            expected = convolve(*(step.operands[name] for name in "IFB"))
            np.testing.assert_allclose(step.output, expected, rtol=0, atol=1e-5)


def test_reference_pooling(network):
    x = np.array([[[[1, 2, 3, 0], [4, 0, 1, 9]]]], np.float32)
    layer = network.LAYERS[2]
    assert network.reference(layer, {"I": x}).tolist() == [[[[4, 9]]]]


def test_steps_chain_and_relu_leaves_zeros(network):
    net = network.load()
    steps = network.forward(net, network.reference)
    assert [s.layer.name for s in steps] == ["conv1", "conv2", "pool2", "conv3", "pool3", "fc"]
    for before, after in pairwise(steps):
        assert after.operands["I"].size == before.output.size
    density = [np.count_nonzero(s.output) / s.output.size for s in steps[:-1]]
    assert max(density) < 0.75


FORMATS = {4: "m:U c*r*s:C", 2: "m:U k:C"}


def test_engine_agrees_with_reference(network):
    def run(layer, operands):
        if "F" in operands:
            weights = operands["F"]
            operands = operands | {"F": tensor(weights, FORMATS[weights.ndim])}
        return evaluate(make_spec(layer.text, sizes=layer.sizes, pad=layer.pad), operands)["O"]

    net = network.load()
    ours = network.forward(net, run)
    for step, judge in zip(ours, network.forward(net, network.reference), strict=True):
        scale = np.abs(judge.output).max()
        np.testing.assert_allclose(step.output, judge.output, rtol=0, atol=1e-5 * scale)
    right = network.accuracy(net, ours[-1].output)
    assert right == pytest.approx(net.meta["accuracy_pruned"], abs=1e-6)


def test_file_is_small():
    assert (FOLDER / "digits_cnn.npz").stat().st_size < 300_000

"""Normalisation: against NumPy's means and variances, and torch."""

import numpy as np
import pytest
from oracles import TORCH, agree, drawn

import zeroskip as zs
from zeroskip import layers

X = drawn(1, 3, 4, 3, 2)
MEAN, VAR = drawn(2, 4), 0.5 + abs(drawn(3, 4))
GAMMA, BETA = drawn(4, 4, density=1), drawn(5, 4)
AXES = (0, 2, 3)


def by_channel(v):
    return v[:, None, None]


def test_batch_norm_at_inference():
    want = (X - by_channel(MEAN)) / np.sqrt(by_channel(VAR) + 1e-3)
    agree(layers.batch_norm(eps=1e-3, affine=False), want, I=X, mean=MEAN, var=VAR)
    agree(
        layers.batch_norm(eps=1e-3),
        want * by_channel(GAMMA) + by_channel(BETA),
        lambda torch, t: torch.nn.functional.batch_norm(
            t["I"], t["mean"], t["var"], t["gamma"], t["beta"], eps=1e-3
        ),
        I=X,
        mean=MEAN,
        var=VAR,
        gamma=GAMMA,
        beta=BETA,
    )


def test_batch_norm_in_training():
    centred = X - X.mean(AXES, keepdims=True)
    want = centred / np.sqrt(X.var(AXES, keepdims=True) + 1e-5)
    agree(
        layers.batch_norm(training=True),
        want * by_channel(GAMMA) + by_channel(BETA),
        lambda torch, t: torch.nn.functional.batch_norm(
            t["I"], None, None, t["gamma"], t["beta"], training=True
        ),
        I=X,
        gamma=GAMMA,
        beta=BETA,
    )


def test_training_statistics():
    agree(layers.batch_mean(), X.mean(AXES), I=X)
    agree(layers.batch_variance(), X.var(AXES), I=X)
    agree(layers.batch_variance(unbiased=True), X.var(AXES, ddof=1), I=X)
    x = drawn(6, 5, 4)
    agree(layers.batch_variance(ndim=2, unbiased=True), x.var(0, ddof=1), I=x)


def test_running_averages_are_torchs():
    average = layers.running_average(momentum=0.3)
    mean = average(running=MEAN, batch=layers.batch_mean()(I=X))
    var = average(running=VAR, batch=layers.batch_variance(unbiased=True)(I=X))
    np.testing.assert_allclose(mean, 0.7 * MEAN + 0.3 * X.mean(AXES))
    np.testing.assert_allclose(var, 0.7 * VAR + 0.3 * X.var(AXES, ddof=1))
    if TORCH:
        import torch

        running = torch.tensor(MEAN), torch.tensor(VAR)
        torch.nn.functional.batch_norm(torch.tensor(X), *running, training=True, momentum=0.3)
        np.testing.assert_allclose(mean, running[0].numpy())
        np.testing.assert_allclose(var, running[1].numpy())


@pytest.mark.parametrize("bias", [True, False])
def test_folding_gives_the_same_output(bias):
    x, F, B = drawn(7, 2, 3, 5, 4), drawn(8, 4, 3, 3, 2, density=0.3), drawn(9, 4)
    own = {"B": B} if bias else {}
    conv = layers.conv2d(stride=2, padding=1, bias=bias)(I=x, F=F, **own)
    normed = {"gamma": GAMMA, "var": VAR}
    want = layers.batch_norm()(I=conv, mean=MEAN, beta=BETA, **normed)

    filters = layers.fold_weights()(F=zs.tensor(F, "CSR"), **normed, format="CSR")
    shift = layers.fold_bias(bias=bias)(mean=MEAN, beta=BETA, **normed, **own)
    got = layers.conv2d(stride=2, padding=1, bias=True)(I=x, F=filters, B=shift)
    np.testing.assert_allclose(got, want, atol=1e-12)
    assert filters.nnz == np.count_nonzero(F)  # a pruned filter stays pruned


def test_folding_by_hand():
    gain = GAMMA / np.sqrt(VAR + 1e-5)
    F, B = drawn(10, 4, 3), drawn(11, 4)
    agree(layers.fold_weights(ndim=2), F * gain[:, None], F=F, gamma=GAMMA, var=VAR)
    parameters = {"mean": MEAN, "gamma": GAMMA, "var": VAR, "beta": BETA}
    agree(layers.fold_bias(bias=True), (B - MEAN) * gain + BETA, B=B, **parameters)
    agree(layers.fold_bias(), BETA - MEAN * gain, **parameters)


@pytest.mark.parametrize("last", [1, 2])
def test_layer_norm(last):
    x = drawn(12, 2, 3, 4)
    shape, axes = x.shape[-last:], tuple(range(-last, 0))
    gamma, beta = drawn(13, *shape), drawn(14, *shape)
    want = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)
    agree(
        layers.layer_norm(last, ndim=3),
        want * gamma + beta,
        lambda torch, t: torch.nn.functional.layer_norm(t["I"], shape, t["gamma"], t["beta"]),
        I=x,
        gamma=gamma,
        beta=beta,
    )
    agree(layers.layer_norm(last, ndim=3, affine=False), want, I=x)


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_norm(size):
    x = drawn(15, 2, 6, 2, 3) * 3
    near = np.zeros_like(x)
    for c in range(6):
        low, high = max(c - size // 2, 0), min(c + (size - 1) // 2, 5)
        near[:, c] = (x[:, low : high + 1] ** 2).sum(1)
    agree(
        layers.local_response_norm(size, alpha=0.2, beta=0.6, k=1.5),
        x / (1.5 + 0.2 / size * near) ** 0.6,
        lambda torch, t: torch.nn.functional.local_response_norm(t["I"], size, 0.2, 0.6, 1.5),
        I=x,
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: layers.batch_norm(ndim=1), "ndim: expected 2 to 5 axes, N and C first, found 1"),
        (lambda: layers.batch_norm(eps=None), "eps: expected a number, found None"),
        (
            lambda: layers.layer_norm(2),
            "normalized_ndim: expected less than the 2 axes of ndim, found 2",
        ),
        (lambda: layers.fold_weights(ndim=1), "ndim: expected 2 to 5 axes of F, found 1"),
        (
            lambda: layers.local_response_norm(0),
            "size: expected a whole number from 1 on, found 0",
        ),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(zs.EinsumError) as caught:
        call()
    assert str(caught.value) == text

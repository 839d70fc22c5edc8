"""Activations: against the functions of math, and torch."""

import math

import numpy as np
import pytest
from oracles import agree, drawn

import zeroskip as zs
from zeroskip import layers

X = drawn(1, 3, 4, density=0.7) * 3


def each(function):
    return np.vectorize(function, otypes=[float])(X)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


FUNCTIONS = [
    (layers.relu(2), lambda x: max(x, 0), lambda t, x: t.relu(x)),
    (layers.leaky_relu(0.2, 2), lambda x: x if x > 0 else 0.2 * x,
     lambda t, x: t.nn.functional.leaky_relu(x, 0.2)),
    (layers.leaky_relu(-1.5, 2), lambda x: x if x > 0 else -1.5 * x,
     lambda t, x: t.nn.functional.leaky_relu(x, -1.5)),
    (layers.elu(1.5, 2), lambda x: x if x > 0 else 1.5 * math.expm1(x),
     lambda t, x: t.nn.functional.elu(x, 1.5)),
    (layers.sigmoid(2), sigmoid, lambda t, x: t.sigmoid(x)),
    (layers.tanh(2), math.tanh, lambda t, x: t.tanh(x)),
    (layers.swish(2), lambda x: x * sigmoid(x), lambda t, x: t.nn.functional.silu(x)),
    (layers.gelu(ndim=2), lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
     lambda t, x: t.nn.functional.gelu(x)),
    (layers.gelu("tanh", 2),
     lambda x: x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
     lambda t, x: t.nn.functional.gelu(x, approximate="tanh")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("layer", "function", "by_torch"), FUNCTIONS, ids=[str(case[0])[:40] for case in FUNCTIONS]
)
def test_a_function_of_every_value(layer, function, by_torch):
    agree(layer, each(function), lambda torch, t: by_torch(torch, t["I"]), I=X)


@pytest.mark.parametrize("ndim", [1, 3, 5])
def test_any_number_of_axes(ndim):
    x = drawn(2, *range(2, 2 + ndim))
    agree(layers.relu(ndim), np.maximum(x, 0), I=x)


def test_relu_compresses_its_result():
    x = zs.tensor(X, "CSR")
    found = layers.relu(2)(I=x, format="CSR")
    assert found.nnz == int((X > 0).sum())
    assert np.array_equal(found.toarray(), np.maximum(X, 0))


@pytest.mark.parametrize("dim", [-1, 0, 1])
def test_softmax(dim):
    x = drawn(3, 3, 4, 2) * 10
    e = np.exp(x - x.max(dim, keepdims=True))
    want = e / e.sum(dim, keepdims=True)
    agree(layers.softmax(dim, 3), want, lambda torch, t: torch.softmax(t["I"], dim), I=x)
    agree(
        layers.log_softmax(dim, 3),
        x - x.max(dim, keepdims=True) - np.log(e.sum(dim, keepdims=True)),
        lambda torch, t: torch.log_softmax(t["I"], dim),
        I=x,
    )


def test_softmax_of_large_values():
    assert layers.softmax()(I=np.array([[1000.0, 1000.0]])).tolist() == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: layers.relu(6), "ndim: expected 1 to 5 axes, found 6"),
        (lambda: layers.softmax(2), "dim: expected an axis, -2 to 1, found 2"),
        (lambda: layers.softmax(ndim=1), "ndim: expected 2 to 5 axes, found 1"),
        (lambda: layers.gelu("erf"), "approximate: expected 'none' or 'tanh', found 'erf'"),
        (lambda: layers.elu("1"), "alpha: expected a number, found '1'"),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(zs.EinsumError) as caught:
        call()
    assert str(caught.value).startswith(text)

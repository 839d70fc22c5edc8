"""Residual, squeeze-and-excite and LSTM cell, and the kernels of tensor algebra."""

import numpy as np
import pytest
from oracles import agree, drawn

import zeroskip as zs
from zeroskip import layers


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_residual():
    x, y = drawn(1, 2, 3, 4, 2), drawn(2, 2, 3, 4, 2)
    agree(layers.residual(), x + y, I=x, shortcut=y)
    agree(layers.residual(activation="relu"), np.maximum(x + y, 0), I=x, shortcut=y)


@pytest.mark.parametrize("bias", [False, True])
def test_squeeze_excite(bias):
    x, F1, F2 = drawn(3, 2, 4, 3, 5), drawn(4, 2, 4), drawn(5, 4, 2)
    B1, B2 = (drawn(6, 2), drawn(7, 4)) if bias else (0, 0)
    weight = sigmoid(np.maximum(x.mean((2, 3)) @ F1.T + B1, 0) @ F2.T + B2)
    biases = {"B1": B1, "B2": B2} if bias else {}
    want = x * weight[:, :, None, None]
    agree(layers.squeeze_excite(bias=bias), want, I=x, F1=F1, F2=F2, **biases)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("output", ["hidden", "cell"])
def test_lstm_cell_is_torchs(bias, output):
    x, hidden, cell = drawn(8, 3, 4), drawn(9, 3, 5), drawn(10, 3, 5)
    F, R = drawn(11, 20, 4), drawn(12, 20, 5)
    BF, BR = (drawn(13, 20), drawn(14, 20)) if bias else (np.zeros(20), np.zeros(20))
    i, f, g, o = np.split(x @ F.T + BF + hidden @ R.T + BR, 4, 1)
    new = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
    want = new if output == "cell" else sigmoid(o) * np.tanh(new)

    def by_torch(torch, t):
        module = torch.nn.LSTMCell(4, 5, bias=bias).double()
        given = {"weight_ih": t["F"], "weight_hh": t["R"]}
        given |= {"bias_ih": t["BF"], "bias_hh": t["BR"]} if bias else {}
        module.load_state_dict(given)
        with torch.no_grad():
            return module(t["I"], (t["hidden"], t["cell"]))[output == "cell"]

    operands = {"I": x, "F": F, "hidden": hidden, "R": R, "cell": cell}
    operands |= {"BF": BF, "BR": BR} if bias else {}
    agree(layers.lstm_cell(bias=bias, output=output), want, by_torch, **operands)


def test_products_of_matrices():
    A, B, S = drawn(15, 4, 5), drawn(16, 5, 3), drawn(17, 4, 3)
    agree(layers.spmm(), A @ B, A=A, B=B)
    agree(layers.spgemm(), A @ B, A=A, B=B)
    agree(layers.sddmm(), S * (A @ B), S=S, A=A, B=B)


def test_sparse_results_hold_what_is_reached():
    A, B, S = drawn(18, 6, 5, density=0.2), drawn(19, 5, 6, density=0.2), drawn(20, 6, 6)
    reached = (A != 0).astype(int) @ (B != 0).astype(int) != 0
    made = layers.spgemm()(A=zs.tensor(A, "CSR"), B=zs.tensor(B, "CSR"), format="CSR")
    assert made.stored == reached.sum()
    np.testing.assert_allclose(made.toarray(), A @ B, atol=1e-12)
    sampled = layers.sddmm()(S=zs.tensor(S, "CSR"), A=A, B=B, format="CSR")
    assert sampled.stored == np.count_nonzero(S)  # A and B are dense: their zeros are values


@pytest.mark.parametrize("ndim", [3, 4])
def test_mttkrp_along_every_mode(ndim):
    T = drawn(21, *(3, 4, 2, 5)[:ndim])
    factors = [drawn(22 + mode, extent, 3) for mode, extent in enumerate(T.shape)]
    for mode in range(ndim):
        others = [m for m in range(ndim) if m != mode]
        subscripts = ",".join(f"{'ijkl'[m]}r" for m in others)
        want = np.einsum(
            f"{'ijkl'[:ndim]},{subscripts}->{'ijkl'[mode]}r", T, *(factors[m] for m in others)
        )
        named = {"ABCD"[m]: factors[m] for m in others}
        agree(layers.mttkrp(mode, ndim=ndim), want, T=T, **named)


@pytest.mark.parametrize("mode", [0, 1, -1])
def test_ttm(mode):
    T = drawn(27, 3, 4, 2)
    A = drawn(28, 5, T.shape[mode])
    want = np.moveaxis(np.tensordot(T, A, (mode, 1)), -1, mode)
    agree(layers.ttm(mode), want, T=T, A=A)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: layers.mttkrp(3), "mode: expected -3 to 2, found 3"),
        (lambda: layers.ttm(ndim=5), "ndim: expected 2 to 4 modes, found 5"),
        (
            lambda: layers.lstm_cell(output="both"),
            "output: expected 'hidden' or 'cell', found 'both'",
        ),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(zs.EinsumError) as caught:
        call()
    assert str(caught.value) == text

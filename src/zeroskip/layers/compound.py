"""Layers made of several: residual, squeeze-and-excite, LSTM cell."""

from __future__ import annotations

from zeroskip.computing import Layer, layer
from zeroskip.errors import EinsumError
from zeroskip.layers.spelling import flag, letters, listed, wrapped


def residual(*, ndim: int = 4, activation: str | None = None) -> Layer:
    """What a block computed, ``I``, plus its ``shortcut``, of the same shape.

    >>> print(residual(activation="relu"))
    O[n,c,h,w] = relu(I[n,c,h,w] + shortcut[n,c,h,w])
    """
    axes = listed(letters(ndim))
    return layer(f"O[{axes}] = " + wrapped(activation, f"I[{axes}] + shortcut[{axes}]"))


def squeeze_excite(*, bias: bool = True) -> Layer:
    """Every channel times a weight that the means of all channels give.

    Operands: ``I`` of shape (N, C, H, W); ``F1`` of (K, C) and ``B1`` of (K,), which squeeze C
    channels to K; ``F2`` of (C, K) and ``B2`` of (C,), which bring them back.

    >>> print(squeeze_excite(bias=False))
    S[n,c] = sum[h,w](I[n,c,h,w])/(H*W)
    Z[n,k] = relu(S[n,c]*F1[k,c])
    E[n,c] = sigmoid(Z[n,k]*F2[c,k])
    O[n,c,h,w] = I[n,c,h,w]*E[n,c]
    """
    first, second = (" + B1[k]", " + B2[c]") if flag("bias", bias) else ("", "")
    return layer(
        "S[n,c] = sum[h,w](I[n,c,h,w])/(H*W)\n"
        f"Z[n,k] = relu(S[n,c]*F1[k,c]{first})\n"
        f"E[n,c] = sigmoid(Z[n,k]*F2[c,k]{second})\n"
        "O[n,c,h,w] = I[n,c,h,w]*E[n,c]"
    )


def lstm_cell(*, bias: bool = True, output: str = "hidden") -> Layer:
    """One step of a long short-term memory.

    Operands, in torch's layout with gates in the order input, forget, cell, output: ``I`` of shape
    (N, C), the step's input; ``F`` of (4·H, C), its weights; ``hidden`` of (N, H); ``R`` of
    (4·H, H), the recurrent weights; ``BF``, ``BR`` of (4·H,) where ``bias``; ``cell`` of (N, H).

    Parameters
    ----------
    bias : bool
    output : ``"hidden"`` or ``"cell"``
        Which of the two new states, of shape (N, H), is the result.

    Examples
    --------
    >>> print(lstm_cell(bias=False))
    T[n,y,h] = I[n,c]*F[H*y+h,c] + hidden[n,j]*R[H*y+h,j]
    L[n,h] = sigmoid(T[n,1,h])*cell[n,h] + sigmoid(T[n,0,h])*tanh(T[n,2,h])
    O[n,h] = sigmoid(T[n,3,h])*tanh(L[n,h])
    """
    if output not in ("hidden", "cell"):
        raise EinsumError(f"output: expected 'hidden' or 'cell', found {output!r}")
    gates = "T[n,y,h] = I[n,c]*F[H*y+h,c] + hidden[n,j]*R[H*y+h,j]"
    gates += " + BF[H*y+h] + BR[H*y+h]" if flag("bias", bias) else ""
    name = "L" if output == "hidden" else "O"
    lines = [
        gates,
        f"{name}[n,h] = sigmoid(T[n,1,h])*cell[n,h] + sigmoid(T[n,0,h])*tanh(T[n,2,h])",
        "O[n,h] = sigmoid(T[n,3,h])*tanh(L[n,h])",
    ]
    return layer("\n".join(lines if output == "hidden" else lines[:2]), sizes={"y": 4})

"""Attention: against softmax of the scores row by row, and torch."""

import numpy as np
import pytest
from oracles import agree, drawn

import zeroskip as zs
from zeroskip import layers

Q, K, V = drawn(1, 2, 2, 5, 4), drawn(2, 2, 2, 6, 4), drawn(3, 2, 2, 6, 3)


def attended(q, k, v, seen=None, scale=None):
    """Row by row: the weights of the keys that a query sees."""
    scale = 1 / np.sqrt(q.shape[-1]) if scale is None else scale
    out = np.zeros((*q.shape[:-1], v.shape[-1]))
    for *at, p in np.ndindex(q.shape[:-1]):
        keys = np.arange(k.shape[-2]) if seen is None else np.flatnonzero(seen[p])
        scores = k[(*at, keys)] @ q[(*at, p)] * scale
        weights = np.exp(scores - scores.max())
        out[(*at, p)] = weights / weights.sum() @ v[(*at, keys)]
    return out


def test_every_query_sees_every_key():
    agree(
        layers.scaled_dot_product_attention(),
        attended(Q, K, V),
        lambda torch, t: torch.nn.functional.scaled_dot_product_attention(t["Q"], t["K"], t["V"]),
        Q=Q,
        K=K,
        V=V,
    )
    scaled = layers.scaled_dot_product_attention(scale=0.25)
    agree(scaled, attended(Q, K, V, scale=0.25), Q=Q, K=K, V=V)


def test_causal_attention_sees_no_later_key():
    agree(
        layers.scaled_dot_product_attention(causal=True),
        attended(Q, K, V, np.tri(5, 6)),
        lambda torch, t: torch.nn.functional.scaled_dot_product_attention(
            t["Q"], t["K"], t["V"], is_causal=True
        ),
        Q=Q,
        K=K,
        V=V,
    )


def test_scores_that_are_not_seen_may_be_large():
    q = np.ones((1, 1, 2, 1))
    k = np.array([-2000.0, 2000.0]).reshape(1, 1, 2, 1)
    v = np.array([3.0, 5.0]).reshape(1, 1, 2, 1)
    got = layers.scaled_dot_product_attention(causal=True)(Q=q, K=k, V=v)
    assert got.ravel().tolist() == [3.0, 5.0]
    mask = np.array([[1.0, 0.0], [1.0, 1.0]])
    got = layers.scaled_dot_product_attention(mask=True)(mask=mask, Q=q, K=k, V=v)
    assert got.ravel().tolist() == [3.0, 5.0]


def test_a_mask_says_what_is_seen():
    mask = (drawn(4, 5, 6) != 0).astype(float)
    mask[:, 2] = 1.0
    agree(
        layers.scaled_dot_product_attention(mask=True),
        attended(Q, K, V, mask),
        lambda torch, t: torch.nn.functional.scaled_dot_product_attention(
            t["Q"], t["K"], t["V"], attn_mask=t["mask"] != 0
        ),
        mask=mask,
        Q=Q,
        K=K,
        V=V,
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("bias", [False, True])
def test_multi_head_attention_is_torchs(causal, bias):
    x, F, W = drawn(5, 2, 3, 4), drawn(6, 12, 4), drawn(7, 4, 4)
    B, b = (drawn(8, 12), drawn(9, 4)) if bias else (np.zeros(12), np.zeros(4))
    split = (x @ F.T + B).reshape(2, 3, 3, 2, 2).transpose(2, 0, 3, 1, 4)  # y n h p e
    heads = attended(*split, np.tri(3) if causal else None)
    want = heads.transpose(0, 2, 1, 3).reshape(2, 3, 4) @ W.T + b

    def by_torch(torch, t):
        module = torch.nn.MultiheadAttention(4, 2, bias=bias, batch_first=True).double()
        given = {"in_proj_weight": t["F"], "out_proj.weight": t["W"]}
        given |= {"in_proj_bias": t["B"], "out_proj.bias": t["b"]} if bias else {}
        module.load_state_dict(given)
        mask = ~torch.ones(3, 3).tril().bool() if causal else None
        with torch.no_grad():
            return module(t["I"], t["I"], t["I"], attn_mask=mask)[0]

    operands = {"I": x, "F": F, "W": W} | ({"B": B, "b": b} if bias else {})
    layer = layers.multi_head_attention(4, 2, causal=causal, bias=bias)
    agree(layer, want, by_torch, **operands)


def test_a_causal_bracket_halves_the_scores():
    """Effectual multiplications of the line of scores: M(M+1)/2 of M·M pairs."""
    line = layers.scaled_dot_product_attention(causal=True).text.splitlines()[0]
    q = np.ones((1, 1, 6, 4))
    found = zs.layer(line)(Q=q, K=q)
    assert np.count_nonzero(found) == 6 * 7 // 2


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: layers.scaled_dot_product_attention(causal=True, mask=True),
            "expected causal or mask, found both\nPut m <= p into the mask.",
        ),
        (
            lambda: layers.multi_head_attention(10, 4),
            "embed_dim: expected a multiple of num_heads, found 10 for 4 heads",
        ),
    ],
)
def test_what_is_refused(call, text):
    with pytest.raises(zs.EinsumError) as caught:
        call()
    assert str(caught.value) == text

"""Attention: P queries, M keys, E and F features, H heads, B samples."""

from __future__ import annotations

from zeroskip.computing import Layer, layer
from zeroskip.errors import EinsumError
from zeroskip.layers.spelling import each, flag, number

LEAST = "-1e+30"
"""Stands for a score that a mask leaves out, where the largest one is looked for."""


def scaled_dot_product_attention(
    *, causal: bool = False, mask: bool = False, scale: float | None = None
) -> Layer:
    """softmax(Q·Kᵀ·scale)·V, for every head of every sample.

    Operands: ``mask`` of shape (P, M) where asked for, then ``Q`` of (B, H, P, E), ``K`` of
    (B, H, M, E), ``V`` of (B, H, M, F).  Result: ``O`` of (B, H, P, F).  A sparse mask samples the
    scores: only its entries are computed.

    Parameters
    ----------
    causal : bool
        Query p sees keys m ≤ p; the bracket bounds the loops.
    mask : bool
        Query p sees keys where mask[p,m] is not 0, of which it has one at least.
    scale : float, optional
        1/sqrt(E) where it is not given.

    Examples
    --------
    >>> print(scaled_dot_product_attention(causal=True))
    S[b,h,p,m] = (m <= p)*Q[b,h,p,e]*K[b,h,m,e]/sqrt(E)
    X[b,h,p] = max[m](where(m <= p, S[b,h,p,m], S[b,h,p,0]))
    A[b,h,p,m] = (m <= p)*exp(S[b,h,p,m] - X[b,h,p])
    D[b,h,p] = sum[m](A[b,h,p,m])
    O[b,h,p,f] = A[b,h,p,m]*V[b,h,m,f]/D[b,h,p]
    """
    causal, mask = flag("causal", causal), flag("mask", mask)
    if causal and mask:
        raise EinsumError("expected causal or mask, found both", hint="Put m <= p into the mask.")
    products = f"Q[b,h,p,e]*K[b,h,m,e]{_scaled(scale)}"
    scores, weights = _softmax("b,h,p", causal, mask)
    return layer(
        f"S[b,h,p,m] = {scores}{products}\n{weights}\nO[b,h,p,f] = A[b,h,p,m]*V[b,h,m,f]/D[b,h,p]"
    )


def multi_head_attention(
    embed_dim: int, num_heads: int, *, causal: bool = False, bias: bool = True
) -> Layer:
    """Attention of a sequence to itself, projections included, as torch's module has it.

    Operands, with E = ``embed_dim``: ``I`` of shape (N, P, E); ``F`` of (3·E, E), the projections
    to queries, keys and values (``in_proj_weight``), and ``B`` of (3·E,); ``W`` of (E, E), the one
    of the result (``out_proj``), and ``b`` of (E,); B and b where ``bias``.  Result: ``O`` of
    (N, P, E).

    Parameters
    ----------
    embed_dim, num_heads : int
        Every head has embed_dim/num_heads features.
    causal : bool
        Place p sees places m ≤ p.
    bias : bool

    Examples
    --------
    >>> print(multi_head_attention(64, 4, bias=False))
    T[n,y,h,p,e] = I[n,p,c]*F[H*E*y+E*h+e,c]
    S[n,h,p,m] = T[n,0,h,p,e]*T[n,1,h,m,e]/sqrt(E)
    X[n,h,p] = max[m](S[n,h,p,m])
    A[n,h,p,m] = exp(S[n,h,p,m] - X[n,h,p])
    D[n,h,p] = sum[m](A[n,h,p,m])
    Z[n,h,p,e] = A[n,h,p,m]*T[n,2,h,m,e]/D[n,h,p]
    O[n,p,k] = Z[n,h,p,e]*W[k,E*h+e]
    """
    causal, bias = flag("causal", causal), flag("bias", bias)
    (width,), (heads,) = each("embed_dim", embed_dim, 1), each("num_heads", num_heads, 1)
    if width % heads:
        raise EinsumError(
            f"embed_dim: expected a multiple of num_heads, found {width} for {heads} heads"
        )
    rows = "H*E*y+E*h+e"
    scores, weights = _softmax("n,h,p", causal, False)
    lines = (
        f"T[n,y,h,p,e] = I[n,p,c]*F[{rows},c]" + (f" + B[{rows}]" if bias else ""),
        f"S[n,h,p,m] = {scores}T[n,0,h,p,e]*T[n,1,h,m,e]/sqrt(E)",
        weights,
        "Z[n,h,p,e] = A[n,h,p,m]*T[n,2,h,m,e]/D[n,h,p]",
        "O[n,p,k] = Z[n,h,p,e]*W[k,E*h+e]" + (" + b[k]" if bias else ""),
    )
    return layer("\n".join(lines), sizes={"y": 3, "h": heads, "e": width // heads})


def _softmax(query: str, causal: bool, mask: bool) -> tuple[str, str]:
    """A factor of the scores, and the lines from scores S to weights A and their sums D."""
    score = f"S[{query},m]"
    factor, seen, weight = "", score, f"exp({score} - X[{query}])"
    if causal:
        factor = "(m <= p)*"
        seen = f"where(m <= p, {score}, S[{query},0])"
        weight = factor + weight
    elif mask:
        factor = "(mask[p,m] != 0)*"
        seen = f"where(mask[p,m] != 0, {score}, {LEAST})"
        weight = f"where(mask[p,m] != 0, {weight}, 0)"  # the exponential may be infinite
    lines = (
        f"X[{query}] = max[m]({seen})",
        f"A[{query},m] = {weight}",
        f"D[{query}] = sum[m](A[{query},m])",
    )
    return factor, "\n".join(lines)


def _scaled(scale: float | None) -> str:
    return "/sqrt(E)" if scale is None else f"*{number('scale', scale)}"

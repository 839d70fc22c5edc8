"""Normalisation: batch, layer and local response, training statistics, folding into weights.

``I`` has ``ndim`` axes (4: N, C, H, W), channels second.  Parameters of batch norm have one value a
channel: ``mean`` and ``var``, which inference takes from running averages, ``gamma`` and ``beta``.
The book's chapter 2, its equation 2.5.
"""

from __future__ import annotations

from zeroskip.computing import Layer, layer
from zeroskip.errors import EinsumError
from zeroskip.layers.spelling import each, flag, letters, listed, number


def batch_norm(
    *, eps: float = 1e-5, ndim: int = 4, affine: bool = True, training: bool = False
) -> Layer:
    """Every channel less its mean, over its deviation, times gamma, plus beta.

    Operands: ``I``; ``mean``, ``var`` of shape (C,), without them where ``training``; ``gamma``,
    ``beta`` of (C,) where ``affine``.  Result: ``O`` of the shape of I.

    Parameters
    ----------
    eps : float
        Added to the variance.
    ndim : int
    affine : bool
    training : bool
        Mean and (biased) variance are those of the batch; `running_average` keeps them.

    Examples
    --------
    >>> print(batch_norm(ndim=2))
    O[n,c] = (I[n,c] - mean[c])/sqrt(var[c] + 1e-05)*gamma[c] + beta[c]
    >>> print(batch_norm(ndim=2, training=True, affine=False))
    mean[c] = sum[n](I[n,c])/N
    var[c] = sum[n](pow(I[n,c] - mean[c], 2))/N
    O[n,c] = (I[n,c] - mean[c])/sqrt(var[c] + 1e-05)
    """
    axes = _batch(ndim)
    affine, training = flag("affine", affine), flag("training", training)
    line = _normalised(listed(axes), "c", "c" if affine else "", eps)
    return layer(f"{_mean(axes)}\n{_variance(axes)}\n{line}" if training else line)


def batch_mean(*, ndim: int = 4) -> Layer:
    """The mean of each channel over a batch: ``mean`` of shape (C,).

    >>> print(batch_mean())
    mean[c] = sum[n,h,w](I[n,c,h,w])/(N*H*W)
    """
    return layer(_mean(_batch(ndim)))


def batch_variance(*, ndim: int = 4, unbiased: bool = False) -> Layer:
    """The variance of each channel over a batch: ``var`` of shape (C,).

    Parameters
    ----------
    ndim : int
    unbiased : bool
        Divide by one less than the number of values: what torch keeps a running average of, while
        it normalises by the biased one.

    Examples
    --------
    >>> print(batch_variance(ndim=2, unbiased=True))
    mean[c] = sum[n](I[n,c])/N
    var[c] = sum[n](pow(I[n,c] - mean[c], 2))/(N - 1)
    """
    axes, unbiased = _batch(ndim), flag("unbiased", unbiased)
    return layer(f"{_mean(axes)}\n{_variance(axes, unbiased)}")


def running_average(*, momentum: float = 0.1) -> Layer:
    """What inference will use: ``running``, moved towards ``batch``, both of shape (C,).

    >>> print(running_average())
    O[c] = 0.9*running[c] + 0.1*batch[c]
    """
    new, old = number("momentum", momentum), number("momentum", 1 - momentum)
    return layer(f"O[c] = {old}*running[c] + {new}*batch[c]")


def fold_weights(*, eps: float = 1e-5, ndim: int = 4) -> Layer:
    """Filters with the batch norm behind them multiplied in; zeros stay zeros.

    Operands: ``F`` of shape (M, C, R, S), or of another ``ndim``; ``gamma``, ``var`` of (M,).
    `fold_bias` makes the bias that goes with them.

    >>> print(fold_weights())
    O[m,c,r,s] = F[m,c,r,s]*gamma[m]/sqrt(var[m] + 1e-05)
    """
    if not isinstance(ndim, int) or not 2 <= ndim <= 5:
        raise EinsumError(f"ndim: expected 2 to 5 axes of F, found {ndim!r}")
    axes = listed(("mc", "mcs", "mcrs", "mckrs")[ndim - 2])
    return layer(f"O[{axes}] = F[{axes}]*gamma[m]/sqrt(var[m] + {number('eps', eps)})")


def fold_bias(*, eps: float = 1e-5, bias: bool = False) -> Layer:
    """The bias of a layer whose filters `fold_weights` made.

    Operands: ``B``, the layer's own, where ``bias``; ``mean``, ``gamma``, ``var``, ``beta``: (M,).

    >>> print(fold_bias(bias=True))
    O[m] = (B[m] - mean[m])*gamma[m]/sqrt(var[m] + 1e-05) + beta[m]
    """
    shift = "(B[m] - mean[m])" if flag("bias", bias) else "-mean[m]"
    return layer(f"O[m] = {shift}*gamma[m]/sqrt(var[m] + {number('eps', eps)}) + beta[m]")


def layer_norm(
    normalized_ndim: int = 1, *, eps: float = 1e-5, ndim: int = 2, affine: bool = True
) -> Layer:
    """Every sample less its mean, over its deviation, times gamma, plus beta.

    Operands: ``I`` of ``ndim`` axes; ``gamma``, ``beta`` of the shape of its last
    ``normalized_ndim`` ones, over which mean and variance are taken, where ``affine``.

    >>> print(layer_norm())
    mean[n] = sum[c](I[n,c])/C
    var[n] = sum[c](pow(I[n,c] - mean[n], 2))/C
    O[n,c] = (I[n,c] - mean[n])/sqrt(var[n] + 1e-05)*gamma[c] + beta[c]
    """
    axes = letters(ndim)
    (last,) = each("normalized_ndim", normalized_ndim, 1)
    if last >= ndim:
        raise EinsumError(
            f"normalized_ndim: expected less than the {ndim} axes of ndim, found {last}"
        )
    rest, over = axes[:-last], axes[-last:]
    line = _normalised(
        listed(axes), listed(rest), listed(over) if flag("affine", affine) else "", eps
    )
    return layer(f"{_mean(axes, over)}\n{_variance(axes, False, over)}\n{line}")


def local_response_norm(
    size: int, *, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0, ndim: int = 4
) -> Layer:
    """LRN: every value over a power of the squares of ``size`` neighbouring channels.

    Parameters
    ----------
    size : int
        Channels, half of them before.
    alpha, beta, k : float
        O = I / (k + alpha/size·Σ I²)^beta.
    ndim : int

    Examples
    --------
    >>> print(local_response_norm(3, ndim=2))
    S[n,c] = sum[j](pow(I[n,c+j], 2))
    O[n,c] = I[n,c+1]/pow(1.0 + 0.0001/3*S[n,c], 0.75)
    """
    (near,) = each("size", size, 1)
    axes = listed(_batch(ndim))
    before = near // 2
    around = axes.replace("c", "c+j" if near > 1 else "c")
    shifted = axes.replace("c", f"c+{before}" if before else "c")
    total = f"sum[j](pow(I[{around}], 2))" if near > 1 else f"pow(I[{axes}], 2)"
    scale = f"{number('alpha', alpha)}/{near}"
    text = (
        f"S[{axes}] = {total}\n"
        f"O[{axes}] = I[{shifted}]/pow({number('k', k)} + {scale}*S[{axes}], "
        f"{number('beta', beta)})"
    )
    if near == 1:
        return layer(text)
    return layer(text, sizes={"j": near}, pad={"I": {1: (before, near - 1 - before)}})


def _batch(ndim: int) -> str:
    """Axes of a batch with channels."""
    axes = letters(ndim)
    if ndim < 2:
        raise EinsumError(f"ndim: expected 2 to 5 axes, N and C first, found {ndim}")
    return axes


def _mean(axes: str, over: str | None = None) -> str:
    over, rest = _parts(axes, over)
    return f"mean[{listed(rest)}] = sum[{listed(over)}](I[{listed(axes)}])/{_count(over)}"


def _variance(axes: str, unbiased: bool = False, over: str | None = None) -> str:
    over, rest = _parts(axes, over)
    count = f"({_count(over).strip('()')} - 1)" if unbiased else _count(over)
    squares = f"pow(I[{listed(axes)}] - mean[{listed(rest)}], 2)"
    return f"var[{listed(rest)}] = sum[{listed(over)}]({squares})/{count}"


def _parts(axes: str, over: str | None) -> tuple[str, str]:
    """Axes to take a mean over, and the others: channels, where nothing else is said."""
    over = axes.replace("c", "") if over is None else over
    return over, "".join(name for name in axes if name not in over)


def _count(over: str) -> str:
    extents = "*".join(over.upper())
    return f"({extents})" if len(over) > 1 else extents


def _normalised(axes: str, of: str, parameters: str, eps: float) -> str:
    line = f"O[{axes}] = (I[{axes}] - mean[{of}])/sqrt(var[{of}] + {number('eps', eps)})"
    return line + (f"*gamma[{parameters}] + beta[{parameters}]" if parameters else "")

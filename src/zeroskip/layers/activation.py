"""Activations: a function of every value, as layers of their own.

Operand ``I`` and result ``O`` have the same shape, of ``ndim`` axes (4: N, C, H, W).  Those that
are 0 at 0 follow the entries of a sparse operand.  Chapter 2 of the book shows the functions.
`conv2d` and `linear` take one as ``activation=``, in the same pass.
"""

from __future__ import annotations

from math import pi, sqrt

from zeroskip.computing import Layer, layer
from zeroskip.errors import EinsumError
from zeroskip.layers.spelling import letters, listed, number


def relu(ndim: int = 4) -> Layer:
    """max(x, 0): negative values become zeros, which a compressed result leaves out.

    >>> print(relu(2))
    O[n,c] = relu(I[n,c])
    """
    return _pointwise("relu({x})", ndim)


def leaky_relu(negative_slope: float = 0.01, ndim: int = 4) -> Layer:
    """x where it is positive, ``negative_slope``·x elsewhere.

    >>> print(leaky_relu(0.1, ndim=2))
    O[n,c] = where(I[n,c] > 0, I[n,c], 0.1*I[n,c])
    """
    slope = number("negative_slope", negative_slope)
    return _pointwise(f"where({{x}} > 0, {{x}}, {slope}*{{x}})", ndim)


def elu(alpha: float = 1.0, ndim: int = 4) -> Layer:
    """x where it is positive, ``alpha``·(exp(x) - 1) elsewhere.

    >>> print(elu(ndim=2))
    O[n,c] = where(I[n,c] > 0, I[n,c], 1.0*(exp(I[n,c]) - 1))
    """
    scale = number("alpha", alpha)
    return _pointwise(f"where({{x}} > 0, {{x}}, {scale}*(exp({{x}}) - 1))", ndim)


def sigmoid(ndim: int = 4) -> Layer:
    """1/(1 + exp(-x)).

    >>> print(sigmoid(2))
    O[n,c] = sigmoid(I[n,c])
    """
    return _pointwise("sigmoid({x})", ndim)


def tanh(ndim: int = 4) -> Layer:
    """The hyperbolic tangent.

    >>> print(tanh(2))
    O[n,c] = tanh(I[n,c])
    """
    return _pointwise("tanh({x})", ndim)


def swish(ndim: int = 4) -> Layer:
    """x·sigmoid(x), also called SiLU.

    >>> print(swish(2))
    O[n,c] = swish(I[n,c])
    """
    return _pointwise("swish({x})", ndim)


def gelu(approximate: str = "none", ndim: int = 4) -> Layer:
    """x·Φ(x), with Φ the distribution of the normal law.

    Parameters
    ----------
    approximate : ``"none"`` or ``"tanh"``
        Φ by the error function, or x·(1 + tanh(sqrt(2/π)·(x + 0.044715·x³)))/2.

    Examples
    --------
    >>> print(gelu(ndim=2))
    O[n,c] = gelu(I[n,c])
    """
    if approximate == "none":
        return _pointwise("gelu({x})", ndim)
    if approximate != "tanh":
        raise EinsumError(f"approximate: expected 'none' or 'tanh', found {approximate!r}")
    inner = f"{sqrt(2 / pi)!r}*({{x}} + 0.044715*{{x}}*{{x}}*{{x}})"
    return _pointwise(f"0.5*{{x}}*(1 + tanh({inner}))", ndim)


def softmax(dim: int = -1, ndim: int = 2) -> Layer:
    """exp(x)/sum(exp(x)) along one axis, its largest value taken off first.

    Parameters
    ----------
    dim : int
        The axis that sums to 1.
    ndim : int

    Examples
    --------
    >>> print(softmax())
    X[n] = max[c](I[n,c])
    E[n,c] = exp(I[n,c] - X[n])
    S[n] = sum[c](E[n,c])
    O[n,c] = E[n,c]/S[n]
    """
    axes, rest, along = _split(dim, ndim)
    return layer(f"{_exponentials(axes, rest, along)}\nO[{axes}] = E[{axes}]/S[{rest}]")


def log_softmax(dim: int = -1, ndim: int = 2) -> Layer:
    """The logarithm of `softmax`, which does not underflow.

    >>> print(str(log_softmax()).splitlines()[-1])
    O[n,c] = I[n,c] - X[n] - log(S[n])
    """
    axes, rest, along = _split(dim, ndim)
    last = f"O[{axes}] = I[{axes}] - X[{rest}] - log(S[{rest}])"
    return layer(f"{_exponentials(axes, rest, along)}\n{last}")


def _exponentials(axes: str, rest: str, along: str) -> str:
    return (
        f"X[{rest}] = max[{along}](I[{axes}])\n"
        f"E[{axes}] = exp(I[{axes}] - X[{rest}])\n"
        f"S[{rest}] = sum[{along}](E[{axes}])"
    )


def _split(dim: int, ndim: int) -> tuple[str, str, str]:
    """All axes, those without ``dim``, and ``dim``."""
    names = letters(ndim)
    if ndim < 2:
        raise EinsumError(
            "ndim: expected 2 to 5 axes, found 1",
            hint="Give a vector an axis of extent 1: x[None].",
        )
    if not isinstance(dim, int) or not -ndim <= dim < ndim:
        raise EinsumError(f"dim: expected an axis, {-ndim} to {ndim - 1}, found {dim!r}")
    along = names[dim]
    return listed(names), listed(names.replace(along, "")), along


def _pointwise(text: str, ndim: int) -> Layer:
    axes = listed(letters(ndim))
    return layer(f"O[{axes}] = {text.format(x=f'I[{axes}]')}")

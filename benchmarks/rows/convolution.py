"""3×3 convolutions, batch 1, padding 1: sparse weights; sparse activations; both."""

from __future__ import annotations

from functools import partial

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Array, Contest, Entrant, gather
from benchmarks.peers.torch_peers import CONVOLUTIONS, ONEDNN
from benchmarks.rows.row import Row
from benchmarks.rows.spmm import POINTS, bars, drawn

TEXT = "O[n,m,p,q] = I[n,c,U*p+r,U*q+s] * F[m,c,r,s]"
LAYERS = ("64,56²", "128,28²", "256,14²", "512,7²")
PIXELS = "0:U 2:U 3:U 1:C"
ACTIVATIONS = ("0.5", "0.3", "0.2", "0.1", "0.05")


def conv(stride: int, pad: int) -> zs.Layer:
    return zs.layer(TEXT, consts={"U": stride}, pad=pad)


def reference(image: Array, weights: Array, stride: int, pad: int) -> Array:
    """In float64 by im2col and one matrix product."""
    wide = np.pad(image.astype(np.float64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    r, s = weights.shape[2:]
    windows = np.lib.stride_tricks.sliding_window_view(wide, (r, s), axis=(2, 3))
    windows = windows[:, :, ::stride, ::stride]
    n, _, p, q = windows.shape[:4]
    columns = windows.transpose(0, 2, 3, 1, 4, 5).reshape(n * p * q, -1)
    sums = columns @ weights.reshape(len(weights), -1).astype(np.float64).T
    return np.ascontiguousarray(sums.reshape(n, p, q, -1).transpose(0, 3, 1, 2))


def effectual(image: Array, weights: Array, stride: int, pad: int) -> int:
    """Multiplications of two values that are not zero."""
    both = reference(image != 0, weights != 0, stride, pad)
    return round(float(both.sum()))


def contest_of(
    image: Array, weights: Array, ours: Entrant, stride: int = 1, pad: int = 1
) -> Contest:
    """One convolution: ours against every path of torch and oneDNN."""
    found, missing = gather(
        (name, partial(make, image, weights, pad, stride)) for name, make in CONVOLUTIONS.items()
    )
    return Contest(
        reference(image, weights, stride, pad),
        (ours, *found),
        scale=float(reference(np.abs(image), np.abs(weights), stride, pad).max(initial=0)),
        multiplications=effectual(image, weights, stride, pad),
        missing=missing,
    )


def drawn_layer(
    shape: str, rng: np.random.Generator, image_density: float, weight_density: float
) -> tuple[Array, Array]:
    channels, side = (int(x) for x in shape.rstrip("²").split(","))
    return (
        drawn(rng, (1, channels, side, side), image_density),
        drawn(rng, (channels, channels, 3, 3), weight_density),
    )


def weights_sparse(shape: str, at: str, rng: np.random.Generator) -> Contest:
    image, weights = drawn_layer(shape, rng, 1.0, float(at))
    bound = conv(1, 1).bind(F=zs.tensor(weights, "CSR"))
    return contest_of(image, weights, Entrant("zeroskip CSR, bound", OURS, lambda: bound(I=image)))


def activations_sparse(shape: str, at: str, rng: np.random.Generator) -> Contest:
    """The image comes dense at every call, and is put into its format there: the channels of a
    pixel as one fiber."""
    image, weights = drawn_layer(shape, rng, float(at), 1.0)
    bound = conv(1, 1).bind(F=weights)
    return contest_of(
        image,
        weights,
        Entrant("zeroskip, image encoded", OURS, lambda: bound(I=zs.tensor(image, PIXELS))),
    )


def both_sparse(shape: str, at: str, rng: np.random.Generator) -> Contest:
    """Weights at density 0.2; the image at this density, encoded at every call.  The peers are
    zeroskip that is told to walk both, and zeroskip on the dense image, which skips the weights
    only."""
    image, weights = drawn_layer(shape, rng, float(at), 0.2)
    stored = zs.tensor(weights, "CSR")
    bound = conv(1, 1).bind(F=stored)

    def walked() -> Array:
        found = bound(I=zs.tensor(image, "bitmask"), convert=False)
        assert isinstance(found, np.ndarray)
        return found

    default = Entrant("zeroskip, image encoded", OURS, lambda: bound(I=zs.tensor(image, "bitmask")))
    contest = contest_of(image, weights, default)
    both = Entrant("zeroskip, both walked", "both walked", walked)
    one = Entrant("zeroskip, dense image", "weights only", lambda: bound(I=image))
    return Contest(
        contest.expected,
        (default, both, one),
        contest.scale,
        multiplications=contest.multiplications,
    )


ROWS = (
    Row(
        "conv",
        "3×3 convolution, sparse weights",
        lambda: LAYERS,
        POINTS,
        weights_sparse,
        bars(ONEDNN, POINTS, 1.1, 1.6, 2.3, 2.9, 5, 8.5, 22),
        quick=(2, 3),
    ),
    Row(
        "conv-activations",
        "3×3 convolution, sparse activations × dense weights, encoding included",
        lambda: LAYERS,
        ACTIVATIONS,
        activations_sparse,
        bars(ONEDNN, ACTIVATIONS, 0.8, 1.0, 1.7, 3.2, 5),
        notes=("The goal at 0.5 is 1.0×.",),
    ),
    Row(
        "conv-both",
        "3×3 convolution, both sparse: does the second operand pay?",
        lambda: LAYERS,
        ("0.3", "0.1", "0.03", "0.01"),
        both_sparse,
        bars("weights only", ("0.3", "0.1", "0.03", "0.01"), *[None] * 4)
        + bars("both walked", ("0.3", "0.1", "0.03", "0.01"), *[None] * 4),
        notes=(
            "Weights of density 0.2 throughout. Below 1 against both walked, skipping the zeros of "
            "the image too would pay; by default the encoded image is made dense again.",
        ),
    ),
)

"""Real layers: the pruned SqueezeNet, and the matrices of a pruned ResNet-50."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Array, Contest, Entrant, gather
from benchmarks.data import file, masks
from benchmarks.peers import mkl, scipy_csr, torch_peers
from benchmarks.rows.convolution import contest_of as convolution
from benchmarks.rows.convolution import conv
from benchmarks.rows.row import Bar, Row
from benchmarks.rows.spmm import contest_of as product

RESNET = "dlmc_rn50_magnitude_0.9"
SPARSE, DENSE, ONEDNN = "best sparse", "best dense", torch_peers.ONEDNN


def squeezenet() -> Sequence[str]:
    with np.load(file("nets", "squeezenet_dc.npz")) as held:
        return sorted(key[:-2] for key in held.files if key.endswith(".w"))


def squeezenet_layer(shape: str, at: str, rng: np.random.Generator) -> Contest:
    """A layer with the activations of its first photograph; the sparse peers are given its
    im2col matrix for nothing."""
    with np.load(file("nets", "squeezenet_dc.npz")) as held:
        weights = held[f"{shape}.w"]
        own = f"{shape}.x" in held.files
        source = shape if own else shape.replace("expand3x3", "expand1x1")
        image = np.ascontiguousarray(held[f"{source}.x"][:1])
    stride, pad = (2 if weights.shape[2] == 7 else 1), int(weights.shape[2] == 3)
    bound = conv(stride, pad).bind(F=zs.tensor(weights, "CSR"))
    ours = Entrant("zeroskip CSR, bound", OURS, lambda: bound(I=image))
    contest = convolution(image, weights, ours, stride, pad)
    flat = weights.reshape(len(weights), -1)
    columns = im2col(image, weights.shape[2:], stride, pad)
    found, missing = gather(
        (
            (mkl.NAME, lambda: mkl.product(flat, columns)),
            ("SciPy CSR", lambda: scipy_csr.product(flat, columns)),
            ("torch CSR", lambda: torch_peers.csr_product(flat, columns)),
        )
    )
    sparse = [
        Entrant(f"{e.name}, im2col free", e.family, e.call, _shaped(e, contest.expected.shape))
        for e in found
    ]
    return Contest(
        contest.expected,
        (*contest.entrants, *sparse),
        contest.scale,
        multiplications=contest.multiplications,
        missing={**contest.missing, **missing},
    )


def _shaped(entrant: Entrant, shape: tuple[int, ...]) -> functools.partial[Array]:
    return functools.partial(_reshaped, entrant, shape)


def _reshaped(entrant: Entrant, shape: tuple[int, ...], result: object) -> Array:
    return entrant.answer(result).reshape(shape)


def im2col(image: Array, window: tuple[int, ...], stride: int, pad: int) -> Array:
    """(c,r,s) × (p,q) of an image of batch 1."""
    wide = np.pad(image, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    found = np.lib.stride_tricks.sliding_window_view(wide, window, axis=(2, 3))
    found = found[0, :, ::stride, ::stride]
    c, p, q, r, s = found.shape
    return np.ascontiguousarray(found.transpose(0, 3, 4, 1, 2).reshape(c * r * s, p * q))


@functools.cache
def resnet_masks() -> dict[str, tuple[Array, int]]:
    return masks(RESNET)


def resnet_layer(shape: str, at: str, rng: np.random.Generator) -> Contest:
    mask, columns = resnet_masks()[shape]
    weights = np.where(mask, rng.standard_normal(mask.shape, dtype=np.float32), 0)
    dense = rng.standard_normal((mask.shape[1], columns), dtype=np.float32)
    return product(weights.astype(np.float32), dense, "CSR")


ROWS = (
    Row(
        "squeezenet",
        "SqueezeNet, pruned: every layer",
        squeezenet,
        ("as pruned",),
        squeezenet_layer,
        (Bar(ONEDNN, None, None), Bar(SPARSE, None, 1.0, floor=1.0)),
        quick=(4, 1),
        notes=(
            "Weights stay, activations are those of one photograph. Sparse peers multiply an "
            "im2col matrix that costs them nothing.",
        ),
    ),
    Row(
        "resnet50",
        "ResNet-50, magnitude-pruned to 0.1: every layer as a matrix",
        lambda: list(resnet_masks()),
        ("as pruned",),
        resnet_layer,
        (Bar(DENSE, None, None), Bar(SPARSE, None, 1.0, floor=1.0)),
        quick=(4, 1),
        notes=("Masks are those of the network, values are drawn; N is that of each layer.",),
    ),
)

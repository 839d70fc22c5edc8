"""SDDMM, MTTKRP, and dot products of sparse vectors."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

import zeroskip as zs
from benchmarks.contest import OURS, Array, Contest, Entrant, gather
from benchmarks.peers import scipy_csr, torch_peers
from benchmarks.rows.row import Bar, Row
from benchmarks.rows.spmm import bars, drawn

SAMPLED = ("0.3", "0.1", "0.05", "0.01")
DOTS = ("0.5", "0.1", "0.01")
PAIRS = 512
"""Pairs of vectors in one call, so that the call itself is a small part of it."""


def densely(result: Any) -> Array:
    return np.asarray(result.toarray())


def sddmm(shape: str, at: str, rng: np.random.Generator) -> Contest:
    """``O = S * (A B)`` with S a mask of ones; the result has its places."""
    n, rank = map(int, shape.split(","))
    mask = (drawn(rng, (n, n), float(at)) != 0).astype(np.float32)
    a = rng.standard_normal((n, rank), dtype=np.float32)
    b = rng.standard_normal((rank, n), dtype=np.float32)
    bound = zs.layers.sddmm().bind(S=zs.tensor(mask, "CSR"))
    found, missing = gather((("torch sampled_addmm", partial(torch_peers.sampled, mask, a, b)),))
    wide, other = a.astype(np.float64), b.astype(np.float64)
    return Contest(
        mask * (wide @ other),
        (
            Entrant("zeroskip CSR", OURS, lambda: bound(A=a, B=b, format="CSR"), densely),
            *found,
        ),
        scale=float((np.abs(wide) @ np.abs(other)).max()),
        multiplications=int(mask.sum()) * rank,
        missing=missing,
    )


def mttkrp(shape: str, at: str, rng: np.random.Generator) -> Contest:
    """``O[i,r] = T[i,j,k]*B[j,r]*C[k,r]``, T in CSF."""
    side, entries, rank = map(int, shape.split(","))
    places = rng.choice(side**3, entries, replace=False)
    coords = np.array(np.unravel_index(np.sort(places), (side,) * 3))
    values = rng.standard_normal(entries, dtype=np.float32)
    b, c = (rng.standard_normal((side, rank), dtype=np.float32) for _ in range(2))
    stored = zs.Tensor.from_coords(list(coords), values, (side,) * 3, "CSF")
    bound = zs.layers.mttkrp().bind(T=stored)
    found, missing = gather(
        (
            (
                "SciPy unfold and reduce",
                partial(scipy_csr.unfolded_mttkrp, coords, values, (side,) * 3, b, c),
            ),
            (
                "SciPy Khatri-Rao",
                partial(scipy_csr.khatri_rao_mttkrp, coords, values, (side,) * 3, b, c),
            ),
        )
    )
    products = values[:, None].astype(np.float64) * b[coords[1]] * c[coords[2]]
    expected, sizes = np.zeros((side, rank)), np.zeros((side, rank))
    np.add.at(expected, coords[0], products)
    np.add.at(sizes, coords[0], np.abs(products))
    return Contest(
        expected,
        (Entrant("zeroskip CSF, bound", OURS, lambda: bound(B=b, C=c)), *found),
        scale=float(sizes.max()),
        multiplications=2 * entries * rank,
        missing=missing,
    )


def dots(shape: str, at: str, rng: np.random.Generator) -> Contest:
    """``y[b] = A[b,k]*B[b,k]``: pairs of sparse vectors, as bitmasks and as sorted lists."""
    length = int(shape)
    a, b = (drawn(rng, (PAIRS, length), float(at)) for _ in range(2))
    layer = zs.layer("y[b] = A[b,k]*B[b,k]")

    def entrant(name: str, family: str, format: str) -> Entrant:
        left, right = (zs.tensor(x, format) for x in (a, b))
        bound = layer.bind(B=right)
        return Entrant(name, family, lambda: bound(A=left))

    wide, other = a.astype(np.float64), b.astype(np.float64)
    return Contest(
        np.asarray((wide * other).sum(axis=1)),
        (
            entrant("zeroskip bitmask", OURS, "0:U 1:B"),
            entrant("zeroskip two fingers", "two fingers", "0:U 1:C"),
        ),
        scale=float(np.abs(wide * other).sum(axis=1).max(initial=0)),
        multiplications=int(np.count_nonzero((a != 0) & (b != 0))),
    )


ROWS = (
    Row(
        "sddmm",
        "SDDMM",
        lambda: ("2048,64",),
        SAMPLED,
        sddmm,
        bars("torch sampled_addmm", SAMPLED, *[1.5] * 4),
        notes=("Shapes are n, inner extent.",),
    ),
    Row(
        "mttkrp",
        "MTTKRP, CSF",
        lambda: ("500,1000000,32",),
        ("drawn",),
        mttkrp,
        (Bar("SciPy unfold", "drawn", 4.0),),
        notes=("Shapes are side, entries, R.",),
    ),
    Row(
        "dot",
        "sparse · sparse dot, bitmasks",
        lambda: ("4096",),
        DOTS,
        dots,
        (
            Bar("two fingers", "0.1", 5.0),
            Bar("two fingers", "0.5", None),
            Bar("two fingers", "0.01", None),
        ),
        notes=(f"{PAIRS} pairs of vectors in a call, each other than the one before.",),
    ),
)

"""Sparse networks: every result sparse, exactly what is known to be right."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from claim import Claim

import zeroskip as zs
from zeroskip.formats.tensor import Tensor

LAYER = "T[i,k] = Y[i,j]*W[j,k]\nZ[i,k] = min(32, relu(T[i,k] + b*(T[i,k] != 0)))"
VOXELS = "O[x,y,z,m] = V[x,y,z] * I[x+r,y+s,z+t,c] * F[r,s,t,c,m]"


def claims(folder: Path) -> Iterator[Claim]:
    yield _graphchallenge(folder)
    yield _office(folder)


def _graphchallenge(folder: Path) -> Claim:
    """30 layers of 1,024 neurons; the file holds which inputs end in a category."""
    import scipy.sparse as sp

    held = np.load(folder / "nets" / "sdnn1024.npz")

    def matrix(name: str, value: float, rows: int) -> Tensor:
        indices = held[f"{name}_indices"]
        values = np.full(len(indices), value, np.float32)
        shape = (rows, 1024)
        return zs.tensor(
            sp.csr_array((values, indices, held[f"{name}_indptr"]), shape=shape), "CSR"
        )

    layer, bias = zs.layer(LAYER), np.float32(held["bias"])
    y: Any = matrix("x", 1.0, len(held["x_indptr"]) - 1)
    weights = [matrix(f"l{n}", float(held["value"]), 1024) for n in range(1, 31)]
    start = time.perf_counter()
    for w in weights:
        y = layer(Y=y, W=w, b=bias, format={"T": "CSR", "Z": "CSR"})
    seconds = time.perf_counter() - start
    found = np.flatnonzero(zs.einsum("C[i] |= Y[i,k] != 0", Y=y))
    wanted = np.sort(held["categories"].ravel())
    return Claim(
        "GraphChallenge, 30 layers of 1,024 neurons, results CSR: the true categories",
        f"{len(found)} of {len(wanted)} found, {seconds:.2f} s",
        bool(np.array_equal(found, wanted)),
    )


def _office(folder: Path) -> Claim:
    """A 3×3×3 submanifold convolution of 109,874 voxels, 16 channels in and out."""
    held = np.load(folder / "matrices" / "voxels_office.npz")
    where, shape = held["coords"].astype(np.int64), tuple(int(n) for n in held["shape"])
    rng, channels, n = np.random.default_rng(0), 16, len(where)
    values = rng.choice(np.array([-1.0, -0.5, 0.25, 1.0, 2.0], np.float32), n * channels)
    coords = [*(np.repeat(k, channels) for k in where.T), np.tile(np.arange(channels), n)]
    image = Tensor.from_coords(coords, values, (*shape, channels), "C C C U")
    places = Tensor.from_coords(list(where.T), np.ones(n, np.float32), shape, "C C C")
    filters = rng.integers(-4, 5, (3, 3, 3, channels, channels)).astype(np.float32) / 4
    layer = zs.layer(VOXELS, pad={"I": {"x": 1, "y": 1, "z": 1}})
    start = time.perf_counter()
    made = layer(V=places, I=image, F=filters, format="C C C U")
    seconds = time.perf_counter() - start
    crop = tuple(slice(24, 120) for _ in shape)
    dense = image.toarray()
    want = np.zeros((96, 96, 96, channels), np.float32)
    for r, s, t in np.ndindex(3, 3, 3):
        moved = dense[23 + r : 119 + r, 23 + s : 119 + s, 23 + t : 119 + t]
        want += moved @ filters[r, s, t]
    want *= places.toarray()[crop][..., None]
    same = np.array_equal(made.toarray()[crop], want)
    return Claim(
        f"voxels_office, {n:,} voxels, 3×3×3 submanifold, {channels} channels: as dense on a crop",
        f"{np.count_nonzero(want):,} of {want.size:,} values not 0, equal: {same}; {seconds:.2f} s",
        bool(same and want.any()),
    )

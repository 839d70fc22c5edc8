"""Convolution of voxels at stored places alone: sparse operands, sparse result, no dense copy."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.formats.tensor import Tensor

TEXT = "O[m,x,y,z] = V[x,y,z] * I[c,x+r,y+s,z+t] * F[m,c,r,s,t]"
PAD = {"I": {"x": 1, "y": 1, "z": 1}}


def features(rng, where, channels):
    """Small exact numbers at every channel of each voxel, channels last in memory."""
    n = len(where)
    coords = [np.tile(np.arange(channels), n), *(np.repeat(k, channels) for k in where.T)]
    return coords, rng.choice([-1.0, -0.5, 0.25, 1.0, 2.0], n * channels).astype(np.float32)


def by_offsets(image, filters):
    """The dense convolution, one filter offset at a time."""
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1), (1, 1)))
    shape = image.shape[1:]
    result = np.zeros((len(filters), *shape), np.float32)
    for r, s, t in np.ndindex(3, 3, 3):
        moved = padded[:, r : r + shape[0], s : s + shape[1], t : t + shape[2]]
        result += np.einsum("mc,cxyz->mxyz", filters[:, :, r, s, t], moved)
    return result


def convolve(where, shape, format, rng):
    coords, values = features(rng, where, 3)
    image = Tensor.from_coords(coords, values, (3, *shape), f"[c,x,y,z] {format} c:U")
    places = Tensor.from_coords(list(where.T), np.ones(len(where), np.float32), shape, "C C C")
    filters = rng.integers(-4, 5, (5, 3, 3, 3, 3)).astype(np.float32) / 4
    layer = zs.layer(TEXT, pad=PAD)
    made = layer(V=places, I=image, F=filters, format=f"[m,x,y,z] {format} m:U")
    return made, image, places, filters


@pytest.mark.parametrize("format", ["x:C y:C z:C", "x:B y:B z:B", "x*y*z:C", "x:U y:C z:R(4)"])
def test_random_voxels(format):
    rng = np.random.default_rng(3)
    shape = (6, 7, 9)
    where = np.argwhere(rng.random(shape) < 0.15)
    made, image, places, filters = convolve(where, shape, format, rng)
    want = by_offsets(image.toarray(), filters) * places.toarray()
    assert np.array_equal(made.toarray(), want)


def test_the_office_equals_a_dense_check_on_a_crop(shared_data):
    """109,874 voxels of 2.9 million places; exact numbers, so that equal means equal."""
    held = np.load(shared_data / "matrices" / "voxels_office.npz")
    where, shape = held["coords"].astype(np.int64), tuple(int(n) for n in held["shape"])
    made, image, places, filters = convolve(where, shape, "x:C y:C z:C", np.random.default_rng(0))
    assert made.stored == 5 * len(where)
    low, high = np.array([20, 20, 20]), np.array([120, 120, 100])
    crop = tuple(slice(int(a), int(b)) for a, b in zip(low - 1, high + 1, strict=True))
    want = by_offsets(image.toarray()[:, *crop], filters) * places.toarray()[crop]
    inner = (slice(None), slice(1, -1), slice(1, -1), slice(1, -1))
    got = made.toarray()[:, *crop][inner]
    assert np.count_nonzero(got) > 10_000
    assert np.array_equal(got, want[inner])

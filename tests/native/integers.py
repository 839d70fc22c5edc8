"""Integers of every value of their types, and what products of them are."""

import numpy as np

NARROW = ["int8", "uint8", "int16", "uint16", "bool", "uint32"]


def drawn(rng, shape, dtype, density=1.0):
    """Values of the whole range of a type, its ends among them."""
    if dtype == "bool":
        return rng.random(shape) < density / 2
    ends = np.iinfo(dtype)
    values = rng.integers(ends.min, ends.max, shape, dtype=dtype, endpoint=True)
    values = np.where(rng.random(shape) < 0.2, rng.choice([ends.min, ends.max], shape), values)
    return np.where(rng.random(shape) < density, values, 0).astype(dtype)


def product(a, b, dtype):
    """What is computed in ``dtype``, modulo its range."""
    return (a.astype(np.int64) @ b.astype(np.int64)).astype(dtype)

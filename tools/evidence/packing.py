"""Bits: pack() is as long as storage() says, and unpacks to the same tensor."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from claim import Claim
from squeezenet import Array, layers

import zeroskip as zs
from zeroskip.formats.pack import unpack

FORMATS = ("dense", "CSR", "CSC", "COO", "bitmask", "RLE(2)", "RLE(5)", "CSF", "0:C 1*2:R(3) 3:B")


def claims(folder: Path) -> Iterator[Claim]:
    streams = wrong = bits = 0
    for step in layers(folder):
        for array in (step.weights, step.activations):
            for spec in FORMATS:
                tensor = zs.tensor(array, spec)
                packed = tensor.pack()
                same = np.array_equal(unpack(packed).toarray(), array)
                if packed.n_bits != tensor.storage().total_bits or not same:
                    wrong += 1
                streams, bits = streams + 1, bits + packed.n_bits
    yield Claim(
        f"SqueezeNet's tensors in {len(FORMATS)} formats",
        f"{streams} streams of {bits:,d} bits, {wrong} wrong",
        wrong == 0,
    )
    for asked, array, expected in _references():
        got = _sizes(array)
        yield Claim(f"{asked}, U/B/C/R bits", f"{got}, expected {expected}", got == expected)


def _references() -> list[tuple[str, Array, tuple[int, ...]]]:
    """The reference sizes of 8-bit fibers: the 6-vector, and K = 16."""
    six = np.array([0, 0, 3, 4, 0, 6], np.int8)
    found: list[tuple[str, Array, tuple[int, ...]]] = [("6-vector", six, (48, 30, 33, 33))]
    for z, expected in (
        (1, (128, 24, 12, 12)),
        (8, (128, 80, 96, 96)),
        (16, (128, 144, 192, 192)),
    ):
        fiber = np.zeros(16, np.int8)
        fiber[:z] = 1
        found.append((f"16 positions, {z} non-zero", fiber, expected))
    return found


def _sizes(array: Array) -> tuple[int, ...]:
    """Lengths of the real streams; the run field is as wide as a coordinate."""
    run_bits = (len(array) - 1).bit_length()
    formats = ("U", "B", "C", f"R({run_bits})")
    return tuple(zs.tensor(array, spec).pack().n_bits for spec in formats)

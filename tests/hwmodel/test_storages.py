"""Bits of all of a tensor, counted without encoding: the same as of the encoded tensor."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.storages import storage_bits

CASES = [
    ((7,), "R(1)"),
    ((3, 40), "[a,b] b:U a:R(1)"),
    ((1, 200), "RLE(3)"),
    ((2, 3, 50), "[a,b,c] b:U a*c:R(2)"),
    ((2, 3, 50), "[a,b,c] b:U c:U a:C"),
    ((4, 5, 6), "bitmask"),
    ((4, 5, 6), "CSR"),
    ((0, 4), "RLE(5)"),
    ((4, 0), "RLE(5)"),
]


@pytest.mark.parametrize("density", [0.0, 0.02, 0.3, 1.0])
@pytest.mark.parametrize(("shape", "text"), CASES)
def test_bits_are_those_of_the_encoded_tensor(
    shape: tuple[int, ...], text: str, density: float
) -> None:
    array = (np.random.default_rng(0).random(shape) < density).astype(np.float32)
    bound = Format(text).bind(len(shape))
    assert storage_bits(Operand(shape, array), bound, 16) == (
        Tensor.from_dense(array, bound).storage(16)
    )

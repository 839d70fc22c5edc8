"""``"auto"``: the cheapest of four formats, and where one takes over from another."""

from itertools import pairwise
from math import prod

import numpy as np
import pytest

from zeroskip.formats.auto import AUTO, is_auto, smallest_format, turning_points
from zeroskip.formats.convert import tensor
from zeroskip.formats.tensor import Tensor

SHAPES = [(), (0,), (1,), (17,), (5, 7), (1, 40), (40, 1), (3, 4, 5), (0, 3), (33, 32)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["bool", "int8", "float64"])
def test_turning_points_are_those_of_every_count(shape, dtype):
    kind = np.dtype(dtype)
    wanted = [smallest_format(shape, n, kind) for n in range(prod(shape) + 1)]
    found = []
    for format, most in turning_points(shape, kind):
        assert most >= len(found)
        found += [format] * (most + 1 - len(found))
    assert found == wanted
    points = [format for format, _ in turning_points(shape, kind)]
    assert all(a != b for a, b in pairwise(points))


@pytest.mark.parametrize("stored", [0, 1, 5, 30, 200, 399, 400])
def test_no_other_format_of_the_four_takes_fewer_bits(stored):
    flat = np.zeros(400, np.float32)
    flat[np.random.default_rng(1).permutation(400)[:stored]] = 1
    array = flat.reshape(20, 20)
    bits = [Tensor.from_dense(array, name).storage().total_bits for name in AUTO]
    chosen = tensor(array, "auto")
    assert chosen.storage().total_bits == min(bits)
    assert chosen.format == smallest_format((20, 20), stored, array.dtype)


def test_what_is_auto():
    assert is_auto("auto")
    assert is_auto(" AUTO ")
    assert not is_auto("CSR")
    assert not is_auto(None)


@pytest.mark.parametrize("format", ["dense", "CSR", "RLE(4)", "BSR(2,2)", "COO"])
@pytest.mark.parametrize("kept", [0, 3, 60, 390])
def test_a_tensor_of_any_format_takes_the_cheapest(format, kept):
    flat = np.zeros(400, np.float32)
    flat[np.random.default_rng(2).permutation(400)[:kept]] = 1
    array = flat.reshape(20, 20)
    made = tensor(array, format).asformat("auto").validate()
    assert made.format == smallest_format((20, 20), kept, array.dtype)
    assert np.array_equal(made.toarray(), array)

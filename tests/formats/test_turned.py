"""Dense arrays with their axes in another order: what NumPy's transpose gives, in every way."""

from itertools import permutations

import numpy as np
import pytest

from zeroskip.formats import provided, turned
from zeroskip.formats.tensor import Tensor


@pytest.mark.parametrize(
    ("shape", "order", "found"),
    [
        ((3, 4), (1, 0), (1, 3, 4)),
        ((3, 4), (0, 1), None),
        ((2, 3, 4), (0, 2, 1), (2, 3, 4)),
        ((2, 3, 4), (2, 0, 1), (1, 6, 4)),
        ((2, 3, 4), (1, 2, 0), (1, 2, 12)),
        ((2, 3, 4), (1, 0, 2), None),
        ((2, 3, 4), (2, 1, 0), None),
        ((2, 1, 4), (2, 1, 0), (1, 2, 4)),
        ((1, 4), (1, 0), None),
        ((5,), (0,), None),
        ((), (), None),
        ((2, 3, 4, 5), (0, 2, 3, 1), (2, 3, 20)),
    ],
)
def test_which_orders_swap_two_runs_of_axes(shape, order, found):
    assert turned.swapped(shape, order) == found


@pytest.mark.parametrize(
    "shape", [(17, 9), (3, 17, 8), (8, 16, 1), (2, 3, 9, 5), (0, 7), (4, 0, 3)]
)
@pytest.mark.parametrize("codecs", [True, False])
def test_every_order_of_axes(shape, codecs, monkeypatch):
    monkeypatch.setattr(turned, "MIN_SIZE", 0)
    monkeypatch.setattr(provided, "WORTH_LOADING", 0)
    if not codecs:
        monkeypatch.setattr(provided, "_load_codecs", None)
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    for order in permutations(range(len(shape))):
        wanted = np.ascontiguousarray(array.transpose(order)).reshape(-1)
        assert np.array_equal(turned.in_order(array, order), wanted)


def test_arrays_with_gaps_and_those_that_are_turned_already(monkeypatch):
    monkeypatch.setattr(turned, "MIN_SIZE", 0)
    monkeypatch.setattr(provided, "WORTH_LOADING", 0)
    array = np.arange(600.0).reshape(20, 30)
    for given in (array[::2], array[:, 1:9], array.T, array[::-1], np.asfortranarray(array)):
        assert np.array_equal(turned.in_order(given, (1, 0)), given.T.reshape(-1))
    assert np.shares_memory(turned.in_order(array.T, (1, 0)), array)  # as with small ones
    held = np.frombuffer(bytes(8 * 600 + 1), np.float64, 600, 1).reshape(20, 30)
    assert np.array_equal(turned.in_order(held, (1, 0)), held.T.reshape(-1))


def test_a_large_tensor_by_columns_is_the_array_s_own(monkeypatch):
    monkeypatch.setattr(provided, "WORTH_LOADING", 0)
    array = np.random.default_rng(5).standard_normal((200, 301))
    made = Tensor.from_dense(array, "1:U 0:U")
    assert np.array_equal(made.values, array.T.reshape(-1))
    array[:] = 0
    assert made.values.all()

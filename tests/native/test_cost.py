"""What loops are estimated to visit, against what they do."""

import itertools

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import interpret
from zeroskip.native.cost import Walk, depth, stored_in
from zeroskip.native.engine import evaluate
from zeroskip.native.lines import estimates_of

N = 64


def scattered(seed, stored, shape=(N, N)):
    rng = np.random.default_rng(seed)
    array = np.zeros(shape)
    array.reshape(-1)[rng.permutation(array.size)[:stored]] = 1
    return array


@pytest.fixture
def visits(monkeypatch):
    """Bodies of loops and searches that the interpreter runs."""
    ran, count = interpret._run, [0]

    def run(stmts, machine):
        count[0] += 1
        ran(stmts, machine)

    monkeypatch.setattr(interpret, "_run", run)
    return count


@pytest.mark.parametrize("levels", ["CSR CSR", "CSC CSR", "CSR CSC", "CSC CSC", "COO CSR"])
@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("ijk")])
def test_an_order_costs_within_four_times_of_what_it_visits(visits, levels, order):
    """Conversions and steps of searches aside, which the interpreter does not count."""
    first, second = levels.split()
    given = {
        "A": Tensor.from_dense(scattered(1, 256), first),
        "B": Tensor.from_dense(scattered(2, 256), second),
    }
    spec = make_spec("C[i,j] = A[i,k]*B[k,j]")
    (form,) = spec.forms
    extents = spec.extents({name: x.shape for name, x in given.items()})
    found = estimates_of(form, given, extents, order=tuple(order))
    assert found is not None
    taken = found[0]
    assert taken.walked == tuple(order)
    evaluate(spec, given, order=",".join(order), backend="interpreter")
    cost = taken.cost - len(taken.converted) * (2**14 + 32 * 256)
    assert visits[0] / 4 < cost < visits[0] * 4


def test_a_walk_by_hand():
    """A by rows, B by columns: every entry of A is looked up in every column of B."""
    extents = {"i": 8, "k": 16, "j": 4}
    a = (depth("i", "U", True, 8), depth("k", "C", True, 2))
    b = (depth("j", "U", True, 4), depth("k", "C", True, 3))
    led = Walk([a, b], extents, "ijk").run()
    assert led.walked == ["i", "k", "j"]
    assert led.visits == 8 + 8 * 2 + 8 * 2 * 4 + 8 * 2 * 4 * 3  # log2(1 + 3) + 1 steps
    assert led.points == 8 * 2 * 4 * 3 / 16
    merged = Walk([a, b], extents, "ijk", order="ijk").run()
    assert merged.visits == 8 + 8 * 4 + 8 * 4 * (2 + 3)
    assert merged.points == led.points


def test_levels_of_what_is_stored_anew():
    extents = {"i": 8, "k": 16}
    address, fiber = stored_in("ki", 32, extents, address=True)
    assert address.full
    assert (fiber.ranks, fiber.fiber) == (("i",), 2)
    listed, fiber = stored_in("ki", 4, extents, address=True)
    assert (listed.full, listed.fiber, fiber.fiber) == (False, 4, 1)
    assert not stored_in("ki", 32, extents, address=False)[0].full


@pytest.mark.parametrize("order", ["", "ijk"])
def test_nothing_costs_little(order):
    extents = {"i": 0, "k": 4, "j": 3}
    a = (depth("i", "U", True, 0), depth("k", "C", True, 0))
    b = stored_in("kj", 0, extents, address=True)
    assert Walk([a, b], extents, "ijk", order=order).run().points == 0

"""The kernels that measure the roofs do what they are counted for; the bound by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zeroskip.benchmark import roofline
from zeroskip.benchmark.cases import make_case
from zeroskip.benchmark.roofline import CHAINS, Roof, fma_kernel, measure_roof, read_kernel
from zeroskip.computing import layer
from zeroskip.formats.convert import tensor
from zeroskip.native import settings

WIDTHS = (16, 32)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", ["float32", "float64"])
def test_every_chain_takes_every_step(width, name):
    """s = s/2 + 1 from 0: 1, 1.5, 1.75 …"""
    with settings.using(vector_bytes=width):
        kernel = fma_kernel(name)
    target = np.zeros(width // np.dtype(name).itemsize, name)
    kernel.set_buffers((target,))
    kernel.set_dims((3,))
    kernel.call()
    np.testing.assert_array_equal(target, CHAINS * 1.75)


@pytest.mark.parametrize("width", WIDTHS)
def test_every_byte_is_read_every_time(width):
    with settings.using(vector_bytes=width):
        kernel = read_kernel()
    lanes = width // 8
    source = np.arange(5 * 8 * lanes, dtype=np.int64)
    target = np.zeros(lanes, np.int64)
    kernel.set_buffers((source, target))
    kernel.set_dims((5, 3))
    kernel.call()
    np.testing.assert_array_equal(target, 3 * source.reshape(-1, lanes).sum(axis=0))


def test_the_bound_is_the_higher_of_both():
    roof = Roof(operations_per_s=1e9, bytes_per_s=1e8)
    assert roof.bound_s(1_000, 1) == pytest.approx(2e-6)
    assert roof.bound_s(1, 1_000) == pytest.approx(1e-5)
    assert Roof(math.inf, 1e8).bound_s(10**9, 100) == pytest.approx(1e-6)


def test_halves_are_computed_as_singles_and_whole_numbers_have_bytes_only(monkeypatch):
    rates = {"float32": 8.0, "float64": 4.0}
    monkeypatch.setattr(roofline, "_fma_rate", rates.__getitem__)
    monkeypatch.setattr(roofline, "_read_rate", float)
    assert measure_roof(np.dtype("float16"), 3) == Roof(8.0, 3.0)
    assert measure_roof(np.dtype("float64"), 3, threads=2) == Roof(8.0, 6.0)
    assert measure_roof(np.dtype("int32"), 3) == Roof(math.inf, 3.0)


def test_the_bytes_are_those_of_operands_as_stored_and_of_the_result():
    matrix = np.eye(4, 6, dtype=np.float32)
    x = np.ones(6, np.float32)
    case = make_case(layer("y[i] = A[i,j]*x[j]"), {"A": matrix, "x": x})
    assert case.nbytes({}) == 4 * (24 + 6 + 4)
    assert case.nbytes({"A": "CSR"}) == tensor(matrix, "CSR").nbytes + 4 * (6 + 4)

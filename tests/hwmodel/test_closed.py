"""Polynomials in densities: at numbers, arrays and symbols, one by one and together."""

from __future__ import annotations

from typing import Any

import numpy as np

from zeroskip.hwmodel.closed import Closed, is_static
from zeroskip.hwmodel.geometry import Geometry


def test_a_polynomial_at_numbers_arrays_and_symbols() -> None:
    import sympy

    line = Closed({(): np.array([1, 0]), ("A",): np.array([2, 3]), ("A", "B"): np.array([0, 4])})
    a, b = 0.5, 0.25
    assert line.value({"A": a, "B": b}).tolist() == [1 + 2 * a, 3 * a + 4 * a * b]
    d, e = sympy.symbols("d e")
    held = Closed({k: x.astype(object) for k, x in line.terms.items()})
    assert held.value({"A": d, "B": e}).tolist() == [2 * d + 1, 4 * d * e + 3 * d]
    assert Closed({}).value({}).shape == ()


def test_the_sum_of_a_polynomial_is_known_without_its_cells() -> None:
    rng = np.random.default_rng(0)
    shapes: list[tuple[int, ...]] = [(2, 3), (), (4,), (0, 2), (5,)]
    monomials = [("A",), ("A",), ("A", "B"), ("A",), ("A", "B")]
    lines: Any = {
        f"line{k}": Closed({m: rng.integers(0, 9, shape), (): rng.integers(0, 9, shape)})
        for k, (m, shape) in enumerate(zip(monomials, shapes, strict=True))
    }
    lines["nothing"] = Closed({})
    shares = {"A": 0.3, "B": 0.7}
    found = Geometry(lines, {}, (), ()).counts(shares, idle={"line2"})
    assert (list(found), len(found)) == (list(lines), 6)
    for name, line in lines.items():
        there = 0 if name == "line2" else 1
        assert found[name].shape == line.value(shares).shape
        assert np.array_equal(found[name], there * line.value(shares))
        assert np.isclose(found.total(name), there * line.value(shares).sum())


def test_of_what_no_density_matters_to() -> None:
    assert is_static(None)
    assert is_static(Closed({(): np.ones(2)}))
    assert is_static(Closed({}))
    assert not is_static(Closed({(): np.ones(2), ("A",): np.ones(2)}))

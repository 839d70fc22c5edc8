"""What a drawn operand costs in a format: means in numbers, and the same in symbols."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.format import Format
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel.expected_operand import Expected, Sized

FORMATS = ("dense", "bitmask", "a:U b:C", "a*b:C", "a:U b:B", "[a,b] b:U a:C")


@pytest.mark.parametrize("text", [*FORMATS, "a:U b:R(1)", "a*b:R(2)"])
def test_bits_are_the_mean_over_every_placement(text: str) -> None:
    """Six of twelve places, so that pointers are as wide in every placement."""
    density, bound = Density((3, 4), 6 / 12), Format(text).bind(2)
    found = Expected(density).storage(bound, 8)
    prices = []
    for chosen in combinations(range(12), 6):
        mask = np.isin(np.arange(12), chosen).reshape(3, 4).astype(np.float32)
        prices.append(Tensor.from_dense(mask, bound).storage(8))
    assert found.data_bits == pytest.approx(np.mean([price.data_bits for price in prices]))
    if "R" not in text:  # bridges may need a wider pointer
        assert found.metadata_bits == pytest.approx(np.mean([p.metadata_bits for p in prices]))


@pytest.mark.parametrize("text", FORMATS)
def test_symbols_stand_for_densities_and_extents(text: str) -> None:
    import sympy

    d, m, k = sympy.symbols("d M K", positive=True)
    density, bound = Density((6, 8), 0.25), Format(text).bind(2)
    number = Expected(density).storage(bound, 16)
    at: dict[Any, float] = {d: 0.25, m: 6, k: 8}
    for made in (Expected(density, d), Sized(density, d, (m, k))):
        found = made.storage(bound, 16)
        for bits in ("data_bits", "metadata_bits", "total_bits", "dense_bits"):
            value = sympy.sympify(getattr(found, bits)).subs(at)
            assert float(value) == pytest.approx(getattr(number, bits)), bits


def test_what_has_no_formula_is_refused() -> None:
    import sympy

    d, m, k = sympy.symbols("d M K", positive=True)
    density = Density((6, 8), 0.25)
    band = Density((6, 8), 0.2, structure="banded", width=1)
    for text in ("COO", "0:C 1:U"):
        bound = Format(text).bind(2)
        found = sympy.sympify(Expected(density, d).storage(bound, 16).total_bits).subs({d: 0.25})
        assert float(found) == pytest.approx(Expected(density).storage(bound, 16).total_bits)
        with pytest.raises(TensorError, match="has no closed formula in the density"):
            Expected(band, d).storage(bound, 16)
    with pytest.raises(TensorError, match=r"has no closed formula in extents"):
        Sized(density, d, (m, k)).storage(Format("a:U b:R(2)").bind(2), 16)


@pytest.mark.parametrize(("text", "tag"), [("0:U 1:R(2)", "approximate"), ("0:U 1:R(3)", "")])
def test_pointers_of_what_bridges_vary_are_tagged(text: str, tag: str) -> None:
    """Of one entry at the last of 5 places R(2) bridges a gap of four: two entries, and three
    pointers of 2 bits in place of 1; R(3) does not."""
    source = {
        "name": "whole",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "formats": {"A": {"DRAM": text}},
    }
    drawn, line = Density((2, 5), 0.1), "y[m] = A[m,k]*x[k]"
    found = zs.charge(line, source, A=drawn, x=np.ones(5))
    bits = [
        zs.charge(line, source, A=np.arange(10).reshape(2, 5) == n, x=np.ones(5))
        .at("DRAM", "A")
        .metadata_bits
        for n in range(10)
    ]
    mean = pytest.approx(np.mean(bits))
    assert (found.at("DRAM", "A").metadata_bits == mean) == (not tag)
    assert found.tags["traffic"] == (tag or "exact in expectation")

"""Formulas equal the figures, also where parts of a charge are real or given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError, TensorError
from zeroskip.hwmodel.formulas import FIGURES, function_of

CONV = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s] + b[m]"
SHAPES = {"I": (1, 4, 6, 6), "F": (6, 4, 3, 3), "b": (6,)}


def shares_of(given: dict[str, Any]) -> dict[str, float]:
    return {f"d_{n}": x.model.share for n, x in given.items() if isinstance(x, zs.Density)}


def number_of(charge: Any, figure: str) -> float:
    return charge.ops[figure] if figure in charge.ops else getattr(charge, figure)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("name", ["dense", "scnn", "eyeriss-v2-pe"])
def test_every_figure_at_densities_that_were_not_charged(figure: str, name: str) -> None:
    made = zs.charge(CONV, name, **{n: zs.Density(s, 0.5) for n, s in SHAPES.items()})
    function = made.function(figure)
    error = getattr(function, "error", 0.0)
    for share in (0.25, 1.0):
        given = {n: zs.Density(s, share) for n, s in SHAPES.items()}
        other = zs.charge(CONV, name, **given)
        closed = 5e-3 if figure == "energy_pj" else 1e-9  # pointers are as wide as at one half
        slack = max(error, closed)
        wanted = pytest.approx(number_of(other, figure), rel=slack, abs=1e-9)
        assert function(**shares_of(given)) == wanted


@pytest.mark.parametrize("name", ["scnn", "eyeriss-v2-pe"])
def test_a_result_that_is_given_is_a_density_of_its_own(name: str) -> None:
    given = {n: zs.Density(s, 0.5) for n, s in SHAPES.items()}
    made = zs.charge(CONV, name, **given, O=zs.Density((1, 6, 4, 4), 0.25))
    formula = made.formula("energy_pj")
    assert "d_O" in {str(s) for s in formula.free_symbols}
    at = {**shares_of(given), "d_O": 0.25}
    assert made.function("energy_pj")(**at) == pytest.approx(made.energy_pj)


def test_transposes_of_real_operands_are_in_the_energy() -> None:
    a = zs.tensor(zs.Density((12, 8), 0.5).sample(0), "CSR")
    made = zs.charge("Z[m,n] = A[m,k]*B[k,n]", "scnn", A=a, B=zs.Density((8, 6), 0.5))
    assert made.conversions
    assert made.function("energy_pj")(d_B=0.5) == pytest.approx(made.energy_pj)


def test_a_function_asks_for_its_densities() -> None:
    import sympy

    d = sympy.Symbol("d_A")
    assert function_of("busy", 2 * d)(d_A=np.array([0.5, 1]), d_B=3).tolist() == [1, 2]
    assert function_of("busy", sympy.Integer(7))() == 7
    with pytest.raises(zs.ArchError, match="busy: expected the densities d_A too"):
        function_of("busy", 2 * d)()


@pytest.mark.parametrize("figure", ["effectual", "energy_pj", "cycles"])
def test_densities_are_numbers_from_0_to_1_or_arrays_of_them(figure: str) -> None:
    made = zs.charge(
        "C[m,n] = A[m,k]*B[k,n]", "scnn", A=zs.Density((8, 8), 0.5), B=zs.Density((8, 8), 0.25)
    )
    function = made.function(figure)
    several = function(d_A=[0.5, 0.25], d_B=[0.25, 1])
    assert several.tolist() == [function(d_A=0.5, d_B=0.25), function(d_A=0.25, d_B=1)]
    for wrong in (-0.5, 2, float("nan"), "x", [0.5, 1.5]):
        with pytest.raises(ArchError, match=r"expected d_A of 0 \.\. 1, found "):
            function(d_A=wrong, d_B=0.25)
    with pytest.raises(ArchError, match="expected the densities d_B too"):
        function(d_A=0.5)


@pytest.mark.parametrize("text", ["0:C 1:C", "1:C 0:C", "0:C 1:U", "COO", "0:C 1:B"])
def test_formats_of_compressed_levels_have_formulas(text: str) -> None:
    """Rows that hold something are so many times the chance of one; pointers are as wide in all."""
    levels = {"DRAM": {"read_bits_per_cycle": 1, "pointer_bits": 9} if "C 1:C" in text else {}}
    design = {
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {**levels, "GLB": {}, "PE": {}},
        "sparse": ["skip A,B"],
        "formats": {"A": {"DRAM": text, "GLB": "0:U 1:C"}, "B": {"DRAM": "C", "GLB": "C"}},
    }
    shapes = {"A": (6, 7), "B": (7, 3)}
    many = [{n: zs.Density(s, d) for n, s in shapes.items()} for d in (0.4, 0.41, 0.45, 0.5)]
    line = "Z[m,n] = A[m,k]*B[k,n]"
    charges = [zs.charge(line, design, **given) for given in many]
    for charge, given in zip(charges, many, strict=True):
        formula = charges[0].formula("energy_pj")
        at = {f"d_{n}": d.nnz / d.size for n, d in given.items()}
        assert float(formula.subs(at)) == pytest.approx(charge.energy_pj, rel=1e-9)


def test_a_band_in_compressed_levels_has_no_formula() -> None:
    """Its rows are more or less likely to hold something: no density says how."""
    design = {
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "formats": {"A": {"DRAM": "0:C 1:U", "GLB": "0:U 1:C"}},
    }
    given = {"A": zs.Density((6, 6), 0.2, structure="banded", width=1), "B": zs.Density((6,), 0.5)}
    charge = zs.charge("y[m] = A[m,k]*B[k]", design, **given)
    with pytest.raises(TensorError, match=r"format .* has no closed formula in the density"):
        charge.formula("energy_pj")

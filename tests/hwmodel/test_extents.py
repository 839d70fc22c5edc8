"""Formulas in extents: equal to the figures, and at other extents to the charges of those."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError, TensorError

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
FIGURES = ("effectual", "gated", "skipped", "never_fetched", "ineffectual", "energy_pj")
CONV = {"I": (2, 4, 9, 9), "F": (6, 4, 3, 3), "b": (6,)}
LAYERS: dict[str, tuple[zs.Layer, dict[str, tuple[int, ...]]]] = {
    "product": (zs.layer(PRODUCT), {"A": (48, 24), "B": (24, 40)}),
    "vector": (zs.layer("y[m] = A[m,k]*x[k]"), {"A": (30, 24), "x": (24,)}),
    "three": (
        zs.layer("Z[m,n] = A[m,k]*B[k,n]*C[m,n]"),
        {"A": (12, 6), "B": (6, 16), "C": (12, 16)},
    ),
    "conv": (zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s] + b[m]"), CONV),
    "padded": (zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s] + b[m]", pad=1), CONV),
    "strided": (zs.layer("O[n,m,p,q] = I[n,c,2*p+r,2*q+s]*F[m,c,r,s] + b[m]", pad=1), CONV),
}


def figure_of(charge: Any, name: str) -> float:
    return charge.energy_pj if name == "energy_pj" else charge.ops[name]


def at(formula: Any, values: dict[str, float]) -> float:
    return float(formula.subs({s: values[str(s)] for s in formula.free_symbols}))


@pytest.mark.parametrize("name", ["dense", "scnn", "eyeriss-v2-pe"])
@pytest.mark.parametrize("case", LAYERS)
def test_a_formula_in_extents_is_the_figure(case: str, name: str) -> None:
    layer, shapes = LAYERS[case]
    given = {n: zs.Density(s, 0.5) for n, s in shapes.items()}
    charge = zs.charge(layer, name, **given)
    shares = {f"d_{n}": d.model.share for n, d in given.items()}
    for figure in FIGURES:
        formula = charge.formula(figure, extents=True)
        values = {**charge.extent_values(figure), **shares}
        assert at(formula, values) == pytest.approx(figure_of(charge, figure)), figure


@pytest.mark.parametrize("name", ["dense", "scnn", "eyeriss-v2-pe"])
@pytest.mark.parametrize("figure", FIGURES)
def test_one_formula_serves_other_extents(figure: str, name: str) -> None:
    """Of a product on the same loops: nothing but extents and densities stands in it."""
    small = {"A": (40, 24), "B": (24, 36)}
    formula = zs.charge(PRODUCT, name, **{n: zs.Density(s, 0.5) for n, s in small.items()}).formula(
        figure, extents=True
    )
    names = {str(symbol) for symbol in formula.free_symbols}
    assert names <= {"M", "N", "K", "d_A", "d_B"}
    for m, k, n in ((48, 24, 40), (60, 28, 64), (36, 20, 44)):
        given = {"A": zs.Density((m, k), 0.5), "B": zs.Density((k, n), 0.25)}
        other = zs.charge(PRODUCT, name, **given)
        shares = {f"d_{t}": d.model.share for t, d in given.items()}
        found = at(formula, {"M": m, "K": k, "N": n, **shares})
        slack = 0.02 if figure == "energy_pj" else 1e-9  # widths of fields are those of small
        assert found == pytest.approx(figure_of(other, figure), rel=slack), (m, k, n)


def test_what_is_no_product_stands_by_its_name() -> None:
    layer, shapes = LAYERS["strided"]
    charge = zs.charge(layer, "scnn", **{n: zs.Density(s, 0.5) for n, s in shapes.items()})
    assert str(charge.formula("effectual", extents=True)) == "C*M*N*d_F*d_I*taps_pr*taps_qs"
    values = charge.extent_values("energy_pj")
    held = zs.charge(layer, "scnn", **{n: np.ones(s) for n, s in shapes.items()})
    assert values["heldI"] == held.at("GLB", "I").reads
    taps = sum(0 <= 2 * p + r - 1 < 9 for p in range(5) for r in range(3))
    assert values["taps_pr"] == values["taps_qs"] == taps
    assert (values["H"], values["W"], values["C"], values["N"]) == (9, 9, 4, 2)


def test_what_has_no_formula_in_extents_is_refused() -> None:
    given = {"A": zs.Density((48, 24), 0.5), "B": zs.Density((24, 40), 0.5)}
    coded = zs.charge(PRODUCT, "eyeriss", **given)
    assert str(coded.formula("effectual", extents=True)) == "K*M*N*d_A*d_B"
    with pytest.raises(TensorError, match=r"format RLE\(5\) has no closed formula in extents"):
        coded.formula("energy_pj", extents=True)
    mixed = zs.charge(PRODUCT, "scnn", A=np.ones((48, 24)), B=given["B"])
    said = r"formula\('effectual', extents=True\): A of this charge hold for these extents alone"
    with pytest.raises(ArchError, match=said):
        mixed.formula("effectual", extents=True)
    real = zs.charge(PRODUCT, "scnn", A=np.ones((48, 24)), B=np.ones((24, 40)))
    with pytest.raises(ArchError, match="counts real operands and has numbers only"):
        real.formula("effectual", extents=True)
    with pytest.raises(ArchError, match="counts real operands and has numbers only"):
        real.extent_values("effectual")


def test_lines_have_formulas_in_densities_alone() -> None:
    """How many lines a fiber takes goes by its extent, and its entries are rounded up."""
    lines = {"read_bits": 64, "write_bits": 64, "pointer_bits": 32}
    design = {
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines}, "GLB": {}, "PE": {}},
        "formats": {name: {"DRAM": "0:U 1:C"} for name in "AB"},
    }
    given = {"A": zs.Density((4, 8), 0.5), "B": zs.Density((8, 4), 0.5)}
    order = zs.Mapping("m k n", space={}, sync="m")
    charge = zs.charge(PRODUCT, design, **given, mapping=order)
    densities = {f"d_{name}": 0.5 for name in given}
    assert at(charge.formula("energy_pj"), densities) == pytest.approx(charge.energy_pj)
    assert str(charge.formula("ineffectual", extents=True)) == "-K*M*N*d_A*d_B + K*M*N"
    for figure in ("energy_pj", "cycles"):
        said = rf"formula\('{figure}', extents=True\): its lines of this charge hold for these ext"
        with pytest.raises(ArchError, match=said):
            charge.formula(figure, extents=True)
        with pytest.raises(ArchError, match="on a design without units, lanes and lines"):
            charge.extent_values(figure)

"""Cycles as a formula: the figure at densities that were charged, and the mean of what is drawn."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.hwmodel import expected_cycles

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"


def design(**more: Any) -> dict[str, Any]:
    """One PE that skips zeros of both, with a bit for each place."""
    levels: dict[str, Any] = {"DRAM": {}, "GLB": {}, "PE": {}}
    for name, rates in more.pop("rates", {}).items():
        levels[name] = rates
    masks = {"DRAM": "B", "GLB": "B"}
    return {
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "value_bits": 8,
        "levels": levels,
        "sparse": ["skip I,F"],
        "formats": {"I": masks, "F": masks},
        **more,
    }


def at(formula: Any, **densities: zs.Density) -> float:
    return float(formula.subs({f"d_{n}": d.nnz / d.size for n, d in densities.items()}))


def test_cycles_of_one_pe_are_the_most_of_its_resources_by_hand():
    """4 x 2 x 2 points.  DRAM brings 8 d_A places of A and 4 d_B of B, 8 bits each, and a bit for
    each of the 12 places, over 1 bit a cycle: 64 d_A + 32 d_B + 12; Z leaves by the other port."""
    given = {"A": zs.Density((4, 2), 0.5), "B": zs.Density((2, 2), 0.5)}
    plain = zs.charge(PRODUCT, design(), **given)
    assert str(plain.formula("cycles")) == str(plain.formula("compute_cycles")) == "16*d_A*d_B"
    slow = zs.charge(PRODUCT, design(rates={"DRAM": {"read_bits_per_cycle": 1}}), **given)
    assert str(slow.formula("cycles")) == "Max(16*d_A*d_B, 64.0*d_A + 32.0*d_B + 12.0)"
    assert at(slow.formula("cycles"), **given) == slow.cycles == 60


def test_compute_cycles_are_the_mean_over_all_that_may_be_drawn():
    """Of 2 x 2 places each two: 6 x 6 pairs of operands, each charged."""

    def every() -> list[np.ndarray[Any, Any]]:
        found = []
        for places in combinations(range(4), 2):
            mask = np.zeros(4)
            mask[list(places)] = 1
            found.append(mask.reshape(2, 2))
        return found

    real = [zs.charge(PRODUCT, design(), A=a, B=b).cycles for a, b in product(every(), every())]
    given = {"A": zs.Density((2, 2), 0.5), "B": zs.Density((2, 2), 0.5)}
    formula = zs.charge(PRODUCT, design(), **given).formula("cycles")
    assert at(formula, **given) == pytest.approx(np.mean(real))


@pytest.mark.parametrize("seed", range(12))
def test_a_formula_is_the_figure_at_random_sizes_rates_and_densities(seed: int):
    rng = np.random.default_rng(seed)
    m, k, n = rng.integers(1, 9, 3).tolist()
    shapes = {"A": (m, k), "B": (k, n)}
    rates = {
        "DRAM": {"read_bits_per_cycle": int(rng.integers(1, 40))},
        "GLB": {"read_bits_per_cycle": int(rng.integers(1, 40)), "write_bits_per_cycle": 16},
    }
    units = {"intersect": {"how": "leader-follower", "rate": 2, "rank": "k"}}
    more = {"units": units} if seed % 3 == 0 else {}
    if seed % 4 == 0:
        more |= {"sparse": ["gate A,Z on B @MAC", "skip A"]}
    machine = zs.arch(design(rates=rates, **more))
    mapping = zs.Mapping("n m k" if seed % 2 else "k m n", space={}, sync="n" if seed % 2 else "k")
    drawn = [
        {name: zs.Density(shape, rng.uniform()) for name, shape in shapes.items()} for _ in range(4)
    ]
    charges = [zs.charge(PRODUCT, machine, **given, mapping=mapping) for given in drawn]
    first = charges[0]
    for figure in ("cycles", "compute_cycles"):
        formula, function = first.formula(figure), first.function(figure)
        assert function.error == 0
        for given, charge in zip(drawn, charges, strict=True):
            wanted = pytest.approx(getattr(charge, figure), rel=1e-12, abs=1e-12)
            assert at(formula, **given) == wanted
            assert function(**{f"d_{t}": d.nnz / d.size for t, d in given.items()}) == wanted


def test_a_formula_in_extents_has_cycles_too():
    given = {"A": zs.Density((8, 4), 0.5), "B": zs.Density((4, 6), 0.25)}
    rates = {"DRAM": {"read_bits_per_cycle": 4}}
    charge = zs.charge(PRODUCT, design(rates=rates), **given)
    formula = charge.formula("cycles", extents=True)
    values = charge.extent_values("cycles")
    names = {str(symbol): symbol for symbol in formula.free_symbols}
    shares = {"d_A": 0.5, "d_B": 0.25}
    numbers = {
        names[name]: number for name, number in {**values, **shares}.items() if name in names
    }
    assert {"M", "K", "N"} <= set(names)
    assert float(formula.subs(numbers)) == pytest.approx(charge.cycles)


def test_a_transpose_comes_before_and_moves_beside_nothing():
    held = (np.random.default_rng(0).random((4, 8)) < 0.4) * 1.0
    given = {"B": zs.Density((8, 4), 0.25)}
    formats = {"A": {"DRAM": "1:U 0:C"}, "B": {"DRAM": "C"}}
    slow = {"DRAM": {"read_bits_per_cycle": 1, "write_bits_per_cycle": 1}}
    for array in (1, 2):  # of two PEs there is a table
        machine = zs.arch(design(rates=slow, formats=formats, array={"pe": array}))
        mapping = zs.Mapping("n k m", space={"m": "pe"} if array == 2 else {}, sync="k")
        a = zs.Tensor.from_dense(held, "0:U 1:C")
        charge = zs.charge(PRODUCT, machine, A=a, **given, mapping=mapping)
        assert charge.cycles == charge.conversion_cycles + charge.bandwidth_cycles["DRAM"]
        assert charge.conversion_cycles > 0
        assert charge.function("cycles")(d_B=0.25) == pytest.approx(charge.cycles)
        energy = charge.formula("energy_pj")
        assert at(energy, **given) == pytest.approx(charge.energy_pj)
        if array == 1:
            assert at(charge.formula("cycles"), **given) == pytest.approx(charge.cycles)
        rounded = expected_cycles(charge, rounding="sparseloop")["DRAM"]
        assert rounded <= charge.bandwidth_cycles["DRAM"]


def test_lines_of_a_cascade_add_up():
    lines = "S[m,n] = A[m,k]*B[k,n]; Z[m,p] = S[m,n]*D[n,p]"
    given = {name: zs.Density((4, 4), 0.5) for name in "ABD"}
    charge = zs.charge(lines, design(rates={"DRAM": {"read_bits_per_cycle": 4}}), **given)
    wanted = pytest.approx(charge.cycles, rel=1e-2)  # S has whole entries, its formula their mean
    assert at(charge.formula("cycles"), **given) == wanted


def scanned(how: str) -> dict[str, Any]:
    return {"units": {"intersect": {"how": how, "rate": 0.5, "rank": "k"}}}


@pytest.mark.parametrize(("places", "sure"), [(1, 1e-9), (7, 1e-9), (64, 1e-9), (90, 1e-3)])
def test_two_fingers_have_a_formula_of_uniform_operands(places: int, sure: float):
    """Its steps are those of the charge, place by place; here they bound the layer."""
    rng, shapes = np.random.default_rng(places), {"A": (3, places), "B": (places, 2)}
    many = [{n: zs.Density(s, rng.uniform()) for n, s in shapes.items()} for _ in range(4)]
    many += [{n: zs.Density(s, full) for n, s in shapes.items()} for full in (0.0, 1.0)]
    charges = [zs.charge(PRODUCT, design(**scanned("two-finger")), **given) for given in many]
    formula, function = charges[0].formula("cycles"), charges[0].function("cycles")
    for given, charge in zip(many, charges, strict=True):
        wanted = pytest.approx(charge.units["intersect"].cycles, rel=sure, abs=1e-9)
        assert charge.cycles == charge.units["intersect"].cycles
        assert at(formula, **given) == wanted
        assert function(**{f"d_{t}": d.nnz / d.size for t, d in given.items()}) == wanted


@pytest.mark.parametrize("real", "AB")
def test_two_fingers_beside_a_real_operand_have_a_formula(real: str):
    rng, shapes = np.random.default_rng(5), {"A": (4, 7), "B": (7, 3)}
    held = (rng.random(shapes[real]) < 0.5) * 1.0
    drawn = "B" if real == "A" else "A"
    many = [{real: held, drawn: zs.Density(shapes[drawn], d)} for d in (0.0, 0.2, 0.7, 1.0)]
    charges = [zs.charge(PRODUCT, design(**scanned("two-finger")), **given) for given in many]
    formula = charges[0].formula("cycles")
    for given, charge in zip(many, charges, strict=True):
        assert charge.bound_by == "intersect" or charge.cycles == 0
        assert at(formula, **{drawn: given[drawn]}) == pytest.approx(charge.cycles, abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (zs.Density((0, 3), 0.5), np.ones((3, 2))),
        (zs.Density((2, 0), 0.5), np.ones((0, 2))),
        (np.ones((2, 3)), zs.Density((3, 0), 0.5)),
        (np.ones((0, 3)), zs.Density((3, 2), 0.5)),
    ],
    ids=["no fiber drawn", "no place", "no column drawn", "no real fiber"],
)
def test_two_fingers_of_no_places_take_no_step(a: Any, b: Any):
    charge = zs.charge(PRODUCT, design(**scanned("two-finger")), A=a, B=b)
    assert charge.cycles == 0
    assert charge.formula("cycles") == 0


def test_what_has_no_formula_says_why():
    given = {"A": zs.Density((8, 8), 0.5), "B": zs.Density((8, 8), 0.25)}
    refused = {
        "the mean of a maximum\n": {"array": {"pe": 2}},
        "overlaps epochs, and their time at many densities is in no closed": {"overlap": "double"},
    }
    for why, more in refused.items():
        charge = zs.charge(PRODUCT, design(**more), **given)
        with pytest.raises(ArchError, match=why):
            charge.formula("cycles")
    banded = {**given, "A": zs.Density((8, 8), 0.2, structure="banded", width=2)}
    real = {"A": np.eye(80), "B": zs.Density((80, 4), 0.25)}
    for how, operands, why in (
        ("skip-ahead", given, "skip-ahead, in the densities: they are sums over pairs of places"),
        ("two-finger", banded, "two-finger, in the densities: they are closed of uniform dens"),
        ("two-finger", real, "they have terms of at most 64 places beside a real operand"),
        ("skip-ahead", banded, "skip-ahead, in the densities: they are the mean of draws"),
    ):
        charge = zs.charge(PRODUCT, design(**scanned(how)), **operands)
        assert charge.formula("compute_cycles") is not None
        with pytest.raises(ArchError, match=why):
            charge.formula("cycles")
    with pytest.raises(
        ArchError, match="lanes on PEs that wait for each other, and their cycles at many densi"
    ):
        zs.charge(PRODUCT, "scnn-lanes", **given).formula("cycles")

"""Expected charges of tiles that numbers of places tell, against drawn operands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError, EinsumError
from zeroskip.hwmodel.numbers import NONE, numbers_of

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
CONV = "O[m,p,q] = I[c,p+r,q+s]*F[m,c,r,s]"
DRAWS = 50


def design(*sparse: str) -> Any:
    return zs.arch(
        {
            "name": "numbered",
            "array": {"pe": 4},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "sparse": list(sparse),
            "formats": {role: {"DRAM": "C", "GLB": "C", "PE": "C"} for role in "IF"},
        }
    )


def mapped(key: str, split: Any, order: str = "", sync: str = "none", across: str = "") -> Any:
    space = {across: "pe"} if across else None
    return zs.Mapping(order=order, split={key: split}, space=space, sync=sync)


PAIR = {"A": zs.Density((48, 32), 0.2), "B": zs.Density((32, 24), 0.3)}
LEADERS = {
    "across": (PRODUCT, mapped("m*k", "occupancy(A, 80)", across="mk1"), PAIR),
    "twice": (
        PRODUCT,
        mapped("m*k", "occupancy(A, 80, 20)", "mk2 mk1 n mk0", "mk2", "mk1"),
        PAIR,
    ),
    "of one rank": (PRODUCT, mapped("k", "occupancy(A, 40)", "k1 m n k0", "k1"), PAIR),
    "in time": (PRODUCT, mapped("m*k", "occupancy(A, 40)", "mk1 @GLB n mk0", "mk1"), PAIR),
    "the other": (PRODUCT, mapped("k*n", "occupancy(B, 60)", across="kn1"), PAIR),
    "filters": (
        CONV,
        mapped("m*c", "occupancy(F, 30)", "mc1 p q mc0 r s", "mc1"),
        {"I": zs.Density((4, 10, 10), 0.4), "F": zs.Density((16, 4, 3, 3), 0.25)},
    ),
}
FLAT = {
    "blocks": (PRODUCT, mapped("m*k", [64], "mk1 n mk0", "mk1"), PAIR),
    "filters": (
        CONV,
        mapped("m*c", [6], "mc1 @GLB p q mc0 r s", "mc1"),
        LEADERS["filters"][2],
    ),
    "groups": (
        PRODUCT,
        mapped("m*k", [64], "mk1 n mk0", "mk1"),
        {"A": zs.Density((48, 32), structure="2:4"), "B": PAIR["B"]},
    ),
}


def drawn(case: Any, arch: Any) -> tuple[Any, list[Any]]:
    text, mapping, given = case
    layer, rng = zs.layer(text), np.random.default_rng(0)
    first = {name: density.sample(rng) for name, density in given.items()}
    ones = {layer.spec.results[-1]: np.ones(layer(**first).shape)}
    expected = zs.charge(layer, arch, **given, **ones, mapping=mapping)
    charges = []
    for _ in range(DRAWS):
        operands = {name: density.sample(rng) for name, density in given.items()}
        charges.append(zs.charge(layer, arch, **operands, **ones, mapping=mapping))
    return expected, charges


def figures(charge: Any) -> dict[str, float]:
    found = {"energy": charge.energy_pj, "busy": charge.busy, "compute": charge.compute_cycles}
    found |= {name: charge.ops[name] for name in ("effectual", "skipped", "dense")}
    return found | {" ".join(at): moves.bits for at, moves in charge.traffic.items()}


@pytest.mark.parametrize("sparse", [("skip F on I",), ("skip I,F",)], ids="; ".join)
@pytest.mark.parametrize("case", LEADERS)
def test_tiles_of_a_drawn_leader_are_the_mean_of_drawn_ones(
    case: str, sparse: tuple[str, ...]
) -> None:
    """Within 3 %, and effectual points and what is read of the leader beyond that exactly."""
    expected, charges = drawn(LEADERS[case], design(*sparse))
    assert set(expected.tags.values()) == {"approximate"}
    found = [figures(charge) for charge in charges]
    for name, value in figures(expected).items():
        values = np.array([one[name] for one in found], float)
        error = 5 * values.std(ddof=1) / np.sqrt(DRAWS)
        slack = 0 if name in ("effectual", "dense") else 0.03
        assert abs(value - values.mean()) <= error + slack * values.mean() + 1e-6, name
    for one, real in zip(
        expected.capacity,
        np.array([[c.needed_bits for c in x.capacity] for x in charges]).T,
        strict=True,
    ):
        assert one.needed_bits == pytest.approx(real.mean(), rel=0.1), one.level


@pytest.mark.parametrize("case", FLAT)
def test_flattened_ranks_are_exact_in_expectation(case: str) -> None:
    expected, charges = drawn(FLAT[case], design("skip I,F"))
    assert expected.tags["ops"] == expected.tags["traffic"] == "exact in expectation"
    found = [figures(charge) for charge in charges]
    for name, value in figures(expected).items():
        values = np.array([one[name] for one in found], float)
        error = 5 * values.std(ddof=1) / np.sqrt(DRAWS)
        slack = {"compute": 0.1, "energy": 2e-3}.get(name, 2e-3 if " " in name else 1e-9)
        assert abs(value - values.mean()) <= error + slack * values.mean() + 1e-9, name


def test_a_tile_of_a_drawn_leader_holds_what_the_split_says() -> None:
    """307 of 1,536 places, in tiles of 80 entries: three full ones, and 67 entries."""
    text, mapping, given = LEADERS["across"]
    ones = {**given, "B": zs.Density((32, 24), 1.0)}
    charge = zs.charge(text, design("skip I,F"), **ones, mapping=mapping)
    assert charge.work_per_pe == pytest.approx([80 * 24, 80 * 24, 80 * 24, 67 * 24], rel=0.01)
    assert charge.compute_cycles == pytest.approx(80 * 24, rel=0.01)
    said = "A: its tiles of equally many entries end where they do on average"
    assert said in charge.assumptions


def test_a_real_leader_beside_a_density_has_its_own_tiles() -> None:
    text, mapping, given = LEADERS["across"]
    a = given["A"].sample(4)
    mixed = zs.charge(text, design("skip I,F"), A=a, B=given["B"], mapping=mapping)
    full = zs.charge(text, design("skip I,F"), A=a, B=np.ones((32, 24)), mapping=mapping)
    share = given["B"].model.share
    assert mixed.work_per_pe == pytest.approx(full.work_per_pe * share)
    assert mixed.at("GLB", "A").reads == full.at("GLB", "A").reads
    assert mixed.tags["ops"] == "exact in expectation"


def test_full_and_empty_leaders_are_charged_as_real_ones() -> None:
    text, mapping, _ = LEADERS["in time"]
    for share, make in ((1.0, np.ones), (0.0, np.zeros)):
        shapes = {"A": (48, 32), "B": (32, 24)}
        real = {n: make(s) for n, s in shapes.items()}
        densities = {n: zs.Density(s, share) for n, s in shapes.items()}
        one = zs.charge(text, design("skip I,F"), **real, mapping=mapping)
        other = zs.charge(text, design("skip I,F"), **densities, mapping=mapping)
        assert other.ops == one.ops
        assert other.compute_cycles == pytest.approx(one.compute_cycles)
        assert {k: m.bits for k, m in other.traffic.items()} == {
            k: m.bits for k, m in one.traffic.items()
        }


def test_formulas_and_tables_would_be_of_one_density() -> None:
    text, mapping, given = LEADERS["in time"]
    charge = zs.charge(text, design("skip I,F"), **given, mapping=mapping)
    for ask in (
        lambda: charge.formula("effectual"),
        lambda: charge.formula("effectual", extents=True),
        lambda: charge.function("cycles"),
    ):
        with pytest.raises(ArchError, match="of this charge is of one density: tiles of equally"):
            ask()
    text, mapping, given = FLAT["blocks"]
    flat = zs.charge(text, design("skip I,F"), **given, mapping=mapping)
    shares = {f"d_{n}": d.model.share for n, d in given.items()}
    assert flat.function("energy_pj")(**shares) == pytest.approx(flat.energy_pj)


def test_an_accounting_by_coordinates_has_no_numbers() -> None:
    charge = zs.charge(PRODUCT, design("skip I,F"), **PAIR)
    assert numbers_of(charge.cascade, {}) is NONE
    text, mapping, given = LEADERS["across"]
    charge = zs.charge(text, design("skip I,F"), **given, mapping=mapping)
    numbered = numbers_of(charge.cascade, {})
    assert numbered.names == {"numberA"}
    assert dict(numbered.leaders) == {"numberA": "A"}


def test_leaders_of_fills_by_numbers_are_refused_by_their_line() -> None:
    text, mapping, given = LEADERS["in time"]
    with pytest.raises(EinsumError, match="a comparison has no expectation here:\n  had"):
        zs.charge(text, design("skip F on I @GLB"), **given, mapping=mapping)

"""Figures that are means of draws, against other draws, and every placement of a small operand."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError, TensorError
from zeroskip.hwmodel import sampled
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.expected_operand import Expected
from zeroskip.hwmodel.sampled import bits_at, draws_of

VECTOR, PRODUCT = "y[m] = A[m,k]*B[k]", "Z[m,n] = A[m,k]*B[k,n]"
CONV = "O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]"
LINES = {"read_bits": 64, "write_bits": 16, "pointer_bits": 24}


def design(**changes: Any) -> Any:
    formats = {"DRAM": "a:U b:C(20)", "GLB": "CSR"}
    return zs.arch(
        {
            "name": "by places",
            "array": {"pe": 4},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "sparse": ["skip A,B"],
            "formats": {"A": formats, "B": formats},
            **changes,
        }
    )


def lined(policy: str) -> Any:
    level = {"cache": policy, "capacity_bits": 2000}
    levels = {"DRAM": {"lines": LINES}, "GLB": level, "PE": {}}
    return design(levels=levels, sync="none", formats={
        "A": {"DRAM": "a:U b:C(20)", "GLB": "CSR"},
        "B": {"DRAM": "a:C(12) b:C(20)", "GLB": "CSR"},
        "O": {"DRAM": "a:C(12) b:C(20)", "GLB": "U"},
    })  # fmt: skip


MATRICES = {"A": zs.Density((24, 20), 0.2), "B": zs.Density((20, 16), 0.3)}
IMAGES = {"I": zs.Density((1, 3, 9, 8), 0.4), "F": zs.Density((6, 3, 3, 3), structure="1:3")}
CASES: dict[str, tuple[str, Any, dict[str, zs.Density], Any, Any]] = {
    "queues": (
        VECTOR,
        design(queue=3, formats={n: {"DRAM": "C", "GLB": "C"} for n in "AB"}),
        {"A": zs.Density((64, 60), 0.1), "B": zs.Density((60,), 0.5)},
        zs.Mapping("k m", sync="k", space={"m": "pe"}),
        lambda charge: charge.compute_cycles,
    ),
    "tree": (
        PRODUCT,
        design(units={"merge": {"how": "tree", "radix": 3}}),
        MATRICES,
        None,
        lambda charge: charge.units["merge"].steps,
    ),
    "list": (
        PRODUCT,
        design(units={"merge": {"how": "list"}}),
        MATRICES,
        None,
        lambda charge: charge.units["merge"].cycles,
    ),
    "skip-ahead in groups": (
        PRODUCT,
        design(units={"intersect": {"how": "skip-ahead"}}),
        {"A": zs.Density((24, 20), structure="1:4"), "B": zs.Density((20, 16), 0.3)},
        None,
        lambda charge: charge.units["intersect"].steps,
    ),
    "skip-ahead of one tensor": (
        "Z[m,n] = A[m,k]*A[k,n]",
        design(
            units={"intersect": {"how": "skip-ahead"}},
            sparse=["skip A"],
            formats={"A": {"DRAM": "CSR", "GLB": "CSR"}},
        ),
        {"A": zs.Density((20, 20), 0.2)},
        None,
        lambda charge: charge.units["intersect"].steps,
    ),
    "banks": (
        CONV,
        design(
            lanes={"I": 2, "F": 2, "banks": 3},
            multipliers=4,
            sparse=["skip I,F"],
            formats={n: {"DRAM": "C", "GLB": "C"} for n in "IF"},
        ),
        IMAGES,
        None,
        lambda charge: charge.cartesian.waiting + charge.compute_cycles,
    ),
    "lru": (
        PRODUCT,
        lined("lru"),
        MATRICES,
        zs.Mapping("m k n", space={"m": "pe"}),
        lambda charge: bits_at(charge, "DRAM"),
    ),
    "optimal": (
        PRODUCT,
        lined("optimal"),
        MATRICES,
        zs.Mapping("m k n", space={"m": "pe"}),
        lambda charge: bits_at(charge, "GLB"),
    ),
    "lines of led tiles": (
        PRODUCT,
        design(
            levels={"DRAM": {"lines": LINES}, "GLB": {}, "PE": {}},
            sparse=["skip A,B", "skip B on A @GLB"],
        ),
        {"A": zs.Density((24, 20), 0.1), "B": zs.Density((20, 16), 0.3)},
        zs.Mapping("m1 k1 @GLB n m0 k0", {"m": 4, "k": 5}, {}, sync="none"),
        lambda charge: bits_at(charge, "DRAM"),
    ),
}
SAID = {
    "queues": "queues, cycles",
    "tree": "merge, steps",
    "list": "merge, steps",
    "banks": "banks, cycles",
    "lru": "lines of DRAM, bits",
    "optimal": "lines of DRAM, bits",
    "lines of led tiles": "lines of DRAM, bits",
}


@pytest.mark.parametrize("case", CASES)
def test_other_draws_have_this_mean(case: str) -> None:
    text, arch, given, mapping, figure = CASES[case]
    layer, rng = zs.layer(text), np.random.default_rng(77)
    expected = zs.charge(layer, arch, **given, mapping=mapping)
    found = []
    for _ in range(60):
        drawn = {name: density.sample(rng) for name, density in given.items()}
        found.append(figure(zs.charge(layer, arch, **drawn, mapping=mapping)))
    spread, runs = np.std(found, ddof=1), len(expected.estimate.sampled.charges)
    assert runs == sampled.MOST_RUNS
    error = 4 * spread * np.sqrt(1 / len(found) + 1 / runs)
    assert abs(figure(expected) - np.mean(found)) <= error
    (said,) = [text for text in expected.assumptions if "draws of the operands" in text]
    start = SAID.get(case, "intersect, steps")
    assert said.startswith(
        f"{start}: the mean of 12 draws of the operands, seed 0, each charged exactly; "
    )
    stated = float(said.rpartition(" ")[2].rstrip("%")) / 100
    assert 0.2 < stated / (spread / np.sqrt(runs) / np.mean(found)) < 5 or case == "optimal"
    assert "approximate" in expected.tags.values()
    again = zs.charge(layer, arch, **dict(reversed(given.items())), mapping=mapping)
    assert figure(again) == figure(expected)


def test_the_mean_over_every_placement_is_within_the_error() -> None:
    text, arch, _, mapping, _ = CASES["queues"]
    arch = design(queue=1, array={"pe": 3}, formats={n: {"DRAM": "C"} for n in "AB"})
    given, ones = {"A": zs.Density((3, 3), 3 / 9)}, np.ones(3)
    every = []
    for some in combinations(range(9), 3):
        mask = np.isin(np.arange(9), some).reshape(3, 3)
        every.append(zs.charge(text, arch, A=mask * 1.0, B=ones, mapping=mapping).compute_cycles)
    found = zs.charge(text, arch, **given, B=ones, mapping=mapping)
    assert found.estimate is not None
    assert found.estimate.sampled is not None
    error = np.std(every) / np.sqrt(len(found.estimate.sampled.charges))
    assert abs(found.compute_cycles - np.mean(every)) <= 4 * error


def test_other_figures_stay_those_of_the_density() -> None:
    text, arch, given, mapping, _ = CASES["lru"]
    found = zs.charge(text, arch, **given, mapping=mapping)
    plain = zs.charge(text, design(sync="none"), **given, mapping=mapping)
    assert found.ops == plain.ops
    assert found.tags["ops"] == "exact in expectation"
    assert found.tags["traffic"] == found.tags["energy_pj"] == "approximate"
    held, there = found.at("PE", "B"), plain.at("PE", "B")
    # a cache holds B as it lies off chip, and PEs have it in the format of the plain design's GLB
    assert held == replace(there, encoded_bits=there.write_bits)
    with pytest.raises(ArchError, match="no closed formula of what by places moves in lines"):
        found.formula("energy_pj")
    assert str(found.formula("effectual")) == "7680*d_A*d_B"


def test_queues_are_in_no_table() -> None:
    text, arch, given, mapping, _ = CASES["queues"]
    found = zs.charge(text, arch, **given, mapping=mapping)
    with pytest.raises(ArchError, match="by places has queues, and their cycles at many densities"):
        found.function("cycles")
    assert found.tags["cycles"] == "approximate"


def test_real_operands_stay_and_draws_are_few_where_they_are_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real, drawn = Operand((3,), np.ones(3)), Expected(zs.Density((20, 20), 0.25))
    every = draws_of({"A": drawn, "x": real})
    assert len(every) == sampled.MOST_RUNS
    assert all(one["x"] is real for one in every)
    assert {int(one["A"].nonzero.sum()) for one in every} == {100}
    assert len({one["A"].nonzero.tobytes() for one in every}) == len(every)
    monkeypatch.setattr(sampled, "PLACES", 401)
    assert len(draws_of({"A": drawn})) == sampled.FEWEST_RUNS
    monkeypatch.setattr(sampled, "MOST_PLACES", 399)
    with pytest.raises(TensorError, match="means over draws of 399 places at most, found 400"):
        draws_of({"A": drawn})


@pytest.mark.parametrize("way", ["split", "refuse"])
def test_draws_have_the_mapping_of_their_mean(way: str) -> None:
    """Of the draws some have a tile of A that does not fit where the mean does."""
    levels = {"DRAM": {"lines": {"read_bits": 32}}, "GLB": {"capacity_bits": 181}, "PE": {}}
    packed = {name: {"DRAM": "0:U 1:C"} for name in "AB"}
    arch = design(levels=levels, array={"pe": 2}, sparse=[], formats=packed, value_bits=8)
    drawn = {"A": zs.Density((6, 16), 0.4), "B": zs.Density((16, 6), 0.4)}
    order, given = ("m1 @GLB(A) k m0 n", {"m": 2}, {}), {"sync": "none", "keep": {"GLB": "A"}}
    mapped = zs.Mapping(*order, **given, overflow={"GLB": way})
    found = zs.charge(PRODUCT, arch, **drawn, mapping=mapped)
    assert not found.overflow
    assert found.estimate is not None
    assert found.estimate.sampled is not None
    every = found.estimate.sampled.charges
    assert any(charge.overflow for charge in every)
    assert {charge.mapping.order for charge in every} == {found.mapping.order} == {mapped.order}

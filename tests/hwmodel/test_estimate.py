"""Tags of estimates against every placement of small operands: what they claim is so."""

from __future__ import annotations

from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.hwmodel import presets
from zeroskip.hwmodel.estimate import FIGURES, SURE

LINE = "Z[m,n] = A[m,k]*B[k,n]"
SHAPE = (2, 2)
FORMATS = {name: {"DRAM": "CSR", "GLB": "CSR"} for name in "AB"}
LED = {
    "name": "led",
    "array": {"pe": 2},
    "energy": "eyeriss-relative",
    "levels": {"DRAM": {"read_bits_per_cycle": 16}, "GLB": {}, "PE": {}},
    "formats": FORMATS,
}
DESIGNS: dict[str, Any] = {
    **{name: name for name in presets()},
    "two multipliers": {**LED, "multipliers": 2, "sparse": ["skip A,B"]},
    "three of one PE": {**LED, "array": {"pe": 1}, "multipliers": 3, "sparse": ["skip A,B"]},
    "two behind a leader": {**LED, "multipliers": 2, "sparse": ["skip B on A @GLB"]},
    "two that are gated": {
        **LED,
        "multipliers": 2,
        "sparse": ["gate B on A @GLB", "gate Z on A,B @MAC"],
    },
    "one PE": {**LED, "array": {"pe": 1}, "sparse": ["skip A,B"]},
    "a skipping leader": {**LED, "sparse": ["skip B on A @GLB"]},
    "a gating leader": {**LED, "sparse": ["skip B on A @GLB", "gate Z on A,B @MAC"]},
    "two fingers": {**LED, "sparse": ["skip A,B"], "units": {"intersect": {"how": "two-finger"}}},
    "skip-ahead": {**LED, "sparse": ["skip A,B"], "units": {"intersect": {"how": "skip-ahead"}}},
}


def uniform(held: int) -> tuple[zs.Density, list[np.ndarray]]:
    """So many of four places, and every way to place them."""
    every = combinations(range(4), held)
    return zs.Density(SHAPE, held / 4), [
        np.isin(np.arange(4), some).reshape(SHAPE) * 1.0 for some in every
    ]


def groups() -> tuple[zs.Density, list[np.ndarray]]:
    """One of two in each row."""
    return zs.Density(SHAPE, structure="1:2"), [
        np.eye(2)[list(rows)] for rows in product(range(2), repeat=2)
    ]


def values(charge: Any, figure: str) -> np.ndarray:
    match figure:
        case "ops":
            found = list(charge.ops.values())
        case "traffic":
            found = [moves.bits for moves in charge.traffic.values()]
        case "capacity":
            found = [room.needed_bits for room in charge.capacity]
        case _:
            found = getattr(charge, figure)
    return np.asarray(found, np.float64).reshape(-1)


@pytest.mark.parametrize("given", ["uniform", "groups"])
@pytest.mark.parametrize("design", DESIGNS)
def test_what_is_exact_in_expectation_is_the_mean_over_every_placement(
    design: str, given: str
) -> None:
    first, ways = uniform(2) if given == "uniform" else groups()
    second, others = uniform(1)
    arch = zs.arch(DESIGNS[design])
    expected = zs.charge(LINE, arch, A=first, B=second)
    every = [zs.charge(LINE, arch, A=a, B=b) for a, b in product(ways, others)]
    assert set(expected.tags) == set(FIGURES)
    for figure, tag in expected.tags.items():
        mean = np.mean([values(charge, figure) for charge in every], axis=0)
        found = values(expected, figure)
        if tag == "exact in expectation":
            assert found == pytest.approx(mean), figure
        elif tag == "bound":
            assert np.all(found <= mean * (1 + 1e-9)), figure
        else:
            assert tag == SURE[-1]
            assert found == pytest.approx(mean, rel=0.5), figure
    assert expected.tags["ops"] == "exact in expectation"


def test_each_tag_is_that_of_some_figure() -> None:
    """So that every branch of the test above is taken."""
    found = set()
    for design in ("one PE", "scnn"):
        charge = zs.charge(LINE, zs.arch(DESIGNS[design]), A=uniform(2)[0], B=uniform(1)[0])
        found |= set(charge.tags.values())
    assert found == {"exact in expectation", "bound", "approximate"}


ONE_PE = {**LED, "array": {"pe": 1}, "value_bits": 8, "accumulator_bits": 16}
CUT = zs.Mapping("k1 @GLB(A,B) m n k0", {"k": 1}, {}, sync="none")


def room_of(formats: dict[str, Any], mapped: zs.Mapping, **given: Any) -> Any:
    return zs.charge(LINE, zs.arch({**ONE_PE, "formats": formats}), **given, mapping=mapped)


def test_largest_tiles_that_need_not_meet_are_an_upper_bound() -> None:
    """A has one entry, in the column k of one tile, and B one: 8 + 1 bits each, on average added up
    18.  In half of the 16 placements they meet in a tile, 18 bits; else one tile needs 9."""
    packed = {name: {"DRAM": "CSR", "GLB": "CSR"} for name in "AB"}
    drawn, ways = uniform(1)
    expected = room_of(packed, CUT, A=drawn, B=drawn)
    every = [room_of(packed, CUT, A=a, B=b).capacity[0].needed_bits for a in ways for b in ways]
    assert expected.capacity[0].needed_bits == pytest.approx(18)
    assert np.mean(every) == 13.5
    assert expected.tags["capacity"] == "approximate"
    (note,) = (text for text in expected.assumptions if text.startswith("room: "))
    assert note.endswith("an upper bound; of several terms the largest mean")


def test_fields_of_one_tensor_that_need_not_meet_are_an_upper_bound() -> None:
    """Entries of two rows at a time and coordinates of rows that have one: of A alone, of which
    tiles are cut.  The tile with most entries need not be that with most rows."""
    packed = {"A": {"DRAM": "0:C 1:C", "GLB": "0:C 1:C"}}
    mapped = zs.Mapping("m1 @GLB(A) m0 k", {"m": 2}, {}, sync="none", keep={"GLB": "A"})
    a = zs.Density((4, 4), 0.5)
    design = zs.arch({**ONE_PE, "formats": packed})
    expected = zs.charge("Z[m] = A[m,k]*B[k]", design, A=a, B=np.ones(4), mapping=mapped)
    assert expected.tags["capacity"] == "approximate"


def test_one_tile_that_varies_beside_others_that_do_not_is_no_bound() -> None:
    """B's tiles are alike: whichever is beside A's largest, the sum is what that time needs."""
    packed = {"A": {"DRAM": "CSR", "GLB": "CSR"}}
    drawn, ways = uniform(2)
    ones = np.ones(SHAPE)
    expected = room_of(packed, CUT, A=drawn, B=ones)
    every = [room_of(packed, CUT, A=a, B=ones).capacity[0].needed_bits for a in ways]
    assert not any(text.startswith("room: ") for text in expected.assumptions)
    assert expected.tags["capacity"] == "exact in expectation"
    assert expected.capacity[0].needed_bits == pytest.approx(np.mean(every))

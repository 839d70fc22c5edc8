"""Means of what tiles have that are encoded place by place: all ways to place the entries."""

from __future__ import annotations

from collections import defaultdict
from itertools import combinations, product
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import EinsumError
from zeroskip.hwmodel import Charge, expected_trees

pytestmark = pytest.mark.usefixtures("without_compiling")

LINE = "y[m] = F[m,k]*I[k]"
FIGURES = ("reads", "writes", "read_metadata_bits", "write_metadata_bits")
SHAPE, ENTRIES = (2, 5), 2
TILES: dict[str, Any] = {
    "rows": zs.Mapping("m @GLB(F) k", {}, {}, sync="m"),
    "columns": zs.Mapping("k1 @GLB(F) m k0", {"k": 4}, {}, sync="k1"),
    "one by one": zs.Mapping("m1 @GLB(F) k1 @PE(F) m0 k0", {"m": 1, "k": 3}, {}, sync="m1"),
}
FORMATS = [
    "0:U 1:R(1)",
    "0:C 1:R(1)",
    "0*1:R(2)",
    "1:U 0:R(1)",
    "0:U 1/2:C 1%2:U",
    "0:B 1/3:B 1%3:U",
    "1/2:C 0:U 1%2:R(1)",
    "0:C 1/2:B 1%2:C",
]


def described(text: str, tensor: str = "F", **more: Any) -> zs.Arch:
    return zs.arch(
        {
            "name": "runs",
            "array": {"pe": 1},
            "value_bits": 8,
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {"pointer_bits": 9}, "PE": {}},
            "formats": {tensor: {"DRAM": "C", "GLB": text, "PE": text}},
        }
        | more
    )


def figures(charge: Charge, tensor: str) -> dict[tuple[str, str], float]:
    return {
        (level, what): getattr(charge.at(level, tensor), what)
        for level in ("DRAM", "GLB", "PE")
        for what in FIGURES
    }


def every_way(charged: Any, shape: tuple[int, ...], entries: int, tensor: str) -> dict[Any, float]:
    """Means over all ways to place so many entries."""
    size = int(np.prod(shape))
    found: dict[Any, list[float]] = defaultdict(list)
    for way in combinations(range(size), entries):
        held = np.zeros(size)
        held[list(way)] = 1
        for what, number in figures(charged(held.reshape(shape)), tensor).items():
            found[what].append(number)
    return {what: float(np.mean(numbers)) for what, numbers in found.items()}


@pytest.mark.parametrize("text", FORMATS)
@pytest.mark.parametrize("tiles", TILES)
def test_the_mean_of_all_ways(text: str, tiles: str) -> None:
    def charged(held: Any) -> Charge:
        return zs.charge(LINE, described(text), F=held, I=np.ones(5), mapping=TILES[tiles])

    wanted = every_way(charged, SHAPE, ENTRIES, "F")
    mean = charged(zs.Density(SHAPE, ENTRIES / 10))
    assert mean.tags["traffic"] == "exact in expectation"
    assert figures(mean, "F") == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["0:R(1)", "0/2:C 0%2:U"])
def test_the_mean_of_what_newly_comes(text: str) -> None:
    """Windows of four places, two apart: of the second two are new."""
    mapped = zs.Mapping("p1 @GLB(I) p0 r @PE(I)", {"p": 2}, {}, sync="none")

    def charged(held: Any) -> Charge:
        design = described(text, "I")
        return zs.charge("O[p] = I[p+r]*F[r]", design, I=held, F=np.ones(3), mapping=mapped)

    wanted = every_way(charged, (8,), 3, "I")
    assert figures(charged(zs.Density((8,), 3 / 8)), "I") == pytest.approx(wanted)


def test_in_the_density() -> None:
    """A tile of all: a bridge where place 0 and 1 of three are empty, and the third is not."""
    design = described("0:U 1:R(1)")
    mapped = zs.Mapping("m1 @GLB(F) m0 k", {"m": 1}, {}, sync="m1")
    c = zs.charge(LINE, design, F=zs.Density((2, 3), 0.5), I=np.ones(3), mapping=mapped)
    # of 6 places 3 are stored: (3*2*3)/(6*5*4) for either row
    assert c.at("GLB", "F").writes == pytest.approx(3 + 2 * 18 / 120)
    energy = c.function("energy_pj")
    for share in (1 / 3, 2 / 3):
        other = zs.charge(LINE, design, F=zs.Density((2, 3), share), I=np.ones(3), mapping=mapped)
        assert energy(d_F=share) == pytest.approx(other.energy_pj)


@pytest.mark.parametrize("tiles", TILES)
def test_the_mean_of_all_groups(tiles: str) -> None:
    """1 of each two, in tiles that cut pairs: 16 ways."""

    def charged(held: Any) -> Charge:
        design = described("0:U 1:H(1:2)")
        return zs.charge(LINE, design, F=held, I=np.ones(4), mapping=mapped)

    mapped = TILES[tiles] if tiles != "columns" else zs.Mapping("k1 @GLB(F) m k0", {"k": 3}, {})
    found: dict[Any, list[float]] = defaultdict(list)
    for places in product(range(2), repeat=4):
        held = np.zeros((4, 2))
        held[np.arange(4), places] = 1
        for what, number in figures(charged(held.reshape(2, 4)), "F").items():
            found[what].append(number)
    wanted = {what: float(np.mean(numbers)) for what, numbers in found.items()}
    assert figures(charged(zs.Density((2, 4), structure="1:2")), "F") == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("density", "text", "why"),
    [
        (zs.Density((4, 6), structure="2:3"), "0:U 1:R(1)", "where some places are more likely"),
        (zs.Density((4, 6), structure="1:3"), "0:U 1:H(2:3)", "of groups that the density does"),
        (zs.Density((4, 6), 0.5), "0:U 1:H(2:3)", "of groups that the density does not have"),
        (zs.Density((4, 6), 0.5), "0:R(1) 1:C", "of run lengths and groups outside other levels"),
    ],
)
def test_refused(density: zs.Density, text: str, why: str) -> None:
    with pytest.raises(EinsumError, match=why):
        zs.charge(LINE, described(text), F=density, I=np.ones(6), mapping=TILES["rows"])


def test_what_is_skipped_by_has_no_mean() -> None:
    skipping = described("0:U 1:R(1)", sparse=["skip F"])
    with pytest.raises(EinsumError, match="of single places, by which operations go"):
        zs.charge(LINE, skipping, F=zs.Density(SHAPE, 0.2), I=np.ones(5), mapping=TILES["rows"])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("gap + 1, times", "gap, times"),
        ("(lengths[longer] - gap)", "(lengths[longer] - gap - 1)"),
        ("Compressed | Bitmask | RunLength):", "Compressed | RunLength):"),
        ("found.add(rows[0], 1, -1.0)", "pass"),
        ("np.unique(rows[0]), 0", "np.unique(rows[0]), 1"),
    ],
)
def test_a_changed_line_is_found_out(
    monkeypatch: pytest.MonkeyPatch, before: str, after: str
) -> None:
    assert expected_trees.__file__ is not None
    with open(expected_trees.__file__, encoding="utf-8") as file:
        text = file.read()
    assert text.count(before) == 1, before
    made: dict[str, Any] = dict(vars(expected_trees))
    exec(compile(text.replace(before, after), "changed", "exec"), made)
    monkeypatch.setattr("zeroskip.hwmodel.expected.trees_of", made["trees_of"])
    failed = 0
    for format in ("0:U 1:R(1)", "0:B 1/3:B 1%3:U", "0:C 1:R(1)"):
        try:
            test_the_mean_of_all_ways(format, "columns")
        except AssertionError:
            failed += 1
    assert failed

"""Whole lines and caches by epochs: by hand, of results known by rows alone, and of densities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, arch, charge, reached, sampled

pytestmark = pytest.mark.usefixtures("without_compiling")


def by_hand(order: str, **more: Any) -> list[int]:
    """Two rows of 7 values of 8 bits, two to a line of 16, of which tiles have three; one PE."""
    lines = {"read_bits": 16, "write_bits": 16, "pointer_bits": 16}
    rates = {"read_bits_per_cycle": 16, "write_bits_per_cycle": 16}
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines, **rates}, "PE": {}},
        "formats": {"A": {"DRAM": "a:U b:C(8)", "PE": "C"}},
        "overlap": "none",
    }
    mapping = Mapping(order, {"k": 3}, {}, sync="k1")
    operands = {"A": np.ones((2, 7)), "x": np.ones(7)}
    found = charge(make_spec("y[m] = A[m,k]*x[k]"), arch(design | more), operands, mapping).epochs
    assert found is not None
    return [int(cycles) for cycles in found.cycles]


def test_lines_of_tiles_by_hand() -> None:
    """Tiles 0-2, 3-5 and 6 of |01|23|45|6 | take 2, 2 and 1 lines of values, and of coordinates; a
    pointer is a line, with the first tile of its row; of x come 2, 2 and 1.  Products are 3, 3 and
    1; the results, 16 bits, leave at the end."""
    loads = [2 + 2 + 1 + 2, 2 + 2 + 2, 1 + 1 + 1]
    times = [loads[0] + 3, loads[1] + 3, loads[2] + 1]
    assert by_hand("m k1 @PE(A,x) k0") == [*times, *times[:2], times[2] + 1]


def test_lines_of_parts_by_hand() -> None:
    """A row of A comes part by part: the line of 2 and 3 with the first of them."""
    loads = [2 + 2 + 1 + 2, 1 + 1 + 2, 1 + 1 + 1]
    times = [loads[0] + 3, loads[1] + 3, loads[2] + 1]
    assert by_hand("m @PE(A) k1 @PE(x) k0") == [*times, *times[:2], times[2] + 1]


def test_lines_of_results_by_hand() -> None:
    """Three results in a line and a half: each leaves with its row, a line with the last in it."""
    rates = {"write_bits_per_cycle": 1}
    lines = {"read_bits": 16, "write_bits": 16, "pointer_bits": 16}
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines, **rates}, "PE": {}},
        "formats": {"O": {"DRAM": "a:C(8)", "PE": "U"}},
        "overlap": "none",
    }
    mapping = Mapping("m @PE(y) k", {}, {}, sync="m")
    operands = {"A": np.ones((3, 2)), "x": np.ones(2)}
    spec = make_spec("y[m] = A[m,k]*x[k]")
    found = charge(spec, arch(design), operands, mapping).epochs
    assert found is not None
    assert found.cycles.tolist() == [2, 2 + 32, 2 + 32]


def cache_by_hand(capacity: int, mapping: Mapping) -> Charge:
    """2 rows of A by 3 rows of B, each of two entries of 16 + 8 bits, and a pointer of 32."""
    design = {
        "name": "cached",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {
            "DRAM": {"read_bits_per_cycle": 8},
            "LLC": {"cache": "lru", "capacity_bits": capacity},
            "PE": {},
        },
        "sparse": ["skip A,B"],
        "formats": {name: {"DRAM": "a:U b:C(8)"} for name in "AB"},
        "overlap": "none",
    }
    given_ = {"A": np.ones((2, 3)), "B": np.ones((3, 2))}
    return zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, **given_)


@pytest.mark.parametrize(("capacity", "again"), [(150, 0), (100, 48)])
def test_misses_come_when_they_are_asked_for(capacity: int, again: int) -> None:
    """An entry of A in each epoch, and at first a row of B with its pointer; 100 bits hold two
    rows, of which the one that is needed has left."""
    mapping = Mapping("m k @PE n", space={}, sync="k", keep={"LLC": "B"})
    found = cache_by_hand(capacity, mapping).epochs
    assert found is not None
    first, later = (24 + 48 + 32) // 8 + 2, (24 + again) // 8 + 2
    assert found.cycles.tolist() == [first] * 3 + [later] * 3


def large(a: Any, b: Any, mapping: Mapping) -> Charge:
    """A product whose result has lines of 16 bits."""
    lines = {"read_bits": 16, "write_bits": 16, "pointer_bits": 16}
    design = {
        "name": "large",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines, "write_bits_per_cycle": 16}, "GLB": {}, "PE": {}},
        "sparse": ["skip A,B"],
        "formats": {name: {"DRAM": "a:U b:C(8)", "GLB": "C"} for name in "AB"}
        | {"O": {"DRAM": "a:U b:C(8)", "GLB": "U"}},
        "overlap": "double",
    }
    return zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, A=a, B=b)


def test_of_large_results_only_rows_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(5)
    a, b = (rng.random((6, 6)) < 0.4, rng.random((6, 6)) < 0.4)
    rows = Mapping("m1 @GLB(Z) k m0 n", {"m": 2}, {}, sync="m1")
    columns = Mapping("n1 @GLB(Z) k m n0", {"n": 2}, {}, sync="n1")
    known = [large(a * 1.0, b * 1.0, rows), large(a * 1.0, b * 1.0, columns)]
    monkeypatch.setattr(reached, "MOST_SCATTERED", 35)
    found = large(a * 1.0, b * 1.0, rows)
    assert all(charged.epochs is not None for charged in (*known, found))
    assert found.epochs.cycles.tolist() == known[0].epochs.cycles.tolist()
    assert known[0].epochs.cycles.tolist() != known[1].epochs.cycles.tolist()
    with pytest.raises(ArchError, match="how many of each fiber are reached, not where; n1, which"):
        large(a * 1.0, b * 1.0, columns)


@pytest.mark.parametrize("cache", [None, "lru"])
def test_other_draws_have_this_mean(cache: str | None) -> None:
    lines = {"read_bits": 16, "write_bits": 16, "pointer_bits": 16}
    glb = {} if cache is None else {"cache": cache, "capacity_bits": 300}
    design = arch(
        {
            "name": "drawn",
            "array": {"pe": 2},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {"lines": lines, "read_bits_per_cycle": 16}, "GLB": glb, "PE": {}},
            "sparse": ["skip A,B"],
            "formats": {name: {"DRAM": "a:U b:C(8)", "GLB": "C"} for name in "AB"},
            "overlap": "double",
        }
    )
    drawn = {"A": zs.Density((8, 12), 0.3), "B": zs.Density((12, 8), 0.4)}
    mapping = Mapping("m1 k n m0", {"m": 2}, {}, sync="k", keep={"GLB": "B"})
    expected = zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, **drawn)
    rng, found = np.random.default_rng(3), []
    for _ in range(40):
        real = {name: density.sample(rng) for name, density in drawn.items()}
        found.append(zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, **real))
    cycles = [charged.cycles for charged in found]
    error = 4 * np.std(cycles, ddof=1) * np.sqrt(1 / len(found) + 1 / sampled.MOST_RUNS)
    assert abs(expected.cycles - np.mean(cycles)) <= error
    assert expected.epochs is not None
    assert expected.epochs.total == pytest.approx(sum(expected.epochs.limits.values()))
    assert expected.tags["cycles"] == "approximate"
    assert any(text.startswith("epochs, cycles: the mean of") for text in expected.assumptions)

"""A cache between other levels, by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, arch

pytestmark = pytest.mark.usefixtures("without_compiling")


def rows(
    capacity: int, order: str, *names: str, at: dict[str, str] | None = None, **keep: Any
) -> Charge:
    """2 rows of A by 3 rows of B, each of two entries of 16 + 8 bits; all are there.

    at : formats elsewhere than off chip.
    """
    levels: dict[str, Any] = {name: {} for name in ("DRAM", *names, "PE")}
    levels["LLC"] = {"cache": "lru", "capacity_bits": capacity}
    design = {
        "name": "between",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": levels,
        "sparse": ["skip A,B"],
        "formats": {name: {"DRAM": "a:U b:C(8)"} | (at or {}) for name in "AB"},
    }
    mapping = Mapping(order, space={}, sync="none", **keep)
    text, given_ = "Z[m,n] = A[m,k]*B[k,n]", {"A": np.ones((2, 3)), "B": np.ones((3, 2))}
    return zs.charge(text, design, mapping=mapping, **given_)


def test_outside_a_cache_a_level_is_read_for_what_misses() -> None:
    """Of B three rows of 48 bits for each m: all fit 150 bits, two of them 100."""
    large, small = (rows(bits, "m k n", "L2", "LLC", keep={"LLC": "B"}) for bits in (150, 100))
    assert [large.at(name, "B").reads for name in ("DRAM", "L2", "LLC")] == [6, 6, 6]
    assert [small.at(name, "B").reads for name in ("DRAM", "L2", "LLC")] == [6, 12, 6]
    assert (small.at("L2", "B").writes, small.at("LLC", "B").writes) == (6, 12)


def test_inside_a_cache_tiles_ask_for_their_fibers() -> None:
    """L1 has a row of B at a time, at each (m, k), or all of B once: then each row is asked for
    once."""
    each = rows(100, "m k @L1 @PE n", "LLC", "L1", keep={"LLC": "B"})
    assert each.at("DRAM", "B").reads == each.at("LLC", "B").reads == 12
    once = rows(100, "@L1 m k n", "LLC", "L1", keep={"LLC": "B"})
    assert once.at("DRAM", "B").reads == once.at("L1", "B").writes == 6
    said = "LLC: what L1 keeps asks for the fibers of each of its tiles as it comes"
    assert any(text.startswith(said) for text in each.assumptions)


def test_two_caches_and_tiles_that_move_over_themselves_are_refused() -> None:
    levels: dict[str, Any] = {"DRAM": {}, "L2": {"cache": "lru"}, "L1": {"cache": "lru"}, "PE": {}}
    design = {"array": {"pe": 1}, "energy": "eyeriss-relative", "levels": levels}
    with pytest.raises(ArchError, match="expected one cache, asked by what is inside it; found L2"):
        arch(design)
    levels["L1"] = {}
    moving = Mapping("p @L1 @PE r", space={}, sync="none")
    with pytest.raises(ArchError, match="tiles of I in L1 reach over each other along p"):
        zs.charge("O[p] = I[p+r]*F[r]", design, mapping=moving, I=np.ones(5), F=np.ones(2))


def test_fibers_pass_a_level_in_one_format() -> None:
    """What misses passes L2: 12 entries in, and out; in bits, where off chip has coordinates, they
    are no such fibers."""
    alike = rows(100, "m k n", "L2", "LLC", keep={"LLC": "B"}, stream={"L2": "B"})
    assert [alike.at(name, "B").reads for name in ("DRAM", "L2", "LLC")] == [12, 12, 6]
    assert (alike.at("L2", "B").writes, alike.at("LLC", "B").writes) == (12, 12)
    with pytest.raises(ArchError, match="stream L2: B is bitmask there, and fibers that pass it"):
        rows(100, "m k n", "L2", "LLC", keep={"LLC": "B"}, stream={"L2": "B"}, at={"L2": "a:U b:B"})


@pytest.mark.parametrize(("multicast", "read"), [(True, 6), (False, 12)])
def test_one_pass_may_serve_several_pes(multicast: bool, read: int) -> None:
    """Two PEs need each row of A, of three entries; nothing fits."""
    levels: dict[str, Any] = {"DRAM": {}, "LLC": {"cache": "lru", "capacity_bits": 1}}
    levels |= {"L1": {"multicast": multicast, "stream": "A"}, "PE": {}}
    design = {"name": "two", "array": {"pe": 2}, "energy": "eyeriss-relative", "levels": levels}
    design["formats"] = {"A": {"DRAM": "a:U b:C(8)"}}
    mapping = Mapping("m @PE k n", space={"n": "pe"}, sync="none", keep={"LLC": "A"})
    given_ = {"A": np.ones((2, 3)), "B": np.ones((3, 2))}
    found = zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, **given_)
    assert found.at("DRAM", "A").reads == found.at("L1", "A").reads == read


@pytest.mark.parametrize("kind", ["skip", "gate"])
def test_tiles_that_nobody_calls_for_ask_for_nothing(kind: str) -> None:
    """Row 0 of A has nothing but k = 0, row 1 all three: the tiles of B that come are row 0, then
    rows 0 to 2.  All of them fit the cache, and 48 bits are one row."""
    levels: dict[str, Any] = {"DRAM": {}, "LLC": {"cache": "lru"}, "L1": {}, "PE": {}}
    a = np.array([[1, 0, 0], [1, 1, 1]])

    def reads(capacity: int, level: str = "L1") -> tuple[int, int]:
        levels["LLC"]["capacity_bits"] = capacity
        design = {
            "name": "between",
            "array": {"pe": 1},
            "energy": "eyeriss-relative",
            "levels": levels,
            "sparse": [f"{kind} B on A @{level}"],
            "formats": {name: {"DRAM": "a:U b:C(8)"} for name in "AB"},
        }
        mapping = Mapping("m k @L1 @PE n", space={}, sync="none", keep={"LLC": "B"})
        given_ = {"A": a, "B": np.ones((3, 2))}
        found = zs.charge("Z[m,n] = A[m,k]*B[k,n]", design, mapping=mapping, **given_)
        return found.at("DRAM", "B").reads, found.at("LLC", "B").reads

    assert reads(150) == (6, 8)
    assert reads(48) == (6, 8)
    a[0] = [0, 1, 0]
    assert reads(48) == (8, 8)
    with pytest.raises(ArchError) as error:
        reads(48, "LLC")
    assert str(error.value) == (
        f'between: "{kind} B on A @LLC" acts on what fills LLC, which is a cache: it is filled '
        "with the fibers that are asked for, and not by tiles\n"
        "Let the feature act on another level, @PE or @MAC."
    )


def test_a_cache_brings_nothing_of_tiles_that_spill() -> None:
    """L2 has room for 4 of the 6 entries of B, of 16 + 8 bits."""
    levels: dict[str, Any] = {"DRAM": {}, "L2": {"capacity_bits": 100}, "LLC": {"cache": "lru"}}
    formats = {"B": {"DRAM": "a:U b:C(8)"}}
    design = {"array": {"pe": 1}, "energy": "eyeriss-relative", "formats": formats}
    given_ = {"A": np.ones((2, 3)), "B": np.ones((3, 2))}

    def brought(**kept: str) -> Charge:
        mapping = Mapping("m k n", space={}, sync="none", overflow={"L2": "spill"}, keep=kept)
        described = design | {"levels": levels | {"PE": {}}}
        return zs.charge("Z[m,n] = A[m,k]*B[k,n]", described, mapping=mapping, **given_)

    with pytest.raises(ArchError, match="overflow L2: spill: LLC, a cache, brings whole fibers of"):
        brought(L2="B", LLC="B")
    passing = brought(L2="B", LLC="A")
    assert passing.at("L2", "B").writes == 4


def test_what_stays_of_a_tile_asks_before_what_passes() -> None:
    """Columns of A, of four entries of 16 + 8 bits, come by pairs of rows; L1 has room for three of
    the six entries of a tile.  So columns 0 and 1 are asked for, then 1 and 2, for each tile, and
    the cache has room for two: of each four 0, 1 and 2 are not there."""
    columns = "[a,b] b:U a:C(8)"
    levels: dict[str, Any] = {"DRAM": {}, "LLC": {"cache": "lru", "capacity_bits": 192}}
    levels |= {"L1": {"capacity_bits": 80}, "PE": {}}
    formats = {"A": {"DRAM": columns, "L1": columns}}
    design = {"array": {"pe": 1}, "energy": "eyeriss-relative", "levels": levels}
    keep = {"LLC": "A", "L1": "A"}
    mapping = Mapping(
        "m1 @L1 @PE m0 k n", {"m": 2}, {}, sync="none", keep=keep, overflow={"L1": "spill"}
    )
    given_ = {"A": np.ones((4, 3)), "B": np.ones((3, 2))}
    text = "Z[m,n] = A[m,k]*B[k,n]"
    found = zs.charge(text, design | {"formats": formats}, mapping=mapping, **given_)
    assert (found.at("L1", "A").writes, found.at("LLC", "A").reads) == (6, 12)
    assert found.at("DRAM", "A").reads == 2 * 3 * 4

"""What moves in lines or through a cache and is not listed by epochs: it is refused by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import CascadeMapping, Mapping, arch, charge, charge_cascade

pytestmark = pytest.mark.usefixtures("without_compiling")


def test_lines_of_what_passes_levels_are_refused() -> None:
    mapping = Mapping("m @PE k", {}, {}, sync="m", stream={"GLB": "A"})
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": {"read_bits": 16}}, "GLB": {}, "PE": {}},
        "overlap": "none",
    }
    operands = {"A": np.ones((2, 7)), "x": np.ones(7)}
    spec = make_spec("y[m] = A[m,k]*x[k]")
    with pytest.raises(ArchError) as error:
        charge(spec, arch(design), operands, mapping)
    assert str(error.value) == (
        "overlap: A passes GLB, and which lines, or fibers of a cache, of what passes a level come "
        "in which epoch is not listed as yet\nKeep A in GLB, or leave out overlap, or lines and "
        "cache."
    )
    assert charge(spec, arch(design | {"overlap": None}), operands, mapping).at("DRAM", "A").bits
    small = design | {"levels": design["levels"] | {"GLB": {"capacity_bits": 120}}}
    spills = Mapping("m @PE k", {}, {}, sync="m", overflow={"GLB": "spill"})
    with pytest.raises(ArchError, match="overlap: A passes GLB, and which lines, or fibers of a"):
        charge(spec, arch(small), operands, spills)


def of_spills(overlap: str | None) -> Any:
    """Tiles of A in L1, which has no room for all of them, from a cache."""
    design = {
        "name": "cached",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {
            "DRAM": {},
            "LLC": {"cache": "lru", "capacity_bits": 400},
            "L1": {"capacity_bits": 70},
            "PE": {},
        },
        "overlap": overlap,
    }
    mapping = Mapping("m @L1 k", {}, {}, sync="m", keep={"LLC": "A"}, overflow={"L1": "spill"})
    operands = {"A": np.ones((2, 7)), "x": np.ones(7)}
    return charge(make_spec("y[m] = A[m,k]*x[k]"), arch(design), operands, mapping)


def test_tiles_that_spill_inside_a_cache_are_refused() -> None:
    assert of_spills(None).at("LLC", "A").bits
    with pytest.raises(ArchError, match="overlap: A passes L1, and which lines, or fibers of a"):
        of_spills("none")


def of_places(formats: dict[str, Any], skips: bool, overlap: str | None, **cache: Any) -> Any:
    """Rows of A off chip in lines."""
    levels = {"DRAM": {"lines": {"read_bits": 16}}, "GLB": cache, "PE": {}}
    design = {
        "name": "places",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": levels,
        "sparse": ["skip A"] if skips else [],
        "formats": formats,
        "overlap": overlap,
    }
    a = np.array([[0, 0, 0, 1, 0, 0, 1], [1, 0, 0, 0, 0, 0, 1]])
    mapping = Mapping("m k", {}, {}, sync="m", keep={"GLB": "A"})
    return charge(make_spec("y[m] = A[m,k]*x[k]"), arch(design), {"A": a, "x": np.ones(7)}, mapping)


@pytest.mark.parametrize("inner", ["R(1)", "H(1:4)"])
def test_what_only_holds_a_place_is_refused(inner: str) -> None:
    where = {"DRAM": f"a:U b:{inner}"}
    for cache in ({}, {"cache": "lru", "capacity_bits": 400}):
        assert of_places({"A": where}, skips=False, overlap=None, **cache).at("DRAM", "A").bits
        with pytest.raises(ArchError, match=r"overlap: A is .* in DRAM, and in which epoch lines"):
            of_places({"A": where}, skips=False, overlap="double", **cache)


def test_what_asks_a_cache_by_places_that_are_held_is_refused() -> None:
    formats = {"A": {"DRAM": "a:U b:C", "GLB": "a:U b:C", "PE": "a:U b:R(1)"}}
    cache = {"cache": "lru", "capacity_bits": 400}
    assert of_places(formats, skips=True, overlap=None, **cache).at("DRAM", "A").bits
    with pytest.raises(ArchError, match=r"overlap: A is .* in PE, and in which epoch lines"):
        of_places(formats, skips=True, overlap="none", **cache)
    assert of_places(formats, skips=True, overlap="none").epochs  # no fiber is asked for by them


def test_fused_lines_that_lie_in_lines_are_refused() -> None:
    lines = "S[i,j] = Q[i,k]*K[k,j]; Z[i,c] = S[i,j]*V[j,c]"
    orders = {
        "S": Mapping("i1 @GLB(S) @PE(S) k i0 j", {"i": 2}, {}, sync="k"),
        "Z": Mapping("i1 @GLB(S) j i0 c", {"i": 2}, {}, sync="j"),
    }
    design = {
        "name": "lined",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": {"read_bits": 64}}, "GLB": {}, "PE": {}},
    }
    operands = {name: np.ones((4, 4)) for name in "QKV"}
    fused = CascadeMapping(orders, {}, {"S,Z": "i1"})
    assert charge_cascade(make_spec(lines), design, operands, fused).cycles
    alone = CascadeMapping(orders, {}, {})
    by_epochs = design | {"overlap": "none"}
    assert charge_cascade(make_spec(lines), by_epochs, operands, alone).cycles
    with pytest.raises(ArchError) as caught:
        charge_cascade(make_spec(lines), by_epochs, operands, fused)
    assert str(caught.value) == (
        "fuse S,Z: i1: lined has overlap, and lines of DRAM: in which epoch of a turn a line "
        "comes, that other turns read too, is not listed as yet\nLeave out overlap, or "
        "levels.DRAM.lines, or run them one after the other, without fuse."
    )


def test_lists_of_fibers_of_tiles_are_refused() -> None:
    design = {
        "name": "listed",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": {"read_bits": 16, "pointer_bits": 8}}, "GLB": {}, "PE": {}},
        "formats": {"A": {"DRAM": "0:C 1:C"}},
        "sparse": ["skip A"],
        "overlap": "none",
    }
    spec = make_spec("y[m] = A[m,k]*x[k]")
    operands = {"A": np.eye(4, 6), "x": np.ones(6)}
    mapping = Mapping("m1 @GLB m0 k", {"m": 2}, {}, sync="m1")
    with pytest.raises(ArchError) as error:
        charge(spec, arch(design), operands, mapping)
    assert str(error.value) == (
        "overlap: A is DCSR in DRAM, and in which epoch the list of its fibers comes, where "
        "tiles come one by one, is not listed as yet\nGive levels.DRAM.lines lists: unread, have A "
        "come whole, or leave out overlap."
    )
    design["levels"]["DRAM"]["lines"]["lists"] = "unread"
    assert charge(spec, arch(design), operands, mapping).cycles

"""Tiles that do not fit: which they are, and refusing them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from cases import cases
from described import bits_of, dense_of
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import drawn
from layers import one_pe
from mapped_cases import mappings

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge, together
from zeroskip.hwmodel.nest import Loop
from zeroskip.hwmodel.overfull import place_of

LEVELS = {"DRAM": {}, "GLB": {"capacity_bits": 64}, "PE": {}}


def product(overflow: dict[str, str], second: int = 3) -> Charge:
    """A product by rows in pairs; of A the second pair holds so many entries, the first 2."""
    a = np.zeros((4, 5))
    a[0, :2] = a[2, :second] = 1
    design = one_pe(levels=LEVELS, formats={"A": {"DRAM": "CSR", "GLB": "CSR"}})
    spec = make_spec("Z[m] = A[m,k]*B[k]")
    mapped = Mapping(
        "m1 @GLB m0 k @PE", {"m": 2}, {}, sync="m1", keep={"GLB": "A,Z"}, overflow=overflow
    )
    return charge(spec, arch(design), {"A": a, "B": np.ones(5)}, mapped)


def test_the_tile_that_does_not_fit_is_named_with_its_bits() -> None:
    assert product({}, 3).overflow == ()  # 3 entries of 16 bits and 3 of coordinate
    told = "GLB must hold 76 bits and holds 64: 12 bits too few: A tile m=2:4 (76 bits)"
    assert product({}, 4).overflow == (told,)
    assert product({"GLB": "report"}, 4).overflow == (told,)


def test_what_does_not_fit_is_refused_where_the_mapping_says_so() -> None:
    assert product({"GLB": "refuse"}, 3).overflow == ()
    with pytest.raises(ArchError) as caught:
        product({"GLB": "refuse"}, 4)
    assert str(caught.value) == (
        "overflow at GLB: A tile m=2:4 (76 bits): 76 bits, and GLB holds 64: 12 bits too few\n"
        "Cut ranks into smaller blocks (split), keep fewer tensors in GLB (keep), or let overflow "
        'GLB be "report": figures are a lower bound then.'
    )
    assert product({"PE": "refuse"}, 4).overflow  # another level


def test_only_tiles_of_one_time_have_to_fit() -> None:
    """Rows of 5 entries of 16 + 3 bits: A's full row is 0, B's 3; 95 bits at a time, of 190.  Where
    B's is 0, too, both are there at m = 0."""
    spec = make_spec("Z[m] = A[m,k]*B[m,k]")
    packed = {name: {"DRAM": "CSR", "GLB": "CSR", "PE": "CSR"} for name in "AB"}
    levels = {"DRAM": {}, "GLB": {"capacity_bits": 100}, "PE": {}}
    design = arch(one_pe(levels=levels, formats=packed))
    given = {"overflow": {"GLB": "refuse"}, "keep": {"GLB": "A,B"}, "space": {}, "sync": "m"}
    mapped = Mapping("m @GLB(A,B) k", **given)
    first, last = np.zeros((4, 5)), np.zeros((4, 5))
    first[0] = last[3] = 1
    apart = charge(spec, design, {"A": first, "B": last}, mapped)
    assert apart.capacity[0].needed_bits == 95
    with pytest.raises(ArchError) as caught:
        charge(spec, design, {"A": first, "B": first}, mapped)
    told = "overflow at GLB: A tile m=0:1 (95 bits), B tile m=0:1 (95 bits): 190 bits, and GLB"
    assert str(caught.value).startswith(told)
    assert "These are the largest" not in str(caught.value)


def test_where_nobody_looks_the_largest_are_added_up(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = make_spec("Z[m] = A[m,k]*B[k]")
    held = {"A": np.ones((4, 5)), "B": np.ones(5)}
    mapped = Mapping("m k", space={}, sync="m", overflow={"GLB": "refuse"}, keep={"GLB": "A,B"})
    levels = {"DRAM": {}, "GLB": {"capacity_bits": 100}, "PE": {}}
    monkeypatch.setattr(together, "MOST_CELLS", 1)
    with pytest.raises(ArchError, match=r"160 bits, and GLB holds 100.*\nThese are the largest"):
        charge(spec, arch(one_pe(levels=levels)), held, mapped)


def test_a_charge_that_fits_has_a_dense_baseline_that_need_not() -> None:
    c = product({"GLB": "refuse"}, 3)
    assert "overflow GLB: refuse" in str(c.mapping)
    assert c.baseline.overflow == (
        "GLB must hold 160 bits and holds 64: 96 bits too few: A tile m=0:2 (160 bits)",
    )


def test_of_densities_the_mean_of_the_largest_tile_is_refused() -> None:
    spec = make_spec("Z[m] = A[m,k]*B[k]")
    drawn_ones = {"A": Density((4, 5), 0.5), "B": np.ones(5)}
    mapped = Mapping("m k", space={}, sync="m", overflow={"GLB": "refuse"})
    text = (
        r"overflow at GLB: [\d]+\.\d\d bits on average, and GLB holds 64: [\d]+\.\d\d bits too few"
    )
    more = "\nThese are the largest tiles on average, added up: an upper bound.\n"
    packed = {"A": {"DRAM": "CSR", "GLB": "CSR"}}
    with pytest.raises(ArchError, match=text + more):
        charge(spec, arch(one_pe(levels=LEVELS, formats=packed)), drawn_ones, mapped)


@pytest.mark.parametrize(
    ("overflow", "text"),
    [
        ({"L3": "refuse"}, "overflow L3: expected a level of .* that is filled \\(GLB, PE\\)"),
        ({"DRAM": "refuse"}, "overflow DRAM: expected a level of .* found DRAM"),
        ({"GLB": "drop"}, "overflow GLB: expected refuse, split, spill or report, found 'drop'"),
        ({"GLB": 3}, "overflow GLB: expected refuse, split, spill or report, found 3"),
        ("GLB", "overflow: expected a dict by level, found 'GLB'"),
    ],
)
def test_what_is_no_way_or_no_level_is_refused(overflow: dict[str, str], text: str) -> None:
    with pytest.raises(ArchError, match=text):
        product(overflow)


def test_places_of_inner_loops_without_their_outer_one_are_named_by_runs() -> None:
    inner = Loop("m0", "m", 2, 2, spans=(4,))
    assert place_of(np.array([1, 5]), [inner], {"m": 11}) == "m=2:4+6:8+10:11"
    assert place_of(np.array([1, 5]), [inner], {"m": 16}) == "m=2:4+6:8+10:12+..."
    assert place_of(np.array([5, 5]), [inner], {"m": 3}) == "m=0:2"  # the first of them
    assert place_of(np.zeros(0), [inner], {"m": 0}) == ""


@settings(max_examples=25)
@given(data=st.data())
def test_the_tile_that_is_named_holds_these_bits(data: st.DataObject) -> None:
    case = data.draw(cases())
    mapped = data.draw(mappings(case))
    made = drawn(data, case, mapped, tiles=True)
    made.described["levels"] = {
        name: entry | ({"capacity_bits": 1} if number else {})
        for number, (name, entry) in enumerate(mapped.levels.items())
    }
    charged = made.charge()
    shape = mapped.loops, mapped.sync, mapped.stays, mapped.instances
    nest = case.nest(*shape, dense_of(made.formats), mapped.levels)
    for room in charged.capacity:
        assert sum(tile.bits for tile in room.tiles) == room.needed_bits or not room.overflow_bits
        for tile in room.tiles:
            if "..." in tile.where:
                continue  # more runs than are listed
            wanted = parsed(tile.where)
            entry, place = 0, 0
            if tile.tensor != "O":
                entry, place = bits_of(made.formats, tile.tensor, room.level)
            held = []
            for term in [*nest.work(), *nest.additions()]:
                if tile.tensor == "O" and term not in nest.work():
                    continue
                every = nest.sums(term) if tile.tensor == "O" else nest.points(term)
                points = [
                    at
                    for at in every
                    if all(at[rank] in wanted[rank] for rank in wanted if rank in at)
                ]
                if tile.tensor == "O":
                    codes = [compile(text, "", "eval") for text in nest.target]
                    held.append(32 * len({tuple(eval(c, {}, at) for c in codes) for at in points}))
                    continue
                for access in (access for access in term if access.tensor == tile.tensor):
                    spots = {access.place(at) for at in points}
                    entries = sum(access.held(spot, room.level) for spot in spots)
                    spots = {spot for spot in spots if access.inside(spot)}
                    held.append(entries * (16 + entry) + place * len(spots))
            if not place:
                assert tile.bits in held, (tile, held)
            else:  # of bits for places the largest tile may be another
                assert tile.bits >= min(held)


def parsed(where: str) -> dict[str, set[int]]:
    """Rank -> places, of ``m=0:2+4:6, c=1:2``."""
    found = {}
    for part in filter(None, where.split(", ")):
        rank, _, runs = part.partition("=")
        bounds = re.findall(r"(\d+):(\d+)", runs)
        found[rank] = {place for a, b in bounds for place in range(int(a), int(b))}
    return found


def through_a_cache(**overflow: str) -> Charge:
    """A product by rows: rows 0 and 1 of B are asked for by every row of A."""
    levels = {"DRAM": {}, "GLB": {"cache": "lru", "capacity_bits": 200}, "PE": {}}
    formats = {name: {"DRAM": "0:U 1:C", "PE": "0:U 1:C"} for name in "AB"}
    design = one_pe(levels=levels, formats=formats, sparse=["skip A,B"])
    mapped = Mapping("m k n", {}, {}, sync="none", overflow=overflow)
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    return charge(spec, arch(design), {"A": np.ones((8, 2)), "B": np.ones((2, 10))}, mapped)


def test_a_cache_fetches_what_it_has_no_room_for() -> None:
    """A row of B, 10 entries of 16 + 4 bits, just fits: 0 and 1 push each other out, 8 times."""
    charged = through_a_cache()
    assert charged.at("DRAM", "B").reads == 8 * 2 * 10
    assert (through_a_cache(GLB="report").overflow, charged.overflow) == ((), ())
    assert [room.needed_bits for room in charged.capacity if room.level == "GLB"] == [0]
    assert not any("is read once" in text for text in charged.assumptions)


@pytest.mark.parametrize("way", ["refuse", "split", "spill"])
def test_overflow_of_a_cache_is_refused(way: str) -> None:
    with pytest.raises(ArchError) as caught:
        through_a_cache(GLB=way)
    assert str(caught.value) == (
        f"overflow GLB: {way}: GLB of one PE is a cache, whose policy (lru) says what stays; what "
        "it fetches again is counted\nLeave overflow GLB out."
    )

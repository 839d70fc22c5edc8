"""Whole lines of tiles, in any mapping, against a walk through all of its points."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import cases
from described import design_arch
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from judged import Drawn
from mapped_cases import designs, mappings, tile_features
from test_spilling import spilling
from test_traces import NAMED, PARTIAL, PRODUCTS, lying
from trace_judge import Lying, by_tiles

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, arch, charge, line_fills, relations
from zeroskip.hwmodel.lines import Layout

pytestmark = pytest.mark.usefixtures("without_compiling")
ALONE = tuple(name for name in (*PRODUCTS, *PARTIAL, *NAMED) if name != "gram")


def drawn(
    data: st.DataObject, name: str, **more: bool
) -> tuple[Drawn, dict[str, Lying], dict[str, Any]]:
    """Any mapping on any levels, operands in formats of fibers off chip.

    more : what `mappings` may draw beside.
    """
    case = data.draw(cases((name,)))
    mapped = data.draw(mappings(case, **more))
    design = data.draw(designs(case.factors))
    led = data.draw(tile_features(case, mapped.kept, design))
    told = {tensor: lying(data, case, tensor, lists=False) for tensor in case.arrays}
    inside = dict.fromkeys(list(mapped.levels)[1:], "C(13)")
    formats = {tensor: {"DRAM": text, **inside} for tensor, (_, text) in told.items()}
    described = design_arch(design, led, formats, mapped.levels, mapped.array)
    lines = {
        "read_bits": data.draw(st.sampled_from([1, 16, 48])),
        "pointer_bits": 24,
        "lists": data.draw(st.sampled_from(["read", "unread"])),
    }
    made = Drawn(case, mapped, design, dict.fromkeys(formats, inside), described)
    return made, {tensor: one for tensor, (one, _) in told.items()}, lines


def charged(made: Drawn, lines: dict[str, Any] | None) -> Charge:
    levels = made.described["levels"]
    if lines is not None:
        levels = levels | {"DRAM": levels["DRAM"] | {"lines": lines}}
    spec = make_spec(made.case.text, sizes=made.case.known, pad=made.case.pads or None)
    design = arch(made.described | {"levels": levels})
    return charge(spec, design, made.case.arrays, made.mapped.mapping)


def check(made: Drawn, lyings: dict[str, Lying], lines: dict[str, Any], found: Charge) -> None:
    plain, nest = charged(made, None), made.nest()
    for number, access in enumerate(nest.terms[0]):
        for level in list(made.mapped.levels)[1:]:
            assert found.at(level, access.tensor) == plain.at(level, access.tensor)
        if nest.stays[access.tensor][0][0] != "DRAM":
            assert found.at("DRAM", access.tensor).bits == 0
            continue
        wanted = by_tiles(nest, made.design, number, lyings[access.tensor], lines)
        at = found.at("DRAM", access.tensor)
        assert at.reads == wanted["entries"] == plain.at("DRAM", access.tensor).reads
        assert at.read_data_bits == wanted["data"], access.tensor
        assert at.read_metadata_bits == wanted["metadata"], access.tensor
    for level in made.mapped.levels:
        assert found.at(level, "O") == plain.at(level, "O")
    assert (found.ops, found.compute_cycles) == (plain.ops, plain.compute_cycles)


@pytest.mark.parametrize("name", ALONE)
@settings(max_examples=10)
@given(data=st.data())
def test_lines_of_any_tiles(name: str, data: st.DataObject) -> None:
    made, lyings, lines = drawn(data, name)
    check(made, lyings, lines, charged(made, lines))


@pytest.mark.parametrize("name", ALONE)
@settings(max_examples=4)
@given(data=st.data())
def test_lines_beside_homes_on_chip(name: str, data: st.DataObject) -> None:
    """What a level on chip has from the start reads no lines; the others read what they do."""
    made, lyings, lines = drawn(data, name, homes_too=True)
    try:
        found = charged(made, lines)
    except ArchError as error:
        assume("nothing transposes it on chip" not in str(error))
        raise
    check(made, lyings, lines, found)


@pytest.mark.parametrize("name", ALONE)
@settings(max_examples=4)
@given(data=st.data())
def test_lines_of_what_passes_levels(name: str, data: st.DataObject) -> None:
    """Each pass reads the lines that its part lies in."""
    made, lyings, lines = drawn(data, name, streams_too=True)
    check(made, lyings, lines, charged(made, lines))


@pytest.mark.parametrize("name", [name for name in ALONE if name not in NAMED])
@settings(max_examples=3)
@given(data=st.data())
def test_lines_of_tiles_that_spill(name: str, data: st.DataObject) -> None:
    """What stays reads lines with its tile, what passes at each use."""
    made, lyings, lines = drawn(data, name)
    made = spilling(data, made)
    check(made, lyings, lines, charged(made, lines))


touched = Layout.touched


def rounded_up(layout: Any, group: Any, place: Any, bits: int) -> int:
    """As if each tile of a fiber began on a line of its own."""
    counts = np.unique(group, return_counts=True)[1]
    return int(layout.whole(counts, bits).sum())


def over_all_groups(layout: Any, group: Any, place: Any, bits: int) -> int:
    return touched(layout, group * 0, np.sort(place), bits)


def everything(rows: Any, *_: Any) -> Any:
    return np.ones(relations.length(rows), np.bool_)


called_rows = line_fills.called_rows


def uncalled(by: str) -> Any:
    """As if tiles came whether these call for them or not."""

    def made(calls: Any, counts: Any) -> Any:
        every = {x.name: np.ones_like(counts[x.name]) for x in calls if x.name.startswith(by)}
        return called_rows(calls, {**counts, **every})

    return made


calls = line_fills._calls


def all_anew(*given: Any) -> Any:
    found = calls(*given)
    return replace(found, anew=found.every)


MUTANTS: dict[str, tuple[Any, str, Any]] = {
    "tiles begin on a line": (Layout, "touched", rounded_up),
    "fibers share lines": (Layout, "touched", over_all_groups),
    "no pointers": (Layout, "heads", lambda *_: 0),
    "windows come whole": (line_fills, "_new", everything),
    "a bracket keeps nothing away": (line_fills, "called_rows", uncalled("open")),
    "a leader keeps nothing away": (line_fills, "called_rows", uncalled("some")),
    "what stays comes anew": (line_fills, "_calls", all_anew),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_another_rule_is_found_out(mutant: str) -> None:
    where, name, instead = MUTANTS[mutant]
    caught = []

    @settings(max_examples=250, phases=(Phase.generate,))
    @given(data=st.data())
    def against_the_judge(data: st.DataObject) -> None:
        layer = data.draw(st.sampled_from(["conv 1-D", "masked window", "window within"]))
        made, lyings, lines = drawn(data, layer)
        if caught:
            return
        right = charged(made, lines)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(where, name, instead)
            try:
                wrong = charged(made, lines)
            except AssertionError:  # the charge itself found entries that do not add up
                caught.append(1)
                return
        if wrong.traffic != right.traffic:
            with pytest.raises(AssertionError):
                check(made, lyings, lines, wrong)
            caught.append(1)

    against_the_judge()
    assert caught


def test_tiles_of_three_columns() -> None:
    """A row of 7 values that are all there, of 8 bits, two to a line of 16: |01|23|45|6 |.  Tiles
    of three are 0-2, 3-5 and 6, in 2 + 2 + 1 lines; coordinates of 8 bits too.  Two rows, each a
    pointer of 16 bits.  x comes with its tile, 2 + 2 + 1 lines, for each row: it lies as U, without
    metadata."""
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": {"read_bits": 16, "pointer_bits": 16}}, "PE": {}},
        "formats": {"A": {"DRAM": "a:U b:C(8)", "PE": "C"}},
    }
    mapping = Mapping("m k1 @PE k0", {"k": 3}, {}, sync="k1")
    given_ = {"A": np.ones((2, 7)), "x": np.ones(7)}
    found = charge(make_spec("y[m] = A[m,k]*x[k]"), arch(design), given_, mapping)
    at = found.at("DRAM", "A")
    assert (at.reads, at.read_data_bits, at.read_metadata_bits) == (14, 160, 160 + 32)
    at = found.at("DRAM", "x")
    assert (at.reads, at.read_data_bits, at.read_metadata_bits) == (14, 160, 0)


@pytest.mark.parametrize("kind", ["skip", "gate"])
def test_a_tile_that_nobody_calls_for(kind: str) -> None:
    """The same tiles, of which the second has nothing of x: in either row 4 entries are left, in
    2 + 1 lines of values and of coordinates.  Nothing of A is in the first row where x is all
    there: then the pointer of that row is not read."""
    lines = {"read_bits": 16, "pointer_bits": 16}
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": lines}, "GLB": {}, "PE": {}},
        "sparse": [f"{kind} A on x @GLB", f"{kind} x on A @GLB"],
        "formats": {"A": {"DRAM": "a:U b:C(8)", "GLB": "C"}, "x": {"DRAM": "C(8)", "GLB": "C"}},
    }
    mapping = Mapping("m k1 @GLB k0", {"k": 3}, {}, sync="none")
    x = np.array([1, 1, 1, 0, 0, 0, 1])
    found = charge(
        make_spec("y[m] = A[m,k]*x[k]"), arch(design), {"A": np.ones((2, 7)), "x": x}, mapping
    )
    at = found.at("DRAM", "A")
    assert (at.reads, at.read_data_bits, at.read_metadata_bits) == (8, 96, 96 + 32)
    one = {"A": np.array([[0] * 7, [1] * 7]), "x": np.ones(7)}
    at = charge(make_spec("y[m] = A[m,k]*x[k]"), arch(design), one, mapping).at("DRAM", "x")
    assert (at.reads, at.read_data_bits, at.read_metadata_bits) == (7, 80, 80)


def test_results_that_leave_in_parts_are_refused() -> None:
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": {"read_bits": 16}}, "PE": {}},
        "formats": {"O": {"DRAM": "a:U b:C", "PE": "U"}},
    }
    given_ = {"A": np.ones((2, 2)), "B": np.ones((2, 2))}
    text, mapping = "Z[m,n] = A[m,k]*B[k,n]", Mapping("k m @PE(Z) n", {}, {}, sync="none")
    with pytest.raises(ArchError) as error:
        charge(make_spec(text), arch(design), given_, mapping)
    assert str(error.value) == (
        "levels.DRAM: Z moves 12 entries by this mapping, and has 4; a compressed result has lines "
        "where it leaves once, and not in parts that come back\nKeep Z from a loop further out, "
        "give it (role O) the format U at DRAM, or leave lines and cache out."
    )


def test_a_padded_tile_that_spills() -> None:
    """Four values |01|23|, of 8 bits and a coordinate of 8 each; GLB has room for two, which come
    in a line once.  Places 2 and 3 pass, as the window first reaches them, at p = 1 and at p = 2,
    in a line each, for both m."""
    design = {
        "name": "by hand",
        "array": {"pe": 1},
        "value_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {"lines": {"read_bits": 16}}, "GLB": {"capacity_bits": 40}, "PE": {}},
        "formats": {"I": dict.fromkeys(["DRAM", "GLB", "PE"], "a:C(8)")},
    }
    spec = make_spec("O[m,p] = I[p+r]*F[m,r]", pad={"I": {0: (1, 1)}})
    given_ = {"I": np.ones(4), "F": np.ones((2, 3))}
    keep, overflow = {"GLB": "I"}, {"GLB": "spill"}
    mapping = Mapping("m p @PE(I) r", {}, {}, sync="none", keep=keep, overflow=overflow)
    at = charge(spec, arch(design), given_, mapping).at("DRAM", "I")
    assert (at.reads, at.read_data_bits, at.read_metadata_bits) == (6, 16 + 64, 16 + 64)

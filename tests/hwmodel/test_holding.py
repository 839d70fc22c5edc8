"""What goes from entry to entry takes a step for what only holds a place: by hand, and against
the same operands with zeros stored by name."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nest_parts import Place
from numpy.typing import NDArray
from tree_judge import tree_of

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import Charge, holding, tile_trees
from zeroskip.hwmodel.moves import Moves

pytestmark = pytest.mark.usefixtures("without_compiling")

LINE = "y[m] = F[m,k]*I[k]"
MATRICES = "Z[m,n] = A[m,k]*B[k,n]"
F = np.array([[0, 0, 0, 1, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0, 2]])
HOW = ("leader-follower", "two-finger", "skip-ahead", "bitmask(2)")
Bits = NDArray[np.bool_]


def described(formats: dict[str, Any], **more: Any) -> zs.Arch:
    return zs.arch(
        {
            "name": "runs",
            "array": {"pe": 1},
            "value_bits": 8,
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "formats": formats,
        }
        | more
    )


@pytest.mark.parametrize(
    ("text", "block", "held"),
    [
        # . . . 1 . 1: the second place bridges; 1 . . . . . . 2: the third, fifth and seventh do
        ("0:U 1:R(1)", 8, 4 + 4),
        # . . . 1 | . 1 . . and 1 . . . | . . . 2: one in the first, and one in the last
        ("0:U 1:R(1)", 4, 4 + 2),
        ("0:U 1:C", 8, 4),
        # one of each two: of (0, 0), nothing stored, the first
        ("0:U 1:H(1:2)", 8, 8),
        ("0:U 1/4:C 1%4:U", 8, 4 * 4),
    ],
)
@pytest.mark.parametrize("gates", [False, True])
def test_entries_that_hold_a_place_take_a_cycle(
    text: str, block: int, held: int, gates: bool
) -> None:
    sparse = ["skip F", *(["gate I,F on F"] if gates else [])]
    design = described({"F": {"DRAM": text}, "I": {"DRAM": "C"}}, sparse=sparse)
    mapped = zs.Mapping("k1 @PE(F) m k0", {"k": block}, {}, sync="k1")
    c = zs.charge(LINE, design, F=F, I=np.ones(8), mapping=mapped)
    none = held - 4
    assert c.compute_cycles == held
    assert c.ops["skipped"] == 16 - held
    assert (c.ops["gated"], c.ops["ineffectual"]) == ((none, 0) if gates else (0, none))
    # they come, and operations read them as they do others; what is gated is not read
    assert c.at("PE", "F").writes == held
    assert c.at("PE", "F").reads == (4 if gates else held)


def test_of_what_nothing_steps_by_they_are_read_once() -> None:
    design = described({"F": {"DRAM": "0:U 1:R(1)"}})
    mapped = zs.Mapping("k1 @PE(F) m k0", {"k": 8}, {}, sync="k1")
    c = zs.charge(LINE, design, F=F, I=np.ones(8), mapping=mapped)
    assert (c.compute_cycles, c.at("PE", "F").reads) == (16, 16 + 4)


def filled(held: Bits, text: str, block: int) -> Bits:
    """Where tiles of so many places of the last axis have an entry, by the judge."""
    tree = tree_of(text, held.shape, 0)
    tiles: dict[int, set[Place]] = defaultdict(set)
    for place in np.ndindex(*held.shape):
        tiles[place[-1] // block].add(place)
    found = np.zeros(held.shape, np.bool_)
    for places in tiles.values():
        for place in tree.held(places, {place for place in places if held[place]}):
            found[place] = True
    return found


def named_zeros(held: Bits, entries: Bits) -> Tensor:
    """What is held, and zeros by name at other entries."""
    at = tuple(np.nonzero(entries))
    return Tensor.from_coords(at, held[at].astype(float), held.shape, "COO")


@st.composite
def matrices(draw: st.DrawFn, rows: int, columns: int) -> Bits:
    bits = draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    return np.array(bits, np.bool_).reshape(rows, columns)


FORMATS = ["0:U 1:R(1)", "0:U 1:R(2)", "0*1:R(1)", "0:C 1:R(1)", "0:U 1/2:C 1%2:U", "1:U 0:H(3:3)"]


@settings(max_examples=40)
@given(
    a=matrices(3, 7),
    b=matrices(7, 2),
    text=st.sampled_from(FORMATS),
    how=st.sampled_from(HOW),
    block=st.sampled_from([3, 7]),
)
def test_units_step_as_through_zeros_by_name(
    a: Bits, b: Bits, text: str, how: str, block: int
) -> None:
    def charged(given: Any, format: str) -> Charge:
        formats = {"A": {"DRAM": "0:U 1:C", "PE": format}, "B": {"DRAM": "1:U 0:C"}}
        units = {"intersect": {"how": how, "rate": 1, "rank": "k"}}
        design = described(formats, sparse=["skip A,B"], units=units)
        mapped = zs.Mapping("k1 @PE(A) m n k0", {"k": block}, {}, sync="k1")
        return zs.charge(MATRICES, design, A=given, B=b.astype(float), mapping=mapped)

    entries = filled(a, text, block)
    found, wanted = charged(a.astype(float), text), charged(named_zeros(a, entries), "0:U 1:C")
    assert found.units["intersect"].steps == wanted.units["intersect"].steps
    assert found.ops == wanted.ops
    assert found.compute_cycles == wanted.compute_cycles
    assert found.at("PE", "A").reads == wanted.at("PE", "A").reads
    assert found.at("PE", "A").writes == wanted.at("PE", "A").writes == entries.sum()


@settings(max_examples=30)
@given(
    a=matrices(5, 4),
    b=matrices(4, 5),
    text=st.sampled_from(FORMATS),
    block=st.sampled_from([2, 4]),
    steps=st.sampled_from(["k1", "none"]),
)
def test_vectors_are_formed_as_of_zeros_by_name(
    a: Bits, b: Bits, text: str, block: int, steps: str
) -> None:
    def charged(given: Any, format: str) -> Charge:
        formats = {"A": {"DRAM": "0:U 1:C", "PE": format}, "B": {"DRAM": "1:U 0:C"}}
        lanes = {"A": 2, "B": 3}
        design = described(formats, sparse=["skip A,B"], lanes=lanes, multipliers=6)
        mapped = zs.Mapping("k1 @PE(A) k0 m n", {"k": block}, {}, sync=steps)
        return zs.charge(MATRICES, design, A=given, B=b.astype(float), mapping=mapped)

    found = charged(a.astype(float), text)
    wanted = charged(named_zeros(a, filled(a, text, block)), "0:U 1:C")
    assert found.cartesian is not None
    assert wanted.cartesian is not None
    assert found.cartesian.products == wanted.cartesian.products
    assert found.cartesian.off_output == wanted.cartesian.off_output
    assert found.cartesian.turns.tolist() == wanted.cartesian.turns.tolist()
    assert found.compute_cycles == wanted.compute_cycles


@settings(max_examples=30)
@given(
    a=matrices(4, 5),
    b=matrices(5, 4),
    text=st.sampled_from(FORMATS),
    order=st.permutations("mkn"),
    room=st.sampled_from([64, 128, 10**4]),
)
def test_caches_are_asked_as_by_zeros_by_name(
    a: Bits, b: Bits, text: str, order: list[str], room: int
) -> None:
    """And a result that is compressed has an entry wherever a product reaches."""

    def charged(given: Any, format: str) -> Charge:
        formats = {
            "A": {"DRAM": "0:U 1:C", "PE": format},
            "B": {"DRAM": "0:U 1:C"},
            "O": {"DRAM": "C", "GLB": "U", "PE": "U"},
        }
        glb = {"cache": "lru", "capacity_bits": room}
        lines = {"read_bits": 32, "write_bits": 16, "pointer_bits": 32}
        levels = {"DRAM": {"lines": lines}, "GLB": glb, "PE": {}}
        design = described(formats, sparse=["skip A"], levels=levels)
        keep = {"GLB": "B,Z"}
        mapped = zs.Mapping([*order], space={}, sync="none", keep=keep)
        return zs.charge(MATRICES, design, A=given, B=b.astype(float), mapping=mapped)

    entries = filled(a, text, 5)
    found, wanted = charged(a.astype(float), text), charged(named_zeros(a, entries), "0:U 1:C")
    assert found.at("DRAM", "B") == wanted.at("DRAM", "B")
    assert found.at("DRAM", "Z") == wanted.at("DRAM", "Z")
    assert found.at("GLB", "B") == wanted.at("GLB", "B")


LAID = [("0:U 1:R(1)", 1), ("1:U 0:R(2)", 2), ("0*1:R(2)", 2), ("0:U 1:H(3:3)", 2)]
"""Formats, and bits of an entry beside its value."""
TILES = [({}, "@PE(A) m k n"), ({"k": 2}, "k1 @PE(A) m k0 n"), ({"m": 3}, "n m1 @GLB(A) k m0")]


@settings(max_examples=60)
@given(
    a=matrices(4, 6),
    b=matrices(6, 2),
    laid=st.sampled_from(LAID),
    tiles=st.sampled_from(TILES),
    cached=st.sampled_from([None, "lru", "optimal"]),
    line=st.sampled_from([4, 32]),
)
def test_lines_hold_fibers_with_what_only_holds_a_place(
    a: Bits, b: Bits, laid: tuple[str, int], tiles: Any, cached: str | None, line: int
) -> None:
    """As those of zeros by name: values, and where these are as wide as runs and offsets, those."""
    text, width = laid
    by_name = text.partition("R")[0].partition("H")[0] + "C"

    def charged(given: Any, format: str, **more: Any) -> Moves:
        formats = {"A": {"DRAM": format, "PE": "0:U 1:C"}, "B": {"DRAM": "1:U 0:C"}}
        pointers = {"read_bits": line, "pointer_bits": 32}
        glb = {} if cached is None else {"cache": cached, "capacity_bits": 1}
        levels = {"DRAM": {"lines": pointers}, "GLB": glb, "PE": {}}
        split, order = tiles if cached is None else ({}, "n m k")
        keep = {"GLB": "A,Z"} if cached else {}
        mapped = zs.Mapping(order, split, {}, sync="none", keep=keep)
        design = described(formats, levels=levels, **more)
        charge = zs.charge(MATRICES, design, A=given, B=b.astype(float), mapping=mapped)
        return charge.at("DRAM", "A")

    zeros = named_zeros(a, filled(a, text, 6))
    found, values = charged(a.astype(float), text), charged(zeros, by_name)
    assert found.reads == values.reads
    assert found.read_data_bits == values.read_data_bits
    nothing = charged(np.zeros_like(a), by_name).read_metadata_bits  # pointers
    pointers = 0 if "H" in text else nothing  # a fiber of groups is as long as any other
    fields = charged(zeros, by_name, value_bits=width).read_data_bits
    assert found.read_metadata_bits == fields + pointers


@settings(max_examples=20)
@given(a=matrices(4, 6), b=matrices(6, 2), runs=st.sampled_from([1, 2]))
def test_what_comes_whole_has_the_entries_of_its_storage(a: Bits, b: Bits, runs: int) -> None:
    """And so has a result whose products reach what is stored."""
    text = f"0:U 1:R({runs})"
    formats = {"A": {"DRAM": text, "GLB": "U"}, "B": {"DRAM": "U"}, "O": {"DRAM": text, "GLB": "U"}}
    levels = {"DRAM": {"lines": {"read_bits": 1, "write_bits": 1, "pointer_bits": 7}}}
    design = described(formats, levels=levels | {"GLB": {}, "PE": {}})
    mapped = zs.Mapping("m n k", space={}, sync="none")
    given = {"A": a.astype(float), "B": b.astype(float)}
    c = zs.charge(MATRICES, design, **given, mapping=mapped)
    for tensor, held in (("A", a), ("Z", a.astype(int) @ b.astype(int) > 0)):
        stored = zs.tensor(held.astype(float), text).storage(16)
        moves = c.at("DRAM", tensor)
        entries, bits, more = stored.stored, stored.stored * 8, stored.stored * runs
        if tensor == "A":
            assert (moves.reads, moves.read_data_bits) == (entries, bits)
            assert moves.read_metadata_bits == more + 4 * 7
        else:
            assert (moves.writes, moves.write_data_bits) == (entries, bits)
            assert moves.write_metadata_bits == more + 4 * 7


@pytest.mark.parametrize("part", ["units", "lanes"])
def test_formats_of_other_levels_are_no_matter(part: str) -> None:
    """Units and vectors go by what PEs hold."""
    more: dict[str, Any] = {"units": {"intersect": {"how": "two-finger", "rate": 1, "rank": "k"}}}
    if part == "lanes":
        more = {"lanes": {"A": 1, "B": 1}}
    a, b = np.array([[0, 0, 1, 0], [0, 1, 1, 0]]), np.ones((4, 2))
    mapped = zs.Mapping("m n k", space={}, sync="none")

    def charged(text: str) -> Charge:
        formats = {"A": {"DRAM": text, "GLB": text, "PE": "0:U 1:C"}, "B": {"DRAM": "1:U 0:C"}}
        design = described(formats, sparse=["skip A,B"], **more)
        return zs.charge(MATRICES, design, A=a, B=b, mapping=mapped)

    runs, plain = charged("0:U 1:R(1)"), charged("0:U 1:C")
    assert runs.at("GLB", "A").writes == 1 + plain.at("GLB", "A").writes
    if part == "units":
        assert runs.units["intersect"].steps == plain.units["intersect"].steps > 0
    else:
        assert runs.compute_cycles == plain.compute_cycles > 0


WINDOW = "O[p] = I[p+r]*F[r]"
ROW = np.array([1, 0, 0, 0, 0, 1])


def windowed(order: str, glb: dict[str, Any], **more: Any) -> Charge:
    design = described(
        {"I": {"DRAM": "R(1)"}},
        levels={"DRAM": {}, "GLB": {}, "PE": glb},
        sparse=["skip I"],
        **more,
    )
    mapped = zs.Mapping(order, {"p": 2}, {}, sync="none")
    return zs.charge(WINDOW, design, I=ROW, F=np.ones(3), mapping=mapped)


def test_tiles_that_share_places_have_entries_of_their_own() -> None:
    """Windows of four places, two apart: 1 . . . | . . . 1, whose gap of three is bridged at the
    second of these, place 3, that no other tile has an entry at."""
    c = windowed("p1 @PE(I) p0 r", {"halo": "whole"})
    # at p = 0 place 0; at p = 2 places 2, 3, 4 and at p = 3 places 3, 4, 5: 3, then 3 and 5
    assert c.compute_cycles == 1 + 1 + 2
    assert c.ops["effectual"] == 2
    assert "entryI[p//2,p+r]" in str(c.accounting)


def test_refused() -> None:
    with pytest.raises(ArchError) as caught:
        windowed("p1 @PE(I) p0 r", {})
    assert str(caught.value) == (
        "I is RLE(1) in PE, where of its tiles along p1 only what is new comes, encoded by itself: "
        "of what stays and what comes together no place is told that only holds one\n"
        "Give PE halo: whole, or I the format C or B there."
    )
    unit = {"intersect": {"how": "two-finger", "rate": 1, "rank": "r"}}
    with pytest.raises(ArchError, match=re.escape("I is RLE(1) in PE, where tiles of it have")):
        windowed("p1 @PE(I) p0 r", {"halo": "whole"}, units=unit)


def wrong(before: str, after: str, module: Any) -> dict[str, Any]:
    """The module with another line."""
    with open(module.__file__, encoding="utf-8") as file:
        text = file.read()
    assert text.count(before) == 1, before
    made = dict(vars(module))
    exec(compile(text.replace(before, after), "changed", "exec"), made)
    return made


@pytest.mark.parametrize(
    ("module", "before", "after", "name"),
    [
        (tile_trees, "alive], kept[alive]", "alive], kept[np.roll(alive, 1)]", "entries_of"),
        (holding, "HELD[1] if apart", "HELD[1] if not apart", "entry_at"),
        (holding, "keys = way.keys", "keys = ()", "entry_at"),
    ],
)
def test_a_changed_line_is_found_out(
    monkeypatch: pytest.MonkeyPatch, module: Any, before: str, after: str, name: str
) -> None:
    from zeroskip.hwmodel import accounting, evaluate

    reader = accounting if name == "entry_at" else evaluate
    monkeypatch.setattr(reader, name, wrong(before, after, module)[name])
    cases = [("0:U 1:R(1)", 4, 4 + 2), ("0:U 1:R(1)", 8, 4 + 4)]
    failed = 0
    for case in cases:
        try:
            test_entries_that_hold_a_place_take_a_cycle(*case, gates=False)
            test_tiles_that_share_places_have_entries_of_their_own()
        except (AssertionError, zs.errors.ZeroskipError, ValueError, IndexError):
            failed += 1
    assert failed

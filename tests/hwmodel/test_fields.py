"""Formats of several levels on chip, and pointers there: against the simulation, and by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from cases import GATHERED, NETS, SCATTERED, cases
from drawn_trees import charged_or_refused, with_trees
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from judged import drawn, with_time
from mapped_cases import mappings
from test_mutants import figures, mutants, with_line

import zeroskip as zs
from zeroskip.errors import ArchError, ZeroskipError
from zeroskip.hwmodel import Charge, charging
from zeroskip.hwmodel.evaluate import Operand, counts
from zeroskip.hwmodel.plan import Accounting
from zeroskip.hwmodel.traffic import Counts

pytestmark = pytest.mark.usefixtures("without_compiling")


OF_FIBERS = re.compile(r"\w*_(fibers|tiles|places|fillers|entries|positions|pointers)")


@pytest.mark.parametrize("name", [*NETS, *GATHERED, *SCATTERED])
@settings(max_examples=4)
@given(data=st.data())
def test_any_formats(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    together, homes, streams = (data.draw(st.booleans()) for _ in range(3))
    more = {"together_too": together, "homes_too": homes, "streams_too": streams}
    mapped = data.draw(mappings(case, **more))
    made = with_trees(data, drawn(data, case, mapped, tiles=True), filling=data.draw(st.booleans()))
    made.check(charged_or_refused(made))


@settings(max_examples=40)
@given(data=st.data())
def test_any_formats_by_epochs(data: st.DataObject) -> None:
    case = data.draw(cases())
    plain = drawn(data, case, data.draw(mappings(case)), tiles=True)
    made = with_trees(data, plain, filling=data.draw(st.booleans()))
    made.check(charged_or_refused(with_time(data, made)))


@settings(max_examples=20)
@given(data=st.data())
def test_a_changed_line_of_fibers_is_found_out(data: st.DataObject) -> None:
    case = data.draw(cases())
    plain = drawn(data, case, data.draw(mappings(case)), tiles=True)
    made = with_trees(data, plain, filling=data.draw(st.booleans()))
    right = charged_or_refused(made)
    lines = right.cascade.text.splitlines()
    of_fibers = [n for n, line in enumerate(lines) if OF_FIBERS.match(line)]
    assume(of_fibers)
    number = data.draw(st.sampled_from(of_fibers))
    line = data.draw(st.sampled_from(list(mutants(lines[number]))))

    def changed(accounting: Accounting, operands: Mapping[str, Operand]) -> Counts:
        return counts(with_line(accounting, number, line), operands)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(charging, "evaluate_counts", changed)
        try:
            wrong = made.charge()
        except ZeroskipError:  # the line says nothing
            assume(False)
    assume(figures(wrong) != figures(right))
    with pytest.raises(AssertionError):
        made.check(wrong)


LINE = "y[m] = F[m,k]*I[k]"
MAPPED = zs.Mapping("m1 @GLB(F) k1 m0 @PE(F) k0", {"m": 2, "k": 2}, {"m0": "pe"}, sync="m1")
F = np.array([[1, 0, 2], [0, 0, 3], [4, 5, 0], [0, 0, 0]])


def design(formats: dict[str, str], **levels: dict[str, Any]) -> zs.Arch:
    return zs.arch(
        {
            "name": "two PEs",
            "value_bits": 8,
            "array": {"pe": 2},
            "energy": "eyeriss-relative",
            "levels": {name: levels.get(name, {}) for name in ("DRAM", "GLB", "PE")},
            "formats": {"F": formats},
        }
    )


def test_rows_of_rows_by_hand() -> None:
    """Two rows at a time in GLB, compressed by rows and in them; one row, and 2 columns of it, in a
    PE, as a fiber under U."""
    formats = {"DRAM": "0:C 1:C", "PE": "0:U 1:C"}
    wide = design(formats, GLB={"pointer_bits": 5}, PE={"pointer_bits": 4})
    c = zs.charge(LINE, wide, F=F, I=np.ones(3), mapping=MAPPED)
    # rows 0 and 1: 2 coordinates of 2 bits, 2 + 1 pointers of 5, 3 columns of 2: 4 + 15 + 6 = 25
    # rows 2 and 3: row 2 alone has anything: 2 + 2*5 + 2*2 = 16
    assert c.at("GLB", "F").write_metadata_bits == 25 + 16
    assert c.capacity[0].terms[0][0, "F"] == 3 * 8 + 25
    # read by PEs: 4 rows of 2 blocks of columns; of 4 that hold something a row's coordinate and
    # 2 pointers, 2 + 10, and 2 for each column; of 4 that hold nothing a pointer
    blocks = [(F[m, k : k + 2] != 0).sum() for m in range(4) for k in (0, 2)]
    assert [int(z) for z in blocks] == [1, 1, 0, 1, 2, 0, 0, 0]
    assert c.at("GLB", "F").read_metadata_bits == 4 * (2 + 10) + 5 * 2 + 4 * 5
    # in a PE: 8 tiles of one fiber, 2 pointers of 4 bits each, and a coordinate of 2 an entry
    assert c.at("PE", "F").write_metadata_bits == 8 * 8 + 5 * 2
    # read there once as they come, and a coordinate at each of 12 operations
    assert c.at("PE", "F").read_metadata_bits == 8 * 8 + 12 * 2
    assert c.capacity[1].terms[0][0, "F"] == 2 * 8 + 8 + 2 * 2


def test_without_a_width_pointers_stay_with_the_controller() -> None:
    c = zs.charge(LINE, design({"DRAM": "0:C 1:C"}), F=F, I=np.ones(3), mapping=MAPPED)
    assert c.at("GLB", "F").write_metadata_bits == 3 * 2 + 5 * 2
    assert any("fiber pointers" in text and "GLB, PE" in text for text in c.missing)


@pytest.mark.parametrize(
    ("format", "metadata"),
    [
        # k of 0, 1: four pairs of m, j, and four entries; k of 2, 3: one of each: 5*(2 + 2 + 2)
        ("0:C 1:S 2:C", 30),
        ("0*1:C 2:C", 30),
        ("0:C 1:S(7) 2:C", 5 * (2 + 7 + 2)),
        ("0:C 1:S 2:S", 30),
        # of 5 pairs the coordinates, and two bits each
        ("0:C 1:S 2:B", 5 * (2 + 2 + 2)),
    ],
)
def test_a_level_of_coordinates_beside_those_above(format: str, metadata: int) -> None:
    held = np.zeros((4, 4, 4))
    held[0, :3, 0] = held[1, 0, 1] = held[2, 1, 3] = 1
    c = zs.charge(
        "O[m] = A[m,j,k]*I[k]",
        {
            "array": {"pe": 1},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "formats": {"A": {"DRAM": format}},
        },
        A=held,
        I=np.ones(4),
        mapping=zs.Mapping("k1 @GLB m j k0", {"k": 2}, space={}),
    )
    assert c.at("GLB", "A").write_metadata_bits == metadata
    assert c.at("DRAM", "A").read_metadata_bits == metadata


def test_bits_of_blocks_that_hold_something() -> None:
    """Two levels of bits: 4 of a tile of 4 rows, and 3 of each row that has an entry."""
    c = zs.charge(
        LINE,
        design({"DRAM": "0:B 1:B"}),
        F=F,
        I=np.ones(3),
        mapping=zs.Mapping("k m @PE(F)", space={}, sync="m", keep={"GLB": "I,y"}),
    )
    # a place at a time comes to the PE: a bit of its row, and one of its column where it is stored
    assert c.at("PE", "F").write_metadata_bits == 12 + 5


def test_the_mean_of_all_ways_to_place_entries() -> None:
    """Of 2 entries in 3 x 2 places, 15 ways."""
    mapping = zs.Mapping("k m1 @GLB(F) m0 @PE(F)", {"m": 2}, {"m0": "pe"}, sync="none")
    formats = {"DRAM": "1:U 0:C", "GLB": "0:C 1:C", "PE": "0:B 1:B"}
    arch = design(formats, DRAM={"pointer_bits": 3}, GLB={"pointer_bits": 3})
    drawn_ways = []
    for ways in combinations(range(6), 2):
        held = np.zeros(6)
        held[list(ways)] = 1
        drawn_ways.append(
            zs.charge(LINE, arch, F=held.reshape(3, 2), I=np.ones(2), mapping=mapping)
        )
    mean = zs.charge(LINE, arch, F=zs.Density((3, 2), 1 / 3), I=np.ones(2), mapping=mapping)
    assert mean.tags["traffic"] == "exact in expectation"
    for level in ("DRAM", "GLB", "PE"):
        for what in ("read_metadata_bits", "write_metadata_bits", "reads", "writes"):
            of_each = [getattr(c.at(level, "F"), what) for c in drawn_ways]
            assert getattr(mean.at(level, "F"), what) == pytest.approx(np.mean(of_each)), level


def test_refused() -> None:
    given = {"F": F, "I": np.ones(3), "mapping": MAPPED}
    with pytest.raises(
        ArchError, match=r"levels.GLB.pointer_bits: F has 3 entries there at a time"
    ):
        zs.charge(LINE, design({"DRAM": "0:C 1:C"}, GLB={"pointer_bits": 1}), **given)
    with pytest.raises(ArchError, match=r"levels.DRAM.pointer_bits: F has 5 entries"):
        zs.charge(LINE, design({"DRAM": "0:C 1:C"}, DRAM={"pointer_bits": 2}), **given)


@pytest.mark.parametrize(
    ("format", "writes", "metadata", "room"),
    [
        # rows of two bits: both, with 3 entries, then places 4 and 5, of which row 1 has one
        ("0:C 1:C", 3 + 1, (2 * 1 + 3 * 3) + (1 + 3), 3 * 8 + 11),
        # 1 1 0 0, 0 0 0 1, whose gap of three is bridged; then 0 0, 0 1
        ("0:U 1:R(1)", 4 + 1, 5, 4 * 8 + 4),
        # blocks 1 1, 0 1; then 0 1
        ("0:U 1/2:C 1%2:U", 4 + 2, (2 + 1) * 2, 4 * 8 + 2 * 2),
    ],
)
def test_what_newly_comes_has_fibers_of_its_own(
    format: str, writes: int, metadata: int, room: int
) -> None:
    """Windows of four places, two apart: 0 to 3, then 2 to 5."""
    described = {
        "name": "windows",
        "value_bits": 8,
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "formats": {"I": {"DRAM": format}},
    }
    c = zs.charge(
        "O[p] = I[c,p+r]*F[c,r]",
        zs.arch(described),
        I=np.array([[1, 1, 0, 0, 0, 0], [0, 0, 0, 1, 0, 1]]),
        F=np.ones((2, 3)),
        mapping=zs.Mapping("p1 @GLB(I) p0 c r @PE(I)", {"p": 2}, {}, sync="none"),
    )
    at = c.at("GLB", "I")
    assert (at.writes, at.write_metadata_bits) == (writes, metadata)
    assert c.capacity[0].terms[0][1, "I"] == room


def test_streams_bring_tiles_in_their_formats() -> None:
    """A row of two columns in a PE, through GLB: as GLB has it, with a coordinate for the row."""
    c = zs.charge(
        LINE,
        design({"DRAM": "0:C 1:C"}),
        F=F,
        I=np.ones(3),
        mapping=zs.Mapping(
            "m1 k1 m0 @PE(F) k0", {"m": 2, "k": 2}, {"m0": "pe"}, sync="m1", stream={"GLB": "F 2"}
        ),
    )
    at = c.at("GLB", "F")
    assert (at.writes, at.write_metadata_bits) == (5, 4 * 2 + 5 * 2)
    assert (at.reads, at.read_metadata_bits) == (5, 4 * 2 + 5 * 2)


def test_narrow_pointers_of_a_mean_are_refused_by_the_charge() -> None:
    """5 of 6 places are stored: of the 2 x 2 of the first tile 3 or 4, 3.33 on average."""
    described = design({"DRAM": "0:C 1:C"}, GLB={"pointer_bits": 1})
    with pytest.raises(ArchError) as caught:
        zs.charge(LINE, described, F=zs.Density((3, 2), 5 / 6), I=np.ones(2), mapping=MAPPED)
    assert re.fullmatch(
        r"levels\.GLB\.pointer_bits: F has 3\.\d\d entries there at a time on average, whose "
        r"pointers need 2 bits; expected so many or more, found 1\n"
        r"Widen pointer_bits, or cut the tile\.",
        str(caught.value),
    )


@pytest.mark.parametrize("format", ["0:C 1:B 2:C", "0:B 1:B 2:B"])
def test_the_mean_of_bitmasks_under_compressed_levels(format: str) -> None:
    """Of 2 entries in 2 x 2 x 2 places, 28 ways; both rows in GLB, one column of one in a PE."""
    described = zs.arch(
        {
            "name": "inside",
            "array": {"pe": 1},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {"pointer_bits": 3}, "PE": {}},
            "formats": {"A": {"DRAM": format, "GLB": format}},
        }
    )
    mapped = zs.Mapping("n @GLB(A) m k @PE(A) l", space={}, sync="none")

    def charged(held: Any) -> Charge:
        given = {"A": held, "B": np.ones((2, 2, 2))}
        return zs.charge("Z[m,n] = A[m,k,l]*B[k,n,l]", described, **given, mapping=mapped)

    every = []
    for ways in combinations(range(8), 2):
        held = np.zeros(8)
        held[list(ways)] = 1
        every.append(charged(held.reshape(2, 2, 2)))
    mean = charged(zs.Density((2, 2, 2), 1 / 4))
    assert mean.tags["traffic"] == "exact in expectation"
    for level in ("DRAM", "GLB", "PE"):
        for what in ("read_metadata_bits", "write_metadata_bits", "reads", "writes"):
            of_each = [getattr(c.at(level, "A"), what) for c in every]
            assert getattr(mean.at(level, "A"), what) == pytest.approx(np.mean(of_each)), level


def test_what_is_run_length_coded_off_chip_and_picked_out_is_told_what_to_use() -> None:
    given = {"W": np.eye(8), "X": np.array([1, 2])}
    with pytest.raises(ArchError) as caught:
        zs.charge("O[n,d] = W[X[n],d]", "eyeriss-v2", **given)
    assert str(caught.value) == (
        "W is RLE(4) in DRAM: of what an index tensor names, run lengths, groups and blocks, and "
        "what newly comes of several compressed levels and fiber pointers, are not counted as yet\n"
        "Give W one level C or B without pointer_bits."
    )


def test_rows_that_are_named_come_whole_where_that_is_told() -> None:
    given = {"W": np.eye(4, 6), "X": np.array([1, 0, 1, 2]), "g": np.ones(4)}
    keep = {"PE": "X,g,O"}
    mapped = zs.Mapping("n1 @GLB(W) n0 d", {"n": 2}, space={}, sync="none", keep=keep)

    def made(**glb: Any) -> Charge:
        formats = {"W": {"DRAM": "0:C 1:C"}}
        described = {
            "name": "rows",
            "array": {"pe": 1},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": glb, "PE": {}},
            "formats": formats,
        }
        return zs.charge("O[n,d] = W[X[n],d]*g[n]", described, mapping=mapped, **given)

    with pytest.raises(ArchError, match="\nGive GLB halo: whole, or W one level C or B without"):
        made()
    assert made(halo="whole").at("DRAM", "W").reads == 2 + 2


def test_pointers_are_left_out_only_where_there_are_some() -> None:
    def left_out(arch: Any) -> list[str]:
        charge = zs.charge("Z[m,n] = A[m,k]*B[k,n]", arch, A=np.eye(4), B=np.eye(4))
        return [text for text in charge.missing if "fiber pointers" in text]

    told = "fiber pointers beside tiles, and in their room, in {} (pointer_bits)"
    assert left_out("dense") == []  # nothing is compressed
    assert left_out("gamma") == [told.format("PE")]  # its buffer is a cache
    described = design({"DRAM": "0:C 1:C"}, GLB={"pointer_bits": 9}, PE={})
    charge = zs.charge(LINE, described, F=F, I=np.ones(3), mapping=MAPPED)
    assert told.format("PE") in charge.missing

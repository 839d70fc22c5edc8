"""Formats on chip that hold more than what is stored: by hand, and what is refused beside them."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from test_fields import LINE, MAPPED, F, design

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge

pytestmark = pytest.mark.usefixtures("without_compiling")


def test_blocks_by_hand() -> None:
    """Blocks of 2 x 2, two rows at a time in GLB; a row of 2 columns in a PE, which cuts blocks."""
    blocks = "0/2:U 1/2:C 0%2:U 1%2:U"
    c = zs.charge(LINE, design({"DRAM": blocks}), F=F, I=np.ones(3), mapping=MAPPED)
    # rows 0 and 1: both blocks, of 4 and of 2 places (there is no column 3); 2 and 3: the first
    assert c.at("GLB", "F").writes == 4 + 2 + 4
    assert c.at("GLB", "F").write_metadata_bits == 3 * 1
    assert c.capacity[0].terms[0][0, "F"] == 6 * 8 + 2 * 1
    # 1 0 | 2, 0 0 | 3, 4 5 | 0, 0 0 | 0: half of these are not there
    assert c.at("PE", "F").writes == 2 + 1 + 1 + 2
    assert c.at("PE", "F").write_metadata_bits == 4 * 1
    # the PE reads both when they come, the zero and the block's coordinate; 12 operations follow
    assert c.at("PE", "F").reads == 1 + 12
    assert c.at("PE", "F").read_metadata_bits == 4 * 1
    told = [text for text in c.assumptions if "takes no cycle" in text]
    assert [text.partition(":")[0] for text in told] == ["F"]


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("0:U 1:R(1)", (5 + 1) * (8 + 1)),
        ("0/2:U 1/2:C 0%2:U 1%2:U", (4 + 2 + 4) * 8 + 3),
        ("0:C 1:C", 5 * (8 + 2) + 3 * 2),
        ("0:U 1:C", 8 + 2),
    ],
)
def test_fibers_of_what_comes_whole_are_not_cut(text: str, bits: int) -> None:
    """F is in GLB all at a time: entries alone may come one by one; a run, a block and a row that
    holds something have more than these."""
    order = zs.Mapping("@GLB m k", space={})
    c = zs.charge(LINE, design({"DRAM": text}), F=F, I=np.ones(3), mapping=order)
    assert c.capacity[0].terms[0][0, "F"] == bits


def test_no_tile_comes_by_what_only_holds_a_place() -> None:
    described = zs.arch(
        {
            "name": "runs",
            "array": {"pe": 1},
            "energy": "eyeriss-relative",
            "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
            "sparse": ["skip I on F @GLB"],
            "formats": {"F": {"DRAM": "0:U 1:R(2)"}, "I": {"DRAM": "C"}},
        }
    )
    told = (
        "runs skips by F, which GLB holds in format RLE(2): what bridges a gap, pads a group or "
        "fills a block is an entry there, and which tiles have such alone is not counted as yet\n"
        "Give F the format C or B at GLB."
    )
    with pytest.raises(ArchError, match=re.escape(told)):
        zs.charge(LINE, described, F=F, I=np.ones(3), mapping=zs.Mapping("m1 @GLB k m0", {"m": 2}))


def test_a_real_operand_beside_a_density() -> None:
    """The tile of a row of F comes to the PEs where I, of 3 places 1 that is stored, has any of
    the columns."""
    described = {
        "name": "led",
        "value_bits": 8,
        "array": {"pe": 2},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "RF": {}},
        "sparse": ["skip F on I @RF"],
        "formats": {"F": {"DRAM": "0:U 1:R(1)"}, "I": {"DRAM": "C"}},
    }
    mapped = zs.Mapping("k1 m @RF(F,I) k0", {"k": 2}, {"m": "pe"}, sync="k1")
    held = np.array([[0, 0, 1], [0, 1, 0]])

    def charged(leader: Any) -> Charge:
        return zs.charge(LINE, described, F=held, I=leader, mapping=mapped)

    every = [charged(np.arange(3) == place) for place in range(3)]
    mean = charged(zs.Density((3,), 1 / 3))
    assert mean.tags["traffic"] == "exact in expectation"
    for level in ("DRAM", "GLB", "RF"):
        for what in ("read_metadata_bits", "write_metadata_bits", "reads", "writes"):
            of_each = [getattr(c.at(level, "F"), what) for c in every]
            assert getattr(mean.at(level, "F"), what) == pytest.approx(np.mean(of_each)), level


@pytest.mark.parametrize("overlap", [None, "double"])
@pytest.mark.parametrize(
    ("text", "fillers", "fibers"),
    [("0:U 1:R(1)", 1, 1), ("0/2:U 1/2:C 0%2:U 1%2:U", 5, 3), ("0:C 1:C", 0, 3 * 2)],
)
def test_what_only_holds_a_place_is_read_where_all_comes(
    text: str, fillers: int, fibers: int, overlap: str | None
) -> None:
    """F stays in GLB, whole, from where PEs read it: 12 operations, and once what none reads: a
    bridge, zeros of three blocks, coordinates of blocks and of rows."""
    described = {
        "name": "whole",
        "array": {"pe": 1},
        "value_bits": 8,
        "overlap": overlap,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "formats": {"F": {"DRAM": text}},
    }
    order = zs.Mapping("@GLB(F) m k", space={}, sync="m", keep={"PE": "I,y"})
    arch = zs.arch({key: value for key, value in described.items() if value is not None})
    at = zs.charge(LINE, arch, F=F, I=np.ones(3), mapping=order).at("GLB", "F")
    each = {"0:U 1:R(1)": 1, "0:C 1:C": 2}.get(text, 0)
    assert at.reads == 12 + fillers
    assert at.read_metadata_bits == 12 * each + fibers

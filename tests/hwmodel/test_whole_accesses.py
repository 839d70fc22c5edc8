"""Cycles of whole accesses, as Sparseloop rounds them; its study is in test_by_value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.hwmodel import expected_cycles

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
A, B = zs.Density((5, 7), 0.3), zs.Density((7, 3), 0.5)
FORMATS = {"DRAM": "C(5)", "GLB": "C(5)"}
LINES = {"read_bits": 64, "write_bits": 64, "pointer_bits": 32}


def machine(**more: Any) -> dict[str, Any]:
    return {
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "value_bits": 8,
        "levels": {"DRAM": {"read_bits_per_cycle": 3}, "GLB": {}, "PE": {}},
        "sparse": ["skip A,B"],
        "formats": {"A": FORMATS, "B": FORMATS},
        **more,
    }


def test_accesses_go_up_and_the_rest_of_a_word_of_metadata_is_cut_by_hand():
    """A comes whole: .3 of 35 places are 10.5, 11 entries; their coordinates and the 6 pointers of
    4 bits of its rows, or 8 of its columns, are cut to words of 8 bits.  B is 10.5 entries, too."""
    charged = zs.charge(PRODUCT, machine(), A=A, B=B, mapping=zs.Mapping("k m n", space={}))
    found = expected_cycles(charged, rounding="sparseloop")
    a = 8 * 11 + (11 * 5 + 8 * 4) // 8 * 8
    b = 8 * 11 + (11 * 5 + 8 * 4) // 8 * 8
    assert found["DRAM"] == -(-(a + b) // 3)
    assert found["compute"] == -(-5 * 7 * 3 * 3 // 20)  # of 105 points .15, 15.75
    assert expected_cycles(charged) == charged.overlapping
    assert charged.compute_cycles == pytest.approx(105 * (10 / 35) * (10 / 21))


def test_whole_densities_differ_from_the_mean_by_words_alone():
    """Where means are whole numbers and fields whole words, there is nothing to round."""
    even = {"A": zs.Density((8, 8), 0.25), "B": zs.Density((8, 8), 0.5)}
    words = {"DRAM": "C(8)", "GLB": "C(8)"}
    levels: dict[str, Any] = {"DRAM": {}, "GLB": {"read_bits_per_cycle": 8}, "PE": {}}
    design = machine(levels=levels, formats={"A": words, "B": words})
    order = zs.Mapping("n k @GLB(A) @PE m", space={}, sync="n")
    charged = zs.charge(PRODUCT, design, **even, mapping=order)
    assert expected_cycles(charged, rounding="sparseloop") == pytest.approx(charged.overlapping)


def test_a_result_that_is_kept_on_chip_follows_its_operands():
    design = machine(formats={"A": FORMATS, "B": FORMATS, "Z": {"GLB": "0:U 1:C", "PE": "U"}})
    home = zs.Mapping("k m n", space={}, home={"Z": "GLB"})
    charged = zs.charge(PRODUCT, design, A=A, B=B, mapping=home)
    assert expected_cycles(charged, rounding="sparseloop")["DRAM"] > 0


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"overlap": "double"}, "this design overlaps epochs"),
        ({"queue": 4}, "has queues"),
        (
            {"lanes": {"A": 2, "B": 2}, "multipliers": 4},
            "has lanes, of which Sparseloop has no rule\nCharge a design without lanes",
        ),
        (
            {
                "levels": {"DRAM": {"lines": LINES}, "GLB": {}, "PE": {}},
                "formats": {},
                "sparse": [],
            },
            "has lines or a cache, of which Sparseloop has no rule",
        ),
    ],
)
def test_cycles_that_do_not_follow_from_accesses_are_refused(more: dict[str, Any], said: str):
    mapping = zs.Mapping("k m n", space={}, sync="k")
    charged = zs.charge(PRODUCT, machine(**more), A=A, B=B, mapping=mapping)
    with pytest.raises(ArchError, match=said):
        expected_cycles(charged, rounding="sparseloop")


def test_real_operands_and_other_roundings_are_refused():
    real = zs.charge(PRODUCT, machine(), A=np.ones((2, 2)), B=np.ones((2, 2)))
    with pytest.raises(ArchError, match="counts real operands, and is exact"):
        expected_cycles(real, rounding="sparseloop")
    drawn = zs.charge(PRODUCT, machine(), A=A, B=B)
    with pytest.raises(ArchError, match="rounding: expected one of 'mean', 'sparseloop'; found 1"):
        expected_cycles(drawn, rounding=1)  # type: ignore[arg-type]

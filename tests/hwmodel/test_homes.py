"""Tensors that a level on chip has from the start, or at the end: what is refused of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.convert import tensor
from zeroskip.formats.density import Density
from zeroskip.hwmodel import CascadeMapping, Mapping, charge, charge_cascade

pytestmark = pytest.mark.usefixtures("without_compiling")

DESIGN = {
    "name": "small",
    "array": {"pe": 2},
    "value_bits": 16,
    "energy": "eyeriss-relative",
    "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
}
A, B, D = np.ones((4, 3)), np.ones((3, 5)), np.ones((5, 2))


def product(home: Any, order: str = "m1 k m0 n", sync: str = "k", **changes: Any) -> Any:
    given = {"A": changes.pop("A", A), "B": B}
    text = changes.pop("text", "Z[m,n] = A[m,k]*B[k,n]")
    mapping = Mapping(order, {"m": 2}, {"n": "pe"}, sync=sync, home=home)
    return charge(make_spec(text), {**DESIGN, **changes}, given, mapping)


def failing(home: Any, order: str = "m1 k m0 n", **changes: Any) -> str:
    with pytest.raises(ArchError) as caught:
        product(home, order, **changes)
    return str(caught.value)


def test_a_home_is_said_and_printed() -> None:
    found = product({"A": "GLB", "Z": "GLB m1"})
    assert "; home A: GLB, Z: GLB m1; " in found.mapped
    assert found.at("DRAM", "A").bits == found.at("DRAM", "Z").bits == 0
    room = found.capacity[0]
    assert (room.at_home("A"), room.at_home("Z")) == (12 * 16, 10 * 16)
    assert room.at_home("B") == 0
    assert found.baseline.at("DRAM", "A").bits == 0


def test_what_is_no_home_is_refused() -> None:
    assert "home: expected a dict, tensor -> level, found 3" in failing(3)
    assert 'home A: expected a level, "GLB", or a level and the innermost' in failing(
        {"A": "a b c"}
    )
    assert "home Q: GLB: the line has no Q; it has A, B, Z" in failing({"Q": "GLB"})
    assert failing({"A": "PE"}).partition(": expected ")[2] == (
        "a level of small on chip that all PEs share (GLB), found PE\n"
        "Name such a level, or leave out home A."
    )
    assert "home A: GLB m7: the line has no loop m7" in failing({"A": "GLB m7"})
    found = failing({"A": "GLB"}, levels={"DRAM": {}, "GLB": {"cache": "lru"}, "PE": {}})
    assert "home A: GLB: GLB is a cache, which keeps what its policy says (lru)" in found
    found = failing({"A": "GLB"}, "m1 @GLB(A) k m0 n")
    assert "@GLB(A) names A, whose home is GLB: nothing of it is outside" in found


def test_tiles_are_cut_by_axes_alone() -> None:
    assert "k does not cut Z into tiles" in failing({"Z": "GLB k"})
    assert "n runs across PEs" in failing({"Z": "GLB n"}, "m1 n k m0", sync="m1")
    found = failing(
        {"A": "GLB m1"}, text="Z[m,n] = A[m,k]*B[k,n] + A[n,k]*A[m,k]", A=np.ones((5, 3))
    )
    assert "m1 does not cut A into tiles without a place in common: m is not the same axis" in found


def test_nothing_is_transposed_on_chip() -> None:
    formats = {"I": {"DRAM": "CSR", "GLB": "CSR", "PE": "U"}}
    found = failing({"A": "GLB"}, A=tensor(A, "CSC"), formats=formats)
    assert (
        "home A: GLB: expected it in the order of CSR, found CSC, and nothing transposes" in found
    )


def test_tiles_of_a_home_are_led_by_nobody() -> None:
    formats = {name: {"DRAM": "C", "GLB": "C", "PE": "C"} for name in "IF"}
    sparse = ["skip A on B @GLB"]
    found = failing({"A": "GLB"}, formats=formats, sparse=sparse)
    assert "acts on what fills GLB, which is the home of A: nothing fills it" in found


LINED = {"DRAM": {"lines": {"read_bits": 64}}, "GLB": {}, "PE": {}}
ROWS = {name: {"DRAM": "a:U b:C(4)", "GLB": "a:U b:C(4)", "PE": "U"} for name in "IFO"}


def test_what_is_at_home_on_chip_reads_and_writes_no_lines() -> None:
    """Of B a row of 5 values of 16 bits is two lines, and one of coordinates; a pointer takes half
    of one, three of them two.  Sums of the first row of Z cancel."""
    signed = A.copy()
    signed[0] = 1, -1, 0
    homes = {"A": "GLB", "Z": "GLB"}
    plain = product(homes, A=signed, formats=ROWS)
    lined = product(homes, A=signed, formats=ROWS, levels=LINED)
    for name in "AZ":
        assert lined.at("DRAM", name).bits == 0
        assert lined.at("GLB", name) == plain.at("GLB", name)
    assert lined.at("GLB", "Z").writes == 15
    assert lined.at("DRAM", "B").read_data_bits == 3 * 2 * 64
    assert lined.at("DRAM", "B").read_metadata_bits == 3 * 64 + 2 * 64


def test_an_intermediate_may_stay_beside_lines() -> None:
    lines = "S[m,n] = A[m,k]*B[k,n]; Z[m,p] = S[m,n]*D[n,p]"
    design = {**DESIGN, "levels": LINED}
    mapping = CascadeMapping(keep={"S": "GLB"})
    found = charge_cascade(make_spec(lines), design, {"A": A, "B": B, "D": D}, mapping)
    assert found.at("DRAM", "S").bits == 0
    assert found.at("GLB", "S").reads > 0
    assert found.at("DRAM", "D").read_data_bits == 5 * 64


def test_densities_of_what_is_at_home_read_no_lines() -> None:
    """All comes whole: means are exact, and those of B alone are of lines."""
    drawn = Density((4, 3), 0.5)
    formats = {name: ROWS[name] for name in "IF"}
    lined = product({"A": "GLB"}, A=drawn, formats=formats, levels=LINED)
    assert lined.at("DRAM", "A").bits == 0
    assert lined.at("DRAM", "B").read_data_bits == 3 * 2 * 64
    assert lined.tags["traffic"] == "exact in expectation"

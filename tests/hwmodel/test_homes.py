"""Tensors that a level on chip has from the start, or at the end: what is refused of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.convert import tensor
from zeroskip.hwmodel import Mapping, charge

pytestmark = pytest.mark.usefixtures("without_compiling")

DESIGN = {
    "name": "small",
    "array": {"pe": 2},
    "value_bits": 16,
    "energy": "eyeriss-relative",
    "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
}
A, B = np.ones((4, 3)), np.ones((3, 5))


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
    assert "home A: PE: expected a level on chip that all PEs share: GLB" in failing({"A": "PE"})
    assert "home A: GLB m7: the line has no loop m7" in failing({"A": "GLB m7"})
    lined = {"DRAM": {"lines": {"read_bits": 64}}, "GLB": {}, "PE": {}}
    found = failing({"A": "GLB"}, levels=lined)
    assert found.endswith("by tiles\nLeave out lines, or home (keep, of a cascade).")
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

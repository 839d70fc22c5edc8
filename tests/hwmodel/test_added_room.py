"""Room of what is added once, beside the tiles of products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import cases
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from judged import drawn
from mapped_cases import mappings

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, Mapping, capacity

Parts = dict[str, list[capacity.Part]]
BIASED = "O[m] = A[m,k]*B[k] + C[m]"


def charged(text: str, space: dict[str, str], order: str, **more: Any) -> Charge:
    """Two PEs; values and sums of 8 bits."""
    operands = {"A": (4, 3), "B": (3,), "C": (4,), "D": (4, 2)}
    given_ = {name: np.ones(shape) for name, shape in operands.items() if f"{name}[" in text}
    overflow = more.pop("overflow", {})
    design = {
        "name": "two PEs",
        "array": {"pe": 2},
        "energy": "eyeriss-relative",
        "value_bits": 8,
        "accumulator_bits": 8,
        "levels": {"DRAM": {}, "GLB": {"capacity_bits": 100}, "PE": {}},
    }
    mapping = Mapping(order, space=space, sync="none", overflow=overflow)
    return zs.charge(text, design, mapping=mapping, **(given_ | more))


def bits(found: Charge) -> list[Any]:
    return [room.needed_bits for room in found.capacity]


def test_a_bias_is_there_whole_beside_the_tiles() -> None:
    """GLB: 12 + 3 values, and 4 of C; a PE: 2 rows of 3, 3, 2 sums, and 2 of C."""
    assert bits(charged("O[m] = A[m,k]*B[k]", {"m": "pe"}, "k m")) == [15 * 8, 11 * 8]
    found = charged(BIASED, {"m": "pe"}, "k m")
    assert bits(found) == [19 * 8, 13 * 8]
    assert found.overflow == (
        "GLB must hold 152 bits and holds 100: 52 bits too few: all of A (96 bits), all of C "
        "(32 bits), all of B (24 bits)",
    )


def test_the_first_pe_alone_has_what_is_added_to_parts() -> None:
    """k across PEs: the first takes 2 of 3 places: 8 + 2 values, 4 sums, and C's 4; the second has
    4 + 1 values and 4 sums."""
    assert bits(charged(BIASED, {"k": "pe"}, "m k")) == [19 * 8, 18 * 8]
    uneven = np.zeros((4, 3))
    uneven[:, 2] = 1  # the first PE has no entry of it, and C; the second has 4 of 8 + 4 bits
    packed = {"A": {"DRAM": "C", "GLB": "C"}}
    design = {
        "name": "two PEs",
        "array": {"pe": 2},
        "energy": "eyeriss-relative",
        "value_bits": 8,
        "accumulator_bits": 8,
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "formats": packed,
    }
    operands = {"A": uneven, "B": np.ones(3), "C": np.ones(4)}
    mapping = Mapping("m k", space={"k": "pe"}, sync="none")
    found = zs.charge(BIASED, design, mapping=mapping, **operands)
    assert bits(found)[1] == max((2 + 4 + 4) * 8, (1 + 4) * 8 + 4 * 12)
    of_additions = capacity._of_additions
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capacity, "_of_additions", lambda *given: in_every_pe(of_additions(*given)))
        wrong = zs.charge(BIASED, design, mapping=mapping, **operands)
        assert bits(wrong)[1] == (1 + 4 + 4) * 8 + 4 * 12


def test_every_term_that_is_added_is_counted() -> None:
    found = charged(f"{BIASED} + D[m,j]", {"m": "pe"}, "k m j")
    assert bits(found) == [(15 + 4 + 8) * 8, (11 + 2 + 4) * 8]
    two = charged("O[m] = A[m,k]*B[k] + D[m,j]*E[j] + C[m]", {"m": "pe"}, "k m j", E=np.ones(2))
    assert bits(two) == [19 * 8, 13 * 8]  # the larger product, and C


def test_means_add_it_up() -> None:
    a, c = zs.Density((4, 3), 0.5), zs.Density((4,), 0.5)
    found = charged(BIASED, {"m": "pe"}, "k m", A=a, C=c)
    assert bits(found) == pytest.approx([19 * 8, 13 * 8])  # all uncompressed


def test_it_is_refused_and_cannot_be_cut() -> None:
    with pytest.raises(ArchError, match="52 bits too few"):
        charged(BIASED, {"m": "pe"}, "k m", overflow={"GLB": "refuse"})
    long = {"A": np.ones((12, 1)), "B": np.ones(1), "C": np.ones(12)}
    with pytest.raises(ArchError, match="no loop inside @GLB is left to be cut, and 200 bits"):
        charged(BIASED, {"m": "pe"}, "k m", overflow={"GLB": "split"}, **long)


def none_of_it(parts: Parts) -> Parts:
    return {name: [] for name in parts}


def in_every_pe(parts: Parts) -> Parts:
    return {name: [replace(part, first=()) for part in held] for name, held in parts.items()}


def twice(parts: Parts) -> Parts:
    return {name: [*held, *held] for name, held in parts.items()}


@pytest.mark.usefixtures("without_compiling")
@pytest.mark.parametrize("change", [none_of_it, twice])
@settings(max_examples=12)
@given(data=st.data())
def test_another_room_is_found_out(change: Callable[[Parts], Parts], data: st.DataObject) -> None:
    case = data.draw(cases(("conv with bias", "bias within")))
    made = drawn(data, case, data.draw(mappings(case)), tiles=False)
    right, of_additions = made.charge(), capacity._of_additions
    made.check(right)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(capacity, "_of_additions", lambda *given: change(of_additions(*given)))
        wrong = made.charge()
        rooms = wrong.capacity
    assume(bits(right) != [room.needed_bits for room in rooms])
    with pytest.raises(AssertionError):
        made.check(wrong)

"""Tiles that are cut until they fit, against the simulator and by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from cases import NETS, cases
from described import dense_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from judged import check, drawn
from mapped_cases import mappings
from nest_parts import Loop

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge

pytestmark = pytest.mark.usefixtures("without_compiling")

LINE = "Z[m,n] = A[m,k]*B[k,n]"


def small(capacity_bits: int, **more: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "array": {"pe": 1},
        "value_bits": 8,
        "accumulator_bits": 8,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {"capacity_bits": capacity_bits}, "PE": {}},
        **more,
    }


def made(capacity_bits: int, mapping: Mapping, a: Any, b: Any, **more: Any) -> Charge:
    return charge(make_spec(LINE), arch(small(capacity_bits, **more)), {"A": a, "B": b}, mapping)


def split(order: str, **more: Any) -> Mapping:
    return Mapping(order, space={}, sync="none", overflow={"GLB": "split"}, **more)


def test_halves_until_they_fit() -> None:
    """A and B of 8 x 4 and 4 x 2 values: m goes in 2 pieces of 4 rows, then of 2.

    16 values fit: 2 x 4 of A and all 8 of B, which stays as it lacks m.
    """
    a, b = np.ones((8, 4)), np.ones((4, 2))
    found = made(16 * 8, split("m n k"), a, b)
    assert str(found.mapping).startswith("order m2 m1 @GLB(A,B,Z) m0 n k;") or (
        found.mapping.split["m"].blocks == (4, 2)
    )
    assert not found.overflow
    assert (found.at("GLB", "A").writes, found.at("GLB", "B").writes) == (32, 8)
    assert found.capacity[0].needed_bits == 16 * 8


def test_what_lacks_the_loop_comes_again() -> None:
    """Inside m1, A's pieces of k are brought once for each, and so is B, in both rounds of m1."""
    a, b = np.ones((4, 8)), np.ones((8, 2))
    mapping = split("m1 @GLB k m0 n", split={"m": 2})
    whole = made(10**6, mapping, a, b)
    cut = made(16 * 8, mapping, a, b)
    assert (whole.at("GLB", "A").writes, whole.at("GLB", "B").writes) == (32, 16)
    assert (cut.at("GLB", "A").writes, cut.at("GLB", "B").writes) == (32, 32)
    assert cut.mapping.split["k"].blocks == (4,)
    assert cut.capacity[0].needed_bits == 16 * 8


def test_what_fits_is_not_cut() -> None:
    a, b = np.ones((4, 4)), np.ones((4, 4))
    mapping = split("m n k")
    roomy = made(10**6, mapping, a, b)
    assert roomy.mapping.order == ("m", "n", "k")
    assert roomy.mapping.split == {}


def test_real_occupancies_decide() -> None:
    """Of a sparse matrix less is cut than of a full one."""
    a = np.zeros((8, 4))
    a[0] = 1
    formats = {"A": {"DRAM": "C(8)", "GLB": "C(8)"}}
    b = np.ones((4, 2))
    full = made(20 * 8, split("m n k"), np.ones((8, 4)), b, formats=formats)
    few = made(20 * 8, split("m n k"), a, b, formats=formats)
    assert full.mapping.order == ("m2", "m1", "m0", "@GLB(A,B,Z)", "n", "k")
    assert few.mapping.split == {}


def test_densities_are_cut_by_their_means() -> None:
    mapping = split("m n k")
    found = made(16 * 8, mapping, Density((8, 4), 0.5), Density((4, 2), 1.0))
    assert not found.overflow
    assert found.mapping.split["m"].blocks


def test_nothing_is_left_to_cut() -> None:
    with pytest.raises(ArchError, match="overflow GLB: split: no loop inside @GLB is left"):
        made(4, split("m n k"), np.ones((2, 2)), np.ones((2, 2)))


def test_homes_are_refused() -> None:
    with pytest.raises(ArchError, match="overflow: split: loops of tiles that a home"):
        made(4, split("m n k", home={"A": "GLB"}), np.ones((2, 2)), np.ones((2, 2)))


@pytest.mark.parametrize("name", list(NETS))
@settings(max_examples=2)
@given(data=st.data())
def test_any_mapping(name: str, data: st.DataObject) -> None:
    """The simulator walks the mapping that results, and all of it fits."""
    case = data.draw(cases((name,)))
    plain = drawn(data, case, data.draw(mappings(case)), tiles=True)
    before = plain.charge()
    tight = [room for room in before.capacity if room.needed_bits > 64]
    assume(tight)
    room = data.draw(st.sampled_from(tight))
    bits = data.draw(st.integers(room.needed_bits // 2, room.needed_bits - 1))
    plain.described["levels"] = {
        level: entry | ({"capacity_bits": bits} if level == room.level else {})
        for level, entry in plain.described["levels"].items()
    }
    mapping = replace(plain.mapped.mapping, overflow={room.level: "split"})
    plain.mapped = replace(plain.mapped, mapping=mapping)
    try:
        charged = plain.charge()
    except ArchError as error:
        if "is left to be cut" not in str(error):
            raise
        return
    assert not charged.overflow
    assert charged.mapping != before.mapping
    loops = [
        Loop(x.name, x.rank, x.block, x.spans, x.tiles, x.dims) for x in charged.schedule.loops
    ]
    stays = {
        tensor: [(stay.level, stay.position) for stay in stays]
        for tensor, stays in charged.schedule.stays.items()
    }
    sync = charged.mapping.sync
    steps = 0 if sync == "none" else [loop.name for loop in loops].index(str(sync)) + 1
    instances, levels = plain.mapped.instances, plain.mapped.levels
    nest = case.nest(loops, steps, stays, instances, dense_of(plain.formats), levels)
    check(charged, plain.design, plain.formats, nest, plain.case.arrays)

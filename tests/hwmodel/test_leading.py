"""Tiles that come only where a leader has an entry: by hand, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge

PRODUCT = "Z[m,n] = A[m,k]*B[k,n]"
A = np.array([[1, 0, 0, 0], [2, 0, 0, 3], [0, 0, 0, 0], [0, 0, 0, 0]], np.float32)
B = np.ones((4, 2), np.float32)
"""Blocks of 2 x 2 of A: only [0,0] and [0,1] hold something."""

TILED = Mapping("m1 k1 @GLB m0 k0 n", {"m": 2, "k": 2}, {}, sync="none")


def described(*sparse: str, **more: Any) -> dict[str, Any]:
    return {
        "name": "led",
        "array": {"e": 2},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "RF": {}},
        "formats": {"A": {"GLB": "C", "RF": "C"}, "B": {"GLB": "B", "RF": "U"}},
        "sparse": list(sparse),
        **more,
    }


def charged(*sparse: str, mapping: Mapping = TILED, **more: Any) -> Charge:
    operands = {"A": A, "B": B}
    return charge(make_spec(PRODUCT), described(*sparse, **more), operands, mapping)


def test_a_follower_comes_where_its_leader_has_an_entry() -> None:
    plain, led = charged(), charged("skip B on A @GLB")
    assert plain.at("GLB", "B").writes == 4 * 4  # for each of four blocks of A a block of B
    assert led.at("GLB", "B").writes == 2 * 4
    assert led.at("DRAM", "B").reads == 2 * 4
    assert led.at("GLB", "A") == plain.at("GLB", "A")


def test_points_of_other_tiles_are_never_fetched() -> None:
    led = charged("skip B on A @GLB")
    assert led.ops["dense"] == 4 * 4 * 2
    assert led.ops["never_fetched"] == 2 * (2 * 2 * 2)
    assert led.ops["effectual"] == 3 * 2
    assert led.compute_cycles == 2 * (2 * 2 * 2)
    assert led.at("RF", "B").reads == 16


def test_a_gate_saves_the_fills_and_takes_the_cycles() -> None:
    gated, skipping = charged("gate B on A @GLB"), charged("skip B on A @GLB")
    assert gated.at("GLB", "B") == skipping.at("GLB", "B")
    assert gated.ops["gated"] == skipping.ops["never_fetched"] == 16
    assert gated.compute_cycles == 32
    assert gated.at("RF", "B").reads == gated.at("RF", "Z").writes == 16


def test_the_outermost_level_says_the_class() -> None:
    # points under an empty block of A are gated there before anybody skips them
    both = charged("gate B on A @GLB", "skip B on A @MAC")
    assert both.ops["gated"] == 16
    assert both.ops["skipped"] == 16 - 6
    assert both.ops["effectual"] == 6


def test_what_does_not_come_into_a_level_comes_no_further() -> None:
    inner = Mapping("m1 k1 @GLB m0 k0 @RF n", {"m": 2, "k": 2}, {}, sync="none")
    plain, led = charged(mapping=inner), charged("skip B on A @GLB", mapping=inner)
    # at each (m, k) a row of two
    assert plain.at("RF", "B").writes == 4 * 4 * 2
    assert led.at("RF", "B").writes == 4 * 2 * 2


def test_two_sides_lead_each_other() -> None:
    b = np.zeros((4, 2), np.float32)
    b[0, 0] = 1  # of B the second block is empty
    operands, spec = {"A": A, "B": b}, make_spec(PRODUCT)
    one = charge(spec, described("skip A on B @GLB"), operands, TILED)
    both = charge(spec, described("skip A,B @GLB"), operands, TILED)
    assert one.at("GLB", "A").writes == 2  # block [0,0] alone holds something and is wanted
    assert both.at("GLB", "A").writes == 2
    assert one.ops["never_fetched"] == 2 * 8
    assert both.ops["never_fetched"] == 3 * 8


def test_one_read_serves_the_pes_that_call_for_it() -> None:
    # m0 across two PEs: both take blocks of B, where their row of the block of A has an entry
    mapping = Mapping("m1 k1 @RF m0 k0 n", {"m": 2, "k": 2}, {"m0": "e"}, sync="k1")
    led = charged("skip B on A @RF", mapping=mapping)
    # rows 0 and 1 of A at k1 = 0, row 1 at k1 = 1
    assert led.at("RF", "B").writes == 3 * 4
    assert led.at("GLB", "B").reads == 2 * 4
    assert led.at("network", "B").writes == 3 * 4
    assert "called[m1,k1]" in led.accounting


def test_a_tile_whose_neighbour_did_not_come_comes_whole() -> None:
    # p in blocks of two reaches 0-3, 2-5, 4-7; G is empty in the second block: nothing stays
    spec = make_spec("O[p] = I[p+r]*F[r]*G[p]")
    g = np.array([1, 1, 0, 0, 1, 1], np.float32)
    operands = {"I": np.ones(8), "F": np.ones(3), "G": g}
    mapping = Mapping("p1 @GLB p0 r", {"p": 2}, {}, sync="none")
    formats = {"G": {"GLB": "B"}}
    new, led = (
        charge(spec, described(*sparse, formats=formats), operands, mapping)
        for sparse in ((), ("skip I on G @GLB",))
    )
    assert new.at("GLB", "I").writes == 4 + 2 + 2
    assert led.at("GLB", "I").writes == 4 + 4


def test_an_operand_that_comes_whole_comes_or_not() -> None:
    empty = {"A": np.zeros((4, 4)), "B": B}
    mapping = Mapping("@GLB m k n", {}, {}, sync="none")
    for operands, times in ((empty, 0), ({"A": A, "B": B}, 1)):
        made = charge(make_spec(PRODUCT), described("skip B on A @GLB"), operands, mapping)
        assert made.at("GLB", "B").writes == 8 * times
        assert made.ops["never_fetched"] == 32 * (1 - times)


def test_assumptions_say_what_a_level_does() -> None:
    said = "\n".join(charged("skip B on A @GLB").assumptions)
    assert '"skip B on A @GLB": a tile comes into GLB, and further in, where' in said
    alone = charge(
        make_spec("y[i] = A[i,j]*B[j]"),
        described("skip A @GLB"),
        {"A": np.ones((2, 2)), "B": np.ones(2)},
    )
    assert '"skip A @GLB" changes nothing' in "\n".join(alone.assumptions)


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        ("skip B on A @DRAM", '"skip B on A @DRAM" acts @DRAM, which nothing fills: expected MAC'),
        ("skip B on A @L3", "acts @L3, which is no level: expected MAC, PE, GLB, RF"),
    ],
)
def test_places_that_are_not_there_are_refused(feature: str, message: str) -> None:
    with pytest.raises(ArchError) as caught:
        arch(described(feature))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("feature", "more", "mapping", "message"),
    [
        ("skip A on B @RF", {}, None, "goes by B, which RF holds in format dense: without"),
        (
            "skip B on A @GLB",
            {},
            Mapping(keep={"GLB": "B,Z"}),
            "acts on what fills GLB, and this mapping does not keep A there",
        ),
        (
            "skip B on A @GLB",
            {},
            Mapping(keep={"GLB": "A,Z"}),
            "acts on what fills GLB, and this mapping does not keep B there",
        ),
        ("skip Z on A @GLB", {}, None, "result: what it drains does not go by tiles"),
    ],
)
def test_what_cannot_be_charged_is_refused(
    feature: str, more: dict[str, Any], mapping: Mapping | None, message: str
) -> None:
    with pytest.raises(ArchError) as caught:
        charge(make_spec(PRODUCT), described(feature, **more), {"A": A, "B": B}, mapping)
    assert message in str(caught.value)


def test_a_leader_by_groups_and_a_real_one_have_means() -> None:
    """Half of the fibers of a block have their value in it: of 2 x 2 a quarter hold nothing."""
    spec, led = make_spec(PRODUCT), described("skip B on A @GLB")
    grouped = charge(spec, led, {"A": Density((4, 4), structure="1:4"), "B": B}, TILED)
    assert grouped.ops["never_fetched"] == pytest.approx(4 * 4 * 2 / 4)
    dense = {**led, "formats": {"A": {"GLB": "C"}, "B": {"GLB": "C"}}}
    mean = charge(spec, dense, {"A": A, "B": Density((4, 2), 0.5)}, TILED)
    assert mean.at("GLB", "B").writes == 2 * 4 * 0.5
    assert mean.ops["never_fetched"] == 16

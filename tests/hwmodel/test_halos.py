"""Windows that move over themselves: what comes anew, in which room, and to how many PEs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge, halos
from zeroskip.hwmodel.halos import moves_over_itself
from zeroskip.hwmodel.layer import layer_of
from zeroskip.hwmodel.nest import Loop

CONV = "O[m,p] = I[c,{u}*p+r]*F[m,c,r]"


def described(**glb: Any) -> dict[str, Any]:
    return {
        "name": "one row",
        "array": {"e": 2},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": glb, "PE": {}},
    }


def charged(order: str, stride: int = 1, **glb: Any) -> Charge:
    """Six outputs of a filter of three, in blocks of two."""
    operands = {"I": np.ones((1, 5 * stride + 3)), "F": np.ones((2, 1, 3))}
    mapping = Mapping(order, {"p": 2}, {"m": "e"}, sync="p1")
    return charge(make_spec(CONV.format(u=stride)), described(**glb), operands, mapping)


def test_of_a_window_only_what_is_new_comes() -> None:
    # blocks reach 0-3, 2-5, 4-7: 4, then two new ones each
    found = charged("p1 @GLB c p0 r m").at("GLB", "I")
    assert found.writes == 4 + 2 + 2
    whole = charged("p1 @GLB c p0 r m", halo="whole").at("GLB", "I")
    assert whole.writes == 3 * 4


def test_windows_that_do_not_meet_come_whole() -> None:
    # p = 0, 1 reach 0-2 and 3-5; p = 2, 3 from 6 on
    found = charged("p1 @GLB c p0 r m", 3)
    assert found.at("GLB", "I").writes == 3 * 6
    assert "stay" not in found.accounting


def test_along_another_loop_a_window_comes_whole() -> None:
    # c is the innermost of the loops outside that I has: no entry of one c is one of another's
    operands = {"I": np.ones((2, 8)), "F": np.ones((2, 2, 3))}
    mapping = Mapping("p1 c @GLB p0 r m", {"p": 2}, {"m": "e"}, sync="c")
    found = charge(make_spec(CONV.format(u=1)), described(), operands, mapping)
    assert found.at("GLB", "I").writes == 3 * 2 * 4


def test_what_stays_needs_room_until_the_next_tile() -> None:
    # marked outside p0, which is in time and outside the sync: streamed, 3 places at a time
    new = charge_synced("new")
    whole = charge_synced("whole")
    assert new.capacity[0].needed_bits - whole.capacity[0].needed_bits == 16 * (4 - 3)


def charge_synced(halo: str) -> Charge:
    operands = {"I": np.ones((1, 8)), "F": np.ones((2, 1, 3))}
    mapping = Mapping("p1 @GLB p0 c r m", {"p": 2}, {"m": "e"}, sync="p0")
    return charge(make_spec(CONV.format(u=1)), described(halo=halo), operands, mapping)


def test_without_multicast_every_pe_is_a_read() -> None:
    one, each = (charged("p1 @GLB c p0 r m", multicast=way) for way in (True, False))
    assert one.at("GLB", "I").reads == one.at("PE", "I").writes / 2
    assert each.at("GLB", "I").reads == each.at("PE", "I").writes == one.at("PE", "I").writes
    assert each.at("network", "I") == one.at("network", "I")
    assert each.at("GLB", "F") == one.at("GLB", "F")  # m is across: no two PEs share weights
    assert "except of GLB (multicast: false)" in str(each.assumptions)


def test_a_mean_leaves_out_what_stays() -> None:
    spec, mapping = make_spec(CONV.format(u=1)), Mapping("p1 @GLB c p0 r m", {"p": 2}, {})
    packed = {**described(), "formats": {"I": {"GLB": "C"}}}
    operands = {"I": Density((1, 8), 0.5), "F": Density((2, 1, 3), 0.5)}
    expected = charge(spec, packed, operands, mapping)
    assert expected.at("GLB", "I").writes == (4 + 2 + 2) * 0.5
    assert expected.tags["traffic"] == "exact in expectation"


@pytest.mark.parametrize(
    ("level", "keys", "message"),
    [
        ("GLB", {"halo": "half"}, "expected new (what a window newly needs) or whole"),
        ("DRAM", {"halo": "new"}, "expected no halo: nothing fills the outermost level"),
        ("GLB", {"multicast": "no"}, "expected true or false, found 'no'"),
        ("PE", {"multicast": True}, "expected no multicast: units alone read the innermost level"),
    ],
)
def test_what_no_level_can_do_is_refused(level: str, keys: dict[str, Any], message: str) -> None:
    wrong = described()
    wrong["levels"][level] = keys
    with pytest.raises(ArchError) as caught:
        arch(wrong)
    assert f"levels.{level}.{next(iter(keys))} in the dict given" in str(caught.value)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "shapes", "rank", "meets"),
    [
        ("O[p] = I[p+r]*F[r]", {"I": (8,), "F": (3,)}, "p", True),
        ("O[p] = I[p+r]*F[r]", {"I": (8,), "F": (1,)}, "p", False),
        ("O[p] = I[2*p+r]*F[r]", {"I": (9,), "F": (2,)}, "p", False),
        ("O[p] = I[p//2]*F[p]", {"I": (4,), "F": (8,)}, "p", True),
        ("O[p] = I[p,p]*F[p]", {"I": (4, 4), "F": (4,)}, "p", False),
        ("O[p,c] = I[p+c,p-c+3]*F[c]", {"I": (8, 8), "F": (4,)}, "p", False),
        ("O[p,c] = I[p+c]*F[c]", {"I": (8,), "F": (4,)}, "c", True),
    ],
)
def test_a_window_meets_the_one_before(
    text: str, shapes: dict[str, tuple[int, ...]], rank: str, meets: bool
) -> None:
    layer = layer_of(make_spec(text), shapes)
    loop = Loop(rank, rank, 1, layer.extent(rank))
    (operand,) = (o for o in layer.work[0].operands if o.tensor == "I")
    assert moves_over_itself(operand, loop, [loop], layer.extents.ranks) is meets


@pytest.mark.parametrize(("stride", "taps"), [(3, 2), (2, 2), (1, 3)])
def test_a_window_that_is_too_large_to_be_tried_has_the_same_figures(
    stride: int, taps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(stride)
    x = np.where(rng.random((4, 24)) < 0.4, 1.0, 0)
    w = np.where(rng.random((6, 4, taps)) < 0.5, 1.0, 0)
    mapping = Mapping("p1 @GLB c @PE m p0 r", {"p": 2})

    def made_for(
        name: str,
    ) -> Charge:  # another name is another line, of which no plan is remembered
        spec = make_spec(f"{name}[m,p] = I[c,{stride}*p+r]*F[m,c,r]")
        return charge(spec, arch("scnn"), {"I": x, "F": w}, mapping)

    tried = made_for("O")
    monkeypatch.setattr(halos, "MOST_ENUMERATED", 0)
    taken = made_for("Q")
    lines = [len(str(made.accounting).splitlines()) for made in (tried, taken)]
    assert lines[0] < lines[1] if stride >= taps else lines[0] == lines[1]
    assert (tried.cycles, tried.energy_pj) == (taken.cycles, taken.energy_pj)
    for level in ("GLB", "PE"):
        assert tried.at(level, "I") == taken.at(level, "I")

"""Lines that run tile by tile and read places of several tiles, against a walk of their turns."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from halo_judge import walk
from hypothesis import given, settings
from hypothesis import strategies as st

import zeroskip as zs
from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import CascadeMapping, Mapping, charge_cascade, fused
from zeroskip.hwmodel.homes import Halo

pytestmark = pytest.mark.usefixtures("without_compiling")

TEXT = "T[p,c] = I[p+r]*F[r,c]; O[p] = T[p+s,c]*G[s,c]"
BITS, COORDINATE = 16, 3


def machine(**more: Any) -> dict[str, Any]:
    return {
        "name": "small",
        "array": {"pe": 1},
        "value_bits": BITS,
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        **more,
    }


def mapped(block: int, **changes: Any) -> CascadeMapping:
    """T and O, so many places at a time; GLB has F, G and T."""
    lines = {
        "T": Mapping("p1 @PE(T) r p0 c", {"p": block}, {}, sync="r", keep={"GLB": "F"}),
        "O": Mapping("p1 @PE(T) s p0 c", {"p": block}, {}, sync="s", keep={"GLB": "G"}),
    }
    parts: dict[str, Any] = {"keep": {"T": "GLB"}, "fuse": {"T,O": "p1"}, "halo": {"T": "keep"}}
    return CascadeMapping(lines, **(parts | changes))


def charged(
    given_: dict[str, Any], block: int, pads: tuple[int, int], text: str = TEXT, **changes: Any
) -> Any:
    design = machine(**changes.pop("design", {}))
    return charge_cascade(
        make_spec(text, pad={"T": {0: pads}}), design, given_, mapped(block, **changes)
    )


def room(found: Any) -> list[int]:
    return [made.capacity[0].needed_bits for made in found.lines.values()]


Case = tuple[dict[str, np.ndarray[Any, Any]], int, int, int, bool]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    places, block = draw(st.integers(1, 11)), draw(st.integers(1, 4))
    taps, channels, packed = draw(st.integers(1, 5)), draw(st.integers(1, 2)), draw(st.booleans())
    before = draw(st.integers(0, taps - 1))
    taken = draw(st.lists(st.integers(0, 1), min_size=places, max_size=places))
    image = np.array(taken, np.float64) if packed else np.ones(places)
    operands = {"I": image, "F": np.ones((1, channels)), "G": np.ones((taps, channels))}
    return operands, block, taps, before, packed


def judged(case: Case) -> list[int]:
    operands, block, taps, before, packed = case
    channels = operands["F"].shape[1]
    entries = (operands["I"] != 0) * channels
    computing, reading, alternate = walk(entries.tolist(), block, taps, before)
    width = BITS + COORDINATE * packed
    kept = taps if len(entries) > block else 1  # all of G for the next tile, or a tap after another
    filters = channels * BITS, kept * channels * BITS
    beside = filters if alternate else (0, 0)
    return [
        filters[0] + max(computing) * width + beside[1],
        filters[1] + max(reading) * width + beside[0],
    ]


def of_case(case: Case, **changes: Any) -> Any:
    operands, block, taps, before, packed = case
    if packed:
        formats = {"T": {"GLB": f"0:U 1:C({COORDINATE})", "PE": "U"}}
        changes["design"] = {"formats": formats}
    return charged(operands, block, (before, taps - 1 - before), **changes)


@settings(max_examples=150)
@given(cases())
def test_room_and_moves_are_those_of_the_walk(case: Case) -> None:
    """T is written once and read as if all of it stayed; what stays is what turns say."""
    found, whole = of_case(case), of_case(case, fuse={}, halo={})
    assert room(found) == judged(case)
    for line, made in found.lines.items():
        for where, moves in made.traffic.items():
            other = whole.lines[line].traffic[where]  # whole, T has fiber pointers
            parts = (moves.reads, moves.writes, moves.data_bits, moves.read_metadata_bits)
            wanted = (other.reads, other.writes, other.data_bits, other.read_metadata_bits)
            assert parts == wanted, (line, where)
    operands, block, *_, packed = case
    if len(operands["I"]) > block:  # of a single tile as of all of it
        entries = np.count_nonzero(operands["I"]) * operands["F"].shape[1]
        assert found.at("GLB", "T").write_metadata_bits == entries * COORDINATE * packed
    assert found.at("DRAM", "T").bits == 0
    assert found.ops == whole.ops


@pytest.mark.parametrize(
    "change",
    [
        lambda halo: replace(halo, before=halo.before + 1),
        lambda halo: replace(halo, before=halo.before - 1),
        lambda halo: replace(halo, block=halo.block + 1),
        lambda halo: replace(halo, late=halo.late + 1),
        lambda halo: replace(halo, late=halo.late - 1),
    ],
)
def test_another_halo_is_not_that_of_the_walk(change: Any, monkeypatch: Any) -> None:
    """Mutants of what stays."""
    some = {"F": np.ones((1, 2)), "G": np.ones((3, 2))}
    packed = {**some, "I": np.array([1.0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0])}
    tried: list[Case] = [({**some, "I": np.ones(n)}, 3, 3, 1, False) for n in (6, 11)]
    tried.append((packed, 2, 3, 1, True))
    assert all(room(of_case(case)) == judged(case) for case in tried)
    true = fused._halo
    monkeypatch.setattr(fused, "_halo", lambda *given_: change(true(*given_)))
    assert any(room(of_case(case)) != judged(case) for case in tried)


def test_what_stays_by_hand() -> None:
    """Blocks of 2 of 10 places, windows of 3 around each: a tile of O has its turn when the next
    one of T is done, and from the place before the tile to the end of that one are 5 places."""
    operands = {"I": np.ones(10), "F": np.ones((1, 3)), "G": np.ones((3, 3))}
    found = charged(operands, 2, (1, 1))
    assert found.keep["T"].halo == Halo(axis=0, block=2, before=3, late=1)
    assert room(found) == [(3 + 15 + 9) * BITS, (9 + 15 + 3) * BITS]
    causal = charged(operands, 2, (2, 0))  # nothing of the next tile: no line is late
    assert causal.keep["T"].halo == Halo(axis=0, block=2, before=2, late=0)
    assert room(causal) == [(3 + 12 + 9) * BITS, (9 + 12 + 3) * BITS]
    said = " ".join(found.assumptions)
    assert "T stays in GLB, a tile for each p1 at a time and the places beside it that" in said
    assert "O is 1 iteration of p1 behind T" in said
    assert found.baseline.keep["T"].halo == found.keep["T"].halo


def test_a_halo_that_is_computed_again_is_a_layer() -> None:
    """Tiles are a rank: 5 of them, in each 4 places of T, of which 2 are in the next one, too."""
    text = "T[t,u,c] = I[2*t+u+r]*F[r,c]; O[t,v] = T[t,v+s,c]*G[s,c]"
    operands = {"I": np.ones(13), "F": np.ones((2, 3)), "G": np.ones((3, 3))}
    lines = {
        "T": Mapping("t @PE(T) r u c", space={}, sync="r", keep={"GLB": "F"}),
        "O": Mapping("t @PE(T) s v c", space={}, sync="s", keep={"GLB": "G"}),
    }
    spec = make_spec(text, sizes={"u": 4, "v": 2})
    mapping = CascadeMapping(lines, {"T": "GLB"}, {"T,O": "t"})
    found = charge_cascade(spec, machine(), operands, mapping)
    assert found.lines["T"].ops["dense"] == 5 * 4 * 2 * 3
    assert (found.at("GLB", "T").writes, found.at("DRAM", "T").bits) == (5 * 4 * 3, 0)
    assert room(found) == [(6 + 12 + 9) * BITS, (9 + 12 + 6) * BITS]


def test_a_kept_halo_of_densities_is_that_of_full_operands() -> None:
    shapes = {"I": (10,), "F": (1, 3), "G": (3, 3)}
    full = {n: zs.Density(shape, 1.0) for n, shape in shapes.items()}
    drawn = charged(full, 2, (1, 1))
    assert room(drawn) == room(charged({n: np.ones(s) for n, s in shapes.items()}, 2, (1, 1)))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"halo": {"T": "recompute"}},
            'halo T: recompute: expected "keep"; to compute it again, write',
        ),
        ({"halo": {"O": "keep"}}, "halo O: keep: no block keeps tiles of O on chip"),
        ({"keep": {}}, "halo T: keep: no block keeps tiles of T on chip"),
        ({"halo": {}}, r'(?s)the line of O reads T at p\+s where T has p: .*halo={"T": "keep"}'),
        ({"text": TEXT.replace("T[p+s", "T[s-p+9")}, "which does not go on by a place with p"),
        (
            {"text": f"{TEXT}; Y[p] = O[p]*H[b]", "fuse": {"T,O,Y": "p1"}},
            "expected a block of two lines, T and what reads it, found T,O,Y",
        ),
    ],
)
def test_what_is_no_kept_halo_is_refused(changes: dict[str, Any], said: str) -> None:
    operands = {"I": np.ones(10), "F": np.ones((1, 3)), "G": np.ones((3, 3)), "H": np.ones(2)}
    if "H" not in changes.get("text", ""):
        del operands["H"]
    with pytest.raises(ArchError, match=said):
        charged(operands, 2, (1, 1), **changes)
    with pytest.raises(ArchError, match="halo: expected a dict, intermediate -> keep, found 3"):
        CascadeMapping(halo=3)  # type: ignore[arg-type]

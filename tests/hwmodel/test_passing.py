"""Tensors that pass a level and are not kept there (`stream`), by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layers import one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge, moving, passing
from zeroskip.hwmodel.streamed import streams_of

pytestmark = pytest.mark.usefixtures("without_compiling")

A = np.array([[1, 0, 2], [0, 0, 3], [4, 5, 0], [0, 0, 0]])
LEVELS: dict[str, dict[str, Any]] = {"DRAM": {}, "GLB": {}, "PE": {}}


def product(order: str, *, levels: Any = LEVELS, pes: int = 1, **changes: Any) -> Charge:
    """4 x 3 with 5 entries, times 3 x 2."""
    formats = {"A": dict.fromkeys(levels, "C(4)")}
    more = {"array": {"pe": pes}, "levels": levels, "formats": formats}
    design = arch(one_pe(**(more | changes.pop("design", {}))))
    operands = {"A": A, "B": np.ones((3, 2))} | changes.pop("operands", {})
    given: dict[str, Any] = {"sync": "none", "space": {}} | changes
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    return charge(spec, design, operands, Mapping(order, **given))


def moved(charged: Charge, tensor: str) -> list[tuple[str, int, int]]:
    """Reads and writes of each level."""
    found = [(x.name, charged.at(x.name, tensor)) for x in charged.arch.levels]
    return [(name, moves.reads, moves.writes) for name, moves in found]


def test_each_use_is_read_further_out() -> None:
    """A row of A comes to the PE for each n and m, 2 * 5 entries; each is read off chip, written to
    GLB and read there.  Kept in GLB, 5 are read off chip; past GLB, nothing moves there."""
    operations = 4 * 3 * 2
    streamed = product("n m @PE(A) k", stream={"GLB": "A"})
    assert moved(streamed, "A") == [("DRAM", 10, 0), ("GLB", 10, 10), ("PE", operations, 10)]
    assert streamed.at("GLB", "A").metadata_bits == 2 * 10 * 4
    kept, past = product("n m @PE(A) k"), product("n m @PE(A) k", keep={"GLB": "B,Z"})
    assert moved(kept, "A")[:2] == [("DRAM", 5, 0), ("GLB", 10, 5)]
    assert moved(past, "A")[:2] == [("DRAM", 10, 0), ("GLB", 0, 0)]


def test_room_is_what_is_under_way() -> None:
    """Of A 16 + 4 bits a word; of B all 6 values of 16 bits."""
    rooms = [
        product("n m @PE(A) k", stream={"GLB": text}).capacity[0].needed_bits
        for text in ("A", "A 1", "A 64", "A 2, Z 3")
    ]
    assert rooms == [20 + 96, 20 + 96, 64 * 20 + 96, 40 + 96 + 3 * 16]


@pytest.mark.parametrize(("multicast", "read"), [(True, 5), (False, 10)])
def test_what_one_read_serves(multicast: bool, read: int) -> None:
    """Two PEs, each with a column of the result, need all of A."""
    levels = LEVELS | {"GLB": {"multicast": multicast}}
    c = product("m k n", levels=levels, pes=2, space={"n": "pe"}, stream={"GLB": "A"})
    assert moved(c, "A")[:2] == [("DRAM", read, 0), ("GLB", read, read)]
    assert c.at("PE", "A").writes == 10
    assert c.at("network", "A").writes == 10


def test_units_may_be_handed_what_passes() -> None:
    """At each of 24 points one value of B, whatever came before; of A the entries that it stores
    where they are, 5 * 2.  GLB keeps B, and lets A pass."""
    c = product("n m k", stream={"PE": "A 2, B", "GLB": "A"})
    assert moved(c, "B") == [("DRAM", 6, 0), ("GLB", 24, 6), ("PE", 24, 24)]
    assert moved(c, "A") == [("DRAM", 10, 0), ("GLB", 10, 10), ("PE", 24, 10)]
    assert [room.needed_bits for room in c.capacity] == [20 + 96, 2 * 20 + 16 + 8 * 32]
    assert str(c.accounting).count("(a stream, 2 words)") == 1


def test_a_result_passes_with_its_parts() -> None:
    """k in two pieces outside the mark of Z: each of 8 sums leaves twice, 8 come back."""
    c = product("k1 m n @PE(Z) k0", split={"k": 2}, stream={"GLB": "Z 3"})
    assert moved(c, "Z")[:2] == [("DRAM", 8, 8 + 8), ("GLB", 16 + 8, 16 + 8)]
    assert c.at("GLB", "Z").bits == 2 * 24 * 32
    assert c.capacity[0].needed_bits == 5 * 20 + 6 * 16 + 3 * 32


def test_time_and_energy_follow() -> None:
    """GLB moves 200 bits of A each way, and 16 * (6 + 24) of B and Z in, 16 * (6 + 8) out."""
    levels = LEVELS | {"GLB": {"read_bits_per_cycle": 1, "energy": 3}}
    c = product("n m @PE(A) k", levels=levels, stream={"GLB": "A"})
    bits = sum(c.at("GLB", name).read_bits for name in "ABZ")
    assert c.at("GLB", "A").read_bits == c.at("GLB", "A").write_bits == 200
    assert c.bandwidth_cycles == {"GLB": bits}
    assert c.energy["GLB"] == 3 * sum(c.at("GLB", name).bits for name in "ABZ")


def test_of_densities() -> None:
    e = product("n m @PE(A) k", stream={"GLB": "A"}, operands={"A": Density((4, 3), 5 / 12)})
    assert moved(e, "A")[:2] == [("DRAM", 10, 0), ("GLB", 10, 10)]
    assert e.tags["traffic"] == "exact in expectation"
    many = [
        product("n m k", stream={"PE": "A"}, operands={"A": x}) for x in (A, Density((4, 3), 1))
    ]
    assert [c.at("GLB", "A").reads for c in many] == [10, 24]


def test_a_design_may_say_so() -> None:
    levels = LEVELS | {"GLB": {"stream": "A 4"}}
    c = product("n m @PE(A) k", levels=levels)
    assert "stream GLB: A 4" in str(c.mapping)
    assert "    stream: A 4" in str(c.arch).splitlines()
    assert any(text.startswith("GLB: A passes and is not kept") for text in c.assumptions)
    kept = product("n m @PE(A) k", levels=levels, stream={"GLB": "none"})
    assert "stream GLB: none" in str(kept.mapping)
    assert moved(kept, "A")[:2] == [("DRAM", 5, 0), ("GLB", 10, 5)]
    by_role = product("n m @PE(A) k", levels=LEVELS | {"GLB": {"stream": ["I", "O"]}})
    assert moved(by_role, "A")[:2] == [("DRAM", 10, 0), ("GLB", 10, 10)]


def test_tiles_beside_it_are_split() -> None:
    """A window is not cut: B is, whose 96 bits do not fit 60 beside the word of A."""
    levels = LEVELS | {"GLB": {"capacity_bits": 70}}
    c = product("m @GLB k n @PE", levels=levels, overflow={"GLB": "split"}, stream={"GLB": "A,Z"})
    assert "@GLB(B)" in str(c.mapping)
    assert c.capacity[0].needed_bits == 20 + 16 + 32
    with pytest.raises(ArchError, match="1 word of A under way \\(20 bits\\)"):
        product("m k n @PE", levels=levels, overflow={"GLB": "refuse"}, stream={"GLB": "A,Z"})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        (
            {"stream": {"L2": "A"}},
            "stream L2: expected a level of one PE that is filled \\(GLB, PE",
        ),
        ({"stream": {"DRAM": "A"}}, "stream DRAM: expected a level of one PE that is filled"),
        ({"stream": {"GLB": "Q"}}, "stream GLB: Q is neither a tensor of this layer \\(A, B, Z\\)"),
        ({"stream": {"PE": "Z"}}, "stream PE: Z: units add to what PE holds of a result"),
        ({"stream": {"GLB": "A,A 2"}}, "stream GLB: expected each tensor once, found A twice"),
        ({"stream": {"GLB": "A 0"}}, 'expected a tensor or a role, .* such as "I 64", found'),
        ({"stream": {"GLB": 3}}, "stream GLB: expected a tensor or a role"),
        ({"stream": "A"}, "stream: expected a dict, level -> tensors"),
        ({"stream": {1: "A"}}, "stream: expected names of levels as keys, found 1"),
        (
            {"stream": {"GLB": "A"}, "keep": {"GLB": "A"}},
            "keep GLB keeps A in GLB, which it passes \\(stream\\)",
        ),
        (
            {"stream": {"GLB": "A"}, "order": "n @GLB(A) m k"},
            "@GLB\\(A\\) keeps A in GLB, which it passes",
        ),
        (
            {"stream": {"GLB": "A"}, "home": {"A": "GLB"}},
            "stream GLB names A, whose home is GLB",
        ),
        (
            {"stream": {"GLB": "A"}, "overflow": {"GLB": "spill"}},
            "stream GLB: beside tiles that spill \\(overflow GLB\\)",
        ),
        (
            {"stream": {"GLB": "A"}, "design": {"sparse": ["skip B on A @GLB"]}},
            "acts on what fills GLB, and A passes it \\(stream\\): no tile of it is there",
        ),
        (
            {"stream": {"PE": "A"}, "space": {"m": "pe"}, "pes": 2, "order": "n k m"},
            "m has 4 iterations on 2 PEs and stands outside @PE, which A passes",
        ),
    ],
)
def test_what_is_refused(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(ArchError, match=text):
        product(**({"order": "n m k"} | changes))


def test_a_design_is_read_with_care() -> None:
    for level, text in (("GLB", "A 0"), ("DRAM", "A")):
        levels = LEVELS | {level: {"stream": text}}
        with pytest.raises(ArchError, match=f"levels.{level}.stream in the dict given: expected"):
            product("n m k", levels=levels)


def test_texts() -> None:
    found = streams_of({"GLB": ["I 64", "O"], "PE": " none ", "L2": ()})
    assert {level: list(map(str, every)) for level, every in found.items()} == {
        "GLB": ["I 64", "O"],
        "PE": [],
        "L2": [],
    }


@pytest.mark.parametrize("wrong", ["all", "none", "as of a level that keeps"])
def test_other_rules_of_reading_are_found_out(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of entries that go through GLB to two PEs, how many are read off chip."""
    levels = LEVELS | {"GLB": {"multicast": False}}
    mapped: dict[str, Any] = {"pes": 2, "space": {"n": "pe"}, "stream": {"GLB": "A"}}
    kept = passing.read_apart

    def other(outer: Any, inner: Any, taken: Any) -> Any:
        if wrong == "as of a level that keeps":
            loops = kept(outer, inner, taken)
            return [loop for loop in loops if set(loop.dims) <= set(inner.instances)]
        return list(taken) if wrong == "all" else []

    right = moved(product("m k n", levels=levels, **mapped), "A")
    monkeypatch.setattr(moving, "read_apart", other)
    monkeypatch.setattr(passing, "read_apart", other)
    by_each = moved(product("m k n", levels=levels, **mapped), "A")
    shared = moved(product("m k n", pes=2, space={"n": "pe"}, stream={"GLB": "A"}), "A")
    assert [right[0], right[1]] == [("DRAM", 10, 0), ("GLB", 10, 10)]
    assert (by_each, shared[0]) != (right, ("DRAM", 5, 0))

"""Intermediates that stay on chip, against a walk of all lines that imports nothing of hwmodel."""

from __future__ import annotations

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import CascadeMapping, Mapping, charge_cascade, compare

pytestmark = pytest.mark.usefixtures("without_compiling")

BITS = 16
LINES = {
    "S": ("S[i,j] = Q[i,k]*K[j,k]", {"S": "ij", "Q": "ik", "K": "jk"}, "k", "j"),
    "Z": ("Z[i,c] = S[i,j]*V[j,c]", {"Z": "ic", "S": "ij", "V": "jc"}, "j", "c"),
    "W": ("W[j,c] = S[i,j]*Z[i,c]", {"W": "jc", "S": "ij", "Z": "ic"}, "i", "j"),
}
"""Result -> text, ranks of its tensors, the rank that is summed, the rank across PEs."""


def described(pes: int, capacity: int | None = None, **changes: Any) -> dict[str, Any]:
    glb = {} if capacity is None else {"capacity_bits": capacity}
    rates = {"read_bits_per_cycle": 8, "write_bits_per_cycle": 4}
    levels = {"DRAM": rates, "GLB": {**glb, **rates}, "PE": {}}
    small = {"name": "small", "array": {"pe": pes}, "value_bits": BITS, "levels": levels}
    return {**small, "energy": "eyeriss-relative", **changes}


def mapped(lines: list[str]) -> dict[str, Mapping]:
    found = {}
    for name in lines:
        _, ranks, summed, across = LINES[name]
        inner = sorted({r for text in ranks.values() for r in text} - {summed, across})
        found[name] = Mapping([summed, *inner, across], {}, {across: "pe"}, sync=summed)
    return found


def text_of(lines: list[str]) -> str:
    return "; ".join(LINES[name][0] for name in lines)


def operands(lines: list[str], sizes: dict[str, int]) -> dict[str, np.ndarray]:
    names = {name: ranks for line in lines for name, ranks in LINES[line][1].items()}
    return {
        name: np.ones([sizes[r] for r in ranks])
        for name, ranks in names.items()
        if name not in lines
    }


def walk(
    lines: list[str], sizes: dict[str, int], pes: int, keep: set[str]
) -> tuple[dict[str, Counter[tuple[str, str, str]]], dict[str, int]]:
    """Values that GLB and DRAM read and write, by line and tensor, and what GLB holds at most.

    Point by point: a step is an iteration of the rank that is summed; each PE asks for what its
    points of the step need, GLB reads once what several ask for, and fetches what it lacks.  What
    comes from DRAM is there for a step, what stays for as long as a line still reads it.
    """
    moved: dict[str, Counter[tuple[str, str, str]]] = {line: Counter() for line in lines}
    kept: dict[str, set[tuple[int, ...]]] = {}
    room = {}
    for number, line in enumerate(lines):
        _, tensors, summed, _ = LINES[line]
        count, most = moved[line], Counter[str]()
        ranks = sorted({r for text in tensors.values() for r in text})
        steps: dict[int, dict[str, set[tuple[int, ...]]]] = {}
        for point in product(*(range(sizes[r]) for r in ranks)):
            at = dict(zip(ranks, point, strict=True))
            for name, text in tensors.items():
                place = tuple(at[r] for r in text)
                steps.setdefault(at[summed], {}).setdefault(name, set()).add(place)
        results: set[tuple[int, ...]] = set()
        for asked in steps.values():
            for name, places in asked.items():
                if name == line:
                    results |= places
                    continue
                count["GLB", name, "reads"] += len(places)
                lacking = places - kept.get(name, set())
                count["DRAM", name, "reads"] += len(lacking)
                count["GLB", name, "writes"] += len(lacking)
                most[name] = max(most[name], len(lacking))
        for place in results:
            count["GLB", line, "writes"] += 1
            if line in keep:
                kept.setdefault(line, set()).add(place)
            else:
                count["GLB", line, "reads"] += 1
                count["DRAM", line, "writes"] += 1
        room[line] = sum(most.values()) + sum(map(len, kept.values()))
        for name in list(kept):
            if not any(name in LINES[later][1] for later in lines[number + 1 :]):
                del kept[name]
    return moved, room


@st.composite
def machines(draw: st.DrawFn) -> tuple[list[str], dict[str, int], int, set[str]]:
    lines = draw(st.sampled_from([["S", "Z"], ["S", "Z", "W"]]))
    sizes = {rank: draw(st.integers(1, 5)) for rank in "ijkc"}
    keep = draw(st.sets(st.sampled_from(lines[:-1])))
    return lines, sizes, draw(st.integers(1, 4)), keep


@settings(max_examples=60)
@given(machines())
def test_every_move_and_the_room_are_those_of_the_walk(
    drawn: tuple[list[str], dict[str, int], int, set[str]],
) -> None:
    lines, sizes, pes, keep = drawn
    mapping = CascadeMapping(mapped(lines), dict.fromkeys(sorted(keep), "GLB"))
    given_ = operands(lines, sizes)
    moved, room = walk(lines, sizes, pes, keep)
    largest = max(room.values())
    spec = make_spec(text_of(lines))
    whole = charge_cascade(spec, described(pes, largest * BITS), given_, mapping)
    for line, made in whole.lines.items():
        for level in ("DRAM", "GLB"):
            for name in LINES[line][1]:
                found = made.traffic.get((level, name))
                for way in ("reads", "writes"):
                    count = moved[line][level, name, way]
                    assert (getattr(found, way) if found else 0) == count, (line, level, name, way)
                    bits = getattr(found, f"{way[:-1]}_bits") if found else 0
                    assert bits == count * BITS
        assert next(c.needed_bits for c in made.capacity if c.level == "GLB") == room[line] * BITS
        for level in ("DRAM", "GLB"):
            bits = {
                way: sum(n for at, n in moved[line].items() if at[::2] == (level, way)) * BITS
                for way in ("reads", "writes")
            }
            assert made.bandwidth_cycles[level] == max(-(-bits["reads"] // 8), bits["writes"] // 4)
            cost = made.arch.level(level).pj_per_bit
            assert made.energy[level] == pytest.approx(sum(bits.values()) * cost)
    assert whole.energy_pj == pytest.approx(sum(c.energy_pj for c in whole.lines.values()))
    if keep:
        with pytest.raises(ArchError, match=f"{BITS:,} bits too few"):
            charge_cascade(spec, described(pes, (largest - 1) * BITS), given_, mapping)


SIZES = {"i": 4, "j": 5, "k": 3, "c": 2}


def kept(keep: dict[str, str], lines: str = "SZ", **changes: Any) -> Any:
    names = list(lines)
    mapping = CascadeMapping(mapped(names), keep)
    return charge_cascade(
        make_spec(text_of(names)), described(3, **changes), operands(names, SIZES), mapping
    )


def test_nothing_but_the_intermediate_differs() -> None:
    spilled, stays = kept({}), kept({"S": "GLB"})
    for place, moves in spilled.traffic.items():
        if place not in {("DRAM", "S"), ("GLB", "S")}:
            assert stays.traffic[place] == moves
    assert spilled.at("DRAM", "S").bits == 2 * 20 * BITS
    assert stays.at("DRAM", "S").bits == 0
    assert (stays.ops, stays.compute_cycles) == (spilled.ops, spilled.compute_cycles)
    assert stays.mapped.endswith("| keep S: GLB")
    assert "S stays in GLB, all of it" in " ".join(stays.assumptions)
    assert "S stays" not in " ".join(spilled.assumptions)
    assert stays.baseline.at("DRAM", "S").bits == 0
    rows = {row[0]: row[2:] for row in compare(spilled, stays).rows}
    assert any(len(set(map(str, values))) > 1 for values in rows.values())


def failing(keep: dict[str, str], **changes: Any) -> str:
    with pytest.raises(ArchError) as caught:
        kept(keep, **changes)
    return str(caught.value)


def test_what_cannot_stay_is_refused() -> None:
    assert "no line computes Q; results are S, Z" in failing({"Q": "GLB"})
    assert "no line reads Z" in failing({"Z": "GLB"})
    assert failing({"S": "PE"}).endswith(
        "on chip that all PEs share (GLB), found PE\nName such a level, or leave out keep S."
    )


def test_parts_that_come_and_go_have_the_width_of_sums() -> None:
    """S leaves the PEs after each of three k, and comes back: in GLB it is held at 32 bits, and at
    16 when it is done."""
    lines = mapped(["S", "Z"])
    lines["S"] = Mapping("k i @PE j", {}, {"j": "pe"}, sync="i")
    mapping = CascadeMapping(lines, {"S": "GLB"})
    spec, given_ = make_spec(text_of(["S", "Z"])), operands(["S", "Z"], SIZES)
    found = charge_cascade(spec, described(3), given_, mapping)
    at = found.lines["S"].at("GLB", "S")
    assert (at.writes, at.reads) == (3 * 20, 2 * 20)
    assert (at.write_data_bits, at.read_data_bits) == (2 * 20 * 32 + 20 * 16, 2 * 20 * 32)
    homes = [next(c.at_home("S") for c in made.capacity) for made in found.lines.values()]
    assert homes == [20 * 32, 20 * 16]


def test_marks_of_the_level_do_not_matter_to_what_is_there() -> None:
    lines = mapped(["S", "Z"])
    spec, given_ = make_spec(text_of(["S", "Z"])), operands(["S", "Z"], SIZES)
    found = []
    for order in ("j i @PE c", "j @GLB i @PE c"):
        lines["Z"] = Mapping(order, {}, {"c": "pe"}, sync="j")
        mapping = CascadeMapping(dict(lines), {"S": "GLB"})
        found.append(charge_cascade(spec, described(3), given_, mapping).lines["Z"].traffic)
    assert found[0]["GLB", "S"] == found[1]["GLB", "S"]
    lines["Z"] = Mapping("j @GLB(S,V) i @PE c", {}, {"c": "pe"}, sync="j")
    with pytest.raises(ArchError, match="names S, whose home is GLB: nothing of it is outside"):
        charge_cascade(spec, described(3), given_, CascadeMapping(lines, {"S": "GLB"}))


@settings(max_examples=30)
@given(st.data())
def test_an_intermediate_is_encoded_as_it_is_read(data: st.DataObject) -> None:
    """S goes to GLB in the format in which Z reads it there: entries, and metadata of each."""
    sizes = {rank: data.draw(st.integers(1, 5)) for rank in "ijkc"}
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    given_ = {n: x * (rng.random(x.shape) < 0.4) for n, x in operands(["S", "Z"], sizes).items()}
    text = data.draw(st.sampled_from(["U C(7)", "U B"]))
    inside = data.draw(st.sampled_from(["U", "C(7)"]))
    formats = {"I": {"DRAM": "U", "GLB": text, "PE": inside}}
    mapping = CascadeMapping(mapped(["S", "Z"]), {"S": "GLB"})
    spec = make_spec(text_of(["S", "Z"]))
    found = charge_cascade(spec, described(3, formats=formats), given_, mapping)
    values = given_["Q"] @ given_["K"].T
    entries, places = np.count_nonzero(values), values.size
    coded = entries * 7 if text == "U C(7)" else places
    pointers = (sizes["i"] + 1) * int(entries).bit_length() if text == "U C(7)" else 0
    at, read = found.lines["S"].at("GLB", "S"), found.lines["Z"].at("GLB", "S")
    assert (at.writes, at.reads) == (entries, 0)
    assert (at.write_data_bits, at.write_metadata_bits) == (entries * BITS, coded + pointers)
    assert (read.reads, read.writes) == (entries, 0)  # once: each j is one step
    assert read.read_metadata_bits == coded
    for made in found.lines.values():
        assert made.at("DRAM", "S").bits == 0
        assert next(c.at_home("S") for c in made.capacity) == entries * BITS + coded
    assert found.baseline.at("GLB", "S").data_bits == 2 * places * BITS


def test_lines_that_read_it_in_two_formats_are_refused() -> None:
    lines = mapped(["S", "Z"])
    text = "S[i,j] = Q[i,k]*K[j,k]; Z[i,c] = S[i,j]*V[j,c]; Y[i,c] = S[i,j]*U[j,c]"
    lines["Z"] = Mapping("j i c", {}, {"c": "pe"}, sync="j", roles={"S": "I", "V": "F"})
    lines["Y"] = Mapping("j i c", {}, {"c": "pe"}, sync="j", roles={"S": "F", "U": "I"})
    formats = {"I": {"GLB": "B"}, "F": {"GLB": "U"}}
    given_ = {**operands(["S", "Z"], SIZES), "U": np.ones((5, 2))}
    with pytest.raises(ArchError, match="expected one format, but lines read it there in several"):
        charge_cascade(
            make_spec(text),
            described(3, formats=formats),
            given_,
            CascadeMapping(lines, {"S": "GLB"}),
        )


@pytest.mark.parametrize("text", ["U", "U C(7)", "U B"])
def test_means_are_those_of_many_drawn_cascades(text: str) -> None:
    """Where S is full, the mean is exact; else it is near the mean over what is drawn."""
    spec = make_spec(text_of(["S", "Z"]))
    mapping = CascadeMapping(mapped(["S", "Z"]), {"S": "GLB"})
    design = described(3, formats={"S": {"DRAM": "U", "GLB": text, "PE": "U"}})
    shapes = {n: x.shape for n, x in operands(["S", "Z"], SIZES).items()}
    densities = {n: Density(shape, 0.5) for n, shape in shapes.items()}
    mean = charge_cascade(spec, design, densities, mapping)
    assert mean.at("DRAM", "S").bits == 0
    rng = np.random.default_rng(3)
    drawn = [
        charge_cascade(spec, design, {n: d.sample(rng) for n, d in densities.items()}, mapping)
        for _ in range(40)
    ]
    for figure in (
        lambda c: c.at("GLB", "S").write_data_bits,
        lambda c: c.lines["Z"].at("GLB", "S").read_data_bits,
        lambda c: c.lines["Z"].at("GLB", "S").read_metadata_bits,
    ):
        assert figure(mean) == pytest.approx(np.mean([figure(c) for c in drawn]), rel=0.1)
    assert mean.tags["traffic"] == "approximate"
    shares = {f"d_{n}": d.nnz / d.size for n, d in densities.items()}
    assert mean.function("energy_pj")(**shares) == pytest.approx(mean.energy_pj, rel=1e-12)


def test_keep_is_a_dict() -> None:
    with pytest.raises(ArchError, match="keep: expected a dict, intermediate -> level, found 3\n"):
        CascadeMapping(keep=3)  # type: ignore[arg-type]

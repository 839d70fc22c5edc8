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
    assert "expected a level on chip that all PEs share: GLB" in failing({"S": "PE"})
    assert "what stays is not counted by epoch" in failing({"S": "GLB"}, overlap="double")
    coded = {"I": {"GLB": "C", "PE": "C"}}
    assert "reads S encoded in GLB" in failing({"S": "GLB"}, formats=coded)


def test_parts_that_come_and_go_are_refused() -> None:
    """S leaves the PEs after each k, and comes back."""
    lines = mapped(["S", "Z"])
    lines["S"] = Mapping("k i @PE j", {}, {"j": "pe"}, sync="i")
    with pytest.raises(ArchError, match="expected each of 20 results to come to GLB once"):
        charge_cascade(
            make_spec(text_of(["S", "Z"])),
            described(3),
            operands(["S", "Z"], SIZES),
            CascadeMapping(lines, {"S": "GLB"}),
        )


def test_tiles_that_come_again_are_refused() -> None:
    lines = mapped(["S", "Z"])
    lines["Z"] = Mapping("j @GLB i @PE c", {}, {"c": "pe"}, sync="j")
    with pytest.raises(ArchError, match="tile by tile"):
        charge_cascade(
            make_spec(text_of(["S", "Z"])),
            described(3),
            operands(["S", "Z"], SIZES),
            CascadeMapping(lines, {"S": "GLB"}),
        )


def test_densities_are_refused() -> None:
    drawn = {**operands(["S", "Z"], SIZES), "V": Density((5, 2), 0.5)}
    with pytest.raises(ArchError, match="expected tensors, found a Density"):
        charge_cascade(
            make_spec(text_of(["S", "Z"])), described(3), drawn, CascadeMapping({}, {"S": "GLB"})
        )


def test_keep_is_a_dict() -> None:
    with pytest.raises(ArchError, match="keep: expected a dict, intermediate -> level, found 3\n"):
        CascadeMapping(keep=3)  # type: ignore[arg-type]

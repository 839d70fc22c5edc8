"""Generated designs as architectures: features as text, a format of each operand in each level."""

from __future__ import annotations

import re
from typing import Any

from cases import Case
from hypothesis import strategies as st
from nest_parts import Design
from tree_judge import Tree, tree_of

ENTRY_BITS = 13


def design_arch(
    design: Design,
    tiles: list[str],
    formats: dict[str, dict[str, str]],
    levels: dict[str, dict[str, Any]],
    array: dict[str, int],
) -> dict[str, Any]:
    sparse = [f"gate {','.join(sorted(t))} on {','.join(sorted(c))}" for t, c in design.gate]
    if design.lead:
        others = sorted({*formats, "O"} - design.lead)
        sparse.append(f"skip {','.join(others)} on {min(design.lead)} @PE")
    left = design.skip - design.lead
    if len(left) == 1:
        others = sorted({*formats, "O"} - left)
        sparse.append(f"skip {','.join(others)} on {min(left)}")
    elif design.skip:
        sparse.append(f"skip {','.join(sorted(design.skip))}")
    return {
        "name": "generated",
        "array": array,
        "multipliers": design.multipliers,
        "value_bits": 16,
        "accumulator_bits": 32,
        "energy": "eyeriss-relative",
        "levels": levels,
        "sparse": [*sparse, *tiles],
        "formats": formats,
    }


def drawn_formats(
    data: st.DataObject,
    case: Case,
    design: Design,
    stays: dict[str, list[tuple[str, int]]],
    leader: str | None = None,
) -> dict[str, dict[str, str]]:
    """A format of each operand in each level: skipping, and a leader, need one that tells what is
    stored."""
    telling = design.skip | ({leader} if leader else set())
    packed = st.sampled_from([f"C({ENTRY_BITS})", "B"])
    either = st.one_of(packed, st.just("U"))
    return {
        tensor: {
            level: data.draw(
                packed
                if (tensor in telling and level == stays[tensor][-1][0])
                or any(level == at and tensor in by for _, at, _, by in design.tiles)
                else either
            )
            for level, _ in stays[tensor]
        }
        for tensor in case.arrays
    }


def dense_of(formats: dict[str, dict[str, str]]) -> dict[str, set[str]]:
    packed = re.compile("[BCRH]")
    return {
        t: {level for level, text in by.items() if not packed.search(text)}
        for t, by in formats.items()
    }


def bits_of(formats: dict[str, dict[str, str]], tensor: str, level: str) -> tuple[int, int]:
    """Bits of an entry, and of a place."""
    letter = formats[tensor][level][0]
    return ENTRY_BITS * (letter == "C"), int(letter == "B")


def trees_of(
    levels: dict[str, dict[str, Any]], formats: dict[str, dict[str, str]], shapes: dict[str, Any]
) -> dict[tuple[str, str], Tree]:
    """Of each tensor in each level."""
    return {
        (tensor, level): tree_of(text, shapes[tensor], levels[level].get("pointer_bits", 0))
        for tensor, by in formats.items()
        for level, text in by.items()
    }

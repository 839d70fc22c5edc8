"""docs/hardware-model.md names every key that a description may have."""

from __future__ import annotations

import re
from copy import deepcopy
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from zeroskip.errors import ArchError
from zeroskip.hwmodel import Mapping, arch, presets

PAGE = Path(__file__).parents[2] / "docs" / "hardware-model.md"

TINY: dict[str, Any] = {
    "array": {"pe": 2},
    "energy": {
        "name": "round",
        "actions": {
            "mac": {"cost": 1, "source": "chosen"},
            "word": {"cost": 1, "bits": 8, "capacity_bits": 8, "source": "chosen"},
        },
        "components": {"multiply": "mac", "add": "mac"},
    },
    "levels": {
        "DRAM": {"lines": {"read_bits": 64}},
        "GLB": {},
        "PE": {},
    },
    "area": {"GLB": {"mm2": 1}},
    "units": {"intersect": {"how": "skip-ahead"}, "merge": {"how": "tree", "radix": 2}},
}


@pytest.mark.parametrize(
    "path",
    [
        "",
        "energy",
        "energy.actions.word",
        "energy.components",
        "area",
        "area.GLB",
        "levels.DRAM",
        "levels.DRAM.lines",
        "levels.GLB",
        "levels.PE",
        "units.intersect",
        "units.merge",
    ],
)
def test_every_key_stands_on_the_page(path: str) -> None:
    """The keys are those that the reader names when it refuses one."""
    described = deepcopy(TINY)
    section = described
    for key in path.split(".") if path else ():
        section = section[key]
    section["qqqqqqqq"] = 1
    with pytest.raises(ArchError) as raised:
        arch(described)
    named = re.search(r"The keys here are (.+)\.$", str(raised.value))
    assert named is not None, raised.value
    keys = set(named[1].split(", ")) - {"DRAM", "GLB", "PE"}
    text = re.sub(r"(?s)^```.*?^```", "", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    code = " ".join(re.findall(r"`[^`]+`", text))
    assert {key for key in keys if not re.search(rf"\b{key}\b", code)} == set()


def test_every_preset_stands_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in presets() if f"`{name}`" not in text] == []


def test_every_part_of_a_mapping_stands_on_the_page() -> None:
    text = PAGE.read_text(encoding="utf-8")
    parts = list(signature(Mapping.__init__).parameters)[1:]
    assert [name for name in parts if f"| `{name}` |" not in text] == []

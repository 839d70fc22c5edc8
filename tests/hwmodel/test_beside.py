"""What is not charged beside what: one table, of which the page on the model has each row."""

from __future__ import annotations

from pathlib import Path

import pytest

import zeroskip
from zeroskip.errors import ArchError
from zeroskip.hwmodel import arch, beside
from zeroskip.hwmodel.beside import PARTS, REFUSED, check_beside, pairs_table, refusals

PAGE = Path(zeroskip.__file__).resolve().parents[2] / "docs" / "hardware-model.md"
DESIGN = {
    "name": "all",
    "array": {"pe": 2},
    "multipliers": 2,
    "energy": "eyeriss-relative",
    "levels": {"DRAM": {"lines": {"read_bits": 64}}, "GLB": {"cache": "lru"}, "PE": {}},
    "units": {"merge": {"how": "list"}},
}
HAS = {"units", "lines", "a cache"}


@pytest.mark.skipif(not PAGE.exists(), reason="the page is no part of what is installed")
def test_the_page_has_the_table() -> None:
    assert pairs_table() in PAGE.read_text()


@pytest.mark.parametrize("what", REFUSED)
def test_every_pair_is_asked_about(what: str) -> None:
    """By somebody else than the table."""
    files = [path for path in Path(beside.__file__).parent.glob("*.py") if path.stem != "beside"]
    assert any(f'"{what}"' in path.read_text() for path in files)


@pytest.mark.parametrize("what", REFUSED)
def test_a_part_that_is_there_is_refused_by_name(what: str) -> None:
    made = arch(DESIGN)
    assert {part for part, there in PARTS.items() if there(made)} == HAS
    found = dict(refusals(what, made))
    assert set(found) == HAS & set(REFUSED[what])
    if not found:
        check_beside(what, "here", made, "go elsewhere")
        return
    part, why = next(iter(found.items()))
    with pytest.raises(ArchError) as caught:
        check_beside(what, "here", made, "go elsewhere")
    assert str(caught.value) == (
        f"here: all has {part}, and {why}\nLeave out {part}, or go elsewhere."
    )


def test_parts_of_a_design_that_exclude_each_other() -> None:
    with pytest.raises(ArchError, match="expected no overlap beside a queue: an epoch is one step"):
        arch({**DESIGN, "units": {}, "overlap": "none", "queue": 3})

"""Architectures that are refused: errors name the key, the file and the line."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small_arch import SMALL, described, failing

from zeroskip.errors import ArchError
from zeroskip.hwmodel.arch import arch, presets


def test_an_unknown_name_lists_the_names() -> None:
    assert failing("scn") == (
        "no architecture 'scn': "
        f"expected {', '.join(presets())}, or the path of a .yaml file\n"
        "Did you mean scnn?"
    )


def test_a_missing_file_is_named() -> None:
    assert failing("nowhere/mine.yaml").startswith("cannot read nowhere/mine.yaml: ")


def test_a_missing_level_is_named() -> None:
    with pytest.raises(ArchError, match=r"^small has no level 'L2'; its levels are DRAM, GLB, PE$"):
        arch(SMALL).level("L2")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"value_bits": "wide"},
            "value_bits in the dict given: expected bits of a value, 1 or more, found 'wide'",
        ),
        (
            {"multipliers": 0},
            "multipliers in the dict given: expected multipliers of a PE, 1 or more, found 0",
        ),
        (
            {"multipliers": True},
            "multipliers in the dict given: expected multipliers of a PE, 1 or more, found true",
        ),
        (
            {"levels": {"DRAM": {}, "network": {}, "PE": {}}},
            "levels.network in the dict given: a level needs another name: the figures of a "
            "charge have this one",
        ),
        ({"sync": "never"}, "sync in the dict given: expected reduction or none, found 'never'"),
        (
            {"multiplier": 2},
            "multiplier in the dict given: no such key\nDid you mean multipliers?",
        ),
        (
            {"energy": None},
            "energy in the dict given: expected the name of an energy table, a YAML file, or a "
            "section, found nothing\nIt has no default: state it.",
        ),
        (
            {"energy": "eyeriss"},
            "energy in the dict given: expected the name of an energy table, a YAML file, or a "
            "section, found 'eyeriss'\nDid you mean eyeriss-relative?",
        ),
        (
            {"levels": {"DRAM": {}}},
            "levels in the dict given: expected two levels or more: off chip first, the local "
            "store of each PE last; found 1: DRAM",
        ),
        (
            {"levels": {"DRAM": {}, "L2": {"instances": "depth"}, "PE": {}}},
            "levels.L2.instances in the dict given: expected dimensions of the array (rows, cols) "
            "joined by *, or none, found 'depth'",
        ),
        (
            {"levels": {"DRAM": {}, "PE": {"instances": "none"}}},
            "levels.PE.instances in the dict given: the innermost level is in every PE: expected "
            "rows*cols, found 'none'",
        ),
        (
            {"levels": {"DRAM": {"instances": "rows"}, "PE": {}}},
            "levels.DRAM.instances in the dict given: expected none: the outermost level is one "
            "for all, found 'rows'",
        ),
        (
            {
                "levels": {
                    "DRAM": {},
                    "A": {"instances": "rows"},
                    "B": {"instances": "cols"},
                    "PE": {},
                }
            },
            "levels.B.instances in the dict given: expected at least rows, those of A, "
            "found 'cols'",
        ),
        (
            {"levels": {**SMALL["levels"], "GLB": {"capacity_bits": "big"}}},
            "levels.GLB.capacity_bits in the dict given: expected a number of bits, or unlimited, "
            "found 'big'",
        ),
        (
            {"levels": {**SMALL["levels"], "GLB": {"energy": "RM"}}},
            "levels.GLB.energy in the dict given: expected picojoules a bit, or an action of "
            "eyeriss-relative (RF, PE-to-PE, buffer, DRAM), found 'RM'",
        ),
        (
            {"formats": {"I": {"L2": "C"}}},
            "formats.I.L2 in the dict given: expected a level (DRAM, GLB, PE), found 'L2'",
        ),
        ({"array": {}}, "array in the dict given: expected a section such as {rows: 4, cols: 4}"),
        ({"array": 16}, "array in the dict given: expected a section such as {rows: 4, cols: 4}"),
        (
            {"sparse": "skip I"},
            "sparse in the dict given: expected a list such as [\"skip I,F\"], found 'skip I'",
        ),
    ],
)
def test_errors_name_the_key_and_what_was_expected(changes: dict[str, Any], message: str) -> None:
    assert message in failing(described(**changes))


def test_errors_of_a_format_show_where_it_is_wrong() -> None:
    text = failing(described(formats={"I": {"GLB": "D"}}))
    assert text.startswith("formats.I.GLB in the dict given: expected a format such as U, C, B")
    assert "^" in text


def test_errors_in_a_file_give_the_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        "name: mine\n"
        "array: {rows: 4}\n"
        "energy: eyeriss-relative\n"
        "levels:\n"
        "  DRAM: {}\n"
        "  GLB:\n"
        "    capacity_bits: -3\n"
        "  PE: {}\n"
    )
    assert failing(file) == (
        "levels.GLB.capacity_bits in mine.yaml, line 7: expected a number of bits, "
        "1 or more, found -3"
    )


def test_a_key_that_is_not_there_is_sought_on_the_line_of_its_section(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nenergy: eyeriss-relative\nlevels: {DRAM: {}, GLB: {}, PE: {}}\n")
    assert failing(file).startswith("array in mine.yaml, line 1: expected a section such as")


def test_an_energy_table_may_lie_beside_the_architecture(tmp_path: Path) -> None:
    table = tmp_path / "mine-energy.yaml"
    table.write_text(
        "name: mine\n"
        "actions:\n"
        "  op: {cost: 0.5, source: measured}\n"
        "  bit: {cost: 0.25, bits: 1, source: measured}\n"
        "components: {multiply: op, add: op, off_chip: bit}\n"
    )
    file = tmp_path / "mine.yaml"
    file.write_text(
        "array: {rows: 4}\nenergy: mine-energy.yaml\nlevels: {DRAM: {}, GLB: {}, PE: {}}\n"
    )
    design = arch(file)
    assert [level.pj_per_bit for level in design.levels] == [0.25, 0.0, 0.0]
    table.write_text(table.read_text().replace("0.25", "cheap"))
    assert failing(file) == (
        "actions.bit.cost in mine-energy.yaml, line 4: expected the cost in units, found 'cheap'"
    )


def test_a_broken_file_gives_the_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\narray: {rows: 4\nenergy: x\n")
    assert failing(file).startswith(f"{file}, line 3: ")


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("name: mine\nname: yours\n")
    assert failing(file).startswith(f'{file}, line 2: found duplicate key "name"')


@pytest.mark.parametrize(
    "text",
    [
        "[" * 20_000,
        "name: " + "[" * 3_000 + "]" * 3_000,
        "array: &a\n  <<: *a\n  pe: 2\n",
        "name: &a [*a]\n",
        "a: &a [1,1,1,1,1,1,1,1,1]\n"
        + "".join(f"{y}: &{y} [{','.join([f'*{x}'] * 9)}]\n" for x, y in pairwise("abcdefgh")),
        "name: a\0b\n",
        "? [a, b]\n: 3\n",
        "name: a\n---\nname: b\n",
    ],
    ids=["open", "deep", "merged with itself", "itself", "bomb", "nul", "list as key", "two"],
)
def test_a_hostile_file_is_refused(text: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert "mine.yaml" in failing(file)


def test_yaml_1_2_reads_2_4_as_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("array: {rows: 2:4}\nenergy: eyeriss-relative\n")
    assert "array.rows in mine.yaml, line 1: expected a number of PEs, 1 or more" in failing(file)
    assert "'2:4'" in failing(file)


def test_a_tag_that_asks_for_execution_is_inert(tmp_path: Path) -> None:
    file, mark = tmp_path / "mine.yaml", tmp_path / "mark"
    file.write_text(f"name: !!python/object/apply:os.mkdir ['{mark}']\n")
    failing(file)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("clock_hz", 10**400, "clock_hz in the dict given: expected cycles a second, above 0 and"),
        ("clock_hz", float("nan"), "above 0 and at most 1,000,000,000,000,000, found nan"),
        ("value_bits", 10**30, "expected bits of a value, at most 1,000,000,000,000,000, found"),
        ("array", {"pe": 2**21}, "array in the dict given: expected at most 1,048,576 PEs in all"),
    ],
)
def test_numbers_beyond_reason_are_refused(key: str, value: Any, message: str) -> None:
    assert message in failing(described(**{key: value}))


def test_too_large_an_array_is_refused() -> None:
    assert failing("scnn", size=(2048, 2048)) == (
        "size=(2048, 2048): expected at most 1,048,576 PEs in all"
    )


def test_numbers_of_numpy_are_numbers() -> None:
    design = arch(described(value_bits=np.int64(8), clock_hz=np.float32(5e8)))
    assert (design.value_bits, design.clock_hz) == (8, 5e8)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"components": {"multiply": 3, "add": "op"}},
            "energy.components.multiply in the dict given: expected the name of an action of "
            "this table, found 3",
        ),
        (
            {"components": {"multiply": ["op", "op2"], "add": "op"}},
            "energy.components.multiply in the dict given: expected one action, which moves no "
            "bits, found 'op, op2'",
        ),
        (
            {"components": {"multiply": "bit", "add": "op"}},
            "expected one action, which moves no bits, found 'bit'",
        ),
        (
            {"actions": {"op": {"cost": 1, "capacity_bits": 8, "source": "measured"}}},
            "energy.actions.op.capacity_bits in the dict given: the size of a memory goes with "
            "the bits of an access",
        ),
    ],
)
def test_entries_of_a_table_that_would_change_nothing_are_refused(
    changes: dict[str, Any], message: str
) -> None:
    table = {
        "name": "mine",
        "actions": {
            "op": {"cost": 1, "source": "measured"},
            "op2": {"cost": 2, "source": "measured"},
            "bit": {"cost": 1, "bits": 1, "source": "measured"},
        },
        "components": {"multiply": "op", "add": "op"},
    }
    assert message in failing(described(energy={**table, **changes}))


def test_energy_tables_are_checked() -> None:
    table = {
        "name": "mine",
        "actions": {"op": {"cost": 1, "source": "measured"}},
        "components": {"multiply": "op", "add": "opp"},
    }
    assert (
        "energy.components.add in the dict given: expected the name of an action of this table, "
        "found 'opp'" in failing(described(energy=table))
    )
    table["components"] = {"multiply": "op", "add": "op", "buffer": "op"}
    assert "energy.components.buffer in the dict given: expected an action that moves bits" in (
        failing(described(energy=table))
    )
    table["components"] = {"multiply": "op", "add": "op"}
    design = arch(described(energy=table))
    assert design.buffer.data is None
    assert "no energy given: charged 0, and listed as missing" in str(design)
    assert "source" in failing(described(energy={**table, "actions": {"op": {"cost": 1}}}))

"""Charges as tables: what is printed, and what a program reads of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, arch, charge, compare

MATMUL = "Z[m,n] = A[m,k]*B[k,n]"


def charged(name: str, density: float = 0.5, **options: Any) -> Charge:
    rng = np.random.default_rng(0)
    a, b = (rng.random((64, 64)) < density for _ in range(2))
    return charge(make_spec(MATMUL), arch(name, **options), {"A": a, "B": b, "Z": a @ b})


def figures(table: Any) -> dict[str, dict[str, Any]]:
    return {row["figure"]: row for row in table}


def test_numbers_are_printed_with_separators_and_kept_as_they_are() -> None:
    c = charged("dense")
    text = str(c)
    assert ["operations,", "all", "262,144", "262,144", "1.000"] in map(
        str.split, text.splitlines()
    )
    assert "e+0" not in text
    energy = figures(c.table())["energy"]
    assert energy["dense"] == c.energy_pj
    assert f"{c.energy_pj:,.0f}" in text
    assert isinstance(figures(c.table())["cycles"]["dense"], int)


def test_the_first_lines_below_give_time_and_energy_in_units_that_read_well() -> None:
    lines = str(charged("dense")).splitlines()
    # 64^3 products on 16 PEs at 200 MHz
    assert any(line.startswith("dense: 81.9 µs and ") for line in lines)
    assert any(line.startswith("dense baseline: 81.9 µs and ") for line in lines)


def test_compare_puts_charges_side_by_side() -> None:
    charges = [charged(name) for name in ("dense", "eyeriss", "scnn")]
    table = compare(*charges)
    names = "dense", "eyeriss", "eyeriss / dense", "scnn", "scnn / dense"
    assert table.names == ("figure", "unit", *names)
    rows = figures(table)
    for c in charges:
        assert rows["energy"][c.arch.name] == c.energy_pj
        assert rows["cycles, compute"][c.arch.name] == c.compute_cycles
        assert rows["operations, effectual"][c.arch.name] == charges[0].ops["effectual"]
    assert rows["energy"]["scnn / dense"] == charges[2].energy_pj / charges[0].energy_pj
    assert rows["operations, skipped"]["scnn / dense"] is None  # the first has 0
    assert table.to_pandas().shape == (len(table), 7)


def test_compare_says_what_differs_and_not_what_all_assume() -> None:
    notes = compare(charged("dense"), charged("scnn")).notes
    assert notes[0].startswith("dense: A[64, 64], B[64, 64], Z[64, 64]; mapping: order k m n")
    assert any(note.startswith("scnn leaves out energy and steps of finding") for note in notes)
    assert not any("transfers and compute overlap" in note for note in notes)


def test_compare_numbers_equal_names_and_leaves_what_one_lacks_empty() -> None:
    description = {
        "name": "scnn",
        "array": {"pe": 2},
        "energy": "eyeriss-relative",
        "levels": {"HBM": {"read_bits_per_cycle": 64}, "L2": {}, "L1": {}},
    }
    rng = np.random.default_rng(0)
    a, b = (rng.random((8, 8)) < 0.5 for _ in range(2))
    own = charge(make_spec(MATMUL), arch(description), {"A": a, "B": b})
    table = compare(charged("scnn"), own, charged("scnn", 0.1))
    assert table.names[2:4] == ("scnn", "scnn (2)")
    assert table.names[5] == "scnn (3)"
    rows = figures(table)
    assert rows["HBM, data"]["scnn"] is rows["HBM, data"]["scnn (2) / scnn"] is None
    assert rows["HBM, data"]["scnn (2)"] == own.level("HBM").data_bits
    assert rows["DRAM, data"]["scnn (2)"] is None
    assert 0 < rows["energy"]["scnn (3) / scnn"] < 1


def test_an_architecture_may_have_the_name_of_a_column() -> None:
    description = {
        "name": "ratio",
        "array": {"pe": 2},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
    }
    c = charge(make_spec("Z = A[k]*B[k]"), arch(description), {"A": np.ones(3), "B": np.ones(3)})
    assert c.table().names == ("figure", "unit", "ratio (2)", "dense baseline", "ratio")
    assert compare(c).names == ("figure", "unit", "ratio (2)")


def test_compare_takes_charges() -> None:
    with pytest.raises(ArchError, match=r"^compare\(\) needs at least one charge$"):
        compare()
    with pytest.raises(ArchError, match=r"^compare\(\) takes charges, found Table$"):
        compare(charged("dense").table())  # type: ignore[arg-type]

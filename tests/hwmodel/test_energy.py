"""Energy tables: scaled, what they price, and the area beside them."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.hwmodel import arch, energy_table
from zeroskip.hwmodel.scaling import scaled

TEXT = "y[m] = A[m,k]*x[k]"
LEVELS: dict[str, Any] = {"DRAM": {}, "GLB": {}, "PE": {}}

# ---- scaling ----------------------------------------------------------------------------


def test_energy_goes_with_capacitance_and_voltage_squared() -> None:
    table = energy_table("horowitz-45nm")
    small = scaled(table, node_nm=22.5, volts=0.45)
    for name in ("fp16 multiply", "int8 add", "sram 8 kB"):
        assert small.actions[name].pj == pytest.approx(table.actions[name].pj / 2 / 4)
    assert small.actions["DRAM"] == table.actions["DRAM"]
    assert small.actions["int8 add"].source.endswith("; scaled 45 to 22.5 nm, 0.9 to 0.45 V")
    assert (small.node_nm, small.volts) == (22.5, 0.45)
    back = scaled(small, node_nm=45, volts=0.9)
    assert back.actions["sram 1 MB"].pj == pytest.approx(table.actions["sram 1 MB"].pj)


def test_the_rule_of_widths_against_what_horowitz_lists() -> None:
    """From 8 to 32 bits: 16 times as much for a multiplication (15.5 listed), 4 for an addition
    (3.3 listed)."""
    wide = {}
    listed = energy_table("horowitz-45nm")
    for unit, operation in (("multiply", "int8 multiply"), ("add", "int8 add")):
        chosen = dict(listed.components) | {unit: (operation,)}
        table = type(listed)(
            *(listed.name, listed.about, listed.unit_pj, listed.unit_source),
            listed.actions,
            chosen,
        )
        made = scaled(table, **{f"{unit}_bits": 32}).action(unit)  # type: ignore[arg-type]
        assert made is not None
        wide[unit] = made.pj
    assert wide["multiply"] == pytest.approx(listed.actions["int32 multiply"].pj, rel=0.05)
    assert wide["add"] == pytest.approx(listed.actions["int32 add"].pj, rel=0.25)


def test_an_architecture_scales_its_table() -> None:
    section = {"table": "horowitz-45nm", "node_nm": 22.5, "multiply_bits": 8, "add_bits": 32}
    design = arch({"array": {"pe": 2}, "levels": LEVELS, "energy": section})
    plain = arch({"array": {"pe": 2}, "levels": LEVELS, "energy": "horowitz-45nm"})
    given = {"A": np.ones((4, 3)), "x": np.ones(3)}
    here, there = zs.charge(TEXT, design, **given), zs.charge(TEXT, plain, **given)
    assert here.energy["multiply"] == pytest.approx(there.energy["multiply"] / 2 / 4)
    assert here.energy["add"] == pytest.approx(there.energy["add"] / 2 * 2)
    assert here.energy["GLB"] == pytest.approx(there.energy["GLB"] / 2)
    assert here.energy["DRAM"] == there.energy["DRAM"]
    assert "scaled 45 to 22.5 nm; scaled 16 to 8 bits" in " ".join(str(design).split())


@pytest.mark.parametrize(
    ("section", "message"),
    [
        (
            {"table": "horowitz"},
            "energy.table in the dict given: expected the name of an energy table, a YAML file, or "
            "a section, found 'horowitz'\nDid you mean horowitz-45nm?",
        ),
        (
            {"table": "horowitz-45nm", "node_nm": -1},
            "energy.node_nm in the dict given: expected nanometres, above 0",
        ),
        (
            {"table": "horowitz-45nm", "node": 28},
            "energy.node in the dict given: no such key\nDid you mean node_nm?",
        ),
    ],
)
def test_what_is_no_scaled_table(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ArchError) as caught:
        arch({"array": {"pe": 2}, "levels": LEVELS, "energy": section})
    assert str(caught.value).startswith(message)


def test_a_table_that_does_not_say_its_node_is_not_scaled(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text(
        dedent("""\
        name: own
        actions:
          mac: {cost: 1, source: chosen}
        components: {multiply: mac, add: mac}
        """)
    )
    for key, text in (
        ("node_nm", "own does not say of which node its numbers are"),
        ("volts", "own does not say at which voltage its numbers are"),
        ("multiply_bits", "own does not say how wide its operands are"),
    ):
        with pytest.raises(ArchError, match=text):
            energy_table({"table": str(tmp_path / "own.yaml"), key: 16})


def test_a_table_that_scales_itself_is_refused(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a"), ("c", "c")):
        (tmp_path / f"{one}.yaml").write_text(f"table: {other}.yaml\nnode_nm: 28\n")
    for name in "abc":
        with pytest.raises(ArchError, match=rf"energy: {name}.yaml scales itself\nName a table"):
            energy_table(tmp_path / f"{name}.yaml")
    (tmp_path / "d.yaml").write_text("table: horowitz-45nm\nnode_nm: 22.5\n")
    (tmp_path / "e.yaml").write_text("table: d.yaml\nnode_nm: 45\n")
    back = energy_table(tmp_path / "e.yaml")
    assert back.action("multiply").pj == pytest.approx(1.1)


# ---- costs and area ----------------------------------------------------------------------


def test_gated_multiplications_and_steps_of_units_may_cost() -> None:
    plain: dict[str, Any] = {
        "name": "own",
        "actions": {
            "mac": {"cost": 4, "source": "chosen"},
            "idle": {"cost": 0.5, "source": "chosen"},
            "step": {"cost": 3, "source": "chosen"},
        },
        "components": {"multiply": "mac", "add": "mac"},
    }
    more = {**plain, "components": {**plain["components"], "gated": "idle", "intersect": "step"}}
    described = {
        "array": {"pe": 2},
        "levels": LEVELS,
        "sparse": ["gate B on A"],
        "units": {"intersect": {"how": "two-finger"}},
    }
    rng = np.random.default_rng(0)
    given = {name: (rng.random((6, 6)) < 0.5) * 1.0 for name in "AB"}
    line = "Z[m,n] = A[m,k]*B[k,n]"
    without = zs.charge(line, arch({**described, "energy": plain}), **given)
    charge = zs.charge(line, arch({**described, "energy": more}), **given)
    assert charge.energy["gated"] == 0.5 * charge.ops["gated"] > 0
    assert charge.energy["intersect"] == 3 * charge.units["intersect"].steps > 0
    extra = charge.energy["gated"] + charge.energy["intersect"]
    assert charge.energy_pj == without.energy_pj + extra
    assert "gated" not in without.energy
    idle = "energy of looking at a value to gate by it, and of an idle cycle"
    assert idle in without.missing
    assert idle not in charge.missing
    assert charge.table()
    expected = zs.charge(
        line,
        arch({**described, "units": {}, "energy": more}),
        A=zs.Density((6, 6), 0.5),
        B=zs.Density((6, 6), 0.5),
    )
    assert expected.energy["gated"] == pytest.approx(0.5 * expected.ops["gated"])
    figure = expected.formula("energy_pj").subs({"d_A": 0.5, "d_B": 0.5})
    assert float(figure) == pytest.approx(expected.energy_pj)


# ---- area and writes --------------------------------------------------------------------


def test_area_of_an_architecture() -> None:
    assert arch("eie").area_mm2 == pytest.approx(40.8, rel=0.01)
    assert arch("scnn").area_mm2 is None
    described = {"array": {"pe": 4}, "multipliers": 2, "levels": LEVELS, "energy": "horowitz-45nm"}
    section = {"multiply": {"mm2": 0.5}, "GLB": {"mm2": 2, "source": "a guess"}}
    design = arch({**described, "area": section})
    assert design.area_mm2 == 0.5 * 4 * 2 + 2
    assert "area of GLB: 2 mm² each, 1 of them [a guess]" in str(design)
    with pytest.raises(ArchError, match=r"^area\.DRAM in the dict given: no such key"):
        arch({**described, "area": {"DRAM": {"mm2": 1}}})


def test_writes_have_a_cost_of_their_own() -> None:
    levels = {**LEVELS, "GLB": {"energy": 2, "write_energy": 5}}
    design = arch({"array": {"pe": 2}, "levels": levels, "energy": "horowitz-45nm"})
    charge = zs.charge(TEXT, design, A=np.ones((4, 3)), x=np.ones(3))
    moved = charge.level("GLB")
    assert charge.energy["GLB"] == 2 * moved.read_bits + 5 * moved.write_bits


def test_values_of_a_compressed_result_may_cost() -> None:
    """Every value is looked at, zeros too; of a result that is stored as it is none."""
    table: dict[str, Any] = {
        "name": "own",
        "actions": {
            "mac": {"cost": 4, "source": "chosen"},
            "look": {"cost": 0.25, "source": "chosen"},
        },
        "components": {"multiply": "mac", "add": "mac"},
    }
    priced = {**table, "components": {**table["components"], "compress": "look"}}
    line, extents = "Z[m,n] = A[m,k]*B[k,n]", {"A": (6, 4), "B": (4, 5)}
    given = {name: np.eye(*shape) for name, shape in extents.items()}

    def charged(energy: Any, text: str, operands: Any) -> Any:
        formats = {"O": {"DRAM": text, "GLB": "U"}}
        described = {"array": {"pe": 2}, "levels": LEVELS, "energy": energy, "formats": formats}
        return zs.charge(line, arch(described), **operands)

    plain, without, found = (
        charged(*options, given) for options in ((priced, "U"), (table, "B"), (priced, "B"))
    )
    assert found.energy["compress"] == 0.25 * 30
    assert found.energy_pj == without.energy_pj + 0.25 * 30
    assert "compress" not in plain.energy
    assert "compress" not in without.energy
    assert "time and energy of compressing results" in without.missing
    assert "time of compressing results" in found.missing
    assert not any("compressing" in text for text in plain.missing)
    drawn = charged(priced, "B", {name: zs.Density(s, 0.5) for name, s in extents.items()})
    assert drawn.energy["compress"] == 0.25 * 30
    at = dict.fromkeys(("d_A", "d_B"), 0.5)
    assert float(drawn.formula("energy_pj").subs(at)) == pytest.approx(drawn.energy_pj)
    symbolic = drawn.formula("energy_pj", extents=True)
    values = {**drawn.extent_values("energy_pj"), **at}
    by_symbol = {symbol: values[symbol.name] for symbol in symbolic.free_symbols}
    assert float(symbolic.subs(by_symbol)) == pytest.approx(drawn.energy_pj)

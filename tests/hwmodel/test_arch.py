"""Architectures: presets, and what is printed of them."""

from __future__ import annotations

from typing import Any

import pytest
from small_arch import SMALL, described, failing

from zeroskip.hwmodel.arch import COMPARED, Arch, arch, presets

# ---- presets ----------------------------------------------------------------------------


def test_the_presets_are_one_array_with_different_features() -> None:
    dense, eyeriss, scnn = map(arch, COMPARED)
    assert set(COMPARED) <= set(presets())
    for other in (eyeriss, scnn):
        assert other.levels == dense.levels
        assert other.array == dense.array
        assert other.energy.name == dense.energy.name
        assert (other.value_bits, other.clock_hz) == (dense.value_bits, dense.clock_hz)
    assert dense.pes == 16
    assert dense.features == ()
    assert [str(f) for f in eyeriss.features] == ["gate F,O on I @MAC"]
    assert [str(f) for f in scnn.features] == ["skip I,F @MAC"]


def test_without_sparsity_scnn_is_the_dense_preset() -> None:
    plain, dense = arch("scnn").without_sparsity(), arch("dense")
    assert plain.features == dense.features == ()
    assert plain.formats == dense.formats == {}
    assert plain.levels == dense.levels


def test_the_array_can_be_sized() -> None:
    assert arch("eyeriss", size=(12, 14)).pes == 168
    for size in ((12,), (12, 0), (12, 2.5), (True, 2)):
        assert failing("eyeriss", size=size) == (
            f"size={size}: expected 2 sizes of 1 or more (rows, cols)"
        )
    assert failing("eyeriss", size=4) == "size=(4,): expected 2 sizes of 1 or more (rows, cols)"


def test_every_number_of_every_preset_has_a_source() -> None:
    for name in presets():
        design = arch(name)
        assert design.source
        for level in design.levels:
            assert level.source
            assert level.data is not None
            assert level.data.source


def test_relative_energies_are_anchored_at_a_mac_of_1500_fj() -> None:
    design = arch("eyeriss")
    units = [design.energy.action(unit) for unit in ("multiply", "add", "network")]
    assert [u.pj for u in units if u] == pytest.approx([1.1, 0.4, 3.0])
    word = [16 * level.pj_per_bit for level in design.levels]
    assert word == pytest.approx([300.0, 9.0, 1.5])


def test_horowitz_takes_the_smallest_memory_that_is_large_enough() -> None:
    design = arch("eyeriss", energy="horowitz-45nm")
    names = [level.data.name for level in design.levels if level.data]
    assert names == ["DRAM", "sram 1 MB", "sram 32 kB"]
    assert [64 * level.pj_per_bit for level in design.levels] == pytest.approx([1280, 100, 20])
    assert design.energy.action("network") is None


# ---- what is printed --------------------------------------------------------------------


def test_memories_are_sorted_by_size_whatever_their_order() -> None:
    def bits(cost: float, size: int) -> dict[str, Any]:
        return {"cost": cost, "bits": 1, "capacity_bits": size, "source": "measured"}

    table = {
        "name": "mine",
        "actions": {
            "op": {"cost": 1, "source": "measured"},
            "large": bits(3, 4096),
            "small": bits(1, 512),
            "medium": bits(2, 1024),
        },
        "components": {"multiply": "op", "add": "op", "buffer": ["large", "small", "medium"]},
    }
    found = []
    for size in (512, 513, 1025, 5000, "unlimited"):
        levels = {**SMALL["levels"], "GLB": {"capacity_bits": size}}
        found.append(arch(described(energy=table, levels=levels)).buffer.pj_per_bit)
    assert found == [1, 2, 3, 3, 3]


def test_what_is_printed_fits_100_columns() -> None:
    for name in presets():
        assert max(map(len, str(arch(name)).splitlines())) <= 100


def test_defaults_are_visible_when_printed() -> None:
    text = str(arch(SMALL))
    assert "small" in text
    assert "2 rows x 3 cols, 1 (default) multiplier(s) each" in text
    assert "values 16 (default) bits, accumulators 32 (default) bits" in text
    assert "sync: reduction (default)" in text
    assert "GLB: 1,024 bits; reads unlimited (default)" in text
    assert "halo: new (default); multicast: true (default)" in text
    assert "no gating, no skipping (default)" in text
    assert "format of I: DRAM U, GLB U, PE U (default)" in text


def test_sources_are_printed() -> None:
    text = str(arch("scnn"))
    assert "Eyeriss, ISCA 2016: DRAM 200x a MAC" in text
    assert "in units of 1.5 pJ [Horowitz, ISSCC 2014, 45 nm: fp16 multiply 1.1 pJ" in text
    numbers = [line for line in text.splitlines() if not line.strip().startswith(("halo", "multi"))]
    assert "(default)" not in "\n".join(numbers).split("format of bias")[0]


def test_a_format_is_inherited_inward_and_a_name_goes_before_a_role() -> None:
    design = arch(described(formats={"I": {"DRAM": "C"}, "X": {"GLB": "B"}}))
    assert [design.format("A", "I", level) for level in ("DRAM", "GLB", "PE")] == ["C", "C", "C"]
    assert [design.format("X", "I", level) for level in ("DRAM", "GLB", "PE")] == ["U", "B", "B"]
    assert design.format("Z", "O", "GLB") == "U"


def test_a_level_can_state_its_own_energy() -> None:
    levels = {**SMALL["levels"], "GLB": {"energy": 0.25, "metadata_energy": "RF"}}
    design = arch(described(levels=levels))
    assert design.level("GLB").pj_per_bit == 0.25
    assert design.level("GLB").metadata_pj_per_bit == pytest.approx(1.5 / 16)
    assert design.level("PE").metadata_pj_per_bit == design.level("PE").pj_per_bit


def test_an_arch_passes_through() -> None:
    design = arch(SMALL)
    assert isinstance(design, Arch)
    assert arch(design) is design

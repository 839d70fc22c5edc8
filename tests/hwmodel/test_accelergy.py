"""Tables of Accelergy as energy and area of an architecture, and what they may get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import ArchError
from zeroskip.hwmodel import arch

TEXT = "y[m] = A[m,k]*x[k]"

ERT = """\
ERT:
  version: 0.4
  tables:
  - name: chip.DRAM
    actions:
    - name: read
      arguments: null
      energy: 512.0
    - name: write
      arguments: null
      energy: 640.0
  - name: chip.glb[0..3]
    actions:
    - name: read
      arguments: {data_delta: 0, address_delta: 0}
      energy: 1.5
    - name: read
      arguments: {data_delta: 1, address_delta: 1}
      energy: 24.0
  - name: chip.PE[0..15].mac
    actions:
    - name: mac_random
      arguments: null
      energy: 2.25
"""
OLD = """\
ERT:
  tables:
    chip.DRAM:
      read: {arguments: null, energy: 512.0}
      write: {arguments: null, energy: 640.0}
    chip.glb:
      read:
      - arguments: {data_delta: 0, address_delta: 0}
        energy: 1.5
      - arguments: {data_delta: 1, address_delta: 1}
        energy: 24.0
    chip.PE.mac:
      mac_random: {arguments: null, energy: 2.25}
  version: 0.2
"""
ART = """\
ART:
  version: 0.4
  tables:
  - name: chip.glb[0..3]
    area: 500000
  - name: chip.PE[0..15].mac
    area: 1000
"""
MINE = """\
name: mine
array: {pe: 4}
levels:
  DRAM: {}
  GLB: {}
  PE: {energy: 0.1}
energy:
  ert: ERT.yaml
  art: ART.yaml
  components:
    multiply: {component: PE.mac, action: mac_random}
    off_chip: {component: DRAM, action: read, write: write, bits: 64}
    buffer: {component: chip.glb, action: read, arguments: {data_delta: 1}, bits: 64}
"""


def written(folder: Path, ert: str = ERT, mine: str = MINE, art: str = ART) -> Path:
    (folder / "ERT.yaml").write_text(ert)
    (folder / "ART.yaml").write_text(art)
    (folder / "mine.yaml").write_text(mine)
    return folder / "mine.yaml"


@pytest.mark.parametrize("ert", [ERT, OLD], ids=["list", "mapping"])
def test_a_charge_by_accelergys_tables(tmp_path: Path, ert: str) -> None:
    design = arch(written(tmp_path, ert))
    charge = zs.charge(TEXT, design, A=np.ones((4, 3)), x=np.ones(3))
    off_chip, buffer = charge.level("DRAM"), charge.level("GLB")
    assert charge.energy["multiply"] == 12 * 2.25
    assert charge.energy["add"] == 0
    expected = off_chip.read_bits * 512 / 64 + off_chip.write_bits * 640 / 64
    assert charge.energy["DRAM"] == expected
    assert charge.energy["GLB"] == buffer.bits * 24 / 64
    moved = charge.moves()
    assert sum(r["energy"] for r in moved if r["level"] == "DRAM") == expected
    assert "chip.DRAM read [ERT.yaml, line" in " ".join(str(design).split())


def test_area_from_accelergys_tables(tmp_path: Path) -> None:
    design = arch(written(tmp_path))
    assert design.area_mm2 == pytest.approx(0.5 + 4 * 0.001)
    charge = zs.charge(TEXT, design, A=np.ones((4, 3)), x=np.ones(3))
    assert "area of PE" in charge.missing
    assert "control, clock, leakage" in charge.missing
    assert charge.table()[len(charge.table()) - 1]["figure"] == "area, as far as known"


APART = "  - name: chip.PE[16..31].mac\n    actions:\n    - {name: mac_random, energy: %s}\n"


def test_parts_of_a_component_that_stand_apart(tmp_path: Path) -> None:
    """PE[0..15] and PE[16..31] are one component, of one energy and one area."""
    more = "  - name: chip.PE[16..31].mac\n    area: %s\n"
    design = arch(written(tmp_path, ERT + APART % 2.25, art=ART + more % 1000))
    assert design.energy.action("multiply").pj == 2.25
    with pytest.raises(ArchError) as caught:
        arch(written(tmp_path, ERT + APART % 3))
    assert str(caught.value) == (
        "energy.components.multiply.action in mine.yaml, line 11: expected arguments that pick one "
        "energy of mac_random of chip.PE.mac, found 'mac_random'\n"
        "The table has several entries of it, of different energies."
    )
    with pytest.raises(ArchError, match=r"ART.tables\[2\].area in ART.yaml, line 9: expected one"):
        arch(written(tmp_path, art=ART + more % 2000))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "component: PE.mac",
            "component: alu",
            "energy.components.multiply.component in mine.yaml, line 11: expected a component of "
            "the ERT: chip.DRAM, chip.glb, chip.PE.mac, found 'alu'",
        ),
        (
            "action: mac_random",
            "action: mac",
            "energy.components.multiply.action in mine.yaml, line 11: expected an action of "
            "chip.PE.mac: mac_random, found 'mac'",
        ),
        (
            "write: write, bits: 64",
            "write: write",
            "energy.components.off_chip.bits in mine.yaml, line 12: expected bits of one access",
        ),
        (
            "arguments: {data_delta: 1}, ",
            "",
            "energy.components.buffer.action in mine.yaml, line 13: expected arguments that pick "
            "one energy of read of chip.glb, found 'read'\nAdd arguments: {...} of one of these: "
            "data_delta: 0, address_delta: 0; data_delta: 1, address_delta: 1.",
        ),
        ("    multiply: {", "    mult: {", "energy.components.mult in mine.yaml, line 11: no such"),
    ],
)
def test_what_a_section_gets_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in MINE
    with pytest.raises(ArchError) as caught:
        arch(written(tmp_path, mine=MINE.replace(old, new)))
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "energy: 2.25",
            "energy: much",
            "ERT.tables[2].actions[0].energy in ERT.yaml, line 24: expected picojoules, found 'mu",
        ),
        (
            "  - name: chip.DRAM",
            "  - title: chip.DRAM",
            "ERT.tables[0].name in ERT.yaml, line 4: expected the name of a component",
        ),
        ("  tables:", "  table:", "ERT.tables in ERT.yaml, line 2: expected a list of tables"),
        ("ERT:", "ART:", "ERT in ERT.yaml, line 1: expected the tables of an ERT.yaml"),
    ],
)
def test_what_a_file_gets_wrong(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ERT
    with pytest.raises(ArchError) as caught:
        arch(written(tmp_path, ERT.replace(old, new)))
    assert str(caught.value).startswith(message)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = written(tmp_path)
    (tmp_path / "ERT.yaml").unlink()
    with pytest.raises(ArchError, match=r"^cannot read .*ERT\.yaml: "):
        arch(path)

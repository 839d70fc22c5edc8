"""Bandwidth by hand: reads beside writes, metadata with the data or on ports of their own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from layers import one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.hwmodel import Charge, arch, charge

A = np.array([1.0, 0, 0, 1.0, 0, 0, 0, 1.0])
B = np.ones(8)


def charged(**ports: Any) -> Charge:
    levels: dict[str, Any] = {"DRAM": {"read_bits_per_cycle": 8, **ports}, "GLB": {}, "PE": {}}
    described = one_pe("skip B on A", levels=levels)
    described["formats"] = {"A": {"DRAM": "B", "GLB": "B"}}
    return charge(make_spec("Z = A[k]*B[k]"), arch(described), {"A": A, "B": B})


def test_metadata_go_with_the_data_unless_they_have_ports() -> None:
    """3 + 8 values of 16 bits, and 8 bits of mask."""
    together = charged()
    assert together.level("DRAM").read_metadata_bits == 8
    assert together.bandwidth_cycles["DRAM"] == (11 * 16 + 8) // 8
    apart = charged(metadata_read_bits_per_cycle=4)
    assert apart.bandwidth_cycles["DRAM"] == 11 * 16 // 8


@pytest.mark.parametrize(("rate", "cycles"), [(0.25, 32), (0.3, 27), (100, 22)])
def test_the_slower_port_decides(rate: float, cycles: int) -> None:
    assert charged(metadata_read_bits_per_cycle=rate).bandwidth_cycles["DRAM"] == cycles


def test_a_port_for_metadata_alone_is_a_limit() -> None:
    found = charged(read_bits_per_cycle="unlimited", metadata_read_bits_per_cycle=2)
    assert found.bandwidth_cycles == {"DRAM": 4}


def test_nothing_that_is_written_has_metadata_here() -> None:
    written = {"write_bits_per_cycle": 2, "metadata_write_bits_per_cycle": 1}
    found = charged(read_bits_per_cycle="unlimited", **written)
    assert found.level("DRAM").write_metadata_bits == 0
    assert found.bandwidth_cycles == {"DRAM": 16 // 2}


def test_ports_are_printed_and_checked() -> None:
    levels = {"DRAM": {"metadata_read_bits_per_cycle": 4}, "PE": {}}
    text = str(arch(one_pe(levels=levels)))
    assert "metadata on ports of its own: reads 4 bits/cycle" in text
    levels = {"DRAM": {"metadata_write_bits_per_cycle": "fast"}, "PE": {}}
    with pytest.raises(ArchError, match="expected a number of bits, of a port for metadata alone"):
        arch(one_pe(levels=levels))

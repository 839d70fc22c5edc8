"""Time by epochs, against a simulation that walks them, and by hand."""

from __future__ import annotations

import re
from functools import partial
from math import prod
from typing import Any

import numpy as np
import pytest
from cases import NETS, cases, designs, mappings, tile_features
from epoch_judge import Machine, cycles
from hypothesis import given, settings
from hypothesis import strategies as st
from layers import one_pe
from test_simulated import (
    bits_of,
    dense_of,
    design_arch,
    drawn_formats,
    run,
    without_compiling,
)

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge
from zeroskip.hwmodel.charging import known_operands
from zeroskip.hwmodel.evaluate import Operand
from zeroskip.hwmodel.traffic import whole_moves

__all__ = ["without_compiling"]

RATES = st.sampled_from([None, 0.5, 3, 16, 100])


def machine_of(charged: Charge, formats: dict[str, dict[str, str]], operands: Any) -> Machine:
    design = charged.arch
    known = {n: Operand(x.shape, x) for n, x in known_operands(operands).items()}
    moved = partial(whole_moves, charged.layer, design, charged.schedule, known)

    def whole(*way: str) -> tuple[tuple[int, int], tuple[int, int]]:
        read, written = moved(way)
        return (read.read_data_bits, read.read_metadata_bits), (
            written.write_data_bits,
            written.write_metadata_bits,
        )

    size = prod(charged.shapes["O"])
    return Machine(
        design.overlap == "double",
        {
            level.name: (
                level.read_bits_per_cycle,
                level.write_bits_per_cycle,
                level.metadata_read_bits_per_cycle,
                level.metadata_write_bits_per_cycle,
            )
            for level in design.levels
        },
        {level.name: design.number(level) for level in design.levels},
        partial(bits_of, formats),
        whole,
        (size * 16, 0),
        size,
        design.local.name,
    )


@pytest.mark.parametrize("name", list(NETS))
@settings(max_examples=8)
@given(data=st.data())
def test_any_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    design = data.draw(designs(list(case.arrays)))
    mapped = data.draw(mappings(case))
    tiles = data.draw(st.just([]) | tile_features(case, mapped.stays, design))
    formats = drawn_formats(data, case, design, mapped.stays)
    described = design_arch(design, tiles, formats, mapped.levels, mapped.array)
    described["overlap"] = data.draw(st.sampled_from(["none", "double"]))
    described["levels"] = {
        level: entry
        | {
            f"{way}_bits_per_cycle": rate
            for way in ("read", "write", "metadata_read", "metadata_write")
            if (rate := data.draw(RATES)) is not None
        }
        for level, entry in described["levels"].items()
    }
    try:
        charged = run(case, described, mapped.mapping)
    except ArchError as refused:
        if not re.search("piece by piece|only where another", str(refused)):
            raise
        return
    nest = case.nest(
        mapped.loops,
        mapped.sync,
        mapped.stays,
        mapped.instances,
        dense_of(formats),
        mapped.levels,
    )
    machine = machine_of(charged, formats, case.arrays)
    assert charged.epochs is not None
    assert charged.epochs.cycles.tolist() == cycles(nest, design, machine)
    assert charged.cycles - charged.conversion_cycles == charged.epochs.total
    assert charged.epochs.total == sum(charged.epochs.limits.values())


def two_steps(**more: Any) -> dict[str, Any]:
    """One PE; a value is 8 bits, as is what DRAM reads, or writes, in a cycle."""
    rate = {"read_bits_per_cycle": 8, "write_bits_per_cycle": 8}
    levels: dict[str, Any] = {"DRAM": rate, "GLB": {}, "PE": {}}
    return one_pe(levels=levels) | {"value_bits": 8, "accumulator_bits": 8} | more


def charged(overlap: str | None, *, k: int = 2) -> Charge:
    described = two_steps() if overlap is None else two_steps(overlap=overlap)
    operands = {"F": np.ones((4, k)), "x": np.ones(k)}
    return charge(make_spec("y[m] = F[m,k]*x[k]"), arch(described), operands)


def test_loads_and_work_by_hand() -> None:
    """A step loads 4 + 1 values and has 4 products; 4 results leave at the end."""
    assert charged(None).cycles == 10
    alone = charged("none").epochs
    assert alone is not None
    assert alone.cycles.tolist() == [5 + 4, 5 + 4 + 4]
    assert alone.limits == {"DRAM": 5 + 5 + 4, "compute": 8}
    beside = charged("double").epochs
    assert beside is not None
    assert beside.cycles.tolist() == [5, max(5, 4), 4, 4]
    assert beside.figures == {
        "epochs": 2,
        "cycles, first load": 5,
        "cycles, last drain": 4,
        "cycles, bound by compute": 4,
        "cycles, bound by DRAM": 14,
    }


def test_a_table_says_what_bounds() -> None:
    found = charged("double", k=3)
    rows = {row["figure"]: row for row in found.table()}
    name = found.arch.name
    assert rows["cycles"][name] == found.cycles == 5 + 5 + 5 + 4 + 4
    assert rows["cycles, bound by DRAM"][name] == 5 + 5 + 5 + 4
    assert found.bound_by == "DRAM"
    assert "\nloadsF[k] += heldF[k" in found.accounting


def test_two_tiles_of_what_comes_ahead_need_room() -> None:
    once, twice = (
        {c.level: c.needed_bits for c in charged(x).capacity} for x in ("none", "double")
    )
    assert once == {"GLB": 5 * 8, "PE": (5 + 4) * 8}
    assert twice == {"GLB": 2 * 5 * 8, "PE": (2 * 5 + 4) * 8}


def test_full_densities_take_what_full_operands_take() -> None:
    operands = {"F": Density((4, 2), 1.0), "x": Density((2,), 1.0)}
    for overlap in ("none", "double"):
        described = arch(two_steps(overlap=overlap))
        found = charge(make_spec("y[m] = F[m,k]*x[k]"), described, operands).epochs
        real = charged(overlap).epochs
        assert found is not None
        assert real is not None
        assert found.cycles.tolist() == pytest.approx(real.cycles.tolist())


def test_parts_that_stay_over_a_loop_need_room_together() -> None:
    """All of x is used again at every m: no part of it leaves before."""
    mapping = Mapping("m @GLB(x) k", space={}, sync="k")
    operands = {"F": np.ones((3, 4)), "x": np.ones(4)}
    found = charge(make_spec("y[m] = F[m,k]*x[k]"), arch(two_steps()), operands, mapping)
    (room,) = (c for c in found.capacity if c.level == "GLB")
    assert room.needed_bits == (1 + 4) * 8


def test_results_of_two_products_piece_by_piece_are_refused() -> None:
    mapping = Mapping("m @PE(y) k l", space={}, sync="m")
    operands = {"A": np.ones((2, 2)), "x": np.ones(2), "B": np.ones((2, 3)), "z": np.ones(3)}
    spec = make_spec("y[m] = A[m,k]*x[k] + B[m,l]*z[l]")
    described = arch(two_steps(overlap="none"))
    with pytest.raises(ArchError, match=r"y leaves PE piece by piece.*\n.*or leave out overlap"):
        charge(spec, described, operands, mapping)


def test_descriptions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArchError, match=r"overlap.*expected none or double, found 'triple'"):
        arch(two_steps(overlap="triple"))
    with pytest.raises(ArchError, match="expected no overlap beside queue"):
        arch(two_steps(overlap="double", queue=4))
    assert "overlap: double" in str(arch(two_steps(overlap="double")))

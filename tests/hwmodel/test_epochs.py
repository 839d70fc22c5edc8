"""Time by epochs, against a simulation that walks them, and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from cases import GATHERED, NETS, SCATTERED, cases
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from judged import drawn, with_lanes, with_time
from layers import one_pe
from mapped_cases import mappings

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, Mapping, arch, charge

pytestmark = pytest.mark.usefixtures("without_compiling")


@pytest.mark.parametrize("name", [*NETS, *GATHERED, *SCATTERED])
@settings(max_examples=8)
@given(data=st.data())
def test_any_mapping(name: str, data: st.DataObject) -> None:
    case = data.draw(cases((name,)))
    tiles, together, homes, streams = (data.draw(st.booleans()) for _ in range(4))
    more = {"together_too": together, "homes_too": homes, "streams_too": streams}
    mapped = data.draw(mappings(case, **more))
    made = with_time(data, drawn(data, case, mapped, tiles=tiles))
    try:
        charged = made.charge()
    except ArchError as refused:
        if "nothing transposes it on chip" not in str(refused):
            raise
        assume(False)
    made.check(charged)


@pytest.mark.parametrize("name", ["matrix product", "pointwise", "elementwise", "matrix vector"])
@settings(max_examples=12, suppress_health_check=[HealthCheck.filter_too_much])
@given(data=st.data())
def test_vectors_in_any_mapping_that_has_some(name: str, data: st.DataObject) -> None:
    """Vectors of one epoch, whatever its loads and drains."""
    case = data.draw(cases((name,)))
    mapped = data.draw(mappings(case))
    steps = [loop.rank for loop in mapped.loops[: mapped.sync] if not loop.pes]
    assume(len(set(steps)) == len(steps))  # else the charge is refused below
    made = with_time(data, with_lanes(data, case, mapped))
    try:
        charged = made.charge()
    except ArchError as refused:
        assume("lanes:" not in str(refused))
        raise
    made.check_epochs(charged)
    assert charged.cartesian is not None
    assert charged.compute_cycles == charged.cartesian.slowest.sum()


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
        "cycles, batch to batch": 5 + 5,
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


def test_results_of_two_products_piece_by_piece_by_hand() -> None:
    """A sum of either product waits in GLB, comes back for the other, and leaves."""
    mapping = Mapping("m @PE(y) k l", space={}, sync="m")
    operands = {"A": np.ones((2, 2)), "x": np.ones(2), "B": np.ones((2, 3)), "z": np.ones(3)}
    spec = make_spec("y[m] = A[m,k]*x[k] + B[m,l]*z[l]")
    found = charge(spec, arch(two_steps(overlap="none")), operands, mapping).epochs
    assert found is not None
    # A row and all of the vector, or the row; its products; at the end all sums go off chip.
    assert found.cycles.tolist() == [2 + 2 + 2, 2 + 2, 3 + 3 + 3, 3 + 3 + 2]


def test_tiles_that_a_leader_calls_for_by_hand() -> None:
    """Of F nothing comes, and nothing is done, where x has nothing."""
    led = {"sparse": ["skip F on x @GLB"], "formats": {"x": {"GLB": "B"}}}
    mapping = Mapping("k @GLB(F,x) @PE(F,x) m", space={}, sync="k")
    operands = {"F": np.ones((4, 3)), "x": np.array([1, 0, 1])}
    found = {}
    for overlap in ("none", "double"):
        described = arch(two_steps(overlap=overlap, **led))
        epochs = charge(make_spec("y[m] = F[m,k]*x[k]"), described, operands, mapping).epochs
        assert epochs is not None
        found[overlap] = epochs.cycles.tolist()
    assert found["none"] == [5 + 4, 1, 5 + 4 + 4]
    assert found["double"] == [5, 4, 5, 4, 4]


@pytest.mark.parametrize("density", [1.0, 0.0])
def test_led_tiles_of_densities_that_leave_no_choice(density: float) -> None:
    led = {"sparse": ["skip F on x @GLB"], "formats": {"x": {"GLB": "B"}}}
    mapping = Mapping("k1 @GLB(F,x) m @PE(F,x) k0", {"k": 2}, {}, sync="m")
    described = arch(two_steps(overlap="double", **led))
    spec = make_spec("y[m] = F[m,k]*x[k]")
    real = {"F": np.ones((4, 5)), "x": np.full(5, density)}
    drawn = {"F": Density((4, 5), 1.0), "x": Density((5,), density)}
    known, guessed = (charge(spec, described, x, mapping).epochs for x in (real, drawn))
    assert known is not None
    assert guessed is not None
    assert guessed.cycles.tolist() == pytest.approx(known.cycles.tolist())


def test_led_tiles_of_densities_come_as_often_as_drawn_ones() -> None:
    """One PE, and a bit in a cycle: phases follow each other, so that means of cycles are exact."""
    rate = {"read_bits_per_cycle": 1}
    led = two_steps(
        overlap="none",
        sparse=["skip F on x @GLB", "skip x on F @PE"],
        formats={"x": {"GLB": "B"}, "F": {"DRAM": "C", "GLB": "C", "PE": "C"}},
        levels={"DRAM": rate, "GLB": {}, "PE": {}},
    )
    mapping = Mapping("k1 @GLB(x) m @GLB(F) @PE(F,x) k0", {"k": 3}, {}, sync="m")
    spec, described = make_spec("y[m] = F[m,k]*x[k]"), arch(led)
    drawn = {"F": Density((3, 6), 0.4), "x": Density((6,), 0.3)}
    expected = charge(spec, described, drawn, mapping)
    rng = np.random.default_rng(3)
    found = []
    for _ in range(200):
        real = {name: density.sample(rng) for name, density in drawn.items()}
        epochs = charge(spec, described, real, mapping).epochs
        assert epochs is not None
        found.append(epochs.cycles)
    assert expected.epochs is not None
    error = np.std(found, axis=0) / len(found) ** 0.5
    assert (abs(np.mean(found, axis=0) - expected.epochs.cycles) <= 4 * error + 1e-9).all()


def test_descriptions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ArchError, match=r"overlap.*expected none or double, found 'triple'"):
        arch(two_steps(overlap="triple"))
    with pytest.raises(ArchError, match="expected no overlap beside a queue: an epoch is"):
        arch(two_steps(overlap="double", queue=4))
    assert "overlap: double" in str(arch(two_steps(overlap="double")))

"""Metrics of charges: factors multiply to what was charged; a network is the sum of its layers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from layers import conv_case, conv_spec, one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError
from zeroskip.formats.density import Density
from zeroskip.hwmodel import Charge, arch, charge, charge_cascade
from zeroskip.hwmodel.accuracy import Accuracy
from zeroskip.hwmodel.measured import metrics_of, storage_bits_of
from zeroskip.hwmodel.metrics import EXPECTED, Metrics

ACCURATE = Accuracy(98.3, "Top-1 %", "image classification", "handwritten digits")
DESIGNS = ["dense", "eyeriss", "scnn", "scnn-lanes"]


def conv(design: Any, density: float = 0.4) -> Charge:
    return charge(conv_spec(), design, conv_case(density=density))


def product(made: Metrics) -> float:
    """Equations 1 to 4, factor by factor."""
    assert made.work is not None
    assert made.active_share is not None
    assert made.utilisation_of_active is not None
    assert made.pes is not None
    assert made.clock_hz is not None
    shares = made.work.effectual / made.work.timed / (made.work.effectual / made.macs)
    busy = made.pe_macs_per_cycle * shares * made.clock_hz * made.pes
    return busy * made.active_share * made.utilisation_of_active / made.macs


@pytest.mark.parametrize("name", DESIGNS)
def test_factors_multiply_to_the_throughput(name: str) -> None:
    charged = conv(name)
    made = charged.metrics(batch=2)
    assert made.inferences_per_s == pytest.approx(2 * charged.arch.clock_hz / charged.cycles)
    assert product(made) == pytest.approx(made.inferences_per_s)
    assert made.work is not None
    assert made.work.timed * 2 == charged.busy
    assert made.work.executed * 2 == charged.worked
    assert made.macs * 2 == charged.ops["dense"]
    assert made.utilisation is not None
    assert 0 < made.utilisation <= 1
    assert made.active_share is not None
    assert made.utilisation <= made.active_share <= 1


@pytest.mark.parametrize("overlap", ["none", "double"])
def test_batches_overlap_as_the_design_says(overlap: str) -> None:
    """By hand, as in test_pipeline: a batch takes 22 or 18 cycles, and 22 or 10 to the next."""
    rate = {"read_bits_per_cycle": 8, "write_bits_per_cycle": 8}
    levels: dict[str, Any] = {"DRAM": rate, "GLB": {}, "PE": {}}
    more = {"value_bits": 8, "accumulator_bits": 8, "overlap": overlap, "clock_hz": 1e6}
    operands = {"F": np.ones((4, 2)), "x": np.ones(2)}
    spec = make_spec("y[m] = F[m,k]*x[k]")
    charged = charge(spec, arch(one_pe(levels=levels) | more), operands)
    made, latency, interval = charged.metrics(batch=1), 18, 10
    if overlap == "none":
        latency = interval = 22
    assert made.latency_s == pytest.approx(latency / 1e6)
    assert made.inferences_per_s == pytest.approx(1e6 / interval)
    assert made.in_flight == pytest.approx(latency / interval)
    assert made.watts == pytest.approx(charged.energy_pj * 1e-12 * 1e6 / interval)
    assert made.utilisation == pytest.approx(charged.busy / interval)
    assert product(made) == pytest.approx(made.inferences_per_s)
    both = metrics_of([charged, charged], batch=1)
    assert both.inferences_per_s == pytest.approx(1e6 / (2 * latency))


@pytest.mark.parametrize("name", DESIGNS)
def test_energy_and_bits_are_those_of_the_charge(name: str) -> None:
    charged = conv(name)
    made = charged.metrics(batch=2)
    assert made.joules_per_inference == pytest.approx(charged.energy_pj * 1e-12 / 2)
    on_macs = charged.energy["multiply"] + charged.energy["add"]
    assert made.mac_joules == pytest.approx(on_macs * 1e-12 / 2)
    assert made.data_joules == pytest.approx((charged.energy_pj - on_macs) * 1e-12 / 2)
    assert made.off_chip_bits == charged.level("DRAM").bits / 2
    assert made.latency_s == charged.cycles / charged.arch.clock_hz
    assert made.in_flight == pytest.approx(2)
    assert made.omitted == charged.missing


def test_energy_of_gated_operations_moves_no_data() -> None:
    """Equation 7 has two parts: what is not moved is computed, or kept from being so."""
    actions = {
        name: {"cost": cost, "source": "chosen"}
        for name, cost in {"multiply": 4, "add": 1, "gated": 2}.items()
    }
    table = {"name": "round", "actions": actions, "components": {n: n for n in actions}}
    levels = {name: {"energy": 1} for name in ("DRAM", "GLB", "PE")}
    machine = one_pe("gate A on A,B", clock_hz=1000, energy=table, levels=levels)
    operands = {"A": np.array([[1, 0, 2], [0, 3, 0]]), "B": np.array([4, 0, 5])}
    charged = charge(make_spec("y[i] = A[i,j]*B[j]"), machine, operands)
    assert (charged.ops["effectual"], charged.ops["gated"]) == (2, 4)
    made = charged.metrics(batch=1)
    assert made.mac_joules == pytest.approx((2 * (4 + 1) + 4 * 2) * 1e-12)
    moved = sum(charged.energy[name] for name in ("DRAM", "GLB", "PE"))
    assert made.data_joules == pytest.approx(moved * 1e-12)


def test_gated_operations_take_time_and_no_energy() -> None:
    gating = conv("eyeriss").metrics(batch=2)
    assert gating.work is not None
    assert gating.work.effectual < gating.work.executed < gating.work.timed == gating.macs
    assert gating.macs_per_pe_cycle == 1
    skipping = conv("scnn").metrics(batch=2)
    assert skipping.work is not None
    assert skipping.work.effectual == skipping.work.executed == skipping.work.timed
    assert skipping.effectual_of_timed == 1
    assert skipping.effectual_of_all == gating.effectual_of_all


def test_by_hand() -> None:
    """A 2x3 matrix of which 2 are effectual, on one PE at 1 kHz."""
    machine = one_pe("skip A,B", clock_hz=1000)
    operands = {"A": np.array([[1, 0, 2], [0, 3, 0]]), "B": np.array([4, 0, 5])}
    made = charge(make_spec("y[i] = A[i,j]*B[j]"), machine, operands).metrics(batch=1)
    assert (made.macs, made.latency_s, made.inferences_per_s) == (6, 0.002, 500)
    assert (made.active_share, made.utilisation, made.effectual_of_all) == (1, 1, 2 / 6)
    assert made.macs_per_pe_cycle == pytest.approx(3)


@pytest.mark.parametrize(("rows", "active"), [(1, 1), (3, 3), (16, 16), (17, 16)])
def test_active_pes_are_those_with_rows(rows: int, active: int) -> None:
    operands = {"F": np.ones((rows, 4)), "I": np.ones(4)}
    charged = charge(make_spec("y[m] = F[m,k]*I[k]"), "dense", operands)
    assert charged.active_pes == np.count_nonzero(charged.work_per_pe) == active
    assert charged.metrics(batch=1).active_pes == active


def test_products_of_three_operands_are_two_operations() -> None:
    rng = np.random.default_rng(0)
    operands = {"A": rng.random((4, 5)), "B": rng.random((4, 3)), "C": rng.random((5, 3))}
    charged = charge(make_spec("y[i,j] = A[i,j]*B[i,k]*C[j,k]"), "dense", operands)
    made = charged.metrics(batch=1)
    assert made.macs == 2 * 60
    assert product(made) == pytest.approx(made.inferences_per_s)


def test_lines_without_products_count_additions() -> None:
    operands = {"I": np.ones((2, 4, 4))}
    charged = charge(make_spec("O[n,p] = I[n,p,q]"), "dense", operands)
    made = charged.metrics(batch=2)
    assert made.macs == 16
    assert product(made) == pytest.approx(made.inferences_per_s)


def test_a_network_is_the_sum_of_its_layers() -> None:
    wide, narrow = conv("scnn", 0.9), conv("scnn", 0.1)
    made = metrics_of({"wide": wide, "narrow": narrow}, batch=2, network="two")
    assert made == metrics_of([wide, narrow], batch=2, network="two")
    assert made.latency_s == pytest.approx(wide.seconds + narrow.seconds)
    assert made.macs * 2 == wide.ops["dense"] + narrow.ops["dense"]
    assert made.watts == pytest.approx(
        (wide.energy_pj + narrow.energy_pj) * 1e-12 / (wide.seconds + narrow.seconds)
    )
    assert product(made) == pytest.approx(made.inferences_per_s)


def test_a_cascade_is_its_lines() -> None:
    rng = np.random.default_rng(0)
    operands = {"Q": rng.random((6, 4)), "K": rng.random((6, 4)), "V": rng.random((6, 5))}
    spec = make_spec("S[i,j] = relu(Q[i,k]*K[j,k]); Z[i,c] = S[i,j]*V[j,c]")
    whole = charge_cascade(spec, "scnn", operands)
    made, lines = whole.metrics(batch=1), metrics_of(list(whole.lines.values()), batch=1)
    assert made.omitted != lines.omitted  # a cascade names the line of each
    assert replace(made, omitted=()) == replace(lines, omitted=())
    assert made.macs == whole.ops["dense"]
    assert product(made) == pytest.approx(made.inferences_per_s)


def test_expected_charges_say_so() -> None:
    case = conv_case()
    densities = {name: Density(x.shape, 0.5) for name, x in case.items()}
    made = charge(conv_spec(), "scnn", densities).metrics(batch=2, network="a layer")
    assert (made.basis, made.images) == (EXPECTED, None)
    assert product(made) == pytest.approx(made.inferences_per_s)
    assert "images" not in made.missing
    assert "images" not in charge(conv_spec(), "scnn", case).metrics(batch=2).missing


def test_what_a_charge_does_not_know_is_handed_in() -> None:
    charged = conv("scnn")
    assert charged.metrics(batch=2).missing == ("accuracy", "network")
    made = charged.metrics(
        batch=2, network="a layer", accuracy=ACCURATE, area_mm2=1, process_nm=45, most_watts=1e-6
    )
    assert made.missing == ()
    assert made.tops_per_watt == pytest.approx(2 * made.macs / charged.energy_pj * 2)
    assert made.most_inferences_per_s == pytest.approx(1e-6 / (charged.energy_pj * 1e-12 / 2))


def test_storage_is_that_of_every_instance() -> None:
    """A buffer of 108 kB, and 16 PEs of 16 kB."""
    assert storage_bits_of(arch("dense")) == 108 * 1024 * 8 + 16 * 16 * 1024 * 8
    assert storage_bits_of(arch(one_pe())) is None
    unlimited = charge(make_spec("y[i] = A[i]*B[i]"), one_pe(clock_hz=1), {"A": [1], "B": [1]})
    assert unlimited.metrics(batch=1).missing[-2:] == ("off_chip_bits_per_s", "storage_bits")


def test_area_is_that_of_the_parts_that_have_one() -> None:
    """40.832 mm2 of 64 PEs of EIE: 0.638 each."""
    spec, operands = make_spec("y[m] = F[m,k]*I[k]"), {"F": np.eye(8), "I": np.ones(8)}
    whole = charge(spec, "eie", operands)
    assert whole.metrics(batch=1).area_mm2 == pytest.approx(64 * 0.638)
    assert whole.metrics(batch=1, area_mm2=50).area_mm2 == 50
    assert whole.metrics(batch=1).missing[-1] == "process_nm"
    levels = {"DRAM": {}, "GLB": {}, "PE": {}}
    machine = one_pe(clock_hz=1, levels=levels, area={"PE": {"mm2": 2, "source": "chosen"}})
    part = charge(spec, machine, operands)
    assert part.metrics(batch=1).area_mm2 == 2
    assert "area of GLB" in part.metrics(batch=1).omitted
    assert "area of GLB" not in part.metrics(batch=1, area_mm2=3).omitted


def test_a_design_without_a_clock_is_refused() -> None:
    charged = charge(make_spec("y[i] = A[i]*B[i]"), one_pe(), {"A": [1], "B": [1]})
    with pytest.raises(ArchError, match=r"one PE states no clock, and seconds are cycles over it"):
        charged.metrics(batch=1)


def test_what_is_no_network_is_refused() -> None:
    with pytest.raises(ArchError, match=r"expected the charge of at least one layer, found none"):
        metrics_of([], batch=1)
    with pytest.raises(ArchError, match=r"expected charges, found int"):
        metrics_of([3], batch=1)  # type: ignore[list-item]
    with pytest.raises(ArchError, match=r"accuracy: expected Accuracy\(value, unit.*, found 57"):
        metrics_of([conv("dense")], batch=1, accuracy=57)  # type: ignore[arg-type]
    with pytest.raises(ArchError, match=r"on one architecture, found dense of 16 PEs and scnn of"):
        metrics_of([conv("dense"), conv("scnn")], batch=1)
    wider = conv(arch("scnn", size=(8, 8)))
    with pytest.raises(ArchError, match=r"found scnn of 16 PEs and scnn of 64"):
        metrics_of([conv("scnn"), wider], batch=1)
    empty = charge(make_spec("y[i] = A[i]*B[i]"), "dense", {"A": np.ones(0), "B": np.ones(0)})
    with pytest.raises(ArchError, match=r"these layers take no cycle"):
        empty.metrics(batch=1)


@pytest.mark.parametrize("batch", [0, -1, 1.5, float("nan"), None])
def test_a_batch_is_a_number_of_inferences(batch: Any) -> None:
    with pytest.raises(ArchError, match=r"metrics: batch is .*, expected a whole number of 1"):
        conv("scnn").metrics(batch=batch)


def test_a_batch_that_no_rank_holds_is_refused() -> None:
    with pytest.raises(
        ArchError, match=r"batch is 5, and O has no rank that holds so many results: n 2"
    ):
        conv("scnn").metrics(batch=5)
    flat = charge(
        make_spec("y[x,m] = I[x,k]*F[m,k]"), "dense", {"I": np.ones((12, 4)), "F": np.ones((5, 4))}
    )
    assert flat.metrics(batch=3).macs == 12 * 20 / 3  # x is 3 inferences of 4 places

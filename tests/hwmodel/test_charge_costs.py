"""Charges by hand: time, energy, capacity."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from layers import conv_case, conv_spec, one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.hwmodel import Mapping, arch, charge

# ---- time and energy by hand ------------------------------------------------------------


def test_energy_of_two_products_by_hand() -> None:
    """Z = A[k]*B[k] over k = 0, 1 on one dense PE, relative costs at 1.5 pJ a MAC."""
    design = arch(one_pe(value_bits=16, accumulator_bits=16))
    c = charge(make_spec("Z = A[k]*B[k]"), design, {"A": np.ones(2), "B": np.ones(2)})
    word = 1.5
    assert c.energy["multiply"] == pytest.approx(2 * 1.1)
    assert c.energy["add"] == pytest.approx(2 * 0.4)
    assert c.energy["DRAM"] == pytest.approx((2 + 2 + 1) * 200 * word)
    assert c.energy["GLB"] == pytest.approx((2 * 4 + 2) * 6 * word)
    assert c.energy["network"] == pytest.approx((4 + 1) * 2 * word)
    # operands written 4 and read 4, accumulator read 2 and written 2, drained 1
    assert c.energy["PE"] == pytest.approx((4 + 4 + 4 + 1) * word)
    assert c.energy_pj == pytest.approx(sum(c.energy.values()))


def test_metadata_has_its_own_energy() -> None:
    levels = {"DRAM": {}, "GLB": {"energy": 0.5, "metadata_energy": 2.0}, "PE": {}}
    a = np.array([1.0, 0, 0, 1.0])
    c = charge(
        make_spec("Z = A[k]*B[k]"),
        arch(one_pe("skip B on A", levels=levels)),
        {"A": a, "B": np.ones(4)},
    )
    glb = c.level("GLB")
    assert glb.metadata_bits > 0
    assert c.energy["GLB"] == pytest.approx(0.5 * glb.data_bits + 2.0 * glb.metadata_bits)


def test_bandwidth_can_be_the_bound() -> None:
    levels = {
        "DRAM": {"read_bits_per_cycle": 1, "write_bits_per_cycle": 64},
        "GLB": {"read_bits_per_cycle": 64},
        "PE": {"read_bits_per_cycle": 16},
    }
    spec = make_spec("Z[m] = A[m,k]*B[k]")
    c = charge(spec, arch(one_pe(levels=levels)), {"A": np.ones((4, 5)), "B": np.ones(5)})
    assert c.compute_cycles == 20
    assert c.bandwidth_cycles["DRAM"] == 16 * 25
    assert c.bandwidth_cycles["GLB"] == (16 * (20 + 5) + 16 * 4) // 64 + 1
    assert c.bandwidth_cycles["PE"] == (16 * 40 + 32 * 20 + 32 * 4) // 16
    assert c.cycles == 16 * 25
    assert c.bound_by == "DRAM"
    assert c.seconds == c.cycles / 1e9


@pytest.mark.parametrize(("rate", "cycles"), [(0.1, 800), (3, 27), (80, 1), (79.5, 2), (1e15, 1)])
def test_cycles_of_a_bandwidth_are_rounded_up_once(rate: float, cycles: int) -> None:
    """Five values of 16 bits; 0.1 is a little above a tenth, so that 800 cycles are enough."""
    levels = {"DRAM": {"read_bits_per_cycle": rate}, "GLB": {}, "PE": {}}
    design = arch(one_pe(levels=levels))
    c = charge(make_spec("Z[m] = A[m]*A[m]"), design, {"A": np.ones(5)})
    assert c.bandwidth_cycles == {"DRAM": cycles}


def test_utilisation_and_imbalance() -> None:
    a = np.array([[1, 1, 1, 1], [1, 0, 0, 0]], np.float32)
    design = {**one_pe("skip B on A"), "array": {"pe": 2}, "formats": {"A": {"GLB": "B"}}}
    spec = make_spec("Z[m] = A[m,k]*B[k]")
    c = charge(spec, arch({**design, "sync": "none"}), {"A": a, "B": np.ones(4)})
    assert c.work_per_pe.tolist() == [4, 1]
    assert c.compute_cycles == 4
    assert c.utilisation == pytest.approx(5 / 8)
    assert c.imbalance == pytest.approx(8 / 5)


def test_gating_takes_the_time_of_dense_and_less_energy() -> None:
    case = conv_case()
    gating, skipping = (charge(conv_spec(), arch(name), case) for name in ("eyeriss", "scnn"))
    assert gating.compute_cycles == gating.baseline.compute_cycles
    assert gating.energy["multiply"] < gating.baseline.energy["multiply"]
    assert skipping.compute_cycles < gating.compute_cycles
    assert skipping.speedup > 1
    nonzero_inputs = gating.ops["effectual"] + gating.ops["ineffectual"]
    padded = np.pad(case["I"] != 0, ((0, 0), (0, 0), (1, 1), (1, 1)))
    touched = sum(
        np.count_nonzero(padded[:, :, r : r + 8, s : s + 9]) for r in range(3) for s in range(3)
    )
    assert nonzero_inputs == 4 * touched


def test_the_baseline_is_the_dense_preset_on_the_same_array() -> None:
    case = conv_case()
    for name in ("eyeriss", "scnn"):
        baseline = charge(conv_spec(), arch(name, size=(2, 5)), case).baseline
        dense = charge(conv_spec(), arch("dense", size=(2, 5)), case)
        assert baseline.ops == dense.ops
        assert baseline.traffic == dense.traffic
        assert baseline.energy == dense.energy
        assert baseline.cycles == dense.cycles


def test_a_bias_costs_additions() -> None:
    case = conv_case()
    biased = make_spec(
        "O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])", pad={"I": {"h": 1, "w": 1}}
    )
    plain = charge(conv_spec(), arch("dense"), case)
    c = charge(biased, arch("dense"), {**case, "B": np.ones(4, np.float32)})
    assert c.ops == plain.ops
    assert c.multiplications == plain.multiplications
    assert c.compute_cycles == plain.compute_cycles
    assert c.additions == 2 * 4 * 8 * 9
    assert c.energy["add"] - plain.energy["add"] == pytest.approx(0.4 * c.additions)
    assert c.energy["multiply"] == plain.energy["multiply"]
    assert c.at("DRAM", "B").reads == 4
    assert c.at("GLB", "B").reads == 4  # one read serves all PEs
    assert c.at("PE", "B").writes == 4 * 16
    assert c.at("PE", "B").reads == c.additions
    accumulators, without = c.at("PE", "O"), plain.at("PE", "O")
    assert accumulators.writes - without.writes == c.additions
    assert accumulators.data_bits - without.data_bits == 2 * 32 * c.additions


def test_three_operands_are_two_multiplications_a_point() -> None:
    spec = make_spec("Z[i] = A[i,k]*B[k]*C[k]")
    a = np.eye(4)
    c = charge(spec, arch(one_pe()), {"A": a, "B": np.ones(4), "C": np.ones(4)})
    assert c.ops["dense"] == 16
    assert c.multiplications["dense"] == 32
    assert (c.ops["effectual"], c.multiplications["effectual"]) == (4, 8)
    assert c.compute_cycles == 32


def test_a_maximum_is_not_a_sum_and_nothing_is_skipped() -> None:
    x = np.zeros((1, 2, 4, 4), np.float32)
    c = charge(
        make_spec("O[n,c,p,q] max= I[n,c,2*p+r,2*q+s]", sizes={"r": 2, "s": 2}),
        arch("scnn"),
        {"I": x, "O": x[:, :, :2, :2]},
    )
    assert c.ops["skipped"] == 0
    assert c.ops["dense"] == c.ops["ineffectual"] == 32
    assert c.multiplications["dense"] == 0
    assert any("max= is not a sum" in note for note in c.assumptions)


def test_an_empty_layer_costs_nothing() -> None:
    """No point needs an operand, so none is fetched."""
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    c = charge(spec, arch("dense"), {"A": np.zeros((0, 3)), "B": np.ones((3, 2))})
    assert c.ops["dense"] == 0
    assert c.cycles == c.bandwidth_cycles["DRAM"] == 0
    assert c.work_per_pe.sum() == 0
    assert c.at("DRAM", "B").bits == c.energy_pj == 0
    assert (c.utilisation, c.imbalance) == (0.0, 1.0)


def test_a_sum_of_nothing_leaves_the_bias() -> None:
    """C = 0: no products; 8 outputs are the bias, added on 4 PEs and carried out."""
    spec = make_spec("O[n,m,p,q] = B[m] + I[n,c,p+r,q+s]*F[m,c,r,s]")
    empty = {"I": np.ones((1, 0, 4, 4)), "F": np.ones((2, 0, 3, 3))}
    for name in ("dense", "scnn"):
        c = charge(spec, arch(name), {"B": np.ones(2), **empty})
        assert (c.ops["dense"], c.compute_cycles, c.additions) == (0, 0, 8)
        assert c.at("GLB", "B").reads == 2
        assert c.at("PE", "B").writes == 2 * 4
        assert c.at("PE", "O").writes == c.at("GLB", "O").writes == c.at("DRAM", "O").writes == 8
        assert [room.needed_bits for room in c.capacity] == [2 * 16, 2 * 32 + 2 * 16]


def test_without_points_nothing_moves() -> None:
    """N = 0: neither weights nor bias are fetched."""
    spec = make_spec("O[n,m,p,q] = B[m] + I[n,c,p+r,q+s]*F[m,c,r,s]")
    operands = {"B": np.ones(2), "I": np.ones((0, 2, 4, 4)), "F": np.ones((2, 2, 3, 3))}
    c = charge(spec, arch("dense"), operands)
    assert {moves.bits for moves in c.traffic.values()} == {0}
    assert [room.needed_bits for room in c.capacity] == [0, 0]


def test_nothing_is_remembered_by_operand() -> None:
    case = conv_case()
    first = charge(conv_spec(), arch("scnn"), case)
    case["I"][...] = 0
    second = charge(conv_spec(), arch("scnn"), case)
    assert first.ops["effectual"] > 0
    assert second.ops["effectual"] == 0


def test_operands_are_not_changed_and_may_be_read_only() -> None:
    case = conv_case()
    for array in case.values():
        array.setflags(write=False)
    strided = {"I": case["I"], "F": np.asfortranarray(case["F"])}
    assert charge(conv_spec(), arch("scnn"), strided).ops == (
        charge(conv_spec(), arch("scnn"), case).ops
    )


# ---- capacity ---------------------------------------------------------------------------


def test_an_overflow_is_reported_in_bits() -> None:
    levels = {"DRAM": {}, "GLB": {"capacity_bits": 100}, "PE": {"capacity_bits": 10**6}}
    spec = make_spec("Z[m] = A[m,k]*B[k]")
    c = charge(spec, arch(one_pe(levels=levels)), {"A": np.ones((4, 5)), "B": np.ones(5)})
    assert c.overflow == ()
    levels["GLB"]["capacity_bits"] = 64
    c = charge(spec, arch(one_pe(levels=levels)), {"A": np.ones((4, 5)), "B": np.ones(5)})
    tiles = "A tile k=0:1 (64 bits), B tile k=0:1 (16 bits)"
    told = f"GLB must hold 80 bits and holds 64: 16 bits too few: {tiles}"
    assert c.overflow == (told,)
    assert f"overflow: {told}" in str(c)


def test_an_operand_that_steps_come_back_to_must_stay() -> None:
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    arrays = {"A": np.ones((4, 5)), "B": np.ones((5, 6))}
    by_k = charge(spec, arch(one_pe()), arrays, Mapping(sync="k"))
    assert by_k.capacity[0].needed_bits == 16 * (4 + 6)
    by_m = charge(spec, arch(one_pe()), arrays, Mapping("m k n", space={}, sync="m"))
    assert by_m.capacity[0].needed_bits == 16 * (5 + 30)
    assert by_m.at("GLB", "B").reads == 30  # of m it has nothing: it stays in the PE
    by_n = charge(spec, arch(one_pe()), arrays, Mapping("m k n", space={}, sync="k"))
    assert by_n.at("GLB", "B").reads == 4 * 30
    assert by_n.at("GLB", "A").reads == 20


def test_parts_of_a_result_are_added_in_the_buffer() -> None:
    """Three PEs along the rows hold parts of the first sum, two along the columns of the
    second; one PE is in both."""
    spec = make_spec("Z[m] = A[m,k]*B[k] + C[m,l]*D[l]")
    shapes = {"A": (5, 3), "B": (3,), "C": (5, 2), "D": (2,)}
    c = charge(
        spec,
        arch("dense"),
        {name: np.ones(shape) for name, shape in shapes.items()},
        Mapping(space={"k": "rows", "l": "cols"}, sync="none"),
    )
    assert c.work_per_pe.tolist() == [[10, 0, 5, 0], [5, 0, 0, 0], [5, 0, 0, 0], [0] * 4]
    assert c.at("GLB", "Z").writes == 5 * 4
    assert c.at("GLB", "Z").reads == 5 * 3 + 5
    assert c.at("GLB", "Z").write_data_bits == 32 * 20
    assert c.energy["add"] == pytest.approx(0.4 * (5 * 3 + 5 * 2 + 15))  # 15 in the buffer


def test_a_line_without_products_spends_its_cycles_on_additions() -> None:
    """p = 0, 1 go to columns 0 and 2 of four: two PEs of sixteen, two additions each."""
    spec = make_spec("O[p] += I[2*p+r]", sizes={"r": 2})
    c = charge(spec, arch("dense"), {"I": np.ones(4)}, Mapping(space={"p": "cols"}, sync="none"))
    assert c.work_per_pe[0].tolist() == [2, 0, 2, 0]
    assert (c.busy, c.worked, c.compute_cycles) == (4, 4, 2)
    assert c.imbalance == 2 * 16 / 4
    assert c.utilisation == 4 / (16 * c.cycles)


def test_nothing_but_zeros() -> None:
    """No product is stored: no cycle is computed; accumulators leave the PEs all the same."""
    case = {name: np.zeros_like(array) for name, array in conv_case().items()}
    c = charge(conv_spec(), arch("scnn"), case)
    assert (c.compute_cycles, c.busy, c.ops["effectual"], c.ops["gated"]) == (0, 0, 0, 0)
    assert (c.utilisation, c.imbalance) == (0.0, 1.0)
    assert c.at("GLB", "I").reads == c.at("DRAM", "O").writes == 0
    assert c.energy["multiply"] == c.energy["add"] == 0
    assert c.energy["DRAM"] == 0
    assert c.at("GLB", "O").writes == 2 * 4 * 8 * 9
    assert c.cycles == c.bandwidth_cycles["GLB"] == 2 * 4 * 8 * 9 * 16 // 256
    assert c.speedup == c.baseline.cycles / c.cycles
    free = charge(conv_spec(), arch(unlimited_scnn()), case)
    assert (free.cycles, free.utilisation, free.speedup) == (0, 0.0, float("inf"))
    assert free.baseline.speedup == 1.0


def unlimited_scnn() -> dict[str, Any]:
    return {
        "name": "unlimited",
        "array": {"rows": 4, "cols": 4},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "sparse": ["skip I,F"],
        "formats": {"I": {"DRAM": "C"}, "F": {"DRAM": "C"}},
    }


def test_a_charge_can_be_pickled_copied_and_kept_in_a_set() -> None:
    c = charge(conv_spec(), arch("scnn"), conv_case())
    for other in (pickle.loads(pickle.dumps(c)), copy.copy(c), copy.deepcopy(c)):
        assert str(other) == str(c)
        assert other.baseline.cycles == c.baseline.cycles
    assert len({c, copy.copy(c), c}) == 2

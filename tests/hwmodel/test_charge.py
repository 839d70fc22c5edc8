"""Charges by value: published tables, figures by hand, what is stored against what is not zero."""

from __future__ import annotations

import copy
import pickle
import sys
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import ArchError, EinsumError, TensorError
from zeroskip.formats.density import Density
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import Charge, Mapping, arch, charge

CONV = "O[n,m,p,q] = I[n,c,U*p+r,U*q+s]*F[m,c,r,s]"


def one_pe(*sparse: str, **changes: Any) -> dict[str, Any]:
    """One PE with one multiplier; operands A and B compressed on chip where something skips."""
    packed = {"A": {"GLB": "C"}, "B": {"GLB": "C"}}
    return {
        "name": "one PE",
        "array": {"pe": 1},
        "energy": "eyeriss-relative",
        "levels": {"DRAM": {}, "GLB": {}, "PE": {}},
        "sparse": list(sparse),
        "formats": packed if any(text.startswith("skip") for text in sparse) else {},
        **changes,
    }


def conv_case(seed: int = 0, density: float = 0.5) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    x = (rng.random((2, 3, 8, 9)) < density) * rng.random((2, 3, 8, 9))
    w = (rng.random((4, 3, 3, 3)) < density) * rng.standard_normal((4, 3, 3, 3))
    return {"I": x.astype(np.float32), "F": w.astype(np.float32)}


def conv_spec(stride: int = 1, pad: int = 1) -> Any:
    return make_spec(CONV, consts={"U": stride}, pad={"I": {"h": pad, "w": pad}})


# ---- gating and skipping: published tables ----------------------------------------------


@pytest.mark.parametrize(
    ("sparse", "expected"),
    [
        ((), (6, 6, 6, 6)),
        (("gate B on A",), (6, 6, 3, 3)),
        (("skip B on A",), (3, 3, 3, 3)),
        (("skip A,B",), (2, 2, 2, 2)),
    ],
)
def test_the_six_vector(sparse: tuple[str, ...], expected: tuple[int, ...]) -> None:
    """(cycles, reads of A, reads of B, multiplications) of the lecture's dot product."""
    a = np.array([0, 0, 3, 4, 0, 6], np.float32)
    b = np.array([1, 2, 0, 3, 4, 5], np.float32)
    c = charge(make_spec("Z = A[k]*B[k]"), arch(one_pe(*sparse)), {"A": a, "B": b})
    found = (c.compute_cycles, c.at("PE", "A").reads, c.at("PE", "B").reads, c.executed)
    assert found == expected
    assert c.ops["effectual"] == 2


@pytest.mark.parametrize(
    ("sparse", "cycles", "computes", "utilisation"),
    [((), 16, 16, 1.0), (("gate B on A",), 16, 4, 0.25), (("skip B on A",), 4, 4, 1.0)],
)
def test_the_sparse_tutorials_dot_product(
    sparse: tuple[str, ...], cycles: int, computes: int, utilisation: float
) -> None:
    a = np.zeros(16, np.float32)
    a[[1, 5, 6, 12]] = 1
    operands = {"A": a, "B": np.ones(16, np.float32)}
    c = charge(make_spec("Z = A[k]*B[k]"), arch(one_pe(*sparse)), operands)
    assert (c.compute_cycles, c.executed) == (cycles, computes)
    assert c.utilisation == pytest.approx(utilisation)


def test_real_patterns_where_a_density_model_predicts_eight() -> None:
    design = arch(one_pe("skip A,B"))
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    eye, column, first, last = np.eye(8), np.zeros((8, 8)), np.zeros((8, 8)), np.zeros((8, 8))
    column[:, 0] = first[0] = last[7] = 1
    found = [
        charge(spec, design, {"A": a, "B": b}).ops["effectual"]
        for a, b in ((eye, eye), (column, first), (column, last))
    ]
    assert found == [8, 64, 0]


# ---- what is stored, and what is not zero -----------------------------------------------


def independent_counts(x: np.ndarray, w: np.ndarray, pad: int) -> tuple[int, int]:
    """Effectual products, and cycles of a 4x4 array after each c, by shifting arrays."""
    occupied = np.pad(x != 0, ((0, 0), (0, 0), (pad, pad), (pad, pad))).astype(int)
    _, c, r, s = w.shape
    p, q = occupied.shape[2] - r + 1, occupied.shape[3] - s + 1
    work = np.zeros((c, 4, 4), int)
    for i in range(p):
        for j in range(q):
            window = occupied[:, :, i : i + r, j : j + s]
            work[:, 4 * i // p, 4 * j // q] += np.einsum("ncrs,mcrs->c", window, w != 0)
    return int(work.sum()), int(work.max((1, 2)).sum())


@pytest.mark.parametrize("pad", [0, 1])
def test_counts_equal_an_independent_count(pad: int) -> None:
    case = conv_case()
    c = charge(conv_spec(pad=pad), arch("scnn"), case)
    assert (c.ops["effectual"], c.compute_cycles) == independent_counts(case["I"], case["F"], pad)


def test_zeroing_one_weight_lowers_the_counts_as_it_should() -> None:
    case = conv_case()
    before = charge(conv_spec(), arch("scnn"), case)
    place = tuple(np.argwhere(case["F"])[3])
    m, channel, r, s = (int(i) for i in place)
    case["F"][m, channel, r, s] = 0
    after = charge(conv_spec(), arch("scnn"), case)
    padded = np.pad(case["I"], ((0, 0), (0, 0), (1, 1), (1, 1)))
    window = padded[:, channel, r : r + 8, s : s + 9]
    assert before.ops["effectual"] - after.ops["effectual"] == np.count_nonzero(window) > 0
    assert (after.ops["effectual"], after.compute_cycles) == (
        independent_counts(case["I"], case["F"], 1)
    )
    assert before.at("GLB", "F").reads - after.at("GLB", "F").reads == 1


def test_explicit_zeros_are_stored_moved_and_executed_but_not_effectual() -> None:
    case = conv_case()
    coords = np.argwhere(np.ones_like(case["F"])[:, :, :, :2]).T
    held = Tensor.from_coords(list(coords), case["F"][tuple(coords)], case["F"].shape, "COO")
    trimmed = {**case, "F": np.where(np.arange(3) < 2, case["F"], 0).astype(np.float32)}
    plain = charge(conv_spec(), arch("scnn"), trimmed)
    explicit = charge(conv_spec(), arch("scnn"), {**case, "F": held})
    zeros = held.stored - held.nnz
    assert zeros > 0
    assert explicit.ops["effectual"] == plain.ops["effectual"]
    assert explicit.at("DRAM", "F").reads == plain.at("DRAM", "F").reads + zeros
    assert explicit.at("GLB", "F").reads == plain.at("GLB", "F").reads + zeros
    assert plain.ops["ineffectual"] == 0
    assert explicit.ops["ineffectual"] > 0
    assert explicit.compute_cycles > plain.compute_cycles
    assert "stF[" in explicit.accounting
    assert "stF[" not in plain.accounting


def test_explicit_zeros_of_a_scipy_matrix_are_kept() -> None:
    a = sp.csr_array(([1.0, 0.0, 2.0], ([0, 1, 2], [0, 1, 2])), shape=(3, 3))
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    c = charge(spec, arch(one_pe("skip A,B")), {"A": a, "B": np.ones((3, 3))})
    assert (c.ops["effectual"], c.ops["ineffectual"]) == (6, 3)


def test_run_length_bridges_are_stored_and_moved_off_chip_only() -> None:
    x = np.zeros((1, 1, 1, 40), np.float32)
    x[..., [0, 39]] = 1
    case = {"I": x, "F": np.ones((1, 1, 1, 1), np.float32), "O": x}
    description = one_pe(formats={"I": {"DRAM": "RLE(2)", "GLB": "U"}})
    short = charge(make_spec(CONV, consts={"U": 1}), arch(description), case)
    description = one_pe(formats={"I": {"DRAM": "RLE(6)", "GLB": "U"}})
    long = charge(make_spec(CONV, consts={"U": 1}), arch(description), case)
    assert short.at("DRAM", "I").reads == 2 + 38 // 4
    assert long.at("DRAM", "I").reads == 2
    assert short.ops == long.ops
    assert short.at("GLB", "I") == long.at("GLB", "I")
    assert short.compute_cycles == long.compute_cycles


@pytest.mark.parametrize("text", ["dense", "CSR", "CSC", "bitmask", "RLE(2)", "COO", "CSF", "DCSR"])
def test_off_chip_bits_are_those_of_the_format(text: str) -> None:
    case = conv_case()
    c = charge(conv_spec(), arch(one_pe(formats={"F": {"DRAM": text, "GLB": "U"}})), case)
    price = Tensor.from_dense(case["F"], text).storage(16)
    moved = c.at("DRAM", "F")
    assert (moved.reads, moved.writes) == (price.stored, 0)
    assert moved.read_data_bits == moved.data_bits == price.data_bits
    assert moved.read_metadata_bits == moved.metadata_bits == price.metadata_bits


def test_one_level_means_a_fiber_for_each_step() -> None:
    case = conv_case()
    c = charge(conv_spec(), arch("scnn"), case)
    price = Tensor.from_dense(case["F"], "[m,c,r,s] c:U m*r*s:C").storage(16)
    assert c.at("DRAM", "F").metadata_bits == price.metadata_bits
    assert c.at("GLB", "F").write_metadata_bits == price.metadata_bits
    entries = np.count_nonzero(case["F"])
    assert c.at("GLB", "F").read_metadata_bits == entries * 6  # ceil(log2(4*3*3))


def test_results_are_compressed_off_chip_by_their_own_zeros() -> None:
    case = conv_case(density=0.1)
    spec = make_spec(CONV.replace("= ", "= relu(") + ")", consts={"U": 1})
    computed = charge(spec, arch("eyeriss"), case)
    o = np.maximum(
        sum(
            np.einsum(
                "ncpq,mc->nmpq",
                case["I"][:, :, r : r + 6, s : s + 7],
                case["F"][:, :, r, s],
                dtype=np.float64,
            )
            for r in range(3)
            for s in range(3)
        ),
        0,
    )
    price = Tensor.from_dense(o, "RLE(5)").storage(16)
    assert computed.at("DRAM", "O").write_data_bits == price.data_bits
    assert computed.at("DRAM", "O").write_metadata_bits == price.metadata_bits
    given = charge(spec, arch("eyeriss"), {**case, "O": np.zeros_like(o)})
    assert given.at("DRAM", "O").writes == 0
    with pytest.raises(TensorError, match=r"O has shape \(1,\), but the layer makes one of shape"):
        charge(spec, arch("eyeriss"), {**case, "O": np.zeros(1)})


def test_a_result_lies_as_the_layer_that_reads_it_will_want_it() -> None:
    """The output channels of one layer are the steps of the next: the same bits."""
    case = conv_case()
    c = charge(conv_spec(), arch("scnn"), case)
    o = np.ones((2, 4, 8, 9), np.float32)  # nothing is zero here by chance
    next_case = {"I": o, "F": np.ones((1, 4, 1, 1), np.float32)}
    reader = charge(conv_spec(pad=0), arch("scnn"), next_case)
    dense = {"I": np.ones_like(case["I"]), "F": np.ones_like(case["F"])}
    writer = charge(conv_spec(), arch("scnn"), dense)
    for moved in (writer.at("DRAM", "O"), reader.at("DRAM", "I")):
        assert moved.metadata_bits == o.size * 8 + (4 + 1) * 10  # log2(2*8*9); log2(577)
    assert c.at("DRAM", "O").metadata_bits <= writer.at("DRAM", "O").metadata_bits


def test_slices_of_one_position_are_one_fiber() -> None:
    """A vector that is consumed place by place: no pointer for each of its places."""
    x, w = np.zeros((1, 16), np.float32), np.ones((2, 16), np.float32)
    x[0, [3, 5, 9]] = 1
    c = charge(make_spec("O[n,m] = I[n,c]*F[m,c]"), arch("scnn"), {"I": x, "F": w})
    assert c.at("DRAM", "I").metadata_bits == 3 * 4
    assert c.at("DRAM", "F").metadata_bits == 32 * 1 + 17 * 6
    assert c.at("GLB", "I").read_metadata_bits == 3 * 4


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


def test_an_empty_layer_costs_nothing_but_its_traffic() -> None:
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    c = charge(spec, arch("dense"), {"A": np.zeros((0, 3)), "B": np.ones((3, 2))})
    assert c.ops["dense"] == 0
    assert c.cycles == c.bandwidth_cycles["DRAM"] == 2
    assert c.work_per_pe.sum() == 0
    assert c.at("DRAM", "B").reads == 6
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
        assert [room.needed_bits for room in c.capacity] == [0, 2 * 32]


def test_without_points_nothing_goes_to_a_pe() -> None:
    """N = 0: weights and bias come on chip, as each operand does once, and stay there."""
    spec = make_spec("O[n,m,p,q] = B[m] + I[n,c,p+r,q+s]*F[m,c,r,s]")
    operands = {"B": np.ones(2), "I": np.ones((0, 2, 4, 4)), "F": np.ones((2, 2, 3, 3))}
    c = charge(spec, arch("dense"), operands)
    assert (c.at("DRAM", "F").reads, c.at("GLB", "F").reads) == (36, 0)
    assert c.at("GLB", "B").reads == c.level("PE").bits == c.level("network").bits == 0
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
    assert c.overflow == ("GLB must hold 80 bits and holds 64: 16 bits too few",)
    assert "overflow: GLB must hold 80 bits and holds 64: 16 bits too few" in str(c)


def test_an_operand_that_steps_come_back_to_must_stay() -> None:
    spec = make_spec("Z[m,n] = A[m,k]*B[k,n]")
    arrays = {"A": np.ones((4, 5)), "B": np.ones((5, 6))}
    by_k = charge(spec, arch(one_pe()), arrays, Mapping(sync="k"))
    assert by_k.capacity[0].needed_bits == 16 * (4 + 6)
    by_m = charge(spec, arch(one_pe()), arrays, Mapping("m k n", space={}, sync="m"))
    assert by_m.capacity[0].needed_bits == 16 * (5 + 30)
    assert by_m.at("GLB", "B").reads == 4 * 30


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


# ---- printing ---------------------------------------------------------------------------


def summary(c: Charge) -> dict[str, Any]:
    return {row["figure"]: row for row in c.table()}


def test_the_table_has_every_figure_beside_the_baseline() -> None:
    c = charge(conv_spec(), arch("scnn"), conv_case())
    rows = summary(c)
    assert rows["operations, effectual"]["scnn"] == c.ops["effectual"]
    assert rows["operations, skipped"]["dense baseline"] == 0
    assert rows["cycles, compute"]["ratio"] == (
        pytest.approx(c.compute_cycles / c.baseline.compute_cycles)
    )
    assert rows["energy"]["scnn"] == pytest.approx(c.energy_pj)
    assert rows["GLB, metadata"]["scnn"] == c.level("GLB").metadata_bits
    assert c.to_pandas().shape == (len(rows), 5)
    text = repr(c)
    assert "mapping: order c n m r s p q; sync c; space p: rows, q: cols" in text
    assert "leaves out" in text
    assert "assumes" in text


def test_moves_add_up_to_the_levels() -> None:
    c = charge(conv_spec(), arch("scnn"), conv_case())
    table = c.moves()
    glb = [row for row in table if row["level"] == "GLB"]
    assert {row["tensor"] for row in glb} == {"I", "F", "O"}
    assert sum(row["metadata"] for row in glb) == c.level("GLB").metadata_bits
    assert sum(row["energy"] for row in table) == (
        pytest.approx(c.energy_pj - c.energy["multiply"] - c.energy["add"])
    )


def test_assumptions_and_omissions_are_listed() -> None:
    c = charge(conv_spec(), arch("scnn", energy="horowitz-45nm"), conv_case())
    assert "energy of the network: horowitz-45nm has none" in c.missing
    assert any("intersection" in text for text in c.missing)
    assert any(text.startswith("DRAM: each operand is read once") for text in c.assumptions)


def test_what_changes_nothing_is_said() -> None:
    vector = {"A": np.ones((2, 3)), "B": np.ones(3)}
    c = charge(make_spec("Z[m] = A[m,k]*B[k]"), arch(one_pe("gate B on bias")), vector)
    assert '"gate B on bias @MAC" changes nothing: no product has bias' in c.assumptions
    assert "GLB costs a bit" not in str(c.assumptions)
    c = charge(conv_spec(), arch("eyeriss"), conv_case())
    assert (
        "PE of 131,072 bits costs a bit what RF of 4,096 bits does: the energy is a lower bound"
    ) in c.assumptions
    assert "energy of looking at a value to gate by it, and of an idle cycle" in c.missing
    assert "time and energy of compressing results" in c.missing
    assert any("padding tap" in text for text in c.assumptions)
    without = charge(conv_spec(pad=0), arch("eyeriss"), conv_case())
    assert not any("padding" in text for text in without.assumptions)


def test_a_tensor_that_is_read_in_two_orders_is_named() -> None:
    c = charge(make_spec("Z[i,j] = A[i,k]*A[k,j]"), arch("scnn"), {"A": np.eye(4)})
    assert any(text.startswith("A is read in two orders, as ") for text in c.assumptions)


# ---- errors -----------------------------------------------------------------------------


def refused(
    kind: type[Exception],
    text: str,
    design: Any,
    operands: dict[str, Any],
    mapping: Mapping | None = None,
) -> str:
    with pytest.raises(kind) as caught:
        charge(make_spec(text), arch(design), operands, mapping)
    return str(caught.value)


MATMUL = "Z[m,n] = A[m,k]*B[k,n]"
MATRICES = {"A": np.ones((2, 3)), "B": np.ones((3, 4))}


def test_a_cascade_is_refused() -> None:
    text = "T[i] = A[i]*A[i]; Z = T[i]"
    assert "expected a layer of one line, found 2 lines" in (
        refused(EinsumError, text, "dense", {"A": np.ones(3)})
    )


def test_four_operands_are_refused() -> None:
    operands = {name: np.ones(3) for name in "ABCD"}
    assert "a product of 4 operands (A, B, C, D); at most 3 can be charged" in (
        refused(EinsumError, "Z = A[i]*B[i]*C[i]*D[i]", "dense", operands)
    )


def test_a_density_is_refused_for_now() -> None:
    operands = {**MATRICES, "A": Density((2, 3), 0.5)}
    assert refused(TensorError, MATMUL, "dense", operands).startswith(
        "A is a Density; only real tensors can be charged as yet"
    )


def test_skipping_without_metadata_is_refused() -> None:
    design = one_pe("skip A,B", formats={"A": {"GLB": "C"}})
    assert refused(ArchError, MATMUL, design, MATRICES) == (
        "one PE skips by B, which GLB holds in format dense: without metadata nobody knows what "
        "to skip\nGive B (role F) the format C or B at GLB."
    )


def test_run_length_coding_in_the_buffer_is_refused() -> None:
    design = one_pe(formats={"A": {"DRAM": "RLE(5)"}})
    assert "one PE: A is run-length coded in GLB, where entries are picked out one by one" in (
        refused(ArchError, MATMUL, design, MATRICES)
    )


@pytest.mark.parametrize(
    ("formats", "message"),
    [
        ({"A": {"GLB": "CSF"}}, "A is DCSR in GLB; there one level at most may be compressed"),
        ({"A": {"GLB": "C", "PE": "B"}}, "re-encoding on chip is not modelled yet"),
        ({"O": {"GLB": "C"}}, "Z (role O) has format C in GLB; results are compressed on their"),
    ],
)
def test_formats_on_chip_that_are_not_modelled_are_refused(
    formats: dict[str, Any], message: str
) -> None:
    assert message in refused(ArchError, MATMUL, one_pe(formats=formats), MATRICES)


def test_a_feature_must_name_a_tensor_or_a_role() -> None:
    assert refused(ArchError, MATMUL, one_pe("gate B on X"), MATRICES) == (
        'one PE: "gate B on X @MAC" names X, which is neither a tensor of this layer (A, B, Z) nor '
        "a role (I, F, O, bias)"
    )
    assert "goes by the result: it is not there yet" in (
        refused(ArchError, MATMUL, one_pe("gate B on O"), MATRICES)
    )


def test_a_format_must_name_a_tensor_or_a_role() -> None:
    assert refused(ArchError, MATMUL, one_pe(formats={"W": {"DRAM": "C"}}), MATRICES) == (
        "one PE: formats names W, which is neither a tensor of this layer (A, B, Z) nor a role "
        "(I, F, O, bias)"
    )


def test_unknown_levels_and_tensors_are_named() -> None:
    c = charge(make_spec(MATMUL), arch("dense"), MATRICES)
    with pytest.raises(ArchError, match="dense has no level 'L2'; its levels are DRAM, GLB, PE"):
        c.at("L2", "A")
    with pytest.raises(TensorError, match="no tensor 'X' in this layer: it has A, B, Z"):
        c.at("GLB", "X")


def test_a_missing_operand_is_named() -> None:
    assert "operand B is missing" in refused(EinsumError, MATMUL, "dense", {"A": np.ones((2, 3))})


def test_the_engine_is_asked_once_for_the_accounting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The dense preset needs no result: only the accounting is evaluated."""
    module = sys.modules["zeroskip.hwmodel.charge"]
    monkeypatch.setattr(module, "evaluate", lambda *_: pytest.fail("the layer was run"))
    charge(make_spec(MATMUL), arch("dense"), MATRICES)

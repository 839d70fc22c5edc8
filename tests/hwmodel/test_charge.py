"""Charges by value: published tables, and what is stored against what is not zero."""

from __future__ import annotations

import re

import numpy as np
import pytest
import scipy.sparse as sp
from layers import CONV, conv_case, conv_spec, one_pe

from zeroskip.einsum_spec import make_spec
from zeroskip.errors import EinsumError, TensorError
from zeroskip.formats.tensor import Tensor
from zeroskip.hwmodel import arch, charge

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


SPLIT = ["m/2:U c*r*s:C m%2:U", "m/3:C c:U m%3:U r*s:B", "[m,c,r,s] c/2:U m:U c%2*r*s:R(3)"]


@pytest.mark.parametrize(
    "text", ["dense", "CSR", "CSC", "bitmask", "RLE(2)", "COO", "CSF", "DCSR", *SPLIT]
)
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


@pytest.mark.parametrize("text", ["S[n,j] = A[X[n],j]*X[n]", "S[X[n],j] += A[n,j]*X[n]"])
def test_what_the_accounting_has_no_line_for_is_refused(text):
    said = "X is read as a value and names places of another operand"
    operands = {"A": np.eye(3), "C": np.eye(3), "X": np.zeros(3, np.int64)}
    spec = make_spec(text, sizes={"S": (3, 3)})
    with pytest.raises(EinsumError, match=re.escape(said)):
        charge(spec, arch("eyeriss"), {name: operands[name] for name in spec.operands})

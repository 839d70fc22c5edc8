"""The rows themselves: every answer right on small inputs, whoever of the peers is here."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.contest import OURS, Absent
from benchmarks.rows import charges, codecs, convolution, dtypes, networks, sampled, spgemm, spmm
from benchmarks.rows.all import ROWS
from benchmarks.rows.row import Row
from zeroskip.native import toolchain


def generator():
    return np.random.default_rng(0)


SMALL = {
    "spmm": (spmm.product, "12,20,17", "0.3"),
    "gemv": (lambda *a: spmm.vector(*a, format="bitmask"), "12,20", "0.3"),
    "conv": (convolution.weights_sparse, "3,7²", "0.3"),
    "conv-activations": (convolution.activations_sparse, "3,7²", "0.3"),
    "conv-both": (convolution.both_sparse, "3,7²", "0.3"),
    "spgemm": (spgemm.product, "20,4", "squared"),
    "sddmm": (sampled.sddmm, "12,4", "0.3"),
    "mttkrp": (sampled.mttkrp, "6,30,4", "drawn"),
    "dot": (sampled.dots, "64", "0.3"),
    "encode": (lambda *a: codecs.encode(*a, format="bitmask"), "9,13", "0.3"),
    "decode": (lambda *a: codecs.decode(*a, format="CSR"), "9,13", "0.3"),
    "int8": (lambda *a: dtypes.contest(*a, dtype="int8", format="CSR"), "12,20,17", "0.3"),
    "float64": (lambda *a: dtypes.contest(*a, dtype="float64", format="bitmask"), "9,8", "0.3"),
    "bfloat16": (lambda *a: dtypes.contest(*a, dtype="bfloat16", format="CSR"), "9,8", "0.3"),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.filterwarnings("default")  # of the peers' own
def test_everybody_answers_right(name):
    make, shape, at = SMALL[name]
    contest = make(shape, at, generator())
    ours = [e for e in contest.entrants if e.family == OURS]
    assert contest.check(ours[0]) <= contest.tolerance
    for entrant in contest.entrants:
        if entrant.name in ("NumPy (BLAS)", "SciPy CSR", "memcpy", "SciPy toarray"):
            assert contest.check(entrant) <= contest.tolerance


def test_names_are_distinct_and_every_bar_asks_for_a_point_of_its_row():
    assert len({row.name for row in ROWS}) == len(ROWS)
    for row in ROWS:
        if isinstance(row, Row):
            assert {bar.at for bar in row.bars} <= {*row.points, None}


def test_a_density_is_what_was_drawn():
    array = spmm.drawn(generator(), (100, 30), 0.21)
    assert np.count_nonzero(array) == 630


def test_the_reference_of_a_convolution_is_the_sum_written_out():
    rng = generator()
    image, weights = rng.random((1, 2, 5, 5)), rng.random((3, 2, 3, 3))
    found = convolution.reference(image, weights, stride=2, pad=1)
    wide = np.pad(image, ((0, 0), (0, 0), (1, 1), (1, 1)))
    expected = [
        [
            [
                (wide[0, :, 2 * p : 2 * p + 3, 2 * q : 2 * q + 3] * weights[m]).sum()
                for q in range(3)
            ]
            for p in range(3)
        ]
        for m in range(3)
    ]
    np.testing.assert_allclose(found[0], expected)


def test_data_that_is_not_here_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("ZEROSKIP_DATA", str(tmp_path))
    with pytest.raises(Absent, match=r"^nets/squeezenet_dc.npz is not in the shared data"):
        networks.squeezenet()
    assert spgemm.shapes() == tuple(s for s in spgemm.SHAPES if "," in s)


def test_the_kernels_are_compiled():
    """Interpreted ones would be timed as if they were ours."""
    assert toolchain.find().command


def test_expected_charges_are_measured_of_every_preset_that_takes_a_density(monkeypatch):
    monkeypatch.setattr(charges, "SHAPES", {"I": (1, 4, 6, 6), "F": (6, 4, 3, 3)})
    monkeypatch.setattr(charges, "EVALUATIONS", 2)
    monkeypatch.setattr(charges, "POINTS", 640)
    found = charges.expected(2)
    names = ("dense", "eyeriss", "eyeriss-v2", "eyeriss-v2-pe", "scnn", "scnn-lanes")
    assert {f"one expected evaluation, {name}" for name in names} <= {f.name for f in found}
    assert "640 points of a sweep, energy_pj" in {f.name for f in found}
    assert all(len(f.runs_s) == 2 and f.most_s in (2e-3, 1.0) for f in found)
    assert all(f.note.startswith("off single charges by at most") for f in found[len(names) :])


def test_a_whole_network_with_another_count_is_no_figure(monkeypatch):
    layer = charges.zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]")
    arrays = np.ones((1, 2, 4, 4)), np.ones((3, 2, 2, 2))
    monkeypatch.setattr(charges, "squeezenet", lambda: [(layer, *arrays)])
    with pytest.raises(RuntimeError, match="384 products, 216 effectual"):
        charges.network(1)


def test_a_small_product_is_no_figure_of_a_large_one(monkeypatch):
    rng = generator()
    small = charges.graph(rng, nodes=60, edges=200)
    assert small.shape == (60, 60)
    assert 0 < small.nnz <= 200
    monkeypatch.setattr(charges, "graph", lambda _: small)
    with pytest.raises(RuntimeError, match="multiplications"):
        charges.products(1)

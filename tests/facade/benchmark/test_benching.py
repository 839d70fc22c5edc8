"""`bench`: what is timed, that it is checked, what the table says.  No times."""

import sys
from contextlib import nullcontext

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.benchmark import benching, cases, notes, peers
from zeroskip.benchmark.benching import bench
from zeroskip.benchmark.cases import make_case
from zeroskip.formats.values import dtype_of

FAST = {"budget_s": 0.05}
CONV = zs.layer("O[n,m,p,q] = relu(B[m] + I[n,c,p+r,q+s]*F[m,c,r,s])", pad=1)


PEERS = ("numpy", "scipy")


def kernels(table):
    return list(dict.fromkeys(table["kernel"]))


@pytest.fixture(scope="module")
def conv_table():
    rng = np.random.default_rng(0)
    image = np.maximum(rng.standard_normal((1, 4, 10, 10)), 0).astype(np.float32)
    return bench(
        CONV,
        I=image,
        F=zs.Density((16, 4, 3, 3), 0.2),
        B=np.ones(16, np.float32),
        formats=["CSR", "RLE(4)"],
        peers=PEERS,
        **FAST,
    )


# ---- the table --------------------------------------------------------------------------


def test_one_operand_the_other_and_both(conv_table):
    assert kernels(conv_table) == [
        "NumPy BLAS, im2col",
        "NumPy BLAS, im2col free",
        "zeroskip dense (F bound)",
        "SciPy I CSR, im2col free",
        "SciPy F CSR, im2col free",
        "SciPy F CSR × I CSR, im2col free",
        "zeroskip I CSR (F bound)",
        "zeroskip I RLE(4) (F bound)",
        "zeroskip F CSR (F bound)",
        "zeroskip F CSR",
        "zeroskip F RLE(4) (F bound)",
        "zeroskip F RLE(4)",
        "zeroskip I CSR, F CSR (F bound)",
        "zeroskip I CSR, F CSR",
        "zeroskip I RLE(4), F RLE(4) (F bound)",
        "zeroskip I RLE(4), F RLE(4)",
    ]


def test_columns_and_units(conv_table):
    assert conv_table.names == (
        "kernel",
        "I_density",
        "F_density",
        "time_s",
        "low_s",
        "high_s",
        "speedup",
        "executed",
        "effectual",
        "gflops",
        "bound_s",
        "of_bound",
        "max_error",
        "schedule",
        "formats",
    )
    for row in conv_table:
        assert 0 < row["low_s"] <= row["time_s"] <= row["high_s"]
        assert row["max_error"] < 1e-5
        assert row["gflops"] == pytest.approx(2e-9 * row["effectual"] / row["time_s"])
        assert row["of_bound"] == pytest.approx(row["bound_s"] / row["time_s"])
    assert set(conv_table["F_density"]) == {round(0.2 * 576) / 576}
    assert max(conv_table["speedup"]) >= 1
    dense = [row for row in conv_table if not row["formats"]]
    assert max(row["speedup"] for row in dense) == pytest.approx(1)


def test_counts_in_the_table(conv_table):
    rows = {row["kernel"]: row for row in conv_table}
    total = 16 * 100 * 4 * 9
    assert rows["NumPy BLAS, im2col"]["executed"] == total
    counted = {row["effectual"] for row in conv_table}
    assert len(counted) == 1
    assert rows["SciPy F CSR × I CSR, im2col free"]["executed"] == counted.pop()
    stored = round(rows["zeroskip F CSR (F bound)"]["F_density"] * 16 * 4 * 9)
    for kernel in ("zeroskip F CSR (F bound)", "zeroskip I CSR, F CSR (F bound)"):
        packed = rows[kernel]["executed"]  # each entry meets every place, and its vectors' rest
        assert stored * 100 <= packed < stored * 2 * 100
        assert rows[kernel]["effectual"] < packed


def test_notes_say_how_it_was_timed(conv_table):
    text = "\n".join(conv_table.notes)
    assert "the fastest dense row is " in text
    assert "time_s: median of interleaved rounds" in text
    assert "bound: F packed before the timing" in text
    assert "im2col free, SciPy: the bare product" in text
    assert "checked against the dense reference: 16 answers" in text
    assert "1 thread; BLAS pinned to as many" in text
    assert f"numpy {np.__version__}" in text


def test_a_sweep_makes_the_public_snippet_work(monkeypatch):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    conv = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s]*F[m,c,r,s]", pad=1)
    x = np.random.default_rng(1).standard_normal((1, 4, 8, 8)).astype(np.float32)
    table = zs.bench(
        conv,
        I=x,
        F=zs.Density((16, 4, 3, 3), np.geomspace(0.01, 1, 3)),
        formats=["CSR", "bitmask"],
        **FAST,
    )
    assert len(table) == 3 * len(kernels(table))
    assert len(set(table["F_density"])) == 3
    verdicts = [note for note in table.notes if note.startswith("zeroskip F")]
    assert len(verdicts) == 4
    axes = table.plot(x="F_density", y="time_s")
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == kernels(table)
    matplotlib.pyplot.close(axes.figure)


def test_the_seed_decides_the_operands_and_formats_do_not():
    layer = zs.layer("y[i] = A[i,j]*x[j]")
    given = {"A": zs.Density((16, 16), [0.1, 0.5]), "x": np.ones(16)}
    first, second = (list(benching.draws(layer, given, 7)) for _ in range(2))
    for a, b in zip(first, second, strict=True):
        assert np.array_equal(a["A"], b["A"])
        assert a["A"].dtype == np.float64
    (other, _) = benching.draws(layer, given, 8)
    assert not np.array_equal(first[0]["A"], other["A"])


def test_two_sweeps_make_every_combination():
    layer = zs.layer("C[i,j] = A[i,k]*B[k,j]")
    given = {"A": zs.Density((8, 8), [0.25, 0.5]), "B": zs.Density((8, 8), [0.125, 0.5, 1])}
    found = [
        tuple(int((x != 0).sum()) for x in p.values()) for p in benching.draws(layer, given, 0)
    ]
    assert found == [(16, 8), (16, 32), (16, 64), (32, 8), (32, 32), (32, 64)]


def test_a_tensor_keeps_its_format_and_its_explicit_zeros():
    stored = zs.Tensor.from_coords([[0, 1, 2], [0, 1, 3]], [1.0, 0.0, 2.0], (3, 4), "COO")
    table = bench("y[i] = A[i,j]*x[j]", A=stored, x=np.ones(4), **FAST)
    (row,) = [r for r in table if r["kernel"].startswith("zeroskip A")]
    assert row["kernel"] == "zeroskip A COO (A bound)"
    assert (row["executed"], row["effectual"]) == (3, 2)


def test_formats_by_operand_and_dense_ones_left_out():
    table = bench(
        "C[i,j] = A[i,k]*B[k,j]",
        zs.Density((8, 8), 0.5),
        zs.Density((8, 8), 0.5),
        formats={"B": ["dense", "CSC"]},
        **FAST,
    )
    ours = [k for k in kernels(table) if k.startswith("zeroskip")]
    assert ours == ["zeroskip dense (B bound)", "zeroskip B CSC (B bound)", "zeroskip B CSC"]


def test_what_is_bound():
    table = bench("y[i] = A[i,j]*x[j]", np.eye(8), np.ones(8), bound=[], formats="CSR", **FAST)
    assert [k for k in kernels(table) if k.startswith("zeroskip")] == [
        "zeroskip dense",
        "zeroskip A CSR",
    ]


def test_modelled_columns_with_an_architecture():
    layer = zs.layer("y[i] = A[i,j]*x[j]")
    a = np.eye(8, dtype=np.float32)
    table = bench(layer, a, np.ones(8, np.float32), formats="CSR", arch="scnn", **FAST)
    charged = zs.charge(layer, "scnn", a, np.ones(8, np.float32))
    for row in table:
        wanted = charged if row["formats"] else charged.baseline
        assert (row["cycles"], row["energy_pj"]) == (wanted.cycles, wanted.energy_pj)
    assert any(note.startswith("cycles, energy_pj: modelled by charge()") for note in table.notes)


@pytest.mark.parametrize(
    ("text", "shapes", "first"),
    [
        ("O[m,r] = T[m,j,k]*B[j,r]*C[k,r]", [(3, 4, 5), (4, 6), (5, 6)], "NumPy einsum"),
        ("S[i,j] = Q[i,k]*K[j,k]\nE[i,j] = exp(S[i,j])", [(3, 4), (5, 4)], "zeroskip dense"),
        ("O[n,h] max= I[n,c,h]", [(2, 3, 4)], "zeroskip dense"),
        ("d = A[i,j]*B[i,j]", [(3, 4), (3, 4)], "NumPy BLAS"),
        ("y[i] = A[i,j]*x[j]", [(0, 4), (4,)], "NumPy BLAS"),
    ],
)
def test_layers_of_other_kinds(text, shapes, first):
    rng = np.random.default_rng(0)
    table = bench(text, *(rng.random(shape) for shape in shapes), formats={}, **FAST)
    assert kernels(table)[0].startswith(first)
    assert any("checked against the dense reference" in note for note in table.notes)


@pytest.mark.parametrize("dtype", [np.int32, np.int8, np.bool_])
def test_whole_numbers_are_exact(dtype):
    a, b = (zs.Density((12, 12), 0.4).sample(seed, dtype) for seed in (1, 2))
    table = bench("C[i,j] = A[i,k]*B[k,j]", a, b, formats="CSR", **FAST)
    assert set(table["max_error"]) == {0.0}
    assert "zeroskip A CSR, B CSR (A bound)" in kernels(table)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("text", ["O[m,n] = A[m,k]*X[k,n]", "O[m,n] = tanh(A[m,k]*X[k,n])"])
def test_halves_are_judged_by_their_own_steps(text, dtype):
    rng, half = np.random.default_rng(0), dtype_of(dtype)
    a, x = (rng.standard_normal(shape).astype(half) for shape in [(24, 40), (40, 16)])
    a[rng.random(a.shape) < 0.5] = 0
    table = bench(text, a, x, formats={"A": "CSR"}, **FAST)
    assert "zeroskip A CSR (A bound)" in kernels(table)
    assert table.title.endswith(f", {dtype}")
    case = make_case(zs.layer(text), {"A": a, "X": x})
    wrong = np.nextafter(case.layer(a, x).astype("f4") * 1.05, 9).astype(half)
    with pytest.raises(zs.KernelError, match="This is a fault"):
        case.error(peers.Way("p", lambda: wrong, np.asarray, 0, True))


def test_halves_that_are_too_large_are_as_large_as_the_reference():
    a = np.full((2, 64), 200, np.float16)
    case = make_case(zs.layer("y[i] = A[i,j]*x[j]"), {"A": a, "x": a[0]})
    for sign, fault in ((1, False), (-1, True)):
        found = np.full(2, sign * np.inf, np.float16)
        way = peers.Way("p", lambda found=found: found, np.asarray, 0, True)
        with pytest.raises(zs.KernelError) if fault else nullcontext():
            assert case.error(way) == 0


def test_torch_takes_part_where_it_is_loaded():
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    layer = zs.layer("O[n,m,p,q] = I[n,c,2*p+2*r,q+s]*F[m,c,r,s]", pad={"I": {"h": 1}})
    table = bench(
        layer,
        rng.random((2, 3, 9, 8), np.float32),
        rng.random((4, 3, 3, 3), np.float32),
        peers=["torch"],
        **FAST,
    )
    assert kernels(table)[0] == "torch conv2d"
    assert table["max_error"][0] < 1e-5
    table = bench("C[i,j] = A[i,k]*B[k,j]", np.eye(4), np.eye(4), peers=["torch"], **FAST)
    assert kernels(table)[0] == "torch matmul"


# ---- a wrong answer, a wrong call -------------------------------------------------------


def test_a_wrong_answer_is_an_error(monkeypatch):
    def wrong(product, operands):
        (way,) = [w for w in blas(product, operands) if "im2col" not in w.name]
        return [peers.Way("a peer", lambda: way.call() + 1e-3, way.answer, 0, True)]

    blas = peers.blas
    monkeypatch.setattr(peers, "blas", wrong)
    with pytest.raises(zs.KernelError) as error:
        bench("y[i] = A[i,j]*x[j]", np.eye(4), np.ones(4), **FAST)
    assert str(error.value) == (
        "a peer answers 1.001 at [0], the dense reference 1.0\n"
        "This is a fault of zeroskip; nothing was timed."
    )


def test_a_wrong_shape_is_an_error():
    case = make_case(zs.layer("y[i] = A[i,j]*x[j]"), {"A": np.eye(4), "x": np.ones(4)})
    with pytest.raises(zs.KernelError, match=r"p answers with shape \(3,\), the reference with"):
        case.error(peers.Way("p", lambda: np.ones(3), np.asarray, 0, True))


def test_rounding_is_judged_by_the_scale_of_the_operands():
    a = np.array([[1e4, -1e4, 1e-4]], np.float32)
    case = make_case(zs.layer("y[i] = A[i,j]*x[j]"), {"A": a, "x": np.ones(3, np.float32)})
    assert case.error(peers.Way("p", lambda: np.zeros(1, np.float32), np.asarray, 0, True)) == 1.0
    with pytest.raises(zs.KernelError):
        case.error(peers.Way("p", lambda: np.ones(1, np.float32), np.asarray, 0, True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threads": 0}, "threads: expected a whole number of 1 or more, found 0"),
        ({"seed": -1}, "seed: expected a whole number of 0 or more, found -1"),
        ({"seed": 1.5}, "seed: expected a whole number of 0 or more, found 1.5"),
        ({"budget_s": 0}, "budget_s: expected a number of seconds above 0, found 0"),
        ({"bound": ["Z"]}, "bound: expected any of A, x, found 'Z'"),
        ({"peers": ["mkl"]}, "peers: expected any of numpy, scipy, torch, found 'mkl'"),
        ({"formats": {"Z": "CSR"}}, "formats names Z, which is no operand: A, x"),
        ({"formats": "CRS"}, "CRS"),
        ({"formats": {"A": "a:U b:C c:C"}}, "the tensor has 2 axes"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(zs.ZeroskipError) as error:
        bench("y[i] = A[i,j]*x[j]", np.eye(4), np.ones(4), **options)
    assert message in str(error.value)


def test_infinities_are_refused():
    with pytest.raises(zs.TensorError) as error:
        bench("y[i] = A[i,j]*x[j]", np.full((4, 4), np.inf), np.ones(4))
    assert str(error.value).startswith("A holds NaN or infinity: 0 times those is NaN")


def test_without_a_compiler_the_peers_remain(monkeypatch):
    for module in (cases, notes):
        monkeypatch.setattr(module, "has_compiler", lambda: False)
    table = bench("y[i] = A[i,j]*x[j]", np.eye(4), np.ones(4), formats="CSR", **FAST)
    assert kernels(table) == ["NumPy BLAS", "SciPy A CSR"]
    assert any(note.startswith("no C compiler: ") for note in table.notes)


def test_without_threadpoolctl_the_notes_say_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    table = bench("y[i] = A[i,j]*x[j]", np.eye(4), np.ones(4), formats="CSR", **FAST)
    assert any("BLAS was NOT pinned" in note for note in table.notes)
    assert "kernel unknown" in table.notes[-1]


def test_too_slow_to_try_is_left_out(monkeypatch):
    monkeypatch.setattr(benching, "SLOWEST_S_PER_MULTIPLICATION", 1.0)
    table = bench("y[i] = A[i,j]*x[j]", np.eye(4), np.eye(4)[0], formats="CSR", **FAST)
    assert [k for k in kernels(table) if "x CSR" in k and k.startswith("zeroskip")] == []
    assert any(n.startswith("left out, as too slow for the budget: x CSR") for n in table.notes)


def test_a_layer_without_operands_has_no_peers():
    assert [name.split()[0] for name in kernels(bench("y = 3", **FAST))] == ["zeroskip"]


def test_a_budget_is_a_number():
    with pytest.raises(zs.ZeroskipError) as caught:
        bench("y = x[i]", np.ones(2), budget_s="1")
    assert "budget_s: expected a number of seconds above 0, found '1'" in str(caught.value)

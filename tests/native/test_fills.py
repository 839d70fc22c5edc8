"""Operands whose fill is not 0: read right in every format, walked wherever that is right."""

import numpy as np
import pytest
from judges import Call, check, prepare

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.convert import from_coords, tensor
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine
from zeroskip.native.absence import folded
from zeroskip.native.forms import right_side
from zeroskip.native.reference import evaluate
from zeroskip.native.show import show

INF, NAN = np.inf, np.nan
FORMATS = ["CSR", "CSC", "COO", "bitmask", "RLE(1)", "C U", "0:B 1:U", "R(1) R(1)", "0*1:H(3:3)"]


def filled(rng, shape, fill, dtype="float64", density=0.4):
    """Small numbers at random places, ``fill`` elsewhere, with an empty row and column."""
    kept = rng.random(shape) < density
    kept[:1] = kept[:, -1:] = False
    return np.where(kept, rng.integers(1, 9, shape), fill).astype(dtype)


def judged(text, dense, stored, **more):
    """A call, and what NumPy says of the dense operands."""
    spec = make_spec(text, **more)
    return Call(spec, stored, evaluate(spec, dense)[spec.results[-1]], 1e3)


def run(text, backend="c", **operands):
    spec = make_spec(text)
    return engine.evaluate(spec, operands, backend=backend)[spec.results[-1]]


def nest(text, **operands):
    return show(prepare(Call(make_spec(text), operands, np.zeros(0)))[0].lowered.kernel)


WALKED = [
    ("D[i,j] min= A[i,k] + B[k,j]", INF),
    ("D[i,j] max= A[i,k] + B[k,j]", -INF),
    ("D[i,j] max= min(A[i,k], B[k,j])", -INF),
    ("D[i,j] min= max(A[i,k], B[k,j])", INF),
    ("D[i,j] min= relu(A[i,k])*2 + B[k,j]", INF),
    ("D[i,j] |= A[i,k]*B[k,j]", 0),
    ("D[i,j] = A[i,k]*B[k,j]", 0),
]
LOOKED_UP = [
    ("D[i,j] *= A[i,k]*B[k,j]", 1),
    ("D[i,j] &= A[i,k] + B[k,j]", 1),
    ("D[i,j] = A[i,k]*B[k,j]", 3),
    ("D[i,j] = A[i,j]*2 - B[j,i]", 0.5),
    ("D[i,j] = sum[k](A[i,k]) + B[i,j]", -1),
    ("D[i,j] max= A[i,k] + B[k,j]", 7),
    ("D[i] min= A[i,k]*B[k,i]", -2),
    ("D[i,j] = exp(A[i,j] + B[i,j])", 1),
]


@pytest.mark.parametrize("b_format", [None, "CSR", "CSC", "RLE(1)"])
@pytest.mark.parametrize(("text", "fill"), WALKED + LOOKED_UP)
def test_every_format_gives_what_numpy_gives(text, fill, b_format):
    rng = np.random.default_rng(3)
    square = "B[j,i]" in text or "B[i,j]" in text or "B[k,i]" in text
    calls = []
    for a_format in FORMATS:
        a, b = (
            filled(rng, (5, 5 if square else 6), fill),
            filled(rng, (5 if square else 6, 5), fill),
        )
        stored = {"A": tensor(a, a_format, fill=fill)}
        stored["B"] = b if b_format is None else tensor(b, b_format, fill=fill)
        calls.append(judged(text, {"A": a, "B": b}, stored))
    check(calls)


@pytest.mark.parametrize(("text", "fill"), WALKED)
def test_loops_follow_the_stored_entries_where_the_fill_adds_nothing(text, fill):
    a = filled(np.random.default_rng(0), (5, 6), fill)
    shown = nest(text, A=tensor(a, "CSR", fill=fill), B=tensor(a.T.copy(), "CSR", fill=fill))
    assert "in A.k[i]:  # compressed" in shown
    assert "in B.j[k]:  # compressed" in shown
    assert "find" not in shown


def test_loops_visit_every_point_where_the_fill_adds_something():
    a = tensor(filled(np.random.default_rng(0), (5, 6), 3), "CSR", fill=3)
    shown = nest("y[i] = A[i,k]*x[k]", A=a, x=np.ones(6))
    assert "# A: 0:U 1:C, float64, fill 3.0" in shown
    assert "for k in [0, K)" in shown
    assert "(A[pA_k] or 3)" in shown


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "bool", "float32"])
def test_every_type_has_its_fill(dtype):
    rng = np.random.default_rng(1)
    fills = {"bool": [1], "float32": [0.1, -INF], "int8": [-128, 3]}
    for fill in fills.get(dtype, [-1, np.iinfo("int32").max]):
        a = filled(rng, (4, 5), fill, dtype)
        stored = {"A": tensor(a, "C C", fill=fill)}
        check(
            [
                judged(text, {"A": a}, stored)
                for text in ("y[i] = A[i,j]", "y[j] max= A[i,j] + 1", "y[i] *= A[i,j]*A[i,j]")
            ]
        )


def test_a_wrapped_sum_is_no_identity():
    """The least int32 less one is the greatest, which is what min= starts from."""
    least = np.iinfo("int32").min
    text = "y[i] max= relu(A[i,j] - 1)"
    (form,) = make_spec(text).forms
    assert folded(right_side(form), form.reads, {"A": 5}) == 4
    assert folded(right_side(form), form.reads, {"A": least}) is None
    a = filled(np.random.default_rng(1), (4, 5), least, "int32")
    check([judged(text, {"A": a}, {"A": tensor(a, "CSR", fill=least)})])


@pytest.mark.parametrize("spec", FORMATS)
def test_an_absent_infinity_absorbs_what_numpy_makes_nan_of(spec):
    """Absent is absent: no path stays no path, also over an edge of minus infinity."""
    a = np.full((3, 4), INF)
    a[0, 3], a[1, 1], a[2, 0] = 1, 2, 5
    x = np.array([1, -INF, NAN, 4])
    given = {"A": tensor(a, spec, fill=INF), "x": x}
    for backend in ("c", "interpreter"):
        assert run("y[i] min= A[i,j] + x[j]", backend, **given).tolist() == [5, -INF, 6]
        assert run("y[i,j] min= A[i,j] + x[j]", backend, **given)[0].tolist() == [INF] * 3 + [5]
        assert run("y[i] min= relu(A[i,j]) + x[j]", backend, **given).tolist() == [5, -INF, 6]


def test_a_stored_infinity_is_a_number_like_any_other():
    a = from_coords([[0, 0], [1, 2]], [INF, 1.0], (1, 4), "CSR", fill=INF)
    x = np.array([0, -INF, 3, NAN])
    assert np.isnan(run("y[i] min= A[i,j] + x[j]", A=a, x=x)).all()
    assert run("y[i] min= A[i,j] + x[j]", A=a, x=np.array([0, 5, 3, NAN])).tolist() == [4]


def test_two_infinities_that_are_absent_make_nan():
    """Neither sign absorbs the other, so that no loop may skip either."""
    a = tensor(np.array([INF, 1, INF]), "C", fill=INF)
    b = tensor(np.array([-INF, -INF, 2]), "C", fill=-INF)
    for backend in ("c", "interpreter", "numpy"):
        got = run("y[i] min= A[i] + B[i]", backend, A=a, B=b)
        assert np.array_equal(got, [NAN, -INF, INF], equal_nan=True)
        got = run("y min= A[i] - A[i]", backend, A=a)
        assert np.isnan(got)


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
@pytest.mark.parametrize("spec", FORMATS)
def test_a_fill_of_nan_is_read_as_one(spec, backend):
    a = np.array([[NAN, 2, NAN], [NAN] * 3, [1, NAN, 3]])
    A = tensor(a, spec, fill=NAN)
    assert np.array_equal(run("y[i,j] = A[i,j] + 1", backend, A=A), a + 1, equal_nan=True)
    assert np.isnan(run("y[i] max= A[i,j]", backend, A=A)).all()
    assert run("y[i] = sum[j](where(A[i,j] == A[i,j], A[i,j], 0))", backend, A=A).tolist() == [
        2,
        0,
        4,
    ]


def test_a_kernel_is_kept_for_a_fill_of_nan():
    made = [tensor(np.array([NAN, 2]), "C", fill=NAN) for _ in range(2)]
    kernels = [prepare(Call(make_spec("y[i] = A[i] + 1"), {"A": a}, np.zeros(0)))[0] for a in made]
    assert kernels[0] is kernels[1]


@pytest.mark.parametrize("spec", ["C", "B", "R(1)"])
def test_padding_is_0_and_what_is_absent_the_fill(spec):
    x = np.array([INF, 2, INF, INF, 3])
    stored = {"x": tensor(x, spec, fill=INF)}
    check(
        [
            judged(
                "y[p] = x[p+r]*f[r]",
                {"x": x, "f": [1, 2]},
                {**stored, "f": np.array([1, 2])},
                pad={"x": (1, 1)},
            )
        ]
    )
    skip = {"x": {0: (1, 2), "value": "skip"}}
    for text in ("y[p] min= x[2*p+r]", "y[p] max= 0 - x[2*p+r]"):
        check([judged(text, {"x": x}, stored, sizes={"r": 3}, pad=skip)])


FOLDED = [
    ("D[i,j] max= A[i,k]*B[k,j]", 0),
    ("D[i,j] min= A[i,k]*B[k,j]", 0),
    ("D[i] max= A[i,k] - 3", 1),
    ("D[i,j] max= exp(A[i,j])", -INF),
    ("D[i,j] max= max(A[i,k], B[k,j])", 0),
    ("D[j] min= where(k < j, A[k,j], 0)", 0),
    ("D[j] |= (A[k,j] == 2)", 2),
    ("D[i] &= A[i,k]", 0),
]


@pytest.mark.parametrize("spec", FORMATS)
@pytest.mark.parametrize(("text", "fill"), FOLDED)
def test_what_a_maximum_leaves_out_is_folded_in_once(text, fill, spec):
    """Full fibers, empty ones, and no points at all."""
    rng = np.random.default_rng(5)
    calls = []
    for extent in (5, 1, 0):
        for sign in (1, -1):
            a = sign * filled(rng, (5, extent), sign * fill, density=0.6)
            if extent > 1:
                a[2] = sign * 7.0
            b = sign * filled(rng, (extent, 5), sign * fill, density=0.6)
            a, b = (b, a.T.copy()) if "A[k,j]" in text else (a, b)
            given = {"A": a, "B": b} if "B[" in text else {"A": a}
            stored = {name: tensor(x, spec, fill=fill) for name, x in given.items()}
            calls.append(judged(text, given, stored))
    check(calls)


def test_loops_follow_what_a_maximum_folds():
    a = tensor(np.eye(4), "CSR")
    shown = nest("D[i] max= A[i,k]", A=a)
    assert "in A.k[i]:  # compressed" in shown
    assert "D_visits[i] += 1" in shown
    assert "if given < K:\n    D[i] max= 0" in shown
    assert "visits" not in nest("D[i] max= A[i,k]", A=np.eye(4))
    assert "visits" not in nest(
        "D[i] max= relu(A[i,k])*x[k] + y[k]", A=a, x=np.ones(4), y=np.ones(4)
    )


def test_a_maximum_starts_from_what_the_result_holds():
    a = tensor(np.array([[0, -2.0], [-3, -4]]), "CSR")
    for backend in ("c", "interpreter", "numpy"):
        out = np.array([-1.0, -5])
        spec = make_spec("D[i] max= A[i,k]")
        engine.evaluate(spec, {"A": a}, backend=backend, out=out)
        assert out.tolist() == [0, -3]


@pytest.mark.parametrize("spec", ["C", "B", "R(2)"])
def test_windows_that_leave_padding_out_are_looked_up(spec):
    x = np.array([-1, -2.0, 0, 0, -3, -4, -5])
    call = judged(
        "y[p] max= x[2*p+r]",
        {"x": x},
        {"x": tensor(x, spec)},
        sizes={"r": 3},
        pad={"x": {0: (1, 1), "value": "skip"}},
    )
    assert "visits" not in prepare(call)[0].c_text
    check([call])


ROWS = [
    ("D[i,j] min= A[i,k] + B[k,j]", INF, "float64"),
    ("D[j,i] max= A[i,k] + B[k,j]", -INF, "float32"),
    ("D[i,j] min= A[i,j]", np.iinfo("int32").max, "int32"),
    ("D[i,j] |= A[i,k]*B[k,j]", 0, "int64"),
    ("D[i,j] *= A[i,j]", 1, "float64"),
    ("D[i,j] min= min(A[i,j], B[j,i])", INF, "float64"),
    ("D[i,k] += relu(A[i,j]*B[j,k])", 0, "float64"),
    ("D[i,k] += A[i,j]*B[j,k]", 0, "int32"),
]


@pytest.mark.parametrize("spec", FORMATS)
@pytest.mark.parametrize(("text", "fill", "dtype"), ROWS)
def test_sparse_results_of_other_reductions_are_assembled(text, fill, dtype, spec, monkeypatch):
    rng = np.random.default_rng(9)
    a, b = filled(rng, (6, 6), fill, dtype), filled(rng, (6, 6), fill, dtype)
    given = {"A": a, "B": b} if "B[" in text else {"A": a}
    stored = {name: tensor(x, spec, fill=fill) for name, x in given.items()}
    want = evaluate(make_spec(text), given)["D"]
    monkeypatch.setattr(Tensor, "from_dense", None)  # nothing is computed densely and compressed
    for backend in ("c", "interpreter"):
        made = engine.evaluate(make_spec(text), stored, format="CSR", backend=backend)["D"]
        assert made.fill == fill
        assert made.stored < made.size
        assert np.array_equal(made.toarray(), want)

"""Places read from index tensors: gather, scatter, and what is refused at run time."""

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError, KernelError
from zeroskip.formats.convert import tensor
from zeroskip.native.engine import evaluate

BACKENDS = ("c", "interpreter", "numpy")


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("format", [None, "CSR", "COO", "bitmask"])
def test_an_embedding_reads_rows(backend, format):
    rng = np.random.default_rng(0)
    W = rng.standard_normal((5, 3)) * (rng.random((5, 3)) < 0.5)
    X = np.array([[0, 4], [2, 2]], np.int32)
    spec = make_spec("Y[n,t,e] = W[X[n,t],e]")
    given = {"W": W if format is None else tensor(W, format), "X": X}
    assert np.array_equal(evaluate(spec, given, backend=backend)["Y"], W[X])


@pytest.mark.parametrize("backend", BACKENDS)
def test_max_unpooling_puts_values_at_their_places(backend):
    spec = make_spec("O[n,X[n,p]] = I[n,p]", sizes={"O": (2, 6)})
    given = {"X": np.array([[0, 3], [5, 1]]), "I": np.array([[1.0, 2.0], [3.0, 4.0]])}
    want = [[1, 0, 0, 2, 0, 0], [0, 4, 0, 0, 0, 3]]
    assert evaluate(spec, given, backend=backend)["O"].tolist() == want


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_histogram_adds_up(backend):
    spec = make_spec("H[X[n]] += w[n]", sizes={"H": (4,)})
    given = {"X": np.array([1, 3, 1, 1]), "w": np.array([1, 2, 3, 4])}
    assert evaluate(spec, given, backend=backend)["H"].tolist() == [0, 8, 0, 2]


@pytest.mark.parametrize("backend", BACKENDS[:2])
@pytest.mark.parametrize("place", [3, -1])
def test_a_place_that_is_not_there_is_named(backend, place):
    spec = make_spec("Y[n,e] = W[X[n],e]")
    with pytest.raises(KernelError) as caught:
        evaluate(spec, {"W": np.ones((3, 2)), "X": np.array([0, place])}, backend=backend)
    assert str(caught.value) == (
        "X[n] names a place that axis 0 of W, of extent 3, does not have\n"
        "  Y[n,e] = W[X[n],e]\n"
        "Places are 0 to 2."
    )


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("format", [None, "C", "B"])
def test_a_place_that_is_divided_is_rounded_down(backend, format):
    spec = make_spec("Y[n] = W[2+X[n]//2]")
    W = np.arange(1.0, 6.0)
    given = {"W": W if format is None else tensor(W, format), "X": np.arange(-4, 6)}
    want = W[[0, 0, 1, 1, 2, 2, 3, 3, 4, 4]]
    assert np.array_equal(evaluate(spec, given, backend=backend)["Y"], want)


@pytest.mark.parametrize("backend", BACKENDS[:2])
@pytest.mark.parametrize("text", ["Y[n] = W[X[n]//2]", "Y[X[n]//2] += W[n]"])
def test_a_place_just_below_0_is_not_there_where_it_is_divided(backend, text):
    spec = make_spec(text, sizes={"Y": (2,)})
    with pytest.raises(KernelError, match=r"names a place that axis 0 of [WY], of extent 2, does"):
        evaluate(spec, {"W": np.ones(2), "X": np.array([0, -1])}, backend=backend)


@pytest.mark.parametrize("backend", BACKENDS[:2])
def test_a_place_that_is_written_twice_is_named(backend):
    spec = make_spec("O[X[n]] = w[n]", sizes={"O": (4,)})
    with pytest.raises(KernelError) as caught:
        evaluate(spec, {"X": np.array([2, 0, 2]), "w": np.ones(3)}, backend=backend)
    assert str(caught.value) == (
        "= writes O[2] more than once\n"
        "  O[X[n]] = w[n]\n"
        "Say how what arrives at one place combines: += adds it up, max= keeps the largest."
    )


def test_an_extent_that_depends_on_data_is_asked_for():
    spec = make_spec("O[n,X[n,p]] = I[n,p]")
    with pytest.raises(EinsumError) as caught:
        spec.extents({"X": (2, 3), "I": (2, 3)})
    assert str(caught.value) == (
        "axis 1 of O is addressed by X, so its extent would depend on data\n"
        "  O[n,X[n,p]] = I[n,p]\n"
        "      ^^^^^^\n"
        'Give the shape of the result: sizes={"O": (..., 9)}.'
    )


def test_places_are_integers():
    spec = make_spec("Y[n] = W[X[n]]")
    with pytest.raises(KernelError) as caught:
        evaluate(spec, {"W": np.ones(3), "X": np.ones(2)})
    assert str(caught.value) == (
        "X names places, and holds float64\n  Y[n] = W[X[n]]\n           ^^^^\n"
        "Pass integers: X.astype('int64')."
    )


@pytest.mark.parametrize("backend", ["c", "interpreter"])
@pytest.mark.parametrize(
    ("text", "far", "near"),
    [
        ("2*X[n]", -(2**63), [0, 2]),
        ("4*X[n]+1", 2**62, [1, 5]),
        ("(4*X[n]+1)//3", 2**62, [0, 1]),
        ("(4*X[n]+n)//5", -(2**62), [0, 1]),
        ("X[n]+3*(X[n]//2)", 2**62, [0, 1]),
    ],
)
def test_a_place_that_wraps_around_is_none(text, far, near, backend):
    spec = make_spec(f"y[n] = A[{text}]")
    with pytest.raises(KernelError, match="names a place that axis 0 of A, of extent 8"):
        evaluate(spec, {"A": np.arange(8.0), "X": np.array([far, 1])}, backend=backend)
    with pytest.raises(EinsumError, match=r"A is read at -?\d{19,20} on axis 0, which ends at 7"):
        evaluate(spec, {"A": np.arange(8.0), "X": np.array([far, 1])}, backend="numpy")
    found = evaluate(spec, {"A": np.arange(8.0), "X": np.array([0, 1])}, backend=backend)
    assert found["y"].tolist() == near


@pytest.mark.parametrize("backend", ["numpy", "interpreter", "c"])
def test_places_whose_parts_pass_64_bits_may_be_there(backend):
    spec = make_spec("y[n] = A[4*X[n] - 4*Z[n] + n]")
    far = np.array([2**62, -(2**61), 5])
    given = {"A": np.arange(8.0), "X": far, "Z": far - [1, 0, 1]}
    assert evaluate(spec, given, backend=backend)["y"].tolist() == [4, 1, 6]


@pytest.mark.parametrize("backend", ["numpy", "interpreter", "c"])
@pytest.mark.parametrize(
    ("text", "want"),
    [("B[X[n],X[n]]", [0, 10, 20]), ("B[X[n]//2+X[n],X[n]-X[n]//2]", [0, 10, 28])],
)
def test_an_index_tensor_may_be_read_more_than_once_at_a_point(text, want, backend):
    b = np.arange(81.0).reshape(9, 9)
    found = evaluate(make_spec(f"y[n] = {text}"), {"B": b, "X": np.arange(3)}, backend=backend)
    assert found["y"].tolist() == want

import numpy as np
import pytest

from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import TensorError
from zeroskip.native.dtypes import arithmetic, form_arithmetic, form_result, identity
from zeroskip.native.engine import evaluate


def form(text, consts=None):
    (statement,) = parse(text).statements
    return elaborate(statement, consts)


@pytest.mark.parametrize(
    ("operands", "computed"),
    [
        ("bool", "int64"),
        ("int8", "int32"),
        ("int16", "int32"),
        ("uint8", "int32"),
        ("int32", "int32"),
        ("uint32", "int64"),
        ("int64", "int64"),
        ("uint64", "uint64"),
        ("float16", "float32"),
        ("float32", "float32"),
        ("float64", "float64"),
        ("bool int8", "int32"),
        ("int8 int64", "int64"),
        ("int8 float32", "float32"),
        ("int32 float32", "float64"),
        ("bool float32", "float32"),
        ("float32 float64", "float64"),
        ("", "int64"),
    ],
)
def test_operands_decide_the_arithmetic(operands, computed):
    assert arithmetic(operands.split()) == np.dtype(computed)


@pytest.mark.parametrize("dtype", ["complex64", "U3", "datetime64[s]", "O"])
def test_what_is_no_real_number_is_refused(dtype):
    with pytest.raises(TensorError, match=r"cannot be computed with; expected one of bool, int8"):
        arithmetic(["float32", dtype])


def test_a_fraction_widens_integers_but_not_floats():
    assert form_arithmetic(form("y[i] = 0.5 * x[i]"), {"x": "int8"}) == np.float64
    assert form_arithmetic(form("y[i] = 0.5 * x[i]"), {"x": "float32"}) == np.float32
    assert form_arithmetic(form("y[i] = 2 * x[i]"), {"x": "int8"}) == np.int32
    assert form_arithmetic(form("y[i] = exp(x[i])"), {"x": "int32"}) == np.float64
    assert form_arithmetic(form("y[i] = relu(x[i])"), {"x": "int32"}) == np.int32


def test_scalars_count_by_what_they_are():
    scaled = form("y[i] = a * x[i]")
    assert form_arithmetic(scaled, {"x": "int8"}, {"a": 2}) == np.int32
    assert form_arithmetic(scaled, {"x": "int8"}, {"a": 0.5}) == np.float64
    assert form_arithmetic(scaled, {"x": "int8", "a": "int64"}) == np.int64
    assert form_arithmetic(form("y[i] = I * x[i]"), {"x": "int8"}) == np.int32


def test_or_and_and_give_bools():
    assert form_result(form("y[m] |= A[m,k]"), {"A": "float32"}) == np.bool_
    assert form_arithmetic(form("y[m] |= A[m,k]"), {"A": "float32"}) == np.float32
    assert form_result(form("y[m] += A[m,k]"), {"A": "bool"}) == np.int64


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint64", "float32", "float64", "bool"])
@pytest.mark.parametrize("reduction", ["+", "*", "max", "min", "|", "&"])
def test_the_identity_changes_nothing(reduction, dtype):
    operation = {
        "+": np.add,
        "*": np.multiply,
        "max": np.maximum,
        "min": np.minimum,
        "|": np.logical_or,
        "&": np.logical_and,
    }[reduction]
    if dtype == "bool" or reduction in "|&":
        values = np.array([False, True])
        start = np.array(identity(reduction, "bool"), bool)
    else:
        limits = np.finfo if dtype.startswith("float") else np.iinfo
        values = np.array([limits(dtype).min, 0, 1, limits(dtype).max], dtype)
        start = np.array(identity(reduction, dtype), dtype)
    assert np.array_equal(operation(start, values), values)


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
def test_a_number_that_does_not_fit_the_arithmetic_is_refused(backend):
    spec = make_spec("y[i] = 3000000000*x[i]")
    wide = evaluate(spec, {"x": np.ones(2, np.int64)}, backend=backend)["y"]
    assert wide.tolist() == [3_000_000_000] * 2
    with pytest.raises(TensorError) as caught:
        evaluate(spec, {"x": np.ones(2, np.int8)}, backend=backend)
    assert str(caught.value) == (
        "the number 3000000000 has no value in int32, which this line is computed in "
        "(-2147483648 .. 2147483647)\n"
        "Convert an operand with .astype('int64') or .astype('float64')."
    )


@pytest.mark.parametrize("backend", ["c", "interpreter"])
@pytest.mark.parametrize(
    ("text", "dtype", "wanted"),
    [
        ("y[i] = 3*1000000000*x[i]", "int64", 3_000_000_000),
        ("y[i] = x[i] + 2000000000 + 2000000000", "int64", 4_000_000_001),
    ],
)
def test_numbers_among_themselves_are_computed_in_the_arithmetic(text, dtype, wanted, backend):
    found = evaluate(make_spec(text), {"x": np.ones(2, dtype)}, backend=backend)["y"]
    assert found.dtype == dtype
    assert found.tolist() == [wanted] * 2


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
def test_unsigned_branches_of_comparisons_alone(backend):
    x = np.array([3, 0, 2**63], np.uint64)
    spec = make_spec("y[i] = where(x[i] != 0, (i <= 1)*((i <= 2) - (i != 7)), x[i])")
    assert evaluate(spec, {"x": x}, backend=backend)["y"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
def test_rounding_leaves_whole_numbers_of_any_size(backend):
    x = np.array([2**64 - 1, 2**63 + 1, 0], np.uint64)
    for name in ("floor", "ceil"):
        found = evaluate(make_spec(f"y[i] = {name}(x[i])"), {"x": x}, backend=backend)["y"]
        assert found.dtype == np.uint64
        assert found.tolist() == x.tolist()

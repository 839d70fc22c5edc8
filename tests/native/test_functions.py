import math

import numpy as np
import pytest
from judges import Call, check

from zeroskip.einsum_spec.functions import POINTWISE
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.native import engine
from zeroskip.native.functions import FUNCTIONS


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


NUMPY = {
    "relu": lambda x: np.maximum(x, 0),
    "abs": np.abs,
    "sign": np.sign,
    "floor": np.floor,
    "ceil": np.ceil,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "tanh": np.tanh,
    "sigmoid": sigmoid,
    "gelu": lambda x: x * np.array([math.erfc(-v / math.sqrt(2)) for v in x]) / 2,
    "swish": lambda x: x / (1 + np.exp(-x)),
}
FRACTIONS = {"exp", "log", "sqrt", "tanh", "sigmoid", "gelu", "swish"}


def test_every_function_of_the_language_can_be_computed():
    assert set(FUNCTIONS) - {"truth"} == set(POINTWISE) == set(NUMPY)


@pytest.mark.parametrize("dtype", ["float64", "float32", "int8", "int32", "int64", "bool"])
def test_functions_agree_with_numpy(dtype):
    x = np.array([-3.5, -1, -0.25, 0, 0.25, 1, 2, 9.75]).astype(dtype)
    calls = []
    for name, function in NUMPY.items():
        with np.errstate(all="ignore"):
            wide = x.astype(np.float64 if dtype.startswith("float") or name in FRACTIONS else int)
            want = np.asarray(function(wide))
        if want.dtype.kind == "f" and not (dtype.startswith("float") or name in FRACTIONS):
            want = want.astype(np.int64)  # np.floor of whole numbers
        spec = make_spec(f"y[i] = {name}(x[i])")
        calls.append(Call(spec, {"x": x}, want, np.maximum(np.abs(want), 1)))
    with np.errstate(all="ignore"):
        check(calls)


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
def test_functions_at_the_ends_of_the_line(backend):
    x = np.array([np.nan, np.inf, -np.inf, -0.0])
    nan, inf = np.nan, np.inf
    want = {
        "relu": [nan, inf, 0, 0],
        "abs": [nan, inf, inf, 0],
        "sign": [nan, 1, -1, 0],
        "floor": [nan, inf, -inf, 0],
        "ceil": [nan, inf, -inf, 0],
        "exp": [nan, inf, 0, 1],
        "log": [nan, inf, nan, -inf],
        "sqrt": [nan, inf, nan, 0],
        "tanh": [nan, 1, -1, 0],
        "sigmoid": [nan, 1, 0, 0.5],
        "gelu": [nan, inf, nan, 0],
        "swish": [nan, inf, nan, 0],
    }
    for name, expected in want.items():
        got = engine.evaluate(make_spec(f"y[i] = {name}(x[i])"), {"x": x}, backend=backend)["y"]
        np.testing.assert_array_equal(got, expected, err_msg=name)

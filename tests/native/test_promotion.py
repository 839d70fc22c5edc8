"""Types and values of results beside NumPy's: every pair of types, every operation, three judges.

NumPy says what an operation gives once the operands have the type that the line is computed in;
docs/dtypes.md says which that is.
"""

import itertools

import numpy as np
import pytest
from judges import Call, prepare, prime

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import TensorError
from zeroskip.formats.tensor import Tensor
from zeroskip.formats.values import DTYPES, HALVES, dtype_of
from zeroskip.native import engine

BACKENDS = ("c", "interpreter", "numpy")
WIDER = dict.fromkeys(("int8", "int16", "uint8", "uint16"), "int32")
WIDER |= {"bool": "int64", "uint32": "int64"} | dict.fromkeys(HALVES, "float32")
BESIDE_BFLOAT16 = dict.fromkeys(("bool", "int8", "uint8", "bfloat16"), "bfloat16")
BESIDE_BFLOAT16 |= dict.fromkeys(("int16", "uint16", "float16", "float32"), "float32")

OPERATIONS = {
    "O[i] = a[i] + b[i]": np.add,
    "O[i] = a[i] - b[i]": np.subtract,
    "O[i] = a[i]*b[i]": np.multiply,
    "O[i] = a[i]/b[i]": np.true_divide,
    "O[i] = max(a[i], b[i])": np.maximum,
    "O[i] = min(a[i], b[i])": np.minimum,
    "O[i] = (a[i] < b[i])": np.less,
    "O[i] = where(a[i] >= b[i], a[i], b[i])": lambda a, b: np.where(a >= b, a, b),
    "O = a[i]*b[i]": lambda a, b: np.add.reduce(a * b, dtype=a.dtype),
}


def promoted(a, b):
    """The name of the type that NumPy has for both."""
    if "bfloat16" in (a, b):
        return BESIDE_BFLOAT16.get(b if a == "bfloat16" else a, "float64")
    return np.result_type(a, b).name


def values(name, seed):
    """Zero, one, the ends of the type, and some between."""
    rng = np.random.default_rng(seed)
    dtype = dtype_of(name)
    if name == "bool":
        return rng.random(8) < 0.5
    if "float" in name:
        return (rng.integers(-40, 40, 8) / 8).astype(dtype)
    ends = np.iinfo(dtype)
    some = [0, 1, ends.min, ends.max, ends.max - 1, ends.max // 2 + 1, 3, 100]
    return rng.permutation(np.array(some, dtype))


def expected(operation, a, b):
    joint = promoted(a.dtype.name, b.dtype.name)
    computed = np.dtype(WIDER.get(joint, joint))
    with np.errstate(all="ignore"):
        if operation is np.less:  # NumPy compares integers of any two types exactly
            both = a.dtype.kind in "biu" and b.dtype.kind in "biu"
            wide = (a, b) if both else (a.astype(computed), b.astype(computed))
            return operation(*wide).astype(np.int64)
        got = operation(a.astype(computed), b.astype(computed))
    return got.astype(dtype_of(joint)) if joint in HALVES else got


def alike(got, want):
    wide = np.float64 if got.dtype.name in HALVES else got.dtype
    nan = got.dtype.kind in "fV"
    return got.dtype == want.dtype and np.array_equal(
        got.astype(wide), want.astype(wide), equal_nan=nan
    )


@pytest.mark.parametrize("text", OPERATIONS)
def test_every_pair_of_types_gives_what_numpy_gives(text):
    spec, calls = make_spec(text), []
    for k, (one, other) in enumerate(itertools.combinations_with_replacement(DTYPES, 2)):
        first, second = (one, other) if k % 2 else (other, one)
        given = {"a": values(first, k), "b": values(second, k + 1)}
        if k % 3 == 0:  # as a tensor that stores everything, so that absent is nothing
            given["a"] = Tensor.from_coords([np.arange(8)], given["a"], (8,), "C")
        calls.append((given, expected(OPERATIONS[text], values(first, k), given["b"])))
    prime(prepare(Call(spec, given, want))[0].c_text for given, want in calls)
    for given, want in calls:
        for backend in BACKENDS:
            got = engine.evaluate(spec, given, backend=backend)["O"]
            assert alike(got, want), (backend, given, got, got.dtype, want, want.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_numbers_of_the_line_are_as_weak_as_pythons(dtype):
    a = values(dtype, 3)
    for number, python in (("3", 3), ("0.5", 0.5)):
        spec = make_spec(f"O[i] = {number}*a[i]")
        wide = WIDER.get(dtype, dtype)
        with np.errstate(all="ignore"):
            want = a.astype(wide) * python
        want = want.astype(a.dtype) if dtype in HALVES else want
        for backend in BACKENDS:
            assert alike(engine.evaluate(spec, {"a": a}, backend=backend)["O"], want)


# ---- beyond 2**63 -----------------------------------------------------------------------

FAR = np.array([2**64 - 1, 0, 2**63, 2**63 + 1, 5, 2**63 - 1], np.uint64)
NEAR = np.array([-1, 0, 2**63 - 1, 7, 5, -(2**63)], np.int64)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("fmt", [None, "C", "B", "R(2)"])
def test_uint64_beyond_2_to_the_63(fmt, backend):
    a = FAR if fmt is None else Tensor.from_dense(FAR, fmt)

    def run(text, **given):
        return engine.evaluate(make_spec(text), given, backend=backend)["O"]

    for text, want in (
        ("O max= a[i]", FAR.max()),
        ("O min= a[i]", FAR.min()),
        ("O = a[i]", FAR.sum()),
        ("O = argmax[i](a[i])", FAR.argmax()),
        ("O = argmin[i](a[i])", FAR.argmin()),
        ("O = sum[i](a[i] > 4611686018427387904)", (FAR > 2**62).sum()),
        ("O[i] = abs(a[i]) + relu(a[i]) - sign(a[i])", 2 * FAR - np.sign(FAR)),
        ("O[i] = (a[i] > i - 3)", np.arange(6) - 3 < FAR),
        ("O[i] = (a[i]*1 > -1)", np.ones(6)),
    ):
        assert run(text, a=a).tolist() == want.tolist(), text
    for op in ("<", "<=", "==", "!=", ">=", ">"):
        want = [eval(f"x {op} y") for x, y in zip(FAR.tolist(), NEAR.tolist(), strict=True)]
        assert run(f"O[i] = (a[i] {op} n[i])", a=a, n=NEAR).tolist() == want
        back = [eval(f"y {op} x") for x, y in zip(FAR.tolist(), NEAR.tolist(), strict=True)]
        assert run(f"O[i] = (n[i] {op} a[i])", a=a, n=NEAR).tolist() == back
    scalar = np.asarray(FAR[0])
    assert run("O[i] = s*a[i]", a=a, s=scalar).tolist() == (FAR * FAR[0]).tolist()
    assert run("O[i] = s*x[i]", x=np.ones(2), s=scalar).tolist() == [2.0**64] * 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_integers_wrap_around(backend):
    a = np.array([2**31 - 1, -(2**31)], np.int32)
    got = engine.evaluate(make_spec("O[i] = a[i] + a[i]"), {"a": a}, backend=backend)["O"]
    assert got.tolist() == (a + a).tolist() == [-2, 0]
    small = np.full(2**17 + 1, 127, np.int8)  # its products fill int32 twice
    got = engine.evaluate(make_spec("O = a[i]*a[i]"), {"a": small}, backend="c")["O"]
    want = (2**17 + 1) * 127**2
    assert got == (want + 2**31) % 2**32 - 2**31


def test_complex_numbers_are_refused_by_name():
    with pytest.raises(TensorError) as caught:
        engine.evaluate(make_spec("O = a[i]"), {"a": np.ones(3, np.complex128)})
    assert str(caught.value) == (
        f"a: expected values of type {', '.join(DTYPES)}; found complex128\n"
        "Store the real and the imaginary part as two tensors."
    )

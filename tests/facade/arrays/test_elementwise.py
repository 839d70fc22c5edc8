"""Operators and NumPy's functions on tensors, against NumPy on dense copies."""

import operator

import numpy as np
import pytest

import zeroskip as zs

RNG = np.random.default_rng(20)
OPERATORS = [
    operator.add,
    operator.sub,
    operator.mul,
    np.maximum,
    np.minimum,
    operator.eq,
    operator.ne,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]
SHAPES = [((3, 4), (3, 4)), ((3, 1), (4,)), ((2, 3, 4), (3, 1)), ((0, 3), (3,)), ((5,), (5,))]


def draw(shape, dtype="f8", format="CSR", rng=RNG):
    x = (rng.integers(-3, 4, shape) * (rng.random(shape) < 0.5)).astype(dtype)
    return x, zs.tensor(x, format)


def dense(result):
    return result.toarray() if isinstance(result, zs.Tensor) else result


def agree(result, expected):
    found = dense(result)
    assert found.dtype == expected.dtype
    assert np.shape(found) == np.shape(expected)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.__name__)
def test_operators_of_two_tensors(op, shapes):
    x, t = draw(shapes[0])
    y, u = draw(shapes[1], format="COO")
    result = op(t, u)
    assert isinstance(result, zs.Tensor)
    agree(result, op(x, y))


@pytest.mark.parametrize("pair", [("f4", "i1"), ("i1", "i1"), ("?", "?"), ("i8", "f4")], ids=str)
@pytest.mark.parametrize("op", [operator.add, operator.mul, operator.le, np.maximum])
def test_types_are_promoted_as_numpy_does(op, pair):
    x, t = draw((4, 5), pair[0])
    y, u = draw((4, 5), pair[1], "bitmask")
    agree(op(t, u), op(x, y))


def test_small_integers_wrap_around():
    x = np.full((2, 2), 100, np.int8)
    agree(zs.tensor(x, "CSR") + zs.tensor(x, "CSR"), x + x)


@pytest.mark.parametrize(
    ("op", "number"),
    [
        (operator.add, 2),
        (operator.mul, -1.5),
        (operator.pow, 2),
        (operator.truediv, 4),
        (operator.floordiv, 2),
        (operator.mod, 3),
        (operator.gt, 0),
        (operator.eq, 0),
        (np.arctan2, 1.0),
        (np.maximum, np.float32(1)),
    ],
)
@pytest.mark.parametrize("format", ["CSR", "RLE(2)", "bitmask", "dense", "2:2"])
def test_a_number_maps_what_is_stored_and_the_fill(op, number, format):
    x, t = draw((3, 6), format=format)
    result = op(t, number)
    agree(result, op(x, number))
    assert result.format == t.format
    assert result.stored == t.stored
    agree(op(number, t + 5), op(number, x + 5))


@pytest.mark.parametrize("ufunc", [np.negative, np.abs, np.sin, np.exp, np.cos, np.sqrt, np.isnan])
def test_functions_of_one_tensor(ufunc):
    x = np.abs(draw((4, 4))[0])
    result = ufunc(zs.tensor(x, "CSR"))
    agree(result, ufunc(x))
    assert result.fill == ufunc(np.float64(0))


def test_a_dense_operand_that_is_absorbed_leaves_the_result_sparse():
    x, t = draw((3, 4))
    y = RNG.standard_normal(4)
    for result, expected in ((t * y, x * y), (y * t, y * x), (t / y, x / y)):
        assert isinstance(result, zs.Tensor)
        assert result.stored <= t.stored
        agree(result, expected)


def test_what_is_absent_stays_absent_times_infinity():
    t = zs.tensor([[0.0, 2.0]], "CSR")
    assert (t * np.array([np.inf, np.inf])).toarray().tolist() == [[0.0, np.inf]]


def test_a_dense_operand_that_fills_every_place_makes_an_array():
    x, t = draw((3, 4))
    y = RNG.standard_normal((3, 4))
    for result, expected in ((t + y, x + y), (y - t, y - x), (np.maximum(y, t), np.maximum(y, x))):
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, expected)


def test_fills_combine():
    x, t = draw((3, 4))
    y, u = draw((3, 4))
    result = (t + 1.0) * (u + 2.0)
    assert result.fill == 2.0
    agree(result, (x + 1.0) * (y + 2.0))
    assert ((t == u).fill, (t != u).fill) == (True, False)


def test_large_tensors_are_compared_in_the_memory_of_their_entries():
    n = 2**20
    t = zs.Tensor.from_coords([[5, n - 1], [0, 8]], [1, 2], (n, n), "CSR")
    u = zs.Tensor.from_coords([[5, 7], [0, 8]], [1, 2], (n, n), "CSR")
    assert (t == u).stored == 3
    assert not (t == u).all()
    assert (t == t.copy()).all()
    assert (t + 3).fill == 3


def test_truths():
    x, t = draw((4, 4), "?")
    y, u = draw((4, 4), "?")
    for op in (operator.and_, operator.or_, operator.xor, np.logical_and, np.logical_or):
        agree(op(t, u), op(x, y))
    agree(~t, ~x)
    with pytest.raises(TypeError, match="boolean subtract"):
        t - u


def test_operands_of_other_libraries():
    import scipy.sparse

    x, t = draw((3, 4))
    m = scipy.sparse.csr_array(x)
    agree(t + m, x + x)
    agree(t * [1, 2, 3, 4], x * [1, 2, 3, 4])
    agree(t - zs.tensor(2.0), x - 2.0)
    with pytest.raises(TypeError, match="unsupported operand"):
        t + "text"
    with pytest.raises(zs.TensorError, match="complex128"):
        t + np.array([1j])


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda t: np.arctan2(t, t), "np.arctan2 of several operands"),
        (lambda t: np.modf(t), "np.modf"),
        (lambda t: np.add.outer(t, t), "np.add.outer"),
        (lambda t: np.add.accumulate(t), "np.add.accumulate"),
        (lambda t: np.hypot.reduce(t), "np.hypot.reduce"),
        (lambda t: t // t, "np.floor_divide of several operands"),
    ],
)
def test_what_would_be_densified_is_refused_by_name(call, name):
    with pytest.raises(zs.TensorError, match=f"{name} of a tensor would have to be .* densely"):
        call(draw((3, 3))[1])


def test_refusals():
    _, t = draw((3, 4), "i4")
    with pytest.raises(zs.TensorError, match="power of two operands of type int32 is not exact"):
        t**t
    with pytest.raises(zs.TensorError, match=r"shapes \(3, 4\) and \(3,\) cannot be broadcast"):
        t + np.ones(3)
    with pytest.raises(zs.TensorError, match=r"np.add of a tensor takes no where="):
        np.add(t, 1, where=np.ones((3, 4), bool))
    with pytest.raises(zs.TensorError, match=r"shape \(3, 4\) is ambiguous"):
        bool(t == t)
    with pytest.raises(TypeError, match="unhashable"):
        hash(t)


def test_what_a_tensor_contains():
    t = zs.tensor(np.eye(3), "CSR")
    assert 1 in t
    assert 0 in t
    assert 2 not in t
    assert None not in t
    assert "a" not in t


def test_out():
    x, t = draw((3, 4))
    out = np.empty((3, 4))
    assert np.add(t, t, out=out) is out
    np.testing.assert_array_equal(out, x + x)
    assert np.add(out, t, out=out) is out
    np.testing.assert_array_equal(out, 3 * x)
    y = x.copy()
    y += t
    np.testing.assert_array_equal(y, 2 * x)
    with pytest.raises(zs.TensorError, match=r"expected a float64 array of shape \(3, 4\), found"):
        np.add(t, t, out=np.empty((4, 3)))
    with pytest.raises(zs.TensorError, match="found int32 of shape"):
        np.add(t, t, out=np.empty((3, 4), "i4"))
    with pytest.raises(zs.TensorError, match="Tensor, which is immutable"):
        np.add(t, t, out=t)
    kept = t
    t += 1.0
    assert t is not kept
    agree(kept, x)

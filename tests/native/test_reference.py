import itertools
import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.einsum_spec.elaborate import elaborate
from zeroskip.einsum_spec.extents import solve
from zeroskip.einsum_spec.parse import parse
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import EinsumError
from zeroskip.native import reference
from zeroskip.native.reference import boxes, evaluate_form, evaluate_forms


def values(text, pad=None, sizes=None, consts=None, **operands):
    """Every result of the lines of ``text``."""
    forms = [elaborate(statement, consts) for statement in parse(text).statements]
    shapes = {name: np.shape(value) for name, value in operands.items()}
    return evaluate_forms(forms, operands, solve(forms, shapes, sizes, consts, pad))


def value(text, **others):
    results = values(text, **others)
    return results[list(results)[-1]]


def whole(rng, *shape, dtype=np.int64):
    return rng.integers(-5, 6, shape).astype(dtype)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


# Hands the form extents that no solver has seen, so that its checks are met.
@dataclass
class Extents:
    ranks: dict
    shapes: dict
    pads: dict = field(default_factory=dict)
    constants: dict = field(default_factory=dict)
    skipped: frozenset = frozenset()


@pytest.mark.parametrize(
    ("text", "numpy", "shapes"),
    [
        ("y[i] = A[i,j] * x[j]", "ij,j->i", [(3, 4), (4,)]),
        ("C[i,j] = A[i,k] * B[k,j]", "ik,kj->ij", [(3, 4), (4, 2)]),
        ("C[j,i] = A[i,k] * B[k,j]", "ik,kj->ji", [(3, 4), (4, 2)]),
        ("d = A[i,i]", "ii->", [(3, 3)]),
        ("t[i] = A[i,i]", "ii->i", [(3, 3)]),
        ("M[i,r] = T[i,j,k] * B[j,r] * C[k,r]", "ijk,jr,kr->ir", [(2, 3, 4), (3, 2), (4, 2)]),
        ("O[i,j] = a[i] * b[j]", "i,j->ij", [(3,), (2,)]),
        ("y[i] = A[i,j] * x[j]", "ij,j->i", [(0, 4), (4,)]),
        ("y[i] = A[i,j] * x[j]", "ij,j->i", [(3, 0), (0,)]),
        ("y[i] = A[i,j] * x[j]", "ij,j->i", [(1, 1), (1,)]),
    ],
)
@pytest.mark.parametrize("points", [1, 5, 2**22])
def test_products_agree_with_einsum_however_they_are_cut(
    rng, monkeypatch, text, numpy, shapes, points
):
    monkeypatch.setattr(reference, "POINTS", points)
    monkeypatch.setattr(reference, "RESULT_POINTS", min(points, 3))
    form = elaborate(parse(text).statements[0], written=True)
    arrays = [whole(rng, *shape) for shape in shapes]
    operands = {a.tensor: x for a, x in zip(form.terms[0].accesses, arrays, strict=True)}
    got = value(text, **operands)
    assert got.dtype == np.int64
    assert np.array_equal(got, np.einsum(numpy, *arrays))


@given(
    st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(0, 2), st.integers(0, 2),
    st.integers(0, 3), st.sampled_from([1, 7, 2**22]),
)  # fmt: skip
def test_a_convolution_is_what_its_definition_says(taps, stride, dilation, lo, hi, extra, points):
    size = max(dilation * (taps - 1) + 1 + extra - lo - hi, 1)
    rng = np.random.default_rng(size)
    image, filters = whole(rng, 2, size), whole(rng, 3, 2, taps)
    padded = np.pad(image, [(0, 0), (lo, hi)])
    steps = (padded.shape[1] - dilation * (taps - 1) - 1) // stride + 1
    expected = np.zeros((3, steps), np.int64)
    for m, p, c, r in itertools.product(range(3), range(steps), range(2), range(taps)):
        expected[m, p] += padded[c, stride * p + dilation * r] * filters[m, c, r]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reference, "POINTS", points)
        patch.setattr(reference, "RESULT_POINTS", 1)
        got = value(
            f"O[m,p] = I[c,{stride}*p+{dilation}*r] * F[m,c,r]",
            pad={"I": {1: (lo, hi)}},
            I=image,
            F=filters,
        )
    assert np.array_equal(got, expected)


@given(st.lists(st.integers(0, 6), max_size=4), st.integers(1, 40))
def test_boxes_cover_the_space_once_in_order(extents, points):
    seen = []
    for box in boxes(tuple(extents), points):
        assert math.prod(len(r) for r in box) <= points
        seen += itertools.product(*box)
    assert seen == list(itertools.product(*(range(n) for n in extents)))


def test_each_term_is_summed_over_its_own_ranks(rng):
    b, w, x = whole(rng, 3), whole(rng, 3, 4), whole(rng, 4, 2)
    got = value("O[m,p] = B[m] + 2*W[m,c]*I[c,p] - 1", B=b, W=w, I=x)
    assert np.array_equal(got, b[:, None] + 2 * w @ x - 1)


def test_a_reduction_at_the_assignment_covers_the_whole_right_side(rng):
    b, a = whole(rng, 3), whole(rng, 3, 4)
    assert np.array_equal(value("y[m] += B[m] + A[m,k]", B=b, A=a), 4 * b + a.sum(1))
    assert np.array_equal(value("y[m] max= B[m] + A[m,k]", B=b, A=a), b + a.max(1))
    assert np.array_equal(value("y[m] += relu(A[m,k])", A=a), np.maximum(a, 0).sum(1))
    assert np.array_equal(value("y[m] = relu(A[m,k])", A=a), np.maximum(a.sum(1), 0))


@pytest.mark.parametrize(
    ("op", "method"),
    [("+=", "sum"), ("*=", "prod"), ("max=", "max"), ("min=", "min"), ("|=", "any"), ("&=", "all")],
)
@pytest.mark.parametrize("points", [1, 2**22])
def test_every_reduction(rng, monkeypatch, op, method, points):
    monkeypatch.setattr(reference, "POINTS", points)
    monkeypatch.setattr(reference, "RESULT_POINTS", 1)
    a = rng.integers(0, 3, (5, 4, 2))
    got = value(f"y[m] {op} A[m,k,l]", A=a)
    expected = getattr(a, method)((1, 2))
    assert got.dtype == expected.dtype
    assert np.array_equal(got, expected)


def test_an_empty_reduction_is_its_identity():
    empty = np.zeros((2, 0), np.int8)
    least, greatest = np.iinfo(np.int32).min, np.iinfo(np.int32).max
    assert value("y[m] max= A[m,k]", A=empty).tolist() == [least, least]
    assert value("y[m] min= A[m,k]", A=empty).tolist() == [greatest, greatest]
    assert value("y[m] *= A[m,k]", A=empty).tolist() == [1, 1]
    assert value("y[m] &= A[m,k]", A=empty).tolist() == [True, True]
    assert value("y[m] = exp(A[m,k])", A=empty).tolist() == [1.0, 1.0]
    assert value("y[m] max= A[m,k]", A=empty.astype(np.float32)).tolist() == [-np.inf, -np.inf]


def test_out_is_where_a_reduction_starts():
    form = elaborate(parse("y[m] max= A[m,k]").statements[0])
    extents = Extents({"m": 2, "k": 2}, {"y": (2,), "A": (2, 2)})
    got = evaluate_form(form, {"A": np.array([[1, 2], [3, 4]])}, extents, out=np.array([9, 0]))
    assert got.tolist() == [9, 4]


def test_scatter_adds_and_leaves_the_rest_at_zero():
    x, f = np.array([1, 2, 3]), np.array([10, 100])
    assert value("O[2*p+r] += I[p]*F[r]", I=x, F=f).tolist() == [10, 100, 20, 200, 30, 300]
    assert value("O[p+r] += I[p]*F[r]", I=x, F=f).tolist() == [10, 120, 230, 300]
    got = value("D[2*i] = x[i]", x=x)
    assert got.tolist()[:5] == [1, 0, 2, 0, 3]
    assert value("T[p//2] += x[p]", x=np.arange(5)).tolist() == [1, 5, 4]


def test_a_plain_assignment_that_reaches_a_place_twice_is_refused():
    form = elaborate(parse("O[p+r] += I[p]*F[r]").statements[0])
    plain = type(form)(form.target, None, None, form.terms, ())
    extents = Extents({"p": 2, "r": 2}, {"O": (3,), "I": (2,), "F": (2,)})
    ones = np.ones(2)
    with pytest.raises(EinsumError, match=r"'=' writes O\[1\] more than once\nWrite \+="):
        evaluate_form(plain, {"I": ones, "F": ones}, extents)


def test_reads_and_writes_out_of_range_are_named():
    form = elaborate(parse("O[p] += I[p+r]*F[r]").statements[0])
    data = {"I": np.ones(4), "F": np.ones(3)}
    shapes = {"O": (3,), "I": (4,), "F": (3,)}
    with pytest.raises(EinsumError, match="I is read at 4 on axis 0, which ends at 3"):
        evaluate_form(form, data, Extents({"p": 3, "r": 3}, shapes))
    assert evaluate_form(
        form, data, Extents({"p": 3, "r": 3}, shapes, {"I": ((1, 0),)})
    ).tolist() == [2, 3, 3]
    with pytest.raises(EinsumError, match="O is written at 2 on axis 0, which ends at 1"):
        evaluate_form(form, data, Extents({"p": 3, "r": 2}, {**shapes, "O": (2,)}))


def test_padding_of_an_empty_axis_reads_zeros():
    got = value("O[p] = I[p+r]*F[r]", pad={"I": {0: (2, 1)}}, I=np.ones(0), F=np.ones(2))
    assert got.tolist() == [0, 0]


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("relu", lambda x: max(x, 0.0)),
        ("exp", math.exp),
        ("tanh", math.tanh),
        ("sigmoid", lambda x: 1 / (1 + math.exp(-x))),
        ("abs", abs),
        ("sign", lambda x: (x > 0) - (x < 0)),
        ("gelu", lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2)))),
        ("swish", lambda x: x / (1 + math.exp(-x))),
        ("floor", math.floor),
        ("ceil", math.ceil),
        ("sqrt", lambda x: math.sqrt(x) if x >= 0 else math.nan),
        ("log", lambda x: math.log(x) if x > 0 else (-math.inf if x == 0 else math.nan)),
    ],
)
def test_functions_agree_with_the_mathematics(name, function):
    x = np.array([-3.5, -1.0, -0.25, 0.0, 0.25, 1.0, 2.0, 30.0])
    got = value(f"y[i] = {name}(x[i])", x=x)
    np.testing.assert_allclose(got, [function(v) for v in x.tolist()], rtol=1e-14, atol=0)


def test_every_function_of_the_language_is_known():
    from zeroskip.einsum_spec.functions import POINTWISE

    assert set(reference.POST) - {None} == set(POINTWISE)


def test_integers_wrap_and_floats_keep_what_they_are():
    x = np.array([2**30, 2**30, 2**30], np.int32)
    got = value("s = x[i]", x=x)
    assert got.dtype == np.int32
    assert int(got) == 3 * 2**30 - 2**32
    bad = np.array([np.nan, np.inf, 1.0])
    assert np.isnan(value("s = x[i] - x[i]", x=bad))
    assert np.isnan(value("s max= x[i]", x=bad))
    assert np.isnan(value("s = x[i]*z[i]", x=bad[1:], z=np.zeros(2)))


def test_float32_is_rounded_once():
    tiny = np.full(2**12, 2.0**-24, np.float32)
    got = value("s = a + x[i]", a=np.float32(1), x=tiny)
    assert got.dtype == np.float32
    assert got == np.float32(1 + 2.0**-12)


def test_lines_read_the_lines_before(rng):
    a = whole(rng, 3, 4)
    got = values("S[i] = A[i,j]\nM max= S[i]\nR[i] = S[i] - M", A=a)
    assert list(got) == ["S", "M", "R"]
    assert np.array_equal(got["R"], a.sum(1) - a.sum(1).max())


def test_constants_and_extents_in_subscripts_and_as_scalars(rng):
    x = whole(rng, 8)
    assert np.array_equal(value("y[p] = P*x[U*p]", consts={"U": 2}, x=x), 4 * x[::2])
    assert np.array_equal(value("T[4*p//P] += x[p]", sizes={"p": 8}, x=x), x.reshape(4, 2).sum(1))


def test_a_spec_is_evaluated_line_by_line(rng):
    spec = make_spec("S[p] = I[p+r]*F[r]\nO[p] = relu(S[p] - a)", {"a": 1}, pad={"I": {0: (1, 1)}})
    image, taps = whole(rng, 6), whole(rng, 3)
    got = reference.evaluate(spec, {"I": image, "F": taps})
    sums = np.correlate(np.pad(image, 1), taps, "valid")
    assert np.array_equal(got["S"], sums)
    assert np.array_equal(got["O"], np.maximum(sums - 1, 0))

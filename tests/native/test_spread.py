"""Fresh sparse operands that are made dense, where walking both operands takes longer."""

import numpy as np
import pytest
from generator import random_array
from hypothesis import given, settings
from hypothesis import strategies as st

import zeroskip as zs
from zeroskip.explanation.inspecting import choose
from zeroskip.formats.tensor import Tensor
from zeroskip.native import spread

CONV = zs.layer("O[n,m,p,q] = I[n,c,p+r,q+s] * F[m,c,r,s]", pad=1)
PRODUCT = zs.layer("C[i,j] = A[i,k] * B[k,j]")


def operands(seed=0, density=0.3, dtype="float32"):
    rng = np.random.default_rng(seed)
    return (
        random_array(rng, (1, 4, 9, 20), dtype, density),
        random_array(rng, (16, 4, 3, 3), dtype, 0.4),
    )


def said(layer, bound, **given):
    (found,) = choose(layer.spec, given, bound)
    return found.why


@settings(max_examples=30)
@given(
    st.sampled_from(["bitmask", "COO", "CSF", "0:U 2:U 3:U 1:C", "RLE(2)"]),
    st.sampled_from([0.0, 0.05, 0.6, 1.0]),
    st.sampled_from(["float32", "float64", "int32"]),
    st.integers(0, 999),
)
def test_results_are_those_of_the_dense_operand(format, density, dtype, seed):
    image, filters = operands(seed, density, dtype)
    bound = CONV.bind(F=Tensor.from_dense(filters, "CSR"))
    want = CONV(I=image, F=filters, backend="numpy")
    for _ in range(2):
        assert np.array_equal(bound(I=Tensor.from_dense(image, format)), want)


def test_explain_says_so():
    image, filters = operands()
    given = {"I": Tensor.from_dense(image, "bitmask"), "F": Tensor.from_dense(filters, "CSR")}
    assert "I is made dense first, at every call" in said(CONV, ("F",), **given)
    assert "made dense" not in said(CONV, ("F",), **(given | {"I": image}))


@pytest.mark.parametrize("other", [{"convert": False}, {"skip": "I"}, {"order": "n,c,r,s,p,q,m"}])
def test_who_asks_for_the_walk_has_it(other, monkeypatch):
    image, filters = operands()
    bound = CONV.bind(F=Tensor.from_dense(filters, "[m,c,r,s] c:C m*r*s:C"))
    given = Tensor.from_dense(image, "[n,c,h,w] n:U c:C h:C w:C")
    monkeypatch.setattr(Tensor, "toarray", lambda _: pytest.fail("it was made dense"))
    got = bound(I=given, **other)
    monkeypatch.undo()
    assert np.array_equal(got, CONV(I=image, F=filters, backend="numpy"))


def test_a_weight_that_is_not_finite_meets_no_zero():
    """An absent value times infinity is absent; a value that is there is not."""
    image, filters = operands()
    filters[0, 0, 0, 0] = np.inf
    stored = Tensor.from_dense(image, "bitmask")
    bound = CONV.bind(F=Tensor.from_dense(filters, "CSR"))
    assert np.array_equal(bound(I=stored), bound(I=stored, convert=False), equal_nan=True)
    image[0, 1, 3, 4] = np.nan
    bound = CONV.bind(F=Tensor.from_dense(operands()[1], "CSR"))
    got, walked = (
        bound(I=Tensor.from_dense(image, "bitmask"), convert=convert) for convert in (True, False)
    )
    assert np.isnan(got).any()
    assert np.array_equal(got, walked, equal_nan=True)


def test_few_entries_are_walked_and_what_has_no_room(monkeypatch):
    rng = np.random.default_rng(1)
    a = Tensor.from_dense(random_array(rng, (64, 128), "float32", 0.3), "CSR")

    def dense(density):
        b = random_array(rng, (128, 256), "float32", density)
        return "made dense" in said(PRODUCT, ("A",), A=a, B=Tensor.from_dense(b, "CSR"))

    assert dense(0.1)
    assert not dense(0.001)
    monkeypatch.setattr(spread, "ROOM", 4 * 128 * 256 - 1)
    assert not dense(0.1)


def test_an_operand_that_is_not_0_where_nothing_is_stored_stays():
    image, filters = operands()
    stored = Tensor.from_dense(image + 1, "bitmask", fill=1)
    bound = CONV.bind(F=Tensor.from_dense(filters, "CSR"))
    assert np.array_equal(bound(I=stored), CONV(I=image + 1, F=filters, backend="numpy"))


def test_of_two_fresh_operands_one_is_packed_at_every_call():
    """What that stores is looked at in each: an infinity meets no zero."""
    rng = np.random.default_rng(2)
    image = random_array(rng, (1, 32, 28, 28), "float32", 0.3)
    filters = random_array(rng, (32, 32, 3, 3), "float32", 0.2)
    given = {"I": Tensor.from_dense(image, "bitmask"), "F": Tensor.from_dense(filters, "CSR")}
    assert "made dense first" in said(CONV, (), **given)
    want = CONV(I=image, F=filters, backend="numpy")
    assert np.array_equal(CONV(**given), want)
    filters[0, 0, 0, 0] = np.inf
    given["F"] = Tensor.from_dense(filters, "CSR")
    assert np.array_equal(CONV(**given), CONV(**given, convert=False), equal_nan=True)
    assert not np.isnan(CONV(**given)).any()
    filters[0, 0, 0, 0] = 2
    given["F"] = Tensor.from_dense(filters, "CSR")
    assert np.array_equal(CONV(**given), CONV(I=image, F=filters, backend="numpy"))

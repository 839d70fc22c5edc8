"""Integers narrower than what they are computed in, under every schedule: equal to NumPy, which
wraps around as they do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from integers import NARROW, drawn, product

import zeroskip as zs
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native.fixed import Schedule

PRODUCT = zs.layer("C[i,j] = A[i,k]*B[k,j]")
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("kind", ["tiled", "lanes", "dots", None])
@pytest.mark.parametrize("width", [16, 32, 64])
@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(NARROW),
    st.sampled_from(NARROW),
    st.tuples(st.integers(1, 40), st.integers(1, 60), st.integers(1, 80)),
    st.booleans(),
    seeds,
)
def test_products(kind, width, left, right, shape, turned, seed):
    """Bound and not, of two types, the dense operand as it lies and turned."""
    rng = np.random.default_rng(seed)
    rows, inner, columns = shape
    a, b = drawn(rng, (rows, inner), left, 0.4), drawn(rng, (inner, columns), right)
    layer, given_ = PRODUCT, b
    if turned:
        layer, given_ = zs.layer("C[i,j] = A[i,k]*B[j,k]"), np.ascontiguousarray(b.T)
    held = Tensor.from_dense(a, str(rng.choice(["CSR", "bitmask", "CSC"])))
    fixed = None if kind is None else Schedule(kind, vector_bytes=width)
    for call in (
        lambda: layer(held, given_, schedule=fixed),
        lambda: layer.bind(A=held, schedule=fixed)(given_),
    ):
        try:
            got = call()
        except KernelError:  # it has no such schedule
            continue
        long = "uint32" in (left, right) or left == right == "bool"
        assert got.dtype == ("int64" if long else "int32")
        assert np.array_equal(got, product(a, b, got.dtype))


@pytest.mark.parametrize("kind", ["tiled", "lanes", None])
@settings(max_examples=25, deadline=None)
@given(st.sampled_from(NARROW[:3]), st.sampled_from(NARROW[:3]), st.integers(1, 2), seeds)
def test_convolutions(kind, left, right, step, seed):
    rng = np.random.default_rng(seed)
    filters, image = drawn(rng, (9, 5, 3, 3), left, 0.5), drawn(rng, (2, 5, 9, 11), right)
    layer = zs.layer(f"O[n,m,p,q] = I[n,c,{step}*p+r,{step}*q+s]*F[m,c,r,s]", pad=1)
    want = layer(I=image, F=filters, backend="numpy")
    bound = layer.bind(F=Tensor.from_dense(filters, "CSR"), schedule=kind and Schedule(kind))
    try:
        got = bound(I=image)
    except KernelError:
        assert kind == "lanes"
        return
    assert got.dtype == np.int32
    assert np.array_equal(got, want)


def test_products_of_narrow_integers_are_tiled():
    a = Tensor.from_dense(drawn(np.random.default_rng(1), (64, 64), "int8", 0.5), "CSR")
    text = str(zs.explain(PRODUCT, A=a, B=np.ones((64, 96), np.int8)))
    assert "tiled" in text

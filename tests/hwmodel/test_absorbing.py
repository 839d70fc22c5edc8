"""Which zeros make a term zero: what the form says, against values."""

from __future__ import annotations

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.einsum_spec.functions import POINTWISE
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.hwmodel.absorbing import FULL, absorbed, accesses_of

LINES = {
    "Z[m] = A[m]*B[m]": "AB",
    "Z[m] = A[m]/B[m]": "A",
    "Z[m] = A[m]*C[m]/(B[m] + 1)": "AC",
    "Z[m] = relu(A[m])*B[m]": "AB",
    "Z[m] = exp(A[m])*B[m]": "B",
    "Z[m] = sigmoid(A[m] - C[m])*B[m]": "B",
    "Z[m] = (A[m] - C[m])/sqrt(B[m] + 1)*G[m]": "G",
    "Z[m] = abs(A[m]*C[m] - A[m]*B[m])*G[m]": "AG",
    "Z[m] = max(A[m], 0)*B[m]": "AB",
    "Z[m] = min(A[m], C[m])*B[m]": "B",
    "Z[m] = (A[m] > 0)*B[m]": "AB",
    "Z[m] = (A[m] != C[m])*B[m]": "B",
    "Z[m] = where(A[m] > 0, C[m], C[m]*G[m])*B[m]": "BC",
    "Z[m] = pow(A[m], 2)*B[m]": "AB",
    "Z[m] = pow(A[m], 0)*B[m]": "B",
}


@pytest.mark.parametrize(("text", "names"), LINES.items())
def test_what_absorbs_makes_nothing_of_anything(text, names):
    """By the layer itself: with a zero of one operand, and what may be elsewhere."""
    spec = make_spec(text)
    (term,) = spec.forms[0].terms
    assert sorted(access.tensor for access in absorbed(term)) == sorted(names)
    assert sorted(access.tensor for access in accesses_of(term)) == sorted(spec.operands)
    rng = np.random.default_rng(1)
    values = {name: rng.uniform(0.5, 2, 40) for name in spec.operands}
    for name in spec.operands:
        got = np.asarray(zs.layer(text)(**values | {name: np.zeros(40)}, backend="numpy"))
        if name in names:
            assert not got.any()


@pytest.mark.parametrize("design", ["dense", "eyeriss", "scnn", "eyeriss-v2"])
@pytest.mark.parametrize(("text", "names"), LINES.items())
def test_charges_count_the_zeros_that_absorb(design, text, names):
    rng = np.random.default_rng(2)
    operands = {n: (rng.random(40) < 0.5) * 1.0 + 0.0 for n in make_spec(text).operands}
    found = zs.charge(text, design, **operands)
    zeros = np.logical_or.reduce([operands[name] == 0 for name in names])
    assert found.ops["effectual"] == 40 - zeros.sum()
    assert sum(n for name, n in found.ops.items() if name != "dense") == 40
    if design == "scnn":
        assert found.ops["ineffectual"] == 0


def test_a_function_of_each_point_that_makes_something_of_zero_is_not_skipped():
    """exp(0) is 1, and is summed; relu(0) is 0, and need not be."""
    A = np.eye(6)
    kept = zs.charge("Z[m] = sum[k](exp(A[m,k]))", "scnn", A=A)
    assert (kept.ops["skipped"], kept.ops["ineffectual"]) == (0, 30)
    assert "+= of exp: a zero counts, so nothing is gated or skipped" in kept.assumptions
    left = zs.charge("Z[m] = sum[k](relu(A[m,k]))", "scnn", A=A)
    assert (left.ops["skipped"], left.ops["ineffectual"]) == (30, 0)


@pytest.mark.parametrize("name", sorted(POINTWISE))
def test_functions_that_make_something_of_zero_are_named(name):
    with np.errstate(divide="ignore"):
        of_zero = zs.layer(f"Z[m] = {name}(A[m])")(A=np.zeros(1), backend="numpy")
    assert bool(np.asarray(of_zero)[0] != 0) == (name in FULL)


def test_attention_and_normalisation_are_charged():
    rng = np.random.default_rng(3)
    qkv = {name: rng.random((1, 2, 4, 3)) for name in "QKV"}
    found = zs.charge(zs.layers.scaled_dot_product_attention(), "scnn", **qkv)
    assert found.lines["O"].multiplications["effectual"] == 1 * 2 * 4 * 3
    x, of = rng.random((2, 3, 4, 4)), {n: rng.random(3) for n in ("mean", "var", "gamma", "beta")}
    norm = zs.charge(zs.layers.batch_norm(), "scnn", I=x, **of)
    assert norm.ops["effectual"] == norm.ops["dense"] == x.size
    assert any("does not make its product zero" in text for text in norm.assumptions)


def test_means_of_densities_are_those_of_what_absorbs():
    found = zs.charge(
        "Z[m] = A[m]/B[m]", "scnn", A=zs.Density((40,), 0.5), B=zs.Density((40,), 0.25)
    )
    assert found.ops["effectual"] == 20
    assert str(found.formula("effectual")) == "40*d_A"


def test_units_and_lanes_take_products_alone():
    A, B = np.eye(4), np.eye(4)
    for design in ("gamma", "scnn-lanes"):
        with pytest.raises(zs.ZeroskipError, match=r"expected .*product"):
            zs.charge("Z[m,n] = sum[k](exp(A[m,k])*B[k,n])", design, A=A, B=B)

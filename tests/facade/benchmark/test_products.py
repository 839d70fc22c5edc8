"""A line as a matrix product, and its effectual multiplications, against the layer itself."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.benchmark.counting import effectual
from zeroskip.benchmark.products import matrix_product

LAYERS = [
    ("O[n,m,p,q] = relu(B[m] + I[n,c,2*p+r,q+2*s]*F[m,c,r,s])",
     {"B": (4,), "I": (2, 3, 9, 8), "F": (4, 3, 3, 2)}, {"I": {"h": (1, 0), "w": 2}}),
    ("O[b,o] = W[o,i]*X[b,i]", {"W": (4, 3), "X": (5, 3)}, None),
    ("S[b,h,i,j] = Q[b,h,i,d]*K[b,h,j,d]", {"Q": (2, 3, 4, 5), "K": (2, 3, 6, 5)}, None),
    ("O[n,c,p] = I[n,c,p+r]*F[c,r]", {"I": (2, 3, 9), "F": (3, 3)}, None),
    ("O[p] += I[p+r]*F[r]", {"I": (9,), "F": (3,)}, None),
    ("O[p] = I[3*p-2*r+4]*F[r]", {"I": (19,), "F": (3,)}, None),
    ("O[i,j] = A[i,k]*A[k,j]", {"A": (4, 4)}, None),
    ("d = A[i,j]*B[i,j]", {"A": (3, 4), "B": (3, 4)}, None),
    ("O[i,j] = exp(2*D[j] + A[i,k]*B[k,j])", {"D": (5,), "A": (3, 4), "B": (4, 5)}, None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "shapes", "pad"), LAYERS)
def test_matrix_products_equal_the_reference(text, shapes, pad):
    layer = zs.layer(text, pad=pad)
    rng = np.random.default_rng(0)
    operands = {name: rng.standard_normal(shapes[name]) for name in layer.operands}
    product = matrix_product(layer.spec.forms[0], layer.spec.extents(shapes))
    assert product is not None
    expected = layer(**operands, backend="numpy")
    whole = product.whole(operands)
    for _ in range(2):  # scratch is used again
        np.testing.assert_allclose(whole(), expected, rtol=1e-12, atol=1e-12)
    left, right = product.matrices(operands)
    np.testing.assert_allclose(product.finish(left @ right, operands), expected, atol=1e-12)
    assert product.multiplications == left.size * right.shape[-1]


@pytest.mark.parametrize(
    "text",
    [
        "O[m,r] = T[m,j,k]*B[j,r]*C[k,r]",
        "O[i] max= A[i,k]*B[k]",
        "O[i] = A[i,k]*B[j]",
        "O[2*i] = A[i,k]*B[k]",
        "O[i] = A[i//2,k]*B[k]",
        "O[i] = 3*A[i,k]*B[k]",
    ],
)
def test_what_is_no_matrix_product(text):
    layer = zs.layer(text, sizes={"i": 4} if "//" in text else None)
    shapes = {a.tensor: (4,) * len(a.subscripts) for a in layer.spec.forms[0].terms[0].accesses}
    assert matrix_product(layer.spec.forms[0], layer.spec.extents(shapes)) is None


@pytest.mark.parametrize(("text", "shapes", "pad"), LAYERS)
def test_effectual_is_the_layer_over_its_masks(text, shapes, pad):
    layer = zs.layer(text.replace("relu(", "(").replace("exp(2*D[j] + ", "("), pad=pad)
    given = {n: zs.Density(shapes[n], 0.5).sample(3, np.float64) for n in layer.operands}
    found = effectual(layer.spec, given, layer.spec.extents({n: x.shape for n, x in given.items()}))
    masks = {n: (x != 0).astype(np.int64) for n, x in given.items()}
    masks |= {n: np.zeros_like(x) for n, x in masks.items() if n in "BD" and len(x.shape) == 1}
    assert found == int(np.sum(layer(**masks, backend="numpy")))

"""How many entries a result is expected to have."""

import numpy as np
import pytest

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native.engine import evaluate
from zeroskip.native.estimate import expected_entries, most_products
from zeroskip.native.lines import line_of


def line(text, **operands):
    spec = make_spec(text)
    (form,) = spec.forms
    extents = spec.extents({name: x.shape for name, x in operands.items()})
    return spec, line_of(form, operands, extents)


def drawn(seed, shape, density, fill=0):
    rng = np.random.default_rng(seed)
    x = np.where(rng.random(shape) < density, rng.random(shape) + 1, fill)
    return Tensor.from_dense(x, "COO", fill=fill)


@pytest.mark.parametrize(
    "text",
    [
        "C[i,j] = A[i,k]*B[k,j]",
        "C[i,j] = A[i,j] + B[i,j]",
        "C[i,j] = A[i,j]*B[i,j] + A[j,i]",
        "C[i,j] max= A[i,k]*B[k,j]",
        "C[i,j] = sum[k](max(A[i,k], B[k,j]))",
        "C[i] = A[i,k]*B[i,k]",
    ],
)
@pytest.mark.parametrize("density", [0.01, 0.05, 0.3])
def test_within_a_tenth_of_what_comes_out(text, density):
    operands = {"A": drawn(1, (120, 120), density), "B": drawn(2, (120, 120), density / 2)}
    spec, made = line(text, **operands)
    stored = evaluate(spec, operands, format="COO")["C"].stored
    assert expected_entries(made) == pytest.approx(stored, rel=0.1, abs=20)


def test_every_place_where_something_is_everywhere():
    a, x = drawn(1, (6, 5), 0.2), np.ones(5)
    assert expected_entries(line("C[i,j] = A[i,j] + x[j]", A=a, x=x)[1]) == 30
    assert expected_entries(line("C[i,j] = A[i,j] + 1", A=a)[1]) == a.stored
    assert expected_entries(line("C[i,j] = A[i,j]*x[j]", A=a, x=x)[1]) == a.stored
    full = Tensor.from_dense(np.ones((2, 3)), "CSR")
    assert expected_entries(line("y[i] = A[i,k]", A=full)[1]) == 2
    assert expected_entries(line("y[i] = A[i,k]", A=drawn(1, (4, 0), 1))[1]) == 0


def test_no_more_entries_than_products_of_rows():
    a, b = (drawn(seed, (9, 9), 0.3).asformat("CSR") for seed in (1, 2))
    products = np.count_nonzero(a.toarray()[:, :, None] * b.toarray()[None])
    for text in ("C[i,j] = A[i,k]*B[k,j]", "C[j,i] = B[k,j]*A[i,k]"):
        assert most_products(line(text, A=a, B=b)[1]) == products
    assert most_products(line("C[i,j] = A[i,k]*A[k,j]", A=a)[1]) == np.count_nonzero(
        a.toarray()[:, :, None] * a.toarray()[None]
    )
    for text in ("C[i,j] = A[i,j]*B[i,j]", "C[i,j] = A[i,k]*B[j,k]", "C[i,j] = A[i,j] + B[i,j]"):
        assert most_products(line(text, A=a, B=b)[1]) is None
    csc = b.asformat("CSC")
    assert most_products(line("C[i,j] = A[i,k]*B[k,j]", A=a, B=csc)[1]) is None

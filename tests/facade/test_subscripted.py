"""`einsum` called as `numpy.einsum` is."""

from __future__ import annotations

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import EinsumError, EinsumTypeError

FORMATS = (None, "CSR", "bitmask", "COO")


def _arrays(*shapes):
    rng = np.random.default_rng(7)
    return [rng.integers(-3, 4, shape) * 1.0 for shape in shapes]


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize(
    ("text", "shapes"),
    [
        ("...ij,jk->...ik", [(2, 3, 4), (4, 5)]),
        ("...ij,...jk", [(2, 3, 4), (4, 5)]),
        ("i...i->...i", [(3, 2, 3)]),
        ("ij,ij->ij", [(3, 4), (1, 4)]),
        ("ij,ij->j", [(1, 4), (3, 1)]),
        ("...,...", [(3, 1), (2, 1, 4)]),
        ("ij,kj->", [(3, 0), (2, 1)]),
        ("aB,Bc->ca", [(3, 4), (4, 2)]),
    ],
)
def test_as_numpy(text, shapes, format):
    arrays = _arrays(*shapes)
    expected = np.einsum(text, *arrays)
    given = [zs.tensor(x, format) if format and x.ndim else x for x in arrays]
    for backend in ("c", "interpreter", "numpy"):
        found = zs.einsum(text, *given, backend=backend)
        assert found.shape == expected.shape
        assert np.array_equal(found, expected)


def test_interleaved():
    a, b = _arrays((2, 3), (3, 4))
    assert np.array_equal(zs.einsum(a, [0, 1], b, [1, 2], [2, 0]), (a @ b).T)
    assert np.array_equal(zs.einsum(a, [..., 1], [1, ...]), a.T)


def test_labels_of_any_script():
    a, b = _arrays((2, 3), (3, 4))
    assert np.array_equal(zs.einsum("αβ,βγ->γα", a, b), (a @ b).T)


def test_numbers_lists_and_results_in_a_format():
    assert zs.einsum("", 3) == 3
    assert zs.einsum(",a->a", 2, [1, 2]).tolist() == [2, 4]
    (a,) = _arrays((3, 3))
    found = zs.einsum("...j->j...", a, format="CSR")
    assert np.array_equal(found.toarray(), a.T)


@pytest.mark.parametrize(
    "optimize", [True, False, None, "greedy", "optimal", ("greedy", 100), ["einsum_path", (0, 1)]]
)
def test_optimize_is_accepted(optimize):
    a, b = _arrays((2, 3), (3, 4))
    assert np.array_equal(zs.einsum("ij,jk", a, b, optimize=optimize), a @ b)


@pytest.mark.parametrize("optimize", ["best", 3, ("greedy",), ["einsum_path", 0], []])
def test_optimize_is_checked(optimize):
    with pytest.raises(EinsumError) as caught:
        zs.einsum("i->", np.ones(2), optimize=optimize)
    assert str(caught.value) == (
        "optimize: expected True, False, 'greedy', 'optimal' or a path of numpy.einsum_path, "
        f"found {optimize!r}"
    )


def test_errors_are_of_numpys_kind():
    a = np.ones((2, 3))
    with pytest.raises(EinsumError, match="expected 1 operands, found 2"):
        zs.einsum("ij", a, a)
    with pytest.raises(EinsumError, match=r"rank j has two sizes: 3 in A .* 2 in B"):
        zs.einsum("ij,jk", a, a)
    with pytest.raises(EinsumTypeError, match="expected numbers such as"):
        zs.einsum(0, 0)
    with pytest.raises(EinsumError, match="an Einsum without a statement"):
        zs.einsum()


def test_sympy_is_no_operand():
    a = np.arange(6.0).reshape(2, 3)
    expr = zs.layer("y[i] = A[i,j]").expr
    assert np.array_equal(zs.einsum(expr, a), a.sum(1))
    assert np.array_equal(zs.einsum([expr], a), a.sum(1))

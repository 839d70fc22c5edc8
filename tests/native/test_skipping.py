"""``skip=``: a demand that loops leave out what an operand does not store."""

import numpy as np
import pytest

import zeroskip as zs
from zeroskip.errors import KernelError

INF = np.inf
X = np.ones(3)


def eye(fill, format="CSR"):
    return zs.tensor(np.where(np.eye(3) == 0, fill, 2.0), format, fill=fill)


def refusal(text, skip, **operands):
    with pytest.raises(KernelError) as caught:
        zs.einsum(text, skip=skip, **operands)
    return str(caught.value)


@pytest.mark.parametrize("backend", ["c", "interpreter", "numpy"])
@pytest.mark.parametrize(
    ("text", "fill", "skip"),
    [
        ("y[i] = A[i,k]*x[k]", 0, "A"),
        ("y[i] = A[i,k]*x[k] + x[i]", 0, ("A",)),
        ("y[i] min= A[i,k] + x[k]", INF, ["A"]),
        ("y[i] max= A[i,k]*x[k]", 0, {"A"}),
        ("y[i] = sum[k](max(A[i,k], B[k,i]))", 0, "AB"),
    ],
)
def test_what_can_be_skipped_is(text, fill, skip, backend):
    given = {"A": eye(fill), "x": X} if "x[" in text else {"A": eye(fill), "B": eye(fill)}
    names = tuple(skip) if skip == "AB" else skip
    got = zs.einsum(text, skip=names, backend=backend, **given)
    assert np.array_equal(got, zs.einsum(text, **given))
    bound = zs.layer(text).bind(A=given.pop("A"))
    assert np.array_equal(bound(skip=names, **given), got)


def test_a_fill_that_adds_something_cannot_be_skipped():
    assert refusal("y[i] = A[i,k]*x[k]", "A", A=eye(3), x=X) == (
        "skip=A: loops cannot leave out what A does not store\n"
        "  y[i] = sum[k](A[i,k]*x[k])\n"
        "Where A is absent, with fill 3, the value under + depends on what else it reads; "
        "only 0 adds nothing.\n"
        "Store A with another fill, or leave skip= out: it is looked up at every point."
    )
    assert "with fill 0, the value under min depends on what else it reads; only inf adds" in (
        refusal("y[i] min= A[i,k] + x[k]", "A", A=eye(0), x=X)
    )
    assert "with fill 1, the value under * is 2.71828; only 1 adds nothing" in (
        refusal("y[i] *= exp(A[i,k])", "A", A=eye(1))
    )


def test_a_union_visits_what_the_other_stores():
    text, given = "y[i] = sum[k](max(A[i,k], B[k,i]))", {"A": eye(0), "B": eye(0)}
    assert "skip=A: loops cannot leave out what A does not store" in refusal(text, "A", **given)


def test_nothing_can_be_skipped_of_what_stores_every_place():
    assert refusal("y[i] = A[i,k]*x[k]", "x", A=eye(0), x=X) == (
        "skip=x: x stores every place, so that there is nothing to leave out\n"
        'Store it sparsely: zeroskip.tensor(x, "CSR").'
    )


def test_a_name_that_no_line_reads():
    assert refusal("y[i] = A[i,k]*x[k]", "B", A=eye(0), x=X) == (
        "skip names 'B', which no line reads\nIt reads A, x."
    )
    assert refusal("y[i] = A[i,k]*x[k]", 5, A=eye(0), x=X) == (
        'skip: expected names of operands, found 5\nWrite skip="A" or skip=("A", "B").'
    )

"""``order=``: loops keep to it, operands in another order are converted, a wrong one is refused."""

import itertools
import re

import numpy as np
import pytest
from generator import every_format, random_array

import zeroskip as zs
from zeroskip.einsum_spec.spec import make_spec
from zeroskip.errors import KernelError
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine, lines
from zeroskip.native.arguments import shapes
from zeroskip.native.schedules import walk
from zeroskip.native.show import show

PRODUCT = "C[i,j] = A[i,k]*B[k,j]"
RNG = np.random.default_rng(4)
A, B = (random_array(RNG, (6, 6), "float64", 0.4) for _ in "AB")
ROWS, COLUMNS = Tensor.from_dense(A, "CSR"), Tensor.from_dense(B, "CSC")


def refusal(text, order, **given):
    with pytest.raises(KernelError) as caught:
        zs.einsum(text, A=ROWS, B=COLUMNS, order=order, **given)
    return str(caught.value)


def nest(text, order, **operands):
    spec = make_spec(text)
    (form,) = spec.forms
    line = lines.line_of(form, operands, spec.extents(shapes(operands)), order=tuple(order))
    return line, show(walk(line).lowered.kernel)


@pytest.mark.parametrize("order", [",".join(p) for p in itertools.permutations("ijk")])
def test_every_order_in_every_format_is_right(order):
    spec = make_spec(PRODUCT)
    for first in every_format(2)[::2]:
        for second in ("CSR", "CSC", "COO", "bitmask", "dense", "BSR(2,3)"):
            given = {"A": Tensor.from_dense(A, first), "B": Tensor.from_dense(B, second)}
            for format in (None, "CSR"):
                got = engine.evaluate(
                    spec, given, order=order, format=format, backend="interpreter"
                )["C"]
                assert np.array_equal(np.asarray(got), A @ B), (first, second, format)


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("ijk")])
@pytest.mark.parametrize("levels", ["dense", "CSR", "CSC", "C C", "COO"])
def test_loops_keep_to_the_order(levels, order):
    both = {"A": Tensor.from_dense(A, levels), "B": Tensor.from_dense(B, levels)}
    _, text = nest(PRODUCT, order, **both)
    opened = [match[1] for match in re.finditer(r"^ *for (\w+)\b", text, re.MULTILINE)]
    assert [rank for rank in opened if rank in "ijk"] == list(order)


def test_operands_in_the_order_are_left_as_they_are():
    assert nest(PRODUCT, "ijk", A=ROWS, B=COLUMNS)[0].converted == ()
    assert nest(PRODUCT, "jik", A=ROWS, B=COLUMNS)[0].converted == ()
    line, text = nest(PRODUCT, "ikj", A=ROWS, B=COLUMNS)
    assert line.converted == ("B",)
    assert str(line.used["B"].format) == "U C"
    assert "for k, pA_k in A.k[i]:" in text
    assert nest(PRODUCT, "kij", A=ROWS, B=COLUMNS)[0].converted == ("A", "B")
    assert nest(PRODUCT, "kij", A=A, B=B)[0].converted == ()


def test_a_conversion_that_is_not_allowed_names_ranks_and_operand():
    assert refusal(PRODUCT, "i,k,j", convert=False) == (
        "B is stored as '1:U 0:C' (order j,k), and order=\"i,k,j\" has k before j: "
        "expected 'U C' (order k,j)\n"
        "  C[i,j] = sum[k](A[i,k]*B[k,j])\n"
        "                         ^^^^^^\n"
        "Pass B.asformat('U C'), or allow it to be stored anew at every call: convert=True."
    )
    got = zs.einsum(PRODUCT, A=ROWS, B=COLUMNS, order="i,j,k", convert=False)
    assert np.array_equal(got, A @ B)


def test_few_entries_are_not_spread_over_every_place():
    listed = Tensor.from_coords([[3, 900], [7, 2]], np.ones(2), (1000, 10), "CSC")
    line, _ = nest("y[j] = A[i,j]*x[i]", "ij", A=listed, x=np.ones(1000))
    assert str(line.used["A"].format) == "C C"


def test_a_tensor_read_in_two_orders_stays():
    square = "C[i,j] = A[i,k]*A[k,j]"
    for order in itertools.permutations("ijk"):
        line, _ = nest(square, order, A=ROWS)
        assert line.converted == (("A",) if order == ("j", "k", "i") else ())
        got = zs.einsum(square, A=ROWS, order=",".join(order))
        assert np.array_equal(got, A @ A)


@pytest.mark.parametrize(
    ("order", "said"),
    [
        ("i,k", "it misses j"),
        ("i,k,k", "it repeats k, it misses j"),
        ("i,k,n,j", "n is no rank of it"),
        ("ikj", "ikj is no rank of it, it misses i, it misses j, it misses k"),
    ],
)
def test_an_order_that_is_none(order, said):
    assert refusal(PRODUCT, order) == (
        f'order="{order}": {said}\n'
        "  C[i,j] = sum[k](A[i,k]*B[k,j])\n"
        'Name every rank once, the outermost first: order="i,j,k".'
    )


def test_what_is_no_text_and_what_is_no_result():
    assert refusal(PRODUCT, 3) == 'order: expected a text such as "i,j,k", found 3'
    assert refusal(PRODUCT, {"D": "i"}) == ("order names 'D', which no line computes\nResults: C.")


def test_lines_of_a_cascade_and_bound_layers():
    layer = zs.layer("T[i,j] = A[i,k]*B[k,j]\ny[i] = relu(T[i,j]*x[j])")
    x = np.arange(6.0)
    want = np.maximum(A @ B @ x, 0)
    for order in ("j,i", {"T": "k, j, i"}, {"T": "i,j,k", "y": "i,j"}):
        for format in (None, {"T": "CSC"}, {"T": "auto"}):
            assert np.array_equal(layer(ROWS, COLUMNS, x, order=order, format=format), want)
    bound = zs.layer("y[i] = A[i,j]*x[j]").bind(A=COLUMNS)
    for order in ("i,j", "j,i", None, {"y": "i,j"}):
        for _ in range(2):
            assert np.array_equal(bound(x, order=order), B @ x)
    with pytest.raises(KernelError, match=r'order="i,j" has i before j'):
        bound(x, order="i,j", convert=False)
    with pytest.raises(KernelError, match="it misses j"):
        bound(x, order="i")


def test_windows_are_solved_in_any_order():
    image, kernel = RNG.integers(0, 3, (5, 6)).astype(float), RNG.integers(0, 2, (3, 2)) * 1.0
    layer = zs.layer("O[p,q] = I[p+r,q+s]*F[r,s]", pad={"I": {"h": (1, 1)}})
    want = layer(image, kernel, backend="numpy")
    for order in itertools.permutations("pqrs"):
        for format in ("CSR", "CSC", "COO", "RLE(2)"):
            given = Tensor.from_dense(image, format), Tensor.from_dense(kernel, format)
            got = layer(*given, order=",".join(order), backend="interpreter")
            assert np.array_equal(got, want), (order, format)

"""Operands whose order or levels loops cannot follow are converted, charged for it, or refused."""

import numpy as np
import pytest

import zeroskip as zs

A = np.arange(12.0).reshape(3, 4)


def refusal(call, error=zs.EinsumError):
    with pytest.raises(error) as caught:
        call()
    return str(caught.value)


def lines(*parts):
    return "\n".join(parts)


def column_major():
    tall = np.zeros((300, 400))
    tall[5, 7] = tall[200, 300] = 2
    return tall, zs.tensor(tall, "CSC")


@pytest.mark.parametrize("bound", [False, True])
def test_an_operand_that_cannot_be_looked_up_is_not_converted_without_permission(bound):
    layer = zs.layer("C[i,k] = max(A[i,k], B[i,k])")
    rows, listed = zs.tensor(A, "CSR"), zs.tensor(A[::-1].copy(), "COO")
    call = layer.bind(A=rows) if bound else lambda **given: layer(A=rows, **given)
    assert refusal(lambda: call(B=listed, convert=False), zs.KernelError) == lines(
        "B is stored as 'C S' (order i,k), and has to be looked up at single places: "
        "expected 'C C' (order i,k)",
        "  C[i,k] = max(A[i,k], B[i,k])",
        "                       ^^^^^^",
        "Pass B.asformat('C C'), or allow it to be stored anew at every call: convert=True.",
    )
    want = np.maximum(A, A[::-1])
    assert np.array_equal(call(B=listed), want)
    assert np.array_equal(call(B=listed.asformat("C C"), convert=False), want)


@pytest.mark.parametrize("bound", [False, True])
def test_a_listed_operand_that_others_bind_is_not_converted_without_permission(bound):
    layer = zs.layer("s[i] = A[i,k]*B[i,k]")
    listed = zs.tensor(A, "COO")
    call = layer.bind(A=listed) if bound else lambda **given: layer(A=listed, **given)
    assert refusal(lambda: call(B=listed, convert=False), zs.KernelError) == lines(
        "B is stored as 'C S' (order i,k), and has to be looked up at single places: "
        "expected 'C C' (order i,k)",
        "  s[i] = sum[k](A[i,k]*B[i,k])",
        "                       ^^^^^^",
        "Pass B.asformat('C C'), or allow it to be stored anew at every call: convert=True.",
    )
    want = (A * A).sum(1)
    assert np.allclose(call(B=listed), want)
    assert np.allclose(call(B=listed.asformat("C C"), convert=False), want)


def test_an_operand_in_a_discordant_order_is_not_converted_without_permission():
    tall, columns = column_major()
    other = zs.tensor(tall.T.copy(), "CSR")
    layer = zs.layer("C[i,k] = A[i,j]*B[j,k] + D[i,k]")
    given = {"B": other, "D": zs.tensor(tall @ tall.T, "CSR")}
    said = refusal(lambda: layer(A=columns, **given, format="CSR", convert=False), zs.KernelError)
    assert said == lines(
        "A is stored as '1:U 0:C' (order j,i), and the rows of C are found in the order i: "
        "expected 'C C' (order i,j)",
        "  C[i,k] = sum[j](A[i,j]*B[j,k]) + D[i,k]",
        "                  ^^^^^^",
        "Pass A.asformat('C C'), or allow it to be stored anew at every call: convert=True.",
    )
    want = 2 * (tall @ tall.T)
    assert np.array_equal(layer(A=columns, **given, format="CSR").toarray(), want)
    follows = columns.asformat("C C")
    got = layer(A=follows, **given, format="CSR", convert=False)
    assert np.array_equal(got.toarray(), want)


def test_an_index_tensor_that_is_compressed():
    places = zs.tensor(np.array([0, 1, 0]), "C")
    said = refusal(
        lambda: zs.einsum("y[n] = A[X[n],0]", A=A, X=places, convert=False), zs.KernelError
    )
    assert said == lines(
        "X is stored as 'C' (order n), and has to be looked up at single places: expected 'dense'",
        "  y[n] = A[X[n],0]",
        "           ^^^^",
        "Pass X.toarray(), or allow it to be stored anew at every call: convert=True.",
    )


def test_a_charge_includes_the_transpose_of_another_order():
    _, columns = column_major()
    layer, other = zs.layer("C[i,k] = F[i,j]*I[j,k]"), np.ones((1, 300))
    by_rows = zs.charge(layer, "eyeriss", other, columns.asformat("CSR"))
    by_columns = zs.charge(layer, "eyeriss", other, columns)
    assert by_columns.missing == by_rows.missing
    assert [made.label for made in by_columns.conversions] == ["transpose of I"]
    assert by_rows.conversions == ()
    assert by_columns.energy_pj > by_rows.energy_pj
    assert by_columns.cycles == by_rows.cycles + by_columns.conversions[0].cycles > by_rows.cycles
    said = [text for text in by_columns.assumptions if text.startswith("transpose of I: ")]
    assert [("CSC (order k,j)" in text, "(order j,k)" in text) for text in said] == [(True, True)]
    assert not any("transpose" in text for text in by_rows.assumptions)

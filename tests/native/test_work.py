"""Multiplications executed: C and interpreter count alike, and as NumPy counts stored products."""

import numpy as np
import pytest
from generator import every_format, random_array, random_format
from judges import Call, count, counted, prepare, prime, stored_mask
from numpy.lib.stride_tricks import sliding_window_view

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor


def counts(calls):
    """(executed in C, executed in the interpreter) of every call."""
    prepared = [prepare(call) for call in calls]
    prime(counted(kernel).c_text for kernel, _ in prepared)
    return [tuple(count(*pair, backend) for backend in ("c", "interpreter")) for pair in prepared]


def executed(spec, operands, numpy):
    """The call, and how many products of stored entries NumPy counts."""
    masks = {name: stored_mask(x) for name, x in operands.items()}
    return Call(spec, operands, np.zeros(())), int(numpy(**masks))


def check(pairs):
    for (call, want), got in zip(pairs, counts([call for call, _ in pairs]), strict=True):
        assert got == (want, want), call


def draw(rng, shape, density=0.4):
    return random_array(rng, shape, "float64", density)


@pytest.mark.parametrize("vector", [None, "C", "B", "R(1)"])
def test_matrix_vector(vector):
    rng, spec = np.random.default_rng(1), make_spec("y[i] = A[i,j] * x[j]")
    pairs = []
    for format in every_format(2)[:: 1 if vector is None else 3]:
        a, x = draw(rng, (5, 9)), draw(rng, (9,))
        operands = {"A": Tensor.from_dense(a, format), "x": x}
        if vector is not None:
            operands["x"] = Tensor.from_dense(x, vector)
        pairs.append(executed(spec, operands, lambda A, x: np.einsum("ij,j->", A, x)))
    check(pairs)


def test_bridges_are_executed_and_are_not_non_zeros():
    a = np.zeros((2, 40))
    a[0, [3, 30]], a[1, 39] = 1.0, 2.0
    spec, x = make_spec("y[i] = A[i,j] * x[j]"), np.ones(40)
    rle, csr = Tensor.from_dense(a, "RLE(2)"), Tensor.from_dense(a, "CSR")
    # A gap of g zeros takes g // 4 bridges: 3 -> 0, 26 -> 6, 39 -> 9.
    (of_rle, of_csr) = counts([Call(spec, {"A": t, "x": x}, np.zeros(2)) for t in (rle, csr)])
    assert of_csr == (3, 3)
    assert of_rle == (3 + 6 + 9, 3 + 6 + 9)
    assert rle.nnz == csr.nnz == 3


def test_explicit_zeros_are_executed():
    zeros = Tensor.from_coords([[0, 1], [2, 0]], np.array([5.0, 0]), (2, 3), "CSR")
    call = Call(make_spec("y[i] = A[i,j] * x[j]"), {"A": zeros, "x": np.ones(3)}, np.zeros(2))
    assert counts([call]) == [(2, 2)]


@pytest.mark.parametrize(
    ("text", "numpy"),
    [
        ("C[i,j] = A[i,k] * B[k,j]", lambda A, B: np.einsum("ik,kj->", A, B)),
        ("s = A[i,j] * B[i,j]", lambda A, B: np.einsum("ij,ij->", A, B)),
        ("O[i,j] = A[i,j] * A[j,i]", lambda A: np.einsum("ij,ji->", A, A)),
        ("t[i] = A[i,i] * A[i,i]", lambda A: np.einsum("ii,ii->", A, A)),
        ("O[i,j] = A[i,j] + B[i,j]", lambda A, B: 0),
        ("O[i,j] = 3*A[i,j]*B[i,j] + A[i,k]*B[k,j]",
         lambda A, B: np.einsum("ij,ij->", A, B) + np.einsum("ik,kj->", A, B)),
        ("y[i] = A[i,j]*B[i,j]*B[j,i]", lambda A, B: 2 * np.einsum("ij,ij,ji->", A, B, B)),
    ],
)  # fmt: skip
def test_matrices(text, numpy):
    rng, spec = np.random.default_rng(2), make_spec(text)
    pairs = []
    for _ in range(16):
        both = {
            n: Tensor.from_dense(draw(rng, (5, 5)), random_format(rng, 2, splits=False))
            for n in "AB"
        }
        pairs.append(executed(spec, {n: both[n] for n in spec.operands}, numpy))
    check(pairs)


@pytest.mark.parametrize("which", ["weights", "activations", "both"])
def test_convolution_with_padding_and_strides(which):
    """Products with the padding are no work: loop bounds leave them out."""
    rng = np.random.default_rng(3)
    spec = make_spec("O[m,p,q] = I[c,2*p+r,q+s] * F[m,c,r,s]", pad={"I": {1: (1, 2), 2: 1}})

    def numpy(I, F):  # noqa: E741
        padded = np.pad(I, [(0, 0), (1, 2), (1, 1)])
        windows = sliding_window_view(padded, F.shape[2:], axis=(1, 2))[:, ::2]
        return np.einsum("cpqrs,mcrs->", windows, F)

    pairs = []
    for _ in range(14):
        operands = {"I": draw(rng, (2, 6, 5)), "F": draw(rng, (3, 2, 3, 2))}
        for name in {"weights": "F", "activations": "I", "both": "IF"}[which]:
            format = random_format(rng, operands[name].ndim, splits=False)
            operands[name] = Tensor.from_dense(operands[name], format)
        pairs.append(executed(spec, operands, numpy))
    check(pairs)

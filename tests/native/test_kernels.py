"""Products of vectors and matrices on every level-format sequence of every operand.

NumPy, the interpreter and the C agree on each, on operands with empty fibers, of nothing but
zeros, without any, and with ranks of extent 0, 1 and past a word of the bitmask.
"""

import numpy as np
import pytest
from generator import every_format
from judges import Call, check, sparse

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor

VECTOR = every_format(1, run_bits=2)
MATRIX = every_format(2, run_bits=1)

# Rows, columns, density of the matrix.
DATA = [(5, 7, 0.4), (4, 5, 0.0), (3, 4, 1.0), (1, 1, 0.7), (0, 4, 0.5), (4, 0, 0.5), (2, 71, 0.1)]


def operand(array, format):
    return array if format is None else Tensor.from_dense(array, format)


def rng():
    return np.random.default_rng(11)


def test_every_format_is_there():
    """4 sequences for a vector; U C B R, each above each, C S, and C S turned and flattened."""
    assert VECTOR == ["0:U", "0:C", "0:B", "0:R(2)"]
    assert len(set(MATRIX)) == len(MATRIX) == 2 * (4 * 4 + 1) + 2 * 4
    assert len(set(every_format(3))) == 666


def calls(text, formats, extents, variables="ijk", dtype="float64"):
    """One call for each way to store the operands and each set of extents.

    formats : (format of the first operand, format of the second); extents : of each variable,
    and the density of both operands.
    """
    spec = make_spec(text)
    named = {a.tensor: a for a in spec.forms[0].terms[0].accesses}
    random, made = rng(), []
    for formats_of_both in formats:
        for *sizes, density in extents:
            extent = dict(zip(variables, sizes, strict=True))
            held = {}
            for name, access in named.items():
                ranks = [subscript.terms[0][1].name for subscript in access.subscripts]
                held[name] = sparse(random, [extent[r] for r in ranks], dtype, density)
            letters = {
                n: "".join(s.terms[0][1].name for s in a.subscripts) for n, a in named.items()
            }
            target = "".join(s.terms[0][1].name for s in spec.forms[0].target.subscripts)
            signature = f"{','.join(letters[n] for n in spec.operands)}->{target}"
            wide = [
                held[n].astype(np.float64) if dtype == "float32" else held[n] for n in spec.operands
            ]
            want = np.einsum(signature, *wide)
            scale = np.einsum(signature, *map(np.abs, wide))
            stored = {
                n: operand(held[n], f) for n, f in zip(spec.operands, formats_of_both, strict=True)
            }
            made.append(Call(spec, stored, want, scale))
    return made


@pytest.mark.parametrize("vector", [None, *VECTOR])
def test_matrix_vector(vector):
    check(calls("y[i] = A[i,j] * x[j]", [(matrix, vector) for matrix in MATRIX], DATA, "ij"))


def test_transposed_matrix_vector():
    formats = [(matrix, ([None, *VECTOR])[k % 5]) for k, matrix in enumerate(MATRIX)]
    check(calls("y[j] = A[i,j] * x[i]", formats, DATA, "ij"))


@pytest.mark.parametrize("vector", VECTOR)
def test_dense_matrix_by_sparse_vector(vector):
    check(calls("y[i] = A[i,j] * x[j]", [(None, vector)], DATA, "ij"))


@pytest.mark.parametrize(("a", "b"), [(a, b) for a in VECTOR for b in VECTOR])
def test_products_of_two_vectors(a, b):
    sizes = [(6, 0.5), (1, 1.0), (0, 0.5), (130, 0.1), (5, 0.0)]
    check(calls("s = a[i] * b[i]", [(a, b)], sizes, "i"))
    check(calls("y[i] = a[i] * b[i]", [(a, b)], sizes, "i"))
    check(calls("O[i,j] = a[i] * b[j]", [(a, b)], [(3, 4, 0.5), (0, 2, 1.0), (2, 0, 1.0)], "ij"))


SIZES = [(4, 5, 3, 0.4), (3, 1, 2, 0.5), (2, 0, 3, 0.5), (3, 4, 0, 0.5), (2, 66, 2, 0.05)]


@pytest.mark.parametrize("side", ["left", "right"])
def test_matrix_matrix_with_one_sparse_operand(side):
    formats = [(f, None) if side == "left" else (None, f) for f in MATRIX]
    check(calls("C[i,j] = A[i,k] * B[k,j]", formats, SIZES, "ikj"))


@pytest.mark.parametrize("turn", range(3))
def test_matrix_matrix_with_both_sparse(turn):
    """Every format of A with three of B, every format of B with three of A."""
    order = rng().permutation(len(MATRIX))
    formats = [(a, MATRIX[order[(k + 7 * turn) % len(MATRIX)]]) for k, a in enumerate(MATRIX)]
    check(calls("C[i,j] = A[i,k] * B[k,j]", formats, SIZES, "ikj"))


@pytest.mark.parametrize(
    "text",
    [
        "C[j,i] = A[i,k] * B[k,j]",
        "C[i,j] = A[k,i] * B[j,k]",
        "C[i,j] = A[i,k] * B[i,j]",
        "s = A[i,k] * B[k,i]",
        "C[k,i] = A[i,k] * B[i,k]",
    ],
)
def test_other_products_of_two_matrices(text):
    named = ["CSR", "CSC", "COO", "DCSR", "bitmask", "RLE(1)", "1:R(2) 0:B"]
    formats = [(a, named[(3 * k + 1) % 7]) for k, a in enumerate(named)]
    square = "k" in text and text.startswith("s")
    sizes = [(4, 4, 4, 0.5), (1, 1, 1, 1.0)] if square else [(4, 5, 3, 0.5), (1, 2, 1, 1.0)]
    check(calls(text, formats, sizes, "ijk"))


@pytest.mark.parametrize("dtype", ["float32", "int8", "int16", "int32", "int64", "bool"])
def test_every_dtype(dtype):
    formats = [
        ("CSR", None),
        (None, "CSC"),
        ("COO", "bitmask"),
        ("RLE(2)", "CSC"),
        ("0*1:C", "1:B 0:U"),
    ]
    for call in calls("C[i,j] = A[i,k] * B[k,j]", formats, SIZES, "ikj", dtype):
        wide = {
            name: np.asarray(x if isinstance(x, np.ndarray) else x.toarray())
            for name, x in call.operands.items()
        }
        if not dtype.startswith("float"):
            want = wide["A"].astype(np.int64) @ wide["B"].astype(np.int64)
            call = Call(call.spec, call.operands, want)
        check([call])


@pytest.mark.parametrize(
    ("text", "numpy"),
    [
        ("t[i] = A[i,i]", lambda a: np.diagonal(a)),
        ("t = A[i,i]", np.trace),
        ("O[i,j] = A[i,j] * A[j,i]", lambda a: a * a.T),
        ("s = A[i,j] * A[j,i]", lambda a: np.sum(a * a.T)),
        ("s = A[i,j] * A[i,j]", lambda a: np.sum(a * a)),
        ("O[i,j] = A[i,k] * A[k,j]", lambda a: a @ a),
        ("O[i,j] = A[i,k] * A[j,k]", lambda a: a @ a.T),
        ("O[i] = A[i,j] * A[j,j]", lambda a: a @ np.diagonal(a)),
        ("O[i,j] = A[i,j] + A[j,i]", lambda a: a + a.T),
        ("O[j,i] = A[i,j]", lambda a: a.T),
    ],
)
def test_diagonals_and_one_matrix_twice(text, numpy):
    random, spec, made = rng(), make_spec(text), []
    some = (
        MATRIX if text in ("t[i] = A[i,i]", "s = A[i,j] * A[j,i]") else MATRIX[len(text) % 3 :: 3]
    )
    for size, density in [(5, 0.5), (1, 1.0), (0, 1.0), (3, 0.0), (66, 0.02)]:
        for format in some if size != 66 else ["CSR", "bitmask", "COO"]:
            a = sparse(random, (size, size), density=density)
            stored = {"A": Tensor.from_dense(a, format)}
            made.append(Call(spec, stored, np.asarray(numpy(a)), np.asarray(numpy(np.abs(a)))))
    check(made)


@pytest.mark.parametrize("extent", [2**16, 2**16 + 1, 2**31, 2**31 + 1, 2**40])
@pytest.mark.parametrize(
    "formats", [("0:U 1:C", "C"), ("0:C 1:S", "C"), ("1:C 0:B", "C"), ("0*1:C", "C")]
)
def test_coordinates_of_16_32_and_64_bits(extent, formats):
    """Ranks whose coordinates need each index type, met by locating, merging and walking."""
    ends = [0, 1, 2**14, extent // 2, extent - 2, extent - 1]
    rows, columns = [0, 0, 1, 2, 2, 2], ends
    a = Tensor.from_coords([rows, columns], np.arange(1.0, 7), (3, extent), formats[0])
    x = Tensor.from_coords([ends[::2]], np.array([1.0, 10, 100]), (extent,), formats[1])
    want = np.array([1.0, 30, 500])
    check([Call(make_spec("y[i] = A[i,j] * x[j]"), {"A": a, "x": x}, want, 0.0)])


@pytest.mark.parametrize("bits", [8, 9, 16, 17, 32])
def test_runs_of_8_16_and_32_bits(bits):
    a = Tensor.from_coords(
        [[0, 0, 1], [5, 99_999, 70_000]], np.ones(3), (2, 100_000), f"RLE({bits})"
    )
    assert (a.stored > 3) == (bits < 17)
    x = Tensor.from_coords([[99_999, 70_000]], np.array([3.0, 4]), (100_000,), "C")
    check([Call(make_spec("y[i] = A[i,j] * x[j]"), {"A": a, "x": x}, np.array([3.0, 4]), 0.0)])

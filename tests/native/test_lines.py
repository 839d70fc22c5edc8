"""Sums, biases, functions, reductions, scalars, tiles, scatters and cascades against NumPy.

The numbers are small multiples of 1/4, so that every sum is exact and every order of summing
gives the same: results are compared to the bit.
"""

from itertools import product

import numpy as np
import pytest
from generator import random_array
from judges import Call, agree, check, dense_copy, prepare, prime

from zeroskip.einsum_spec.spec import make_spec
from zeroskip.formats.tensor import Tensor
from zeroskip.native import engine

OF_VECTOR = [None, "C", "B", "R(1)"]
OF_MATRIX = [None, "CSR", "CSC", "COO", "bitmask", "RLE(1)", "1:R(2) 0:B", "1*0:C"]
OF_THREE = [None, "CSF", "CSR", "2:B 0:C 1:R(1)", "1*0:C 2:C"]
FORMATS = {0: [None], 1: OF_VECTOR, 2: OF_MATRIX, 3: OF_THREE}


def relu(x):
    return np.maximum(x, 0)


def scatter(shape, places):
    """Zeros with ``value`` added at ``place`` for each (place, value)."""
    out = np.zeros(shape)
    for place, value in places:
        out[place] += value
    return out


# text, shapes of the operands in order, the same in NumPy.
SUMS = [
    ("y[i] = A[i,j]*x[j] + B[i,j]*z[j]", [(4, 5), (5,), (4, 5), (5,)],
     lambda a, x, b, z: a @ x + b @ z),
    ("y[i] = A[i,j]*x[j] - 2*b[i] - B[j,i]*z[j]", [(4, 5), (5,), (4,), (5, 4), (5,)],
     lambda a, x, b, B, z: a @ x - 2 * b - B.T @ z),
    ("y[i] = a[i] + b[i] - c[i]", [(5,), (5,), (5,)], lambda a, b, c: a + b - c),
    ("O[i,j] = A[i,j] + B[j,i] + C[i,j]", [(3, 4), (4, 3), (3, 4)], lambda a, b, c: a + b.T + c),
    ("O[i,j] = A[i,j] + b[i] + c[j]", [(3, 4), (3,), (4,)], lambda a, b, c: a + b[:, None] + c),
    ("s = A[i,j] + b[k]", [(3, 4), (5,)], lambda a, b: a.sum() + b.sum()),
    ("y[i] = A[i,j]*B[i,j]*x[j]", [(4, 5), (4, 5), (5,)], lambda a, b, x: (a * b) @ x),
    ("M[i,r] = T[i,j,k]*B[j,r]*C[k,r]", [(3, 2, 4), (2, 3), (4, 3)],
     lambda t, b, c: np.einsum("ijk,jr,kr->ir", t, b, c)),
    ("O[i,j] = S[i,j]*A[i,k]*B[k,j]", [(3, 4), (3, 2), (2, 4)], lambda s, a, b: s * (a @ b)),
    ("O[i,l] = A[i,j]*B[j,k]*C[k,l]", [(2, 3), (3, 4), (4, 2)], lambda a, b, c: a @ b @ c),
    ("O[i,j,k] = a[i]*b[j]*c[k]", [(2,), (3,), (4,)], lambda a, b, c: np.einsum("i,j,k", a, b, c)),
    ("y[i] = sum[j](A[i,j]) * sum[k](B[i,k])", [(3, 4), (3, 2)], lambda a, b: a.sum(1) * b.sum(1)),
    ("y[i] = (A[i,j] + B[i,j]) * x[j]", [(3, 4), (3, 4), (4,)], lambda a, b, x: (a + b) @ x),
    ("y[i] = A[i,j]*A[i,j]*A[i,j]", [(3, 4)], lambda a: (a**3).sum(1)),
]  # fmt: skip

AFTER = [
    ("O[m,p] = relu(B[m] + W[m,c]*I[c,p])", [(3,), (3, 4), (4, 2)],
     lambda b, w, i: relu(b[:, None] + w @ i)),
    ("O[m,p] = relu(W[m,c]*I[c,p] - B[m])", [(3, 4), (4, 2), (3,)],
     lambda w, i, b: relu(w @ i - b[:, None])),
    ("y[i] = abs(A[i,j]*x[j])", [(3, 4), (4,)], lambda a, x: abs(a @ x)),
    ("y[i] = sign(A[i,j]*x[j] + b[i])", [(3, 4), (4,), (3,)], lambda a, x, b: np.sign(a @ x + b)),
    ("y[i] = max(0, A[i,j])", [(3, 4)], lambda a: relu(a.sum(1))),
    ("y[i] = A[i,j]*x[j] + 1", [(3, 4), (4,)], lambda a, x: a @ x + 1),
    ("y[i] = A[i,j]/4 - x[j]/2 + 0.25", [(3, 4), (4,)],
     lambda a, x: a.sum(1) / 4 - x.sum() / 2 + 0.25),
    ("y[i] = a*A[i,j]*x[j] + b", [(), (3, 4), (4,), ()], lambda a, A, x, b: a * (A @ x) + b),
    ("y[i] = J*A[i,j] - I", [(3, 4)], lambda a: 4 * a.sum(1) - 3),
    ("s = a*b - 2", [(), ()], lambda a, b: a * b - 2),
]  # fmt: skip

REDUCTIONS = [
    ("y[m] max= A[m,k]", [(4, 5)], lambda a: a.max(1)),
    ("y[m] min= A[m,k]*x[k]", [(4, 5), (5,)], lambda a, x: (a * x).min(1)),
    ("y[m] max= A[m,k] + b[m] - x[k]", [(4, 5), (4,), (5,)],
     lambda a, b, x: (a + b[:, None] - x).max(1)),
    ("y[m] += A[m,k]*x[k]", [(4, 5), (5,)], lambda a, x: a @ x),
    ("y[m] += b[m] + A[m,k]", [(4,), (4, 5)], lambda b, a: 5 * b + a.sum(1)),
    ("y[m] += relu(A[m,k])", [(4, 5)], lambda a: relu(a).sum(1)),
    ("y[m] *= A[m,k]", [(4, 3)], lambda a: a.prod(1)),
    ("y[m] |= A[m,k]*x[k]", [(4, 5), (5,)], lambda a, x: (a * x).any(1)),
    ("y[m] &= A[m,k] - x[k]", [(4, 5), (5,)], lambda a, x: (a - x).all(1)),
    ("y[m] = max[k](A[m,k])", [(4, 5)], lambda a: a.max(1)),
    ("s max= abs(A[m,k])", [(4, 5)], lambda a: abs(a).max()),
    ("O[m,p] max= I[m,2*p+r]*w[r]", [(3, 7), (2,)],
     lambda i, w: np.stack([(i[:, 2 * p : 2 * p + 2] * w).max(1) for p in range(3)], 1)),
]  # fmt: skip

SUBSCRIPTS = [
    ("O[p] = I[3*p+2*r]*F[r]", [(12,), (3,)], {},
     lambda i, f: np.array([i[3 * p : 3 * p + 5 : 2] @ f for p in range(3)])),
    ("O[p] = I[p+1]*x[p]", [(6,), (5,)], {}, lambda i, x: i[1:] * x),
    ("y[i] = A[i,0] - A[i,2]", [(4, 3)], {}, lambda a: a[:, 0] - a[:, 2]),
    ("y[p] = I[U*p+1]", [(8,)], {"consts": {"U": 3}}, lambda i: i[1::3]),
    ("T[4*p//P] += I[p]", [(8,)], {}, lambda i: i.reshape(4, 2).sum(1)),
    ("T[p//3] += I[p]", [(7,)], {}, lambda i: np.add.reduceat(i, [0, 3, 6])),
    ("T[p//2,p-2*(p//2)] = I[p]", [(7,)], {}, lambda i: np.append(i, 0).reshape(4, 2)),
    ("W[4*p//P,m] += I[c,p+r]*F[m,c,r]", [(3, 7), (2, 3, 3)], {"sizes": {"p": 5}},
     lambda i, f: scatter((4, 2), (((4 * p // 5, m), (i[:, p : p + 3] * f[m]).sum())
                                   for p in range(5) for m in range(2)))),
    ("O[p+r] += I[p]*F[r]", [(5,), (3,)], {}, np.convolve),
    ("O[2*p+r] = I[p]*F[r]", [(4,), (2,)], {}, lambda i, f: np.outer(i, f).reshape(-1)),
    ("O[3*p] = I[p]", [(3,)], {}, lambda i: scatter(7, zip([0, 3, 6], i, strict=True))),
    ("O[m,U*p+r] += I[c,p]*F[c,m,r]", [(2, 4), (2, 3, 3)], {"consts": {"U": 2}},
     lambda i, f: scatter((3, 9), (((m, 2 * p + r), i[:, p] @ f[:, m, r])
                                   for m in range(3) for p in range(4) for r in range(3)))),
    ("D[i,i] = x[i]", [(4,)], {}, np.diag),
    ("O[i,j] = a[i]", [(3,)], {"sizes": {"j": 4}}, lambda a: np.repeat(a[:, None], 4, 1)),
    ("O[p,r] = I[p+r]", [(6,)], {"sizes": {"r": 3}},
     lambda i: np.lib.stride_tricks.sliding_window_view(i, 3)),
    ("y[p] = x[p//2]*z[p]", [(4,), (7,)], {}, lambda x, z: np.repeat(x, 2)[:7] * z),
    ("O[p] = I[p+r]*F[r]", [(5,), (3,)], {"pad": {"I": {0: (2, 0)}}},
     lambda i, f: np.correlate(np.append([0, 0], i), f, "valid")),
    ("O[p] = I[p]*x[p]", [(5,), (9,)], {"pad": {"I": {0: (3, 1)}}},
     lambda i, x: np.pad(i, (3, 1)) * x),
]  # fmt: skip

AROUND_SCATTERS = [
    ("O[2*p] = exp(I[p])", [(3,)], lambda i: np.kron(np.exp(i), [1, 0])[:5]),
    ("O[2*p+1] = sigmoid(I[p,r] + b[p])", [(3, 2), (3,)],
     lambda i, b: np.kron(1 / (1 + np.exp(-(i.sum(1) + b))), [0, 1])),
    ("O[i,i] = exp(x[i])", [(3,)], lambda x: np.diag(np.exp(x))),
    ("O[p//2,p-2*(p//2)] = relu(I[p] - 1)", [(5,)],
     lambda i: np.append(relu(i - 1), 0).reshape(3, 2)),
]  # fmt: skip

CASCADES = [
    ("S[i] = A[i,j]*x[j]\nR[i] = relu(S[i] - 1)\ny[i] = R[i]*S[i]", [(4, 5), (5,)],
     lambda a, x: relu(a @ x - 1) * (a @ x)),
    ("M[i] max= A[i,j]\nD[i,j] = A[i,j] - M[i]\ny[i] = D[i,j]", [(4, 5)],
     lambda a: (a - a.max(1, keepdims=True)).sum(1)),
    ("H[i,k] = relu(A[i,j]*W[j,k])\nO[i,l] = H[i,k]*V[k,l] + b[l]", [(2, 3), (3, 4), (4, 2), (2,)],
     lambda a, w, v, b: relu(a @ w) @ v + b),
    ("T[p,e] += nz[c,p]*ew[c,e]\nC[p] max= T[p,e]\ncycles = C[p]", [(3, 4), (3, 2)],
     lambda n, e: (n.T @ e).max(1).sum()),
]  # fmt: skip


def choices(rng, shapes, dtype):
    """Operands in formats: all dense, then each format of each operand against random others."""
    options = [FORMATS[len(shape)] for shape in shapes]
    rounds = {(None,) * len(shapes)}
    for k, formats in enumerate(options):
        for format in formats:
            others = [o[int(rng.integers(len(o)))] for o in options]
            rounds.add((*others[:k], format, *others[k + 1 :]))
    for formats in sorted(rounds, key=str):
        arrays = [random_array(rng, shape, dtype, 0.5) for shape in shapes]
        yield [
            a if f is None else Tensor.from_dense(a, f)
            for a, f in zip(arrays, formats, strict=True)
        ]


def judge(text, shapes, numpy, dtype="float64", scale=0.0, **given):
    spec, rng = make_spec(text, **given), np.random.default_rng(3)
    calls = []
    for operands in list(choices(rng, shapes, dtype))[:: len(spec.forms)]:
        wide = np.float64 if dtype.startswith("float") else np.int64
        want = np.asarray(numpy(*(dense_copy(x).astype(wide) for x in operands)))
        if spec.forms[-1].reduction in ("|", "&"):
            want = want.astype(bool)
        calls.append(Call(spec, dict(zip(spec.operands, operands, strict=True)), want, scale))
    if len(spec.forms) > 1:  # the helper primes kernels of one line only
        for call, backend in product(calls, ("c", "interpreter")):
            got = engine.evaluate(spec, call.operands, backend=backend)
            agree(call, got[spec.results[-1]], backend)
    else:
        check(calls)


def names(cases):
    return [case[0] for case in cases]


@pytest.mark.parametrize(("text", "shapes", "numpy"), SUMS, ids=names(SUMS))
def test_sums_of_products(text, shapes, numpy):
    judge(text, shapes, numpy)


@pytest.mark.parametrize(("text", "shapes", "numpy"), AFTER, ids=names(AFTER))
def test_biases_functions_scalars_and_numbers(text, shapes, numpy):
    judge(text, shapes, numpy, "float32")


@pytest.mark.parametrize(("text", "shapes", "numpy"), REDUCTIONS, ids=names(REDUCTIONS))
@pytest.mark.parametrize("dtype", ["float64", "int32"])
def test_reductions(text, shapes, numpy, dtype):
    judge(text, shapes, numpy, dtype)


@pytest.mark.parametrize(("text", "shapes", "given", "numpy"), SUBSCRIPTS, ids=names(SUBSCRIPTS))
def test_subscripts_and_scatters(text, shapes, given, numpy):
    judge(text, shapes, numpy, **given)


@pytest.mark.parametrize(("text", "shapes", "numpy"), AROUND_SCATTERS, ids=names(AROUND_SCATTERS))
def test_what_a_scatter_does_not_reach_stays_0_whatever_the_function(text, shapes, numpy):
    judge(text, shapes, numpy, scale=1.0)


@pytest.mark.parametrize(("text", "shapes", "numpy"), CASCADES, ids=names(CASCADES))
def test_cascades(text, shapes, numpy):
    judge(text, shapes, numpy)


@pytest.mark.parametrize("text", ["y[m] max= A[m,k]", "y[m] min= A[m,k]", "y[m] += A[m,k]"])
@pytest.mark.parametrize("dtype", ["float32", "int8", "int64"])
def test_an_empty_reduction_is_the_identity(text, dtype):
    computed = {"float32": "float32", "int8": "int32", "int64": "int64"}[dtype]
    ends = np.finfo(computed) if computed == "float32" else np.iinfo(computed)
    least, most = (-np.inf, np.inf) if computed == "float32" else (ends.min, ends.max)
    want = {"max=": least, "min=": most, "+=": 0}[text.split()[1]]
    empty = np.zeros((2, 0), dtype)
    calls = [
        Call(make_spec(text), {"A": a}, np.full(2, want, computed), 0.0)
        for a in (empty, Tensor.from_dense(empty, "CSR"))
    ]
    prime(prepare(call)[0].c_text for call in calls)
    for call, backend in product(calls, ("c", "interpreter", "numpy")):
        got = engine.evaluate(call.spec, call.operands, backend=backend)["y"]
        assert got.dtype == computed
        assert got.tolist() == call.want.tolist()
